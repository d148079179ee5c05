"""The declaration of a cost axis.

Lives here: the words of an axis, how its samples add up, what a cut sample has cost, the columns it
brings, and the base class that holds them. Not here: the axes (one module each in this folder),
finding them (``registry``), and computing their columns (``compute``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from isocost.errors import IsocostError

if TYPE_CHECKING:
    from isocost.axes.compute import Calls

Floats = NDArray[np.float64]
TOKENS = ("prompt_tokens", "output_tokens")
"""The columns that an axis reads unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class AxisLabel:
    """What a cost axis is called.

    Attributes:
        title: on an axis, with the unit.
        noun: after an amount in a sentence.
        short: in a table's head or a selector.
        unit: after an amount in a table; empty for counted things.
    """

    title: str
    noun: str
    short: str
    unit: str = ""

    @property
    def heading(self) -> str:
        """At the head of a column or line."""
        return self.short[:1].upper() + self.short[1:]

    @property
    def column(self) -> str:
        """In the head of a narrow column."""
        return self.short.removeprefix("generated ").split(",")[0]


@dataclass(frozen=True, slots=True)
class Field:
    """A column that an axis adds to a table.

    Attributes:
        name: snake_case, a quantity with its unit as suffix.
        meaning: one sentence for the data dictionary.
        unit: unit; empty for words.
        type: type of the schema.
        allowed: the complete set of values, for closed vocabularies.
        over_calls: the value for a sample of several calls: their ``sum``; the value that they have
            in common (``same``); that of the ``first``; the first that is known (``known``); or
            only defined for a sample of a ``single`` call.
    """

    name: str
    meaning: str
    unit: str = ""
    type: str = "float64"
    allowed: tuple[str, ...] = ()
    over_calls: str = "sum"


# --- How the cost of a strategy follows from the samples that it draws. -------------------------


@dataclass(frozen=True, slots=True)
class Count:
    """Every sample costs one."""


@dataclass(frozen=True, slots=True)
class Total:
    """Additive: the sum over the samples, in whichever order they run.

    Attributes:
        column: the cost of one sample.
        shared: the part of it that parallel samples pay only once, because they read a shared
            prefix together; empty if there is none.
    """

    column: str
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Elapsed time of samples in sequence: the sum; unknown for samples in parallel.

    Attributes:
        column: the time of one sample.
    """

    column: str


@dataclass(frozen=True, slots=True)
class Slowest:
    """An order statistic: parallel samples take as long as the slowest of them.

    Groups that wait for each other add up.

    Attributes:
        column: the time of one sample.
    """

    column: str


@dataclass(frozen=True, slots=True)
class Once:
    """A prefix that is computed once per model, however many samples continue from it.

    Attributes:
        column: its cost.
    """

    column: str


Adding = Count | Total | Elapsed | Slowest | Once

# --- The cost of a sample cut after b of its T generated tokens. -------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """As much as the whole sample: it is paid before the first token, by the call or the sample."""


@dataclass(frozen=True, slots=True)
class PerToken:
    """One for every token generated."""


@dataclass(frozen=True, slots=True)
class TokenShare:
    """b / T of the sample's cost, where that was shared out by generated tokens to begin with.

    Attributes:
        method: label of the point that says how the cost was shared out.
        ending: how the label ends where it was by tokens.
        otherwise: the reason where it was not.
    """

    method: str
    ending: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class DecodingShare:
    """Prefill, plus decoding in proportion to the intervals between tokens.

    prefill_s + decode_s (b - 1) / (T - 1).
    """


@dataclass(frozen=True, slots=True)
class ByTokens:
    """A function of token counts, of this degree in the generated ones.

    The axis computes it, so its rise is known when the sample is priced and is stored with the
    cost:
    cost - per_token (T - b) - per_token_squared (T^2 - b^2).

    Attributes:
        degree: 1 or 2.
    """

    degree: int = 1


@dataclass(frozen=True, slots=True)
class Unknown:
    """The cost cannot be determined.

    Attributes:
        reason: why, for ``costs_unknown_reasons``.
    """

    reason: str


Cut = Kept | PerToken | TokenShare | DecodingShare | ByTokens | Unknown

NO_LAW = "costs_follow_no_law_of_tokens"


class CostAxis:
    """One way to count the cost of inference. A subclass is an axis; its attributes describe it.

    Class attributes:
        name: snake_case, with the unit as suffix.
        place: its position among the others; axes without a position come last.
        unit: SI unit or counted thing.
        meaning: the meaning of the column in out_strategy_outcomes, one sentence.
        label: display label.
        adds: how the cost of a strategy follows from its samples.
        cut: the cost of a sample that is cut.
        fields: columns that it adds to core_samples, its own first; empty if it counts an existing
            column.
        is_of_calls: whether core_calls has its fields, too.
        needs_cards: cards without which it cannot be computed: model, device, price.
        needs_columns: columns of calls that ``compute`` reads; if one is NULL, so is the cost.
        method: column of core_samples with the method of a value; values with different methods are
            never added up. Empty if there is only one method.
        needs_method: whether values without a method are unknown.
        outcome_method: the same as a column of out_strategy_outcomes, if this axis adds it.
        verification: column with the cost of a sample's verifications on the axis; None if that is
            not banked.
        is_of_machine: whether it depends on the machine as much as on the model, so that values of
            different machines have no common mean.
        own_reason: column of core_samples and out_strategy_outcomes with the reason why it is
            unknown; None for the others, which share ``costs_unknown_reasons``.
        is_cost_of_pass: whether out_cost_of_pass has it.
    """

    name: ClassVar[str]
    place: ClassVar[int] = 1000
    unit: ClassVar[str]
    meaning: ClassVar[str]
    label: ClassVar[AxisLabel]
    adds: ClassVar[Adding]
    cut: ClassVar[Cut] = Unknown(NO_LAW)
    fields: ClassVar[tuple[Field, ...]] = ()
    is_of_calls: ClassVar[bool] = False
    needs_cards: ClassVar[tuple[str, ...]] = ()
    needs_columns: ClassVar[tuple[str, ...]] = TOKENS
    method: ClassVar[str] = ""
    needs_method: ClassVar[bool] = False
    outcome_method: ClassVar[Field | None] = None
    verification: ClassVar[Field | None] = None
    is_of_machine: ClassVar[bool] = False
    own_reason: ClassVar[Field | None] = None
    is_cost_of_pass: ClassVar[bool] = False

    def compute(self, calls: Calls) -> Floats:
        """The cost of each call, shape (n,); an axis that is measured elsewhere has none.

        Raises:
            IsocostError: something needed is unknown; its text becomes the reason.
        """
        raise NotImplementedError

    def aside(self, calls: Calls) -> Mapping[str, Floats]:
        """Its other columns that follow from the same numbers, each of shape (n,)."""
        return {}

    @property
    def column(self) -> str:
        """What one sample costs, a column of core_samples; empty for a count of samples."""
        return "" if isinstance(self.adds, Count) else self.adds.column

    @property
    def per_problem(self) -> str:
        """Its column in out_strategy_outcomes, which is its name as a ``cost_axis``."""
        return f"{self.name}_per_problem"

    @property
    def is_computed(self) -> bool:
        """Whether its own column is computed from others; False where it is measured."""
        return type(self).compute is not CostAxis.compute

    @property
    def rise(self) -> tuple[Field, ...]:
        """The columns with the cost of one more token; none unless it is computed from tokens."""
        if not isinstance(self.cut, ByTokens):
            return ()
        own, unit, degree = self.column, self.unit, self.cut.degree
        lost = f"{own}_per_token (T - b)"
        lost += f" - {own}_per_token_squared (T^2 - b^2)" if degree == 2 else ""
        linear = Field(
            f"{own}_per_token",
            f"Linear rise of {own} with generated tokens: cut after b of T tokens the sample "
            f"costs {own} - {lost}. NULL if the cost does not follow from tokens, and for a "
            f"sample of several calls.",
            f"{unit}/token",
            over_calls="single",
        )
        square = Field(
            f"{own}_per_token_squared",
            f"Quadratic rise of {own} with generated tokens, see {own}_per_token.",
            f"{unit}/token^2",
            over_calls="single",
        )
        return (linear, square)[:degree]

    @property
    def columns(self) -> tuple[Field, ...]:
        """Every column of core_samples that it brings."""
        return (*self.fields, *self.rise)

    def check(self, where: str) -> None:
        """Refuse a description with a hole in it."""
        lacking = [
            name
            for name in ("name", "unit", "meaning", "label", "adds")
            if getattr(self, name, None) is None
        ]
        if lacking:
            raise IsocostError(
                f"a cost axis lacks {', '.join(lacking)}",
                where=where,
                remedy="See docs/extending/cost-axis.md.",
            )
        if self.is_computed and (not self.fields or self.fields[0].name != self.column):
            raise IsocostError(
                f"the axis {self.name} is computed, so its first field must be its column"
                f" {self.column!r}",
                where=where,
                remedy="Name the column that `compute` fills in `fields`.",
            )
