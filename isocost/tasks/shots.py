"""Worked examples that a task shows before each of its problems.

Lives here: the settings `config.n_shots` and `config.shots`, common to all sources, and the choice
of the examples. Not here: how they become messages (``isocost.tasks.prompts``), the examples that a
ready-made task has by its convention (``isocost.tasks.ready``).

`shots` says where examples come from: `examples`, a list of {question, answer} and further fields
that templates name, or what the source offers: another split or file, or another seed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isocost.hashing import sha256_hex
from isocost.registry import did_you_mean
from isocost.tasks.model import Problem, Shot, TaskMistake

KEYS = ("n_shots", "shots")
ANSWER_FIELD = "shot_answer"
"""Field of a problem that a source has read as its worked answer; the reference without one."""
_RESOLVED = "sha256"
_INLINE = "examples"
_MOST = 1000


@dataclass(frozen=True, slots=True)
class ShotSettings:
    """What a task says about its examples.

    Attributes:
        count: how many; None for as many as are given.
        place: where they come from; empty if the task names none.
    """

    count: int | None
    place: Mapping[str, Any]

    @property
    def is_inline(self) -> bool:
        """Whether the examples are in the sweep file."""
        return _INLINE in self.place


def shot_settings(config: Mapping[str, Any]) -> ShotSettings | None:
    """The settings of a task's examples; None if it has none.

    Raises:
        TaskMistake: one is of the wrong kind.
    """
    if not set(KEYS) & set(config):
        return None
    count, place = config.get("n_shots"), config.get("shots", {})
    if count is not None and (type(count) is not int or not 0 <= count <= _MOST):
        raise TaskMistake(
            f"must be a whole number from 0 to {_MOST}",
            remedy="Give the number of examples.",
            key=("config", "n_shots"),
        )
    if not isinstance(place, dict) or ("shots" in config and not place):
        raise TaskMistake(
            "does not say where the examples come from",
            remedy="Write for example `shots: {examples: [{question: 1 + 1, answer: 2}]}`.",
            key=("config", "shots"),
        )
    if _INLINE in place:
        _check_inline(place, count)
    elif place and count is None:
        raise TaskMistake(
            "the number of examples is not stated",
            remedy="Add n_shots beside shots.",
            key=("config", "shots"),
        )
    return ShotSettings(count, place)


def _check_inline(place: Mapping[str, Any], count: int | None) -> None:
    key = ("config", "shots", _INLINE)
    given = place[_INLINE]
    others = sorted(set(place) - {_INLINE, _RESOLVED})
    if others:
        raise TaskMistake(
            f"examples are written here and taken from {others[0]}",
            remedy="Keep one of them.",
            key=("config", "shots", others[0]),
        )
    if not isinstance(given, list) or not given:
        raise TaskMistake(
            "no examples are given", remedy="Give a list of {question, answer}.", key=key
        )
    for index, example in enumerate(given):
        whole = isinstance(example, dict) and {"question", "answer"} <= set(example)
        if not whole or not all(
            isinstance(v, str | int | float) and not isinstance(v, bool) and str(v).strip()
            for v in example.values()
        ):
            raise TaskMistake(
                "an example has a question and an answer, and further fields that are texts",
                remedy="Correct the entry.",
                key=(*key, index),
            )
    if count is not None and count > len(given):
        raise TaskMistake(
            f"{len(given)} examples are given; {count} are requested",
            remedy=f"Ask for at most {len(given)}, or add some.",
            key=("config", "n_shots"),
        )


def example_keys(place: Mapping[str, Any], known: Collection[str], source: str) -> None:
    """Check that a source can take examples from a place.

    Args:
        place: the setting `shots`.
        known: what the source offers; one of the names is needed.
        source: its name.

    Raises:
        TaskMistake: it offers no such place, or none is named.
    """
    for name, value in place.items():
        if name == _RESOLVED:
            continue
        if name not in known:
            raise TaskMistake(
                f"source {source} takes no examples from {name}",
                remedy=did_you_mean(name, [*known, _INLINE], kind="keys here"),
                key=("config", "shots", name),
            )
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise TaskMistake(
                f"{name} must be a text or a number",
                remedy="Quote it.",
                key=("config", "shots", name),
            )


def inline_shots(settings: ShotSettings) -> tuple[Shot, ...]:
    """The examples that are written in the sweep file."""
    given = settings.place[_INLINE][: settings.count]
    made = []
    for example in given:
        fields = {name: str(value) for name, value in example.items() if name != "answer"}
        fields.setdefault("prompt", fields["question"])
        made.append(Shot(fields, str(example["answer"])))
    return tuple(made)


def chosen_shots(
    settings: ShotSettings,
    load: Callable[[int], tuple[Problem, ...]],
    problems: Iterable[Problem],
) -> tuple[Shot, ...]:
    """The first examples of a source that are not among the problems asked.

    Args:
        settings: how many.
        load: reads the first examples, as many as it is asked for.
        problems: what is asked.

    Raises:
        TaskMistake: there are too few.
    """
    asked = {_same(problem.question) for problem in problems}
    count = settings.count or 0
    wanted = count
    while True:
        try:
            found = load(wanted) if wanted else ()
        except TaskMistake as mistake:
            if mistake.key != ("n_problems",):
                raise TaskMistake(
                    mistake.what,
                    where=mistake.where,
                    remedy=mistake.remedy,
                    key=("config", "shots"),
                ) from None
            raise TaskMistake(
                f"there are fewer than {count} examples that are not among the problems:"
                f" {mistake.what}",
                remedy="Lower n_shots, or take the examples from elsewhere.",
                key=("config", "n_shots"),
            ) from None
        fresh = [problem for problem in found if _same(problem.question) not in asked]
        if len(fresh) >= count:
            return tuple(_shot(problem) for problem in fresh[:count])
        wanted += count - len(fresh)


def _shot(problem: Problem) -> Shot:
    answer = problem.fields.get(ANSWER_FIELD, problem.reference)
    return Shot({**problem.fields, "question": problem.question}, answer)


def _same(question: str) -> str:
    return " ".join(question.split()).casefold()


def refuse_asked(shots: Iterable[Shot], problems: Iterable[Problem]) -> None:
    """Reject an example that is one of the problems asked.

    Raises:
        TaskMistake: names the example.
    """
    asked = {_same(problem.question): problem for problem in problems}
    for index, shot in enumerate(shots):
        same = asked.get(_same(shot.fields["question"]))
        if same is not None:
            raise TaskMistake(
                f"the example is problem {same.problem_id}, which the task asks",
                remedy="Give another example: the model would see the answer.",
                key=("config", "shots", _INLINE, index),
            )


def shots_hash(shots: Iterable[Shot]) -> str:
    """64 hexadecimal digits of a hash of examples."""
    return sha256_hex([[dict(shot.fields), shot.answer] for shot in shots], 64)


def with_hash(config: Mapping[str, Any], shots: Iterable[Shot]) -> dict[str, Any]:
    """Settings with the hash of the examples that were chosen, which fixes them."""
    return {**config, "shots": {**config["shots"], _RESOLVED: shots_hash(shots)}}


def check_hash(settings: ShotSettings, shots: Iterable[Shot]) -> None:
    """Reject examples that differ from those that were planned.

    Raises:
        TaskMistake: their content has changed.
    """
    planned = settings.place.get(_RESOLVED)
    if planned is not None and planned != shots_hash(shots):
        raise TaskMistake(
            "the examples differ from those that were planned",
            remedy="Plan the sweep again for the new examples, or restore the old ones.",
            key=("config", "shots"),
        )
