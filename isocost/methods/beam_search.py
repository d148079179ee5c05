"""Beam search over steps of reasoning, and its variant with independent subtrees (DVTS)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Asked, Steps
from isocost.methods.paths import Path, Search


@METHODS.add
class BeamSearch(Search):
    """Grow ``width`` times ``expansions`` paths by a step, keep the best ``width``, and so on.

    With N and M of Snell et al. 2024 and Beeching et al. 2024: N = width x expansions paths in
    parallel, beam width M = expansions; the defaults are N = 16 and M = 4, as in the latter's
    recipes. Of paths with the same text one is kept, as in these recipes. A path that has ended
    keeps its place as long as it is among the best, and is not grown; the search ends when all that
    are kept have ended. The answer is chosen among all paths that ever ended.

    With ``subtrees`` it is diverse verifier tree search (Beeching et al. 2024): the first steps are
    divided into ``width`` independent subtrees, and in each the best path alone is kept.
    """

    name: ClassVar[str] = "beam_search"
    source: ClassVar[str] = (
        "Snell et al. 2024, arXiv:2408.03314, section 5.1; Beeching et al. 2024, Scaling test-time "
        "compute with open models"
    )

    width: Annotated[int, Field(ge=1, le=256)] = 4
    """Paths that are kept at each step, or subtrees."""
    expansions: Annotated[int, Field(ge=1, le=256)] = 4
    """Next steps that are generated of each path that is kept."""
    subtrees: bool = False
    """Whether paths compete within independent subtrees only (DVTS)."""

    def paths_per_step(self) -> int:
        """See `Search`."""
        return self.width * self.expansions

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        beams = [[Path()] for _ in range(self.width)] if self.subtrees else [[Path()] * self.width]
        dropped: list[Path] = []
        for depth in range(1, self.depth + 1):
            open_ = [[path for path in beam if not path.is_ended] for beam in beams]
            parents = [path for beam in open_ for path in beam for _ in range(self.expansions)]
            grown = iter((yield from self.grow(asked, parents)))
            for number, beam in enumerate(beams):
                new = [next(grown) for _ in range(len(open_[number]) * self.expansions)]
                ranked = self._distinct([*(path for path in beam if path.is_ended), *new])
                kept = 1 if self.subtrees else self.width
                beams[number] = ranked[:kept]
                dropped += [path for path in ranked[kept:] if path.is_ended]
            paths = [*(path for beam in beams for path in beam), *dropped]
            answer = self.answer(asked, paths, depth)
            if all(path.is_ended for beam in beams for path in beam):
                return answer
            yield answer
        return None

    def _distinct(self, paths: Sequence[Path]) -> list[Path]:
        """Paths by score, of those with the same text the best one."""
        found: dict[tuple[str, bool], Path] = {}
        for path in self.ranked(paths):
            found.setdefault((path.text, path.is_ended), path)
        return list(found.values())
