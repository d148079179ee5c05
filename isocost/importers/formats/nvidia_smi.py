"""``nvidia-smi --query-gpu=timestamp,...,power.draw --format=csv`` logs.

Traps: units are in the cells (``58.67 W``) and in the header, or in neither with ``nounits``; times
    are local without a time zone; all GPUs of a machine share the file, one line each; a board
without a sensor writes ``[N/A]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.csv_log import (
    csv_rows,
    hardware_of,
    header_of,
    put_quantity,
    put_time,
)
from isocost.importers.row import Row

_POWER = ("power.draw.instant", "power.draw", "power.draw.average")
_DEVICE = ("uuid", "gpu_uuid", "index", "pci.bus_id", "gpu_bus_id", "serial")
_NAME = ("name", "gpu_name")
_KEPT = {
    "utilization.gpu": "utilization_gpu",
    "utilization.memory": "utilization_memory",
    "temperature.gpu": "temperature_c",
    "clocks.sm": "sm_clock",
    "clocks.current.sm": "sm_clock",
    "memory.used": "memory_used",
    "power.limit": "power_limit",
    "pstate": "pstate",
}


@register
class NvidiaSmi(Importer):
    """One log, or a folder of logs."""

    name = "nvidia_smi"
    title = "nvidia-smi --query-gpu=timestamp,...,power.draw --format=csv logs"
    heads = (r"(?i)^(?=.*\btimestamp\b)(?=.*\bpower\.draw)",)
    conventions = Conventions(
        units={"power_w": "power.draw, in the unit of the cell, else of the header, else W"},
        energy_unknown_reason="telemetry_reading",
        notes=(
            (
                "A log is a window: its energy is the integral of power over all of it, summed over"
                " boards, in core_energy_windows."
            ),
            (
                "power.draw is an average over a second on recent boards; boards observe only "
                "part of the time (see the guide on energy)."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The log, or every .csv of a folder."""
        return files_under(path, ("*.csv",), "nvidia-smi log")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Every reading of every board, log by log."""
        for file in source.files:
            source.at = str(file)
            source.run = source.file_run(file)
            yield from _readings(source, file)


def _readings(source: ImportInput, file: Path) -> Iterator[Row]:
    lines = csv_rows(file)
    _, first = next(lines, (0, []))
    columns = header_of(first)
    power = next((name for name in _POWER if name in columns), None)
    if power is None or "timestamp" not in columns:
        raise IsocostError(
            "has no header with timestamp and power.draw",
            where=f"{file}, line 1",
            remedy=(
                "Record with --query-gpu=timestamp,index,name,power.draw --format=csv, without"
                " noheader"
            ),
        )
    device = next((name for name in _DEVICE if name in columns), None)
    board = next((name for name in _NAME if name in columns), None)
    hardware = _boards(file, columns, device, board)
    for number, cells in lines:
        if cells == first:
            continue  # a log that was appended to
        row = source.row("telemetry", file, f"line {number}")
        if len(cells) != len(first):
            source.warnings.append(
                f"{source.relative(file)}, line {number}: {len(cells)} of {len(first)} cells,"
                " left out"
            )
            continue
        row.condition({"hardware": hardware})
        row.text("device", cells[columns[device][0]] if device else "gpu")
        put_time(row, source, cells[columns["timestamp"][0]])
        put_quantity(row, "power_w", cells[columns[power][0]], columns[power][1] or "W")
        kept = {key: cells[columns[name][0]] for name, key in _KEPT.items() if name in columns}
        row.json("extra", kept | ({"name": cells[columns[board][0]]} if board else {}))
        yield row


def _boards(
    file: Path, columns: dict[str, tuple[int, str | None]], device: str | None, board: str | None
) -> str | None:
    """The boards of a log, by name; None if it has no names."""
    if board is None:
        return None
    names = {}
    width = max(position for position, _ in columns.values())
    for number, cells in csv_rows(file):
        if number > 1 and len(cells) > width and cells[columns[board][0]].lower() not in _NAME:
            names[cells[columns[device][0]] if device else "gpu"] = cells[columns[board][0]]
    return hardware_of(names)
