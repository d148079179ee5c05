"""Which wheels to carry: the vLLM that fits the machine's torch, and all that it lacks beside it.

Lives here: `fitting_vllm`, `lacking`, `cuda_of`. Not here: how the index is asked (`index`).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from benchmarks.accelerator.index import Release
from benchmarks.accelerator.machine import Machine, without_local
from isocost.errors import IsocostError

# Built for one CUDA and for each other: another version of one of them breaks the others.
TORCH_FAMILY = ("torch", "torchaudio", "torchvision", "triton")


class Asked(Protocol):
    """What answers as `index.Index` does."""

    def versions(self, name: str) -> list[str]:
        """All versions of a distribution."""
        ...

    def requirements_of(self, release: Release) -> list[str]:
        """What a release requires."""
        ...

    def resolve(self, wanted: Sequence[str], given: Mapping[str, str]) -> list[Release]:
        """Releases that meet requirements together with what is given."""
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
        release = Release("vllm", str(version))
        asked = _torch_of(index.requirements_of(release))
        if asked is not None and asked.contains(torch):
            return release
        wants.append(f"vLLM {version} wants torch{asked or ' of any version'}")
    raise IsocostError(
        f"no vLLM release in {allowed} fits torch {torch}: {'; '.join(wants) or 'none was found'}",
        where="--torch",
        remedy="Use a machine with one of these, or carry torch as well.",
    )


def _torch_of(requirements: Iterable[str]) -> SpecifierSet | None:
    found = map(Requirement, requirements)
    return next((r.specifier for r in found if r.name == "torch" and not r.marker), None)


def lacking(
    wanted: Sequence[str], machine: Machine, index: Asked, leave_out: Iterable[str] = ()
) -> list[Release]:
    """Every release that the machine lacks so that requirements are met.

    Torch and what is built with it stay as they are. A package that the machine has in another
    version than the resolved one is carried.

    Args:
        wanted: requirements.
        machine: the machine.
        index: where to ask.
        leave_out: names never to carry.

    Raises:
        IsocostError: the index lacks something, or two requirements exclude each other.
    """
    kept = {n: v for n in TORCH_FAMILY if (v := machine.packages.get(n)) is not None}
    out = {canonicalize_name(name) for name in leave_out}
    found = [r for r in index.resolve(wanted, kept) if canonicalize_name(r.name) not in out]
    return sorted(
        (r for r in found if not _has(machine, r)), key=lambda r: canonicalize_name(r.name)
    )


def _has(machine: Machine, release: Release) -> bool:
    version = machine.packages.get(canonicalize_name(release.name))
    return version is not None and Version(without_local(version)) == Version(release.version)


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
