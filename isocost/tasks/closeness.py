"""Answers that are right although they are not equal to the reference: options of two verifiers.

Lives here: the options of "numeric" and "symbolic" (tolerance, percent, units, sets, intervals) and
the comparisons that they ask for. Not here: exact comparison (``isocost.tasks.formulas.sameness``),
which part of a reply is the answer (the verifiers). Without options, nothing here is used.

Tolerances are about the reference: an answer a to a reference r is right if |a - r| is at most the
larger of absolute_tolerance and relative_tolerance times |r|, computed exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from isocost.tasks.formulas import sameness, trees, units
from isocost.tasks.formulas.reader import read
from isocost.tasks.formulas.trees import Tree
from isocost.tasks.numbers import value_of

_Item = TypeVar("_Item")
Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_LETTERS = frozenset(["m", "g", "l", "s", "h", "d"])
"""Units of one letter, which a formula takes for variables."""
_LAST = re.compile(
    r"(?<![\w.,])(?P<money>[$€£¥₹]\s*)?(?P<number>[+-]?\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"(?:\s*(?P<unit>%|°|¢|(?:[A-Za-z]+)\b))?"
)


class Close(BaseModel):
    """What both verifiers have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relative_tolerance: Tolerance = 0.0
    absolute_tolerance: Tolerance = 0.0
    in_interval: bool = False
    """The reference is an interval, and every number in it is right."""

    @property
    def has_tolerance(self) -> bool:
        """Whether numbers may differ at all."""
        return self.relative_tolerance > 0 or self.absolute_tolerance > 0

    def near(self, answer: Fraction, reference: Fraction) -> bool:
        """Whether a number is within the tolerance of the reference."""
        relative = Fraction(Decimal(repr(self.relative_tolerance))) * abs(reference)
        absolute = Fraction(Decimal(repr(self.absolute_tolerance)))
        return abs(answer - reference) <= max(relative, absolute)


class NumericSettings(Close):
    """The options of the verifier "numeric"."""

    percent: Literal["ignored", "fraction", "either"] = "ignored"
    """25% is 25, 0.25, or either of them."""
    units: bool = False
    """Units count: they are converted, and another kind of unit is wrong."""
    sets: bool = False
    """The reference and the answer are several numbers, in any order."""

    @property
    def reads_more(self) -> bool:
        """Whether an answer is more than one bare number."""
        return self.percent != "ignored" or self.units or self.sets


class SymbolicSettings(Close):
    """The options of the verifier "symbolic"."""

    percent: Literal["either", "fraction"] = "either"
    """50% is 0.5 and 50, or 0.5 alone."""
    units: Literal["optional", "required"] = "optional"
    """Whether a bare number equals a number with a unit."""


class Quantity(NamedTuple):
    """A number and its unit; "" for none, "%" for percent."""

    value: Fraction
    unit: str


def last_quantity(text: str) -> str | None:
    """The last number of a text with the unit beside it."""
    found = None
    for match in _LAST.finditer(text):
        unit = match["unit"] or ""
        known = unit in ("%", "°", "¢") or unit in _LETTERS or unit.casefold() in units.KNOWN
        found = f"{match['money'] or ''}{match['number']} {unit if known else ''}".strip()
    return found


def quantities(text: str) -> tuple[Quantity, ...] | None:
    """The numbers of an answer with their units; None if it is anything else."""
    tree = read(text)
    while tree is not None and tree[0] == "named":
        tree = tree[2]
    if tree is None:
        value = value_of(text)
        return None if value is None else (Quantity(value, ""),)
    if tree[0] == "sym" and tree[1] in _LETTERS and text.strip().startswith("1"):
        return (Quantity(Fraction(1), tree[1]),)  # "1 h" is read as one times h
    items = tree[1] if tree[0] in ("list", "set") else (tree,)
    found = [_quantity(item) for item in items]
    known = [each for each in found if each is not None]
    return tuple(known) if len(known) == len(found) else None


def _quantity(tree: Tree) -> Quantity | None:
    if tree[0] == "named":
        return _quantity(tree[2])
    if tree[0] == "num":
        return Quantity(tree[1], "")
    if tree[0] == "percent" and tree[1][0] == "num":
        return Quantity(tree[1][1], "%")
    if tree[0] == "unit" and tree[1][0] == "num":
        return Quantity(tree[1][1], tree[2])
    if tree[0] == "mul" and len(tree[1]) == 2:
        number, symbol = sorted(tree[1], key=lambda part: part[0] != "num")
        if number[0] == "num" and symbol[0] == "sym" and symbol[1] in _LETTERS:
            return Quantity(number[1], symbol[1])
    return None


def interval_of(text: str) -> tuple[Fraction, Fraction, bool, bool] | None:
    """Lower and upper end of an interval, and whether each belongs to it."""
    tree = read(text)
    while tree is not None and tree[0] == "named":
        tree = tree[2]
    if tree is None or tree[0] != "seq" or len(tree[3]) != 2:
        return None
    low, high = tree[3]
    if low[0] != "num" or high[0] != "num" or low[1] > high[1]:
        return None
    return low[1], high[1], tree[1] == "[", tree[2] == "]"


def is_within(value: Fraction, interval: tuple[Fraction, Fraction, bool, bool]) -> bool:
    """Whether an interval contains a number."""
    low, high, has_low, has_high = interval
    return (low < value or (has_low and value == low)) and (
        value < high or (has_high and value == high)
    )


def same_quantities(
    options: NumericSettings,
    answer: tuple[Quantity, ...],
    reference: tuple[Quantity, ...],
) -> bool:
    """Whether every number of the answer is one of the reference's, and none is left."""
    if len(answer) != len(reference) or (len(reference) > 1 and not options.sets):
        return False
    return _paired(answer, reference, lambda one, other: _same_quantity(options, one, other))


def _paired(
    first: tuple[_Item, ...], second: tuple[_Item, ...], same: Callable[[_Item, _Item], bool]
) -> bool:
    """Whether a one-to-one assignment of equal items exists.

    Equality within a tolerance is not transitive, so the first match may be the wrong one.
    """
    if len(first) > sameness.MAX_LIST:
        return False
    taken: dict[int, int] = {}

    def place(index: int, seen: set[int]) -> bool:
        for other, item in enumerate(second):
            if other in seen or not same(first[index], item):
                continue
            seen.add(other)
            if other not in taken or place(taken[other], seen):
                taken[other] = index
                return True
        return False

    return all(place(index, set()) for index in range(len(first)))


def _same_quantity(options: NumericSettings, answer: Quantity, reference: Quantity) -> bool:
    near = options.near
    if "%" in (answer.unit, reference.unit) and options.percent != "ignored":
        one, other = _as_fraction(answer), _as_fraction(reference)
        if near(one, other):
            return True
        return options.percent == "either" and near(answer.value, reference.value)
    if not options.units or not answer.unit or not reference.unit:
        return near(answer.value, reference.value)
    scale = units.factor(answer.unit, reference.unit)
    return scale is not None and near(answer.value * scale, reference.value)


def _as_fraction(quantity: Quantity) -> Fraction:
    return quantity.value / 100 if quantity.unit == "%" else quantity.value


def same_formulas(options: SymbolicSettings, answer: Tree, reference: Tree) -> bool:
    """Whether a formula is the reference by these options.

    Raises:
        ValueFailed: the value of a part could not be computed.
    """
    if options.percent == "fraction":
        answer, reference = _without_percent(answer), _without_percent(reference)
    if options.units == "required" and _has_unit(answer) != _has_unit(reference):
        return False
    return sameness.same(answer, reference) or (
        options.has_tolerance and _close(options, answer, reference)
    )


def _has_unit(tree: Tree) -> bool:
    return tree[0] == "unit" or (tree[0] == "named" and _has_unit(tree[2]))


def _without_percent(tree: Any) -> Any:
    """A tree with every percentage as a fraction."""
    if not isinstance(tree, tuple):
        return tree
    if tree and tree[0] == "percent":
        return trees.divide(_without_percent(tree[1]), trees.num(100))
    return tuple(_without_percent(part) for part in tree)


def _close(options: SymbolicSettings, answer: Tree, reference: Tree) -> bool:
    """The same with numbers within the tolerance, in the structures that have an order of parts.

    Structures are those of `sameness`: names, units, percent, lists and sets, pairs and intervals.
    """
    if "named" in (answer[0], reference[0]):
        both = answer[0] == reference[0]
        if both and answer[1].replace(" ", "") != reference[1].replace(" ", ""):
            return False
        one, other = (tree[2] if tree[0] == "named" else tree for tree in (answer, reference))
        return _close(options, one, other)
    if "percent" in (answer[0], reference[0]):
        one, other = _without_percent(answer), _without_percent(reference)
        bare, own = (tree[1] if tree[0] == "percent" else tree for tree in (answer, reference))
        return _close(options, one, other) or _close(options, bare, own)
    if "unit" in (answer[0], reference[0]):
        return _close_units(options, answer, reference)
    if {answer[0], reference[0]} <= {"list", "set"}:
        return _close_unordered(options, answer[1], reference[1])
    if answer[0] == reference[0] == "seq":
        pairs = zip(answer[3], reference[3], strict=False)
        return (
            answer[1:3] == reference[1:3]
            and len(answer[3]) == len(reference[3])
            and all(sameness.same(a, r) or _close(options, a, r) for a, r in pairs)
        )
    if not (trees.is_value(answer) and trees.is_value(reference)):
        return False
    one, other = sameness.real_value(answer), sameness.real_value(reference)
    return one is not None and other is not None and options.near(one, other)


def _close_units(options: SymbolicSettings, answer: Tree, reference: Tree) -> bool:
    if answer[0] != reference[0]:
        one, other = (tree[1] if tree[0] == "unit" else tree for tree in (answer, reference))
        return _close(options, one, other)
    scale = units.factor(answer[2], reference[2])
    return scale is not None and _close(
        options, trees.mul((answer[1], trees.num(scale))), reference[1]
    )


def _close_unordered(
    options: SymbolicSettings, answer: tuple[Tree, ...], reference: tuple[Tree, ...]
) -> bool:
    return len(answer) == len(reference) and _paired(
        answer,
        reference,
        lambda one, other: sameness.same(one, other) or _close(options, one, other),
    )
