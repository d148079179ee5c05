"""Render a problem as the messages sent to a model.

Lives here: filling a prompt's template, the fields that one may name, and its hash. Not here: chat
templates and token counts, which belong to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from isocost.hashing import sha256_hex
from isocost.messages import PLAIN_TEXT
from isocost.registry import did_you_mean
from isocost.tasks.model import Problem, PromptLike, Shot, TaskMistake

OPTIONAL_FIELDS = ("stem", "choices", "context", "prompt", "tests")
"""Fields that only some tasks have. A template that names one needs a task that has it."""
WHOLE = "{prompt}"
"""The template that sends a task's whole prompt unchanged."""
_MARKER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BARE = re.compile(r"(?<![\w\\}{^$])\{([a-z][a-z0-9_]*)\}")
"""A marker that is no argument of a TeX command such as \\boxed{answer}."""


def render_messages(prompt: PromptLike, problem: Problem) -> list[dict[str, str]]:
    """Messages for one problem: a chat, or the one text of a prompt that is none.

    The system text, if the prompt has one, then the template with the question in place of
    {question} and the problem's other fields in place of their names. Worked examples come first,
    each as a turn with the same template and its answer; in a plain text one after the other.

    Only these exact markers are replaced; other braces in template, question or field stay as they
    are.

    Raises:
        TaskMistake: the template names an optional field that the problem does not have, or the
            problem is a chat that the prompt would change.
    """
    fault = unsuited(prompt, problem)
    if fault is not None:
        raise fault
    if problem.messages:
        return [dict(message) for message in problem.messages]
    values = {**problem.fields, "question": problem.question}
    missing = missing_field(prompt.template, values)
    if missing is not None:
        raise TaskMistake(
            f"the template of prompt {prompt.name} names {{{missing}}}, which problem"
            f" {problem.problem_id} does not have",
            remedy=did_you_mean(missing, values, kind="fields"),
        )
    messages = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    shown = [(_filled(prompt, shot, problem, n), shot.answer) for n, shot in _numbered(problem)]
    text = _MARKER.sub(lambda found: values.get(found[1], found[0]), prompt.template)
    if not prompt.chat:
        before = "".join(f"{asked}{_gap(asked)}{answer}\n\n" for asked, answer in shown)
        return [*messages, {"role": PLAIN_TEXT, "content": before + text}]
    for asked, answer in shown:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answer})
    return [*messages, {"role": "user", "content": text}]


def _numbered(problem: Problem) -> enumerate[Shot]:
    return enumerate(problem.shots, start=1)


def _gap(text: str) -> str:
    """What is between a prompt and its answer in one text."""
    return "" if not text or text[-1].isspace() else " "


def _filled(prompt: PromptLike, shot: Shot, problem: Problem, number: int) -> str:
    """The template for a worked example.

    Raises:
        TaskMistake: it names a field that the example does not have.
    """
    lacking = missing_field(prompt.template, shot.fields)
    if lacking is not None:
        raise TaskMistake(
            f"the template of prompt {prompt.name} names {{{lacking}}}, which example {number}"
            f" of task {problem.task} does not have",
            remedy="Add it to the example, or use another template.",
            key=("config", "shots"),
        )
    return _MARKER.sub(lambda found: shot.fields.get(found[1], found[0]), prompt.template)


def unsuited(prompt: PromptLike, problem: Problem) -> TaskMistake | None:
    """The reason why a prompt cannot ask a problem whose task makes whole chats; None if it can."""
    if not problem.messages or (prompt.chat and prompt.template == WHOLE and not prompt.system):
        return None
    return TaskMistake(
        f"prompt {prompt.name} would change the chat that task {problem.task} makes",
        remedy=f'Write template: "{WHOLE}", without a system text and without chat: false.',
    )


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


def names_field(template: str, name: str) -> bool:
    """Whether a template names a field."""
    return f"{{{name}}}" in template


def prompt_hash(messages: list[dict[str, str]]) -> str:
    """16 hexadecimal digits of a hash of rendered messages: equal messages have equal hashes."""
    return sha256_hex(messages, 16)
