"""How a verdict is read from a judge's reply: the last line that is one of two words, or a score.

Lives here: the two rules as types, with their checks. Not here: which part of a reply counts, and
the other options of a judge (``isocost.tasks.rubrics``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

_LONGEST_LINE = 300
"""A verdict is short. Models that loop write lines of a million equal characters, on which the
patterns would take minutes."""
_LABEL = r"[^\W\d_][\w ]{0,39}\W*[:=：]"
_BEFORE_WORD = rf"\W*(?:{_LABEL}\W*)?"
_NUMBER = re.compile(
    rf"(?:\W*{_LABEL})?[^\w+-]*(?P<value>[+-]?\d+(?:\.\d+)?)\s*"
    r"(?:(?:/|out\s+of)\s*(?P<most>\d+(?:\.\d+)?)|(?P<percent>%))?\W*",
    re.IGNORECASE,
)
_Word = Annotated[str, Field(min_length=1, max_length=80)]


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ByWord(_Rule):
    """The verdict is the last line that is one of two words, behind a label if it has one."""

    correct: _Word = "CORRECT"
    incorrect: _Word = "INCORRECT"

    @model_validator(mode="after")
    def _differ(self) -> ByWord:
        for word in (self.correct, self.incorrect):
            if not any(letter.isalnum() for letter in word) or word.splitlines() != [word]:
                raise ValueError(f"{word!r} is not a word that a line can be")
        if self.correct.strip().casefold() == self.incorrect.strip().casefold():
            raise ValueError("the words for correct and incorrect are the same")
        return self

    def read(self, text: str) -> tuple[bool | None, float | None]:
        """Verdict and score; None without a line that is a verdict."""
        words = ((self.correct.strip(), True), (self.incorrect.strip(), False))
        for line in _lines_from_the_end(text):
            for word, is_correct in words:
                if re.fullmatch(_BEFORE_WORD + re.escape(word) + r"\W*", line, re.IGNORECASE):
                    return is_correct, float(is_correct)
        return None, None


class ByScore(_Rule):
    """The verdict is the last line that is a number: correct from `passes` on."""

    score: tuple[FiniteFloat, FiniteFloat]
    passes: FiniteFloat

    @model_validator(mode="after")
    def _fits(self) -> ByScore:
        low, high = self.score
        if not low < self.passes <= high:
            raise ValueError(f"passes must be above {low:g} and at most {high:g}, as score says")
        return self

    def read(self, text: str) -> tuple[bool | None, float | None]:
        """Verdict, and score from 0 to 1; None without a number on the scale."""
        low, high = self.score
        for line in _lines_from_the_end(text):
            if found := _NUMBER.fullmatch(line):
                value, most = float(found["value"]), found["most"]
                is_other_scale = (most is not None and float(most) != high) or (
                    found["percent"] is not None and high != 100
                )
                if is_other_scale or not low <= value <= high:
                    return None, None
                return value >= self.passes, (value - low) / (high - low)
        return None, None


def _lines_from_the_end(text: str) -> Iterator[str]:
    for line in reversed(text.splitlines()):
        short = line.strip()
        if len(short) <= _LONGEST_LINE:
            yield short
