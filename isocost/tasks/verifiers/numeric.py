"""The verifier "numeric": the answer is one number, compared as an exact rational.

Lives here: which number of a text is the answer. Not here: reading of numbers (isocost.tasks.numbers), formulas (verifier "symbolic").
"""

from __future__ import annotations

import re

from isocost.hashing import text_hash
from isocost.tasks import extract
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.numbers import find_numbers, find_words, spell, tidy, value_of

_LONG = 100
"""Characters kept of something too long to be a number; a hash keeps different ones apart."""


class Numeric:
    """A marked answer counts first; then, in a finished text, the last number."""

    name = "numeric"

    def check_reference(self, reference: str) -> str | None:
        """A reference is one number, alone or after a mark such as "#### 18" or "A: 18"."""
        found = self._reference(reference)
        return None if found is not None else f"{reference[:60]!r} is not a number"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The number of the marked answer; else the last number of a finished text."""
        marked = extract.marked(text)
        if marked is not None:
            found = _first_result(marked)
            if found is not None:
                return found
        if truncated:
            return None
        numbers = find_numbers(extract.tail(text))
        return numbers[-1] if numbers else None

    def canonical(self, answer: str) -> str:
        """The value in one spelling; the text itself when it is no number that can be read."""
        value = value_of(answer)
        if value is not None:
            return spell(value)
        answer = answer.strip()
        return answer if len(answer) <= _LONG else f"{answer[:_LONG]}...{text_hash(answer)}"

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Equal values."""
        correct = answer == self._reference(problem.reference)
        return Verdict(correct, float(correct))

    def equivalent(self, first: str, second: str) -> bool:
        """Equal values have one spelling; other answers differ."""
        return False

    def _reference(self, reference: str) -> str | None:
        value = value_of(reference.strip())
        if value is None:
            marked = extract.marked(reference)
            numbers = find_numbers(marked) if marked else []
            value = value_of(numbers[0]) if numbers else None
        return None if value is None else spell(value)


def _first_result(marked: str) -> str | None:
    """The number of a marked answer: after the last "=" ("5 + 3 = 8 apples"), else its first number, else a number word."""
    for piece in (re.split(r"=|\\approx|≈", tidy(marked))[-1], marked):
        numbers = find_numbers(piece)
        if numbers:
            return numbers[0]
    words = find_words(marked)
    return words[0] if words else None


VERIFIER = Numeric()
