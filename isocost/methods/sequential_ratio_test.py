"""Sequential probability ratio test: sample until the test prefers the leading answer."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.ballots import sample_until_settled
from isocost.methods.base import METHODS, Asked, Method, Steps
from isocost.stopping import ALPHA, BETA, MAX_SAMPLES, SHARE, sprt_leads


@METHODS.add
class SequentialRatioTest(Method):
    """Sample one by one until Wald's test is decided or the cap is reached; answer the majority.

    The live counterpart of the strategy of the same name, with its rule and defaults: the leading
    answer's share of the top two is tested against the runner-up's. A sample without an answer
    costs a sample and has no vote. Each tied answer is as likely, as the strategy shares the
    credit.
    """

    name: ClassVar[str] = "sequential_ratio_test"
    source: ClassVar[str] = "Wald 1945, Sequential tests of statistical hypotheses"
    unit: ClassVar[str] = "samples"

    share: Annotated[float, Field(gt=0.5, lt=1)] = SHARE
    """The leader's share of the votes of the top two under the hypothesis that it leads."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = ALPHA
    """Error rate of stopping for a leader that does not lead."""
    beta: Annotated[float, Field(gt=0, lt=1)] = BETA
    """Error rate of going on although it leads."""
    max_samples: Annotated[int, Field(ge=1, le=1000)] = MAX_SAMPLES
    """Samples at most."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        leads = sprt_leads(self.share, self.alpha, self.beta, self.max_samples)
        return (yield from sample_until_settled(asked, leads, self.max_samples))
