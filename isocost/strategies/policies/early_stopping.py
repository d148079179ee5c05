"""Early-stopping self-consistency.

Registered; numerics in isocost.strategies.estimators.early_stopping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.axes.model import Slowest, Total
from isocost.axes.registry import all_axes
from isocost.stopping import WINDOW
from isocost.strategies.estimators.early_stopping import early_stopping_consistency, window_latency
from isocost.strategies.estimators.recorded import early_stopping_recorded, recorded_costs
from isocost.strategies.options import ReplayOptions
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.adaptive import ORDERS, replay_adaptive, spread, votable
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints
from isocost.strategies.spending import axes_of

MOST_WORK = 5e4


@register
@dataclass(frozen=True)
class EarlyStopping(Strategy):
    """Windows of samples until one is unanimous, else a majority vote over all (Li et al. 2024).

    The window is 4, not the paper's 5, so that the caps fall on the powers of two that other
    strategies use. Samples of a window run side by side, windows one after another.
    """

    family = "early_stopping_consistency"
    summary = "Windows of samples until one is unanimous; the budget is the cap."
    exactness = (
        "samples and costs exact up to 16 windows; accuracy exact where affordable, else random"
        " orders with a bound"
    )
    reads_answers = True
    window: int = WINDOW
    order: str = "exchangeable"

    @property
    def name(self) -> str:
        """early_stopping_consistency, with a suffix for a non-default window or order."""
        window = "" if self.window == WINDOW else f"_window_{self.window}"
        return f"{self.family}{window}{'' if self.order == 'exchangeable' else f'_{self.order}'}"

    @property
    def tie_rule(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Shared credit in the mean over orders.

        In recorded order the class seen first, as in the authors' code.
        """
        return "uniform" if self.order == "exchangeable" else "first"

    @property
    def parameters(self) -> Mapping[str, object]:
        """Window, and how orders are visited."""
        visited = (
            {"most_work": MOST_WORK, "orders": ORDERS}
            if self.order == "exchangeable"
            else {"order": self.order}
        )
        return {**visited, "window": self.window}

    @classmethod
    def asked(cls, options: ReplayOptions) -> tuple[EarlyStopping, ...]:
        """One for each window and order."""
        return tuple(
            cls(window=window, order=order)
            for window in options.windows or (WINDOW,)
            for order in options.orders
        )

    def applies(self, bank: PointBank) -> bool:
        """Counts have no order."""
        return self.order == "exchangeable" or bank.tallies is None

    def budgets(self, bank: PointBank, ks: Ints) -> Ints:
        """Multiples of the window.

        Those among the budgets, and for a non-default window the next one below each budget.
        """
        whole = ks if self.window == WINDOW else np.unique(ks // self.window * self.window)
        return whole[(whole % self.window == 0) & (whole > 0)]

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Every cap from one pass."""
        if self.order == "as_recorded":
            found = early_stopping_recorded(
                bank.classes, bank.class_values, bank.sizes, self.window, ks
            )
            return mask_undefined(
                Replay(
                    ks,
                    found.accuracy,
                    recorded_costs(bank, found.used, self.window),
                    undefined_cells(bank, ks, answers=True),
                )
            )
        rows = votable(bank)
        result = early_stopping_consistency(
            bank.counts[rows], bank.class_values[rows], self.window, ks,
            abstained=bank.abstained[rows], most_work=MOST_WORK, orders=ORDERS,
            keys=bank.keys[rows],
        )  # fmt: skip
        replay = replay_adaptive(bank, ks, result, rows)
        for axis in axes_of(Slowest):
            if bank.known(axis.column):
                replay.costs[axis.name] = np.full(replay.accuracy.shape, np.nan)
                replay.costs[axis.name][rows] = window_latency(
                    bank.classes[rows], bank.column(axis.column)[rows], self.window, ks,
                    valid=bank.present[rows], orders=ORDERS, keys=bank.keys[rows],
                )  # fmt: skip
        # Samples of a window read a shared prefix together: of their shared parts each window pays
        # one.
        draws = spread(result, rows, len(bank.sizes)).draws
        for axis in all_axes().values():
            if isinstance(axis.adds, Total) and axis.adds.shared:
                shared = bank.drawn_sum(axis.adds.shared, draws)
                replay.costs[axis.name] = replay.costs[axis.name] - (1 - 1 / self.window) * shared
        return mask_undefined(replay)
