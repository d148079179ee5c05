"""Best-first search over steps of reasoning."""

from __future__ import annotations

import heapq
from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Asked, Steps
from isocost.methods.paths import Path, Search


@METHODS.add
class BestFirst(Search):
    """Grow the best path there is, whatever its length, until the best one has ended.

    Each expansion samples ``width`` next steps of the path with the highest score among all that
    have not been grown yet; of equal ones the older. A path that has ended is among them, and the
    search ends when it is the best. With the score r of a step in [0, 1] this is A*-decoding
    (Chatziveroglou 2025) with its heuristic 1 - r and without its path cost, so that a long path is
    not put off for its length; ``aggregate: prod`` puts it off. The paper samples several steps
    (``width``) and bounds the expansions, for which it has no default: 16 are ours.

    After each expansion the answer is kept that a search with that many expansions gives.
    """

    name: ClassVar[str] = "best_first"
    source: ClassVar[str] = (
        "Pearl 1984, Heuristics, section 2.3; Chatziveroglou 2025, arXiv:2505.13672"
    )
    unit: ClassVar[str] = "expansions"

    width: Annotated[int, Field(ge=1, le=256)] = 4
    """Next steps that are generated of a path."""
    expansions: Annotated[int, Field(ge=1, le=4096)] = 16
    """Paths that are grown at most."""

    def paths_per_step(self) -> int:
        """See `Search`."""
        return self.width

    def waves(self) -> int:
        """See `Search`."""
        return self.expansions

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        best, seen = Path(), []
        frontier: list[tuple[float, int, Path]] = []
        for made in range(1, self.expansions + 1):
            grown = yield from self.grow(asked, [best] * self.width)
            for path in grown:
                seen.append(path)
                if path.is_ended or len(path.scores) < self.depth:
                    heapq.heappush(frontier, (-self.score(path), len(seen), path))
            answer = self.answer(asked, seen, made)
            if not frontier or frontier[0][-1].is_ended:
                return answer
            yield answer
            best = heapq.heappop(frontier)[-1]
        return None
