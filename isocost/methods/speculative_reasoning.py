"""Speculative reasoning: a small model writes the steps, and a large one rewrites the poor ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Alias, Answer, Asked, Call, Method, Reply, Steps
from isocost.methods.turns import replied, tokens_of

UTILITIES = tuple("0123456789")


@METHODS.add
class SpeculativeReasoning(Method):
    """Each step is written by the point's own model, judged by a partner, and rewritten if poor.

    SpecReason, Pan et al. 2025: the partner gives the step a utility from 0 to 9 with a single
    token; a step of at least ``threshold`` is kept, otherwise the partner writes it. The first
    ``first_steps`` steps are the partner's without a try of the own model. A step that ends by
    itself, and is kept or the partner's, ends the solution. Both models go on from the text so far,
    since their tokens may differ.

    The solution has the point's token budget in all, like a plain sample; steps that were not kept
    cost tokens, but do not count towards it. After each step the beginning until then is the
    answer, truncated unless the solution has ended.
    """

    name: ClassVar[str] = "speculative_reasoning"
    source: ClassVar[str] = "Pan et al. 2025, arXiv:2504.07891"
    unit: ClassVar[str] = "steps"
    needs: ClassVar[tuple[str, ...]] = ("continues_tokens",)

    model: Alias = "large"
    """Alias of the partner that judges and rewrites steps."""
    threshold: Annotated[int, Field(ge=0, le=9)] = 7
    """Least utility of a step that is kept (that of the authors' code)."""
    separator: Annotated[str, Field(min_length=1)] = "\n\n"
    """What ends a step: a blank line, as in the authors' code."""
    steps: Annotated[int, Field(ge=1, le=300)] = 100
    """Steps at most (no limit in the source, which limits tokens)."""
    first_steps: Annotated[int, Field(ge=0)] = 0
    """Steps at the beginning that the partner writes (the source's knob; its default)."""
    instruction: Annotated[str, Field(min_length=1)] = (
        "Judge the last step of this solution only by whether it is right and follows from what is "
        "before it; style does not matter. Give a score from 0, completely wrong, to 9, completely "
        "right. Answer with the digit only."
    )
    """What asks for the utility of the last step, after the solution so far."""
    opening: str = "Score: "
    """How the partner's turn begins, so that its next token is the digit."""

    def partners(self) -> Mapping[str, tuple[str, ...]]:
        """See `Method`."""
        return {self.model: ("continues_tokens", "scores_choices")}

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        text, tokens, last = "", 0, None
        for number in range(1, self.steps + 1):
            left = asked.max_tokens - tokens
            kept: Reply | None = None
            if number > self.first_steps:
                [tried] = yield [self._step(asked, text, left, last, None)]
                tokens_of(tried)  # without tokens the budget of the solution is not known
                [judged] = yield [self._judgement(asked, text + self._written(tried), tried)]
                if self._utility(judged) >= self.threshold:
                    kept = tried
            if kept is None:
                [kept] = yield [self._step(asked, text, left, last, self.model)]
            text, tokens, last = text + self._written(kept), tokens + len(tokens_of(kept)), kept
            has_ended = kept.finish_reason == "stop" and not self._goes_on(kept)
            answer = Answer(text, kept.index, budget=number, is_whole=has_ended)
            if not self._goes_on(kept) or tokens >= asked.max_tokens:
                return answer
            yield answer
        return None

    def _step(
        self, asked: Asked, text: str, left: int, last: Reply | None, partner: str | None
    ) -> Call:
        return Call(
            asked.messages,
            role="step" if partner is None else "rewrite",
            parent=None if last is None else last.index,
            continuation=text,
            max_tokens=left,
            stop=(self.separator,),
            partner=partner,
        )

    def _judgement(self, asked: Asked, text: str, tried: Reply) -> Call:
        return Call(
            replied(asked.messages, text, self.instruction),
            role="score",
            parent=tried.index,
            continuation=self.opening,
            choices=UTILITIES,
            partner=self.model,
        )

    def _goes_on(self, reply: Reply) -> bool:
        return reply.finish_reason == "stop" and reply.stop_text == self.separator

    def _written(self, reply: Reply) -> str:
        return reply.text + (self.separator if self._goes_on(reply) else "")

    def _utility(self, judged: Reply) -> int:
        """The most likely digit, the lower one among equals; 0 if none is among the likely tokens.

        Raises:
            ValueError: the engine does not report the probabilities of choices.
        """
        if judged.choice_logprobs is None:
            raise ValueError(f"the probabilities of the choices of call {judged.index} are unknown")
        known = [(p, -digit) for digit, p in enumerate(judged.choice_logprobs) if p is not None]
        return -max(known)[1] if known else 0
