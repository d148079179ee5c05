"""The verifier "exact": the same text, but for case, spaces, quotes and end punctuation.

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
    """Compares normalised texts.

    A long answer counts by its "answer:" line, box or tag, else by its last line.
    """

    name = "exact"

    def check_reference(self, reference: str) -> str | None:
        """A reference must not be empty."""
        return None if self.canonical(reference) else "it is empty"

    def extract(self, text: str, truncated: bool) -> str | None:
        """Marked answer; else, in a finished text, the last line that is not empty."""
        marked = extract.marked(text, may_deny=True)
        if marked is not None or truncated:
            return marked
        return extract.last_line(text)

    def canonical(self, answer: str) -> str:
        """NFKC, case folded, single spaces, no quotes or end punctuation around."""
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
