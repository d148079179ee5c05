"""The verifier "exact": the same text, ignoring case, spaces, quotes and final punctuation.

Lives here: extraction and comparison of short texts. Not here: numbers and formulas (verifiers
"numeric" and "symbolic").
"""

from __future__ import annotations

import re

from isocost.tasks import extract
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.registry import register_verifier

_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\s*\{([^{}]*)\}")


@register_verifier
class Exact:
    """Compare normalised texts.

    In a long answer, the "answer:" line, box or tag counts, otherwise its last line.
    """

    name = "exact"

    def check_reference(self, reference: str) -> str | None:
        """A reference must not be empty."""
        return None if self.canonical(reference) else "it is empty"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The marked answer; otherwise, in a finished text, the last non-empty line."""
        marked = extract.marked(text, may_deny=True)
        if marked is not None or truncated:
            return marked
        return extract.last_line(text)

    def canonical(self, answer: str) -> str:
        """NFKC, case-folded, single spaces, without surrounding quotes or final punctuation."""
        return extract.plain(_TEXT.sub(r"\1", answer))

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Equal after normalising."""
        reference = self.canonical(problem.reference)
        if not reference:
            return Verdict(None, None, "bad_reference")
        correct = answer == reference
        return Verdict(correct, float(correct))

    def equivalent(self, first: str, second: str) -> bool:
        """Canonical texts that differ are different."""
        return False
