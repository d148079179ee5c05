"""The only module that uses Great Expectations: a Polars frame and rules in, readings out.

It cross-checks the rules that ``expectations`` evaluates: Dagster shows it next to the gate's own
results, and both must agree.

Great Expectations takes five seconds to import, so it is imported inside the function. It has no
Polars engine: the frame goes over as Arrow-backed pandas without list columns. No GX type leaves
this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import polars.selectors as cs

from isocost.errors import IsocostError
from isocost.gates.model import SHOWN, Rule

_MEAN = "ExpectColumnMeanToBeBetween"
_NO_VALUE = "no value is known: nothing to check"


@dataclass(frozen=True, slots=True)
class Reading:
    """The outcome of one rule.

    Attributes:
        rule: the rule.
        is_passed: whether the data satisfy it.
        is_broken: whether it could not be evaluated at all: a defect of the check, not of the data.
        unexpected_count: failing rows, if it is a rule about rows.
        keys: the keys of the first failing rows.
        detail: the observed value, or what broke.
    """

    rule: Rule
    is_passed: bool
    is_broken: bool
    unexpected_count: int
    keys: tuple[str, ...]
    detail: str


def read(frame: pl.DataFrame, rules: Sequence[Rule], keys: Sequence[str]) -> list[Reading]:
    """Evaluate rules on a frame.

    Args:
        frame: the rows; list columns are left out.
        rules: what must hold.
        keys: columns that identify a row in a failure.

    Returns:
        One reading per rule, in the given order.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # measured: 5 s, 40 times the evaluation of these suites
    import great_expectations.expectations as gxe

    flat = frame.select(cs.exclude(cs.list()))
    unknown = {
        i: Reading(r, True, False, 0, (), _NO_VALUE)
        for i, r in enumerate(rules)
        if _has_no_value(flat, r)
    }
    data = flat.to_pandas(use_pyarrow_extension_array=True)
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
        batch_parameters={"dataframe": data}
    )
    expectations = [_build(gxe, i, r) for i, r in enumerate(rules) if i not in unknown]
    suite = gx.ExpectationSuite(name="rules", expectations=expectations)
    form = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": SHOWN,
        "unexpected_index_column_names": list(keys),
    }
    found = {
        r.expectation_config.meta["rule"]: r
        for r in batch.validate(suite, result_format=form).results
        if r.expectation_config is not None
    }
    return [unknown.get(i) or _outcome(r, found[i], keys) for i, r in enumerate(rules)]


def _has_no_value(frame: pl.DataFrame, rule_: Rule) -> bool:
    """Whether the rule is about a mean without any known value.

    For example, an imported column that its source does not have.
    """
    column = dict(rule_.arguments).get("column")
    return (
        rule_.expectation == _MEAN
        and column in frame.columns
        and frame[column].null_count() == frame.height
    )


def _build(gxe: Any, index: int, rule_: Rule) -> Any:
    make: Callable[..., Any] | None = getattr(gxe, rule_.expectation, None)
    if make is None:
        raise IsocostError(
            f"Great Expectations knows no {rule_.expectation}", where="isocost/gates/suites.py"
        )
    arguments = dict(rule_.arguments)
    if rule_.where is not None:
        arguments |= {"row_condition": rule_.where.words(), "condition_parser": "pandas"}
    return make(severity=rule_.severity, meta={"rule": index}, **arguments)


def _outcome(rule_: Rule, result: Any, keys: Sequence[str]) -> Reading:
    error = _raised(result.exception_info)
    found = result.result or {}
    rows = found.get("partial_unexpected_index_list") or []
    bad_keys = tuple(
        "/".join(str(row[k]) for k in keys) for row in rows[:SHOWN] if isinstance(row, dict)
    )
    observed = found.get("observed_value", found.get("partial_unexpected_list"))
    return Reading(
        rule=rule_,
        is_passed=bool(result.success),
        is_broken=bool(error),
        unexpected_count=int(found.get("unexpected_count") or 0),
        keys=bad_keys,
        detail=error or ("" if result.success else f"observed {observed}"),
    )


def _raised(info: Any) -> str:
    """The message of an evaluation that raised; Great Expectations reports it in two formats."""
    if not isinstance(info, dict):
        return ""
    if "raised_exception" in info:
        return str(info.get("exception_message") or "raised") if info["raised_exception"] else ""
    messages = [
        str(v.get("exception_message"))
        for v in info.values()
        if isinstance(v, dict) and v.get("raised_exception")
    ]
    return "; ".join(messages)
