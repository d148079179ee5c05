"""The estimate of a refresh against what it takes, and the same tables whatever the budget.

Refreshes in processes of their own.
"""

from __future__ import annotations

import shutil

import pytest

from benchmarks.memory import banked, measured
from benchmarks.refresh import digests
from isocost.build.estimate import needed

pytestmark = pytest.mark.slow
# What the estimate may exceed the peak by: it knows counts, and no equal rows.
FACTOR = 4


@pytest.mark.parametrize("shape", ["6x1x40x4", "20x2x2x1"])
def test_the_estimate_is_above_the_peak_and_within_a_factor(shape, tmp_path):
    store = banked(shape, tmp_path)
    need = needed(store).peak_bytes / 2**20
    *steps, whole = measured(store.root, "4GiB", publishes=False)
    assert {line["step"] for line in steps} >= {"strategies", "frontiers", "summary"}
    assert whole["peak_mib"] <= need <= FACTOR * whole["peak_mib"]


def test_a_small_budget_gives_the_same_files(tmp_path):
    store = banked("4x2x12x3", tmp_path)
    shutil.copytree(store.root, tmp_path / "small")
    measured(store.root, "8GiB", publishes=False)
    # As little as is not refused before the start.
    measured(tmp_path / "small", f"{needed(store).least_bytes}B", publishes=False)
    whole = digests(store.root)
    assert len(whole) > 50 and digests(tmp_path / "small") == whole
