"""Early-stopping self-consistency (ESC): sample windows until one is unanimous."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from isocost.methods.ballots import Ballot, majority, sample_votes
from isocost.methods.base import METHODS, Answer, Asked, Method, Reply, Steps
from isocost.stopping import MAX_SAMPLES, WINDOW, is_unanimous


@METHODS.add
class EarlyStoppingConsistency(Method):
    """Sample windows until one is unanimous, and answer with it; else with the majority of all.

    The live counterpart of the strategy of the same name, with its rule and defaults. Samples of a
    window run at the same time. Samples without an answer share one value, as in the authors'
    code: they can be unanimous, and are one more answer in the vote. Each tied answer is as likely,
    as the strategy shares the credit.
    """

    name: ClassVar[str] = "early_stopping_consistency"
    source: ClassVar[str] = "Li et al. 2024, arXiv:2401.10480"
    unit: ClassVar[str] = "samples"

    window: Annotated[int, Field(ge=1, le=100)] = WINDOW
    """Samples of a window (5 in Li et al.; see `isocost.stopping.WINDOW`)."""
    max_samples: Annotated[int, Field(ge=1, le=1000)] = MAX_SAMPLES
    """Samples at most, a multiple of the window."""

    @model_validator(mode="after")
    def _whole_windows(self) -> EarlyStoppingConsistency:
        if self.max_samples % self.window:
            raise ValueError(
                f"max_samples must be a multiple of the window, and {self.max_samples} is not one "
                f"of {self.window}"
            )
        return self

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        ballot: Ballot[Reply] = Ballot(asked.same)
        while ballot.size < self.max_samples:
            replies, numbers = yield from sample_votes(
                asked, ballot, self.window, silent_votes=True
            )
            if is_unanimous(numbers):
                return Answer(replies[0].text, replies[0].index, budget=ballot.size)
        return majority(asked, ballot, silent_votes=True)
