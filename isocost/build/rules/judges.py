"""Agreement and abilities of the judges of every task.

Not here: how the tables are computed (``isocost.tables.judges``).
"""

from __future__ import annotations

from isocost.build.rules.base import Frames, Rule
from isocost.build.slices import Rows
from isocost.store import Store


def derive_judges(rows: Rows | Store) -> Frames:
    """How far the judges of a task agree with gold labels, what they cost, and which is best."""
    from isocost.tables.judges.agreement import READS, build_judge_tables

    return build_judge_tables(rows.read("core_judgements", columns=READS))


RULES = (
    Rule(
        "judges",
        "task",
        ("out_judge_agreement", "out_judge_abilities"),
        ("core_judgements",),
        derive_judges,
    ),
)
