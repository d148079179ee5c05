"""One point's samples as matrices, the form in which strategies read a bank.

Lives here: `PointBank`, with the quantities that several strategies share (counts, class values,
costs of k parallel samples) computed once. Not here: reading tables (isocost.tables) and any
strategy.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from isocost.strategies.estimators.order import by_size, expected_extreme
from isocost.strategies.estimators.subsets import class_means
from isocost.strategies.records import Records
from isocost.strategies.shapes import Bools, Floats, Ints
from isocost.strategies.spending import spent_on_axes


@dataclass(frozen=True, eq=False)
class PointBank:
    """The valid samples of one point (one model, one configuration, one task).

    Attributes:
        point_id: the point.
        problem_ids: one id per row, sorted.
        sizes: samples of each problem, (problems,).
        correct: 1, 0, or NaN where there is no verdict, (problems, samples); rows are padded at the
            end, see `present`. Without a verdict, a score strictly between 0 and 1 is the value of
            the sample: partial credit. Zero samples wide for a bank of counts.
        classes: answer class, dense from 0 in each row; -1 for no answer and for padding.
        columns: further per-sample numbers by core column name, NaN where unknown.
        completions: number of the completion text, equal texts equal numbers, -1 unknown; None if
            not banked.
        labels: what identifies the point to users (task, model_variant, prompt), and energy_method
            if all energies have one.
        records: where each trace's window confidence reached new lows; None when not banked.
        verdicts: the verdict of each verification of a sample, (problems, samples, verifications),
            NaN if there is none or the verification does not exist; None when no sample was
            verified. The column n_verdicts counts those that exist.
        tallies: correct samples of each problem if only counts are known, (problems,);
            None otherwise.
    """

    point_id: str
    problem_ids: tuple[str, ...]
    sizes: Ints
    correct: Floats
    classes: Ints
    columns: Mapping[str, Floats]
    completions: Ints | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    records: Records | None = None
    verdicts: Floats | None = None
    tallies: Ints | None = None

    @cached_property
    def present(self) -> Bools:
        """Mask of samples that exist, (problems, samples)."""
        return np.arange(self.correct.shape[1])[None, :] < self.sizes[:, None]

    @cached_property
    def worth(self) -> Floats:
        """The value of each sample.

        Its verdict, or without one its score strictly between 0 and 1; NaN if ungraded.
        """
        if "score" not in self.columns or not np.isnan(self.correct).any():
            return self.correct
        score = self.columns["score"]
        return np.where(np.isnan(self.correct) & (score > 0) & (score < 1), score, self.correct)

    @cached_property
    def ungraded(self) -> Bools:
        """Problems with an ungraded sample, whose accuracy is unknown."""
        return self.lacking(self.worth)

    @cached_property
    def partial(self) -> Bools:
        """Problems with a sample of partial credit.

        Quantities that need a verdict are undefined for them, means are not.
        """
        return np.any(np.isnan(self.correct) & ~np.isnan(self.worth) & self.present, axis=1)

    @cached_property
    def right(self) -> Floats:
        """The value of each sample, 0 for padding and ungraded samples.

        Problems with ungraded samples are marked `ungraded`.
        """
        return np.where(self.present, np.nan_to_num(self.worth), 0.0)

    @cached_property
    def n_correct(self) -> Ints:
        """Correct samples of each problem."""
        if self.tallies is not None:
            return self.tallies
        return np.where(self.present, np.nan_to_num(self.correct), 0.0).sum(axis=1).astype(np.int64)

    @cached_property
    def total_worth(self) -> Floats:
        """Sum of the value of each problem's samples, (problems,).

        Unknown ones count as 0 (see `ungraded`).
        """
        return self.right.sum(axis=1) if self.tallies is None else self.tallies.astype(np.float64)

    @cached_property
    def mean_worth(self) -> Floats:
        """Mean value of a problem's samples, (problems,); 0 if it has none."""
        return self.total_worth / np.maximum(self.sizes, 1)

    @cached_property
    def width(self) -> int:
        """Columns needed for the answer classes of any problem, at least 1."""
        return max(int(self.classes.max(initial=0)) + 1, 1)

    @cached_property
    def counts(self) -> Ints:
        """Samples in each answer class, (problems, classes)."""
        place = (np.arange(len(self.classes))[:, None] * self.width + self.classes)[
            self.classes >= 0
        ]
        return np.bincount(place, minlength=len(self.classes) * self.width).reshape(-1, self.width)

    @cached_property
    def abstained(self) -> Ints:
        """Samples without an answer, (problems,)."""
        return self.sizes - self.counts.sum(axis=1)

    @cached_property
    def class_values(self) -> Floats:
        """Mean correctness of each class, (problems, classes).

        0 or 1 unless labels of equal answers differ.
        """
        return class_means(self.classes, self.right, self.width)

    @cached_property
    def unclassed(self) -> Bools:
        """Problems whose answers were not banked, so that no vote can be replayed.

        A correct sample has no answer class.

        In such a bank, problems without any answer class are of the same kind, although nothing
        correct shows it: keeping only them would give a mean over the problems that are always
        wrong.
        """
        if self.tallies is not None:
            return np.ones(len(self.sizes), dtype=np.bool_)
        lacking = ((self.right > 0) & (self.classes < 0)).any(axis=1)
        return lacking | (lacking.any() & (self.counts.sum(axis=1) == 0))

    @cached_property
    def keys(self) -> Ints:
        """A seed for each problem's random draws, independent of the other problems."""
        return np.array([zlib.crc32(p.encode()) for p in self.problem_ids], dtype=np.int64)

    @cached_property
    def _seen(self) -> dict[tuple[str, str], Any]:
        """Cache of computations on a column: strategies request the same ones repeatedly."""
        return {}

    def known(self, name: str) -> bool:
        """Whether any sample has a value in this column."""
        if ("known", name) not in self._seen:
            is_known = name in self.columns and bool(
                np.any(~np.isnan(self.columns[name]) & self.present)
            )
            self._seen["known", name] = is_known
        return self._seen["known", name]

    def column(self, name: str) -> Floats:
        """One column, all unknown when it was not banked."""
        return self.columns[name] if name in self.columns else np.full(self.correct.shape, np.nan)

    def lacking(self, values: Floats) -> Bools:
        """Problems with a sample of unknown value, (problems,).

        Args:
            values: one per sample, (problems, samples); NaN where unknown.
        """
        return np.any(np.isnan(values) & self.present, axis=1)

    def mean(self, name: str) -> Floats:
        """Mean over each problem's samples, (problems,); NaN where any of them is unknown."""
        if ("mean", name) not in self._seen:
            values = (
                np.where(self.present, self.columns[name], 0.0).sum(axis=1)
                if name in self.columns
                else np.nan
            )
            means = values / np.where(self.sizes > 0, self.sizes, np.nan)
            means.flags.writeable = False
            self._seen["mean", name] = means
        return self._seen["mean", name]

    def mean_by_class(self, name: str) -> Floats:
        """Mean over each class and, last, over samples without an answer.

        0 for empty classes, NaN rows where any is unknown.
        """
        values, groups = self.column(name), np.where(self.classes >= 0, self.classes, self.width)
        groups = np.where(self.present, groups, -1)
        unknown = self.lacking(values)
        means = class_means(groups, np.nan_to_num(values), self.width + 1)
        means[unknown] = np.nan
        return means

    def parallel_costs(self, ks: Ints) -> dict[str, Floats]:
        """Expected cost of k samples drawn together, by axis, each (problems, budgets).

        NaN where unknown or k > n.

        Sums are k times the mean; an order statistic is the expected maximum of k; what samples
        share of a prefix is paid once (Kinetics: the mean over samples of the cost of k trials).
        Everything else is as it was run.
        """
        allowed: Floats = np.where(ks[None, :] <= self.sizes[:, None], 1.0, np.nan)
        return spent_on_axes(
            samples=allowed * ks,
            total=lambda name: allowed * ks * self.mean(name)[:, None],
            once=lambda name: allowed * self.mean(name)[:, None],
            slowest=lambda name: self.expected_extreme(name, ks, largest=True),
            saved=lambda name: allowed * (ks - 1) * self.mean(name)[:, None],
        )

    def expected_extreme(self, name: str, ks: Ints, *, largest: bool) -> Floats:
        """Expected maximum or minimum of k values of a column, (problems, budgets)."""
        if not self.known(name):
            return np.full((len(self.sizes), len(ks)), np.nan)
        return expected_extreme(self.column(name), ks, self.present, largest=largest)

    def drawn_costs(self, draws: Floats, samples: Floats) -> dict[str, Floats]:
        """Expected cost of a sequential policy from the expected draws of each class.

        (problems, budgets, classes + 1).

        Exact: given its class, a drawn sample is any of the class with equal chance. Parallel
        latency equals the sequential.
        """
        return spent_on_axes(
            samples=samples,
            total=lambda name: self.drawn_sum(name, draws),
            once=lambda name: np.where(np.isnan(samples), np.nan, self.mean(name)[:, None]),
        )

    def drawn_sum(self, name: str, draws: Floats) -> Floats:
        """Expected sum of a column over the draws of each class, (problems, budgets).

        NaN where unknown.
        """
        if not self.known(name):
            return np.full(draws.shape[:2], np.nan)
        return np.einsum("pkg,pg->pk", draws, self.mean_by_class(name))

    def aligned(self, problem_ids: tuple[str, ...]) -> PointBank:
        """The same bank with these problems as rows, in this order.

        A problem it does not have gets no samples.
        """
        if problem_ids == self.problem_ids:
            return self
        place = {problem: row for row, problem in enumerate(self.problem_ids)}
        rows = np.array([place.get(problem, -1) for problem in problem_ids])

        def take(values: np.ndarray, missing: float) -> np.ndarray:
            out = np.full((len(rows), *values.shape[1:]), missing, dtype=values.dtype)
            out[rows >= 0] = values[rows[rows >= 0]]
            return out

        return PointBank(
            self.point_id,
            problem_ids,
            take(self.sizes, 0),
            take(self.correct, np.nan),
            take(self.classes, -1),
            {name: take(values, np.nan) for name, values in self.columns.items()},
            None if self.completions is None else take(self.completions, -1),
            self.labels,
            None if self.records is None else self.records.aligned(rows),
            None if self.verdicts is None else take(self.verdicts, np.nan),
            None if self.tallies is None else take(self.tallies, 0),
        )

    def sizes_once(self) -> list[tuple[int, Ints]]:
        """Rows grouped by number of samples."""
        return by_size(self.present)


def dense_rows(codes: Ints, absent: Bools) -> Ints:
    """Renumber each row's codes from 0 without gaps, in order of the codes; -1 where absent."""
    large = np.iinfo(np.int64).max
    held = np.where(absent, large, codes)
    ranking = np.argsort(held, axis=1, kind="stable")
    ordered = np.take_along_axis(held, ranking, axis=1)
    steps = np.zeros(codes.shape, dtype=np.int64)
    steps[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    out = np.empty(codes.shape, dtype=np.int64)
    np.put_along_axis(out, ranking, np.cumsum(steps, axis=1), axis=1)
    return np.where(absent, -1, out)
