"""The estimate of a refresh against what it takes, and the same tables whatever the budget.

Refreshes in processes of their own.
"""

from __future__ import annotations

import shutil

import pytest

from benchmarks.memory import banked, measured
from benchmarks.refresh import digests
from isocost.build.estimate import needed
from isocost.store import Store

pytestmark = pytest.mark.slow
# What the estimate may exceed the peak by: it knows counts, and no equal rows.
FACTOR = 4


def check_estimate(store: Store, lines: list[dict]) -> None:
    *steps, whole = lines
    assert {line["step"] for line in steps} >= {"strategies", "frontiers", "summary"}
    need = needed(store).peak_bytes / 2**20
    assert whole["peak_mib"] <= need <= FACTOR * whole["peak_mib"]


def test_the_estimate_is_above_the_peak_and_within_a_factor(tmp_path):
    store = banked("20x2x2x1", tmp_path)
    check_estimate(store, measured(store.root, "4GiB", publishes=False))


def test_a_small_budget_gives_the_same_files(tmp_path):
    store = banked("4x1x30x4", tmp_path)
    shutil.copytree(store.root, tmp_path / "small")
    check_estimate(store, measured(store.root, "4GiB", publishes=False))
    # As little as is not refused before the start.
    measured(tmp_path / "small", f"{needed(store).least_bytes}B", publishes=False)
    whole = digests(store.root)
    assert len(whole) > 50 and digests(tmp_path / "small") == whole
