"""The interface of a scorer of steps.

Lives here: its base class, the registry, and the type of a parameter that names one. Not here: any
scorer (one module each in this folder).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    InstanceOf,
    PlainSerializer,
)

from isocost.methods.base import Asked, Call, Reply, with_parameters
from isocost.registry import Registry

Scores = Generator["Sequence[Call]", "list[Reply]", "list[float]"]
"""What `Scorer.scores` returns: it may yield calls like a method, and returns the scores."""


class Scorer(BaseModel):
    """A way to judge steps of reasoning. A subclass is a scorer; its fields are its parameters.

    Class attributes:
        name: snake_case, as the source calls it.
        source: where its definition comes from.
        calls: calls that it makes for each step.
        needs: capabilities of an engine that it cannot do without; see `Method`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str]
    source: ClassVar[str]
    calls: ClassVar[int] = 0
    needs: ClassVar[tuple[str, ...]] = ()

    def scores(
        self, asked: Asked, solutions: Sequence[tuple[str, ...]], replies: Sequence[Reply]
    ) -> Scores:
        """Score steps that were generated at the same time, each from 0 (bad) to 1 (good).

        Args:
            asked: the question.
            solutions: of each step, all steps up to and with it, with what separates them.
            replies: the call that generated each step.

        Raises:
            ValueError: the engine does not report what it takes.
        """
        raise NotImplementedError

    def partners(self) -> Mapping[str, tuple[str, ...]]:
        """The partners that it calls; see `Method.partners`."""
        return {}


SCORERS: Registry[type[Scorer]] = Registry("scorer", "isocost.methods.scorers")
"""Every scorer's class."""


def scorer_of(name: str, parameters: Mapping[str, Any]) -> Scorer:
    """The scorer with a name and parameters; those left out have their defaults.

    Raises:
        IsocostError: there is no such scorer, it has no such parameter, or a value is not allowed.
    """
    return with_parameters(SCORERS.get(name), "scorer", name, parameters, f"scorer {name}")


def _read(value: Any) -> Any:
    """A scorer by its name, or by a mapping with its name and parameters."""
    if isinstance(value, str):
        return scorer_of(value, {})
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return scorer_of(value["name"], {k: v for k, v in value.items() if k != "name"})
    if isinstance(value, Scorer):
        return value
    raise ValueError("a scorer is its name, or a mapping with its name and parameters")


def _written(scorer: Scorer) -> dict[str, Any]:
    return {"name": scorer.name, **scorer.model_dump(mode="json")}


StepScorer = Annotated[
    InstanceOf[Scorer], BeforeValidator(_read), PlainSerializer(_written, return_type=dict)
]
"""The type of a parameter that names a scorer."""
