r"""Decide whether two trees are the same answer.

Lives here: the rules, structure by structure, and the comparison of values. Not here: reading
(``reader``).

The relation is symmetric. Rational numbers are equal if they are identical. Other expressions are
equal if their values agree to 1,000 significant digits (with variables: also at two further points
to 15 digits): a stated rule, not a proof. Everything else is compared piece by piece: brackets,
order of pairs, names, units.

Deliberately equal: a bare number and the same number with a unit or degrees (not two different
units); 50% and 1/2, and 50% and 50 (above 1: a reference 50 to "what percent"); x = 5 and 5; 1 < x
< 2 and (1,2); R without 0 and (-\infty,0)\cup(0,\infty); \{1,2\} and "2, 1".
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from isocost.tasks.formulas import reals, trees, units
from isocost.tasks.formulas.trees import Tree
from isocost.tasks.judging import JudgeFailed, call

CPU_LIMIT_S = 2.0
MAX_LIST = 40
"""Items of a list or set that are compared.

Longer ones are equal only when they are the same tree.
"""
_CONTEXT = Context(prec=30, Emax=10**17, Emin=-(10**17))
_NEAR = Decimal("1e-15")


class ValueFailed(Exception):
    """The value of a tree could not be computed."""

    def __init__(self, tree: Tree, failure: JudgeFailed) -> None:
        """Keep the tree at fault and the grader's reason."""
        super().__init__(str(failure))
        self.tree = tree
        self.failure = failure


def same(first: Tree, second: Tree) -> bool:
    """Whether two answers are the same.

    Raises:
        ValueFailed: the value of a part could not be computed.
    """
    if first == second:
        return True
    if first[0] == "named" or second[0] == "named":
        return _named(first, second)
    if "percent" in (first[0], second[0]):
        return _percent(first, second)
    if "unit" in (first[0], second[0]):
        return _unit(first, second)
    if {first[0], second[0]} <= {"list", "set"}:
        return _unordered(first[1], second[1])
    if trees.is_value(first) and trees.is_value(second):
        return _equal_values(first, second)
    if {first[0], second[0]} & {"join", "less", "meet", "space"}:
        one, two = reals.of(first), reals.of(second)
        if one is not None and two is not None:
            return one == two
    return first[0] == second[0] and _pieces(first, second)


def _named(first: Tree, second: Tree) -> bool:
    if first[0] != second[0]:
        named, other = (first, second) if first[0] == "named" else (second, first)
        if other[0] == "rel":
            return same(("rel", (("sym", named[1]), named[2]), ("=",)), other)
        return same(named[2], other)
    return first[1].replace(" ", "") == second[1].replace(" ", "") and same(first[2], second[2])


def _percent(first: Tree, second: Tree) -> bool:
    if first[0] == second[0]:
        return same(first[1], second[1])
    share, other = (first[1], second) if first[0] == "percent" else (second[1], first)
    if not trees.is_value(other):
        return False
    if same(trees.divide(share, trees.num(100)), other):
        return True
    return share[0] == "num" and abs(share[1]) > 1 and same(share, other)


def _unit(first: Tree, second: Tree) -> bool:
    if first[0] == second[0]:
        if first[2] == second[2]:
            return same(first[1], second[1])
        scale = units.factor(first[2], second[2])
        return scale is not None and same(trees.mul((first[1], trees.num(scale))), second[1])
    quantity, other = (first, second) if first[0] == "unit" else (second, first)
    if quantity[2] == "deg" and trees.contains(other, "const") and trees.is_value(other):
        return same(
            trees.mul((quantity[1], ("const", "pi"), trees.num(trees.Fraction(1, 180)))), other
        )
    return same(quantity[1], other)


def _pieces(first: Tree, second: Tree) -> bool:
    kind = first[0]
    if kind == "seq":
        return first[1:3] == second[1:3] and _ordered(first[3], second[3])
    if kind in ("join", "meet"):
        return _unordered(first[1], second[1])
    if kind == "less":
        return _ordered(first[1], second[1])
    if kind == "in":
        return _ordered(first[1:], second[1:])
    if kind == "matrix":
        rows = list(zip(first[1], second[1], strict=False))
        return len(first[1]) == len(second[1]) and all(_ordered(one, two) for one, two in rows)
    if kind == "colon":
        return "" in (first[2], second[2]) and _ordered(first[1], second[1])
    if kind == "rel":
        return _relations(first, second)
    return False


def _ordered(first: tuple[Tree, ...], second: tuple[Tree, ...]) -> bool:
    return len(first) == len(second) and all(
        same(one, two) for one, two in zip(first, second, strict=True)
    )


def _unordered(first: tuple[Tree, ...], second: tuple[Tree, ...]) -> bool:
    if len(first) != len(second) or len(first) > MAX_LIST:
        return False
    rest = list(second)
    for item in first:
        for index, other in enumerate(rest):
            if same(item, other):
                del rest[index]
                break
        else:
            return False
    return True


def _relations(first: Tree, second: Tree) -> bool:
    flip = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
    for parts, operators in (
        (second[1], second[2]),
        (second[1][::-1], tuple(flip.get(op, op) for op in second[2][::-1])),
    ):
        if operators == first[2] and _ordered(first[1], parts):
            return True
    if first[2] == second[2] == ("=",) and all(map(trees.is_value, (*first[1], *second[1]))):
        # Two equations are equivalent if one is a constant multiple of the other.
        sides = [trees.add((left, trees.neg(right))) for left, right in (first[1], second[1])]
        if trees.ZERO in sides or _is_odd(sides[0]) or _is_odd(sides[1]):
            return False
        values = _values(trees.divide(sides[0], sides[1]))
        return len(values) > 1 and all(
            v is not None and v != (0, 0) and _near(v, values[0]) for v in values
        )
    return False


def _equal_values(first: Tree, second: Tree) -> bool:
    if first[0] == second[0] == "num" or _is_odd(first) or _is_odd(second):
        return False
    whole = any(_counts(tree) for tree in (first, second))
    one, two = _values(first, whole), _values(second, whole)
    if len(one) != len(two):  # one of them has variables: it may still be constant, as x - x
        one, two = (
            list(values) * (max(len(one), len(two)) if len(values) == 1 else 1)
            for values in (one, two)
        )
    pairs = list(zip(one, two, strict=True))
    if all(a is None and b is None for a, b in pairs) or not all(
        (a is None) == (b is None) and _near(a, b) for a, b in pairs
    ):
        return False
    arguments = {"first": trees.to_json(first), "second": trees.to_json(second)}
    try:
        if not call("trees_agree", {**arguments, "whole": whole, "cpu_limit_s": CPU_LIMIT_S}):
            return False
    except JudgeFailed as failure:
        raise ValueFailed(
            first if len(trees.order(first)) > len(trees.order(second)) else second, failure
        ) from None
    return not _differ_by_a_term(first, second, arguments)


def _differ_by_a_term(first: Tree, second: Tree, arguments: dict[str, Any]) -> bool:
    if any(trees.contains(tree, "sym") for tree in (first, second)):
        return False
    try:
        return bool(call("differ_by_a_term", {**arguments, "cpu_limit_s": CPU_LIMIT_S}))
    except JudgeFailed:
        return False  # the rule of 1,000 digits applies


def _counts(tree: Any) -> bool:
    """Whether a tree contains a factorial or binomial of an expression.

    Its variables are whole numbers.
    """
    return any(part[:2] in (("call", "factorial"), ("call", "binom")) for part in parts(tree))


def _is_odd(tree: Tree) -> bool:
    """Values that cannot be compared.

    Too large a number, infinity, a set within a product.
    """
    return (
        trees.contains(tree, "big")
        or trees.contains(tree, "space")
        or tree == ("const", "inf")
        or _has_infinity(tree)
    )


def _has_infinity(tree: Any) -> bool:
    return isinstance(tree, tuple) and (
        tree == ("const", "inf") or any(_has_infinity(part) for part in tree)
    )


@lru_cache(maxsize=50_000)
def _values(tree: Tree, whole: bool = False) -> tuple[tuple[Decimal, Decimal] | None, ...]:
    try:
        found = call(
            "tree_values", {"tree": trees.to_json(tree), "whole": whole, "cpu_limit_s": CPU_LIMIT_S}
        )
    except JudgeFailed as failure:
        raise ValueFailed(tree, failure) from None
    return tuple(
        None
        if value is None
        else (_CONTEXT.create_decimal(value[0]), _CONTEXT.create_decimal(value[1]))
        for value in found
    )


def real_value(tree: Tree) -> Fraction | None:
    """The value of a tree without variables, to 30 digits; None if it has some or is not real.

    Raises:
        ValueFailed: it could not be computed.
    """
    if tree[0] == "num":
        return tree[1] if isinstance(tree[1], Fraction) else None
    if _is_odd(tree) or trees.contains(tree, "sym"):
        return None
    found = _values(tree)
    if len(found) != 1 or found[0] is None or found[0][1] != 0:
        return None
    return Fraction(found[0][0])


def _near(first: tuple[Decimal, Decimal] | None, second: tuple[Decimal, Decimal] | None) -> bool:
    if first is None or second is None:
        return first is second
    largest = max(abs(part) for value in (first, second) for part in value)
    limit = _CONTEXT.multiply(largest, _NEAR)
    return all(
        abs(_CONTEXT.subtract(one, two)) <= limit for one, two in zip(first, second, strict=True)
    )


def parts(tree: Any) -> Iterator[Tree]:
    """A tree and all its subtrees."""
    if isinstance(tree, tuple):
        if tree and isinstance(tree[0], str):
            yield tree
        for part in tree:
            yield from parts(part)
