"""MLPerf Inference power logs: ``spl.txt`` with the window of the LoadGen detail log.

Published power is the mean of the Watts readings with power_begin <= t <= power_end. Traps: spl.txt has malformed lines; times
are local to the machines and have no zone; only readings inside the window are of the run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import iter_lines, parse_json
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError

_TIME = "%m-%d-%Y %H:%M:%S.%f"
# Readings come once a second; a hole of more than three leaves the energy unknown.
_MAX_GAP_S = 3.0


@register
class MlPerfPower(Importer):
    """A run folder with spl.txt and mlperf_log_detail.txt."""

    name = "mlperf_power"
    title = "MLPerf Inference power: spl.txt with power_begin and power_end of mlperf_log_detail.txt"
    names = ("spl.txt", "mlperf_log_detail.txt")
    conventions = Conventions(
        units={"power_w": "Watts, W", "energy_j": "trapezoid over the readings inside the window, J"},
        energy_method="wall_power_trapezoid",
        energy_unknown_reason="reading_not_run",
        notes=("Power at the wall, all of the system. Times have no zone; only differences mean anything.",),
    )

    def files(self, path: Path) -> list[Path]:
        """spl.txt and the detail log, wherever they lie below the folder."""
        if not path.is_dir():
            raise IsocostError("is no folder", where=str(path), remedy="Give the folder that holds spl.txt and mlperf_log_detail.txt")
        found = files_under(path, ("spl.txt", "mlperf_log_detail.txt"), "spl.txt")
        for name in ("spl.txt", "mlperf_log_detail.txt"):
            if sum(file.name == name for file in found) != 1:
                raise IsocostError(f"holds not exactly one {name}", where=str(path), remedy="Import one run at a time")
        return found

    def records(self, source: Source) -> Iterator[Row]:
        """Readings inside the window as telemetry, then mean power, duration and energy of the window."""
        spl = next(file for file in source.files if file.name == "spl.txt")
        begin, end = _window(next(file for file in source.files if file.name == "mlperf_log_detail.txt"))
        inside: list[tuple[float, float]] = []
        malformed = outside = 0
        for number, text in iter_lines(spl):
            reading = _reading(text)
            if reading is None:
                malformed += 1
            elif begin <= reading[0] <= end:
                row = source.row("telemetry", spl, f"line {number}")
                row.number("power_w", reading[1], low=0.0, sentinel=-1.0)
                row.text("device", "wall")
                row.json("extra", {"time": reading[0].isoformat(), "mark": reading[2]})
                if row.values.get("power_w") is not None:
                    inside.append(((reading[0] - begin).total_seconds(), row.values["power_w"]))
                yield row
            else:
                outside += 1
        if not inside:
            raise IsocostError(
                "has no reading between power_begin and power_end", where=str(spl), remedy="Check that both logs are of one run"
            )
        if malformed:
            source.warnings.append(f"spl.txt: {malformed} malformed lines left out")
        yield from _summary(
            source, spl, inside, (end - begin).total_seconds(), {"malformed_lines": malformed, "readings_outside_window": outside}
        )


def _window(file: Path) -> tuple[dt.datetime, dt.datetime]:
    found: dict[str, dt.datetime] = {}
    for number, text in iter_lines(file):
        if ":::MLLOG" not in text or ("power_begin" not in text and "power_end" not in text):
            continue
        where = f"{file}, line {number}"
        entry = parse_json(text.split(":::MLLOG", 1)[1], where)
        key = entry.get("key") if isinstance(entry, dict) else None
        if key in ("power_begin", "power_end"):
            if key in found:
                raise IsocostError(f"{key} comes twice", where=where)
            found[key] = _time(str(entry.get("value")), where)
    if set(found) != {"power_begin", "power_end"} or found["power_end"] <= found["power_begin"]:
        raise IsocostError(
            "has no window power_begin < power_end", where=str(file), remedy="Power runs log both; is this the detail log of a power run?"
        )
    return found["power_begin"], found["power_end"]


def _time(text: str, where: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(text, _TIME)
    except ValueError:
        raise IsocostError(f"{text[:40]!r} is no time of the form MM-DD-YYYY HH:MM:SS.mmm", where=where) from None


def _reading(text: str) -> tuple[dt.datetime, float, str | None] | None:
    """Time, watts and mark of a line; None for a line that is no reading."""
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) < 4 or cells[0] != "Time" or cells[2] != "Watts":
        return None
    try:
        mark = cells[cells.index("Mark") + 1] if "Mark" in cells[:-1] else None
        return dt.datetime.strptime(cells[1], _TIME), float(cells[3]), mark
    except ValueError:
        return None


def _summary(source: Source, file: Path, inside: list[tuple[float, float]], duration: float, extra: dict[str, Any]) -> Iterator[Row]:
    mean = sum(power for _, power in inside) / len(inside)
    times = [0.0, *(time for time, _ in inside), duration]
    gap = max(later - earlier for earlier, later in pairwise(times))
    for name, value, unit in (("mean_power", mean, "W"), ("window_duration", duration, "s")):
        row = source.row("aggregate", file, "window")
        row.text("metric_name", name)
        row.number("metric_value", value)
        row.text("metric_unit", unit)
        row.json("extra", {**extra, "readings": len(inside)})
        yield row
    row = source.row("aggregate", file, "window")
    row.text("metric_name", "window_energy")
    row.text("metric_unit", "J")
    row.seconds("latency_s", duration)
    row.text("latency_meaning", "the power window")
    if gap > _MAX_GAP_S:
        row.null("energy_j", f"gap_of_more_than_{_MAX_GAP_S:g}_s")
        row.text("energy_unknown_reason", "gap_in_readings")
    else:
        # Readings are held to the window's edges: the first and last lie within a gap of them.
        points = [(0.0, inside[0][1]), *inside, (duration, inside[-1][1])]
        energy = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
        row.number("energy_j", energy, low=0.0)
        row.number("metric_value", energy)
    row.json("extra", {**extra, "largest_gap_s": gap})
    yield row
