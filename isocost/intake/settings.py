"""The settings of a data root: ``isocost.yaml``, and the replay requests of planned sweeps.

Lives here: reading and checking of that file, the settings of a task, and the location of planned
sweeps' requests. Not here: the effect of a setting (``isocost.strategies``, ``isocost.tables``). A
new
setting is one more field of ``Settings``.

Settings for a task in ``isocost.yaml`` take precedence, then its settings for all tasks, then those
of sweeps; lists of several sweeps of one task are joined.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.plain_files import stored_bytes
from isocost.seals import unsealed_json
from isocost.strategies.options import ReplayOptions
from isocost.sweep import SweepSpec
from isocost.sweep.loader import first_mistake
from isocost.sweep.models import Frozen
from isocost.sweep.replay import FIELDS, ReplayEntry, ReplayFields
from isocost.sweep.source import read_yaml

NAME = "isocost.yaml"
_SUFFIX = ".replay"


class Settings(Frozen):
    """The keys of ``isocost.yaml``.

    Attributes:
        replay: budgets, windows, tie rules and order, of all tasks and by task.
        failed: whether samples that failed are left out of every mean or count as wrong.
        unanswered: whether an empty completion is wrong or left out.
    """

    replay: ReplayEntry = ReplayEntry()
    failed: Literal["undefined", "wrong"] = "undefined"
    unanswered: Literal["wrong", "undefined"] = "wrong"


def read_settings(root: Path) -> Settings:
    """The settings of a data root; the defaults if it has no file.

    Raises:
        IsocostError: the file is not YAML, has an unknown key or a value out of range; the error
            gives file, line, key and the nearest name.
    """
    path = root / NAME
    if not path.exists():
        return Settings()
    value, source = read_yaml(path)
    if value is not None and not isinstance(value, dict):
        remedy = f"A settings file has the keys {', '.join(Settings.model_fields)}"
        raise IsocostError(
            f"is a {type(value).__name__}, not a mapping of keys",
            where=str(path),
            remedy=remedy,
        )
    try:
        return Settings.model_validate(value or {})
    except ValidationError as error:
        raise first_mistake(error, source, Settings) from None


def replay_options(root: Path, task: str) -> ReplayOptions:
    """How the points of a task are replayed.

    Args:
        root: the data root.
        task: its name.

    Raises:
        IsocostError: the settings file, or the note of a planned sweep, is damaged.
    """
    told = read_settings(root).replay.of(task).over(_of_sweeps(root, task))
    asked = {
        name: tuple(dict.fromkeys(values))
        for name in FIELDS
        if (values := getattr(told, name)) is not None
    }
    for name in ("budgets", "windows"):
        if name in asked:
            asked[name] = tuple(sorted(asked[name]))
    return ReplayOptions(**asked)


def sweep_note(root: Path, spec: SweepSpec, path: Path) -> tuple[Path, str | None]:
    """The note of a planned sweep's replay requests.

    Its path and its text; no text if it requests nothing.
    """
    place = _folder(root) / f"{spec.sweep}-{sha256_hex(str(path.resolve()), 8)}{_SUFFIX}"
    if spec.replay == ReplayEntry():
        return place, None
    told = {
        entry.name: spec.replay.of(entry.name).model_dump(mode="json", exclude_none=True)
        for entry in spec.tasks
    }
    return place, json.dumps(told, indent=1, sort_keys=True)


def unknown_tasks(root: Path, known: set[str]) -> list[str]:
    """Tasks that ``isocost.yaml`` names and nothing is banked of."""
    return sorted(set(read_settings(root).replay.tasks) - known)


def _folder(root: Path) -> Path:
    return root / "lake" / "sessions"


def broken_asks(root: Path) -> list[IsocostError]:
    """Why the replay requests of single sweeps are ignored: their files cannot be read."""
    faults = []
    for path in sorted(_folder(root).glob(f"*{_SUFFIX}")):
        try:
            for told in _asks(path).values():
                ReplayFields.model_validate(told)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            remedy = "Remove it and plan the sweep again"
            faults.append(IsocostError(f"cannot be read: {said}", where=str(path), remedy=remedy))
    return faults


def _asks(path: Path) -> dict[str, Any]:
    return unsealed_json(stored_bytes(path), path.name)


def _of_sweeps(root: Path, task: str) -> ReplayFields:
    """The requests of planned sweeps for a task; their lists joined.

    Without those of ``broken_asks``.
    """
    joined: dict[str, list[Any]] = {}
    for path in sorted(_folder(root).glob(f"*{_SUFFIX}")):
        with suppress(OSError, ValueError, AttributeError, TypeError):
            told = ReplayFields.model_validate(_asks(path).get(task, {}))
            for name, values in told.model_dump(exclude_none=True).items():
                joined.setdefault(name, []).extend(values)
    return ReplayFields(**{name: tuple(values) for name, values in joined.items()})
