"""Solve-Detect-Verify: only a solution that looks uncertain is verified, and refined if wrong."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Reply, Steps
from isocost.methods.generate_then_verify import verification
from isocost.methods.turns import replied, user
from isocost.methods.verdicts import read_verdict


@METHODS.add
class SolveDetectVerify(Method):
    """Solve; if the detector flags the solution, verify it; if it is found wrong, refine it once.

    Zhong et al. 2025. Verification is flexible: ``checks`` short checks run in parallel, and only
    if fewer than ``agreement`` of their verdicts agree does one thorough check decide. A solution
    without any verdict is kept. The source's detector watches a reasoning model while it generates,
    to stop it at a finished solution; here a detector is a rule on the finished reply, and decides
    whether to verify:

    - ``hesitation``: it contains one of ``hesitations`` as whole words, in any case.
    - ``log_probability``: the mean ln p of its tokens is below ``least_logprob``, or unknown.
    - ``always``: every solution is verified.

    Checks decide the answer, so they are part of its cost; their role is check, not verify. Stage
    1 is the solution, stage 2 the answer after detection, verification and refinement.
    """

    name: ClassVar[str] = "solve_detect_verify"
    source: ClassVar[str] = "Zhong et al. 2025, arXiv:2505.11966"
    unit: ClassVar[str] = "stages"

    detector: Literal["hesitation", "log_probability", "always"] = "hesitation"
    """Which solutions are verified."""
    hesitations: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = (
        "wait",
        "hmm",
        "alternatively",
        "let me double-check",
        "not sure",
    )
    """Words of hesitation."""
    least_logprob: Annotated[float, Field(le=0)] = -0.5
    """Mean ln p below which a solution is verified (nats; no default in the source)."""
    checks: Annotated[int, Field(ge=1, le=64)] = 3
    """Short checks (no default in the source)."""
    check_tokens: Annotated[int, Field(ge=1)] = 256
    """Tokens of a short check; a thorough one has the point's budget."""
    agreement: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of verdicts that must agree, of those that say yes or no."""
    instruction: Annotated[str, Field(min_length=1)] = (
        "Look for a mistake in the solution. Then end with a line that says only Yes if its final "
        "answer is correct, or only No if it is not."
    )
    """What asks for a check, after the question and the solution."""
    refine: Annotated[str, Field(min_length=1)] = (
        "A reviewer found a mistake in your answer. Write the full, corrected solution. The review:"
    )
    """What asks for a refinement, before the check that found the mistake."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        [solution] = yield [Call(asked.messages)]
        yield Answer(solution.text, solution.index, budget=1)
        if not self._flags(solution):
            return _kept(solution)
        question = (user(verification(asked, solution.text, self.instruction)),)
        check = Call(question, "check", solution.index, max_tokens=self.check_tokens)
        judged = yield [check] * self.checks
        if not self._agree(judged):
            judged = yield [Call(question, role="check", parent=solution.index)]
        rejecting = [reply for reply in judged if read_verdict(reply.text) == 0.0]
        accepting = [reply for reply in judged if read_verdict(reply.text) == 1.0]
        if len(rejecting) <= len(accepting):
            return _kept(solution)
        review = rejecting[0]
        messages = replied(asked.messages, solution.text, f"{self.refine}\n\n{review.text}")
        [refined] = yield [Call(messages, role="refine", parent=review.index)]
        return Answer(refined.text, refined.index, budget=2)

    def _flags(self, solution: Reply) -> bool:
        if self.detector == "hesitation":
            words = "|".join(map(re.escape, self.hesitations))
            return bool(re.search(rf"(?<!\w)(?:{words})(?!\w)", solution.text, re.IGNORECASE))
        mean = solution.logprob_mean
        return self.detector == "always" or mean is None or mean < self.least_logprob

    def _agree(self, judged: list[Reply]) -> bool:
        verdicts = [v for v in (read_verdict(reply.text) for reply in judged) if v is not None]
        if not verdicts:
            return False
        most = max(verdicts.count(0.0), verdicts.count(1.0))
        return most >= self.agreement * len(verdicts)


def _kept(solution: Reply) -> Answer:
    return Answer(solution.text, solution.index, budget=2)
