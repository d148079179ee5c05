"""Shortest-of-k: the first of k parallel samples to end. Registered; numerics in order.py."""

from __future__ import annotations

import numpy as np

from isocost.strategies.order import best_of_rows
from isocost.strategies.point_bank import LINEAR_AXES, PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
class ShortestOf(Strategy):
    """Starts k samples together, takes the first to end and halts the others (Hassid et al. 2025, short-1@k).

    Tokens are counted in lockstep: k times the shortest. Energy, FLOPs and money of the halted samples were not measured.
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
        costs = {axis: full[axis] for axis in ("samples", "prompt_tokens", "prompt_tokens_unshared")}
        costs["output_tokens"] = ks * bank.expected_extreme("output_tokens", ks, largest=False)
        one = bank.sizes[:, None] >= ks[None, :]
        for axis in (axis for axis in LINEAR_AXES if axis not in costs):
            costs[axis] = np.where(one & (ks == 1), full[axis], np.nan)
        # The shortest in tokens need not be the fastest; its own time is that of the chosen sample.
        latency = bank.column("latency_s")
        unknown = (np.isnan(latency) & bank.present).any(axis=1)
        costs["latency_parallel_s"] = best_of_rows(scores, np.where(bank.present, np.nan_to_num(latency), 0.0), ks, bank.present)
        costs["latency_parallel_s"][unknown] = np.nan
        undefined = undefined_cells(bank, ks) | ({"no_sample_has_the_score": empty} if empty.any() else {})
        return mask_undefined(Replay(ks, accuracy, costs, undefined, unscored=unscored))
