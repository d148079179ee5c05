"""Human-readable numbers and times in cells: ``58.67 W``, ``1,234.5 ms`` and similar.

Lives here: reading one such text. Not here: the factors of the units (``units``), which column is
what (``mapping``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.units import FACTORS, alias

_CELL = re.compile(
    r"\s*(?P<before>\$)?\s*(?P<number>[-+]?[\d.,'"
    r" \u00a0\u202f]*\d\.?(?:[eE][-+]?\d+)?)\s*(?P<unit>[A-Za-z%\u00b5\u03bc][\w%/]*)?\s*"
)
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# Unmistakable: several groups of three, or one with a decimal point after it.
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
# 5138: beyond it a number of seconds since 1970 is one of milliseconds.
_FIRST_PLAUSIBLE_S, _LAST_PLAUSIBLE_S = 6e8, 4.2e9  # 1989 to 2103
_LAST_S = 1e11
_SLASHES = re.compile(r"(\d{4})/(\d{2})/(\d{2})")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, and the unit after it in its cell; None if there is none."""

    value: float
    unit: str | None


def quantity(text: str, base: str | None, where: str) -> Quantity | None:
    """Parse a cell that is not a plain number; None if it is nothing of this kind.

    Args:
        text: the cell.
        base: the unit used here; None if the column has no unit.
        where: file, position and column, for messages.

    Raises:
        IsocostError: a thousands separator that may be a decimal comma, an unknown unit, or one of
            another dimension.
    """
    found = _CELL.fullmatch(text)
    if found is None or len(text) > 100:
        return None
    written, unit = found["number"].strip(), found["unit"] or ("USD" if found["before"] else None)
    if _GROUPED.fullmatch(written):
        written = written.replace(",", "")
    if not _PLAIN.fullmatch(written):
        if not any(mark in written for mark in ",' \u00a0\u202f") and written.count(".") < 2:
            return None
        raise IsocostError(
            f"{text.strip()[:60]!r} has a separator inside the number, which may part thousands or"
            " be a decimal comma",
            where=where,
            remedy="Write digits with a decimal point only, as 1234.5",
        )
    if unit is None:
        return Quantity(float(written), None)
    unit = alias(unit)
    if base is None:
        raise IsocostError(
            f"{text.strip()[:60]!r} has a unit, and this column has none",
            where=where,
            remedy="Use digits only",
        )
    known = [name for name, (own, _) in FACTORS.items() if own == base]
    if unit not in known:
        what = (
            f"{text.strip()[:60]!r} is in {unit}, which cannot be brought to {base}"
            if unit in FACTORS
            else f"unknown unit {unit!r}"
        )
        raise IsocostError(what, where=where, remedy=f"Use one of {', '.join(known)}")
    return Quantity(float(written), unit)


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds since 1970, and whether the text named no offset, so that it was read as UTC."""

    unix_s: float
    is_naive: bool


def time_of(text: str) -> Time | None:
    """Parse an ISO 8601 text (a space instead of T and slashes in the date are also accepted).

    None if it is not one.
    """
    cleaned = _SLASHES.sub(r"\1-\2-\3", text.strip(), count=1)
    if len(cleaned) < 8 or ("-" not in cleaned[1:8] and "T" not in cleaned) or len(cleaned) > 40:
        return None
    cleaned = re.sub(r"\s+(UTC|GMT)$", "+00:00", cleaned)
    cleaned = re.sub(r"(\.\d{6})\d+", r"\1", re.sub(r"\s+([-+]\d)", r"\1", cleaned))
    try:
        parsed = datetime.fromisoformat(cleaned)
    except ValueError:
        return None
    is_naive = parsed.tzinfo is None
    return Time((parsed.replace(tzinfo=UTC) if is_naive else parsed).timestamp(), is_naive)


def checked_time(seconds: Any, where: str) -> bool:
    """Check that seconds since 1970 are within a plausible century.

    Raises:
        IsocostError: they would be in milliseconds or finer: then the unit is wrong, for every
            other record as well.
    """
    if not isinstance(seconds, int | float) or abs(seconds) <= _LAST_S:
        return True
    for unit, factor in (("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        if _FIRST_PLAUSIBLE_S < seconds / factor < _LAST_PLAUSIBLE_S:
            raise IsocostError(
                f"{seconds!r} seconds since 1970 are beyond the year 5000",
                where=where,
                remedy=f"Name the unit in the mapping, as {{column: ..., unit: {unit}}}",
            )
    return False
