"""Evaluate the expectations of ``suites`` on a Polars frame, in milliseconds.

Lives here: what each expectation means for a row, as Great Expectations documents it. Not here: the
statements (``suites``), Great Expectations itself (``great``), which takes seconds to import; a
test draws frames on which both must find the same rows.

To use another expectation, add its meaning to ``BROKEN``: a function from the rule's arguments to
an expression that is true where a row breaks it. A NULL breaks no statement but the one that it
must not be NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from isocost.errors import IsocostError
from isocost.gates.model import Outcome, Rule, first_keys

NO_VALUE = "no value is known: nothing to check"


def _between(arguments: Mapping[str, Any], value: pl.Expr) -> pl.Expr:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    broken = pl.lit(False)
    if low is not None:
        broken = broken | ((value <= low) if arguments.get("strict_min") else (value < low))
    if high is not None:
        broken = broken | ((value >= high) if arguments.get("strict_max") else (value > high))
    return broken


def _pair(arguments: Mapping[str, Any]) -> pl.Expr:
    larger, smaller = pl.col(arguments["column_A"]), pl.col(arguments["column_B"])
    return larger < smaller if arguments.get("or_equal") else larger <= smaller


BROKEN: dict[str, Callable[[Mapping[str, Any]], pl.Expr]] = {
    "ExpectColumnValuesToNotBeNull": lambda arguments: pl.col(arguments["column"]).is_null(),
    "ExpectColumnValuesToBeNull": lambda arguments: pl.col(arguments["column"]).is_not_null(),
    "ExpectColumnValuesToBeBetween": lambda arguments: _between(
        arguments, pl.col(arguments["column"])
    ),
    "ExpectColumnValuesToNotBeInSet": lambda arguments: pl.col(arguments["column"]).is_in(
        list(arguments["value_set"])
    ),
    "ExpectColumnPairValuesAToBeGreaterThanB": _pair,
    "ExpectCompoundColumnsToBeUnique": lambda arguments: pl.struct(
        arguments["column_list"]
    ).is_duplicated(),
}
_MEAN = "ExpectColumnMeanToBeBetween"


def judged(
    frame: pl.DataFrame, rules: Sequence[Rule], table: str, keys: Sequence[str]
) -> list[Outcome]:
    """The outcome of each rule, in the given order.

    Args:
        frame: the rows, with the columns that the suite adds.
        rules: what must hold.
        table: the table that they are about.
        keys: columns that identify a row.

    Raises:
        IsocostError: an expectation that is not implemented here, or a missing column: a defect of
            the rule.
    """
    try:
        return [
            _mean(frame, rule, table)
            if rule.expectation == _MEAN
            else _rows(frame, rule, table, keys)
            for rule in rules
        ]
    except pl.exceptions.PolarsError as error:
        raise IsocostError(
            f"a rule cannot be evaluated ({str(error).splitlines()[0]})",
            where=f"isocost.gates.suites, {table}",
        ) from error


def _rows(frame: pl.DataFrame, rule: Rule, table: str, keys: Sequence[str]) -> Outcome:
    if rule.expectation not in BROKEN:
        raise IsocostError(
            f"has no meaning for {rule.expectation}",
            where="isocost.gates.expectations.BROKEN",
            remedy="Add it there",
        )
    chosen = frame if rule.where is None else frame.filter(rule.where.rows())
    failing = chosen.filter(BROKEN[rule.expectation](dict(rule.arguments)).fill_null(False))
    columns = [name for name in ("column", "column_A", "column_B") if name in dict(rule.arguments)]
    names = [dict(rule.arguments)[name] for name in columns]
    seen = "; ".join(
        f"{name} is {', '.join(str(v) for v in failing[name].unique(maintain_order=True).head(3))}"
        for name in names
    )
    detail = f"{seen}; {rule.reason}" if failing.height and seen else ""
    rows = failing.select(keys)
    return Outcome(
        rule.code,
        table,
        "expectation",
        rule.severity,
        rule.reason,
        rows.height,
        first_keys(rows),
        detail,
        rows,
    )


def _mean(frame: pl.DataFrame, rule: Rule, table: str) -> Outcome:
    arguments = dict(rule.arguments)
    column = frame[arguments["column"]]
    if column.null_count() == column.len():
        return Outcome(rule.code, table, "expectation", rule.severity, rule.reason, detail=NO_VALUE)
    mean = column.mean()
    is_broken = pl.select(_between(arguments, pl.lit(mean))).item()
    detail = (
        f"the mean of {arguments['column']} is {mean:.4g}, at most {arguments.get('max_value')} is"
        " expected"
        if is_broken
        else ""
    )
    return Outcome(
        rule.code, table, "expectation", rule.severity, rule.reason, int(is_broken), detail=detail
    )
