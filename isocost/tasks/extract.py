"""Finding the answer inside what a chat model wrote.

Lives here: the marks by which models say "this is my answer" (a box, a tag, "####", "answer:"), and plain helpers for lines and spelling.
Not here: what an answer of a certain kind looks like (the verifiers).
"""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT = 200_000
"""Characters looked at, from the end: an answer stands at the end, and a text of megabytes must not take minutes."""

MAX_LINE = 2000
"""Characters looked at behind a mark."""
_EMPTY = " \t\r*_`\"'.:"
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)", re.MULTILINE)
_ANSWER = re.compile(
    r"(?:\b(?:answer|result)[ \t*_`\"']{0,10}(?:\bis\b[ \t]*:?|\bwould be\b|[:=])|^[ \t]{0,10}\*{0,2}A:)[ \t*_]{0,10}",
    re.IGNORECASE | re.MULTILINE,
)
_BRACE = re.compile(r"\\f?boxed\s*\{|[{}]")
_THOUGHT = re.compile(r"</think>", re.IGNORECASE)


def tail(text: str) -> str:
    """The part of a text that is searched: what follows a finished <think> block, at most MAX_TEXT characters from the end."""
    text = text[-MAX_TEXT:]
    thoughts = [match.end() for match in _THOUGHT.finditer(text)]
    return text[thoughts[-1] :] if thoughts else text


def tagged(text: str) -> str | None:
    """The content of the last complete <answer>...</answer>; None without one."""
    start: int | None = None
    last: str | None = None
    searched = tail(text)
    for match in _TAG.finditer(searched):
        if not match[1]:
            start = match.end()
        elif start is not None:
            last, start = searched[start : match.start()].strip() or last, None
    return last


def boxed(text: str) -> str | None:
    r"""The content of the last complete \boxed{...} (or \fbox), braces matched; None without one."""
    searched = tail(text)
    opened: list[int | None] = []
    last: str | None = None
    for match in _BRACE.finditer(searched):
        if match[0] != "}":
            opened.append(match.end() if len(match[0]) > 1 else None)
        elif opened and (start := opened.pop()) is not None:
            last = searched[start : match.start()].strip() or last
    return last


def marked(text: str) -> str | None:
    """The answer a text itself calls one: by box, by <answer> tag, by "####", or by "answer:" / "answer is".

    Kinds are tried in this order; of one kind the last counts. The last kind gives the rest of its line, or the next line when nothing
    follows the mark.
    """
    found = boxed(text) or tagged(text)
    if found:
        return found
    searched = tail(text)
    hashes = [piece for piece in _HASHES.findall(searched) if piece.strip(_EMPTY)]
    if hashes:
        return hashes[-1].strip()
    for end in reversed([match.end() for match in _ANSWER.finditer(searched)]):
        line, _, after = searched[end : end + MAX_LINE].partition("\n")
        following = after.lstrip("\n").partition("\n")[0]
        for piece in (line, following):
            if piece.strip(_EMPTY):
                return piece.strip()
    return None


def last_line(text: str) -> str | None:
    """The last line that is not empty; None for a blank text."""
    lines = [line.strip() for line in tail(text).splitlines() if line.strip()]
    return lines[-1] if lines else None


def plain(text: str) -> str:
    """NFKC, case folded, single spaces, without markdown, quotes and end punctuation around it."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return text.strip(" *_`\"'“”‘’.,;:!?")
