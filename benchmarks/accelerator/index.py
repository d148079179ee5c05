"""What the package index says, through pip: versions, requirements, wheels of another machine.

Lives here: the three questions to pip (`versions`, `metadata`, `download`). Not here: what is
needed (`wheels`). pip's own settings decide which index is asked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError

# pip takes the tags literally: a wheel for an older system fits only if its tag is listed.
_GLIBC = (39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 27, 26, 24, 17, 12, 5)
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in _GLIBC),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
)


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one distribution.

    Attributes:
        name: the distribution.
        version: its version.
        requires: its requirements, as it states them.
        is_source: there is no wheel that fits, only a source distribution.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    is_source: bool = False


class NotFound(IsocostError):
    """The index has nothing that fits a requirement."""


class Index:
    """The index as pip is configured to use it, asked for a Python on x86-64 Linux."""

    def __init__(self, python: str) -> None:
        """Ask on behalf of a Python version, such as "3.12"."""
        self._target = [
            *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
            *(word for platform in _PLATFORMS for word in ("--platform", platform)),
        ]

    def versions(self, name: str) -> list[str]:
        """All versions of a distribution, newest first.

        Raises:
            NotFound: the index does not have it, or cannot be reached.
        """
        said = _pip("index", "versions", name)
        found = re.search(r"^Available versions: (.+)$", said, re.MULTILINE)
        return found[1].split(", ") if found else []

    def metadata(self, requirements: Sequence[str]) -> list[Release]:
        """The newest release that fits each requirement; their own requirements are not followed.

        Raises:
            NotFound: nothing fits one of them, neither a wheel nor a source distribution.
        """
        try:
            return self._report(requirements, self._target)
        except NotFound:
            if len(requirements) == 1:
                return self._report(requirements, [], is_source=True)
        half = len(requirements) // 2
        return self.metadata(requirements[:half]) + self.metadata(requirements[half:])

    def download(self, releases: Sequence[Release], folder: Path) -> None:
        """Fetch the wheels of releases; one that is there already is not fetched again.

        Raises:
            NotFound: a wheel is not there, or a source distribution does not give a pure one.
        """
        folder.mkdir(parents=True, exist_ok=True)
        wheels = [f"{r.name}=={r.version}" for r in releases if not r.is_source]
        if wheels:
            target = ["--no-deps", "--dest", str(folder), *self._target]
            _pip("download", "--quiet", *target, *wheels)
        for release in (r for r in releases if r.is_source):
            pin = f"{release.name}=={release.version}"
            with tempfile.TemporaryDirectory() as scratch:
                _pip("wheel", "--quiet", "--no-deps", "--wheel-dir", scratch, pin)
                (built,) = Path(scratch).glob("*.whl")
                if not built.name.endswith("-none-any.whl"):
                    raise NotFound(f"{pin} has no wheel for the machine, only source to compile")
                (folder / built.name).write_bytes(built.read_bytes())

    def _report(
        self, requirements: Sequence[str], target: Sequence[str], *, is_source: bool = False
    ) -> list[Release]:
        with tempfile.TemporaryDirectory() as scratch:
            report = Path(scratch) / "report.json"
            words = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
            words += ["--report", str(report), "--target", scratch, *target]
            _pip("install", *words, *requirements)
            found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
        told = [item["metadata"] for item in found]
        return [
            Release(m["name"], m["version"], tuple(m.get("requires_dist", ())), is_source)
            for m in told
        ]


def _pip(command: str, *words: str) -> str:
    """What pip prints.

    Raises:
        NotFound: it failed; its last error.
    """
    line = [sys.executable, "-m", "pip", "--disable-pip-version-check", command, *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [e for e in done.stderr.splitlines() if e.startswith("ERROR")]
        said = (errors or done.stderr.splitlines() or ["it said nothing"])[-1]
        raise NotFound(
            f"pip {command}: {said.removeprefix('ERROR: ')[:300]}",
            remedy="Check the name and pip's index or proxy settings.",
        )
    return done.stdout
