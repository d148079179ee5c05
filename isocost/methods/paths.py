"""Search over steps of reasoning: what the search methods share.

Lives here: `Path`, a line of reasoning, and `Search`, which grows and scores paths step by step and
answers with them. Not here: which paths are grown (one module per method), and how steps are scored
(``scorers``).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from isocost.methods.ballots import Ballot
from isocost.methods.base import Answer, Asked, Call, Method, Reply
from isocost.methods.scorers import StepScorer
from isocost.methods.scorers.logprob_mean import LogprobMean
from isocost.methods.turns import tokens_of

Wave = Generator["Sequence[Call]", "list[Reply]", "list[Path]"]


@dataclass(frozen=True, slots=True)
class Path:
    """Steps of reasoning from the question on.

    Attributes:
        steps: all steps, each with the separator that ended it.
        call: index of the call that generated the last step; None before the first.
        tokens: all steps' tokens.
        scores: of each step.
        is_ended: whether there is nothing left to generate.
        is_whole: whether the model ended it, and not a limit on tokens.
    """

    steps: tuple[str, ...] = ()
    call: int | None = None
    tokens: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    is_ended: bool = False
    is_whole: bool = False

    @property
    def text(self) -> str:
        """All steps with what separates them."""
        return "".join(self.steps)


class Search(Method):
    """A search over steps. Subclasses choose the paths that are grown.

    A step is text up to the separator; the next one continues from the same tokens. A path has at
    most the point's token budget in all, like a plain sample.

    After each step the answer is kept that a search with that depth gives: the best solution that
    has ended, or before there is one the best beginning, which is truncated and rarely has an
    answer. So a search has the curve of all smaller depths. (In the code of Beeching et al. the
    last step goes on to the end of the solution, which no search of less depth could share.)
    """

    unit: ClassVar[str] = "steps"
    most_calls: ClassVar[int] = 25_000
    needs: ClassVar[tuple[str, ...]] = ("continues_tokens",)

    separator: Annotated[str, Field(min_length=1)] = "\n\n"
    """What ends a step: a blank line, as in Beeching et al. 2024 and Puri et al. 2025."""
    depth: Annotated[int, Field(ge=1, le=200)] = 40
    """Steps of a path at most (40 in Snell et al. 2024 and in the code of Puri et al. 2025)."""
    scorer: StepScorer = LogprobMean()
    """What scores a step: the name of a scorer, or a mapping with its name and parameters."""
    aggregate: Literal["last", "min", "prod"] = "last"
    """The score of a path: of its last step, its worst step, or the product of all."""
    choose: Literal["best", "weighted_vote"] = "best"
    """Which path answers: the one with the highest score, or that of a vote weighted by scores."""

    @model_validator(mode="after")
    def _affordable(self) -> Search:
        most = self.paths_per_step() * self.waves() * (1 + self.scorer.calls)
        if most > self.most_calls:
            raise ValueError(
                f"a sample could take {most:,} calls, and at most {self.most_calls:,} are made: "
                "search fewer paths or fewer steps"
            )
        return self

    def paths_per_step(self) -> int:
        """Paths that are grown at the same time, at most."""
        raise NotImplementedError

    def waves(self) -> int:
        """Times that paths are grown, one after the other, at most."""
        return self.depth

    def required(self) -> tuple[str, ...]:
        """See `Method`."""
        return *self.needs, *self.scorer.needs

    def partners(self) -> Mapping[str, tuple[str, ...]]:
        """See `Method`."""
        return self.scorer.partners()

    def score(self, path: Path) -> float:
        """The score of a path that has steps."""
        if self.aggregate == "last":
            return path.scores[-1]
        return min(path.scores) if self.aggregate == "min" else math.prod(path.scores)

    def ranked(self, paths: Sequence[Path]) -> list[Path]:
        """Paths by score, the best first; among equals the earlier one."""
        return sorted(paths, key=self.score, reverse=True)

    def grow(self, asked: Asked, paths: Sequence[Path]) -> Wave:
        """Generate and score the next step of each path; one may be given several times.

        Args:
            asked: the question.
            paths: not ended.

        Raises:
            ValueError: the engine does not report the tokens or what the scorer needs.
        """
        replies = yield [self._call(asked, path) for path in paths]
        grown = [self._grown(asked, *pair) for pair in zip(paths, replies, strict=True)]
        scores = yield from self.scorer.scores(asked, [path.steps for path in grown], replies)
        return [
            replace(path, scores=(*path.scores, score))
            for path, score in zip(grown, scores, strict=True)
        ]

    def answer(self, asked: Asked, paths: Sequence[Path], depth: int) -> Answer:
        """The answer that paths lead to; truncated ones count if none is whole.

        Args:
            asked: the question.
            paths: all that have ended, and those that are being grown.
            depth: the steps made, or what else the method counts as the answer's budget.
        """
        ended = [path for path in paths if path.is_ended]
        whole = [path for path in ended if path.is_whole]
        best = self._chosen(asked, whole or ended or paths)
        assert best.call is not None
        return Answer(best.text, best.call, budget=depth, is_whole=best.is_whole)

    def _call(self, asked: Asked, path: Path) -> Call:
        return Call(
            asked.messages,
            role="step",
            parent=path.call,
            prefix=path.tokens,
            max_tokens=asked.max_tokens - len(path.tokens) if path.tokens else None,
            stop=(self.separator,),
        )

    def _grown(self, asked: Asked, path: Path, reply: Reply) -> Path:
        goes_on = reply.finish_reason == "stop" and reply.stop_text == self.separator
        tokens = (*path.tokens, *tokens_of(reply))
        return replace(
            path,
            steps=(*path.steps, reply.text + (self.separator if goes_on else "")),
            call=reply.index,
            tokens=tokens,
            is_ended=not goes_on or len(tokens) >= asked.max_tokens,
            is_whole=not goes_on and reply.finish_reason == "stop",
        )

    def _chosen(self, asked: Asked, paths: Sequence[Path]) -> Path:
        ranked = self.ranked(paths)
        if self.choose == "best":
            return ranked[0]
        ballot: Ballot[Path] = Ballot(asked.same)
        for path in ranked:
            ended = "stop" if path.is_whole else "length"
            ballot.add(asked.answer_of(path.text, ended), path, self.score(path))
        leaders = ballot.leaders()
        return leaders[0][0] if leaders else ranked[0]
