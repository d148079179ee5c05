"""REBASE: a tree of steps in which good nodes get more children."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from isocost.methods.base import METHODS, Asked, Steps
from isocost.methods.paths import Path, Search


@METHODS.add
class Rebase(Search):
    """Reward balanced search (Wu et al. 2024): children in proportion to a softmax of scores.

    ``solutions`` first steps are sampled. At each depth the solutions that ended are taken off the
    budget B, and a node with score R gets Round(B exp(R / T) / sum exp(R / T)) children. If every
    node's share is rounded to none, which the paper leaves open, the best node gets one child. The
    answer is a vote weighted by scores, and T = 0.1, as in the paper.
    """

    name: ClassVar[str] = "rebase"
    source: ClassVar[str] = "Wu et al. 2024, arXiv:2408.00724, section 3.1.2 and appendix C"

    solutions: Annotated[int, Field(ge=1, le=256)] = 16
    """Solutions to be generated, about: rounding may give a few more or less."""
    balance: Annotated[float, Field(gt=0, le=1000)] = 0.1
    """Temperature T of the softmax: the higher, the more evenly nodes are expanded."""
    choose: Literal["best", "weighted_vote"] = "weighted_vote"

    def paths_per_step(self) -> int:
        """See `Search`.

        Rounding adds at most half a child per node, so twice the budget is never exceeded.
        """
        return 2 * self.solutions

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        parents, ended, left = [Path()] * self.solutions, [], self.solutions
        for depth in range(1, self.depth + 1):
            grown = yield from self.grow(asked, parents)
            nodes = [path for path in grown if not path.is_ended]
            ended += [path for path in grown if path.is_ended]
            left -= len(grown) - len(nodes)
            answer = self.answer(asked, [*ended, *nodes], depth)
            if left <= 0 or not nodes:
                return answer
            yield answer
            widths = expansion_widths([self.score(node) for node in nodes], left, self.balance)
            parents = [
                node for node, width in zip(nodes, widths, strict=True) for _ in range(width)
            ]
        return None


def expansion_widths(scores: Sequence[float], budget: int, balance: float) -> list[int]:
    """Children of each node, by its score.

    Args:
        scores: of the nodes at one depth.
        budget: solutions that are still to be generated.
        balance: temperature of the softmax.
    """
    best = max(scores)
    weights = [math.exp((score - best) / balance) for score in scores]
    widths = [math.floor(budget * weight / sum(weights) + 0.5) for weight in weights]
    if not any(widths):
        widths[scores.index(best)] = 1
    return widths
