"""codecarbon's ``emissions.csv``: the energy of one tracked run per line.

Traps: energies are in kWh; a run that is flushed has several lines, each with its totals so far;
processor and memory are often modelled from a rated power, not measured; an appended line leaves
out its empty columns, so its cells are under the wrong names; times are local without a time zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.clock import unix_seconds
from isocost.importers.formats.csv_log import csv_rows, quantity
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

_PARTS = ("cpu_energy", "gpu_energy", "ram_energy")
SLACK_RATIO = 0.01
"""Parts and total may differ by this much: some versions round what they write."""
_NEEDED = ("timestamp", "duration", "energy_consumed")
_NUMBERS = {
    "cpu_energy": "kWh",
    "gpu_energy": "kWh",
    "ram_energy": "kWh",
    "cpu_power": "W",
    "gpu_power": "W",
    "ram_power": "W",
    "emissions": None,
    "emissions_rate": None,
    "water_consumed": None,
    "cpu_utilization_percent": "%",
    "gpu_utilization_percent": "%",
    "ram_utilization_percent": "%",
    "ram_used_gb": None,
}
_UNITS = {
    "emissions": "kg CO2eq",
    "emissions_rate": "kg CO2eq/s",
    "water_consumed": "l",
    "ram_used_gb": "GB",
}
# Columns that are empty on a machine without a GPU: an appended line lacks them.
_DROPPED = ("gpu_count", "gpu_model")


@register
class CodeCarbon(Importer):
    """One emissions.csv, or a folder of such files."""

    name = "codecarbon"
    title = "codecarbon: emissions.csv"
    harmless: ClassVar[Mapping[str, str]] = {
        "timestamp": "when it ran",
        "run_id": "a name",
        "experiment_id": "a name",
        "longitude": "where it ran: grams change with it, joules do not",
        "latitude": "where it ran: grams change with it, joules do not",
        "country_*": "where it ran: grams change with it, joules do not",
        "region": "where it ran: grams change with it, joules do not",
        "wue": "water for each kWh: no part of the energy",
    }
    heads = (r"^(?=.*\bduration\b)(?=.*\benergy_consumed\b)(?=.*\bemissions\b)",)
    conventions = Conventions(
        units={
            "energy_j": "energy_consumed, kWh",
            "latency_s": "duration, s",
            "metric_value": "*_energy, kWh -> J; *_power, W",
        },
        energy_method="codecarbon",
        energy_unknown_reason="a_part_of_the_window",
        notes=(
            (
                "Energy of the processor and of memory is modelled by codecarbon from rated power"
                " where the machine has no counter."
            ),
            (
                "A line is a window: its energy is in core_energy_windows, processor, memory and"
                " GPU apart in core_imported_metrics."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every emissions*.csv of a folder."""
        return files_under(path, ("emissions*.csv",), "emissions.csv")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """The window of every line, and its numbers."""
        for file in source.files:
            source.at = str(file)
            lines = list(_lines(source, file))
            # A tracker that is flushed writes its totals repeatedly: the last line of a run
            # contains everything.
            last = {_run_of(number, fields): number for number, fields in lines}
            if len(last) < len(lines):
                source.warnings.append(
                    f"{source.relative(file)}: {len(lines) - len(last)} lines left out, whose run"
                    " has a later total"
                )
            for number, fields in lines:
                if last[_run_of(number, fields)] != number:
                    continue
                source.run = fields.get("run_id") or f"{source.file_run(file)}:{number}"
                if fields.get("task_name"):
                    source.run = f"{source.run}/{fields['task_name']}"
                yield from self._line(source, file, number, fields)

    def _line(
        self, source: ImportInput, file: Path, number: int, fields: dict[str, str]
    ) -> Iterator[Row]:
        settings = {
            name: text for name, text in fields.items() if name not in (*_NUMBERS, *_NEEDED)
        }
        condition = stated_settings(settings, self.harmless)
        boards = fields.get("gpu_count"), fields.get("gpu_model")
        condition["hardware"] = (
            " x ".join(part for part in (_whole(boards[0]), boards[1]) if part)
            if boards[1]
            else fields.get("cpu_model")
        )
        place = f"line {number}"
        row = source.row("aggregate", file, place)
        row.condition(condition)
        _put_window(row, fields, source)
        row.text("metric_name", "window_energy")
        row.text("metric_unit", "J")
        value = quantity(fields["energy_consumed"], "kWh", f"{row.where}, energy_consumed")
        if value is None:
            row.null("energy_j", "source_says_there_is_none")
            row.text("energy_unknown_reason", "source_says_there_is_none")
        elif _contradicts(fields, value[0], row.where):
            row.null("energy_j", "parts_are_not_the_total")
            row.text("energy_unknown_reason", "parts_are_not_the_total")
            row.number("metric_value", value[0], unit="kWh", low=0.0)
        else:
            row.number("energy_j", value[0], unit="kWh", low=0.0)
            row.number("metric_value", value[0], unit="kWh", low=0.0)
            row.text("energy_method", f"codecarbon_{fields.get('tracking_mode') or 'unstated'}")
        yield row
        for name, unit in _NUMBERS.items():
            found = quantity(fields.get(name, ""), unit, f"{file}, {place}, {name}")
            if found is None:
                continue
            part = source.row("aggregate", file, f"{place}, {name}")
            part.condition(condition)
            _put_window(part, fields, source)
            part.text("metric_name", name.removesuffix("_percent"))
            part.number("metric_value", found[0], unit=unit)
            part.text(
                "metric_unit",
                {"kWh": "J", "W": "W", "%": "ratio"}.get(unit or "", _UNITS.get(name)),
            )
            yield part


def _contradicts(fields: dict[str, str], total: float, where: str) -> bool:
    """Whether the energies of processor, GPU and memory do not add up to the total.

    Wherever codecarbon wrote the total, it is their sum.
    """
    found = [quantity(fields.get(name, ""), "kWh", f"{where}, {name}") for name in _PARTS]
    known = [part[0] for part in found if part is not None]
    excess = sum(known) - total
    return excess > total * SLACK_RATIO or (
        len(known) == len(_PARTS) and -excess > total * SLACK_RATIO
    )


def _run_of(number: int, fields: dict[str, str]) -> tuple[str, str]:
    return (
        (fields["run_id"], fields.get("task_name", ""))
        if fields.get("run_id")
        else (f"line {number}", "")
    )


def _put_window(row: Row, fields: dict[str, str], source: ImportInput) -> None:
    end, has_zone = unix_seconds(fields["timestamp"], f"{row.where}, timestamp")
    duration = quantity(fields["duration"], None, f"{row.where}, duration")
    row.number("ended_unix_s", end)
    if duration is not None:
        row.seconds("latency_s", duration[0])
        row.text("latency_meaning", "from start to end of the tracker")
        row.number("started_unix_s", end - duration[0])
    note = (
        f"{row.values['source_file']}: times have no time zone and are read as UTC: their "
        f"differences are valid, the hour may be wrong"
    )
    if not has_zone and note not in source.warnings:
        source.warnings.append(note)


def _whole(text: str | None) -> str | None:
    """A count that pandas may have written as 2.0."""
    return text.removesuffix(".0") if text else None


def _lines(source: ImportInput, file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    lines = csv_rows(file)
    _, header = next(lines, (0, []))
    if missing := [name for name in _NEEDED if name not in header]:
        raise IsocostError(
            f"has no column {', '.join(missing)}: it is not an emissions.csv",
            where=f"{file}, line 1",
        )
    repaired = 0
    short = [name for name in header if name not in _DROPPED]
    for number, cells in lines:
        names = header
        if len(cells) != len(header):
            names, repaired = short, repaired + 1
        fields: dict[str, Any] = dict(zip(names, cells, strict=False))
        if len(cells) != len(names) or not _fits(fields):
            raise IsocostError(
                f"has {len(cells)} cells for {len(header)} columns, and it is unclear which are "
                f"missing",
                where=f"{file}, line {number}",
                remedy=(
                    "codecarbon leaves out empty columns when it appends: give each run a "
                    "separate file, or repair the line"
                ),
            )
        yield number, {name: text for name, text in fields.items() if name}
    if repaired:
        source.warnings.append(
            f"{source.relative(file)}: {repaired} lines without {' and '.join(_DROPPED)}, as"
            " codecarbon appends them"
        )


def _fits(fields: dict[str, str]) -> bool:
    """Whether the cells are under their names.

    The columns at the end contain one of a few words or a number.
    """
    mode, cloud = fields.get("tracking_mode", "machine"), fields.get("on_cloud", "N")
    return mode in ("machine", "process", "") and cloud in ("Y", "N", "")
