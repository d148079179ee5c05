"""What a session is asked to do when sweep files change.

Mended mistakes are gone, files of one name add up, banked points stay known.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from isocost.build import refresh
from isocost.store import Store
from isocost.sweep import read_session

SWEEP = """sweep: s
models: {name: m, path: "cache:small", dtype: float32}
engine: {max_model_len: 128, kv_cache_bytes: 64 MiB}
tasks:
  - {name: t, source: reasoning_gym, dataset: letter_counting, n_problems: 2, verifier: numeric}
prompts: {name: NAME, template: "{question}"}
grid: {temperature: 1.0, max_tokens: 8}
samples_per_problem: SAMPLES
"""


class Plans:
    """Plans sweep files on one store and reads back what the session was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "data")

    def __call__(self, file: str, prompt: str, samples: int) -> dict[str, int]:
        path = self.folder / file
        path.write_text(SWEEP.replace("NAME", prompt).replace("SAMPLES", str(samples)))
        (session_id,) = refresh.plan_sweep(self.store, path)
        return {
            p.point.prompt.name: p.samples_per_problem
            for p in read_session(self.store.session_file(session_id)).points
        }

    def point_of(self, prompt: str) -> str:
        (session_id,) = self.store.session_ids()
        points = read_session(self.store.session_file(session_id)).points
        return next(p.point.point_id for p in points if p.point.prompt.name == prompt)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch) -> Plans:
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path))
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    return Plans(tmp_path)


@pytest.mark.slow
def test_a_fixed_mistake_is_not_generated(plan: Plans) -> None:
    assert plan("a.yaml", "mistaken", 5000) == {"mistaken": 5000}
    assert plan("a.yaml", "mended", 5000) == {"mended": 5000}
    assert plan("a.yaml", "mended", 8) == {"mended": 8}
    assert plan("a.yaml", "mended", 16) == {"mended": 16}


@pytest.mark.slow
def test_two_files_of_one_name_add_up_while_both_are_there(plan: Plans) -> None:
    plan("a.yaml", "one", 4)
    assert plan("b.yaml", "two", 2) == {"one": 4, "two": 2}
    assert plan("a.yaml", "two", 8) == {"two": 8}
    (plan.folder / "a.yaml").unlink()
    assert plan("b.yaml", "two", 2) == {"two": 2}


@pytest.mark.slow
def test_a_banked_point_that_nobody_asks_for_stays_known_and_is_not_filled_up(
    plan: Plans, monkeypatch
) -> None:
    plan("a.yaml", "old", 64)
    banked = SimpleNamespace(parts=[SimpleNamespace(points={plan.point_of("old"): 3})])
    monkeypatch.setattr("isocost.intake.plan.read_manifests", lambda *_: [banked])
    assert plan("a.yaml", "new", 4) == {"old": 1, "new": 4}
    assert plan("a.yaml", "old", 64) == {"old": 64}
