"""Units of other tools, brought to ours.

Lives here: the one table of factors. Not here: which column has which unit (each importer declares
it).
"""

from __future__ import annotations

from isocost.errors import IsocostError

# unit as written by the source -> (unit kept here, factor)
FACTORS: dict[str, tuple[str, float]] = {
    "s": ("s", 1.0),
    "sec": ("s", 1.0),
    "seconds": ("s", 1.0),
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "ns": ("s", 1e-9),
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    "J": ("J", 1.0),
    "mJ": ("J", 1e-3),
    "uJ": ("J", 1e-6),
    "kJ": ("J", 1e3),
    "MJ": ("J", 1e6),
    "Wh": ("J", 3600.0),
    "mWh": ("J", 3.6),
    "kWh": ("J", 3.6e6),
    "W": ("W", 1.0),
    "mW": ("W", 1e-3),
    "kW": ("W", 1e3),
    "USD": ("USD", 1.0),
    "usd": ("USD", 1.0),
    "cents": ("USD", 1e-2),
    "ratio": ("ratio", 1.0),
    "percent": ("ratio", 1e-2),
    "%": ("ratio", 1e-2),
    "tokens": ("tokens", 1.0),
    "nats": ("nats", 1.0),
    "bits": ("nats", 0.6931471805599453),
}
_ALIASES = {
    "second": "s",
    "secs": "s",
    "millisecond": "ms",
    "milliseconds": "ms",
    "msec": "ms",
    "\u00b5s": "us",
    "\u03bcs": "us",
    "usec": "us",
    "microseconds": "us",
    "nanoseconds": "ns",
    "minutes": "min",
    "hr": "h",
    "hours": "h",
    "joule": "J",
    "joules": "J",
    "watt": "W",
    "watts": "W",
    "Watt": "W",
    "Watts": "W",
    "wh": "Wh",
    "kwh": "kWh",
    "KWh": "kWh",
    "token": "tokens",
    "tok": "tokens",
    "toks": "tokens",
}
# Divisors keep decimal fractions exact where the factor is one over a power of ten: 11 ms is 0.011
# s, not 0.011000000000000001.
_DIVISORS = {1e-2: 1e2, 1e-3: 1e3, 1e-6: 1e6, 1e-9: 1e9}


def alias(unit: str) -> str:
    """The unit's name in ``FACTORS`` for another spelling; unchanged if there is none."""
    return _ALIASES.get(unit, unit)


def to_base(value: float, unit: str, where: str = "") -> tuple[float, str]:
    """A value in the unit kept here, and that unit.

    Args:
        value: the number as the source has it.
        unit: the source's unit, case-sensitive (mJ is not MJ).
        where: place named in the error.

    Raises:
        IsocostError: the unit is not known.
    """
    if unit not in FACTORS:
        raise IsocostError(
            f"unknown unit {unit!r}", where=where, remedy=f"Use one of {', '.join(FACTORS)}"
        )
    base, factor = FACTORS[unit]
    return (value / _DIVISORS[factor] if factor in _DIVISORS else value * factor), base


def sql_factor(unit: str, base: str, where: str) -> str:
    """SQL that follows a column in ``unit`` and converts it to ``base``.

    ``/ 1000.0``, ``* 3600.0`` or nothing.

    Raises:
        IsocostError: the unit is unknown or of a different dimension than ``base``.
    """
    found, factor = FACTORS.get(unit, (None, 1.0))
    if found != base:
        what = (
            f"unknown unit {unit!r}"
            if found is None
            else f"unit {unit!r} cannot be brought to {base}"
        )
        raise IsocostError(
            what,
            where=where,
            remedy=(
                f"Use one of {', '.join(name for name, (own, _) in FACTORS.items() if own == base)}"
            ),
        )
    if factor == 1.0:
        return ""
    return f" / {_DIVISORS[factor]!r}" if factor in _DIVISORS else f" * {factor!r}"
