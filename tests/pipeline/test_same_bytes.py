"""The same bank gives the same bytes.

In other processes with other hash seeds and numbers of threads, and whatever stood there before.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import little_lab

from benchmarks.refresh import Layout
from benchmarks.refresh import bank as bank_session
from benchmarks.same_bytes import digests, unlike
from isocost.build import refresh
from isocost.cli import main
from isocost.store import Store

KNOWN = {
    "model": "borrowed",
    "task": "adding",
    "task_version": "1",
    "prompt": "direct",
    "sampling": "{}",
}


def bank(root: Path) -> Store:
    """The laboratory's core tables, and an imported source that is curated from the lake."""
    store = Store(root)
    for name, frame in little_lab.build().items():
        if name.startswith("core_"):
            store.write(frame, name, little_lab.SESSION)
    source = root.parent / "counts.jsonl"
    source.write_text(
        "".join(json.dumps({"id": f"p{i}", "c": i % 5, "n": 4}) + "\n" for i in range(12)),
        encoding="utf-8",
    )
    refresh.bring_in(store, "import-counts", format="counts", path=source, provenance=KNOWN)
    return store


def command(root: Path) -> list[str]:
    return [sys.executable, "-m", "isocost.cli", "--data", str(root), "refresh"]


def refreshed(repo: Path, root: Path, seed: int = 1, threads: int = 1) -> dict[str, str]:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "POLARS_MAX_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    done = subprocess.run(
        command(root), cwd=repo, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return digests(root)


def killed_after(repo: Path, root: Path, line: str) -> None:
    """Refreshes until a line is printed, then kills the process."""
    process = subprocess.Popen(command(root), cwd=repo, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any(printed.split()[0] == line for printed in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_the_same_bank_gives_the_same_bytes(repo: Path, tmp_path: Path) -> None:
    first = bank(tmp_path / "a").root
    second = shutil.copytree(first, tmp_path / "a folder of another name" / "b")
    once = refreshed(repo, first, seed=1, threads=1)
    assert {name.split("/")[1] for name in once if name.startswith("out/")} == {
        t for tables in refresh.STEPS.values() for t in tables
    }
    assert unlike(once, refreshed(repo, second, seed=2, threads=2)) == []


def counts(store: Store, correct: int) -> None:
    source = store.root.parent / "counts.jsonl"
    source.write_text(
        "".join(
            json.dumps({"id": f"p{i}", "c": (correct + i) % 5, "n": 4}) + "\n" for i in range(6)
        ),
        encoding="utf-8",
    )
    refresh.bring_in(store, "import-counts", format="counts", path=source, provenance=KNOWN)


def test_a_refresh_of_what_changed_is_a_full_rebuild(repo: Path, tmp_path: Path) -> None:
    """One session is new, one has more samples, one is gone, an import is superseded.

    The first attempt is killed.
    """
    store, sources = Store(tmp_path / "a"), tmp_path / "problems"
    sources.mkdir()
    layout, longer = Layout("tasks", 2, 2, False, 5, 2), Layout("tasks", 2, 2, False, 5, 3)
    first, second, third, new = layout.sessions()
    ids = [bank_session(store, sources, layout, *session) for session in (first, second, third)]
    counts(store, correct=0)
    before = refreshed(repo, store.root)

    bank_session(store, sources, layout, *new)
    bank_session(store, sources, longer, *first)
    store.session_file(ids[1]).unlink()
    for folder in (store.lake / "raw").glob(f"*/session={ids[1]}"):
        shutil.rmtree(folder)
    assert main(["--data", str(store.root), "forget", ids[1]]) == 0
    counts(store, correct=3)
    killed_after(repo, store.root, "strategies")
    after = refreshed(repo, store.root)
    assert unlike(before, after) and not any(ids[1] in name for name in after)

    fresh = tmp_path / "b"
    shutil.copytree(store.lake, fresh / "lake")
    assert unlike(after, refreshed(repo, fresh, seed=2, threads=2)) == []

    store.path("out_frontiers").unlink()
    harmed = store.path("core_samples", ids[0])
    data = harmed.read_bytes()
    harmed.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    assert unlike(after, refreshed(repo, store.root)) == []
