"""The verifier "symbolic": the answer is a formula, compared by math-verify.

Lives here: finding the formula and comparing it. Not here: plain numbers (verifier "numeric" is faster and stricter), and the process the
comparison runs in (isocost.tasks.judging).
"""

from __future__ import annotations

import re
from functools import lru_cache

from isocost.tasks import extract
from isocost.tasks.judging import JudgeFailed, call
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.numbers import find_numbers, spell, value_of

MAX_FORMULA = 1000
"""Characters. No reference is near; parsing time grows fast with length."""

_DOLLARS = re.compile(r"\$\$([^$]{1,1000})\$\$|\$([^$\n]{1,1000})\$|\\\((.{1,1000}?)\\\)|\\\[(.{1,1000}?)\\\]", re.DOTALL)
_NOISE = re.compile(r"\\(?:left|right|displaystyle|!|,|;|:)(?![a-zA-Z])|[~\s]+")


@lru_cache(maxsize=200_000)
def _equal(gold: str, answer: str) -> bool | str:
    """Whether math-verify calls them equal, or the reason why it could not say."""
    try:
        return bool(call("formulas_equal", {"gold": gold, "answer": answer}))
    except JudgeFailed as failure:
        return failure.reason


class Symbolic:
    """A marked answer counts first; then, in a finished text, the last formula between dollars, then the last number."""

    name = "symbolic"
    merges = True

    def check_reference(self, reference: str) -> str | None:
        """A reference must be a formula that math-verify reads."""
        formula = self.canonical(self._strip(reference))
        if value_of(formula) is not None:
            return None
        try:
            return None if call("formula_reads", {"text": formula}) else f"{reference[:60]!r} is not a formula math-verify reads"
        except JudgeFailed as failure:
            return f"{reference[:60]!r} cannot be read ({failure.reason})"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The formula of the marked answer; else the last one of a finished text."""
        marked = extract.marked(text)
        if marked is not None:
            return self._strip(marked)
        if truncated:
            return None
        found = [next(group for group in match if group) for match in _DOLLARS.findall(extract.tail(text))]
        return found[-1] if found else next(iter(reversed(find_numbers(extract.tail(text)))), None)

    def canonical(self, answer: str) -> str:
        """A number in one spelling; else the formula without spacing commands."""
        value = value_of(answer)
        return spell(value) if value is not None else _NOISE.sub(" ", answer).strip(" .*")[: MAX_FORMULA + 1]

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Equal to the reference: by spelling, by value, else by math-verify with the reference as gold."""
        gold = self.canonical(self._strip(problem.reference))
        if gold == answer:
            return Verdict(True, 1.0)
        if len(answer) > MAX_FORMULA:
            return Verdict(False, 0.0, "too_long")
        if value_of(gold) is not None and value_of(answer) is not None:
            return Verdict(False, 0.0)
        equal = _equal(gold, answer)
        return Verdict(None, None, equal) if isinstance(equal, str) else Verdict(equal, float(equal))

    def equivalent(self, first: str, second: str) -> bool:
        """Equal by math-verify in either order; two different numbers are different, and what cannot be judged is."""
        if max(len(first), len(second)) > MAX_FORMULA or (value_of(first) is not None and value_of(second) is not None):
            return False
        return _equal(first, second) is True or _equal(second, first) is True

    def _strip(self, text: str) -> str:
        found = [next(group for group in match if group) for match in _DOLLARS.findall(text)]
        inner = extract.boxed(text) or (found[-1] if found else text)
        return inner.strip().rstrip(".")


VERIFIER = Symbolic()
