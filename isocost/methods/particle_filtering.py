"""Particle filtering: paths are resampled by their scores after each step."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Asked, Steps
from isocost.methods.paths import Path, Search

CLIP = 1e-7
"""Scores are at least this far from 0 and 1, as in the authors' library, so that logits exist."""


@METHODS.add
class ParticleFiltering(Search):
    """Grow all paths by a step, then draw as many from them in proportion to their weights.

    A path's weight is the softmax of the logit of its score over a temperature, and paths are drawn
    independently (multinomial resampling), those that have ended too, as in Puri et al. 2025 and
    the authors' code. The search ends when all paths have ended; the answer is that of the path
    with the highest score.
    """

    name: ClassVar[str] = "particle_filtering"
    source: ClassVar[str] = "Puri et al. 2025, arXiv:2502.01618, algorithm 1"

    particles: Annotated[int, Field(ge=1, le=256)] = 4
    """Paths (4 in the authors' code)."""
    softmax_temperature: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Temperature of the softmax: the higher, the less scores matter."""

    def paths_per_step(self) -> int:
        """See `Search`."""
        return self.particles

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        paths = [Path()] * self.particles
        for depth in range(1, self.depth + 1):
            open_ = [path for path in paths if not path.is_ended]
            grown = iter((yield from self.grow(asked, open_)))
            paths = [path if path.is_ended else next(grown) for path in paths]
            if not _is_over(paths):
                scores = [self.score(path) for path in paths]
                draws = [asked.draw(f"resample:{depth}:{n}") for n in range(self.particles)]
                paths = [paths[n] for n in resampled(scores, draws, self.softmax_temperature)]
            answer = self.answer(asked, paths, depth)
            if _is_over(paths):
                return answer
            yield answer
        return None


def _is_over(paths: Sequence[Path]) -> bool:
    return all(path.is_ended for path in paths)


def resampled(scores: Sequence[float], draws: Sequence[float], temperature: float) -> list[int]:
    """Numbers of the paths that draws from 0 to 1 fall on, each as likely as its weight.

    Args:
        scores: of the paths, from 0 to 1.
        draws: one per path to be drawn.
        temperature: of the softmax of the logits.
    """
    logits = [_logit(score) / temperature for score in scores]
    best = max(logits)
    edges = list(itertools.accumulate(math.exp(logit - best) for logit in logits))
    return [min(bisect.bisect_right(edges, draw * edges[-1]), len(edges) - 1) for draw in draws]


def _logit(score: float) -> float:
    clipped = min(max(score, CLIP), 1 - CLIP)
    return math.log(clipped / (1 - clipped))
