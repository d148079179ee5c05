"""Take the pieces of a kit, check them, and install the kit without a package index.

Needs nothing but Python's standard library: this file is carried to the machine together with the
pieces, and runs there on its own:

    python3 unpack.py FOLDER --into /tmp/kit

Each call takes the pieces that are in FOLDER, so that a kit larger than one call can carry comes in
several calls. Once all pieces have arrived, the kit is unpacked and its wheels are installed beside
it. A call that is killed is simply repeated. Lives here, because both sides need them, also: the
manifest's name and the checksum. Not here: making pieces (`pieces`), running (`campaign`).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

MANIFEST = "kit.json"
PIECES, INSTALLED = "pieces", ".installed"
SITE, SOURCE, WHEELS = "site", "source", "wheels"


class Incomplete(Exception):
    """Not everything has arrived, or something arrived damaged; the text says what."""


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict:
    """The list of pieces.

    Raises:
        Incomplete: it is missing or cannot be read.
    """
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Incomplete(f"{folder / MANIFEST}: cannot be read ({error}). Carry it again") from None


def fault_of(piece: Path, listed: dict) -> str | None:
    """What is wrong with a piece, in words; None if it is as packed."""
    if not piece.is_file():
        return "is missing"
    size = piece.stat().st_size
    if size != listed["bytes"]:
        return f"has {size} bytes instead of {listed['bytes']}"
    return None if sha256(piece) == listed["sha256"] else "is damaged: its SHA-256 differs"


def take(source: Path, into: Path) -> list[str]:
    """Copy the undamaged pieces of a folder; the names of all pieces that are there now.

    Raises:
        Incomplete: a piece in the folder is damaged, or belongs to another kit.
    """
    manifest, place = read_manifest(source), into / PIECES
    place.mkdir(parents=True, exist_ok=True)
    if (place / MANIFEST).is_file() and read_manifest(place) != manifest:
        raise Incomplete(f"{into} holds another kit. Remove it, or name another folder with --into")
    if source.resolve() != place.resolve():
        shutil.copyfile(source / MANIFEST, place / MANIFEST)
    damaged = []
    for listed in manifest["pieces"]:
        name = listed["name"]
        if fault_of(place / name, listed) is None or not (source / name).is_file():
            continue
        if (fault := fault_of(source / name, listed)) is not None:
            damaged.append(f"{name} {fault}")
            continue
        temporary = place / f".{name}.tmp"
        shutil.copyfile(source / name, temporary)
        temporary.replace(place / name)
    if damaged:
        raise Incomplete(f"{'; '.join(damaged)}. Carry {_them(damaged)} again")
    return [p["name"] for p in manifest["pieces"] if (place / p["name"]).is_file()]


class Joined(io.RawIOBase):
    """The pieces one after another, as one file to read."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = list(paths)
        self._open: io.BufferedReader | None = None

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer) -> int:
        """See `io.RawIOBase`."""
        while self._open is not None or self._paths:
            if self._open is None:
                self._open = self._paths.pop(0).open("rb")
            if count := self._open.readinto(buffer):
                return count
            self._open.close()
            self._open = None
        return 0


def join(pieces: Path, into: Path) -> dict:
    """Unpack the archive that the pieces of a folder make up; its manifest.

    Raises:
        Incomplete: names every piece that is missing or damaged; nothing was unpacked.
    """
    manifest = read_manifest(pieces)
    faults = [
        f"{listed['name']} {fault}"
        for listed in manifest["pieces"]
        if (fault := fault_of(pieces / listed["name"], listed)) is not None
    ]
    if faults:
        total = len(manifest["pieces"])
        raise Incomplete(
            f"{total - len(faults)} of {total} pieces are usable: {'; '.join(faults)}."
            f" Carry {_them(faults)} again"
        )
    paths = [pieces / listed["name"] for listed in manifest["pieces"]]
    into.mkdir(parents=True, exist_ok=True)
    with (
        io.BufferedReader(Joined(paths), 1 << 20) as stream,
        tarfile.open(fileobj=stream, mode="r|*") as archive,
    ):
        archive.extractall(into, filter="data")
    return manifest


def install(into: Path, python: str) -> str:
    """Install the kit's wheels into its own folder, without an index; what was done.

    Raises:
        Incomplete: pip failed; its last line.
    """
    wheels = sorted(map(str, (into / WHEELS).glob("*.whl")))
    if not wheels:
        return "no wheels to install"
    command = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-compile", "--no-cache-dir", "--disable-pip-version-check", "--upgrade"]
    done = subprocess.run(
        [*command, "--target", str(into / SITE), *wheels],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise Incomplete(f"the wheels cannot be installed: {last}")
    return f"{len(wheels)} wheels installed"


def missing_modules(into: Path, modules: list[str], python: str) -> list[str]:
    """Modules that the campaign imports and that Python does not find, with the kit on its path."""
    asked = (
        "import importlib.util, sys\n"
        "print('\\n'.join(m for m in sys.argv[1:] if importlib.util.find_spec(m) is None))"
    )
    done = subprocess.run(
        [python, "-c", asked, *modules],
        capture_output=True,
        text=True,
        check=False,
        env=environment(into),
        cwd=into,
    )
    return done.stdout.split()


def environment(into: Path) -> dict[str, str]:
    """The variables that make a process use the kit: its code, its packages, its models."""
    return {
        **os.environ,
        "PYTHONPATH": f"{into / SOURCE}{os.pathsep}{into / SITE}",
        "ISOCOST_CACHE": str(into / "cache"),
        "PYTHONUNBUFFERED": "1",
    }


def unpack(source: Path, into: Path, python: str) -> str:
    """Take what has arrived and, if that is all, unpack and install it; what to do next.

    Raises:
        Incomplete: see `take`, `join`, `install`.
    """
    start = time.monotonic()
    into = into.resolve()
    take(source, into)
    if (into / INSTALLED).is_file():
        done = "the kit is installed already"
    else:
        manifest = join(into / PIECES, into)
        done = install(into, python)
        lacking = missing_modules(into, manifest["modules"], python)
        if lacking:
            raise Incomplete(f"Python does not find {', '.join(lacking)}. Pack the kit with them")
        (into / INSTALLED).touch()
    return (
        f"{done} ({time.monotonic() - start:.0f} s). Next:\n"
        f"PYTHONPATH={into / SOURCE}:{into / SITE} {python} -m benchmarks.accelerator.campaign"
        f" --kit {into} --out RESULTS"
    )


def _them(items: list[str]) -> str:
    return "it" if len(items) == 1 else "them"


def main(argv: list[str] | None = None) -> int:
    """Take the pieces in a folder; unpack and install the kit once all have arrived."""
    parser = argparse.ArgumentParser(prog="unpack.py", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="folder with kit.json and some of its pieces")
    parser.add_argument("--into", type=Path, required=True, help="where the kit is unpacked")
    parser.add_argument("--python", default=sys.executable, help="the Python that runs the kit")
    arguments = parser.parse_args(argv)
    try:
        print(unpack(arguments.folder, arguments.into, arguments.python))
    except Incomplete as error:
        print(f"incomplete: {error}.", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
