"""A recorded power trace as a source: for replay and for machines whose power another instrument
recorded.

Lives here: reading back samples in the columns of raw_telemetry. Not here: invented power; the
trace has to come from a measurement, and its samples keep the times at which they were taken.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import polars as pl

from isocost.errors import IsocostError
from isocost.telemetry.sources import DeviceReading

_READING = tuple(field.name for field in fields(DeviceReading))


class TraceSource:
    """Replays recorded samples, one moment per read; afterwards it reads nothing.

    Its ``samples`` method hands out the whole recording with its own times, which is what replay
    wants.
    """

    name = "trace"
    unknown_reason: str | None = None

    def __init__(self, samples: pl.DataFrame) -> None:
        """Keeps ``samples``.

        Device_id, monotonic_s and any of the other columns of raw_telemetry.
        """
        for column in ("device_id", "monotonic_s"):
            if column not in samples.columns:
                raise IsocostError(
                    "the recorded trace lacks a column",
                    where=f"column {column}",
                    remedy="See raw_telemetry",
                )
        _refuse_no_moments(samples["monotonic_s"])
        self._samples = samples.sort("monotonic_s", "device_id")
        self._moments = self._samples.partition_by("monotonic_s", maintain_order=True)
        self._next = 0

    @classmethod
    def from_file(cls, path: str | Path) -> TraceSource:
        """Reads a Parquet or CSV recording."""
        path = Path(path)
        if not path.exists():
            raise IsocostError(
                "no recorded trace here", where=str(path), remedy="Give a Parquet or CSV file"
            )
        try:
            if path.suffix == ".csv":
                return cls(pl.read_csv(path))
            return cls(pl.read_parquet(path, glob=False, hive_partitioning=False))
        except IsocostError as error:
            where = f"{path}, {error.where}"
            raise IsocostError(error.what, where=where, remedy=error.remedy) from None
        except (
            pl.exceptions.PolarsError,
            pl.exceptions.PanicException,
            OSError,
            UnicodeDecodeError,
        ) as error:
            said = " ".join(str(error).split())[:200]
            raise IsocostError(
                f"is no readable recording ({said})",
                where=str(path),
                remedy="Give a Parquet or CSV file",
            ) from None

    def samples(self) -> pl.DataFrame:
        """The whole recording, by time and device."""
        return self._samples

    def describe(self) -> dict[str, object]:
        """Devices and number of moments."""
        devices = [{"device_id": d} for d in self._samples["device_id"].unique().sort()]
        return {"source": self.name, "devices": devices, "moments": len(self._moments)}

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """The next recorded moment."""
        if self._next >= len(self._moments):
            return []
        moment = self._moments[self._next]
        self._next += 1
        known = [c for c in _READING if c in moment.columns]
        return [
            DeviceReading(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
            for row in moment[known].to_dicts()
        ]

    def close(self) -> None:
        """Nothing to give back."""


def _refuse_no_moments(moments: pl.Series) -> None:
    if moments.dtype.is_numeric():
        are_moments = moments.is_finite().fill_null(False)
    else:
        are_moments = pl.Series([False] * len(moments), dtype=pl.Boolean)
    if not are_moments.all():
        row = int(are_moments.arg_min() or 0)
        raise IsocostError(
            f"{str(moments[row])[:40]!r} is no moment",
            where=f"column monotonic_s, row {row + 1}",
            remedy="Give seconds of one monotonic clock",
        )
