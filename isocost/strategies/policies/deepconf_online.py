"""DeepConf online.

Traces are cut while they are generated. Registered; numerics in confidence.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.cuts import CutLaw, cut_law, reasons_of
from isocost.strategies.estimators.adaptive import MISS
from isocost.strategies.estimators.confidence import OnlinePlay, play_online
from isocost.strategies.estimators.subsets import start_states
from isocost.strategies.point_bank import LINEAR_AXES, PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Floats, Ints

ORDERS = 64
SHARED = {"kinetics_eflops": "what stopped traces read of a shared prompt is not modelled"}


@register
@dataclass(frozen=True)
class DeepConfOnline(Strategy):
    """A threshold from warm-up traces; later traces are stopped below it (Fu et al. 2025).

    Warm-up traces run side by side and to their end, then the others side by side. A trace is
    stopped with the token that completes the first window below the threshold; what it cost by then
    is said in cuts.py. Costs are means over the same random orders as the answer. Where the records
    of window confidence were not banked, the answer is replayed and the costs stay unknown.
    """

    family = "deepconf_online_at_k"
    summary = (
        "Cuts traces whose window confidence falls below a warm-up threshold; the others vote."
    )
    needs = ("confidence_lowest_group",)
    exactness = "random orders with a bound"
    tie_rule = "uniform"
    reads_answers = True
    reads_lists = ("confidence_record_tokens", "confidence_record_values")
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
        """Sampled over orders of the bank.

        Problems with a trace of unknown confidence are undefined.
        """
        lowest, lengths = bank.column("confidence_lowest_group"), bank.column("output_tokens")
        unknown = (np.isnan(lowest) & bank.present).any(axis=1)
        shape = (len(bank.sizes), len(ks))
        accuracy = np.full(shape, np.nan)
        laws = {axis: SHARED.get(axis) or cut_law(bank, axis) for axis in LINEAR_AXES}
        costs = {axis: np.full(shape, np.nan) for axis in (*LINEAR_AXES, "latency_parallel_s")}
        for n, rows in bank.sizes_once():
            usable, fitting = rows[~unknown[rows]], np.flatnonzero(ks <= n)
            if not usable.size or not fitting.size:
                continue
            part = np.s_[usable, :n]
            times = _times(bank, laws["latency_sequential_s"], part)
            play = play_online(
                bank.classes[part], lowest[part], bank.class_values[usable], lengths[part],
                None if bank.records is None else bank.records.part(part), ks[fitting],
                self.warmup, self.keep, ORDERS, start_states(0, bank.keys[usable]), latency=times,
            )  # fmt: skip
            place = np.ix_(usable, fitting)
            accuracy[place] = play.accuracy
            for axis, name in LINEAR_AXES.items():
                costs[axis][place] = _spent(play, bank.column(name)[part], laws[axis], part)
            waited = (
                bank.expected_extreme("latency_s", np.array([self.warmup]), largest=True)[usable]
                + play.waited
            )
            costs["latency_parallel_s"][place] = np.where(play.unknown[:, None], np.nan, waited)
        undefined = undefined_cells(bank, ks, answers=True) | (
            {"missing_scores": unknown} if unknown.any() else {}
        )
        costs["samples"] = np.broadcast_to(ks.astype(np.float64), shape).copy()
        costs |= {
            axis: cost
            for axis, cost in bank.parallel_costs(ks).items()
            if axis.startswith("prompt_tokens")
        }
        laws["latency_parallel_s"] = laws["latency_sequential_s"]
        if bank.records is None:
            laws = dict.fromkeys(laws, "confidence_records_not_banked")
        bound = np.full(shape, np.sqrt(np.log(2 / MISS) / (2 * ORDERS)))
        return mask_undefined(
            Replay(
                ks,
                accuracy,
                costs,
                undefined,
                is_exact=np.zeros(shape, dtype=np.bool_),
                draws=ORDERS,
                error_bound=bound,
                unknown_costs=reasons_of(laws),
            )
        )


def _times(bank: PointBank, law: CutLaw | str, part: tuple) -> tuple[Floats, Floats, Floats]:
    """Whole latency, base and slope of a stopped trace's.

    NaN where a stopped trace's time is unknown.
    """
    whole = bank.column("latency_s")[part]
    if isinstance(law, str):
        return whole, np.full(whole.shape, np.nan), np.zeros(whole.shape)
    return whole, law.base[part], law.slope[part]


def _spent(play: OnlinePlay, whole: Floats, law: CutLaw | str, part: tuple) -> Floats:
    """Expected cost on one axis, (problems, budgets).

    NaN where a trace is stopped and no law says what it cost by then.
    """
    if isinstance(law, str):
        return play.spend(whole, np.full(whole.shape, np.nan), np.zeros(whole.shape), 0.0)
    return play.spend(whole, law.base[part], law.slope[part], law.curve)
