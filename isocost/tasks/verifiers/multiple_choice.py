"""The verifier "multiple_choice": the answer is one letter, A to J.

Lives here: which letter of a text is the choice. Not here: what the choices say; a reference is a letter.
"""

from __future__ import annotations

import re

from isocost.tasks import extract
from isocost.tasks.model import Problem, Verdict

_ALONE = re.compile(r"^\W*([A-Ja-j])(?:\W*$|[).:]\s)")
_IN_MARK = re.compile(r"(?:\b(?:option|choice)\s+)?[(\[*\"']*\b([A-J])\b(?!['’][a-z])", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\[]([A-J])[)\]]")
_SAID = re.compile(r"\b(?i:option|choice|choose|select|pick)\s+[(\[*\"']*([A-J])\b")


class MultipleChoice:
    """A marked letter counts first; then a text that is only a letter or begins with one ("B) Paris"); then the last letter in brackets."""

    name = "multiple_choice"

    def check_reference(self, reference: str) -> str | None:
        """A reference is one letter, with or without brackets."""
        return None if re.fullmatch(r"\W*[A-Ja-j]\W*", reference) else f"{reference[:60]!r} is not one letter from A to J"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The chosen letter as written."""
        marked = extract.marked(text)
        for candidate in filter(None, (marked, None if truncated else extract.tail(text).strip())):
            alone = _ALONE.match(candidate.replace("\\text", "").strip(" {}"))
            if alone:
                return alone[1]
        if marked is not None:
            # "the answer is a big one": a lower case article is no choice, a capital or bracketed letter is.
            letters = [
                match[1]
                for match in _IN_MARK.finditer(marked)
                if match[1].isupper() and not re.match(r"[AI] [a-z]", marked[match.start(1) :])
            ]
            if letters:
                return letters[0]
        if truncated:
            return None
        found = _SAID.findall(extract.tail(text)) or _BRACKETED.findall(extract.tail(text))
        return found[-1] if found else None

    def canonical(self, answer: str) -> str:
        """The capital letter."""
        return re.sub(r"\W", "", answer).upper()

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """The same letter."""
        correct = answer == self.canonical(problem.reference)
        return Verdict(correct, float(correct))

    def equivalent(self, first: str, second: str) -> bool:
        """Different letters differ."""
        return False


VERIFIER = MultipleChoice()
