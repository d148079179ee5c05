"""Render a problem as the messages sent to a chat model.

Lives here: filling a prompt's template, the fields that one may name, and its hash. Not here: chat
templates and token counts, which belong to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from isocost.hashing import sha256_hex
from isocost.registry import did_you_mean
from isocost.tasks.model import Problem, PromptLike, TaskMistake

OPTIONAL_FIELDS = ("stem", "choices", "context", "prompt", "tests")
"""Fields that only some tasks have. A template that names one needs a task that has it."""
_MARKER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BARE = re.compile(r"(?<![\w\\}{^$])\{([a-z][a-z0-9_]*)\}")
"""A marker that is no argument of a TeX command such as \\boxed{answer}."""


def render_messages(prompt: PromptLike, problem: Problem) -> list[dict[str, str]]:
    """Chat messages for one problem.

    The system text, if the prompt has one, then the template with the question in place of
    {question} and the problem's other fields in place of their names. Worked examples come first,
    each as a turn with the same template and its answer.

    Only these exact markers are replaced; other braces in template, question or field stay as they
    are.

    Raises:
        TaskMistake: the template names an optional field that the problem does not have.
    """
    values = {**problem.fields, "question": problem.question}
    missing = missing_field(prompt.template, values)
    if missing is not None:
        raise TaskMistake(
            f"the template of prompt {prompt.name} names {{{missing}}}, which problem"
            f" {problem.problem_id} does not have",
            remedy=did_you_mean(missing, values, kind="fields"),
        )
    messages = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    for number, shot in enumerate(problem.shots, start=1):
        lacking = missing_field(prompt.template, shot.fields)
        if lacking is not None:
            raise TaskMistake(
                f"the template of prompt {prompt.name} names {{{lacking}}}, which example {number}"
                f" of task {problem.task} does not have",
                remedy="Add it to the example, or use another template.",
                key=("config", "shots"),
            )
        messages.append({"role": "user", "content": _filled(prompt.template, shot.fields)})
        messages.append({"role": "assistant", "content": shot.answer})
    return [*messages, {"role": "user", "content": _filled(prompt.template, values)}]


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _MARKER.sub(lambda found: values.get(found[1], found[0]), template)


def missing_field(template: str, fields: Collection[str]) -> str | None:
    """The first field that a template names and that is not among the given ones.

    If a task maps fields of its own, every bare {name} is taken for a field; otherwise only the
    names in `OPTIONAL_FIELDS` are.
    """
    for name in _MARKER.findall(template):
        if name in OPTIONAL_FIELDS and name not in fields:
            return str(name)
    if set(fields) - {"question"}:
        return next((str(n) for n in _BARE.findall(template) if n not in fields), None)
    return None


def bare_names(template: str) -> list[str]:
    """Every {name} of a template that is not an argument of a TeX command."""
    return [str(name) for name in _BARE.findall(template)]


def names_field(template: str, name: str) -> bool:
    """Whether a template names a field."""
    return f"{{{name}}}" in template


def prompt_hash(messages: list[dict[str, str]]) -> str:
    """16 hexadecimal digits of a hash of rendered messages: equal messages have equal hashes."""
    return sha256_hex(messages, 16)
