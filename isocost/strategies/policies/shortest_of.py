"""Shortest-of-k: the first of k parallel samples to end. Registered; numerics in order.py."""

from __future__ import annotations

import numpy as np

from isocost.strategies.cuts import CutLaw, cut_law, reasons_of
from isocost.strategies.estimators.order import best_of_rows, rank_weights
from isocost.strategies.point_bank import LINEAR_AXES, PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Floats, Ints

OWN_REASONS = {
    "latency_sequential_s": "one after another nobody knows when to halt",
    "kinetics_eflops": "what halted samples read of a shared prompt is not modelled",
}


@register
class ShortestOf(Strategy):
    """Starts k samples together, takes the first to end and halts the others (Hassid et al. 2025,
    short-1@k).

    Tokens are counted in lockstep: k times the shortest. What the halted samples had cost by then
    is said in cuts.py. Run one after another, nobody could know when to halt: the sequential
    latency is unknown above one sample.
    """

    family = "shortest_of_k"
    summary = "The shortest of k samples started together; the others are halted when it ends."
    is_selector = True
    needs = ("output_tokens",)
    tie_rule = "uniform"

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact over all subsets; a sample of unknown length counts as the longest."""
        scores, empty, unscored = SCORERS["shortest"].scores(bank)
        accuracy = best_of_rows(scores, bank.right, ks, bank.present)
        full = bank.parallel_costs(ks)
        costs = {
            axis: full[axis] for axis in ("samples", "prompt_tokens", "prompt_tokens_unshared")
        }
        costs["output_tokens"] = ks * bank.expected_extreme("output_tokens", ks, largest=False)
        laws: dict[str, CutLaw | str] = {
            axis: OWN_REASONS.get(axis) or cut_law(bank, axis) for axis in LINEAR_AXES
        }
        told = [axis for axis in LINEAR_AXES if axis not in costs]
        halted = _lockstep(
            bank, {axis: law for axis in told if isinstance(law := laws[axis], CutLaw)}, ks
        )
        for axis in told:
            costs[axis] = np.where(ks == 1, full[axis], halted.get(axis, np.nan))
        # The shortest in tokens need not be the fastest; its own time is that of the chosen sample.
        latency = bank.column("latency_s")
        unknown = (np.isnan(latency) & bank.present).any(axis=1)
        costs["latency_parallel_s"] = best_of_rows(
            scores, np.where(bank.present, np.nan_to_num(latency), 0.0), ks, bank.present
        )
        costs["latency_parallel_s"][unknown] = np.nan
        undefined = undefined_cells(bank, ks) | (
            {"no_sample_has_the_score": empty} if empty.any() else {}
        )
        return mask_undefined(
            Replay(
                ks, accuracy, costs, undefined, unscored=unscored, unknown_costs=reasons_of(laws)
            )
        )


def _lockstep(bank: PointBank, laws: dict[str, CutLaw], ks: Ints) -> dict[str, Floats]:
    """Expected sums of costs over k samples that all end with the shortest, each (problems,
    budgets), exactly.

    With samples in order of length, the shortest of k is the r-th with the weight of best-of-k; the
    other k - 1 are any of those behind it.
    """
    out = {axis: np.full((len(bank.sizes), len(ks)), np.nan) for axis in laws}
    for n, rows in bank.sizes_once():
        if n == 0:
            continue
        length = bank.column("output_tokens")[rows, :n]
        order = np.argsort(length, axis=1, kind="stable")
        b = np.maximum(np.take_along_axis(length, order, axis=1), 1.0)
        weights = rank_weights(n, ks)
        squares = (b * b) @ weights
        for axis, law in laws.items():
            slope = np.take_along_axis(law.slope[rows, :n], order, axis=1)
            behind = np.cumsum(slope[:, ::-1], axis=1)[:, ::-1] - slope
            others = (b * (behind / np.maximum(n - 1 - np.arange(n), 1))) @ weights
            out[axis][rows] = (
                ks * law.base[rows, :n].mean(axis=1)[:, None]
                + (b * slope) @ weights
                + (ks - 1) * others
                + ks * law.curve * squares
            )
    return out
