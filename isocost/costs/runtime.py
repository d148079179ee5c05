"""Runtime as a function of prompt and output length, free of the luck of one measurement.

Lives here: the fitted model T(p, o), the HELM table lookup as a compatibility mode, idealized
dollars and joules. Not here: bounds that need no measurement (`roofline`).

After Narayanan et al. 2023, "Cheaply Evaluating Inference Efficiency Metrics for Autoregressive
Transformer APIs": T(p, o) = F(p) + g (o - 1). HELM looks F up in a table and scales the next larger
entry in proportion, so its curve jumps down after every entry; ours is piecewise linear and never
decreases.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.errors import IsocostError

RUNTIME_FITTED = "fitted"
RUNTIME_DENOISED = "fitted_denoised"
RUNTIME_HELM = "helm_table"
RUNTIME_LOOKED_UP = "helm_look_up"
MAX_KNOTS = 12


@dataclass(frozen=True, slots=True)
class RuntimeModel:
    """T(p, o, B) = F(p B) + (o - 1) G(B); F and G piecewise linear, never decreasing.

    T(p, 0) = F.

    Attributes:
        prompt_knots: prompt tokens of a whole batch at which F has a corner, starting at 0.
        prefill_s: F at those knots; ``prefill_s[0]`` is the overhead of a request without a prompt.
        batch_knots: batch sizes at which G has a corner.
        seconds_per_output_token: G at those knots.
        median_relative_error: of the rows fitted, |fitted - measured| / measured.
        n_rows: rows fitted, after denoising.
        method: ``fitted`` or ``fitted_denoised``.
    """

    prompt_knots: tuple[float, ...]
    prefill_s: tuple[float, ...]
    batch_knots: tuple[float, ...]
    seconds_per_output_token: tuple[float, ...]
    median_relative_error: float
    n_rows: int
    method: str

    @property
    def overhead_s(self) -> float:
        """Seconds that a request takes regardless of its length."""
        return self.prefill_s[0]

    def predict(
        self, prompt_tokens: ArrayLike, output_tokens: ArrayLike, batch: ArrayLike = 1
    ) -> NDArray[np.float64]:
        """Seconds of a request (of a whole batch of like requests), shape (...).

        Beyond the last knot, the last slope continues.
        """
        p, o = (
            token_counts(prompt_tokens, "prompt_tokens"),
            token_counts(output_tokens, "output_tokens"),
        )
        b = numbers(batch, "batch", low=1)
        prefill = _ramps(p * b, np.array(self.prompt_knots)) @ np.diff(self.prefill_s, prepend=0.0)
        step = _ramps(b, np.array(self.batch_knots)) @ np.diff(
            self.seconds_per_output_token, prepend=0.0
        )
        return prefill + np.maximum(o - 1, 0) * step


def _ramps(x: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns whose non-negative sum is a non-decreasing piecewise-linear function.

    1, then one ramp per stretch between knots.

    The last ramp is not cut off above, so that the function continues with its last slope.
    """
    columns = [np.ones_like(x)]
    for left, right in itertools.pairwise(knots):
        columns.append(
            np.clip((x - left) / (right - left), 0.0, np.inf if right == knots[-1] else 1.0)
        )
    return np.stack(columns, axis=-1)


def _knots(values: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    distinct = np.unique(values[values > start])
    if distinct.size > MAX_KNOTS:
        distinct = np.unique(
            np.quantile(distinct, np.linspace(1 / MAX_KNOTS, 1, MAX_KNOTS), method="nearest")
        )
    return np.concatenate(([start], distinct))


def denoise(
    keys: NDArray[np.float64], seconds: NDArray[np.float64], quantile: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One row per distinct key: the low quantile of its repeated runtimes.

    This removes contention.

    Args:
        keys: rows of (prompt, output, batch), shape (n, c).
        seconds: runtimes, shape (n,).
        quantile: 0 takes the minimum.

    Returns:
        Distinct keys, shape (m, c), in order, and their runtimes, shape (m,).
    """
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    order = np.lexsort((seconds, which))
    groups = np.split(seconds[order], np.flatnonzero(np.diff(which[order])) + 1)
    return distinct, np.array([np.quantile(g, quantile) for g in groups], dtype=np.float64)


def fit_runtime_model(
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    seconds: ArrayLike,
    *,
    batch: ArrayLike | None = None,
    denoise_quantile: float | None = None,
) -> RuntimeModel:
    """Fit T(p, o) to measured runtimes by non-negative least squares on relative errors.

    Args:
        prompt_tokens: prompt length of each row, shape (n,).
        output_tokens: generated tokens, at least 1, shape (n,).
        seconds: measured runtime, positive, shape (n,).
        batch: like requests served together, shape (n,); None = 1 throughout.
        denoise_quantile: None fits every row; a number reduces repeated (p, o, batch) to that low
            quantile first (method ``fitted_denoised``).

    Returns:
        The model. Where no row has more than one output token the time per token is 0 and nothing
        longer may be predicted with sense.

    Raises:
        IsocostError: fewer than 2 rows, unequal lengths, a runtime that is not positive, an output
            of 0 tokens.

    Examples:
        >>> prompt, output = [100, 100, 100, 200, 200, 200], [1, 2, 3, 1, 2, 3]
        >>> model = fit_runtime_model(prompt, output, [1.0, 1.1, 1.2, 2.0, 2.1, 2.2])
        >>> model.prefill_s, model.seconds_per_output_token
        ((1.0, 1.0, 2.0), (0.1,))
    """
    p, o = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    t = numbers(seconds, "seconds")
    b = np.ones_like(p) if batch is None else numbers(batch, "batch", low=1)
    if not p.shape == o.shape == t.shape == b.shape or p.ndim != 1 or p.size < 2:
        raise IsocostError(
            "a runtime model needs at least two rows, and lists of one length",
            where="fit_runtime_model",
        )
    if np.any(t <= 0) or np.any(o < 1):
        raise IsocostError(
            "a runtime is not positive or a row has no output token",
            where="fit_runtime_model",
            remedy="Leave failed requests out",
        )
    method = RUNTIME_FITTED
    if denoise_quantile is not None:
        keys, t = denoise(np.column_stack((p, o, b)), t, denoise_quantile)
        p, o, b = keys.T
        method = RUNTIME_DENOISED
    prompt_knots, batch_knots = _knots(p * b, 0.0), _knots(b, float(b.min()))
    prefill, step = _ramps(p * b, prompt_knots), _ramps(b, batch_knots) * (o - 1)[:, None]
    design = np.hstack((prefill, step)) / t[:, None]
    solution = _nonnegative(design)
    errors = np.abs(design @ solution - 1)
    cut = prompt_knots.size
    return RuntimeModel(
        prompt_knots=tuple(map(float, prompt_knots)),
        prefill_s=tuple(map(float, np.cumsum(solution[:cut]))),
        batch_knots=tuple(map(float, batch_knots)),
        seconds_per_output_token=tuple(map(float, np.cumsum(solution[cut:]))),
        median_relative_error=float(np.median(errors)),
        n_rows=int(t.size),
        method=method,
    )


def _nonnegative(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative x with design x close to 1.

    Columns are scaled and rows reduced by QR, so a million rows cost little.
    """
    from scipy.optimize import (
        nnls,
    )  # takes half a second, which a refresh that fits nothing need not spend

    scale = np.abs(design).max(axis=0)
    scaled = design / np.where(scale > 0, scale, 1.0)
    target = np.ones(design.shape[0])
    if design.shape[0] > design.shape[1]:
        q, r = np.linalg.qr(scaled)
        scaled, target = r, q.T @ target
    return nnls(scaled, target)[0] / np.where(scale > 0, scale, 1.0)


def helm_prefill_seconds(
    table: Mapping[str, object], prompt_tokens: ArrayLike
) -> NDArray[np.float64]:
    """F(p) as HELM looks it up: the smallest key at or above p, scaled by p over key.

    Above the largest key, it is scaled up in the same way.

    Compatibility only: the curve is a sawtooth, F(1) = .084 s but F(2) = .011 s for
    openai/davinci.
    """
    p = token_counts(prompt_tokens, "prompt_tokens")
    entries = table.get("runtime_for_prompt_tokens")
    if not isinstance(entries, Mapping) or not entries:
        raise IsocostError(
            "the runtime table has no entries",
            where="key runtime_for_prompt_tokens",
            remedy="Give one model of a HELM file",
        )
    keys = np.array(sorted(int(k) for k in entries), dtype=np.float64)
    values = np.array(
        [float(entries[str(int(k))] if str(int(k)) in entries else entries[int(k)]) for k in keys]
    )
    index = np.minimum(np.searchsorted(keys, p, side="left"), keys.size - 1)
    return values[index] * p / keys[index]


def helm_idealized_runtime(
    table: Mapping[str, Any], prompt_tokens: ArrayLike, output_tokens: ArrayLike
) -> NDArray[np.float64]:
    """Idealized (or, with an ``overhead`` entry, denoised) runtime exactly as HELM computes it.

    Args:
        table: one model's entry: ``runtime_per_output_token``, ``runtime_for_prompt_tokens``
            (tokens to seconds), optional ``overhead``.
        prompt_tokens: p, shape (...).
        output_tokens: o summed over completions (HELM adds them as if generated one after another),
            shape (...).

    Returns:
        Seconds, shape (...): F(p) + g max(o - 1, 0) + overhead.

    Examples:
        >>> table = {
        ...     "runtime_per_output_token": 0.081,
        ...     "runtime_for_prompt_tokens": {"1": 0.084, "256": 0.1, "512": 0.2},
        ... }
        >>> helm_idealized_runtime(table, 1, 1).item()
        0.084
    """
    o = token_counts(output_tokens, "output_tokens")
    per_token = float(
        numbers(table.get("runtime_per_output_token", np.nan), "runtime_per_output_token")
    )
    overhead = float(numbers(table.get("overhead", 0.0), "overhead"))
    return helm_prefill_seconds(table, prompt_tokens) + per_token * np.maximum(o - 1, 0) + overhead


def runtime_from_helm_table(table: Mapping[str, Any]) -> RuntimeModel:
    """A monotone model through a HELM table: same entries, straight lines between them.

    Without the sawtooth.

    Decreasing entries are raised to the previous one (published tables have a few, from measurement
    noise of a millisecond).
    """
    entries = table["runtime_for_prompt_tokens"]
    if not isinstance(entries, Mapping) or not entries:
        raise IsocostError(
            "the runtime table has no entries", where="key runtime_for_prompt_tokens"
        )
    points = sorted((float(k), float(v)) for k, v in entries.items())
    knots = np.array([k for k, _ in points])
    levels = np.maximum.accumulate([v for _, v in points]) + float(table.get("overhead", 0.0))
    if knots[0] > 0:
        knots, levels = np.concatenate(([0.0], knots)), np.concatenate(([levels[0]], levels))
    per_token = float(table["runtime_per_output_token"])
    return RuntimeModel(
        tuple(knots), tuple(levels), (1.0,), (per_token,), 0.0, len(points), RUNTIME_HELM
    )


def idealized_usd(
    seconds: ArrayLike, devices: int, usd_per_device_hour: float
) -> NDArray[np.float64]:
    """Idealized dollars: T x devices x price of a device-hour.

    Examples:
        >>> idealized_usd(4.094625, 8, 2.0).round(7).item()
        0.018198
    """
    return numbers(seconds, "seconds") * devices * usd_per_device_hour / 3600.0


def idealized_energy_j(
    seconds: ArrayLike, devices: int, watts_per_device: float
) -> NDArray[np.float64]:
    """Idealized joules.

    T x devices x watts of a device; a modelled joule, never pooled with measured ones.

    Examples:
        >>> idealized_energy_j(4.0, 8, 400.0).item()
        12800.0
    """
    return numbers(seconds, "seconds") * devices * watts_per_device
