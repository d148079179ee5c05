"""How banked samples are replayed, as a sweep file or the settings of a data root say it.

Lives here: the keys of ``replay`` and their checks. Not here: the files they stand in, and what
strategies make of them (``isocost.strategies.options``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from isocost.sweep.models import Count, Frozen


def _listed(value: Any) -> Any:
    """A single value stands for a list of one; a key given without a value is no list."""
    return value if isinstance(value, list | tuple) or value is None else (value,)


Window = Annotated[int, Field(strict=True, ge=2)]
Ties = Literal["uniform", "first", "pessimistic", "optimistic"]
Order = Literal["exchangeable", "as_recorded"]


class ReplayFields(Frozen):
    """What is asked for; a key that is left out asks for nothing.

    Attributes:
        budgets: numbers of samples, in place of the default set.
        windows: samples in a window of early stopping, in place of the usual 4.
        ties: how the plain majority breaks ties.
        orders: the mean over all orders, the samples as recorded, or both.
    """

    budgets: Annotated[tuple[Count, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
        None
    )
    windows: Annotated[tuple[Window, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
        None
    )
    ties: Annotated[tuple[Ties, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    orders: Annotated[tuple[Order, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
        None
    )

    def over(self, other: ReplayFields) -> ReplayFields:
        """These, and where they ask for nothing the other's."""
        return ReplayFields(
            **{
                name: getattr(other, name) if getattr(self, name) is None else getattr(self, name)
                for name in FIELDS
            }
        )


FIELDS = tuple(ReplayFields.model_fields)


class ReplayEntry(ReplayFields):
    """For every task, and under ``tasks`` what single tasks ask for in place of it."""

    tasks: dict[str, ReplayFields] = Field(default_factory=dict)

    def of(self, task: str) -> ReplayFields:
        """What is asked for a task."""
        return self.tasks.get(task, ReplayFields()).over(self)
