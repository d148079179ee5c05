"""Speculative decoding: acceptance, tokens per step, speed-up, goodput.

Lives here: the i.i.d. acceptance model of Leviathan et al. 2023, target efficiency of MoESD (Huang
et al. 2025, arXiv 2505.19645) and goodput of SmartSpec (Liu et al. 2024, arXiv 2406.14066). Not
here: running it (the engine does).

Goodput here counts accepted tokens per second; it is not the SLO goodput that counts requests
meeting latency targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.errors import IsocostError


def tokens_per_step(acceptance: ArrayLike, drafted: ArrayLike) -> NDArray[np.float64]:
    """Expected tokens of one verification step: (1 - a^(g+1)) / (1 - a).

    The corrected or bonus token is included.

    Args:
        acceptance: a, chance that one drafted token is accepted, in [0, 1], shape (...).
        drafted: g, tokens drafted per step, shape (...).

    Returns:
        Tokens per step, shape (...); 1 for g = 0 or a = 0, g + 1 for a = 1.

    Examples:
        >>> tokens_per_step(0.8, [0, 4]).tolist()
        [1.0, 3.3616]
    """
    a, g = np.broadcast_arrays(
        numbers(acceptance, "acceptance", high=1), token_counts(drafted, "drafted")
    )
    # Close to 1 the quotient loses its digits; expm1/log1p keep them.
    gap = 1 - a
    with np.errstate(divide="ignore", invalid="ignore"):
        value = -np.expm1((g + 1) * np.log1p(-gap)) / gap
    return np.where(gap == 0, g + 1.0, np.where(a == 0, 1.0, value))


def estimate_acceptance(accepted: ArrayLike, drafted: int) -> float:
    """Maximum-likelihood acceptance from accepted counts per step.

    sum x / (sum x + number of steps with x < g).

    A step that accepts all g tokens only shows that at least g would have passed; accepted over
    drafted ignores that.

    Args:
        accepted: accepted tokens of each step, 0..g, shape (n,).
        drafted: g.

    Returns:
        The estimate; NaN where no step drafted anything.

    Examples:
        >>> estimate_acceptance([0, 1, 4, 4, 2, 4, 3, 0, 4, 4], 4)
        0.83871
    """
    x = token_counts(accepted, "accepted")
    if np.any(x > drafted):
        raise IsocostError(
            f"a step accepted more than the {drafted} tokens drafted", where="argument accepted"
        )
    trials = x.sum() + (x < drafted).sum() if drafted > 0 else 0.0
    return float(x.sum() / trials) if trials > 0 else float("nan")


def speculative_speedup(
    acceptance: ArrayLike, drafted: ArrayLike, draft_cost_ratio: ArrayLike
) -> NDArray[np.float64]:
    """Speed-up where verifying g + 1 tokens costs as much as one.

    Tokens_per_step / (g rho + 1), shape (...).

    Examples:
        >>> speculative_speedup(0.8, 4, 0.05).item()
        2.801333
    """
    return tokens_per_step(acceptance, drafted) / (
        token_counts(drafted, "drafted") * numbers(draft_cost_ratio, "draft_cost_ratio") + 1
    )


def best_draft_length(acceptance: float, draft_cost_ratio: float, longest: int = 64) -> int:
    """Draft length 0..longest with the greatest `speculative_speedup`; the shorter one on ties."""
    return int(np.argmax(speculative_speedup(acceptance, np.arange(longest + 1), draft_cost_ratio)))


@dataclass(frozen=True, slots=True)
class TargetEfficiency:
    """Speculation on a real target at one batch size (MoESD).

    Attributes:
        target_efficiency: time of a plain step over time of a verifying step.
        acceptance_fill: sigma, tokens per step over the g + 1 possible.
        speedup: over plain decoding.
    """

    target_efficiency: float
    acceptance_fill: float
    speedup: float


def target_efficiency(
    acceptance: float,
    drafted: int,
    plain_step_s: float,
    verify_step_s: float,
    draft_step_s: float,
    reject_s: float = 0.0,
) -> TargetEfficiency:
    """Speed-up from measured step times: sigma (g+1) / (g T_D/T_1 + T_g/T_1 + T_rej/T_1).

    Args:
        acceptance: per-token acceptance.
        drafted: g.
        plain_step_s: T_1, a target step with one token per sequence.
        verify_step_s: T_g, the same step with the drafted tokens.
        draft_step_s: T_D, one draft step.
        reject_s: T_rej, rejection sampling.

    Examples:
        >>> target_efficiency(0.8, 4, 0.020, 0.024, 0.0015, 0.0003)
        TargetEfficiency(target_efficiency=0.833333, acceptance_fill=0.67232, speedup=2.218878)
    """
    if not (plain_step_s > 0 and verify_step_s > 0):
        raise IsocostError("step times must be positive", where="target_efficiency")
    per_step = float(tokens_per_step(acceptance, drafted))
    return TargetEfficiency(
        target_efficiency=plain_step_s / verify_step_s,
        acceptance_fill=per_step / (drafted + 1),
        speedup=per_step * plain_step_s / (drafted * draft_step_s + verify_step_s + reject_s),
    )


def goodput(acceptance: ArrayLike, drafted: ArrayLike, step_s: float) -> float:
    """Tokens generated and accepted per second by one batched step.

    Sum over requests of `tokens_per_step`, over its time.

    Examples:
        >>> goodput([0.8, 0.6, 0.9], [4, 2, 5], 0.03)
        333.573
    """
    if not step_s > 0:
        raise IsocostError("a step takes a positive time", where="argument step_s")
    return float(tokens_per_step(acceptance, drafted).sum() / step_s)


def batched_step_seconds(
    context_tokens: ArrayLike, batched_tokens: ArrayLike, coefficients: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Linear step time a N_context + b N_batched + c with (a, b, c) fitted offline, shape (...)."""
    a, b, c = coefficients
    return (
        a * numbers(context_tokens, "context_tokens")
        + b * numbers(batched_tokens, "batched_tokens")
        + c
    )
