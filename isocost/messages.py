"""What is sent to a model: messages of a chat, or one text that it continues.

Lives here: how a text that is no chat is marked, for the packages that render it, send it and bank
it. Not here: rendering (``isocost.tasks.prompts``) and chat templates (``isocost.engines``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PLAIN_TEXT = "text"
"""The role of the only message of a prompt that is no chat."""


def is_plain(messages: Sequence[Mapping[str, str]]) -> bool:
    """Whether messages are a text to be continued, not a chat."""
    return len(messages) == 1 and messages[0]["role"] == PLAIN_TEXT
