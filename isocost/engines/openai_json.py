"""JSON of servers: strict parsing, a recordable form, and log-probabilities of both APIs.

Lives here: functions of one value. Not here: a whole answer (``openai_stream``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

_NEVER = -9999.0
"""OpenAI's placeholder for a log-probability that is not reported, or of probability zero."""
_LARGEST = 10**9
_MOST_ENTRIES = 200


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the key {next(n for n in names if names.count(n) > 1)[:40]!r} is duplicated"
        )
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_once)


def strict_json(text: str | bytes) -> Any:
    """Parse JSON without duplicate keys.

    Raises:
        ValueError: it is invalid, has a duplicate key, or is nested too deeply.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return _STRICT.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def plain(value: Any, redact: Callable[[str], str], depth: int = 6) -> Any:
    """A JSON value in a form that can be recorded anywhere.

    Texts redacted, numbers finite, nothing deep or long.

    Args:
        value: what a server reports about itself.
        redact: redacts a text.
        depth: levels that are
            kept.
    """
    if isinstance(value, dict) and depth:
        return {
            redact(str(name)): plain(item, redact, depth - 1)
            for name, item in list(value.items())[:_MOST_ENTRIES]
        }
    if isinstance(value, list) and depth:
        return [plain(item, redact, depth - 1) for item in value[:_MOST_ENTRIES]]
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bool) or value is None:
        return value
    return value if isinstance(value, int | float) and abs(value) < 2**63 else None


def chat_logprobs(choice: Mapping[str, Any]) -> tuple[list[float], list[list[float]]]:
    """Log-probabilities of a chat chunk: of the generated tokens, and each one's top list.

    Raises:
        TypeError, ValueError, AttributeError, KeyError: they have an unexpected form.
    """
    content = (choice.get("logprobs") or {}).get("content") or []
    top = [[_top(t["logprob"]) for t in item.get("top_logprobs") or ()] for item in content]
    return [_number(item["logprob"]) for item in content], top


def completion_logprobs(choice: Mapping[str, Any]) -> tuple[list[float], list[list[float]]]:
    """The same for a chunk of the older API; same errors."""
    found = choice.get("logprobs") or {}
    sampled = [_number(item) for item in found.get("token_logprobs") or ()]
    return sampled, [
        [_top(item) for item in (row or {}).values()]
        for row in found.get("top_logprobs") or [{}] * len(sampled)
    ]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{kind(value)} where a number is needed")
    if value == _NEVER:
        raise ValueError("-9999 means unknown")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("a number that cannot be a log-probability")
    return float(value)


def _top(value: Any) -> float:
    return -math.inf if value == _NEVER else _number(value)


def kind(value: Any) -> str:
    """What a JSON value is, for messages."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")
