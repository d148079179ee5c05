"""MLPerf Inference power logs: ``spl.txt`` with the window of the LoadGen detail log.

Published power is the mean of the Watts readings with power_begin <= t <= power_end. Traps: spl.txt
has malformed lines; times are local to the machines and have no zone; only readings inside the
window are of the run; tokens are logged as a rate alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_object, iter_lines, parse_json
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

_TIME = "%m-%d-%Y %H:%M:%S.%f"
# Readings are once per second; a gap of more than three leaves the energy unknown.
_MAX_GAP_S = 3.0


@register
class MlPerfPower(Importer):
    """A run folder with spl.txt and mlperf_log_detail.txt."""

    name = "mlperf_power"
    version = 2
    harmless: ClassVar[Mapping[str, str]] = {
        "*_rng_seed": "which draws were made, not what they were drawn from",
        "effective_m??_duration*": "how long it ran",
        "effective_m??_query_count": "how many requests were made",
        "effective_*log*": "how much is logged",
        "effective_print_timestamps": "how much is logged",
    }
    title = (
        "MLPerf Inference power: spl.txt with power_begin and power_end of mlperf_log_detail.txt"
    )
    names = ("spl.txt", "mlperf_log_detail.txt")
    conventions = Conventions(
        units={
            "power_w": "Watts, W",
            "energy_j": "trapezoid over the readings inside the window, J",
        },
        energy_method="wall_power_trapezoid",
        energy_unknown_reason="reading_not_run",
        notes=(
            (
                "Power at the wall, all of the system. Times have no zone; only differences mean"
                " anything."
            ),
            (
                "Tokens of the window are LoadGen's rate of completed tokens times the window's"
                " length."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """spl.txt and the detail log, wherever they are below the folder."""
        if not path.is_dir():
            raise IsocostError(
                "is not a folder",
                where=str(path),
                remedy="Give the folder that contains spl.txt and mlperf_log_detail.txt",
            )
        found = files_under(path, ("spl.txt", "mlperf_log_detail.txt"), "spl.txt")
        for name in ("spl.txt", "mlperf_log_detail.txt"):
            if sum(file.name == name for file in found) != 1:
                raise IsocostError(
                    f"does not contain exactly one {name}",
                    where=str(path),
                    remedy="Import one run at a time",
                )
        return found

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Readings inside the window as telemetry, then the window's power, duration and energy."""
        spl = next(file for file in source.files if file.name == "spl.txt")
        log = next(file for file in source.files if file.name == "mlperf_log_detail.txt")
        source.run = source.file_run(log)
        events = _events(log)
        begin, end = _window(events, log)
        condition = stated_settings(_settings(events), self.harmless)
        rows = self._rows(source, spl, log, (begin, end), events)
        for row in rows:
            row.condition(condition)
            yield row

    def _rows(
        self,
        source: ImportInput,
        spl: Path,
        log: Path,
        window: tuple[dt.datetime, dt.datetime],
        events: dict[str, list[_Event]],
    ) -> Iterator[Row]:
        begin, end = window
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
                "has no reading between power_begin and power_end",
                where=str(spl),
                remedy="Check that both logs are of one run",
            )
        if malformed:
            source.warnings.append(f"spl.txt: {malformed} malformed lines left out")
        counts = {"malformed_lines": malformed, "readings_outside_window": outside}
        results = _results(events)
        work = _work_inside(results, (end - begin).total_seconds())
        yield from _summary(source, spl, inside, (end - begin).total_seconds(), counts, work)
        for name, (value, line) in results.items():
            row = source.row("aggregate", log, f"line {line}")
            unit = (
                "ns"
                if name.endswith("_ns") or name.startswith("result_time_to_output_token")
                else None
            )
            row.text("metric_name", name.removeprefix("result_").removesuffix("_ns"))
            row.number("metric_value", value, unit=unit)
            row.text(
                "metric_unit",
                "s" if unit else "tokens/s" if "token" in name and "per_second" in name else None,
            )
            yield row


_Event = tuple[int, Any]
"""Line and value of one logged event."""
_WINDOW = ("power_begin", "power_end")
_SETTINGS = ("sut_name", "qsl_name")
_KINDS = ("result_", "effective_")
_KEY = re.compile(r'"key":\s*"([A-Za-z0-9_.]+)"')
# The metric of the closed division comes first; the plain token_throughput divides by the sum of
# overlapping latencies.
_TOKEN_RATES = (
    "result_completed_tokens_per_second",
    "result_tokens_per_second",
    "result_inferred_completed_tokens_per_second",
    "result_inferred_tokens_per_second",
    "result_token_throughput_with_loadgen_overhead",
)
_SAMPLE_RATES = ("result_completed_samples_per_sec", "result_samples_per_second")


def _events(file: Path) -> dict[str, list[_Event]]:
    """Events of the detail log by key, as far as they say when, what and how.

    The window, results, and settings as asked and in effect.
    """
    found: dict[str, list[_Event]] = {}
    for number, text in iter_lines(file):
        key = _KEY.search(text) if ":::MLLOG" in text else None
        if key is None or not (
            key[1] in _WINDOW or key[1].startswith(_KINDS) or key[1] in _SETTINGS
        ):
            continue
        where = f"{file}, line {number}"
        entry = as_object(parse_json(text.split(":::MLLOG", 1)[1], where), where)
        found.setdefault(key[1], []).append((number, entry.get("value")))
    return found


def _settings(events: dict[str, list[_Event]]) -> dict[str, Any]:
    """LoadGen's settings and defaults: scenario, mode, target rate and similar."""
    return {
        key: values[-1][1]
        for key, values in events.items()
        if key in _SETTINGS or key.startswith("effective_")
    }


def _results(events: dict[str, list[_Event]]) -> dict[str, tuple[float, int]]:
    """Results that are numbers, with their line."""
    return {
        key: (float(value), line)
        for key, values in events.items()
        if key.startswith("result_")
        for line, value in values[-1:]
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _work_inside(results: dict[str, tuple[float, int]], seconds: float) -> dict[str, float]:
    """Tokens and samples of the window: the rate that LoadGen reports, over the window's length."""
    rates = {
        kind: next(
            (results[name][0] for name in names if name in results and results[name][0] > 0), None
        )
        for kind, names in (("tokens", _TOKEN_RATES), ("samples", _SAMPLE_RATES))
    }
    return {kind: rate * seconds for kind, rate in rates.items() if rate is not None}


def _window(events: dict[str, list[_Event]], file: Path) -> tuple[dt.datetime, dt.datetime]:
    found: dict[str, dt.datetime] = {}
    for key in _WINDOW:
        for line, value in events.get(key, []):
            where = f"{file}, line {line}"
            if key in found:
                raise IsocostError(f"{key} is duplicated", where=where)
            found[key] = _time(str(value), where)
    if set(found) != set(_WINDOW) or found["power_end"] <= found["power_begin"]:
        raise IsocostError(
            "has no window power_begin < power_end",
            where=str(file),
            remedy="Power runs log both; is this the detail log of a power run?",
        )
    return found["power_begin"], found["power_end"]


def _time(text: str, where: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(text, _TIME)
    except ValueError:
        raise IsocostError(
            f"{text[:40]!r} is not a time of the form MM-DD-YYYY HH:MM:SS.mmm", where=where
        ) from None


def _reading(text: str) -> tuple[dt.datetime, float, str | None] | None:
    """Time, watts and mark of a line; None for a line that is not a reading."""
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) < 4 or cells[0] != "Time" or cells[2] != "Watts":
        return None
    try:
        mark = cells[cells.index("Mark") + 1] if "Mark" in cells[:-1] else None
        return dt.datetime.strptime(cells[1], _TIME), float(cells[3]), mark
    except ValueError:
        return None


def _summary(
    source: ImportInput,
    file: Path,
    inside: list[tuple[float, float]],
    duration: float,
    extra: dict[str, Any],
    work: dict[str, float],
) -> Iterator[Row]:
    mean = sum(power for _, power in inside) / len(inside)
    times = [0.0, *(time for time, _ in inside), duration]
    gap = max(later - earlier for earlier, later in pairwise(times))
    for name, value, unit in (("mean_power", mean, "W"), ("window_duration", duration, "s")):
        row = source.row("aggregate", file, "window")
        row.text("metric_name", name)
        row.number("metric_value", value)
        row.text("metric_unit", unit)
        row.seconds("latency_s", duration)
        row.text("latency_meaning", "the power window")
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
        # Readings are checked against the window's edges: the first and last are within a gap of
        # them.
        points = [(0.0, inside[0][1]), *inside, (duration, inside[-1][1])]
        energy = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
        row.number("energy_j", energy, low=0.0)
        row.number("metric_value", energy)
    if "tokens" in work:
        row.integer("output_tokens", round(work["tokens"]))
    row.json(
        "extra",
        {
            **extra,
            "largest_gap_s": gap,
            "readings": len(inside),
            "requests": round(work.get("samples", 0)),
        },
    )
    yield row
    energy = row.values.get("energy_j")
    for kind, amount in work.items():
        if energy is not None and amount > 0:
            share = source.row("aggregate", file, "window")
            share.text("metric_name", f"energy_per_{kind.removesuffix('s')}")
            share.number("metric_value", energy / amount)
            share.text("metric_unit", f"J/{kind.removesuffix('s')}")
            share.seconds("latency_s", duration)
            yield share
