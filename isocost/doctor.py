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
from typing import TYPE_CHECKING

from isocost.capabilities import ENGINES, POWER_SOURCES, capabilities_of, engine_names
from isocost.curves.base import FAMILIES
from isocost.importers.base import IMPORTERS
from isocost.strategies.registry import STRATEGIES
from isocost.tasks.registry import SOURCES, VERIFIERS

if TYPE_CHECKING:
    from isocost.telemetry import Board


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
    yield from _accelerators()
    for check in (_power, _variants, _code, lambda: _disk(root)):
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


def _accelerators() -> Iterator[Finding]:
    """The NVIDIA driver, and each of its boards."""
    from isocost.telemetry import Unavailable, installed_boards

    name = "NVIDIA GPU"
    try:
        boards = installed_boards()
    except Unavailable as error:
        yield Finding(
            name,
            False,
            f"{error}: models run on the processor",
            "Install the NVIDIA driver, if this machine has a GPU",
        )
        return
    except Exception as error:  # a broken driver is a finding
        yield Finding(name, False, f"{type(error).__name__}: {error}"[:200], "Repair the driver")
        return
    yield Finding(name, True, f"{len(boards)}, driver {boards[0].driver}, CUDA {boards[0].cuda}")
    for index, board in enumerate(boards):
        yield _board(f"GPU {index}", board)


def _board(name: str, board: Board) -> Finding:
    """One board; whatever would leave its energy unknown is a lack."""
    lacks = []
    if board.is_partitioned:
        lacks.append("MIG is on, so energy is unknown: turn it off, or measure without energy")
    if board.foreign_processes:
        running = ", ".join(map(str, board.foreign_processes))
        lacks.append(f"Other processes compute on it ({running}): wait until they have ended")
    others = board.foreign_processes
    detail = (
        board.name,
        f"{_gib(board.free_bytes)} of {_gib(board.memory_bytes)} GiB free",
        f"power limit {_watts(board.power_limit_w)} ({_span(board.power_range_w)})",
        "energy counter" if board.has_energy_counter else "no energy counter, power is integrated",
        "MIG on" if board.is_partitioned else "MIG off",
        f"{'unknown' if others is None else len(others)} other processes",
    )
    return Finding(name, not lacks, ", ".join(detail), "; ".join(lacks))


def _gib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**30:.1f}"


def _watts(power: float | None) -> str:
    return "unknown" if power is None else f"{power:.0f} W"


def _span(span: tuple[float, float] | None) -> str:
    return "range unknown" if span is None else f"{span[0]:.0f} to {span[1]:.0f} W can be set"


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
        lacks = "; ".join(item.what for item in lacking)
        return Finding(
            "running model-written code",
            False,
            lacks,
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
