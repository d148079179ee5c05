"""The verifier "reasoning_gym": the scorer of the dataset that the problem came from.

Lives here: extraction for it and the score's meaning. Not here: the process it runs in
(isocost.tasks.judging), the problems (source of the same name).
"""

from __future__ import annotations

import json
import math
from functools import lru_cache

from isocost.hashing import canonical_json
from isocost.tasks import extract
from isocost.tasks.judging import JudgeFailed, call, is_working
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.registry import register_verifier

FULL_SCORE = 1.0 - 1e-9
"""A score of 1 is correct.

Some scorers give partial credit, which is kept as the score of an incorrect answer.
"""


@lru_cache(maxsize=200_000)
def _score(description: str, answer: str) -> float | str:
    try:
        return float(call("gym_score", {"description": json.loads(description), "answer": answer}))
    except JudgeFailed as failure:
        return failure.reason


def _unscored(description: str, reference: str, score: float | str) -> Verdict:
    """An answer that breaks the scorer is wrong.

    A scorer that the correct answer breaks as well is our failure.
    """
    reason = score if isinstance(score, str) else "score_not_finite"
    of_reference = _score(description, reference)
    if isinstance(of_reference, str) or not math.isfinite(of_reference) or not is_working():
        return Verdict(None, None, reason)
    return Verdict(False, 0.0, "judge_timeout" if reason == "timeout" else "not_comparable")


@register_verifier
class ReasoningGymScorer:
    """Reads the marked answer.

    A finished text without a marker is the answer if it is one line, otherwise its last line is.
    """

    name = "reasoning_gym"

    def check_reference(self, reference: str) -> str | None:
        """Any reference is valid: the scorer has the dataset's own entry."""
        return None

    def extract(self, text: str, truncated: bool) -> str | None:
        """The marked answer, otherwise the last line of a finished text."""
        marked = extract.marked(text)
        return marked if marked is not None or truncated else extract.last_line(text)

    def canonical(self, answer: str) -> str:
        """The text without outer spaces and markdown; scorers may care about everything else."""
        return answer.strip(" \t\r\n*`")

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """The dataset's score; correct if it is 1."""
        if problem.metadata.get("source") != "reasoning_gym":
            return Verdict(None, None, "not_a_reasoning_gym_problem")
        keys = ("dataset", "config", "seed", "size", "index")
        description = canonical_json({key: problem.metadata[key] for key in keys})
        score = _score(description, answer)
        if isinstance(score, str) or not math.isfinite(score):
            return _unscored(description, problem.reference, score)
        return Verdict(score >= FULL_SCORE, min(max(score, 0.0), 1.0))

    def equivalent(self, first: str, second: str) -> bool:
        """Only identical text is the same answer.

        Scores of two answers do not show whether they are equal.
        """
        return False
