"""core_samples as the matrices that strategies replay.

Lives here: reading one task's samples into `PointBank`s, one per point, and counting special cases.
Not here: the replay and the tables made of it (outcomes.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from isocost.axes.model import CostAxis
from isocost.axes.registry import all_axes, core_fields, find, verification_fields
from isocost.errors import IsocostError
from isocost.strategies import PointBank
from isocost.strategies.point_bank import dense_rows
from isocost.tables.outcomes.traces import LISTS, bank_records, bank_verdicts

REQUIRED = ("task", "model_variant", "prompt", "point_id", "problem_id", "correct")
_AXES = tuple(all_axes().values())
NUMBERS = tuple(
    dict.fromkeys(
        (
            "score",
            *(axis.column for axis in _AXES if axis.column),
            *(
                field.name
                for field in core_fields()
                if field.type == "float64" and field.over_calls != "same"
            ),
            *(field.name for field in verification_fields()),
            "logprob_mean",
            "logprob_sum",
            "self_certainty_low",
            "entropy_mean_high",
            "confidence_mean",
            "confidence_tail",
            "confidence_lowest_group",
            "external_score",
            "cached_tokens",
            "prefill_s",
            "decode_s",
        )
    )
)
METHODS = {axis.name: axis.method for axis in _AXES if axis.method}
"""Axis -> column with the method of its values; values with different methods are never added up.
"""
ON_A_MACHINE = tuple(
    dict.fromkeys(
        (
            "prefill_s",
            "decode_s",
            *(axis.column for axis in _AXES if axis.is_of_machine),
            *(
                axis.verification.name
                for axis in _AXES
                if axis.is_of_machine and axis.verification is not None
            ),
        )
    )
)
"""Columns that depend on the machine as much as on the model.

Values of different machines have no common mean.
"""
OTHERS = (
    "machine",
    "sample_index",
    "is_valid",
    "answer",
    "answer_class",
    "session_id",
    "completion_hash",
    "is_truncated",
    *dict.fromkeys(METHODS.values()),
    *(axis.own_reason.name for axis in _AXES if axis.own_reason is not None),
    "costs_unknown_reasons",
    "cluster_id",
)


def columns_read(lists: Collection[str] = LISTS) -> tuple[str, ...]:
    """The columns of core_samples that a replay reads, of list columns only those named."""
    return (*REQUIRED, *NUMBERS, *OTHERS, *lists)


@dataclass(frozen=True)
class BankFacts:
    """Special cases of a point's samples, for its rows.

    Attributes:
        methods: by axis of `METHODS` the method of all its values; None if there is none or
            several.
        clusters: cluster of each problem that has one.
        counts: columns of out_strategy_outcomes that describe the samples.
        reasons: why samples have no value, by cost axis.
    """

    methods: Mapping[str, str | float | None]
    clusters: dict[str, str]
    counts: dict[str, int | None] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def energy_method(self) -> str | None:
        """The one method of all energies; None where unknown or mixed."""
        found = self.methods.get("energy_j")
        return None if found is None else str(found)


def needed(samples: pl.DataFrame, *, lists: Collection[str] = LISTS) -> pl.DataFrame:
    """The columns a replay reads, of list columns only those named.

    Raises:
        IsocostError: naming the first required column that is missing, or a number that is NaN or
            infinite.
    """
    for name in REQUIRED:
        if name not in samples.columns:
            raise IsocostError(
                f"column {name} is missing",
                where="core_samples",
                remedy="See docs/data-dictionary.md for the table's columns",
            )
    if "answer_class" not in samples.columns and "answer" not in samples.columns:
        raise IsocostError(
            "neither answer_class nor answer is there",
            where="core_samples",
            remedy="Votes need one of them.",
        )
    return samples.select([name for name in columns_read(lists) if name in samples.columns])


def task_banks(rows: pl.DataFrame) -> Iterator[tuple[PointBank, BankFacts]]:
    """One bank per point of one task, by point_id."""
    # Cast once for all points, of which there may be hundreds with a few samples each.
    rows = rows.with_columns(
        pl.col(name).cast(pl.Float64) for name in NUMBERS if name in rows.columns
    )
    points = rows.partition_by("point_id", as_dict=True, maintain_order=True)
    for (point_id,), part in sorted(points.items()):
        yield _point_bank(str(point_id), part)


def _point_bank(point_id: str, rows: pl.DataFrame) -> tuple[PointBank, BankFacts]:
    """Read one point.

    Invalid samples are left out and counted, problems without valid ones stay as empty rows.
    """
    everything = rows.select("problem_id").unique()
    valid = rows.filter(pl.col("is_valid").fill_null(False)) if "is_valid" in rows.columns else rows
    keys = ["problem_id", "sample_index"] if "sample_index" in rows.columns else ["problem_id"]
    valid = valid.sort(keys, maintain_order=True)
    runs = valid.group_by("problem_id", maintain_order=True).len()
    sizes = runs["len"].to_numpy().astype(np.int64)
    grid = _Grid(sizes)
    labels = {name: rows[name][0] for name in ("task", "model_variant", "prompt")}
    columns = {
        name: grid.numbers(valid, name, point_id) for name in NUMBERS if name in valid.columns
    }
    methods = {axis: _method(valid, find(axis)) for axis in METHODS}
    unlike = _unlike_machines(valid)
    methods |= {axis: None for axis in methods if find(axis).column in unlike}
    without_method = (find(axis).column for axis, method in methods.items() if method is None)
    for name in (*unlike, *without_method):
        columns.pop(name, None)
    correct = grid.fill(valid["correct"].cast(pl.Float64).to_numpy(), np.nan)
    labels["energy_method"] = None if methods["energy_j"] is None else str(methods["energy_j"])
    verdicts, verified = bank_verdicts(valid, grid.fill)
    if verified is not None:
        columns["n_verdicts"] = verified
    bank = PointBank(
        point_id, tuple(runs["problem_id"]), sizes, correct, _classes(valid, grid), columns,
        _completions(valid, grid), labels,
        bank_records(valid, grid.fill, point_id), verdicts,
    )  # fmt: skip
    facts = _facts(rows, valid, bank, grid, methods, unlike)
    if everything.height > len(sizes):
        bank = bank.aligned(tuple(everything["problem_id"].sort()))
    return bank, facts


def _unlike_machines(valid: pl.DataFrame) -> tuple[str, ...]:
    """The axes that cannot be averaged because the samples were measured on several machines."""
    if "machine" not in valid.columns or valid["machine"].n_unique() < 2:
        return ()
    # An unnamed machine only matters for samples that were measured on it.
    return tuple(
        axis
        for axis in ON_A_MACHINE
        if axis in valid.columns
        and valid.filter(pl.col(axis).is_not_null())["machine"].n_unique() > 1
    )


class _Grid:
    """Arrange samples, sorted by problem, in a matrix padded at the end of each row."""

    def __init__(self, sizes: np.ndarray) -> None:
        self.sizes = sizes
        self.shape = (len(sizes), int(sizes.max(initial=1)))
        self.is_full = bool((sizes == self.shape[1]).all())
        self.inside = np.arange(self.shape[1])[None, :] < sizes[:, None]

    def fill(self, values: np.ndarray, padding: float) -> np.ndarray:
        """The matrix of one column."""
        if self.is_full:
            return np.ascontiguousarray(values).reshape(self.shape)
        out = np.full(self.shape, padding, dtype=values.dtype)
        out[self.inside] = values
        return out

    def numbers(self, frame: pl.DataFrame, name: str, point_id: str) -> np.ndarray:
        """A column of float64 with NULL as NaN: both mean that the number is unknown."""
        values = frame[name].to_numpy()
        if np.isinf(values).any():
            raise IsocostError(
                "is infinite",
                where=f"core_samples, point {point_id}, column {name}",
                remedy="Unknown is NULL.",
            )
        return self.fill(values, np.nan)


def _classes(valid: pl.DataFrame, grid: _Grid) -> np.ndarray:
    """Dense answer classes.

    By the answer's text where class numbers come from several sessions, which number on their own.
    """
    several = "session_id" in valid.columns and valid["session_id"].n_unique() > 1
    if "answer_class" in valid.columns and not (several and "answer" in valid.columns):
        codes = valid["answer_class"].cast(pl.Int64)
    else:
        codes = valid["answer"].cast(pl.Categorical).to_physical().cast(pl.Int64)
    matrix = grid.fill(codes.fill_null(-1).to_numpy(), -1)
    return dense_rows(matrix, matrix < 0)


def _completions(valid: pl.DataFrame, grid: _Grid) -> np.ndarray | None:
    """Numbers of the completion texts; None where no sample has one."""
    if (
        "completion_hash" not in valid.columns
        or valid["completion_hash"].null_count() == valid.height
    ):
        return None
    codes = valid["completion_hash"].cast(pl.Categorical).to_physical().cast(pl.Int64).fill_null(-1)
    return grid.fill(codes.to_numpy(), -1)


def _method(valid: pl.DataFrame, axis: CostAxis) -> str | float | None:
    """The method of all known values of an axis.

    Joules without a column of methods are ambiguous and stay unknown.
    """
    if axis.column not in valid.columns or valid[axis.column].null_count() == valid.height:
        return None
    if axis.method not in valid.columns:
        return None if axis.needs_method else "unstated"
    methods = valid.filter(pl.col(axis.column).is_not_null())[axis.method].unique()
    return methods[0] if len(methods) == 1 else None


def _reasons(valid: pl.DataFrame, methods: Mapping[str, str | float | None]) -> dict[str, str]:
    """Why an axis has no value for some samples.

    The first reason alphabetically, if there are several.
    """
    found: dict[str, str] = {}
    if "costs_unknown_reasons" in valid.columns:
        told = (
            valid["costs_unknown_reasons"].explode(empty_as_null=False).drop_nulls().unique().sort()
        )
        for axis, _, reason in (str(text).partition(": ") for text in told):
            found.setdefault(axis, reason)
    for axis in _AXES:
        if axis.own_reason is not None and axis.own_reason.name in valid.columns:
            own = valid[axis.own_reason.name].drop_nulls().unique().sort()
            found |= {axis.name: own[0]} if len(own) else {}
    for axis, method in methods.items():
        column = find(axis).column
        if method is None and column in valid.columns and valid[column].null_count() < valid.height:
            found[axis] = "values from different methods are not added up"
    return found


def _facts(
    rows: pl.DataFrame,
    valid: pl.DataFrame,
    bank: PointBank,
    grid: _Grid,
    methods: Mapping[str, str | float | None],
    unlike: tuple[str, ...],
) -> BankFacts:
    """Counts for the rows of the point, and the problems' clusters."""
    truncated = all_truncated = None
    if "is_truncated" in valid.columns and valid["is_truncated"].null_count() < max(
        valid.height, 1
    ):
        cut = grid.fill(valid["is_truncated"].fill_null(False).to_numpy(), False) & grid.inside
        truncated, all_truncated = int(cut.sum()), int((cut.sum(axis=1) == bank.sizes).sum())
    clusters = {}
    if "cluster_id" in rows.columns:
        once = rows.filter(pl.col("cluster_id").is_not_null()).unique(
            subset="problem_id", keep="first", maintain_order=True
        )
        clusters = dict(once.select("problem_id", "cluster_id").iter_rows())
    counts = {
        "n_samples": valid.height,
        "n_samples_invalid": rows.height - valid.height,
        "n_samples_no_answer": int(bank.abstained.sum()),
        "n_samples_truncated": truncated,
        "n_problems_no_answer": int((bank.abstained == bank.sizes).sum()),
        "n_problems_all_truncated": all_truncated,
        "n_problems_one_class": int(
            ((bank.counts > 0).sum(axis=1) == 1)[bank.abstained == 0].sum()
        ),
    }
    reasons = _reasons(valid, methods) | dict.fromkeys(
        unlike, "measured on different machines, whose values are not averaged"
    )
    return BankFacts(methods, clusters, counts, reasons)
