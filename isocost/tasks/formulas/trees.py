"""Trees of formulas, and exact arithmetic on them.

Lives here: the constructors. A tree is a nested tuple whose first item names its kind:

- ("num", Fraction), ("sym", name), ("const", "pi" | "e" | "i" | "inf"), ("big",): a number too
  large to be computed;
- ("add", terms), ("mul", factors), ("pow", base, exponent), ("call", name, arguments);
- ("seq", opening, closing, items): (1,2), [1,2], an interval; ("set", items); ("list", items):
  written side by side;
- ("join" | "meet" | "less", operands): union, intersection, difference; ("matrix", rows); ("space",
  "N" | "Z" | "Q" | "R" | "C");
- ("named", name, tree): x = 5, f(x) = x + 1; ("rel", left, operator, right, ...): other relations;
  ("in", tree, set);
- ("unit", tree, unit), ("percent", tree); ("colon", parts, suffix): 3:4, 10:15 a.m.; ("based",
  digits, base).

Sums, products and sets are sorted, so that equal trees of one shape are equal tuples. Numbers are
exact; nothing here is a float.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from math import comb, factorial, isqrt
from typing import Any

Tree = tuple[Any, ...]

MAX_BITS = 200_000
"""Numerators and denominators up to this size are computed exactly.

Larger ones are ("big",), which equals only its own spelling.
"""

ZERO, ONE, MINUS = (("num", Fraction(n)) for n in (0, 1, -1))
BIG: Tree = ("big",)


class Unreadable(Exception):
    """A text that the parser cannot account for as a whole."""


def num(value: Fraction | int) -> Tree:
    """A number; BIG for more than MAX_BITS bits."""
    value = Fraction(value)
    return BIG if _bits(value) > MAX_BITS else ("num", value)


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _sorted(items: Iterable[Tree]) -> tuple[Tree, ...]:
    return tuple(sorted(items, key=order))


def add(terms: Iterable[Tree]) -> Tree:
    """A sum, with its numbers added."""
    total, rest = Fraction(0), []
    for term in _flat("add", terms):
        if term[0] == "num":
            total += term[1]
        else:
            rest.append(term)
    if BIG in rest and all(term[0] in ("num", "big") for term in rest):
        return BIG
    if total or not rest:
        rest.append(num(total))
    return rest[0] if len(rest) == 1 else ("add", _sorted(rest))


def mul(factors: Iterable[Tree]) -> Tree:
    """A product, with its numbers multiplied."""
    total, rest = Fraction(1), []
    for factor in _flat("mul", factors):
        if factor[0] == "num":
            if _bits(total) + _bits(factor[1]) > 2 * MAX_BITS:
                rest.append(BIG)
            else:
                total *= factor[1]
        else:
            rest.append(factor)
    if total == 0 and not any(factor in (BIG, ("const", "inf")) for factor in rest):
        return ZERO
    if total != 1 or not rest:
        rest.append(num(total))
    return rest[0] if len(rest) == 1 else ("mul", _sorted(rest))


def _flat(kind: str, items: Iterable[Tree]) -> Iterable[Tree]:
    for item in items:
        if item[0] == kind:
            yield from item[1]
        else:
            yield item


def neg(tree: Tree) -> Tree:
    """The negative of a tree."""
    return mul((MINUS, tree))


def power(base: Tree, exponent: Tree) -> Tree:
    """A power: exact for rational bases with integer exponents, and for exact rational roots."""
    if exponent == ONE:
        return base
    if BIG in (base, exponent):
        return BIG
    if base[0] == "num" and exponent[0] == "num":
        exact = _rational_power(base[1], exponent[1])
        if exact is not None:
            return exact
    return ("pow", base, exponent)


def _rational_power(base: Fraction, exponent: Fraction) -> Tree | None:
    if not base and exponent <= 0:
        raise Unreadable("a power of zero that has no value")
    if exponent.denominator == 1:
        if base in (0, 1, -1):
            return num(base ** (exponent.numerator % 2 or 2))
        if abs(exponent.numerator) * _bits(base) > MAX_BITS:
            return BIG
        return num(base**exponent.numerator)
    if exponent.denominator == 2 and base >= 0 and abs(exponent.numerator) < 1000:
        top, bottom = isqrt(base.numerator), isqrt(base.denominator)
        if top * top == base.numerator and bottom * bottom == base.denominator:
            return _rational_power(Fraction(top, bottom), Fraction(exponent.numerator))
    return None


def divide(top: Tree, bottom: Tree) -> Tree:
    """A quotient. A division by zero is not an answer."""
    if bottom == ZERO:
        raise Unreadable("a division by zero")
    return mul((top, power(bottom, MINUS)))


def call(name: str, arguments: tuple[Tree, ...]) -> Tree:
    """A function applied to its arguments.

    Factorials, binomials, roots and absolute values of numbers are computed.
    """
    values = [argument[1] if argument[0] == "num" else None for argument in arguments]
    if BIG in arguments:
        return BIG
    if name == "sqrt":
        return power(arguments[0], ("num", Fraction(1, 2)))
    if name == "root":
        return power(arguments[0], divide(ONE, arguments[1]))
    if name == "exp":
        return power(("const", "e"), arguments[0])
    if None not in values:
        exact = _exact_call(name, [value for value in values if value is not None])
        if exact is not None:
            return exact
    return ("call", name, arguments)


def _exact_call(name: str, values: list[Fraction]) -> Tree | None:
    whole = [int(value) for value in values if value.denominator == 1 and value >= 0]
    if name == "abs":
        return num(abs(values[0]))
    if name in ("logb", "log10"):
        return _exact_log(values[0], values[1] if name == "logb" else Fraction(10))
    if name == "floor":
        return num(values[0].__floor__())
    if name == "ceil":
        return num(values[0].__ceil__())
    if len(whole) != len(values):
        return None
    if name == "factorial":
        return num(factorial(whole[0])) if whole[0] <= 12_000 else BIG
    if name == "binom":
        return num(comb(*whole)) if whole[0] <= 20_000 else BIG
    return None


def _exact_log(value: Fraction, base: Fraction) -> Tree | None:
    """A logarithm that is an integer; None otherwise."""
    if value <= 0 or base <= 1 or _bits(value) > 2000:
        return None
    found, power_of_base = 0, Fraction(1)
    target = value if value >= 1 else 1 / value
    while power_of_base < target:
        power_of_base, found = power_of_base * base, found + 1
    return num(found if value >= 1 else -found) if power_of_base == target else None


def contains(tree: Any, kind: str) -> bool:
    """Whether a node of this kind is anywhere in a tree."""
    return isinstance(tree, tuple) and (
        tree[:1] == (kind,) or any(contains(part, kind) for part in tree if isinstance(part, tuple))
    )


def is_value(tree: Tree) -> bool:
    """Whether a tree is a number or an expression, rather than a structure."""
    return tree[0] in ("num", "sym", "const", "add", "mul", "pow", "call", "big")


def order(tree: Tree) -> str:
    """Sort key and name of a tree, as text.

    Repr would fail for numbers of more than 4,300 digits.
    """
    return json.dumps(to_json(tree))


def to_json(tree: Any) -> Any:
    """A tree as JSON: tuples as lists, numbers as hexadecimal texts."""
    if isinstance(tree, Fraction):
        return f"{tree.numerator:x}/{tree.denominator:x}"
    return [to_json(part) for part in tree] if isinstance(tree, tuple) else tree
