"""The rules of validity: what must hold of a session's core tables before anything is derived from
them.

One gate for every door: ``isocost.build.curate`` leads the core tables of each session through it,
and both ``isocost refresh`` and Dagster curate there. A sample that a critical rule refuses stays
in core_samples with is_valid false and the rule's code in invalid_reasons; where the rule is about
a run or a session, all samples of that run or session do. The result of every rule is a row of
core_checks.

Lives here: ``suites`` (statements in the words of Great Expectations), ``expectations`` (their
judge), ``great`` (Great Expectations itself, the second reading that Dagster shows), ``queries``
(``sql/checks``), ``refusal`` (what a failure does to the rows), ``gate`` (all of it in order),
``thresholds``. Not here: types, NULLs and vocabularies of columns (``isocost.schema.frames``), the
rules on foreign values where they enter (``isocost.importers.row``,
``isocost.tables.core.physics``), Dagster's checks (``pipelines.checks``).
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
