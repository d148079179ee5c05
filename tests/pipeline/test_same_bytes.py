"""The same bank gives the same bytes, in other processes with other hash seeds and other numbers of threads."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import little_lab

from isocost import refresh
from isocost.store import Store

KNOWN = {"model": "borrowed", "task": "adding", "task_version": "1", "prompt": "direct", "sampling": "{}"}


def bank(root: Path) -> Store:
    """The laboratory's core tables, and an imported source that is curated from the lake."""
    store = Store(root)
    for name, frame in little_lab.build().items():
        if name.startswith("core_"):
            store.write(frame, name, little_lab.SESSION)
    source = root.parent / "counts.jsonl"
    source.write_text("".join(json.dumps({"id": f"p{i}", "c": i % 5, "n": 4}) + "\n" for i in range(12)), encoding="utf-8")
    refresh.bring_in(store, "import-counts", format="counts", path=source, provenance=KNOWN)
    return store


def digests(root: Path) -> dict[str, str]:
    files = [path for folder in ("core", "out", "exports") for path in (root / folder).rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refreshed(repo: Path, root: Path, seed: int, threads: int) -> dict[str, str]:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "isocost.cli", "--data", str(root), "refresh"]
    done = subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return digests(root)


def test_the_same_bank_gives_the_same_bytes(repo: Path, tmp_path: Path) -> None:
    first = bank(tmp_path / "a").root
    second = shutil.copytree(first, tmp_path / "b")
    once = refreshed(repo, first, seed=1, threads=1)
    assert sum(name.startswith("out/") for name in once) == len([t for tables, _ in refresh.STEPS.values() for t in tables])
    other = refreshed(repo, second, seed=2, threads=2)
    assert [name for name in once if once[name] != other.get(name)] == [] and once.keys() == other.keys()
