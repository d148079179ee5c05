"""DCGM power logs: the text of ``dcgmi dmon``, and CSV of the exporter's fields.

DCGM_FI_DEV_POWER_USAGE and similar.

Traps: dmon prints no times (a wrapper may put a Unix time before each line) and repeats its header;
units are in a line below it; energy is a counter in millijoules since boot; the exporter's series
have one column per GPU or one line per GPU.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.csv_log import (
    csv_rows,
    hardware_of,
    header_of,
    put_quantity,
    put_time,
    quantity,
)
from isocost.importers.reading import iter_lines
from isocost.importers.row import Row

_POWER, _ENERGY = "dcgm_fi_dev_power_usage", "dcgm_fi_dev_total_energy_consumption"
_SHORT = {"POWER": _POWER, "TOTEC": _ENERGY}
_TIMES = ("timestamp", "time", "ts", "date", "timestamp_unix", "time_stamp")
_DEVICES = ("uuid", "gpu_uuid", "gpu", "gpu_id", "device", "index", "entity", "gpu_index")
_NAMES = ("modelname", "name", "gpu_name", "model")
_ROW = re.compile(r"^(?:(\d{9,}(?:\.\d+)?)\s+)?((?:GPU|GPU-I|GPU-CI|CPU)\s+\d+)\s+(.*)$")
_COUNTER = "energy_counter_since_boot"


@register
class Dcgm(Importer):
    """One log, or a folder of logs."""

    name = "dcgm"
    title = "DCGM power logs: text of dcgmi dmon, CSV of the exporter's fields"
    heads = (r"#Entity\b", r"DCGM_FI_DEV_(POWER_USAGE|TOTAL_ENERGY_CONSUMPTION)")
    conventions = Conventions(
        units={
            "power_w": "POWER or DCGM_FI_DEV_POWER_USAGE, W",
            "metric_value": "TOTEC or DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, mJ -> J",
        },
        energy_unknown_reason="telemetry_reading",
        notes=(
            (
                "A log is a window. With times its energy is by counter, else by integrated power;"
                " dmon without times has its counter alone."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The log, or every .csv, .txt and .log of a folder."""
        return files_under(path, ("*.csv", "*.txt", "*.log"), "DCGM log")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Every reading of every GPU, log by log; then the window of a log without times."""
        for file in source.files:
            source.at = str(file)
            source.run = source.file_run(file)
            _, first = next(iter_lines(file), (0, ""))
            yield from _dmon(source, file) if "#Entity" in first else _table(source, file)


def _dmon(source: ImportInput, file: Path) -> Iterator[Row]:
    names: list[str] = []
    counters: dict[str, list[float]] = {}
    is_timed = False
    for number, text in iter_lines(file):
        if "#Entity" in text:
            names = [_SHORT.get(word, word.lower()) for word in text.split("#Entity", 1)[1].split()]
            continue
        found = _ROW.match(text.strip())
        if found is None:
            continue  # the line of units, which repeats with the header
        cells = found[3].split()
        if len(cells) != len(names):
            source.warnings.append(
                f"{source.relative(file)}, line {number}: {len(cells)} values for {len(names)}"
                " fields, left out"
            )
            continue
        row = _reading(source, file, number, dict(zip(names, cells, strict=True)), found[2])
        if found[1]:
            is_timed = True
            put_time(row, source, found[1])
        if row.values.get("metric_value") is not None:
            counters.setdefault(found[2], []).append(row.values["metric_value"])
        yield row
    if not names or not {_POWER, _ENERGY} & set(names):
        raise IsocostError(
            "has neither POWER nor TOTEC",
            where=str(file),
            remedy="Record with dcgmi dmon -e 155,156",
        )
    if not is_timed:
        yield _untimed(source, file, counters)


def _reading(
    source: ImportInput, file: Path, number: int, fields: dict[str, str], device: str
) -> Row:
    row = source.row("telemetry", file, f"line {number}")
    row.text("device", device)
    if _POWER in fields:
        put_quantity(row, "power_w", fields[_POWER], "W")
    if _ENERGY in fields:
        row.text("metric_name", _COUNTER)
        put_quantity(row, "metric_value", fields[_ENERGY], "mJ")
        row.text("metric_unit", "J")
    row.json(
        "extra", {name: text for name, text in fields.items() if name not in (_POWER, _ENERGY)}
    )
    return row


def _untimed(source: ImportInput, file: Path, counters: dict[str, list[float]]) -> Row:
    """The window of a log without times: the increase of the counters, of unknown length."""
    row = source.row("aggregate", file, "window")
    row.text("metric_name", "window_energy")
    row.text("metric_unit", "J")
    falls = any(
        later < earlier for readings in counters.values() for earlier, later in pairwise(readings)
    )
    if not counters or falls or any(len(readings) < 2 for readings in counters.values()):
        reason = "counter_reset" if falls else "no_times_and_no_counter_in_log"
        row.null("energy_j", reason)
        row.text("energy_unknown_reason", reason)
    else:
        energy = sum(readings[-1] - readings[0] for readings in counters.values())
        row.number("energy_j", energy, low=0.0)
        row.number("metric_value", energy)
        row.text("energy_method", "dcgm_counter")
    row.json(
        "extra",
        {"window_kind": "log", "readings": sum(len(readings) for readings in counters.values())},
    )
    return row


def _table(source: ImportInput, file: Path) -> Iterator[Row]:
    lines = csv_rows(file)
    _, first = next(lines, (0, []))
    columns = header_of(first)
    time = next((name for name in _TIMES if name in columns), None)
    series = {
        name: column
        for name, column in columns.items()
        if name.startswith((_POWER, _ENERGY)) or name in ("power", "totec")
    }
    if time is None or not series:
        raise IsocostError(
            "has no header with a time and DCGM_FI_DEV_POWER_USAGE or"
            " DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, and is not output of dcgmi dmon",
            where=f"{file}, line 1",
            remedy=(
                "Give the output of dcgmi dmon -e 155,156, or a CSV of the exporter's fields with a"
                " timestamp column"
            ),
        )
    device = next((name for name in _DEVICES if name in columns), None)
    board = next((name for name in _NAMES if name in columns), None)
    rows = [(number, cells) for number, cells in lines if len(cells) == len(first)]
    boards = (
        {
            cells[columns[device][0]] if device else "gpu": cells[columns[board][0]]
            for _, cells in rows
        }
        if board
        else {}
    )
    for number, cells in rows:
        for name, fields in _devices(
            series, cells, cells[columns[device][0]] if device else None
        ).items():
            row = _reading(source, file, number, fields, name)
            put_time(row, source, cells[columns[time][0]])
            row.condition({"hardware": hardware_of(boards)})
            yield row


def _devices(
    series: dict[str, Any], cells: list[str], device: str | None
) -> dict[str, dict[str, str]]:
    """The fields of one line by device.

    That of the line, else the one that a column's labels name.
    """
    found: dict[str, dict[str, str]] = {}
    for name, (position, unit) in series.items():
        field = _ENERGY if name.startswith(_ENERGY) or name == "totec" else _POWER
        labels = name.partition("{")[2].rstrip("}") or "gpu"
        value = quantity(cells[position], unit, f"column {name}")
        text = "" if value is None else f"{value[0]!r} {value[1] or ''}".strip()
        found.setdefault(device or labels, {})[field] = text
    return found
