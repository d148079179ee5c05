"""Replay settings, from a sweep file or the settings of a data root.

Lives here: the keys of ``replay`` and their validation. Not here: the files that contain them, and
how strategies use them (``isocost.strategies.options``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from isocost.sweep.models import Frozen


def _listed(value: Any) -> Any:
    """A single value is a list of one; a key without a value is not a list."""
    return value if isinstance(value, list | tuple) or value is None else (value,)


# Ten times the samples of the largest public banks; a policy's table has a row for each number.
MOST_SAMPLES = 100_000
Replayed = Annotated[int, Field(strict=True, ge=1, le=MOST_SAMPLES)]
Window = Annotated[int, Field(strict=True, ge=2, le=MOST_SAMPLES)]
Ties = Literal["uniform", "first", "pessimistic", "optimistic"]
Order = Literal["exchangeable", "as_recorded"]


class ReplayFields(Frozen):
    """Requested replay settings; a key that is left out requests nothing.

    Attributes:
        budgets: numbers of samples, instead of the default set.
        windows: samples in a window of early stopping, instead of the default 4.
        ties: how the plain majority breaks ties.
        orders: the mean over all orders, the samples as recorded, or both.
    """

    budgets: (
        Annotated[tuple[Replayed, ...], BeforeValidator(_listed), Field(min_length=1)] | None
    ) = None
    windows: Annotated[tuple[Window, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
        None
    )
    ties: Annotated[tuple[Ties, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    orders: Annotated[tuple[Order, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
        None
    )

    def over(self, other: ReplayFields) -> ReplayFields:
        """These settings, filled up with the other's where they request nothing."""
        return ReplayFields(
            **{
                name: getattr(other, name) if getattr(self, name) is None else getattr(self, name)
                for name in FIELDS
            }
        )


FIELDS = tuple(ReplayFields.model_fields)


class ReplayEntry(ReplayFields):
    """Settings for all tasks, and overrides for individual tasks under ``tasks``."""

    tasks: dict[str, ReplayFields] = Field(default_factory=dict)

    def of(self, task: str) -> ReplayFields:
        """The settings requested for a task."""
        return self.tasks.get(task, ReplayFields()).over(self)
