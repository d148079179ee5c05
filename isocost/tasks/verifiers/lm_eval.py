"""The verifier "lm_eval": the filter and the metric of the task that a problem came from.

Lives here: what lm-eval's score of a text means here. Not here: filters and metrics
(``isocost.tasks.harness``), the problems (source of the same name).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from isocost.hashing import canonical_json
from isocost.tasks.harness.asking import Settings, settings_of
from isocost.tasks.harness.scoring import Scorer, scorer
from isocost.tasks.model import Grade, Problem, Verdict
from isocost.tasks.registry import register_verifier

FULL_SCORE = 1.0 - 1e-9
"""A score of 1 is correct; less is kept as the score of an incorrect answer."""
_NO_ANSWER = "[invalid]"
"""What lm-eval's filters make of a text without an answer."""


@lru_cache(maxsize=200_000)
def _score(
    settings: Settings, filter_name: str, metric: str, doc_id: int, answer: str
) -> float | str:
    """The score, or the name of what went wrong."""
    try:
        found = scorer(settings, filter_name, metric).score(doc_id, answer)
    except Exception as error:  # whatever a foreign metric does with a text
        return f"metric_failed_{type(error).__name__}"
    return found if 0.0 <= found <= 1.0 else "score_out_of_range"


@register_verifier
class LmEvalScorer:
    """Scores a whole text as lm-eval does; nothing is removed from it before."""

    name = "lm_eval"

    def check_reference(self, reference: str) -> str | None:
        """Any reference is valid: the scorer has the document."""
        return None

    def grade_whole(self, problem: Problem, text: str) -> Grade:
        """The grade of a text; what the filter found in it is the answer."""
        found, fault = self._answer(problem, text)
        if found is None:
            return Grade("error", None, None, None, fault)
        verdict = self.judge(problem, found)
        if verdict.correct is None:
            return Grade("error", found or None, None, None, verdict.reason)
        if found in ("", _NO_ANSWER) and not verdict.score:
            return Grade("no_answer", None, False, 0.0, "no_match" if text.strip() else "empty")
        return Grade("parsed", found, verdict.correct, verdict.score, None)

    def answer_whole(self, problem: Problem, text: str) -> str | None:
        """What the filter found in a text."""
        found, _ = self._answer(problem, text)
        return None if found in (None, "", _NO_ANSWER) else found

    def _answer(self, problem: Problem, text: str) -> tuple[str | None, str | None]:
        """What the filter found, or why there is nothing that can be scored."""
        mine, fault = self._scorer(problem)
        if mine is None:
            return None, fault
        for end in problem.stop:  # some servers go on
            text = text.split(end, maxsplit=1)[0]
        try:
            found: Any = mine.answer(problem.metadata["doc_id"], text)
        except Exception as error:  # whatever a foreign filter does with a text
            return None, f"filter_failed_{type(error).__name__}"
        return (found, None) if isinstance(found, str) else (None, "filter_made_no_text")

    def _scorer(self, problem: Problem) -> tuple[Scorer | None, str | None]:
        of = problem.metadata
        if of.get("source") != "lm_eval":
            return None, "not_an_lm_eval_problem"
        config = of["config"]
        mine = _scorer_of(of["dataset"], canonical_json(config))
        if not mine.has(of["doc_id"], of["document"]):
            return None, "document_changed"
        return mine, None

    def extract(self, text: str, truncated: bool) -> str | None:
        """The text: what is found in it depends on the problem."""
        return text

    def canonical(self, answer: str) -> str:
        """The answer unchanged: metrics have rules of their own."""
        return answer

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """The metric's score of a filtered answer; correct if it is 1."""
        mine, fault = self._scorer(problem)
        if mine is None:
            return Verdict(None, None, fault)
        of = problem.metadata
        settings = settings_of(of["dataset"], of["config"])
        score = _score(settings, mine.filter, mine.metric, of["doc_id"], answer)
        if isinstance(score, str):
            return Verdict(None, None, score)
        return Verdict(score >= FULL_SCORE, score)

    def equivalent(self, first: str, second: str) -> bool:
        """Only identical text is the same answer."""
        return False


@lru_cache(maxsize=64)
def _scorer_of(dataset: str, config: str) -> Scorer:
    stated = json.loads(config)
    return scorer(settings_of(dataset, stated), stated.get("filter"), stated.get("metric"))
