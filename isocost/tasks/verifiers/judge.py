"""The verifier "judge": a model, or several, say whether an answer is right.

Lives here: which part of a reply is judged, and the checks of the options. Not here: rubrics and
the parse rule (``isocost.tasks.rubrics``), asking the models and keeping what they said
(``isocost.judges``). Grading itself asks nothing: an answer is `NOT_JUDGED` until its judgements
are there (``isocost.tables.core.judged``).
"""

from __future__ import annotations

from collections.abc import Sequence

from isocost.credentials import key_fault
from isocost.registry import did_you_mean
from isocost.tasks import extract
from isocost.tasks.model import NOT_JUDGED, Problem, TaskMistake, Verdict
from isocost.tasks.registry import check_options, register_verifier, verifier_of
from isocost.tasks.rubrics import MARKERS, JudgeSettings, Reading, Request, majority, requests_of


@register_verifier
class Judge:
    """The whole reply without its reasoning is judged."""

    name = "judge"
    settings = JudgeSettings
    is_whole_text = True

    def __init__(self, options: JudgeSettings | None = None) -> None:
        """Keep the options; without them there is nobody to ask."""
        self.options = options

    def check_reference(self, reference: str) -> str | None:
        """Any text that is not empty."""
        return None if reference.strip() else "it is empty"

    def check_problem(self, problem: Problem) -> None:
        """The rubric names only what the problem has; what is compared can read the reference."""
        self.check_fields(tuple(problem.fields))
        if self.options is None or self.options.gold is None:
            return
        try:
            check_options(self.options.gold)
        except TaskMistake as mistake:
            key = ("verifier", "gold", *mistake.key[1:])
            raise TaskMistake(mistake.what, remedy=mistake.remedy, key=key) from None
        gold = verifier_of(self.options.gold)
        if hasattr(gold, "requests"):
            raise TaskMistake(
                "a judge cannot be compared with a judge",
                remedy="Name a verifier that asks no model.",
                key=("verifier", "gold"),
            )
        if (fault := gold.check_reference(problem.reference)) is not None:
            raise TaskMistake(
                f"the reference {problem.reference[:60]!r} does not suit verifier {gold.name}:"
                f" {fault}",
                remedy="Choose a verifier that suits the answers, or leave gold out.",
                key=("verifier", "gold"),
            )

    def check_fields(self, fields: Sequence[str]) -> None:
        """Raise TaskMistake if the rubric names something else than these fields."""
        name = None if self.options is None else self.options.unknown_field(fields)
        if name is not None:
            known = [*MARKERS, *fields]
            raise TaskMistake(
                f"the rubric names {{{name}}}, which the problems do not have",
                remedy=f"{did_you_mean(name, known, kind='names')} To show braces, put a space"
                " inside them.",
                key=("verifier", "rubric"),
            )

    def check_access(self) -> None:
        """Raise TaskMistake if the key of a judge is not set."""
        for index, judge in enumerate(() if self.options is None else self.options.judges):
            if (fault := key_fault(judge.api_key_variable)) is not None:
                several = self.options is not None and len(self.options.judges) > 1
                place = ("judges", index, "api_key_variable") if several else ("api_key_variable",)
                raise TaskMistake(
                    fault,
                    remedy="Set it to the key only.",
                    key=("verifier", *place),
                )

    def extract(self, text: str, truncated: bool) -> str | None:
        """The text; one that was cut off only if it marks an answer."""
        is_finished = not truncated or extract.find_marked(text) is not None
        return text if is_finished and text.strip() else None

    def canonical(self, answer: str) -> str:
        """Without white space around it and at the ends of its lines."""
        return "\n".join(line.rstrip() for line in answer.strip().splitlines())

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """No verdict: a model is still to be asked."""
        return Verdict(None, None, NOT_JUDGED)

    def equivalent(self, first: str, second: str) -> bool:
        """Different texts are different answers: nobody was asked whether they are the same."""
        return False

    def requests(self, problem: Problem, answer: str) -> tuple[Request, ...]:
        """Everything that the judges are asked about an answer."""
        return () if self.options is None else requests_of(self.options, problem, answer)

    def verdict(self, readings: Sequence[Reading]) -> Verdict:
        """The verdict of most judges."""
        if self.options is None:
            return Verdict(None, None, NOT_JUDGED)
        return majority(self.options, readings)
