"""CSV logs of power and energy: lines with a header, cells with units in them, device readings.

Lives here: reading of such files, and a device reading as a row. Not here: the column names of a
tool (each format).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from isocost.errors import IsocostError
from isocost.importers.base import ImportInput
from isocost.importers.clock import unix_seconds
from isocost.importers.reading import iter_lines
from isocost.importers.row import Row
from isocost.importers.units import FACTORS

_QUANTITY = re.compile(r"^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z%]*)$")
_IN_HEADER = re.compile(r"^(.*?)\s*\[(.+)\]$")
_NOTHING = {
    "",
    "n/a",
    "na",
    "nan",
    "none",
    "null",
    "[n/a]",
    "[not supported]",
    "not supported",
    "[unknown error]",
    "-",
    "unknown",
}


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of every line that is not blank; the first is the header."""
    for number, text in iter_lines(path):
        yield number, [cell.strip() for cell in next(csv.reader([text], skipinitialspace=True))]


def header_of(cells: list[str]) -> dict[str, tuple[int, str | None]]:
    """Position and unit of each named column by its name in lower case.

    ``power.draw [W]`` is ``power.draw`` in W.
    """
    found = {}
    for position, cell in enumerate(cells):
        match = _IN_HEADER.match(cell)
        name, unit = (match[1], match[2]) if match else (cell, None)
        if name:
            found.setdefault(name.strip().lower(), (position, unit))
    return found


def quantity(text: str, unit: str | None, where: str) -> tuple[float, str | None] | None:
    """A number with the unit in its cell, else that of its column; None for a placeholder.

    Raises:
        IsocostError: the cell is not a number.
    """
    if text.strip().lower() in _NOTHING:
        return None
    found = _QUANTITY.match(text.strip())
    if found is None:
        raise IsocostError(
            f"{text[:60]!r} is not a number",
            where=where,
            remedy="A unit may follow it, as in 58.67 W",
        )
    return float(found[1]), found[2] or unit


def put_quantity(
    row: Row, column: str, text: str, unit: str | None, *, low: float | None = 0.0
) -> None:
    """A cell as a value of ``column``, converted from its own unit.

    What means "none" becomes NULL with a reason.
    """
    found = quantity(text, unit, f"{row.where}, {column}")
    if found is None:
        row.null(column, "source_says_there_is_none")
        return
    value, own_unit = found
    if own_unit is not None and own_unit not in FACTORS:
        raise row.fail(column, f"unit {own_unit!r} is unknown", f"Known: {', '.join(FACTORS)}")
    row.number(column, value, unit=own_unit, low=low)


def put_time(row: Row, source: ImportInput, text: str) -> None:
    """The time of a reading, as Unix time in s or ms, or as a written time.

    The first one without a time zone is reported.
    """
    found = _QUANTITY.match(text.strip())
    if found is not None and not found[2]:
        value = float(found[1])
        # A Unix time of this century is below 1e10 in seconds and above 1e11 in milliseconds.
        scale = 1.0 if value < 1e11 else 1e3 if value < 1e14 else 1e6 if value < 1e17 else 1e9
        row.number("started_unix_s", value / scale, low=0.0)
        return
    seconds, has_zone = unix_seconds(text, f"{row.where}, time")
    row.number("started_unix_s", seconds)
    note = (
        f"{row.values['source_file']}: times have no time zone and are read as UTC: their "
        f"differences are valid, the hour may be wrong"
    )
    if not has_zone and note not in source.warnings:
        source.warnings.append(note)


def hardware_of(names: dict[str, str]) -> str | None:
    """One text for the boards of a log, by device.

    ``8 x NVIDIA H100 80GB HBM3``; None where no board has a name.
    """
    kinds = sorted(set(names.values()))
    return (
        " + ".join(f"{sum(name == kind for name in names.values())} x {kind}" for kind in kinds)
        or None
    )
