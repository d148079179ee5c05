"""Find the registered sources and verifiers.

Lives here: discovery of the modules in sources/ and verifiers/ and lookup by name. A module there
defines `SOURCE` or `VERIFIER`; adding one touches no other file. Not here: the protocols they
implement (isocost.tasks.model).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from typing import cast

from isocost.errors import IsocostError
from isocost.tasks.model import TaskMistake, TaskSource, Verifier


@cache
def _registered(package: str, attribute: str) -> dict[str, object]:
    found: dict[str, object] = {}
    home = importlib.import_module(f"isocost.tasks.{package}")
    for info in sorted(pkgutil.iter_modules(home.__path__), key=lambda item: item.name):
        variant = getattr(
            importlib.import_module(f"isocost.tasks.{package}.{info.name}"), attribute, None
        )
        if variant is None:
            continue
        if variant.name in found:
            raise IsocostError(
                f"two modules register {variant.name}",
                where=f"isocost.tasks.{package}.{info.name}",
                remedy="Rename one.",
            )
        found[variant.name] = variant
    return found


def source_names() -> tuple[str, ...]:
    """Names of all registered task sources."""
    return tuple(_registered("sources", "SOURCE"))


def verifier_names() -> tuple[str, ...]:
    """Names of all registered verifiers."""
    return tuple(_registered("verifiers", "VERIFIER"))


def source_of(name: str) -> TaskSource:
    """A task source by name.

    Raises TaskMistake (key "source") for an unknown one.
    """
    found = _registered("sources", "SOURCE")
    if name not in found:
        raise TaskMistake(
            f"unknown task source {name}", remedy=nearest(name, found, "sources"), key=("source",)
        )
    return cast(TaskSource, found[name])


def verifier_of(name: str) -> Verifier:
    """A verifier by name. Raises TaskMistake (key "verifier") for an unknown one."""
    found = _registered("verifiers", "VERIFIER")
    if name not in found:
        raise TaskMistake(
            f"unknown verifier {name}", remedy=nearest(name, found, "verifiers"), key=("verifier",)
        )
    return cast(Verifier, found[name])


def nearest(word: str, known: object, kind: str) -> str:
    """Remedy for an unknown word: the nearest known word, and the list of known words."""
    names = sorted(str(name) for name in known)  # type: ignore[attr-defined]
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    return (f"Did you mean {near[0]}? " if near else "") + f"Known {kind}: {shown}."
