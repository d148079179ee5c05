"""Paired comparison of ways to do the same work on a machine that other people use too.

Lives here: palindromic rounds (A B B A, so that a steady drift hits both ways alike) and the
interval of their ratio. Not here: what is compared.

Two clocks are read: wall time, which anything else on the machine stretches, and processor time of
this process, threads included, which only its own work and shared caches do. Each round gives one
ratio; their middle is a trimmed mean of logarithms (a fifth off either end, for rounds in which
something else happened) with Yuen's t-interval.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

TRIM = 0.2


@dataclass
class Way:
    """Tokens and seconds of one way, a row a round.

    Attributes:
        tokens: made in the round.
        wall_s: wall seconds.
        cpu_s: seconds of this process's processors.
    """

    tokens: list[int] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def speed(self) -> float:
        """Median tokens per wall second."""
        return float(np.median(np.divide(self.tokens, self.wall_s)))


@dataclass(frozen=True)
class Ratio:
    """Ratio of tokens per second of two variants, with a 95 % interval.

    The ends are NaN with fewer than three rounds.

    Attributes:
        middle: trimmed mean, of ratios as logarithms.
        low: lower end.
        high: upper end.
        rounds: ratios it rests on.
    """

    middle: float
    low: float
    high: float
    rounds: int

    def verdict(self, least: float) -> str:
        """The ratio, and whether it settles that it is at least ``least``."""
        settled = (
            "kept"
            if self.low >= least
            else "MISSED"
            if self.high < least
            else "undecided: more rounds, or a quieter machine"
        )
        return (
            f"{self.middle:.4f}, 95 % interval {self.low:.4f} to {self.high:.4f} over {self.rounds}"
            f" rounds (wanted {least:g}: {settled})"
        )


def ratio_of(log_ratios: Sequence[float]) -> Ratio:
    """Yuen's trimmed mean and t-interval of log ratios (Yuen 1974)."""
    logs = np.sort(np.asarray(log_ratios, dtype=np.float64))
    n = logs.size
    cut = int(TRIM * n)
    kept = logs[cut : n - cut]
    middle = float(kept.mean())
    if kept.size < 3:
        return Ratio(math.exp(middle), math.nan, math.nan, n)
    clipped = np.clip(logs, kept[0], kept[-1])
    error = float(clipped.std(ddof=1)) / ((1 - 2 * cut / n) * math.sqrt(n))
    half = float(stats.t.ppf(0.975, kept.size - 1)) * error
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half), n)


def ratio(way: Way, base: Way, *, cpu: bool = False) -> Ratio:
    """Tokens per second of ``way`` over those of ``base``, round by round.

    Per processor second with ``cpu``.
    """
    ours, theirs = (np.divide(w.tokens, w.cpu_s if cpu else w.wall_s) for w in (way, base))
    return ratio_of(np.log(ours / theirs))


def play(
    ways: Mapping[str, Callable[[], tuple[int, float, float]]],
    *,
    rounds: int | None = None,
    seconds: float | None = None,
    note: Callable[[int, dict[str, Way]], None] = lambda _number, _found: None,
) -> dict[str, Way]:
    """Palindromic rounds of all ways; the order turns from round to round.

    Args:
        ways: by name, what makes tokens and says how many, in how many wall and processor seconds
            (see `timed`).
        rounds: so many rounds.
        seconds: or as many as begin within so many seconds; the number is never chosen by looking
            at results.
        note: called after each round with its number and what was found.
    """
    found = {name: Way() for name in ways}
    names, number, start = list(ways), 0, time.monotonic()
    while number < rounds if rounds is not None else time.monotonic() - start < (seconds or 0.0):
        order = names if number % 2 == 0 else names[::-1]
        sums = {name: np.zeros(3) for name in names}
        for name in (*order, *order[::-1]):
            sums[name] += ways[name]()
        for name, (tokens, wall, cpu) in sums.items():
            found[name].tokens.append(int(tokens))
            found[name].wall_s.append(float(wall))
            found[name].cpu_s.append(float(cpu))
        number += 1
        note(number, found)
    return found


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """Tokens that ``work`` makes, with its wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = work()
    return tokens, time.perf_counter() - wall, time.process_time() - cpu
