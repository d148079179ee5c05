"""What the machine with the GPU is and already has, as far as it is known here.

Lives here: `Machine`, read from a list of installed packages. Not here: asking the package index
(`index`), choosing what to carry (`wheels`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from isocost.errors import IsocostError

_LINE = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\s*==\s*|\s+|$)([^\s;]*)")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that the kit is for.

    Attributes:
        python: its Python, such as "3.12".
        packages: installed distributions by canonical name; None if the version is unknown.
    """

    python: str
    packages: Mapping[str, str | None]

    @property
    def torch(self) -> str | None:
        """Its version of torch."""
        return self.packages.get("torch")

    @property
    def cuda(self) -> int | None:
        """The major version of CUDA that its torch was built for, if the version says so."""
        found = re.search(r"\+cu(\d+)\d$", self.torch or "")
        return int(found[1]) if found else None


def without_local(version: str) -> str:
    """A version without the part after "+", which names a build."""
    return version.partition("+")[0]


def described(python: str, torch: str | None, listed: Path | None) -> Machine:
    """The machine that the command line describes.

    Args:
        python: its Python.
        torch: its torch, if the list does not have the version.
        listed: what `pip list` or `pip freeze` printed there, or one name per line.

    Raises:
        IsocostError: the list cannot be read.
    """
    packages = _listed(listed) if listed else {}
    if torch:
        known = packages.get("torch")
        if known is None or Version(without_local(known)) != Version(without_local(torch)):
            packages["torch"] = torch
    return Machine(python, packages)


def this_machine() -> Machine:
    """The environment that runs this."""
    import platform

    found = {canonicalize_name(d.name): d.version for d in distributions()}
    return Machine(".".join(platform.python_version_tuple()[:2]), found)


def _listed(path: Path) -> dict[str, str | None]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IsocostError(
            f"cannot be read: {error}",
            where=str(path),
            remedy="Give what `pip list` prints on the machine.",
        ) from None
    packages: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("#", "Package ", "---")):
            continue
        found = _LINE.match(line.strip())
        if not found:
            raise IsocostError(
                f"{line.strip()[:60]!r} is not a package with its version",
                where=f"{path} line {number}",
                remedy="Give what `pip list` or `pip freeze` prints on the machine.",
            )
        packages[canonicalize_name(found[1])] = _version(found[2])
    return packages


def _version(text: str) -> str | None:
    try:
        return str(Version(text))
    except InvalidVersion:  # "@ file:///…" of pip freeze, or none
        return None
