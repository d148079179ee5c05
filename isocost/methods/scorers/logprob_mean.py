"""How likely the model found its own words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from isocost.methods.base import Asked, Reply
from isocost.methods.scorers.base import SCORERS, Scorer, Scores


@SCORERS.add
class LogprobMean(Scorer):
    """exp of the mean log-probability of the step's tokens: their geometric mean probability.

    The generation confidence of a step in Xie et al. 2023, normalized by length. It costs nothing,
    and it is the same order as that of the mean itself. A step without a token has score 0.
    """

    name: ClassVar[str] = "logprob_mean"
    source: ClassVar[str] = "Xie et al. 2023, arXiv:2305.00633 (generation confidence)"

    def scores(
        self,
        asked: Asked,  # noqa: ARG002 - see `Scorer`
        solutions: Sequence[tuple[str, ...]],  # noqa: ARG002
        replies: Sequence[Reply],
    ) -> Scores:
        """See `Scorer`."""
        yield from ()  # it makes no calls
        return [_score(reply) for reply in replies]


def _score(reply: Reply) -> float:
    if reply.output_tokens == 0:
        return 0.0
    mean = reply.logprob_mean
    if mean is None:
        raise ValueError(f"the log-probabilities of call {reply.index} are unknown")
    return min(math.exp(mean), 1.0)
