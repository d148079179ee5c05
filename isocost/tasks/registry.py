"""Find the registered task sources and verifiers.

Lives here: the two registries and lookup by name. A source is a class in a module of sources/, a
verifier a class in a module of verifiers/; adding one touches no other file. Not here: the
protocols they implement (isocost.tasks.model).
"""

from __future__ import annotations

from isocost.registry import Registry
from isocost.tasks.model import TaskMistake, TaskSource, Verifier

SOURCES: Registry[TaskSource] = Registry("task source", "isocost.tasks.sources")
VERIFIERS: Registry[Verifier] = Registry("verifier", "isocost.tasks.verifiers")
register_source = SOURCES.instance
register_verifier = VERIFIERS.instance


def source_names() -> tuple[str, ...]:
    """Names of all registered task sources."""
    return SOURCES.names()


def verifier_names() -> tuple[str, ...]:
    """Names of all registered verifiers."""
    return VERIFIERS.names()


def source_of(name: str) -> TaskSource:
    """A task source by name. Raises TaskMistake (key "source") for an unknown one."""
    found = SOURCES.all()
    if name not in found:
        raise TaskMistake(
            f"unknown task source {name}", remedy=SOURCES.remedy(name), key=("source",)
        )
    return found[name]


def verifier_of(name: str) -> Verifier:
    """A verifier by name. Raises TaskMistake (key "verifier") for an unknown one."""
    found = VERIFIERS.all()
    if name not in found:
        raise TaskMistake(
            f"unknown verifier {name}", remedy=VERIFIERS.remedy(name), key=("verifier",)
        )
    return found[name]
