"""Find a task of the installed lm-eval by its name, without reading the other thousands.

Lives here: the package and its version, the YAML file of a task, and its mistakes and those of its
data set in words for people. Not here: what a task asks (``asking``).
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from isocost.credentials import redacted
from isocost.tasks.model import TaskMistake

GENERATES = "generate_until"
_SHOWN = 8
_NOT_REACHED = ("offline", "connection", "couldn't reach", "couldn’t reach", "localentrynotfound")


def module(name: str) -> Any:
    """A module of the package (2 s for the first, hence not at module level).

    Raises:
        TaskMistake: the package, or one that it needs, is not installed.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise _not_installed("the package lm-eval is not installed")
    try:
        return importlib.import_module(f"lm_eval.{name}")
    except ImportError as error:
        raise _not_installed(f"the package lm-eval cannot be imported: {error}") from None


def _not_installed(what: str) -> TaskMistake:
    remedy = "Install it with `pip install 'isocost[lm-eval]'`."
    return TaskMistake(what, remedy=remedy, key=("source",))


def version() -> str:
    """The installed version of lm-eval."""
    module("tasks")
    return metadata.version("lm-eval")


@cache
def entry(name: str, include_path: str | None) -> tuple[Any, dict[str, Any]]:
    """The task manager that knows a task, and the task's settings as its YAML file states them.

    Args:
        name: the task.
        include_path: a folder with YAML files of tasks, which come before lm-eval's own.

    Raises:
        TaskMistake: there is no such task, it is a group of tasks, or it does not generate text.
    """
    manager = module("tasks").TaskManager
    own = Path(module("tasks").__file__).parent
    for root in [Path(include_path).expanduser()] if include_path else []:
        if not root.is_dir():
            raise TaskMistake(
                f"there is no folder {include_path}",
                remedy=f"The path is relative to the working directory, {Path.cwd()}.",
                key=("config", "include_path"),
            )
    roots = [*([Path(include_path).expanduser()] if include_path else []), own]
    for root in roots:
        for file in _files_with(root, name):
            with _quiet():
                found = manager(include_defaults=False, include_path=str(file.parent))
            known = found.task_index.get(name)
            if known is not None and name in found.all_subtasks:
                _check_kind(name, known.cfg, include_path)
                return found, dict(known.cfg)
    raise _unknown(name, include_path)


def _files_with(root: Path, name: str) -> Iterator[Path]:
    """YAML files in which a task has the given name, in the order in which lm-eval reads them."""
    named = re.compile(rf"^[\"']?task[\"']?\s*:\s*[\"']?{re.escape(name)}[\"']?\s*(?:#.*)?$", re.M)
    for file in sorted(root.glob("**/*.yaml"), key=Path.as_posix):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if named.search(text):
            yield file


def _check_kind(name: str, stated: dict[str, Any], include_path: str | None) -> None:
    if "class" in stated:
        raise TaskMistake(
            f"task {name} of lm-eval is a Python class with requests of its own kind",
            remedy="Name a task that lm-eval defines in YAML alone.",
            key=("dataset",),
        )
    if stated.get("unsafe_code"):
        raise TaskMistake(
            f"task {name} of lm-eval runs what the model writes, outside any sandbox",
            remedy="Use the ready-made tasks humaneval_plus or mbpp_plus (`isocost tasks`).",
            key=("dataset",),
        )
    if stated.get("doc_to_image") or stated.get("doc_to_audio"):
        raise TaskMistake(
            f"task {name} of lm-eval asks about images or sound",
            remedy="Name a task of text alone.",
            key=("dataset",),
        )
    kind = stated.get("output_type", GENERATES)
    if kind != GENERATES:
        stem = re.split(r"[_-]", name)[0]
        near = [one for one in _generating(include_path) if one.startswith(stem)]
        near = difflib.get_close_matches(name, near, n=_SHOWN, cutoff=0.0)
        also = f" Tasks that generate: {', '.join(near)}." if near else ""
        raise TaskMistake(
            f"task {name} of lm-eval is scored by the likelihood of given texts ({kind}), which is"
            " not measured: a sample is text that a model generates",
            remedy=f"Name a task whose answers are generated, or measure this one with lm-eval."
            f"{also}",
            key=("dataset",),
        )


@cache
def _everything(include_path: str | None) -> Any:
    """The manager that knows all tasks (10 s)."""
    with _quiet():
        return module("tasks").TaskManager(include_path=include_path)


def _generating(include_path: str | None) -> list[str]:
    index = _everything(include_path).task_index
    return [
        name
        for name in _everything(include_path).all_subtasks
        if (index[name].cfg or {}).get("output_type", GENERATES) == GENERATES
        and "class" not in (index[name].cfg or {})
    ]


def _unknown(name: str, include_path: str | None) -> TaskMistake:
    manager = _everything(include_path)
    known = manager.task_index.get(name)
    if known is not None and name not in manager.all_subtasks:
        members = (known.cfg or {}).get("task", []) if known.cfg else sorted(known.tags)
        names = [m if isinstance(m, str) else str(m.get("task", m.get("group"))) for m in members]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return TaskMistake(
            f"{name} is a group of {len(names)} tasks of lm-eval",
            remedy=f"Name each one as a task of its own: {', '.join(names[:_SHOWN])}{more}.",
            key=("dataset",),
        )
    names = manager.all_subtasks
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.6)
    begun = [one for one in names if one.startswith(name)][:_SHOWN]
    meant = list(dict.fromkeys([*near, *begun]))
    return TaskMistake(
        f"lm-eval {version()} has no task {name}",
        remedy=(f"Did you mean {' or '.join(meant[:5])}? " if meant else "")
        + f"`lm-eval ls tasks` lists all {len(names):,}; a folder of your own goes under"
        " config.include_path.",
        key=("dataset",),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lm-eval's own log to what is an error."""
    log = logging.getLogger("lm_eval")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def faults(name: str) -> Iterator[None]:
    """What lm-eval or its data set says about a task, as a mistake of the task.

    Raises:
        TaskMistake: anything goes wrong inside.
    """
    with _quiet():
        try:
            yield
        except TaskMistake:
            raise
        except Exception as error:  # whatever a foreign task does wrong
            raise _mistake(name, error) from None


def _mistake(name: str, error: Exception) -> TaskMistake:
    kind = type(error).__name__
    said = redacted(" ".join(str(error).split())[:300]) or kind
    low = f"{kind} {said}".lower()
    key: tuple[str | int, ...] = ("dataset",)
    if "gated" in low:
        remedy = "Request access on the data set's page, and set HF_TOKEN."
    elif any(word in low for word in _NOT_REACHED):
        remedy = (
            "Connect to the hub, or fill its cache first: with HF_HUB_OFFLINE=1 only the cache is"
            " read. For files of your own, name a task under config.include_path."
        )
    elif isinstance(error, ImportError):
        remedy = f"Install what task {name} needs; lm-eval's extras name it."
    elif kind in ("UndefinedError", "KeyError"):
        remedy = "Correct the task's YAML file: it names a field that its documents do not have."
    elif isinstance(error, FileNotFoundError):
        remedy = (
            "Correct dataset_kwargs.data_files in the task's YAML file; paths are relative to the"
            f" working directory, {Path.cwd()}."
        )
    else:
        remedy = f"`lm-eval run --tasks {name} --limit 1` shows it with lm-eval alone."
    return TaskMistake(f"lm-eval cannot load task {name}: {kind}: {said}", remedy=remedy, key=key)
