"""The only place that touches Great Expectations: a Polars frame and a list of expectations in, plain outcomes out.

Great Expectations takes five seconds to import, so it is imported inside the function. It has no Polars engine: the frame goes over as
Arrow-backed pandas without list columns. No GX type leaves this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import polars.selectors as cs

from isocost.errors import IsocostError

_SHOWN = 10
_MEAN = "ExpectColumnMeanToBeBetween"
_NO_VALUE = "no value is known: nothing to judge"


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation, told without naming Great Expectations' classes.

    Attributes:
        expectation: class name in ``great_expectations.expectations``.
        severity: ``critical`` blocks, ``warning`` is shown, ``info`` is recorded.
        reason: why the rule exists, for the reader of a failure.
        arguments: the expectation's own arguments.
    """

    expectation: str
    severity: str
    reason: str
    arguments: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        """A stable name: the expectation with its columns and, where it has one, its row condition."""
        named = dict(self.arguments)
        columns = [str(named[k]) for k in ("column", "column_A", "column_B") if k in named]
        columns += [str(c) for c in named.get("column_list", ())]
        condition = f" where {named['row_condition']}" if "row_condition" in named else ""
        return f"{self.expectation}({', '.join(columns)}){condition}"


def rule(expectation: str, reason: str, *, severity: str = "critical", **arguments: Any) -> Rule:
    """A rule from keyword arguments."""
    return Rule(expectation, severity, reason, tuple(arguments.items()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one rule.

    Attributes:
        rule: the rule.
        is_passed: whether the data hold it.
        is_broken: whether it could not be evaluated at all: a defect of the check, not of the data.
        unexpected_count: rows against the rule, where it is a rule about rows.
        keys: the keys of the first rows against it.
        detail: the observed value, or what broke.
    """

    rule: Rule
    is_passed: bool
    is_broken: bool
    unexpected_count: int
    keys: tuple[str, ...]
    detail: str


def judge(frame: pl.DataFrame, rules: Sequence[Rule], keys: Sequence[str]) -> list[Outcome]:
    """Evaluates rules on a frame.

    Args:
        frame: the rows; list columns are left out.
        rules: what must hold.
        keys: columns that identify a row in a failure.

    Returns:
        One outcome a rule, in the order given.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # measured: 5 s, 40 times the evaluation of these suites
    import great_expectations.expectations as gxe

    flat = frame.select(cs.exclude(cs.list()))
    unknown = {i: Outcome(r, True, False, 0, (), _NO_VALUE) for i, r in enumerate(rules) if _has_no_value(flat, r)}
    data = flat.to_pandas(use_pyarrow_extension_array=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": data})
    expectations = [_build(gxe, i, r) for i, r in enumerate(rules) if i not in unknown]
    suite = gx.ExpectationSuite(name="rules", expectations=expectations)
    form = {"result_format": "SUMMARY", "partial_unexpected_count": _SHOWN, "unexpected_index_column_names": list(keys)}
    found = {r.expectation_config.meta["rule"]: r for r in batch.validate(suite, result_format=form).results}
    return [unknown.get(i) or _outcome(r, found[i], keys) for i, r in enumerate(rules)]


def _has_no_value(frame: pl.DataFrame, rule_: Rule) -> bool:
    """Whether the rule is about the mean of nothing known, as of an imported column that its source does not have."""
    column = dict(rule_.arguments).get("column")
    return rule_.expectation == _MEAN and column in frame.columns and frame[column].null_count() == frame.height


def _build(gxe: Any, index: int, rule_: Rule) -> Any:
    make: Callable[..., Any] | None = getattr(gxe, rule_.expectation, None)
    if make is None:
        raise IsocostError(f"Great Expectations knows no {rule_.expectation}", where="pipelines/checks/suites.py")
    arguments = dict(rule_.arguments)
    if "row_condition" in arguments:
        arguments["condition_parser"] = "pandas"
    return make(severity=rule_.severity, meta={"rule": index}, **arguments)


def _outcome(rule_: Rule, result: Any, keys: Sequence[str]) -> Outcome:
    error = _raised(result.exception_info)
    found = result.result or {}
    rows = found.get("partial_unexpected_index_list") or []
    bad_keys = tuple("/".join(str(row[k]) for k in keys) for row in rows[:_SHOWN] if isinstance(row, dict))
    observed = found.get("observed_value", found.get("partial_unexpected_list"))
    return Outcome(
        rule=rule_,
        is_passed=bool(result.success),
        is_broken=bool(error),
        unexpected_count=int(found.get("unexpected_count") or 0),
        keys=bad_keys,
        detail=error or ("" if result.success else f"observed {observed}"),
    )


def _raised(info: Any) -> str:
    """The message of an evaluation that raised; Great Expectations tells it in two shapes."""
    if not isinstance(info, dict):
        return ""
    if "raised_exception" in info:
        return str(info.get("exception_message") or "raised") if info["raised_exception"] else ""
    messages = [str(v.get("exception_message")) for v in info.values() if isinstance(v, dict) and v.get("raised_exception")]
    return "; ".join(messages)
