"""What the machine refuses.

Few open files, small files, links as lock files. One sentence, and nothing of before is harmed.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isocost.bank.files import Files
from isocost.bank.locks import points_locked
from isocost.bank.writer import open_run
from isocost.build import refresh
from isocost.build.ledger import Ledger
from isocost.errors import IsocostError
from isocost.store import Store

pytestmark = pytest.mark.slow
KNOWN = {"model": "m", "task_version": "1", "prompt": "p", "sampling": "{}"}


def bring(store: Store, name: str, correct: int) -> None:
    path = store.root.parent / f"{name}.jsonl"
    path.write_text(json.dumps({"id": "a", "c": correct, "n": 4}) + "\n", encoding="utf-8")
    refresh.bring_in(
        store, f"import-{name}", format="counts", path=path, provenance={**KNOWN, "task": name}
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("limits") / "data")
    bring(store, "one", 1)
    list(refresh.everything(store))
    bring(store, "two", 2)
    return store.root


def publication(store: Store) -> dict[str, bytes]:
    files = [store.warehouse, store.report, *store.exports.iterdir()]
    return {path.name: path.read_bytes() for path in files}


def limited(root: Path, *command: str, **limits: int) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))

    arguments = [sys.executable, "-m", "isocost", "--data", str(root), *command]
    return subprocess.run(
        arguments, capture_output=True, text=True, preexec_fn=limit, timeout=200, check=False
    )


def test_a_file_size_limit_is_one_sentence_and_leaves_the_publication_whole(
    published: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "data")
    shutil.copytree(published, store.root)
    before = publication(store)
    done = limited(store.root, "refresh", RLIMIT_FSIZE=3000 << 10)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert (
        len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
        and "could not be written" in done.stderr
    )
    assert publication(store) == before
    assert not [
        path for path in store.root.rglob("*") if ".tmp" in path.name or ".staged" in path.name
    ]
    list(refresh.everything(store))
    assert set(store.read("core_counts")["task"]) == {"one", "two"} and publication(store) != before


def test_a_session_of_thousands_of_points_is_opened_within_256_files(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from isocost.bank.files import Files\n"
        "from isocost.bank.writer import open_run\n"
        "with open_run(Files(sys.argv[1]), 's', point_ids=[f'p{i}' for i in range(3000)], part_rows=4) as (writer, _):\n"
        "    writer.start()\n"
        "    print(writer.manifest.attempt)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout == "1\n"


def test_one_point_goes_once_at_a_time_and_the_other_run_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from isocost.bank.files import Files\n"
        "from isocost.bank.writer import open_run\n"
        "with open_run(Files(sys.argv[1]), 'first', point_ids=['a', 'b'], part_rows=4):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=-1, stdout=-1, text=True
    ) as other:
        assert other.stdin and other.stdout and other.stdout.readline() == "held\n"
        files = Files(tmp_path)
        with (
            pytest.raises(
                IsocostError,
                match=rf"point b of session second .*another run \(first, process {other.pid} ",
            ),
            open_run(files, "second", point_ids=["b", "c"], part_rows=4),
        ):
            pass
        with open_run(
            files, "second", point_ids=["c"], part_rows=4
        ):  # other points of the same lake go on
            pass
        other.stdin.close()
        other.wait(timeout=30)
    with (
        open_run(files, "second", point_ids=["b", "c"], part_rows=4),
        points_locked(files, ["d"], "more"),
        pytest.raises(IsocostError, match="point b"),
        points_locked(files, ["b"], "more"),  # also within one process
    ):
        pass


@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling", "fifo", "folder"])
def test_a_link_in_the_place_of_a_lock_file_harms_nothing(tmp_path: Path, kind: str) -> None:
    store, precious = Store(tmp_path / "data"), tmp_path / "precious"
    precious.write_text("kept")
    bring(store, "one", 1)
    source = next((store.lake / "raw" / "imports").glob("source=*"))
    locks = [
        store.root / ".pieces.lock",
        source / ".lock",
        store.lake / "raw" / "locks" / "session-s.lock",
    ]
    locks += [store.lake / "raw" / "locks" / f"points-{number:02d}.lock" for number in range(64)]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.unlink(missing_ok=True)
        if kind == "hard":
            lock.hardlink_to(precious)
        elif kind == "fifo":
            os.mkfifo(lock)
        elif kind == "folder":
            lock.mkdir()
        else:
            lock.symlink_to(precious if kind == "symbolic" else tmp_path / "not there")
    attempts = (
        lambda: Ledger(store).drop("out", "x", "y", ()),
        lambda: bring(store, "one", 2),
        lambda: open_run(Files(store.lake), "s", part_rows=4).__enter__(),
        lambda: points_locked(Files(store.lake), ["p"], "session t").__enter__(),
    )
    for attempt in attempts:
        with pytest.raises(
            IsocostError, match="is not a lock file but a link, a folder or a device"
        ):
            attempt()
    assert precious.read_text() == "kept" and not (tmp_path / "not there").exists()
