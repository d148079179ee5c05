"""Grade model output: answer, verdict and class of equal answers.

Lives here: the steps that all verifiers share, for generated and imported text alike. Not here: any
particular verifier (verifiers/). A grade depends only on the problem, the text and whether it was
truncated: not on other samples, their order, or the time of day.
"""

from __future__ import annotations

from collections.abc import Sequence

from isocost.tasks import extract, run_on
from isocost.tasks.model import Grade, Problem, Verifier, make_problem
from isocost.tasks.registry import verifier_of
from isocost.tasks.thoughts import said, thoughts_of

TRUNCATED, WITHHELD, REFUSED = "length", "content_filter", "refusal"
_UNFINISHED = ("error", "abort")
_CUT = (TRUNCATED, WITHHELD)
_BARE_WORDS = 3
"""Maximum number of words of an unmarked answer before an invented next question."""


def grade(problem: Problem, text: str | None, finish_reason: str | None) -> Grade:
    """Grade one output.

    Args:
        problem: the problem it answers.
        text: what the model wrote; None is an empty text.
        finish_reason: "stop", "length", "content_filter", "refusal", "abort", "error" or an
            engine-specific value; None if unknown (treated as finished).

    Returns:
        A grade. An output of a failed call ("error", "abort") is not graded: correct is None. A
        finished or truncated output without an
        answer is not correct, with the reason: "empty", "no_match", "thought_unfinished", or
        "length" or "content_filter" if it was truncated or withheld before it gave an answer; a
        "refusal" has no answer, whatever it says. Output that cannot be compared is not
        correct either ("not_comparable", "judge_timeout"). Only failures on our side give
        parse_status "error" and correct None: a reference that the verifier cannot use
        ("bad_reference"), code that must not be run, a grader that does not start.
    """
    if finish_reason in _UNFINISHED:
        return Grade("no_answer", None, None, None, finish_reason)
    if finish_reason == REFUSED:
        return Grade("no_answer", None, False, 0.0, REFUSED)
    truncated = finish_reason in _CUT
    own = getattr(verifier_of(problem.verifier), "grade_whole", None)
    if own is not None:
        whole: Grade = own(problem, text or "")
        return whole
    if text is None or not text.strip():
        return Grade("no_answer", None, False, 0.0, finish_reason if truncated else "empty")
    verifier = verifier_of(problem.verifier)
    spoken, has_ended = said(text, thoughts_of(problem.metadata.get("thoughts")))
    if not has_ended and not spoken.strip():
        return Grade(
            "no_answer", None, False, 0.0, finish_reason if truncated else "thought_unfinished"
        )
    answer, truncated = _answered(verifier, problem, spoken, truncated)
    if not answer:
        return Grade("no_answer", None, False, 0.0, finish_reason if truncated else "no_match")
    verdict = verifier.judge(problem, answer)
    if verdict.correct is None:
        return Grade("error", answer, None, None, verdict.reason)
    return Grade("parsed", answer, verdict.correct, verdict.score, verdict.reason)


def answer_of(problem: Problem, text: str | None, finish_reason: str | None = None) -> str | None:
    """The canonical answer in a text, without judging it; None if there is none.

    Args:
        problem: the problem that it answers.
        text: what the model wrote.
        finish_reason: see `grade`.
    """
    if finish_reason in (*_UNFINISHED, REFUSED):
        return None
    own = getattr(verifier_of(problem.verifier), "answer_whole", None)
    if own is not None:
        whole: str | None = own(problem, text or "")
        return whole
    if text is None or not text.strip():
        return None
    spoken, has_ended = said(text, thoughts_of(problem.metadata.get("thoughts")))
    if not has_ended and not spoken.strip():
        return None
    verifier = verifier_of(problem.verifier)
    return _answered(verifier, problem, spoken, finish_reason in _CUT)[0] or None


def same_answer(problem: Problem, one: str, other: str) -> bool:
    """Whether two canonical answers are equal to the problem's verifier.

    Unlike `answer_classes`, it never looks at the reference answer.
    """
    if one == other:
        return True
    verifier = verifier_of(problem.verifier)
    return bool(getattr(verifier, "merges", False)) and verifier.equivalent(one, other)


def _answered(
    verifier: Verifier, problem: Problem, spoken: str, truncated: bool
) -> tuple[str, bool]:
    """The canonical answer, empty if there is none, and whether its text was cut."""
    reply, truncated = _reply(verifier, spoken, truncated)
    written = _extracted(verifier, problem, reply, truncated)
    return (verifier.canonical(written) if written is not None else ""), truncated


def _reply(verifier: Verifier, spoken: str, truncated: bool) -> tuple[str, bool]:
    """The reply before another turn or an invented next question, and whether text was cut.

    Questions cut only if there is an answer before them: a model may repeat the question first.
    """
    is_whole = getattr(verifier, "is_whole_text", False)
    reply = run_on.turn(spoken, speakers=not is_whole)
    truncated = truncated and len(reply) == len(spoken)
    if is_whole:
        return reply, truncated
    for before in run_on.cuts(reply):
        if (
            len(before.split()) <= _BARE_WORDS and verifier.extract(before, False) is not None
        ) or extract.find_marked(before) is not None:
            return before, False
    return reply, truncated


def _extracted(verifier: Verifier, problem: Problem, reply: str, truncated: bool) -> str | None:
    own = getattr(verifier, "extract_for", None)
    return own(problem, reply, truncated) if own is not None else verifier.extract(reply, truncated)


def grade_text(
    verifier: str, reference: str, text: str | None, finish_reason: str | None = None
) -> Grade:
    """Grade imported text against a reference answer, with the same verifiers.

    Raises:
        TaskMistake: an unknown verifier.
    """
    verifier_of(verifier)
    return grade(make_problem("imported", "", reference, verifier), text, finish_reason)


def reference_fault(verifier: str, reference: str | None) -> str | None:
    """The fault in a reference answer for a verifier; None if it can be used.

    For code that accepts references: a problem with a faulty reference cannot be graded.

    Raises:
        TaskMistake: an unknown verifier.
    """
    checker = verifier_of(verifier)
    if reference is None or not reference.strip():
        return "it is empty"
    return checker.check_reference(reference)


def answer_classes(problem: Problem, answers: Sequence[str | None]) -> list[int | None]:
    """Number the classes of equal answers of one problem, densely from 0; None stays None.

    Any two answers in a class are equivalent according to the verifier and have the same verdict:
    answers that are not equal never merge through a third (50% equals 0.5, and 50 for a question
    about percent; 0.5 and 50 stay separate). Answers, in text order, join the first class in which
    they equal every member; classes are numbered by their first answers. The numbers depend on the
    set of answers only, not on their
    order.

    Args:
        problem: the problem.
        answers: canonical answers, as in `Grade.answer`.
    """
    verifier = verifier_of(problem.verifier)
    different = sorted({answer for answer in answers if answer is not None})
    if not getattr(verifier, "merges", False):
        numbers = {answer: index for index, answer in enumerate(different)}
        return [None if answer is None else numbers[answer] for answer in answers]
    verdicts = {answer: verifier.judge(problem, answer).correct for answer in different}
    bucket_of = getattr(verifier, "bucket", lambda answer: None)
    classes: list[list[str]] = []
    of_bucket: dict[str, list[int]] = {}  # group by what members of a class must have in common
    numbers = {}
    for answer in different:
        bucket = bucket_of(answer)
        candidates = (
            range(len(classes))
            if bucket is None
            else sorted({*of_bucket.get(bucket, ()), *of_bucket.get("", ())})
        )
        for index in candidates:
            members = classes[index]
            if verdicts[members[0]] == verdicts[answer] and all(
                verifier.equivalent(member, answer) for member in members
            ):
                break
        else:
            index = len(classes)
            classes.append([])
        classes[index].append(answer)
        numbers[answer] = index
        of_bucket.setdefault(bucket or "", []).append(index)
    return [None if answer is None else numbers[answer] for answer in answers]
