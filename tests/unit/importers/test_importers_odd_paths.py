"""Whatever somebody names as results is judged at once: nothing of the system, nothing that waits."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from isocost.errors import IsocostError
from isocost.importers import import_path, reading, registered
from isocost.importers.reading import entries_of


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def plug(folder: Path) -> Path:
    here = Path.cwd()
    os.chdir(folder)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("plug")
    finally:
        os.chdir(here)
    return folder / "plug"


def circle(folder: Path) -> Path:
    (folder / "circle").symlink_to(folder / "back")
    (folder / "back").symlink_to(folder / "circle")
    return folder / "circle"


def within(folder: Path) -> Path:
    (folder / "inside").mkdir()
    pipe(folder / "inside")
    return folder / "inside"


def to_the_system(folder: Path) -> Path:
    (folder / "link").symlink_to("/proc")
    return folder / "link"


ODD = {
    "/proc": lambda _: Path("/proc"),
    "/proc/self": lambda _: Path("/proc/self"),
    "/sys": lambda _: Path("/sys"),
    "/dev": lambda _: Path("/dev"),
    "/dev/zero": lambda _: Path("/dev/zero"),
    "/": lambda _: Path("/"),
    "climbing": lambda folder: folder / Path(*[".."] * 40) / "proc",
    "pipe": pipe,
    "socket": plug,
    "circle": circle,
    "pipe in a folder": within,
    "link to the system": to_the_system,
    "nothing": lambda folder: folder / "nothing",
    "no path": lambda folder: folder / ("x" * 5000),
}


@pytest.mark.parametrize("name", ODD)
def test_every_importer_says_so_within_a_second(tmp_path: Path, name: str) -> None:
    path = ODD[name](tmp_path)
    registered()
    for importer in ("counts", "generic", "lm_eval", "helm", "codecarbon"):
        begun = time.process_time()
        with pytest.raises(IsocostError) as caught:
            import_path(importer, path, tmp_path / "lake", mapping=None, unknown=UNKNOWN)
        assert time.process_time() - begun < 1
        assert str(path)[:100] in str(caught.value)
    assert not (tmp_path / "lake").exists()


UNKNOWN = frozenset({"model", "task", "task_version", "prompt", "sampling"})


def test_a_folder_of_a_million_entries_is_left_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = 0

    class Endless:
        """Entries of a folder, as many as anybody asks for."""

        def __enter__(self) -> Endless:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self):
            nonlocal listed
            while listed < 10**6:
                listed += 1
                yield SimpleNamespace(
                    path=str(tmp_path / str(listed)),
                    is_dir=lambda **_: False,
                    is_file=lambda **_: True,
                )

    with monkeypatch.context() as patch:  # pytest itself lists the folder afterwards
        patch.setattr(reading.os, "scandir", lambda _: Endless())
        patch.setattr(reading, "MAX_ENTRIES", 1_000)
        with pytest.raises(IsocostError, match="more files than can be examined"):
            entries_of(tmp_path, where="folder")
    assert listed <= 1_001


def test_what_takes_too_long_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(IsocostError, match="more files than can be examined"):
        entries_of(tmp_path, where="folder", seconds=-1)


def test_files_under_a_folder_are_found_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("b/c/deep.json", "a.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "round").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert entries_of(tmp_path, where="x") == [tmp_path / "a.json", tmp_path / "b/c/deep.json"]
    assert entries_of(tmp_path / "a.json", where="x") == [tmp_path / "a.json"]


def test_shared_memory_is_a_folder_like_any_other() -> None:
    shared = Path("/dev/shm")
    if shared.is_dir():
        with tempfile.TemporaryDirectory(dir=shared) as place:
            file = Path(place) / "a.json"
            file.write_text("{}")
            assert entries_of(Path(place), where="x") == [file]
