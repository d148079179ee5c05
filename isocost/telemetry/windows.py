"""The stretch of time that a number covers.

Lives here: the measured window of a run and its steady state. Not here: energy inside it
(`measure`). All times are on the engine's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time and the requests it leaves out.

    Attributes:
        kind: ``measured`` (first scheduled to last token, warm-up left out) or ``steady`` (engine
            saturated).
        start_s: start on the monotonic clock.
        end_s: end on the monotonic clock.
        n_requests: requests that the window is about.
        n_warmup: warm-up requests left out.
        n_drain: requests that finished after the window.
    """

    kind: str
    start_s: float
    end_s: float
    n_requests: int
    n_warmup: int
    n_drain: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def _times(values: ArrayLike, name: str) -> NDArray[np.float64]:
    times = np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise IsocostError(
            "times must be a list of finite numbers",
            where=f"argument {name}",
            remedy="Leave failed requests out",
        )
    return times


def measured_window(
    scheduled_s: ArrayLike, last_token_s: ArrayLike, is_warmup: ArrayLike
) -> Window | None:
    """From the first scheduling to the last token of the requests that are not warm-up.

    Args:
        scheduled_s: when each request was first scheduled, shape (n,).
        last_token_s: when it ended, shape (n,).
        is_warmup: warm-up requests, shape (n,).

    Returns:
        The window; None where every request is warm-up (nothing was measured).
    """
    scheduled, last, warm = (
        _times(scheduled_s, "scheduled_s"),
        _times(last_token_s, "last_token_s"),
        np.asarray(is_warmup, dtype=bool),
    )
    if not warm.size == scheduled.size == last.size:
        raise IsocostError("the three lists differ in length", where="measured_window")
    if warm.all():
        return None
    return Window(
        "measured",
        float(scheduled[~warm].min()),
        float(last[~warm].max()),
        int((~warm).sum()),
        int(warm.sum()),
        0,
    )


def steady_state_window(
    first_token_s: ArrayLike, last_token_s: ArrayLike, max_num_seqs: int, n_warmup: int = 0
) -> Window | None:
    """The time in which the engine was full, by the rule of the ML.ENERGY benchmark.

    It starts when ``max_num_seqs`` = B requests have emitted their first token and ends when n - B
    - 1 have finished.

    Args:
        first_token_s: first token of each request, warm-up excluded, shape (n,).
        last_token_s: last token of each request, shape (n,).
        max_num_seqs: requests the engine runs at once.
        n_warmup: carried into the window for the record.

    Returns:
        The window; None if there are too few requests (n <= 2B + 1) or the two events are in the
        wrong order, so the engine never was in steady state.
    """
    first, last = (
        np.sort(_times(first_token_s, "first_token_s")),
        np.sort(_times(last_token_s, "last_token_s")),
    )
    if first.size != last.size or max_num_seqs < 1:
        raise IsocostError(
            "as many first as last tokens are needed, and max_num_seqs of at least 1",
            where="steady_state_window",
        )
    n = first.size
    if n <= 2 * max_num_seqs + 1:
        return None
    start, end = float(first[max_num_seqs - 1]), float(last[n - max_num_seqs - 2])
    if end <= start:
        return None
    return Window("steady", start, end, n, n_warmup, int((last > end).sum()))


def tokens_in_window(
    first_token_s: ArrayLike, last_token_s: ArrayLike, output_tokens: ArrayLike, window: Window
) -> float:
    """Output tokens emitted inside a window.

    Each request's tokens are evenly spaced from first to last.

    Args:
        first_token_s: time of the first token, shape (n,).
        last_token_s: time of the last token, shape (n,).
        output_tokens: tokens of each request, shape (n,).
        window: tokens with start < time <= end count.

    Returns:
        Tokens.
    """
    first, last = _times(first_token_s, "first_token_s"), _times(last_token_s, "last_token_s")
    tokens = np.asarray(output_tokens, dtype=np.float64)
    spacing = (last - first) / np.maximum(tokens - 1, 1)

    def emitted(until: float) -> NDArray[np.float64]:
        steps = np.where(
            spacing > 0,
            (until - first) / np.where(spacing > 0, spacing, 1.0),
            np.where(until >= first, np.inf, -1.0),
        )
        # 1e-9 of a step: a token exactly at the edge must not be lost by rounding.
        return np.clip(np.floor(steps + 1e-9) + 1, 0, tokens)

    return float((emitted(window.end_s) - emitted(window.start_s)).sum())
