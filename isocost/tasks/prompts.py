"""Render a problem as the messages sent to a chat model.

Lives here: filling a prompt's template, and its hash. Not here: chat templates and token counts,
which belong to the engine.
"""

from __future__ import annotations

import re

from isocost.hashing import sha256_hex
from isocost.tasks.model import Problem, PromptLike


def render_messages(prompt: PromptLike, problem: Problem) -> list[dict[str, str]]:
    """Chat messages for one problem.

    The system text, if the prompt has one, then the template with the question in place of
    {question}, and the problem's context in place of {context} where it has one.

    Only these exact markers of the template are replaced; other braces in template, question or
    context stay as they are.
    """
    messages = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    values = {"{question}": problem.question}
    if problem.context is not None:
        values["{context}"] = problem.context
    found = re.sub("|".join(map(re.escape, values)), lambda m: values[m[0]], prompt.template)
    return [*messages, {"role": "user", "content": found}]


def prompt_hash(messages: list[dict[str, str]]) -> str:
    """16 hexadecimal digits of a hash of rendered messages: equal messages have equal hashes."""
    return sha256_hex(messages, 16)
