"""isocost.yaml and the replay of a sweep.

What is asked for is replayed, what is misspelt is reported, what changed is built again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import get_args

import pytest

from isocost.build import refresh
from isocost.build.slices import Ledger
from isocost.errors import IsocostError
from isocost.intake.settings import (
    NAME,
    broken_asks,
    read_settings,
    replay_options,
    sweep_note,
    unknown_tasks,
)
from isocost.store import Store
from isocost.strategies.options import ORDERS, TIES, ReplayOptions
from isocost.sweep import sweep_from_text
from isocost.sweep.replay import FIELDS, Order, Ties

SWEEP = """sweep: s
models: {name: m, path: "cache:small", dtype: float32}
engine: {max_model_len: 128, kv_cache_bytes: 64 MiB}
tasks:
  - {name: t, source: reasoning_gym, dataset: letter_counting, n_problems: 2, verifier: numeric}
  - {name: u, source: reasoning_gym, dataset: letter_counting, n_problems: 2, verifier: numeric}
prompts: {name: p, template: "{question}"}
grid: {temperature: 1.0, max_tokens: 8}
samples_per_problem: 4
"""
REPLAY = "replay: {budgets: [1, 5], tasks: {u: {windows: 5, ties: [first]}}}\n"


def settings(root: Path, text: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / NAME).write_text(text, encoding="utf-8")
    return root


def test_the_words_are_those_that_strategies_know():
    assert get_args(Ties) == TIES and get_args(Order) == ORDERS
    assert set(FIELDS) == set(ReplayOptions.__dataclass_fields__)


def test_no_file_and_an_empty_one_ask_for_nothing(tmp_path):
    assert replay_options(tmp_path, "t") == ReplayOptions()
    assert replay_options(settings(tmp_path, "# later\n"), "t") == ReplayOptions()


def test_a_task_comes_before_all_tasks_and_these_before_sweeps(tmp_path):
    spec = sweep_from_text(SWEEP + REPLAY)
    place, note = sweep_note(tmp_path, spec, tmp_path / "s.yaml")
    place.parent.mkdir(parents=True)
    place.write_text(note)
    assert replay_options(tmp_path, "t") == ReplayOptions(budgets=(1, 5))
    assert replay_options(tmp_path, "u") == ReplayOptions(
        budgets=(1, 5), windows=(5,), ties=("first",)
    )
    assert replay_options(tmp_path, "elsewhere") == ReplayOptions()
    settings(
        tmp_path,
        "replay: {budgets: [100, 10, 10], tasks: {u: {orders: [exchangeable, as_recorded]}}}\n",
    )
    assert replay_options(tmp_path, "t") == ReplayOptions(budgets=(10, 100))
    asked = ReplayOptions(
        budgets=(10, 100), windows=(5,), ties=("first",), orders=("exchangeable", "as_recorded")
    )
    assert replay_options(tmp_path, "u") == asked
    assert sweep_note(tmp_path, sweep_from_text(SWEEP), tmp_path / "s.yaml") == (place, None)
    assert unknown_tasks(tmp_path, {"t"}) == ["u"]


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        ("replai: {}\n", "isocost.yaml line 1: replai", "Did you mean replay?"),
        ("replay:\n  budget: [1]\n", "line 2: replay.budget", "Did you mean budgets?"),
        (
            "replay:\n  tasks:\n    t:\n      window: 5\n",
            "line 4: replay.tasks.t.window",
            "Did you mean windows?",
        ),
        ("replay:\n  ties: [frist]\n", "line 2: replay.ties[0]", "Did you mean first?"),
        ("replay:\n  budgets: [1, 0]\n", "line 2: replay.budgets[1]", "Correct"),
        ("replay:\n  budgets: [1, 253402300800]\n", "line 2: replay.budgets[1]", "Correct"),
        ("replay:\n  windows: 100001\n", "line 2: replay.windows", "Correct"),
        ("replay:\n  budgets: []\n", "line 2: replay.budgets", "Correct"),
        ("replay:\n  windows: 1\n", "line 2: replay.windows", "Correct"),
        ("replay:\n  orders: recorded\n", "line 2: replay.orders", "as_recorded"),
        ("- replay\n", "isocost.yaml", "has the keys replay"),
    ],
)
def test_a_mistake_is_reported_by_file_line_key_and_nearest_name(tmp_path, text, where, remedy):
    with pytest.raises(IsocostError) as caught:
        read_settings(settings(tmp_path, text))
    assert where in caught.value.where and remedy in caught.value.remedy


def test_a_sweep_asks_for_its_own_tasks_only():
    with pytest.raises(IsocostError, match="'v' is not in any list of this sweep") as caught:
        sweep_from_text(SWEEP + "replay: {tasks: {v: {windows: 5}}}\n")
    assert "replay.tasks.v" in caught.value.where
    with pytest.raises(IsocostError, match="unknown key budget"):
        sweep_from_text(SWEEP + "replay: {budget: 5}\n")


@pytest.mark.slow
def test_a_refresh_notices_changed_settings_of_the_tasks_they_are_about(tmp_path):
    store = Store(tmp_path / "data")
    for task in ("adding", "sorting"):
        path = tmp_path / f"{task}.jsonl"
        path.write_text(
            "".join(json.dumps({"id": f"p{i}", "c": 2 + i, "n": 12}) + "\n" for i in range(3)),
            encoding="utf-8",
        )
        known = {"model": "m", "task_version": "1", "prompt": "p", "sampling": "{}", "task": task}
        refresh.bring_in(store, f"import-{task}", format="counts", path=path, provenance=known)
        refresh.curate_session(store, f"import-{task}")

    def built() -> int:
        return refresh.derive(store, "strategies", ledger=Ledger(store)).built

    def budgets(task: str) -> list[float]:
        return (
            store.read("out_strategy_outcomes")
            .filter(task=task, strategy="pass_at_k")["budget"]
            .sort()
            .to_list()
        )

    assert built() == 4 and budgets("adding") == budgets("sorting") == [1, 2, 4, 5, 8, 10, 12]
    settings(store.root, "replay: {tasks: {adding: {budgets: [3, 11]}}}\n")
    assert (
        built() == 1
        and budgets("adding") == [3, 11]
        and budgets("sorting") == [1, 2, 4, 5, 8, 10, 12]
    )
    assert built() == 0
    settings(store.root, "replay: {tasks: {addin: {budgets: [0]}}}\n")
    with pytest.raises(IsocostError, match="greater than or equal to 1"):
        built()
    assert budgets("adding") == [3, 11]  # what is published stays
    (store.root / NAME).unlink()
    assert built() == 1 and budgets("adding") == budgets("sorting")


def test_what_one_sweep_asks_cannot_stop_what_others_ask(tmp_path):
    store = Store(tmp_path / "data")
    notes = store.lake / "sessions"
    notes.mkdir(parents=True)
    (notes / "a.replay").write_text('{"t": {"budgets": [3, 11]}}')
    (notes / "b.replay").write_text('{"t": {"budgets": ["many"]}}')
    (notes / "c.replay").write_text('{"t"')
    os.mkfifo(notes / "d.replay")
    assert replay_options(store.root, "t").budgets == (3, 11)
    assert [Path(fault.where).name for fault in broken_asks(store.root)] == [
        "b.replay",
        "c.replay",
        "d.replay",
    ]
    listed = [str(each) for each in refresh.derive(store, "strategies").failed]
    assert len(listed) == 3 and all("plan the sweep again" in each for each in listed)
    assert refresh.derive(store, "coverage").failed == ()
