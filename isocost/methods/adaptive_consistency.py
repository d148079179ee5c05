"""Adaptive-Consistency: sample until the leading answer is safe."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.ballots import sample_until_settled
from isocost.methods.base import METHODS, Asked, Method, Steps
from isocost.stopping import MAX_SAMPLES, THRESHOLD, beta_leads


@METHODS.add
class AdaptiveConsistency(Method):
    """Sample one by one until the Beta criterion holds or the cap is reached; answer the majority.

    The live counterpart of the strategy of the same name, with its rule and defaults: a threshold
    of 0.95 and at most 40 samples, as in Aggarwal et al. 2023. A sample without an answer costs a
    sample and has no vote. The authors' code breaks ties by the first answer; here each tied
    answer is as likely, as the strategy shares the credit.
    """

    name: ClassVar[str] = "adaptive_consistency"
    source: ClassVar[str] = "Aggarwal et al. 2023, arXiv:2305.11860"
    unit: ClassVar[str] = "samples"

    threshold: Annotated[float, Field(gt=0, le=1)] = THRESHOLD
    """Confidence that the leader will stay ahead of the runner-up."""
    max_samples: Annotated[int, Field(ge=1, le=1000)] = MAX_SAMPLES
    """Samples at most."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        leads = beta_leads(self.threshold, self.max_samples)
        return (yield from sample_until_settled(asked, leads, self.max_samples))
