"""What this machine supports, and what it lacks.

Lives here: one finding per capability, each with a remedy. Not here: the capabilities themselves;
each package reports its own.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isocost.capabilities import ENGINES, POWER_SOURCES, capabilities_of, engine_names
from isocost.curves.base import FAMILIES
from isocost.importers.base import IMPORTERS
from isocost.strategies.registry import STRATEGIES
from isocost.tasks.registry import SOURCES, VERIFIERS


@dataclass(frozen=True, slots=True)
class Finding:
    """One capability.

    Attributes:
        name: its purpose.
        is_there: whether this machine has it.
        detail: what was found, or what is missing.
        remedy: what to do if it is missing; empty otherwise.
    """

    name: str
    is_there: bool
    detail: str
    remedy: str = ""


def examine(root: Path) -> Iterator[Finding]:
    """Every capability, in the order in which users need them.

    Args:
        root: the data root, for the free space on its disk.
    """
    yield _found(_python)
    yield from _engines()
    for check in (_accelerator, _power, _variants, _code, lambda: _disk(root)):
        yield _found(check)


def _found(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # a broken driver or package is a finding
        return Finding(
            getattr(check, "__name__", "check").strip("_"),
            False,
            f"{type(error).__name__}: {error}"[:200],
            "Repair it",
        )


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", True, f"{version}, {sys.executable}")


def _engines() -> Iterator[Finding]:
    """Engines that load a model here need a package; the others need a server or a bank."""
    from importlib.metadata import PackageNotFoundError, version

    for name in engine_names():
        declared = capabilities_of(name)
        if not declared.loads_model:
            continue
        found = []
        for package in declared.packages:
            with suppress(PackageNotFoundError):
                found.append(f"{package} {version(package)}")
        yield Finding(
            f"engine {name}",
            bool(found),
            ", ".join(found) or f"none of {', '.join(declared.packages)} is installed",
            "" if found else "Run `make setup`",
        )


def _variants() -> Finding:
    """Whether every module that registers something could be imported."""
    registries = (ENGINES, POWER_SOURCES, IMPORTERS, STRATEGIES, FAMILIES, SOURCES, VERIFIERS)
    counted = ", ".join(f"{len(each.names())} {each.plural}" for each in registries)
    broken = [error for each in registries for error in each.broken.values()]
    return Finding(
        "variants",
        not broken,
        "; ".join(f"{error.where}: {error.what}" for error in broken) or counted,
        "Correct the modules named or take them away" if broken else "",
    )


def _accelerator() -> Finding:
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            boards = [
                pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))
                for index in range(pynvml.nvmlDeviceGetCount())
            ]
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return Finding(
            "NVIDIA GPU", False, f"cannot be queried ({error}): models run on the processor"
        )
    return Finding("NVIDIA GPU", bool(boards), ", ".join(map(str, boards)) or "none")


def _power() -> Finding:
    from isocost.telemetry import open_source

    source = open_source()
    try:
        reason = source.unknown_reason
        return Finding(
            "power source",
            reason is None,
            reason or source.name,
            "" if reason is None else "Energy stays NULL; docs/guides/energy.md",
        )
    finally:
        source.close()


def _code() -> Finding:
    from isocost.tasks.isolation import SWITCH, is_enabled, missing

    lacking = missing()
    if lacking:
        told = "; ".join(item.what for item in lacking)
        return Finding(
            "running model-written code",
            False,
            told,
            "; ".join(dict.fromkeys(item.remedy for item in lacking)),
        )
    return Finding(
        "running model-written code",
        True,
        "allowed" if is_enabled() else f"can be isolated; off until {SWITCH}=1",
    )


def _disk(root: Path) -> Finding:
    place = next(folder for folder in (root, *root.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free / 2**30
    return Finding(
        "disk",
        free > 4,
        f"{free:.1f} GiB free at {place}",
        "" if free > 4 else "Free some space: an environment alone takes 3.5 GiB",
    )
