"""Values of trees at fixed points, with a requested number of digits.

Runs in the helper process only.

Lives here: evaluation by mpmath, and the last check of constants by sympy. Not here: what follows
from it (``sameness``).
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

POINTS = 3
"""Points at which expressions with variables are compared.

The last one has negative coordinates.
"""
DIGITS = 60
MANY_DIGITS = 1000


class _Undefined(Exception):
    """An expression has no value at this point."""


class _Point(NamedTuple):
    """A point at which expressions are evaluated."""

    number: int
    whole: bool


def tree_values(
    tree: list[Any], digits: int = DIGITS, points: int = POINTS, whole: bool = False
) -> list[list[str] | None]:
    """Real and imaginary part, as decimals with 30 digits, at each point.

    None at points without a value.

    Args:
        tree: as JSON (``trees.to_json``).
        digits: digits of the computation. A result within rounding error is "0".
        points: number of points; an expression without variables has one.
        whole: whether variables are whole numbers, as with factorials.
    """
    import mpmath

    count = points if _has_symbols(tree) else 1
    found: list[list[str] | None] = []
    for point in range(count):
        try:
            value = _stable(tree, _Point(point, whole), digits)
            found.append(
                None
                if value is None
                else [
                    str(mpmath.nstr(part, 30, min_fixed=1, max_fixed=0))
                    for part in (value.real, value.imag)
                ]
            )
        except _Undefined:
            found.append(None)
    return found


def trees_agree(first: list[Any], second: list[Any], whole: bool = False) -> bool:
    """Whether two expressions agree to MANY_DIGITS significant digits at the first point.

    Also true if both are zero.
    """
    import mpmath

    with mpmath.workdps(MANY_DIGITS + 100):
        try:
            one, two = (
                mpmath.mpmathify(_value(tree, _Point(0, whole))) for tree in (first, second)
            )
        except _Undefined:
            return False
        largest = max(abs(one), abs(two))
        return bool(
            abs(one - two) <= largest * mpmath.mpf(10) ** -MANY_DIGITS
            or largest < mpmath.mpf(10) ** -MANY_DIGITS
        )


def differ_by_a_term(first: list[Any], second: list[Any]) -> bool:
    """Whether sympy reduces the difference of two constants to one nonzero term.

    For example 1 + e^-9999 and 1.
    """
    import sympy

    difference = sympy.expand(_expression(first) - _expression(second))
    return bool(not difference.is_Add and difference.is_zero is False)


def _stable(tree: list[Any], point: _Point, digits: int) -> Any:
    import mpmath

    with mpmath.workdps(digits):
        rough = mpmath.mpmathify(_value(tree, point))
    with mpmath.workdps(2 * digits):
        fine = mpmath.mpmathify(_value(tree, point))
        if not mpmath.isfinite(fine):
            return None
        parts = []
        for a, b in ((rough.real, fine.real), (rough.imag, fine.imag)):
            # Anything that changes with the precision, or is negligible relative to the whole, is
            # rounding.
            noise = abs(a - b) > abs(b) * mpmath.mpf(10) ** (-digits // 2) or abs(b) < abs(
                fine
            ) * mpmath.mpf(10) ** (-digits)
            parts.append(mpmath.mpf(0) if noise else b)
        return mpmath.mpc(*parts)


def _has_symbols(tree: Any) -> bool:
    return isinstance(tree, list) and (
        tree[:1] == ["sym"] or any(_has_symbols(part) for part in tree)
    )


def _coordinate(name: str, point: _Point) -> Any:
    import mpmath

    digits = int.from_bytes(hashlib.sha256(f"{name} {point.number}".encode()).digest()[:8], "big")
    if point.whole:
        return mpmath.mpf(20 + digits % 50)
    value = 1 + mpmath.mpf(digits) / 2**63
    return -value if point.number == POINTS - 1 else value


def _fraction(text: str) -> tuple[int, int]:
    top, bottom = text.split("/")
    return int(top, 16), int(bottom, 16)


def _value(tree: list[Any], point: _Point) -> Any:
    import mpmath

    kind = tree[0]
    if kind == "num":
        top, bottom = _fraction(tree[1])
        return mpmath.mpf(top) / bottom
    if kind == "sym":
        return _coordinate(tree[1], point)
    if kind == "const":
        if tree[1] == "inf":
            raise _Undefined
        return {"pi": mpmath.pi, "e": mpmath.e, "i": mpmath.mpc(0, 1)}[tree[1]] * 1
    try:
        if kind == "add":
            return mpmath.fsum(_value(part, point) for part in tree[1])
        if kind == "mul":
            return mpmath.fprod(_value(part, point) for part in tree[1])
        if kind == "pow":
            return _power(_value(tree[1], point), tree[2], point)
        if kind == "call":
            return _call(tree[1], [_value(part, point) for part in tree[2]])
    except (ZeroDivisionError, ValueError):
        raise _Undefined from None
    raise ValueError(f"{kind} has no value")


def _power(base: Any, exponent: list[Any], point: _Point) -> Any:
    """Powers; an odd root of a negative number is the real one, as taught in school."""
    import mpmath

    if exponent[0] == "num":
        top, bottom = _fraction(exponent[1])
        if bottom == 1:
            return base**top
        if bottom % 2 and mpmath.im(base) == 0 and mpmath.re(base) < 0:
            return (-(mpmath.root(-mpmath.re(base), bottom))) ** top
    return mpmath.power(base, _value(exponent, point))


def _call(name: str, values: list[Any]) -> Any:
    import mpmath

    def recip(function: Any) -> Any:
        return lambda value: 1 / function(value)

    table = {
        "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "sec": recip(mpmath.cos),
        "csc": recip(mpmath.sin), "cot": recip(mpmath.tan),
        "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan, "sinh": mpmath.sinh,
        "cosh": mpmath.cosh, "tanh": mpmath.tanh,
        "ln": mpmath.log, "log": mpmath.log, "log10": mpmath.log10, "logb": mpmath.log,
        "abs": mpmath.fabs, "floor": mpmath.floor,
        "ceil": mpmath.ceil, "factorial": mpmath.factorial, "binom": mpmath.binomial, "min": min,
        "max": max,
    }  # fmt: skip
    if name not in table:
        raise ValueError(f"{name} has no value")
    return table[name](*values)


def _expression(tree: list[Any]) -> Any:
    import sympy

    kind = tree[0]
    if kind == "num":
        return sympy.Rational(*_fraction(tree[1]))
    if kind == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}[tree[1]]
    if kind in ("add", "mul"):
        return {"add": sympy.Add, "mul": sympy.Mul}[kind](*map(_expression, tree[1]))
    if kind == "pow":
        return sympy.Pow(_expression(tree[1]), _expression(tree[2]))
    if kind == "call" and tree[1] in ("sin", "cos", "tan", "ln", "log"):
        return getattr(sympy, {"ln": "log"}.get(tree[1], tree[1]))(*map(_expression, tree[2]))
    raise ValueError(f"{kind} is not passed to sympy")
