"""Files in place whole or not at all: what a reader finds after a failure, a kill, a full disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isocost import atomic
from isocost.errors import MachineError

KILLED_AT = {
    "before the rename": "Path.replace = lambda *_: os.kill(os.getpid(), 9)",
    "while it is made durable": "os.fsync = lambda *_: os.kill(os.getpid(), 9)",
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_makes_its_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    atomic.write_bytes(path, b"one")
    atomic.write_bytes(path, b"two" * 100_000)
    assert path.read_bytes() == b"two" * 100_000 and names(path.parent) == ["file.bin"]
    atomic.write_text(path, "Käse\n")
    assert path.read_bytes() == "Käse\n".encode()


def test_what_is_written_is_synchronized_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "new" / "file", []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        steps.append(("sync", str(Path(f"/proc/self/fd/{handle}").readlink()), path.exists()))
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        steps.append(("rename", str(self), path.exists()))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    atomic.write_bytes(path, b"x")
    temporary = steps[1][1]
    assert Path(temporary).name.startswith(".file.") and temporary.endswith(".tmp")
    assert steps == [
        ("sync", str(tmp_path), False),  # the new folder's own name
        ("sync", temporary, False),
        ("rename", temporary, False),
        ("sync", str(path.parent), True),
    ]


def test_new_files_have_the_permissions_that_the_user_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_names_are_unique_and_never_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)  # 254 bytes, one less than a file system takes
    assert len({atomic.temporary_beside(path) for _ in range(100)}) == 100
    atomic.write_bytes(path, b"x")
    assert path.read_bytes() == b"x" and len(names(tmp_path)) == 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    with pytest.raises(type(error)), atomic.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_is_a_sentence_and_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")

    def full(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", full) if step == "fsync" else (Path, "replace", full)))
        with pytest.raises(MachineError) as caught:
            atomic.write_bytes(path, b"new", intact="everything sealed is intact")
    assert caught.value.where == str(path) and caught.value.exit_code == 1
    assert os.strerror(number) in caught.value.what
    assert caught.value.remedy.endswith("run again; everything sealed is intact") or (
        number == errno.EROFS and "read-only: choose another folder" in caught.value.remedy
    )
    assert path.read_bytes() == b"old" and names(tmp_path) == ["file"]


def test_a_device_without_room_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    with (
        pytest.raises(MachineError, match=r"No space left on device.*disk is full: free space"),
        atomic.replacing(path) as temporary,
    ):
        temporary.symlink_to("/dev/full")
        with temporary.open("wb", buffering=0) as handle:
            handle.write(b"x")
    assert path.read_bytes() == b"old" and names(tmp_path) == ["file"]


def test_a_file_in_the_way_of_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("a file")
    with pytest.raises(MachineError, match="could not be written"):
        atomic.write_bytes(tmp_path / "way" / "file", b"x")
    assert (tmp_path / "way").read_text() == "a file"


def test_only_what_is_old_counts_as_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old, young, other = (
        atomic.temporary_beside(each) for each in (path, path, tmp_path / "another")
    )
    nested = atomic.temporary_beside(old)
    for each in (old, young, other, nested):
        each.write_bytes(b"half")
    for each in (old, other, nested):
        os.utime(each, (0, 0))
    atomic.remove_stale(path)
    assert names(tmp_path) == sorted([young.name, other.name])


@pytest.mark.slow
@pytest.mark.parametrize("when", KILLED_AT)
def test_a_killed_writer_leaves_the_file_as_it_was(tmp_path: Path, when: str) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    code = (
        "import os, sys; from pathlib import Path; from isocost import atomic;"
        f" {KILLED_AT[when]}; atomic.write_bytes(Path(sys.argv[1]), b'new')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"
    (left,) = set(names(tmp_path)) - {"file"}
    assert left.startswith(".file.") and left.endswith(".tmp")
    atomic.write_bytes(path, b"newer")
    assert path.read_bytes() == b"newer"
