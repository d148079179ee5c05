"""What a task of lm-eval asks: its own requests, with its shots, seeds and texts that end one.

Lives here: the settings of a task, and its requests as lm-eval builds them. Not here: finding a
task (``finding``), scoring (``scoring``).
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from isocost.hashing import sha256_hex
from isocost.tasks.harness import finding
from isocost.tasks.model import TaskMistake

_PYTHON_SEED = 0
_OTHER_SEED = 1234
"""What lm-eval seeds Python's and all other random numbers with unless told otherwise."""
_MOST_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""Names of the length of an answer; the first one that a task states counts."""
_DEFAULT_TOKENS = 256
_SCORED_BY = ("filter_list", "metric_list", "process_results", "doc_to_target", "doc_to_choice")
_COMMIT = re.compile(r"@([0-9a-f]{40})/")


@dataclass(frozen=True, slots=True)
class Settings:
    """What makes a task's requests, as lm-eval's own options.

    Attributes:
        name: the task.
        include_path: folder with YAML files of tasks of your own.
        num_fewshot: shots; None for the task's own number.
        apply_chat_template: whether the requests are chats.
        fewshot_as_multiturn: whether each shot is a turn of the chat.
        system_instruction: text before all else, or the chat's system text.
    """

    name: str
    include_path: str | None = None
    num_fewshot: int | None = None
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None


OPTIONS = tuple(field.name for field in fields(Settings) if field.name != "name")
"""The settings that a sweep may state."""


def settings_of(name: str, config: Mapping[str, Any]) -> Settings:
    """The settings of a task of the given name; other keys are ignored."""
    return Settings(name, **{key: config[key] for key in OPTIONS if key in config})


@dataclass(frozen=True, slots=True)
class Asked:
    """One document of a task as lm-eval asks it.

    Attributes:
        doc_id: its number in the data set.
        digest: hash of the document.
        question: the document alone, without shots and instruction.
        target: the correct answer, as text.
        prompt: the whole text that the model continues; in a chat, its last message.
        messages: the chat; empty for a text.
        stop: texts that end generation.
        most_tokens: tokens to generate at most.
    """

    doc_id: int
    digest: str
    question: str
    target: str
    prompt: str
    messages: tuple[Mapping[str, str], ...]
    stop: tuple[str, ...]
    most_tokens: int


class Loaded:
    """A task that lm-eval has loaded, with its data set.

    Attributes:
        settings: what it was loaded with.
        task: lm-eval's own object.
    """

    def __init__(self, settings: Settings) -> None:
        """Load it.

        Raises:
            TaskMistake: there is no such task, it cannot be loaded, or not be measured.
        """
        self.settings = settings
        manager, _ = finding.entry(settings.name, settings.include_path)
        with finding.faults(settings.name), _seeded(None) as state, _silent():
            self.task: Any = manager.load([settings.name])["tasks"][settings.name]
            self._state = state()
        self._check()
        self.task.set_config("num_fewshot", self._shots())

    def _shots(self) -> int:
        shots, own = self.settings.num_fewshot, self.task.config.num_fewshot
        if shots is None:
            return own or 0
        if shots and own == 0:
            raise TaskMistake(
                f"lm-eval asks task {self.settings.name} without shots, whatever is requested",
                remedy="Remove num_fewshot.",
                key=("config", "num_fewshot"),
            )
        return shots

    def _check(self) -> None:
        if self.settings.apply_chat_template and self.task.config.gen_prefix:
            raise TaskMistake(
                f"task {self.settings.name} of lm-eval begins the model's own turn, which a chat"
                " here cannot",
                remedy="Remove apply_chat_template, and give the prompt chat: false.",
                key=("config", "apply_chat_template"),
            )

    def documents(self) -> list[Any]:
        """Its documents, in the order in which lm-eval asks them."""
        with finding.faults(self.settings.name), _seeded(self._state), _silent():
            return [document for _, document in self.task.doc_iterator()]

    def asked(self, limit: int | None) -> list[Asked]:
        """The first documents as lm-eval asks them; all if there is no limit.

        Raises:
            TaskMistake: a document lacks a field, or makes a request of another kind.
        """
        settings, task = self.settings, self.task
        with finding.faults(settings.name), _seeded(self._state), _silent():
            task.set_fewshot_seed(seed=_OTHER_SEED)
            task.build_all_requests(
                limit=limit,
                system_instruction=settings.system_instruction,
                apply_chat_template=settings.apply_chat_template,
                fewshot_as_multiturn=settings.fewshot_as_multiturn,
                chat_template=_as_json if settings.apply_chat_template else None,
            )
            return [self._one(instance) for instance in task.instances]

    def _one(self, instance: Any) -> Asked:
        text, stated = instance.args
        messages = json.loads(text) if self.settings.apply_chat_template else []
        document = instance.doc
        until = stated.get("until") or []
        return Asked(
            doc_id=instance.doc_id,
            digest=digest(document),
            question=str(self.task.doc_to_text(document)),
            target=self._target(document),
            prompt=messages[-1]["content"] if messages else text,
            messages=tuple(messages),
            stop=tuple(filter(None, [until] if isinstance(until, str) else until)),
            most_tokens=most_tokens(stated),
        )

    def _target(self, document: Any) -> str:
        target = self.task.doc_to_target(document)
        if self.task.config.doc_to_choice is not None and isinstance(target, int):
            target = self.task.doc_to_choice(document)[target]
        return target if isinstance(target, str) else json.dumps(target, default=str)

    def commit(self) -> str | None:
        """The commit of its data set on the Hub, if the data set says so."""
        for split in self.task.dataset.values() if hasattr(self.task.dataset, "values") else ():
            for url in getattr(split.info, "download_checksums", None) or ():
                if found := _COMMIT.search(str(url)):
                    return found[1]
        return None

    def fingerprint(self, asked: list[Asked]) -> str:
        """16 hexadecimal digits over all that is asked, and over the task's way of scoring."""
        scored = {key: self.task.get_config(key) for key in _SCORED_BY}
        made = [[one.digest, one.prompt, list(one.messages), one.stop] for one in asked]
        return sha256_hex(json.dumps([made, scored], default=_named, sort_keys=True), 16)


@lru_cache(maxsize=16)
def loaded(settings: Settings) -> Loaded:
    """A task, loaded once; errors as in `Loaded`."""
    return Loaded(settings)


@lru_cache(maxsize=16)
def first_asked(settings: Settings, number: int) -> tuple[Asked, ...]:
    """The first different documents of a task; fewer if it has fewer.

    Raises:
        TaskMistake: as for `Loaded`.
    """
    for limit in (number, None):
        found = {one.digest: one for one in reversed(loaded(settings).asked(limit))}
        if len(found) >= number:
            break
    return tuple(sorted(found.values(), key=lambda one: one.doc_id)[:number])


def most_tokens(stated: Mapping[str, Any]) -> int:
    """The length of an answer that a task's generation settings state, or lm-eval's own."""
    named = [int(stated[name]) for name in _MOST_TOKENS if stated.get(name) is not None]
    return named[0] if named else _DEFAULT_TOKENS


def digest(document: Any) -> str:
    """12 hexadecimal digits over a document."""
    return sha256_hex(json.dumps(document, default=str, sort_keys=True), 12)


def _named(value: Any) -> str:
    """A function by its name; its place in memory is another in each process."""
    return str(getattr(value, "__qualname__", type(value).__name__))


def _as_json(messages: list[dict[str, str]], **_: Any) -> str:
    """In place of a model's chat template: the engine applies it."""
    return json.dumps(messages)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the progress bars of loading and building."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _seeded(state: tuple[Any, Any] | None) -> Iterator[Any]:
    """Random numbers as lm-eval seeds them, or in a given state; afterwards as before.

    Tasks that shuffle choices draw them from these. The value is a function that returns the state.
    """
    import numpy as np

    before = (random.getstate(), np.random.get_state())
    try:
        if state is None:
            random.seed(_PYTHON_SEED)
            np.random.seed(_OTHER_SEED)
        else:
            random.setstate(state[0])
            np.random.set_state(state[1])
        yield lambda: (random.getstate(), np.random.get_state())
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
