"""The verifier "numeric": the answer is one number, compared as an exact rational.

Lives here: which number of a text is the answer. Not here: parsing of numbers
(isocost.tasks.numbers, .prose), formulas (verifier "symbolic").
"""

from __future__ import annotations

from functools import lru_cache

from isocost.hashing import text_hash
from isocost.tasks import extract, prose
from isocost.tasks.formulas.reader import read
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.number_words import value_of_words
from isocost.tasks.numbers import has_decimal_comma, spell, value_of
from isocost.tasks.registry import register_verifier

_LONG = 100
"""Characters kept of an answer that is not a number; a hash distinguishes different ones."""


@lru_cache(maxsize=50_000)
def _reference(reference: str) -> str | None:
    text = reference.strip()
    if has_decimal_comma(text):
        # "3,5" is accepted in a reply; a reference must be unambiguous.
        return None
    value = value_of(text)
    if value is None:
        value = value_of_words(text)
    if value is None and not prose.is_range(text):
        value = prose.number_of_tree(read(text))
    if value is None:
        marked = extract.find_marked(reference)
        found = prose.number_in(marked.text, is_bare=marked.kind != "phrase") if marked else None
        value = value_of(found) if found else None
    return None if value is None else spell(value)


@register_verifier
class Numeric:
    """A marked answer counts first; then, in a finished text, the last number."""

    name = "numeric"

    def check_reference(self, reference: str) -> str | None:
        """A reference is a single number, optionally with a unit or after a marker.

        For example "#### 18" or "A. 18".
        """
        found = _reference(reference)
        return None if found is not None else f"{reference[:60]!r} is not a number"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The number of the marked answer.

        Otherwise the last number of a finished text. Text that is not a single number is returned
        unchanged.
        """
        marked = extract.find_marked(text)
        if marked is not None:
            found = prose.number_in(marked.text, is_bare=marked.kind in ("box", "tag"))
            if found is not None or truncated:
                return found
            after = extract.tail(text).rpartition(marked.text)[2]
            return prose.last_number(after) or marked.text
        return None if truncated else prose.last_number(extract.tail(text))

    def canonical(self, answer: str) -> str:
        """The value in canonical spelling; the text itself if it is not a readable number."""
        value = value_of(answer)
        if value is not None:
            return spell(value)
        answer = answer.strip()
        return answer if len(answer) <= _LONG else f"{answer[:_LONG]}...{text_hash(answer)}"

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Equal values. An answer that is not a single number is wrong."""
        reference = _reference(problem.reference)
        if reference is None:
            return Verdict(None, None, "bad_reference")
        correct = answer == reference
        return Verdict(correct, float(correct))

    def equivalent(self, first: str, second: str) -> bool:
        """Equal values have the same spelling; other answers differ."""
        return False
