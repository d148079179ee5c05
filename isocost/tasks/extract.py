"""Finding the answer inside what a chat model wrote.

Lives here: the marks by which models say "this is my answer" (a box, a tag, "####", "answer:"), and plain helpers for lines and spelling.
Not here: what an answer of a certain kind looks like (the verifiers).
"""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT = 200_000
"""Characters looked at, from the end: an answer stands at the end, and a text of megabytes must not take minutes."""

_TAG = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)", re.MULTILINE)
_ANSWER = re.compile(
    r"(?:\b(?:answer|result)[ \t*_`\"']*(?:\bis\b[ \t]*:?|\bwould[ \t]+be\b|[:=])|^[ \t]*\**A:)"
    r"[ \t*_]*(?:\n[ \t]*)?([^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_THINK = re.compile(r"<think>.*?</think>", re.IGNORECASE | re.DOTALL)


def tail(text: str) -> str:
    """The part of a text that is searched: without a finished <think> block, at most MAX_TEXT characters from its end."""
    return _THINK.sub("", text[-MAX_TEXT:])


def boxed(text: str) -> str | None:
    r"""The content of the last complete \boxed{...} (or \fbox), braces matched; None without one."""
    for start in reversed([match.end() for match in re.finditer(r"\\f?boxed\s*\{", tail(text))]):
        depth, searched = 1, tail(text)
        for position in range(start, len(searched)):
            depth += {"{": 1, "}": -1}.get(searched[position], 0)
            if depth == 0:
                return searched[start:position].strip() or None
    return None


def marked(text: str) -> str | None:
    """The answer a text itself calls one: by box, by <answer> tag, by "####", or by "answer:" / "answer is".

    Kinds are tried in this order; of one kind the last counts. The last kind gives the rest of its line, or the next line when nothing
    follows the mark.
    """
    found = boxed(text)
    if found:
        return found
    searched = tail(text)
    for pattern in (_TAG, _HASHES, _ANSWER):
        pieces = [piece.strip() for piece in pattern.findall(searched) if piece.strip(" \t*_`\"'.:")]
        if pieces:
            return pieces[-1]
    return None


def last_line(text: str) -> str | None:
    """The last line that is not empty; None for a blank text."""
    lines = [line.strip() for line in tail(text).splitlines() if line.strip()]
    return lines[-1] if lines else None


def plain(text: str) -> str:
    """NFKC, case folded, single spaces, without markdown, quotes and end punctuation around it."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return text.strip(" *_`\"'“”‘’.,;:!?")
