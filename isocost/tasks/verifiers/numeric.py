"""The verifier "numeric": the answer is one number, compared as an exact rational.

Lives here: which number of a text is the answer. Not here: parsing of numbers
(isocost.tasks.numbers, .prose), formulas (verifier "symbolic").
"""

from __future__ import annotations

from functools import lru_cache

from isocost.hashing import text_hash
from isocost.tasks import closeness, extract, prose
from isocost.tasks.closeness import NumericSettings
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


def _with_units(text: str, truncated: bool) -> str | None:
    """The marked answer as it is; otherwise the last number of a finished text with its unit."""
    marked = extract.find_marked(text)
    if marked is None:
        return None if truncated else closeness.last_quantity(extract.tail(text))
    written = marked.text.strip().rstrip(".").strip()
    if closeness.quantities(written) is not None or truncated:
        return written
    return closeness.last_quantity(written) or written


@register_verifier
class Numeric:
    """A marked answer counts first; then, in a finished text, the last number."""

    name = "numeric"
    settings = NumericSettings

    def __init__(self, options: NumericSettings | None = None) -> None:
        """Compare exactly, unless the options say otherwise."""
        self.options = options or NumericSettings()

    def check_reference(self, reference: str) -> str | None:
        """A reference is a single number, optionally with a unit or after a marker.

        For example "#### 18" or "A. 18".
        """
        if self.options.in_interval:
            is_one = closeness.interval_of(reference) is not None
            return None if is_one else f"{reference[:60]!r} is not an interval such as [1, 2)"
        if self.options.reads_more:
            found = closeness.quantities(reference)
            if found is None:
                return f"{reference[:60]!r} is not a number"
            several = len(found) > 1 and not self.options.sets
            return f"{reference[:60]!r} is several numbers; see option sets" if several else None
        found = _reference(reference)
        return None if found is not None else f"{reference[:60]!r} is not a number"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The number of the marked answer.

        Otherwise the last number of a finished text. Text that is not a single number is returned
        unchanged.
        """
        if self.options.reads_more:
            return _with_units(text, truncated)
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
        if self.options.reads_more and (found := closeness.quantities(answer)) is not None:
            return ", ".join(f"{spell(each.value)} {each.unit}".strip() for each in sorted(found))
        value = value_of(answer)
        if value is not None:
            return spell(value)
        answer = answer.strip()
        return answer if len(answer) <= _LONG else f"{answer[:_LONG]}...{text_hash(answer)}"

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Equal values. An answer that is not a single number is wrong."""
        if self.check_reference(problem.reference) is not None:
            return Verdict(None, None, "bad_reference")
        correct = self._is_right(problem.reference, answer)
        return Verdict(correct, float(correct))

    def _is_right(self, reference: str, answer: str) -> bool:
        if self.options == NumericSettings():
            return answer == _reference(reference)
        if self.options.in_interval:
            interval, value = closeness.interval_of(reference), value_of(answer)
            return bool(interval and value is not None and closeness.is_within(value, interval))
        if self.options.reads_more:
            found, gold = closeness.quantities(answer), closeness.quantities(reference)
            return bool(found and gold) and closeness.same_quantities(
                self.options, found or (), gold or ()
            )
        value, gold_value = value_of(answer), value_of(_reference(reference) or "")
        return value is not None and gold_value is not None and self.options.near(value, gold_value)

    def equivalent(self, first: str, second: str) -> bool:
        """Equal values have the same spelling; other answers differ."""
        return False
