"""Read out_strategy_problems file by file, and cut matrices out of it column by column.

Lives here: the row positions of each outcome, and matrices that are read when opened and released
afterwards. Not here: which outcomes may be compared (``isocost.tables.frontiers.blocks``), where
matrices go that do not fit (``isocost.memory``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from isocost.errors import IsocostError
from isocost.frontier import strip_rows
from isocost.memory import Floats, LaidAside, Workspace
from isocost.store import Reader

NAME = "out_strategy_problems"


@dataclass
class ProblemRows:
    """The rows of out_strategy_problems in one or more pieces.

    Each piece has all rows of its outcomes.

    Attributes:
        readers: return some columns of one piece, always in the same row order.
        columns: of every piece.
        workspace: where its open matrices are kept.
    """

    readers: Sequence[Reader]
    columns: tuple[str, ...]
    workspace: Workspace = field(default_factory=Workspace)
    _orders: dict[int, np.ndarray | None] = field(default_factory=dict)

    @classmethod
    def of(cls, given: pl.DataFrame | ProblemRows) -> ProblemRows:
        """Rows in a frame as rows in one piece."""
        return (
            given if isinstance(given, ProblemRows) else cls((given.select,), tuple(given.columns))
        )

    def places(self, outcomes: pl.Series) -> pl.DataFrame:
        """The row positions of some outcomes.

        Returns:
            For every outcome with rows: outcome_id, piece, start (of its rows in the piece's
                order), size (rows), problem_set (equal for equal problems), is_unknown (an accuracy
                is unknown). In order of outcome_id.

        Raises:
            IsocostError: an outcome has two rows for one problem.
        """
        found = [self._places(piece, outcomes) for piece in range(len(self.readers))]
        places = pl.concat(found).sort("outcome_id")
        twice = places.filter(pl.col("outcome_id").is_duplicated())
        if twice.height:
            raise IsocostError(
                "the rows of an outcome are in two files",
                where=f"{NAME} {twice['outcome_id'][0]}",
                remedy="Rebuild the table",
            )
        return places

    def _places(self, piece: int, outcomes: pl.Series) -> pl.DataFrame:
        key = ["outcome_id", "problem_id"]
        rows = self.readers[piece]([*key, "accuracy"])
        order = (
            None if _is_ordered(rows) else rows.select(pl.arg_sort_by(key)).to_series().to_numpy()
        )
        self._orders[piece] = order  # stored files are in order
        rows = rows if order is None else rows[order]
        rows = rows.with_row_index("start").filter(pl.col("outcome_id").is_in(outcomes.implode()))
        doubled = rows.filter(
            pl.all_horizontal(
                (pl.col(name) == pl.col(name).shift(1)).fill_null(False) for name in key
            )
        )
        if doubled.height:
            raise IsocostError(
                f"{doubled.height} rows repeat a key",
                where=f"{NAME} {'/'.join(doubled.select(key).row(0))}",
                remedy="Give one row per outcome and problem.",
            )
        # Outcomes are on the same problem set exactly when their sorted problem ids are equal.
        return rows.group_by("outcome_id", maintain_order=True).agg(
            pl.lit(piece, pl.Int64).alias("piece"),
            pl.col("start").first().cast(pl.Int64),
            pl.len().cast(pl.Int64).alias("size"),
            pl.col("problem_id").str.join("\n").hash().alias("problem_set"),
            pl.col("accuracy").is_null().any().alias("is_unknown"),
        )

    def problems(self, piece: int, start: int, size: int) -> list[str]:
        """The problems of one outcome, sorted."""
        return self.column(piece, "problem_id").slice(start, size).to_list()

    def column(self, piece: int, name: str) -> pl.Series:
        """One column of a piece in order of outcome and problem."""
        column, order = self.readers[piece]([name]).to_series(), self._orders[piece]
        return column if order is None else column[order]


def _is_ordered(rows: pl.DataFrame) -> bool:
    """Whether the rows of every outcome are contiguous, in order of the problem."""
    is_first = (pl.col("outcome_id") != pl.col("outcome_id").shift(1)).fill_null(True)
    rises = (pl.col("problem_id") >= pl.col("problem_id").shift(1)).fill_null(True)
    return bool(
        rows.select(
            (is_first | rises).all() & (is_first.sum() == pl.col("outcome_id").n_unique())
        ).item()
    )


@dataclass(frozen=True)
class Matrix:
    """One column as a matrix of outcomes and problems, NaN where unknown.

    Attributes:
        rows: the source.
        name: of the column.
        outcomes: ``ProblemRows.places`` of its outcomes, which all have the same problems.
        size: number of problems.
    """

    rows: ProblemRows
    name: str
    outcomes: pl.DataFrame
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """Outcomes and problems."""
        return self.outcomes.height, self.size

    @property
    def workspace(self) -> Workspace:
        """Where it is kept while it is open."""
        return self.rows.workspace

    @contextmanager
    def open(self) -> Iterator[Floats | LaidAside]:
        """The numbers, as an array or something readable by rows; released at the end."""
        with self.rows.workspace.matrix(self.shape) as room:
            for targets, values in self._strips():
                if isinstance(room, LaidAside):
                    room.put(targets, values)
                else:
                    room[targets] = values
            yield room

    def whole(self) -> Floats:
        """All numbers at once, for tasks and points that are known to be small."""
        found = np.empty(self.shape)
        for targets, values in self._strips():
            found[targets] = values
        return found

    def _strips(self) -> Iterator[tuple[np.ndarray, Floats]]:
        """Rows of the matrix and their numbers, piece by piece."""
        numbered, step = self.outcomes.with_row_index("row"), strip_rows(self.size)
        for (piece,), part in numbered.group_by("piece", maintain_order=True):
            column = self.rows.column(int(piece), self.name).cast(pl.Float64).to_numpy()
            targets, starts = part["row"].to_numpy().astype(np.int64), part["start"].to_numpy()
            for begin in range(0, len(targets), step):
                some = starts[begin : begin + step]
                yield targets[begin : begin + step], column[some[:, None] + np.arange(self.size)]


@dataclass(frozen=True)
class Stacked:
    """Matrices of several tasks side by side, each limited to some of its rows.

    Attributes:
        parts: matrices and the selected rows of each, the same number.
    """

    parts: tuple[tuple[Matrix | Stacked, np.ndarray], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Outcomes and problems."""
        return len(self.parts[0][1]), sum(matrix.shape[1] for matrix, _ in self.parts)

    @property
    def workspace(self) -> Workspace:
        """Where it is kept while it is open."""
        return self.parts[0][0].workspace

    @contextmanager
    def open(self) -> Iterator[SideBySide]:
        """The numbers, read by rows; forgotten at the end."""
        with ExitStack() as stack:
            yield SideBySide(
                [(stack.enter_context(matrix.open()), rows) for matrix, rows in self.parts]
            )


class SideBySide:
    """Open matrices side by side, read by rows."""

    def __init__(self, parts: Sequence[tuple[OpenMatrix, np.ndarray]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts[0][1])

    def __getitem__(self, rows: slice | np.ndarray) -> Floats:
        return np.concatenate([values[own[rows]] for values, own in self._parts], axis=1)


OpenMatrix = Floats | LaidAside | SideBySide


def strips(values: OpenMatrix, problems: int) -> Iterator[tuple[slice, Floats]]:
    """An open matrix strip by strip."""
    step = strip_rows(problems)
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        yield rows, values[rows]
