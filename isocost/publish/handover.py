"""Read every table once for all publishers.

Lives here: how the exports, which read each stored table from its many files and write it as one,
pass it on in the same run: the frame to the report, the file to the warehouse. Not here: what each
of them does with it; without a handover they read the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import polars as pl

from isocost.publish.facts import TABLES as SHOWN

Value = TypeVar("Value")


def in_order(names: Iterable[str]) -> list[str]:
    """Names of tables in order of publication.

    First those that the report shows, which are the large ones.
    """
    known = list(names)
    shown = [name for name in SHOWN if name in known]
    return [*shown, *(name for name in known if name not in shown)]


class Handover:
    """Tables passed from the exports to the warehouse and the report, in their threads.

    Both wait for announced tables. A frame is kept until the report takes it; for other tables only
    the file is passed on.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Announce stored tables.

        Those that fail or never arrive read as nothing once ``close`` was called.
        """
        self._files: dict[str, Future[Path | None]] = {name: Future() for name in names}
        self._frames: dict[str, Future[pl.DataFrame | None]] = {
            name: Future() for name in SHOWN if name in self._files
        }

    def awaited(self) -> list[str]:
        """Tables with frames that the report waits for."""
        return list(self._frames)

    def give_frame(self, name: str, frame: pl.DataFrame | None) -> None:
        """Pass a frame to the report; None if it cannot be read."""
        _settle(self._frames.get(name), frame)

    def give_file(self, name: str, path: Path | None) -> None:
        """Pass an exported file to the warehouse; None if there is none."""
        _settle(self._files.get(name), path)

    def frame(self, name: str) -> pl.DataFrame | None:
        """The frame of a table, once; None if the store has to be read."""
        return _taken(self._frames, name)

    def file(self, name: str) -> Path | None:
        """The exported file of a table, once; None if the store has to be read."""
        return _taken(self._files, name)

    def close(self) -> None:
        """Stop all waiting for tables that will not arrive."""
        for frame in list(self._frames.values()):
            _settle(frame, None)
        for file in list(self._files.values()):
            _settle(file, None)


def _settle(future: Future[Value | None] | None, value: Value | None) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _taken(futures: dict[str, Future[Value | None]], name: str) -> Value | None:
    if name not in futures:
        return None
    value = futures[name].result()
    del futures[name]  # not before: the thread that settles it has to find it
    return value
