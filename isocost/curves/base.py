"""The interface of curve families, and their discovery.

Lives here: the ``Family`` base class and the registry over ``isocost.curves.shapes``, where a new
family is one new file. Not here: any particular family,
and the fitting itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from isocost.registry import Registry

Array = NDArray[np.float64]
AsymptoteKind = Literal["fitted", "constructed", "none"]


class Family(ABC):
    """One shape of accuracy against compute.

    The solver works on *internal* parameters ``theta`` (B fits x P parameters, boxed, well
    conditioned) over ``log_x = ln(x)``; users see *public* parameters named as in the family's
    source paper. A fit of B curves is one call: every method is vectorised over the first axis.

    Attributes:
        name: key under which the family is registered.
        parameter_names: public parameters, in the order of ``public``'s columns.
        n_free: number of free curve parameters (K - 1 in the information criteria).
        asymptote_kind: "fitted" when the data decide the limit, "constructed" when the formula
            fixes it, "none" without one.
        axis: "any", or "samples" / "rounds" when x must count samples or sequential rounds.
        level_parameter: the public parameter that equals the level of a curve without gain; the
            others are unidentified there.
    """

    name: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    n_free: ClassVar[int]
    asymptote_kind: ClassVar[AsymptoteKind]
    axis: ClassVar[Literal["any", "samples", "rounds"]] = "any"
    level_parameter: ClassVar[str | None] = None

    @abstractmethod
    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """Return lower and upper bounds of ``theta``, each broadcastable to (B, P)."""

    @abstractmethod
    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """Return start values (B, S, P); the solver refines the best one."""

    def constant(self, level: Array) -> Array | None:
        """Internal parameters (B, P) of the constants ``level`` (B,).

        A fit that ended worse than its mean starts again from there.

        None for a family that has no such constant, or whose own starts never do.
        """
        return None

    @abstractmethod
    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Predictions (B, N) and their derivatives, one array (B, N) per column of ``theta``."""

    @abstractmethod
    def public(self, theta: Array) -> Array:
        """Return the public parameters (B, len(parameter_names))."""

    def rescale(self, theta: Array, log_factor: Array) -> Array | None:
        """Internal parameters (B, P) of the same curves with every x times exp(log_factor) (B,).

        None for a family whose shape depends on the unit of x, such as those that count samples.
        """
        return None

    @abstractmethod
    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate public parameters (B, Q) at x, broadcastable to (B, N)."""

    @abstractmethod
    def asymptote(self, parameters: Array) -> Array:
        """Return the limit for unbounded compute (B,); NaN for a family that has none."""

    @abstractmethod
    def invert(self, parameters: Array, target: Array) -> Array:
        """Return the compute at which the curve reaches ``target`` (B,).

        +inf where it never does, 0 where it starts above.
        """


FAMILIES: Registry[Family] = Registry(
    "curve family", "isocost.curves.shapes", plural="curve families"
)
register = FAMILIES.instance


def families() -> tuple[str, ...]:
    """Names of all registered families, sorted.

    Examples:
        >>> "saturating_power_law" in families()
        True
    """
    return FAMILIES.names()


def family(name: str | Family) -> Family:
    """The family registered under ``name``.

    A ``Family`` instance is returned unchanged (for example with a set baseline).

    Raises:
        IsocostError: when no family has that name.
    """
    return name if isinstance(name, Family) else FAMILIES.get(name, where="family")
