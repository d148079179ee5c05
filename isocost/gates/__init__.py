"""Validity rules: what must be true of a session's core tables before they are used.

One gate for every entry point: ``isocost.build.curate`` passes the core tables of each session
through it, and both ``isocost refresh`` and Dagster curate there. A sample that a critical rule
rejects stays in core_samples with is_valid false and the rule's code in invalid_reasons; if the
rule is about a run or a session, this applies to all its samples. The result of every rule is a row
of
core_checks.

Lives here: ``suites`` (rules in the vocabulary of Great Expectations), ``expectations`` (their
evaluation), ``great`` (Great Expectations itself, the cross-check that Dagster shows), ``queries``
(``sql/checks``), ``refusal`` (what a failure does to the rows), ``gate`` (all of it in order),
``thresholds``. Not here: types, NULLs and vocabularies of columns (``isocost.schema.frames``), the
rules on foreign values at import (``isocost.importers.row``, ``isocost.tables.core.physics``),
Dagster's checks (``pipelines.checks``).
"""

from isocost.gates.gate import CHECKS, KEPT, Judged, judge, kept, left_out, refused, through
from isocost.gates.model import Outcome, Rule, Where, rule

__all__ = [
    "CHECKS",
    "KEPT",
    "Judged",
    "Outcome",
    "Rule",
    "Where",
    "judge",
    "kept",
    "left_out",
    "refused",
    "rule",
    "through",
]
