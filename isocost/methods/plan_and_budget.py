"""Plan-and-Budget: sub-questions with budgets of their own, then one solution that follows them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Steps
from isocost.methods.turns import extended, replied, user

SCHEDULES: Mapping[str, Callable[[int, int], float]] = {
    "constant": lambda i, n: 1.0,
    "linear": lambda i, n: n - i,
    "polynomial": lambda i, n: (n - i) ** 2,
    "exponential": lambda i, n: 0.9**i,
    "cosine": lambda i, n: 0.5 * (1 + math.cos(math.pi * i / (n - 1))) + 0.1 if n > 1 else 1.0,
}
"""Weight of sub-question i of n, from 0, with the constants of the source's code."""

_NUMBERED = re.compile(r"^[ \t*#>-]*(\d{1,3})[.):](?!\d)[ \t*]*(\S.*)$", re.MULTILINE)
_POINTS = re.compile(r"^[ \t*#>-]*(\d{1,3})[^\w\n]+(\d{1,3})\b", re.MULTILINE)


@METHODS.add
class PlanAndBudget(Method):
    """Plan sub-questions, weight them by difficulty, and solve with a budget for each.

    Lin et al. 2025 and their code: a call for the plan, a call that gives each sub-question its
    share of 100 points by its difficulty, and a call that solves the problem and is given the
    sub-questions with their budgets. Sub-question i of n has the share of the whole that is
    proportional to its points times its weight in ``schedule``; what rounding down leaves goes to
    the largest shares, one token each. Budgets are stated to the model in words and are not
    enforced; only the whole is, by the point's budget.

    A plan without numbered lines is one sub-question: the problem. Sub-questions without points
    have the mean of the others, or all the same.
    """

    name: ClassVar[str] = "plan_and_budget"
    source: ClassVar[str] = "Lin et al. 2025, arXiv:2505.16122; github.com/junhongmit/P-and-B"

    schedule: Literal["constant", "linear", "polynomial", "exponential", "cosine"] = "constant"
    """How weights decay from early to late sub-questions (constant in their code)."""
    tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens shared among the sub-questions; the point's budget if None. (Theirs depends on the
    problem's level in its data set.)"""
    most_questions: Annotated[int, Field(ge=1, le=64)] = 5
    """Sub-questions used, the first ones; they ask for 2 to 5."""
    plan_tokens: Annotated[int, Field(ge=1)] = 512
    """Tokens of the plan at most, and of the points."""
    plan: Annotated[str, Field(min_length=1)] = (
        "Do not solve this problem yet. Break it down into 2 to 5 sub-questions that lead step by "
        "step to its solution, fewer if it is easy. Write them as a numbered list, one line each, "
        "and nothing else."
    )
    """What asks for the plan, after the question."""
    rate: Annotated[str, Field(min_length=1)] = (
        "Divide 100 points among these sub-questions by their difficulty. Write one line for each: "
        "its number, a colon, its points. Write nothing else."
    )
    """What asks for the points, after the plan."""
    solve: Annotated[str, Field(min_length=1)] = (
        "You may follow these sub-questions. Keep to the number of words given for each:"
    )
    """What introduces the sub-questions after the prompt."""
    budgeted: Annotated[str, Field(min_length=1)] = "Think briefly, in up to {tokens} words."
    """What follows each sub-question; the marker {tokens} is its budget."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        question = (user(f"{asked.question}\n\n{self.plan}"),)
        [planned] = yield [Call(question, role="plan", max_tokens=self.plan_tokens)]
        questions = sub_questions(planned.text)[: self.most_questions] or [asked.question]
        shares, last = [1.0], planned
        if len(questions) > 1:
            numbered = "\n".join(f"{n}. {text}" for n, text in enumerate(questions, 1))
            messages = replied(question, numbered, self.rate)
            [last] = yield [
                Call(messages, role="rate", parent=planned.index, max_tokens=self.plan_tokens)
            ]
            shares = points(last.text, len(questions))
        whole = self.tokens or asked.max_tokens
        steps = [
            f"{n}. {text} {self.budgeted.replace('{tokens}', str(budget))}"
            for n, (text, budget) in enumerate(
                zip(questions, budgets(shares, whole, self.schedule), strict=True), 1
            )
        ]
        messages = extended(asked.messages, "\n".join([self.solve, *steps]))
        [reply] = yield [Call(messages, parent=last.index)]
        return Answer(reply.text, reply.index)


def sub_questions(plan: str) -> list[str]:
    """The numbered lines of a plan, without their numbers."""
    return [text.strip() for _, text in _NUMBERED.findall(plan)]


def points(text: str, count: int) -> list[float]:
    """Points of sub-questions 1 to `count`, read from lines such as ``2: 30``.

    A number that has none gets the mean of the others, or 1 if no number has any.
    """
    found = {int(number): float(value) for number, value in _POINTS.findall(text)}
    given = [found[n] for n in range(1, count + 1) if found.get(n, 0) > 0]
    mean = sum(given) / len(given) if given else 1.0
    return [found.get(n) or mean for n in range(1, count + 1)]


def budgets(shares: Sequence[float], whole: int, schedule: str) -> list[int]:
    """Tokens of each sub-question; they add up to the whole.

    Example:
        >>> budgets([50, 30, 20], 1000, "polynomial")
        [763, 204, 33]
    """
    weigh, n = SCHEDULES[schedule], len(shares)
    weights = [share * weigh(i, n) for i, share in enumerate(shares)]
    total = sum(weights)
    found = [math.floor(whole * weight / total) for weight in weights]
    largest = sorted(range(n), key=lambda i: -weights[i])
    for i in largest[: whole - sum(found)]:
        found[i] += 1
    return found
