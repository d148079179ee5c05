"""Generate, then verify.

The best of S solutions by the mean of V verdicts. Registered; numerics in verification.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.axes.model import Count, Once
from isocost.axes.registry import all_axes
from isocost.strategies.estimators.adaptive import MISS
from isocost.strategies.estimators.order import best_of_rows
from isocost.strategies.estimators.subsets import start_states
from isocost.strategies.estimators.verification import DRAWS, mean_verdict, verified_rows
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Floats, Ints

MOST = 32


@register
@dataclass(frozen=True)
class GenerateThenVerify(Strategy):
    """Draw S solutions, get V verdicts on each and take the one with the highest mean.

    Singhi et al. 2025, GenRM best-of-N.

    The budget is S. Costs are those of S solutions and S V verifications: in tokens S T (1 + lambda
    V), where lambda, the tokens of a verification over those of a solution, is measured. An
    unparsable verdict is dropped; a solution with none left scores 0.
    """

    family = "generate_then_verify"
    summary = "The solution with the highest mean of V verdicts among S."
    is_selector = True
    needs = ("verdicts",)
    exactness = (
        "exact if all verdicts are used, or for yes/no verdicts up to about 256 solutions; "
        "otherwise random verdicts with a bound"
    )
    tie_rule = "uniform"
    reads_lists = ("verdicts",)
    verifications: int = 0

    @property
    def name(self) -> str:
        """generate_then_verify_<V>, or _all where every banked verdict is used."""
        return f"{self.family}_{self.verifications or 'all'}"

    @property
    def parameters(self) -> Mapping[str, object]:
        """Verifications of each solution."""
        return {"verifications": self.verifications or "all"}

    @classmethod
    def variants(cls) -> tuple[GenerateThenVerify, ...]:
        """Powers of two, and all that are banked."""
        return (cls(), *(cls(2**i) for i in range(MOST.bit_length())))

    def applies(self, bank: PointBank) -> bool:
        """Up to the maximum number of verdicts per sample.

        All of them together only if that is not one of the powers of two.
        """
        if bank.verdicts is None:
            return False
        held = bank.column("n_verdicts")[bank.present]
        most = int(np.nanmax(held, initial=0))
        if self.verifications:
            return self.verifications <= most
        return most > MOST or most & (most - 1) != 0 or bool(np.any((held != most) & (held > 0)))

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact for verdicts of yes and no.

        A problem with a sample that has too few verdicts is undefined.
        """
        assert bank.verdicts is not None, "`applies` has seen to it"
        held = np.where(bank.present, np.nan_to_num(bank.column("n_verdicts")), 0.0)
        asked = self.verifications or 1
        lacking = np.any((held < asked) & bank.present, axis=1)
        exact = np.ones(len(held), dtype=np.bool_)
        accuracy = np.full((len(held), len(ks)), np.nan)
        rows = np.flatnonzero(~lacking)
        verdicts, present = bank.verdicts[rows], bank.present[rows]
        if self.verifications:
            accuracy[rows], exact[rows] = verified_rows(
                verdicts, held[rows].astype(np.int64), bank.right[rows], present, ks,
                self.verifications,
                draws=DRAWS, starts=start_states(0, bank.keys[rows]),
            )  # fmt: skip
        else:
            accuracy[rows] = best_of_rows(mean_verdict(verdicts), bank.right[rows], ks, present)
        undefined = undefined_cells(bank, ks) | (
            {"too_few_verifications": lacking} if lacking.any() else {}
        )
        costs, reasons = _costs(bank, ks, held, self.verifications)
        flat = np.broadcast_to(exact[:, None], accuracy.shape)
        bound = np.where(flat, 0.0, np.sqrt(np.log(2 / MISS) / (2 * DRAWS)))
        return mask_undefined(
            Replay(
                ks,
                accuracy,
                costs,
                undefined,
                is_exact=flat,
                draws=DRAWS,
                error_bound=bound,
                unknown_costs=reasons,
            )
        )


def _costs(
    bank: PointBank, ks: Ints, held: Floats, verifications: int
) -> tuple[dict[str, Floats], dict[str, str]]:
    """Solutions and their verifications on every axis that is known for both.

    Verifications are independent, so their means add up.
    """
    costs, reasons = bank.parallel_costs(ks), {}
    for axis in all_axes().values():
        if isinstance(axis.adds, Count):
            continue
        if axis.verification is None:
            costs[axis.name] = np.full(costs[axis.name].shape, np.nan)
        else:
            # The verifications of one solution share a prefix, as samples of one problem do.
            asked = 1 if isinstance(axis.adds, Once) else verifications
            each = _mean_each(bank, axis.verification.name, held, asked)
            costs[axis.name] = costs[axis.name] + ks * each[:, None]
        if bank.known(axis.column):
            reasons[axis.name] = "what verifications cost there is not banked"
    return costs, reasons


def _mean_each(bank: PointBank, name: str, held: Floats, verifications: int) -> Floats:
    """Mean cost of V verifications of a solution, or of all it has where V is 0, (problems,)."""
    share = (
        bank.column(name)
        if verifications == 0
        else verifications * bank.column(name) / np.where(held > 0, held, np.nan)
    )
    return np.where(bank.present, share, 0.0).sum(axis=1) / np.where(
        bank.sizes > 0, bank.sizes, np.nan
    )
