"""The rules of the build, and their common inputs.

Not here: the rules, one module per step; which pieces are built when (``isocost.build.derive``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from isocost.build.slices import Rows
from isocost.schema.frames import empty
from isocost.schema.runs import Runs
from isocost.store import Store

if TYPE_CHECKING:
    from isocost.tables.outcomes.problem_rows import ProblemRows

Frames = dict[str, pl.DataFrame]
# A table that may be too large to be held comes in runs.
Tables = Mapping[str, pl.DataFrame | Runs]

CLUSTERS = ("problem_id", "cluster_id")
SAMPLES = ("core_samples", "core_counts")
STRATEGIES = ("out_strategy_outcomes", "out_strategy_problems")


@dataclass(frozen=True)
class Rule:
    """One computation, run once for each of its pieces.

    Attributes:
        step: the group of tables it belongs to.
        per: the granularity of a piece: ``point``, ``task``, ``session`` or ``all``.
        tables: what it returns.
        reads: what it reads.
        build: the function.
        uses_cards: whether cards of models, devices or prices are an input.
        uses_replay_settings: whether the replay settings of its task (``isocost.intake.settings``)
            are an input.
    """

    step: str
    per: str
    tables: tuple[str, ...]
    reads: tuple[str, ...]
    build: Callable[[Rows], Tables]
    uses_cards: bool = False
    uses_replay_settings: bool = False

    @property
    def name(self) -> str:
        """Of the folder of its records."""
        return f"{self.step}-{self.per}"


def outcomes_of(rows: Rows | Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes of strategies and their problems."""
    return rows.read("out_strategy_outcomes"), rows.read("out_strategy_problems")


def outcomes_by_piece(rows: Rows | Store) -> tuple[pl.DataFrame, ProblemRows]:
    """The same with the problems read when they are needed.

    There may be millions of rows of them.
    """
    from isocost.memory import Workspace
    from isocost.tables.outcomes.problem_rows import ProblemRows

    memory = rows.memory if isinstance(rows, Rows) else None
    # A quarter for matrices of outcomes and problems; those of outcomes and draws, of which several
    # are needed, take the rest.
    workspace = Workspace(
        None if memory is None else memory // 4, rows.root / "out" / ".aside", memory
    )
    nothing = empty("out_strategy_problems")
    # A root with only power logs and summary numbers has no outcomes, and no pieces of them.
    readers = rows.readers("out_strategy_problems") or (nothing.select,)
    return rows.read("out_strategy_outcomes"), ProblemRows(
        readers, tuple(nothing.columns), workspace
    )
