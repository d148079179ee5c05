"""Which wheels to carry: the vLLM that fits the machine's torch, and all that it lacks beside it.

Lives here: `fitting_vllm`, `lacking` (the requirements of requirements, what the machine has left
out), `cuda_of`. Not here: how the index is asked (`index`). pip's own resolver is not used: it
would also resolve torch and its CUDA libraries, which the machine has and no index need have.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from benchmarks.accelerator.index import Release
from benchmarks.accelerator.machine import Machine, without_local
from isocost.errors import IsocostError

_ROUNDS = 25


class Asked(Protocol):
    """What answers as `index.Index` does."""

    def versions(self, name: str) -> list[str]:
        """All versions of a distribution."""
        ...

    def metadata(self, requirements: Sequence[str]) -> list[Release]:
        """The newest release for each requirement."""
        ...


def fitting_vllm(machine: Machine, index: Asked, allowed: SpecifierSet) -> Release:
    """The newest vLLM whose pinned torch is the machine's.

    Args:
        machine: the machine; its torch is known.
        index: where to ask.
        allowed: versions of vLLM that Isocost supports.

    Raises:
        IsocostError: none fits; the message has what each release wants.
    """
    assert machine.torch is not None
    torch, wants = Version(without_local(machine.torch)), []
    known = sorted(map(Version, index.versions("vllm")), reverse=True)
    for version in (v for v in known if v in allowed):
        (release,) = index.metadata([f"vllm=={version}"])
        asked = _torch_of(release)
        if asked is not None and asked.contains(torch):
            return release
        wants.append(f"vLLM {version} wants torch{asked or ' of any version'}")
    raise IsocostError(
        f"no vLLM release in {allowed} fits torch {torch}: {'; '.join(wants) or 'none was found'}",
        where="--torch",
        remedy="Use a machine with one of these, or carry torch as well.",
    )


def _torch_of(release: Release) -> SpecifierSet | None:
    found = [Requirement(r) for r in release.requires]
    return next((r.specifier for r in found if r.name == "torch" and not r.marker), None)


def lacking(
    wanted: Iterable[str], machine: Machine, index: Asked, leave_out: Iterable[str] = ()
) -> list[Release]:
    """Every release that the machine lacks so that the wanted requirements are met.

    Whatever the machine has in a fitting version is taken as it is, with its own requirements.

    Args:
        wanted: requirements.
        machine: the machine.
        index: where to ask.
        leave_out: names never to carry.

    Raises:
        IsocostError: the index lacks something, or two requirements exclude each other.
    """
    needs: dict[str, list[Requirement]] = {}
    found: dict[str, Release] = {}
    left_out = {canonicalize_name(name) for name in leave_out}

    def note(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        if name not in left_out:
            needs.setdefault(name, []).append(requirement)

    for text in wanted:
        note(Requirement(text))
    followed: set[tuple[str, str, frozenset[str]]] = set()
    for _ in range(_ROUNDS):
        open_names = [name for name in needs if not _is_met(needs[name], found.get(name), machine)]
        if open_names:
            for release in index.metadata([_joined(needs[name]) for name in open_names]):
                found[canonicalize_name(release.name)] = release
        carried = _carried(needs, found, machine)
        fresh = [
            (name, r, extras)
            for name, r in carried.items()
            if (name, r.version, extras := _extras(needs[name])) not in followed
        ]
        for name, release, extras in fresh:
            followed.add((name, release.version, extras))
            for text in release.requires:
                requirement = Requirement(text)
                if machine.applies(requirement, extras):
                    note(requirement)
        if not open_names and not fresh:
            return sorted(carried.values(), key=lambda r: r.name.lower())
    raise IsocostError(
        f"the requirements of {', '.join(sorted(open_names))} exclude each other",
        where="wheels to carry",
        remedy="Leave one out with --leave-out.",
    )


def _is_met(needed: list[Requirement], found: Release | None, machine: Machine) -> bool:
    if all(machine.has(r) for r in needed):
        return True
    return found is not None and all(
        r.specifier.contains(found.version, prereleases=True) for r in needed
    )


def _carried(
    needs: dict[str, list[Requirement]], found: dict[str, Release], machine: Machine
) -> dict[str, Release]:
    return {
        name: release
        for name, release in found.items()
        if not all(machine.has(r) for r in needs[name])
    }


def _extras(needed: list[Requirement]) -> frozenset[str]:
    return frozenset(extra for r in needed for extra in r.extras)


def _joined(needed: list[Requirement]) -> str:
    extras = _extras(needed)
    versions = ",".join(sorted({str(s) for r in needed for s in r.specifier}))
    named = f"[{','.join(sorted(extras))}]" if extras else ""
    return f"{needed[0].name}{named}{versions}"


def cuda_of(wheel: Path) -> int | None:
    """The major version of CUDA that the libraries in a wheel are linked to; None if none is."""
    with zipfile.ZipFile(wheel) as archive:
        libraries = [i for i in archive.infolist() if i.filename.endswith(".so")]
        for item in sorted(libraries, key=lambda i: i.file_size):
            with archive.open(item) as handle:
                before = b""
                while block := handle.read(1 << 20):
                    if found := re.search(rb"libcudart\.so\.(\d+)", before + block):
                        return int(found[1])
                    before = block[-32:]
    return None
