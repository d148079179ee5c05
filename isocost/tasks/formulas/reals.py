"""Sets of real numbers with rational ends, in canonical form.

Lives here: intervals, their unions, intersections and differences, single numbers, and all reals,
so that R without 0 equals the union of (-inf, 0) and (0, inf). Not here: sets whose ends are not
rational numbers; they are compared piece by piece (``sameness``).
"""

from __future__ import annotations

from fractions import Fraction

from isocost.tasks.formulas.trees import Tree

Place = tuple[float | Fraction, int]
"""A cut of the line.

A number or infinity, and whether the cut is just below (-1) or just above (1) it.
"""
Reals = tuple[tuple[Place, Place], ...]
"""Disjoint pieces in order, none of which touch: each from a cut to a cut."""

_INFINITY = ("const", "inf")
_BELOW: Place = (float("-inf"), 1)
_ABOVE: Place = (float("inf"), -1)


def of(tree: Tree) -> Reals | None:
    """The set that a tree represents; None if it is not a set or its ends are not rational.

    A pair in round brackets is treated as an open interval: callers know that the other side is a
    set of reals.
    """
    kind = tree[0]
    if kind == "space":
        return ((_BELOW, _ABOVE),) if tree[1] == "R" else None
    if kind == "seq":
        return _interval(tree)
    if kind == "set":
        if any(item[0] != "num" for item in tree[1]):
            return None
        return _joined([((item[1], -1), (item[1], 1)) for item in tree[1]])
    if kind not in ("join", "meet", "less"):
        return None
    sides = [of(side) for side in tree[1]]
    known = [side for side in sides if side is not None]
    if len(known) < len(sides):
        return None
    if kind == "join":
        return _joined([piece for side in known for piece in side])
    first, *others = known
    for other in others:
        first = _meet(first, other if kind == "meet" else _rest(other))
    return first


def _interval(tree: Tree) -> Reals | None:
    opening, closing, ends = tree[1:4]
    if len(ends) != 2:
        return None
    low = _end(ends[0], 1 if opening == "(" else -1)
    high = _end(ends[1], -1 if closing == ")" else 1)
    return None if low is None or high is None or low >= high else ((low, high),)


def _end(tree: Tree, side: int) -> Place | None:
    if tree[0] == "num":
        return (tree[1], side)
    if tree == _INFINITY:
        return _ABOVE
    is_minus = (
        tree[0] == "mul"
        and len(tree[1]) == 2
        and _INFINITY in tree[1]
        and ("num", Fraction(-1)) in tree[1]
    )
    return _BELOW if is_minus else None


def _joined(pieces: list[tuple[Place, Place]]) -> Reals:
    found: list[tuple[Place, Place]] = []
    for low, high in sorted(pieces):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def _meet(first: Reals, second: Reals) -> Reals:
    pieces = [(max(a[0], b[0]), min(a[1], b[1])) for a in first for b in second]
    return _joined([(low, high) for low, high in pieces if low < high])


def _rest(pieces: Reals) -> Reals:
    """The complement."""
    cuts = [_BELOW, *(cut for piece in pieces for cut in piece), _ABOVE]
    return tuple((low, high) for low, high in zip(cuts[::2], cuts[1::2], strict=True) if low < high)
