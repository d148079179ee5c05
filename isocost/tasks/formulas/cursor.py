"""A position in the tokens of a formula, and the unit that may start there.

Lives here: moving over tokens, and distinguishing a unit from variables and from a sentence that
continues. Not here: the grammar (``atoms``, ``expressions``, ``reader``).
"""

from __future__ import annotations

import re

from isocost.tasks.formulas import units
from isocost.tasks.formulas.tokens import Token
from isocost.tasks.formulas.trees import Unreadable

FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "ln",
        "log",
        "exp",
        "lg",
        "min",
        "max",
        "gcd",
        "lcm",
    ]
)
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
"""Powers of ten by their words."""
_GOING_ON = frozenset(
    [
        "and",
        "or",
        "of",
        "is",
        "are",
        "was",
        "because",
        "from",
        "which",
        "that",
        "with",
        "to",
        "on",
        "by",
        "as",
        "if",
        "for",
        "when",
        "where",
        "so",
        "not",
        "since",
        "but",
        "at",
        "out",
        "than",
    ]
)
"""Words that continue a sentence after a number; no unit starts with one."""
_CALENDAR = (
    "january february march april may june july august september october november december jan feb"
    " mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday"
    " sunday th st nd rd"
)
_MONTHS = frozenset(_CALENDAR.split())
"""A number next to one of these is a date."""


class Cursor:
    """Tokens and a position; every method advances past what it reads."""

    def __init__(self, tokens: list[Token]) -> None:
        """Start at the first token."""
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0

    @property
    def peek(self) -> Token:
        """The next token."""
        return self.tokens[self.position]

    def _at(self, ahead: int) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        """Advance past a token."""
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def accept(self, text: str) -> bool:
        """Advance past this sign if it comes next."""
        if self.peek.kind == "op" and self.peek.text == text:
            self.next()
            return True
        return False

    def expect(self, *texts: str) -> str:
        """Advance past one of these signs."""
        if self.peek.kind == "op" and self.peek.text in texts:
            return self.next().text
        raise Unreadable(f"{self.peek.text!r} where {' or '.join(texts)} is expected")

    def unit_ahead(self) -> bool:
        """Whether a unit comes next, and the answer ends after it."""
        token = self.peek
        if self.depth or self.position == 0 or token.kind not in ("text", "run"):
            return False
        word = token.text.strip()
        if token.kind == "text":
            found = re.search(r"\w+", word.casefold())
            first = found[0] if found else ""
            return (
                bool(re.search(r"[^\W\d_]", word))
                and first not in _MONTHS
                and (first not in _GOING_ON or (first == "of" and not re.search(r"[0-9]", word)))
            )
        before = self.tokens[self.position - 1]
        if word.casefold() in _MONTHS or (
            before.kind == "op" and before.text not in (")", "}", "%")
        ):
            return False
        if word.casefold() == "in":
            return self._at(1).kind == "end"
        if word.casefold() in _GOING_ON:
            return False
        if word in units.KNOWN or word.casefold() in SCALES:
            return True
        return (
            token.gap
            and len(word) >= 3
            and (before.kind == "num" or before.text == "}")
            and word.casefold() not in FUNCTIONS
        )

    def unit_words(self) -> str:
        """Advance past a unit and return its words."""
        pieces: list[str] = []
        while True:
            token = self.peek
            if token.kind in ("text", "run") and not (
                pieces and token.text.strip(" ,").casefold() in ("and", "or", "but")
            ):
                pieces.append(token.text)
            elif (
                pieces and token.kind == "op" and token.text in ("/", "^", r"\cdot", "{", "}", "-")
            ):
                pieces.append("" if token.text in ("{", "}", r"\cdot") else token.text)
            elif pieces and token.kind == "num" and pieces[-1] in ("^", "", "-"):
                pieces.append(token.text)
            else:
                break
            self.next()
        words = " ".join(piece for piece in pieces if piece)
        if re.search(r"\d{3}", words):
            raise Unreadable("a number in a unit")
        return words
