"""Sharing a window's energy among the requests that ran in it.

Lives here: shares by output tokens, by time and by a fitted prefill/decode model. Whatever the
rule, the shares add up to the window. Not here: the window's energy itself (`isocost.telemetry`).

Rules differ in whom they charge. Tokens: prompts and idle slots are free. Time: stragglers of an
emptying batch pay for the whole device. Model: what prefill, decode and attention cost on windows
that were measured. None is the truth; each row says which it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.errors import IsocostError

TOKEN_SHARE = "output_token_share"
TIME_SHARE = "time_share"
MODEL_SHARE = "model_share"
SHARES = (TOKEN_SHARE, TIME_SHARE, MODEL_SHARE)
"""Attribution rules; the last part of the column energy_method."""


def energy_method(source: str, measure: str, share: str) -> str:
    """The value of the column energy_method, for example ``nvml_counter/output_token_share``."""
    return f"{source}_{measure}/{share}"


def share_by_weight(window_j: float, weights: ArrayLike) -> NDArray[np.float64]:
    """Energy in proportion to weights; the parts add up to the window to rounding.

    Args:
        window_j: energy of the window in J.
        weights: non-negative weight of each request, shape (n,), not all 0.

    Returns:
        Joules, shape (n,).

    Raises:
        IsocostError: no request, a negative weight, or only zeros: there is nothing to charge.

    Examples:
        >>> share_by_weight(60.0, [1, 2, 3]).tolist()
        [10.0, 20.0, 30.0]
    """
    energy = float(numbers(window_j, "window_j"))
    parts = numbers(weights, "weights")
    total = parts.sum()
    if parts.ndim != 1 or total <= 0:
        raise IsocostError(
            "the energy of a window needs at least one request with a positive weight",
            where="argument weights",
            remedy="Leave the window unattributed (NULL with its reason)",
        )
    return energy * (parts / total)


def share_by_tokens(window_j: float, output_tokens: ArrayLike) -> NDArray[np.float64]:
    """Energy by share of output tokens, E x T_i / sum T.

    The per-request energy of the ML.ENERGY benchmark.

    Args:
        window_j: energy of the window in J.
        output_tokens: generated tokens of each request, shape (n,).

    Returns:
        Joules, shape (n,).

    Examples:
        >>> share_by_tokens(59.0, [3, 3, 3]).tolist()
        [19.666667, 19.666667, 19.666667]
    """
    return share_by_weight(window_j, token_counts(output_tokens, "output_tokens"))


def share_by_time(
    start_s: ArrayLike,
    end_s: ArrayLike,
    moments_s: ArrayLike,
    joules_until: ArrayLike,
    window_j: float,
) -> NDArray[np.float64]:
    """Energy in equal parts among the requests active at each moment.

    Between two events (a start or an end) the energy is split evenly among the active requests.
    Energy of stretches in which none was active is spread in proportion to the rest, so that the
    shares add up to the window.

    Args:
        start_s: start of each request, shape (n,).
        end_s: end of each request, not before its start, shape (n,).
        moments_s: increasing times at which cumulative energy is known, shape (m,), covering all
            requests.
        joules_until: energy up to those moments, never decreasing, shape (m,); only its shape over
            time matters.
        window_j: energy of the window in J, for example from the counter.

    Returns:
        Joules, shape (n,).

    Raises:
        IsocostError: requests outside ``moments_s``, an end before its start, no request that
            lasts.

    Examples:
        >>> # Five steps of 1 s and 10, 12, 15, 12, 10 J; requests run from step to step.
        >>> share_by_time(
        ...     [0, 1, 2], [3, 4, 5], [0, 1, 2, 3, 4, 5], [0, 10, 22, 37, 49, 59], 59.0
        ... ).tolist()
        [21.0, 17.0, 21.0]
    """
    start, end = numbers(start_s, "start_s", low=-np.inf), numbers(end_s, "end_s", low=-np.inf)
    moments, until = (
        numbers(moments_s, "moments_s", low=-np.inf),
        numbers(joules_until, "joules_until", low=-np.inf),
    )
    if start.shape != end.shape or start.ndim != 1 or np.any(end < start):
        raise IsocostError(
            "each request needs a start and an end not before it",
            where="arguments start_s and end_s",
        )
    if moments.shape != until.shape or np.any(np.diff(moments) <= 0) or np.any(np.diff(until) < 0):
        raise IsocostError(
            "cumulative energy must be increasing in time",
            where="arguments moments_s and joules_until",
        )
    if start.size and (start.min() < moments[0] or end.max() > moments[-1]):
        raise IsocostError(
            "a request is outside the time range in which energy is known",
            where="arguments start_s and end_s",
        )
    events = np.unique(np.concatenate((start, end)))
    # Requests active in the stretch after each event, then energy per active request, accumulated.
    active = np.searchsorted(np.sort(start), events, side="right") - np.searchsorted(
        np.sort(end), events, side="right"
    )
    energy = np.diff(np.interp(events, moments, until))
    each = np.divide(energy, active[:-1], out=np.zeros_like(energy), where=active[:-1] > 0)
    running = np.concatenate(([0.0], np.cumsum(each)))
    return share_by_weight(
        window_j, running[np.searchsorted(events, end)] - running[np.searchsorted(events, start)]
    )


@dataclass(frozen=True, slots=True)
class EnergyModel:
    """Linear energy of a request: prompt and output tokens, attended positions, static part.

    Attributes:
        joules_per_prompt_token: energy of prefilling one token.
        joules_per_output_token: energy of decoding one token.
        joules_per_attended_position: energy of reading one cached position once.
        watts_static: power drawn regardless of requests.
        median_relative_error: of the windows fitted, |fitted - measured| / measured.
        n_windows: windows fitted.
    """

    joules_per_prompt_token: float
    joules_per_output_token: float
    joules_per_attended_position: float
    watts_static: float
    median_relative_error: float
    n_windows: int

    def weights(
        self, prompt_tokens: ArrayLike, output_tokens: ArrayLike, attended_positions: ArrayLike
    ) -> NDArray[np.float64]:
        """Modelled dynamic energy of requests in J, shape (n,).

        The weights of `share_by_weight`.
        """
        prompt, output = (
            token_counts(prompt_tokens, "prompt_tokens"),
            token_counts(output_tokens, "output_tokens"),
        )
        attended = numbers(attended_positions, "attended_positions")
        return (
            self.joules_per_prompt_token * prompt
            + self.joules_per_output_token * output
            + self.joules_per_attended_position * attended
        )


def decode_positions(prompt_tokens: ArrayLike, output_tokens: ArrayLike) -> NDArray[np.float64]:
    """Positions attended to while decoding, sum over steps of the context.

    (o-1) p + (o-1) o / 2, shape (...).
    """
    prompt, output = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    steps = np.maximum(output - 1, 0)
    return steps * prompt + steps * (steps + 1) / 2


def fit_energy_model(
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    attended_positions: ArrayLike,
    duration_s: ArrayLike,
    energy_j: ArrayLike,
) -> EnergyModel:
    """Fit the energy of measured windows by non-negative least squares on relative errors.

    Args:
        prompt_tokens: prompt tokens prefilled in each window, shape (w,).
        output_tokens: tokens decoded in each window, shape (w,).
        attended_positions: `decode_positions` summed over its requests, shape (w,).
        duration_s: length of each window, shape (w,).
        energy_j: measured gross energy, shape (w,).

    Returns:
        The model; coefficients are never negative.

    Raises:
        IsocostError: fewer than four windows, or an energy of 0.
    """
    names = ("prompt_tokens", "output_tokens", "attended_positions", "duration_s")
    columns = [
        numbers(v, n)
        for v, n in zip(
            (prompt_tokens, output_tokens, attended_positions, duration_s), names, strict=True
        )
    ]
    energy = numbers(energy_j, "energy_j")
    if energy.size < len(columns) or np.any(energy <= 0):
        raise IsocostError(
            f"{energy.size} windows cannot fit {len(columns)} coefficients, or one has no energy",
            where="fit_energy_model",
            remedy="Measure at least four windows of different prompt and output lengths",
        )
    from scipy.optimize import (
        nnls,
    )  # takes half a second, which a refresh that fits nothing need not spend

    design = np.column_stack(columns) / energy[:, None]
    scale = np.where(design.max(axis=0) > 0, design.max(axis=0), 1.0)
    solution = nnls(design / scale, np.ones(energy.size))[0] / scale
    errors = np.abs(design @ solution - 1)
    return EnergyModel(
        *(float(v) for v in solution),
        median_relative_error=float(np.median(errors)),
        n_windows=int(energy.size),
    )
