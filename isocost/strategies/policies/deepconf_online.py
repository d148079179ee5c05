"""DeepConf online: traces are cut while they are generated. Registered; numerics in confidence.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.confidence import deepconf_online
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints

ORDERS = 64


@register
@dataclass(frozen=True)
class DeepConfOnline(Strategy):
    """A threshold from warm-up traces; later traces are cut below it (Fu et al. 2025).

    Where in a trace the confidence first falls below a threshold is not banked, only its lowest window: the answer is replayed,
    the tokens and all that hangs on them stay unknown.
    """

    family = "deepconf_online_at_k"
    summary = "Cuts traces whose window confidence falls below a warm-up threshold; the others vote."
    needs = ("confidence_lowest_group",)
    exactness = "random orders with a bound"
    tie_rule = "uniform"
    reads_answers = True
    keep: float = 0.9
    warmup: int = 16

    @property
    def name(self) -> str:
        """deepconf_online_at_k_keep_<per cent>."""
        return f"{self.family}_keep_{round(100 * self.keep)}"

    @property
    def parameters(self) -> Mapping[str, object]:
        """Share of warm-ups above the threshold, number of warm-ups, random orders."""
        return {"keep": self.keep, "orders": ORDERS, "warmup": self.warmup}

    @classmethod
    def variants(cls) -> tuple[DeepConfOnline, ...]:
        """The paper's two shares."""
        return (cls(keep=0.9), cls(keep=0.1))

    def budgets(self, bank: PointBank, ks: Ints) -> Ints:
        """Those above the warm-up."""
        return ks[ks > self.warmup]

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Sampled over orders of the bank; problems with a trace of unknown confidence are undefined."""
        lowest = bank.column("confidence_lowest_group")
        unknown = (np.isnan(lowest) & bank.present).any(axis=1)
        accuracy = np.full((len(bank.sizes), len(ks)), np.nan)
        bound = np.zeros(accuracy.shape)
        for n, rows in bank.sizes_once():
            usable = rows[~unknown[rows]]
            for i in np.flatnonzero(ks <= n):
                found = deepconf_online(
                    bank.classes[usable, :n], lowest[usable, :n], bank.class_values[usable], int(ks[i]),
                    warmup=self.warmup, keep=self.keep, orders=ORDERS, keys=bank.keys[usable],
                )  # fmt: skip
                accuracy[usable, i], bound[usable, i] = found.accuracy, found.error_bound
        undefined = undefined_cells(bank, ks, answers=True) | ({"missing_scores": unknown} if unknown.any() else {})
        costs = {"samples": np.broadcast_to(ks.astype(np.float64), accuracy.shape).copy()}
        costs["prompt_tokens"] = bank.parallel_costs(ks)["prompt_tokens"]
        costs["prompt_tokens_unshared"] = bank.parallel_costs(ks)["prompt_tokens_unshared"]
        exact = np.zeros(accuracy.shape, dtype=np.bool_)
        return mask_undefined(Replay(ks, accuracy, costs, undefined, is_exact=exact, draws=ORDERS, error_bound=bound))
