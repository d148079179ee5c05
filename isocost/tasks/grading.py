"""Grading: from what a model wrote to an answer, a verdict and a class of equal answers.

Lives here: the steps all verifiers share, for generated and for imported text alike. Not here: any particular verifier (verifiers/).
A grade depends on the problem, the text and whether it was cut off; on nothing else: not on other samples, their order, or the time of day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isocost.tasks.model import Grade, Problem, make_problem
from isocost.tasks.registry import verifier_of

TRUNCATED = "length"
_UNFINISHED = ("error", "abort")


def grade(problem: Problem, text: str | None, finish_reason: str | None) -> Grade:
    """Grades one output.

    Args:
        problem: the problem it answers.
        text: what the model wrote; None when nothing came back.
        finish_reason: "stop", "length", "abort", "error" or another engine's word; None when unknown (taken as finished).

    Returns:
        A grade. An output of a failed call ("error", "abort") is not judged: correct is None. A finished or truncated output without an
        answer is not correct, with the reason: "empty", "no_match", or "length" when it was cut off before it gave an answer. A verifier
        that fails or runs out of its limits gives parse_status "error" and correct None.
    """
    if finish_reason in _UNFINISHED or text is None:
        return Grade("no_answer", None, None, None, finish_reason if finish_reason in _UNFINISHED else "no_text")
    verifier = verifier_of(problem.verifier)
    truncated = finish_reason == TRUNCATED
    written = verifier.extract(text, truncated)
    answer = verifier.canonical(written) if written is not None else ""
    if not answer:
        return Grade("no_answer", None, False, 0.0, TRUNCATED if truncated else "no_match" if text.strip() else "empty")
    verdict = verifier.judge(problem, answer)
    if verdict.correct is None:
        return Grade("error", answer, None, None, verdict.reason)
    return Grade("parsed", answer, verdict.correct, verdict.score, verdict.reason)


def grade_text(verifier: str, reference: str, text: str | None, finish_reason: str | None = None) -> Grade:
    """Grades imported text against a reference answer, with the same verifiers.

    Raises:
        TaskMistake: an unknown verifier.
    """
    verifier_of(verifier)
    return grade(make_problem("imported", "", reference, verifier), text, finish_reason)


def answer_classes(problem: Problem, answers: Sequence[str | None]) -> list[int | None]:
    """Numbers the classes of equal answers of one problem, densely from 0; None stays None.

    Two answers are of one class when the verifier calls them equivalent, directly or through others (union-find), and it judged both
    alike, so that a class is right or wrong as a whole. The representative of a class is its first answer in text order and classes are
    numbered by their
    representatives: the numbers depend on the set of answers only, not on their order.

    Args:
        problem: the problem.
        answers: canonical answers, as in `Grade.answer`.
    """
    verifier = verifier_of(problem.verifier)
    different = sorted({answer for answer in answers if answer is not None})
    parent = {answer: answer for answer in different}

    def root(answer: str) -> str:
        while parent[answer] != answer:
            parent[answer] = parent[parent[answer]]
            answer = parent[answer]
        return answer

    verdicts = {answer: verifier.judge(problem, answer).correct for answer in different} if _can_merge(verifier) else {}
    for first, second in _pairs(different) if verdicts else ():
        if verdicts[first] == verdicts[second] and root(first) != root(second) and verifier.equivalent(first, second):
            low, high = sorted((root(first), root(second)))
            parent[high] = low
    numbers = {representative: index for index, representative in enumerate(sorted({root(answer) for answer in different}))}
    return [None if answer is None else numbers[root(answer)] for answer in answers]


def _can_merge(verifier: object) -> bool:
    return bool(getattr(verifier, "merges", False))


def _pairs(items: Sequence[str]) -> Iterable[tuple[str, str]]:
    return ((items[i], items[j]) for i in range(len(items)) for j in range(i + 1, len(items)))
