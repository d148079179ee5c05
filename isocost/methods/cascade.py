"""A cascade: a small model answers, and a larger one where the small one is not sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from isocost.methods.base import METHODS, Alias, Answer, Asked, Call, Method, Steps
from isocost.stopping import is_kept


@METHODS.add
class Cascade(Method):
    """Ask the point's own model, and each partner in turn until an answer is kept.

    The live counterpart of the strategy of the same name, with its rule: an answer is kept if its
    score reaches the model's threshold; one without a score never is, and the last model's always.
    Chen, Zaharia and Zou 2023 with the score of Gupta et al. 2024, the mean ln p of the answer's
    tokens (Chow-Average; the strategy's scorer ``mean_logprob``). The strategy finds its thresholds
    on other problems; a live cascade is given them.

    Budgets are models that may be asked: an answer that is kept holds for all larger ones.
    """

    name: ClassVar[str] = "cascade"
    source: ClassVar[str] = (
        "Chen, Zaharia and Zou 2023, arXiv:2305.05176; Gupta et al. 2024, arXiv:2404.10136"
    )
    unit: ClassVar[str] = "models"

    models: Annotated[tuple[Alias, ...], Field(min_length=1, max_length=20)] = ("large",)
    """Aliases of the partners that are asked after the point's own model, in order."""
    thresholds: tuple[Annotated[float, Field(le=0, allow_inf_nan=False)], ...] = (-0.5,)
    """Mean ln p that keeps an answer, of each model but the last (nats; no default in the sources,
    which find it on other problems)."""

    @model_validator(mode="after")
    def _one_each(self) -> Cascade:
        if len(self.thresholds) != len(self.models):
            raise ValueError(
                f"there must be one threshold per partner: {len(self.models)} in `models`, "
                f"{len(self.thresholds)} in `thresholds`"
            )
        if len(set(self.models)) < len(self.models):
            raise ValueError("a partner is named twice")
        return self

    def partners(self) -> Mapping[str, tuple[str, ...]]:
        """See `Method`."""
        return dict.fromkeys(self.models, ())

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        [reply] = yield [Call(asked.messages)]
        for number, (alias, threshold) in enumerate(
            zip(self.models, self.thresholds, strict=True), start=1
        ):
            answer = Answer(reply.text, reply.index, budget=number)
            if is_kept(reply.logprob_mean, threshold):
                return answer
            yield answer
            [reply] = yield [Call(asked.messages, role="escalate", partner=alias)]
        return Answer(reply.text, reply.index, budget=len(self.models) + 1)
