"""Which calls of a client ran at the same time, and which build on which.

Lives here: `metered_calls`, from the requests of a client to its calls in order, with `waves` and
`parent_of`. A client does not say; both follow from times and texts. Not here: reading the answers
(``exchange``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isocost.engines.protocol import Completion
from isocost.meter.exchange import CHAT, Asked, Completions, Exchange, text_of

FOLLOW_UP = "follow_up"
"""Role of a call whose prompt contains an earlier answer."""

LEAST_QUOTED = 20
"""Characters from which on an answer inside a message is taken for a quotation."""


@dataclass(frozen=True)
class MeteredCall:
    """One choice of one request.

    Attributes:
        asked: the request.
        completion: what was generated.
        wave: see `waves`.
        parent: number of the call that it builds on; None for none.
    """

    asked: Asked
    completion: Completion
    wave: int
    parent: int | None


def metered_calls(
    exchanges: Sequence[Exchange], *, logprobs_k: int, context: int | None, key: str = ""
) -> list[MeteredCall]:
    """Every choice of every request, in the order in which they were asked.

    Args:
        exchanges: requests that have ended, in the order of their arrival.
        logprobs_k: most likely tokens per position that are kept.
        context: tokens of the model's context; None if unknown.
        key: the server's, redacted from its answers.
    """
    found: list[MeteredCall] = []
    ended: list[tuple[float, int, str]] = []
    spans = [(e.queued_s, e.ended_s or e.queued_s) for e in exchanges]
    for exchange, wave in zip(exchanges, waves(spans), strict=True):
        earlier = [(number, text) for end, number, text in ended if end <= exchange.queued_s]
        parent = parent_of(exchange.asked, earlier)
        read = Completions(exchange, logprobs_k=logprobs_k, context=context, key=key)
        for completion in read.found:
            if completion.text:
                end = exchange.ended_s or exchange.queued_s
                ended.append((end, len(found), completion.text))
            found.append(MeteredCall(exchange.asked, completion, wave, parent))
    return found


def waves(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The wave of each call: one more than the highest wave of the calls that ended before it.

    A call can only depend on calls that had ended when it began, so calls of a wave are
    independent, and each wave may depend on the one before.

    Args:
        spans: start and end of each call, in the order of their starts.

    Examples:
        >>> waves([(0, 3), (1, 2), (2.5, 5), (6, 7)])
        [0, 0, 1, 2]
    """
    found: list[int] = []
    for begin, _ in spans:
        before = [
            wave for wave, (_, end) in zip(found, spans[: len(found)], strict=True) if end <= begin
        ]
        found.append(max(before, default=-1) + 1)
    return found


def parent_of(asked: Asked, earlier: Sequence[tuple[int, str]]) -> int | None:
    """The call whose answer a request contains; the last one in the prompt if there are several.

    An answer counts where it is a message of the assistant or the end of one, which is then being
    continued, or, from `LEAST_QUOTED` characters on, where it is quoted in any message.

    Args:
        asked: the request.
        earlier: number and text of the calls that had ended when it began, in order.
    """
    answers = [(number, text.strip()) for number, text in earlier if text.strip()]
    for role, text in reversed(_turns(asked)):
        said = text.strip()
        if role == "assistant":
            for number, answer in reversed(answers):
                if said.endswith(answer) and not said[: -len(answer)][-1:].isalnum():
                    return number
        quoted = [
            (text.rfind(answer), number)
            for number, answer in answers
            if len(answer) >= LEAST_QUOTED and answer in text
        ]
        if quoted:
            return max(quoted)[1]
    return None


def _turns(asked: Asked) -> list[tuple[str, str]]:
    if asked.path == CHAT:
        return [(str(m.get("role")), text_of(m)) for m in asked.body["messages"]]
    return [("user", prompt) for prompt in asked.prompts]
