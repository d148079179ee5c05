"""The verifier "instructions": the reply is correct if it follows every instruction.

Lives here: verdict and score. Not here: the rules (isocost.tasks.instructions). A reference is a
JSON list of instructions with their parameters.
"""

from __future__ import annotations

from isocost.tasks.instructions import followed, instructions_of
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.registry import register_verifier


@register_verifier
class Instructions:
    """IFEval's strict accuracy; the score is the share of instructions that are followed."""

    name = "instructions"
    is_whole_text = True

    def check_reference(self, reference: str) -> str | None:
        """Instructions that can be checked, with the parameters they need."""
        try:
            instructions_of(reference)
        except ValueError as error:
            return str(error)
        return None

    def extract(self, text: str, truncated: bool) -> str | None:
        """The whole reply, cut or not."""
        return text if text.strip() else None

    def canonical(self, answer: str) -> str:
        """The reply itself: white space may be part of what is asked for."""
        return answer

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Every rule on the reply as it is."""
        try:
            found = followed(problem.reference, answer)
        except ValueError:
            return Verdict(None, None, "bad_reference")
        return Verdict(all(found), sum(found) / len(found))

    def equivalent(self, first: str, second: str) -> bool:
        """Replies are the same only if their text is identical."""
        return False
