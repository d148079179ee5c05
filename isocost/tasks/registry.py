"""Find the registered task sources and verifiers.

Lives here: the two registries and lookup by name. A source is a class in a module of sources/, a
verifier a class in a module of verifiers/; adding one touches no other file. Not here: the
protocols they implement (isocost.tasks.model).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from isocost.registry import Registry, did_you_mean
from isocost.tasks.model import TaskMistake, TaskSource, Verifier
from isocost.verifier_settings import name_of, options_of

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


def verifier_of(text: str) -> Verifier:
    """A verifier by its name, with its options if the text has any.

    Args:
        text: see ``isocost.verifier_settings``.

    Raises:
        TaskMistake: (key "verifier", or that of the option) an unknown verifier, or options that it
            does not take.
    """
    name, found = name_of(text), VERIFIERS.all()
    if name not in found:
        raise TaskMistake(
            f"unknown verifier {name}", remedy=VERIFIERS.remedy(name), key=("verifier",)
        )
    return found[name] if text == name else _configured(found[name], text)


def check_options(text: str) -> None:
    """Check a verifier's options, also that none which it needs is missing.

    Raises:
        TaskMistake: as `verifier_of`.
    """
    found = verifier_of(text)
    settings: type[BaseModel] | None = getattr(found, "settings", None)
    if settings is not None:
        _settings(settings, name_of(text), options_of(text))


def check_access(text: str) -> None:
    """Check what a verifier needs of this machine, such as the key of a judge.

    Raises:
        TaskMistake: it is missing.
    """
    check = getattr(verifier_of(text), "check_access", None)
    if check is not None:
        check()


def check_import(text: str) -> None:
    """Check a verifier of imported texts, whose problems have a question and a reference only.

    Raises:
        TaskMistake: it needs something else.
    """
    check = getattr(verifier_of(text), "check_fields", None)
    if check is not None:
        check(())
    check_access(text)


@lru_cache(maxsize=1024)
def _configured(found: Verifier, text: str) -> Verifier:
    name = name_of(text)
    try:
        options = options_of(text)
    except ValueError as error:
        raise TaskMistake(
            f"the options of verifier {name} cannot be read: {error}",
            remedy="Write them as a mapping: {name: " + name + ", option: value}.",
            key=("verifier",),
        ) from None
    settings: type[BaseModel] | None = getattr(found, "settings", None)
    if settings is None:
        raise TaskMistake(
            f"verifier {name} has no options",
            remedy=f"Write verifier: {name}.",
            key=("verifier", *list(options)[:1]),
        )
    kind: Any = type(found)
    configured: Verifier = kind(_settings(settings, name, options))
    return configured


def _known(settings: type[BaseModel], place: tuple[Any, ...]) -> Iterable[str]:
    """The options beside a wrong one, where they are those of the verifier itself."""
    return settings.model_fields if len(place) == 1 else ()


def _settings(settings: type[BaseModel], name: str, options: dict[str, Any]) -> BaseModel:
    try:
        return settings.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(part for part in first["loc"] if part not in ("function-before", "dict"))
        what, remedy = first["msg"].removeprefix("Value error, "), "Correct the value."
        if first["type"] == "extra_forbidden":
            what = f"verifier {name} has no option {'.'.join(map(str, place))}"
            remedy = did_you_mean(str(place[-1]), _known(settings, place), kind="options")
        elif first["type"] == "missing":
            what = f"option {'.'.join(map(str, place))} of verifier {name} is missing"
            remedy = f"Add it. Options: {', '.join(settings.model_fields)}."
            place = place[:-1]
        if "judges" not in options and place[:2] == ("judges", 0):
            place = place[2:]  # one judge is stated by its keys directly
        raise TaskMistake(what, remedy=remedy, key=("verifier", *place)) from None
