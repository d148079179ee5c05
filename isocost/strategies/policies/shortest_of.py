"""Shortest-of-k: the first of k parallel samples to end. Registered; numerics in order.py."""

from __future__ import annotations

import numpy as np

from isocost.axes.model import CostAxis, Elapsed, Kept, PerToken, Slowest, Total
from isocost.axes.registry import all_axes
from isocost.strategies.cuts import CutLaw, cut_law, reasons_of
from isocost.strategies.estimators.order import best_of_rows, rank_weights
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Floats, Ints
from isocost.strategies.spending import axes_of

ENDLESS = "in sequence, when to stop is unknown"
SHARING = "what halted samples read of a shared prompt is not modelled"


@register
class ShortestOf(Strategy):
    """Start k samples together, take the first to finish and stop the others.

    Hassid et al. 2025, short-1@k.

    Tokens are counted in lockstep: k times the shortest. The cost of the stopped samples by then is
    defined in cuts.py. In sequence, it is impossible to know when to stop: the sequential latency
    is unknown above one sample.
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
        laws = {
            axis.name: _law(bank, axis)
            for axis in axes_of(Total, Elapsed)
            if not isinstance(axis.cut, Kept | PerToken)
        }
        halted = _lockstep(
            bank, {name: law for name, law in laws.items() if isinstance(law, CutLaw)}, ks
        )
        costs = {}
        for name, axis in all_axes().items():
            if isinstance(axis.adds, Slowest):
                costs[name] = _of_the_chosen(bank, axis.column, scores, ks)
            elif isinstance(axis.cut, PerToken):
                costs[name] = ks * bank.expected_extreme(axis.column, ks, largest=False)
            elif isinstance(axis.cut, Kept):
                costs[name] = full[name]
            else:
                costs[name] = np.where(ks == 1, full[name], halted.get(name, np.nan))
        undefined = undefined_cells(bank, ks) | (
            {"no_sample_has_the_score": empty} if empty.any() else {}
        )
        return mask_undefined(
            Replay(
                ks, accuracy, costs, undefined, unscored=unscored, unknown_costs=reasons_of(laws)
            )
        )


def _law(bank: PointBank, axis: CostAxis) -> CutLaw | str:
    """The cost of a stopped sample, or why it is unknown."""
    if isinstance(axis.adds, Elapsed):
        return ENDLESS
    if isinstance(axis.adds, Total) and axis.adds.shared:
        return SHARING
    return cut_law(bank, axis)


def _of_the_chosen(bank: PointBank, name: str, scores: Floats, ks: Ints) -> Floats:
    """Expected time of the chosen sample: the shortest in tokens need not be the fastest."""
    times = bank.column(name)
    found = best_of_rows(
        scores, np.where(bank.present, np.nan_to_num(times), 0.0), ks, bank.present
    )
    found[bank.lacking(times)] = np.nan
    return found


def _lockstep(bank: PointBank, laws: dict[str, CutLaw], ks: Ints) -> dict[str, Floats]:
    """Expected sums of costs over k samples that all end with the shortest, exactly.

    Each (problems, budgets).

    With samples in order of length, the shortest of k is the r-th with the weight of best-of-k; the
    other k - 1 are any of those after it.
    """
    out = {axis: np.full((len(bank.sizes), len(ks)), np.nan) for axis in laws}
    for n, rows in bank.sizes_once():
        if n == 0:
            continue
        length = bank.column("output_tokens")[rows, :n]
        order = np.argsort(length, axis=1, kind="stable")
        b = np.maximum(np.take_along_axis(length, order, axis=1), 1.0)
        weights = rank_weights(n, ks)
        after = np.maximum(n - 1 - np.arange(n), 1)
        for axis, law in laws.items():
            out[axis][rows] = ks * law.base[rows, :n].mean(axis=1)[:, None]
            for rise, spent in ((law.slope, b), (law.curve, b * b)):
                each = np.take_along_axis(rise[rows, :n], order, axis=1)
                behind = np.cumsum(each[:, ::-1], axis=1)[:, ::-1] - each
                others = (spent * (behind / after)) @ weights
                out[axis][rows] += (spent * each) @ weights + (ks - 1) * others
    return out
