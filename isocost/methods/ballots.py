"""Votes among answers, and sampling until a vote is settled.

Lives here: `Ballot`, which groups equal answers, and the loop of methods that sample until a rule
stops them. Not here: the rules (``isocost.stopping``), the methods (one module each).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from isocost.methods.base import Answer, Asked, Call, LimitReached, Reply, Steps
from isocost.stopping import Ints, is_settled

T = TypeVar("T")


@dataclass
class Group(Generic[T]):
    """Equal answers.

    Attributes:
        answers: the different ways to write it.
        holders: who voted for it, in order.
        weight: sum of the votes' weights.
    """

    answers: list[str] = field(default_factory=list)
    holders: list[T] = field(default_factory=list)
    weight: float = 0.0


class Ballot(Generic[T]):
    """A vote among answers that are equal by the task's own rules.

    Attributes:
        groups: equal answers, in the order of their first votes.
        silent: holders without an answer. They have no vote.
    """

    def __init__(self, same: Callable[[str, str], bool]) -> None:
        """Start without votes; ``same`` says whether two answers are equal."""
        self._same = same
        self.groups: list[Group[T]] = []
        self.silent: list[T] = []

    def add(self, answer: str | None, holder: T, weight: float = 1.0) -> int | None:
        """Count a vote; the number of its group, None without an answer.

        A group's answers all equal each other: equality by rules need not be transitive.
        """
        if answer is None:
            self.silent.append(holder)
            return None
        number = next((n for n, group in enumerate(self.groups) if self._fits(answer, group)), None)
        if number is None:
            number = len(self.groups)
            self.groups.append(Group())
        group = self.groups[number]
        if answer not in group.answers:
            group.answers.append(answer)
        group.holders.append(holder)
        group.weight += weight
        return number

    def _fits(self, answer: str, group: Group[T]) -> bool:
        return all(self._same(answer, other) for other in group.answers)

    @property
    def size(self) -> int:
        """Samples, with and without an answer."""
        return len(self.silent) + sum(self.counts)

    @property
    def counts(self) -> list[int]:
        """Votes of each group."""
        return [len(group.holders) for group in self.groups]

    def leaders(self) -> list[list[T]]:
        """Holders of each answer with the highest weight; several if they are tied."""
        most = max((group.weight for group in self.groups), default=0.0)
        return [group.holders for group in self.groups if group.weight == most]


def sample_votes(
    asked: Asked, ballot: Ballot[Reply], many: int, *, silent_votes: bool = False
) -> Generator[Sequence[Call] | Answer, list[Reply], tuple[list[Reply], list[int | None]]]:
    """Sample some calls that run at the same time, and count their votes.

    Args:
        asked: the question.
        ballot: receives the votes.
        many: calls.
        silent_votes: see `majority`.

    Returns:
        The replies, and the group of each.

    Raises:
        LimitReached: no more calls may be made. The majority until here is given as an answer.
    """
    try:
        replies = yield [Call(asked.messages)] * many
    except LimitReached:
        if ballot.size:
            yield majority(asked, ballot, silent_votes=silent_votes)
        raise
    return replies, [
        ballot.add(asked.answer_of(reply.text, reply.finish_reason), reply) for reply in replies
    ]


def sample_until_settled(asked: Asked, leads: Ints, most: int) -> Steps:
    """Sample one call at a time until a rule stops, then answer with the majority.

    Samples without an answer count as samples and have no vote.

    Args:
        asked: the question.
        leads: of the rule; see `isocost.stopping.leads_to_stop`.
        most: samples at most.
    """
    ballot: Ballot[Reply] = Ballot(asked.same)
    while ballot.size < most and not is_settled(ballot.counts, leads):
        yield from sample_votes(asked, ballot, 1)
    return majority(asked, ballot)


def majority(asked: Asked, ballot: Ballot[Reply], *, silent_votes: bool = False) -> Answer:
    """The text of the first reply with the majority's answer; its budget is the number of samples.

    Of tied answers each is as likely as the others, so that the mean over samples is that of the
    replayed strategy, which shares the credit.

    Args:
        asked: the question.
        ballot: the votes.
        silent_votes: whether samples without an answer are one more answer in the vote. If there
            is no vote at all they are in any case.
    """
    leaders = ballot.leaders()
    votes = len(leaders[0]) if leaders else 0
    if ballot.silent and (votes == 0 or (silent_votes and len(ballot.silent) >= votes)):
        leaders = [*(leaders if len(ballot.silent) == votes else []), ballot.silent]
    drawn = int(asked.draw("tie") * len(leaders))
    first = leaders[min(drawn, len(leaders) - 1)][0]
    return Answer(first.text, first.index, budget=ballot.size)
