"""What the package index says, through pip: versions, requirements, wheels of another machine.

Lives here: the questions to pip (`versions`, `requirements_of`, `resolve`, `download`). Not here:
what is needed (`wheels`). pip's own settings decide which index is asked.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
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
_LONGEST_SAID = 2000
_HERE = "+here"


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one distribution.

    Attributes:
        name: the distribution.
        version: its version.
    """

    name: str
    version: str


class NotFound(IsocostError):
    """The index has nothing that fits a requirement."""


class Index:
    """The index as pip is configured to use it, asked for a Python on x86-64 Linux.

    Attributes:
        only_source: what `resolve` found last and cannot be carried, because the index has only its
            source and that has to be compiled on the machine.
    """

    def __init__(self, python: str, built: Path) -> None:
        """Ask on behalf of another Python.

        Args:
            python: its version, such as "3.12".
            built: folder for wheels of distributions that the index has only as source.
        """
        self.only_source: list[Release] = []
        self._built = built
        built.mkdir(parents=True, exist_ok=True)
        self._target = [
            *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
            *(word for platform in _PLATFORMS for word in ("--platform", platform)),
        ]

    def versions(self, name: str) -> list[str]:
        """All versions of a distribution.

        Raises:
            NotFound: the index does not have it, or cannot be reached.
        """
        found = re.search(r"^Available versions: (.+)$", _pip("index", "versions", name), re.M)
        return found[1].split(", ") if found else []

    def requirements_of(self, release: Release) -> list[str]:
        """What a release requires, as it states it; its wheel is not fetched.

        Raises:
            NotFound: there is no wheel of it that fits.
        """
        (item,) = self._report(["--no-deps", f"{release.name}=={release.version}"])
        return list(item["metadata"].get("requires_dist", ()))

    def resolve(self, wanted: Sequence[str], given: Mapping[str, str]) -> list[Release]:
        """Releases that meet requirements together with what is given.

        Args:
            wanted: requirements.
            given: name and version of distributions that are there and must stay as they are. They
                are not looked up, so their own requirements are not resolved.

        Returns:
            All but the given ones and `only_source`.

        Raises:
            NotFound: nothing fits one of the requirements, or two exclude each other.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            pins = [stand_in(folder, name, version) for name, version in given.items()]
            (folder / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
            words = ["--constraint", str(folder / "pins.txt")]
            for place in (folder, self._built):
                words += ["--find-links", str(place)]
            found = self._report_and_build([*words, *wanted])
        metadata = [item["metadata"] for item in found]
        releases = [Release(m["name"], m["version"]) for m in metadata if m["name"] not in given]
        self.only_source = [r for r in releases if r.version.endswith(_HERE)]
        return [r for r in releases if r not in self.only_source]

    def _report_and_build(self, words: Sequence[str]) -> list[dict[str, Any]]:
        """The report; a distribution that has no wheel is built if it is pure Python."""
        tried: set[str] = set()
        while True:
            try:
                return self._report(words)
            except NotFound as error:
                suspects = _blamed(error.what) - tried
                sources = [text for text in sorted(suspects) if not self._has_wheel(text)]
                if not sources:
                    raise
                for text in sources:
                    self._build(text, error)
                tried |= suspects

    def _has_wheel(self, requirement: str) -> bool:
        try:
            self._report(["--no-deps", requirement])
        except NotFound:
            return False
        return True

    def _build(self, requirement: str, why: NotFound) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                _pip("wheel", "--quiet", "--no-deps", "--wheel-dir", scratch, requirement)
            except NotFound:
                raise why from None
            for wheel in Path(scratch).glob("*.whl"):
                if wheel.name.endswith("-none-any.whl"):
                    shutil.copy(wheel, self._built)
                else:  # it would have to be compiled there
                    name, version, *_ = wheel.name.split("-")
                    stand_in(self._built, name, version)

    def download(self, releases: Sequence[Release], folder: Path) -> None:
        """Fetch the wheels of releases; one that is there already is not fetched again.

        Raises:
            NotFound: the index does not give a wheel.
        """
        folder.mkdir(parents=True, exist_ok=True)
        pins = [f"{r.name}=={r.version}" for r in releases]
        if pins:
            words = ["--quiet", "--no-deps", "--dest", str(folder), *self._target]
            _pip("download", *words, "--find-links", str(self._built), *pins)

    def _report(self, words: Sequence[str]) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as scratch:
            report = Path(scratch) / "report.json"
            ours = ["--dry-run", "--ignore-installed", "--report", str(report)]
            _pip("install", *ours, "--target", scratch, *self._target, *words)
            return json.loads(report.read_text(encoding="utf-8"))["install"]


def stand_in(folder: Path, name: str, version: str) -> str:
    """Write an empty wheel in place of an installed distribution; the pin that selects it.

    Its version has a local part, so that no release on an index can be meant.
    """
    if "+" not in version:
        version += _HERE
    start = f"{name.replace('-', '_')}-{version}"
    info = f"{start}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{start}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return f"{name}=={version}"


def _pip(command: str, *words: str) -> str:
    """What pip prints.

    Raises:
        NotFound: it failed; its last error.
    """
    line = [sys.executable, "-m", "pip", "--disable-pip-version-check", command, *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotFound(
            f"pip {command}: {_said(done.stdout + done.stderr)}",
            remedy="Check the name and pip's index or proxy settings.",
        )
    return done.stdout


def _blamed(said: str) -> set[str]:
    """The requirements that a complaint of pip names."""
    patterns = (r"depends on ([^;()]+?)(?=;|\.? Check|$)", r"distribution found for ([^\s;()]+)")
    return {found.strip() for pattern in patterns for found in re.findall(pattern, said)}


def _said(errors: str) -> str:
    """What pip complains about: the conflict if it names one, otherwise its last error."""
    lines = errors.splitlines()
    if (head := "The conflict is caused by:") in (stripped := [x.strip() for x in lines]):
        after = stripped[stripped.index(head) + 1 :]
        return "; ".join(after[: after.index("")] if "" in after else after)[:_LONGEST_SAID]
    found = [line for line in lines if line.startswith("ERROR")] or lines or ["it said nothing"]
    return found[-1].removeprefix("ERROR: ")[:_LONGEST_SAID]
