"""DeepConf online.

Traces are cut while they are generated. Registered; numerics in confidence.py.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.axes.model import CostAxis, Count, Elapsed, Kept, Slowest, Total
from isocost.axes.registry import all_axes
from isocost.strategies.cuts import CutLaw, cut_law, reasons_of
from isocost.strategies.estimators.adaptive import MISS
from isocost.strategies.estimators.confidence import OnlinePlay, play_online
from isocost.strategies.estimators.subsets import start_states
from isocost.strategies.point_bank import PointBank
from isocost.strategies.records import Part
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Floats, Ints
from isocost.strategies.spending import axes_of

ORDERS = 64
SHARING = "what stopped traces read of a shared prompt is not modelled"


@register
@dataclass(frozen=True)
class DeepConfOnline(Strategy):
    """A threshold from warm-up traces; later traces are stopped below it (Fu et al. 2025).

    Warm-up traces run in parallel to their end, then the others run in parallel. A trace is
    stopped with the token that completes the first window below the threshold; its cost by then is
    defined in cuts.py. Costs are means over the same random orders as the answer. If the records of
    window confidence were not banked, the answer is replayed and the costs stay unknown.
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
        unknown = bank.lacking(lowest)
        shape = (len(bank.sizes), len(ks))
        accuracy = np.full(shape, np.nan)
        added, side_by_side = axes_of(Total, Elapsed), axes_of(Slowest)
        laws = {axis.name: _law(bank, axis) for axis in (*added, *side_by_side)}
        costs = {name: np.full(shape, np.nan) for name in laws}
        for n, rows in bank.sizes_once():
            usable, fitting = rows[~unknown[rows]], np.flatnonzero(ks <= n)
            if not usable.size or not fitting.size:
                continue
            part = np.s_[usable, :n]
            place = np.ix_(usable, fitting)
            play = functools.partial(
                play_online,
                bank.classes[part], lowest[part], bank.class_values[usable], lengths[part],
                None if bank.records is None else bank.records.part(part), ks[fitting],
                self.warmup, self.keep, ORDERS, start_states(0, bank.keys[usable]),
            )  # fmt: skip
            played = None
            for axis in side_by_side:
                played = play(latency=_times(bank, axis.column, laws[axis.name], part))
                warm = bank.expected_extreme(axis.column, np.array([self.warmup]), largest=True)
                waited = np.where(played.unknown[:, None], np.nan, warm[usable] + played.waited)
                costs[axis.name][place] = waited
            played = played or play()
            accuracy[place] = played.accuracy
            for axis in added:
                whole = bank.column(axis.column)[part]
                costs[axis.name][place] = _spent(played, whole, laws[axis.name], part)
        undefined = undefined_cells(bank, ks, answers=True) | (
            {"missing_scores": unknown} if unknown.any() else {}
        )
        whole = bank.parallel_costs(ks)
        costs |= {
            name: np.broadcast_to(ks.astype(np.float64), shape).copy()
            if isinstance(axis.adds, Count)
            else whole[name]
            for name, axis in all_axes().items()
            if isinstance(axis.cut, Kept)
        }
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


def _law(bank: PointBank, axis: CostAxis) -> CutLaw | str:
    """The cost of a stopped trace, or why it is unknown."""
    if isinstance(axis.adds, Total) and axis.adds.shared:
        return SHARING
    return cut_law(bank, axis)


def _times(
    bank: PointBank, name: str, law: CutLaw | str, part: Part
) -> tuple[Floats, Floats, Floats]:
    """Whole time, base and slope of a stopped trace's.

    NaN where a stopped trace's time is unknown.
    """
    whole = bank.column(name)[part]
    if isinstance(law, str):
        return whole, np.full(whole.shape, np.nan), np.zeros(whole.shape)
    return whole, law.base[part], law.slope[part]


def _spent(play: OnlinePlay, whole: Floats, law: CutLaw | str, part: Part) -> Floats:
    """Expected cost on one axis, (problems, budgets).

    NaN where a trace is stopped and no law gives its cost.
    """
    if isinstance(law, str):
        nothing = np.zeros(whole.shape)
        return play.spend(whole, np.full(whole.shape, np.nan), nothing, nothing)
    return play.spend(whole, law.base[part], law.slope[part], law.curve[part])
