"""Rules and their outcomes, for every kind of rule.

Lives here: the classes that the evaluators share. Not here: the rules (``suites``, ``sql/checks``)
and the evaluators.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

SHOWN = 10
"""Keys of failing rows that are kept of each rule."""


@dataclass(frozen=True, slots=True)
class Where:
    """The rows that a rule is about.

    Attributes:
        column: the column that decides.
        relation: ``known``, ``unknown``, ``is`` or ``is_not``.
        value: text or flag to compare with; without meaning for the first two.
    """

    column: str
    relation: str
    value: str | bool | None = None

    def rows(self) -> pl.Expr:
        """True for the rows, never NULL."""
        column = pl.col(self.column)
        if self.relation in ("known", "unknown"):
            return column.is_not_null() if self.relation == "known" else column.is_null()
        same = column.eq_missing(pl.lit(self.value))
        return same if self.relation == "is" else ~same

    def words(self) -> str:
        """The condition in the language of pandas, as Great Expectations takes it."""
        if self.relation in ("known", "unknown"):
            return f"{self.column}.{'notnull' if self.relation == 'known' else 'isnull'}()"
        value = f'"{self.value}"' if isinstance(self.value, str) else str(self.value)
        return f"{self.column}{'==' if self.relation == 'is' else '!='}{value}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in the vocabulary of Great Expectations, without using its classes.

    Attributes:
        code: name of the rule, as in invalid_reasons and in core_checks.
        expectation: class name in ``great_expectations.expectations``.
        severity: ``critical`` rejects rows, ``warning`` is shown, ``info`` is recorded.
        reason: why the rule exists, for the reader of a failure.
        arguments: the expectation's own arguments.
        where: the rows that it is about; all if None.
    """

    code: str
    expectation: str
    severity: str
    reason: str
    arguments: tuple[tuple[str, Any], ...]
    where: Where | None = None

    @property
    def is_about_rows(self) -> bool:
        """Whether single rows break it; a mean is a statement about all of them together."""
        return "Mean" not in self.expectation


def rule(
    code: str,
    expectation: str,
    reason: str,
    *,
    severity: str = "critical",
    where: Where | None = None,
    **arguments: Any,
) -> Rule:
    """A rule from keyword arguments."""
    return Rule(code, expectation, severity, reason, tuple(arguments.items()), where)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one rule on the core tables of one session.

    Attributes:
        code: of the rule.
        table: the table that the rule is about.
        kind: ``schema``, ``expectation``, ``sql`` or ``source``.
        severity: ``critical``, ``warning`` or ``info``.
        reason: what the rule states, or why it exists.
        n_failing: failing rows; 1 for a rule about all rows together.
        keys: keys of the first failing rows, each joined by slashes.
        detail: what was found; empty if it passes.
        failing: key columns of every failing row; None for a rule about all rows together.
    """

    code: str
    table: str
    kind: str
    severity: str
    reason: str
    n_failing: int = 0
    keys: tuple[str, ...] = ()
    detail: str = ""
    failing: pl.DataFrame | None = field(default=None, compare=False)

    @property
    def is_passed(self) -> bool:
        """Whether no row fails the rule."""
        return self.n_failing == 0

    @property
    def refuses(self) -> bool:
        """Whether failing rows are kept out of every derived table."""
        return self.severity == "critical" and not self.is_passed

    def sentence(self) -> str:
        """The failure in one sentence."""
        rows = f"{self.n_failing} row{'s' if self.n_failing != 1 else ''} of {self.table}"
        first = f" (first: {', '.join(self.keys[:3])})" if self.keys else ""
        verb = "refuses" if self.refuses else "warns of"
        return f"rule {self.code} {verb} {rows}{first}: {self.detail or self.reason}"


def first_keys(rows: pl.DataFrame) -> tuple[str, ...]:
    """Keys of the first rows, each joined by slashes."""
    return tuple("/".join(str(value) for value in row) for row in rows.head(SHOWN).iter_rows())
