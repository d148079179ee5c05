"""The paired comparison.

Rounds that cancel drift, an interval that decides, and a clock of its own for processor time.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.paired import Way, play, ratio, ratio_of, timed


def test_the_middle_is_the_trimmed_mean_and_without_outliers_the_interval_is_students():
    logs = np.random.default_rng(0).normal(0.01, 0.02, 50)
    assert np.log(ratio_of(logs).middle) == pytest.approx(stats.trim_mean(logs, 0.2))
    few = logs[:4]  # nothing is trimmed off four
    half = stats.t.ppf(0.975, 3) * few.std(ddof=1) / 2
    assert np.log([ratio_of(few).low, ratio_of(few).high]) == pytest.approx(
        [few.mean() - half, few.mean() + half]
    )
    assert np.isnan(ratio_of(logs[:2]).low)


def test_the_interval_covers_and_shrugs_off_disturbed_rounds():
    dice, hits = np.random.default_rng(1), 0
    for _ in range(400):
        logs = dice.normal(np.log(0.995), 0.02, 60) + (dice.random(60) < 0.05) * dice.exponential(
            0.3, 60
        ) * dice.choice([-1, 1], 60)
        found = ratio_of(logs)
        hits += found.low <= 0.995 <= found.high
        assert found.high - found.low < 0.03
    assert 0.9 <= hits / 400 <= 0.99


@pytest.mark.parametrize(
    ("shift", "word"), [(0.0, "kept"), (-0.05, "MISSED"), (-0.0101, "undecided")]
)
def test_verdicts(shift, word):
    assert word in ratio_of(shift + np.linspace(-0.004, 0.004, 40)).verdict(0.99)


def test_a_steady_drift_cancels():
    """The machine slows down with every run; the two ways are equally fast."""
    clock = itertools.count()
    seen = []

    def run(name):
        seen.append(name)
        return 100, 1.0 + 0.01 * next(clock), 0.5

    found = play({"a": lambda: run("a"), "b": lambda: run("b")}, rounds=6)
    assert seen[:8] == ["a", "b", "b", "a", "b", "a", "a", "b"]
    assert (
        ratio(found["a"], found["b"]).middle == pytest.approx(1, abs=1e-12)
        and found["a"].tokens == [200] * 6
    )
    assert ratio(found["a"], found["b"], cpu=True).middle == 1


def test_rounds_by_the_clock_and_both_clocks():
    work = {"a": lambda: timed(lambda: sum(range(20_000)) and 7), "b": lambda: timed(lambda: 7)}
    notes = []
    found = play(
        work,
        seconds=0.05,
        note=lambda number, so_far: notes.append((number, len(so_far["a"].tokens))),
    )
    assert (
        notes
        and notes[-1][0] == notes[-1][1] == len(found["b"].wall_s)
        and set(found["a"].tokens) == {14}
    )
    assert min(found["a"].wall_s) > 0 and isinstance(found["a"], Way) and found["a"].speed() > 0
