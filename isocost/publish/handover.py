"""One reading of every table for all who publish it.

Lives here: how the exports, which read each stored table from its many files and write it as one,
hand it on in the same run: the frame to the report, the file to the warehouse. Not here: what each
of them does with it; whoever is handed nothing reads the store.
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
    """Names of tables in the order in which they are published.

    First what the report shows, which are the large ones.
    """
    known = list(names)
    shown = [name for name in SHOWN if name in known]
    return [*shown, *(name for name in known if name not in shown)]


class Handover:
    """Tables on their way from the exports to the warehouse and the report, each of them in a
    thread of its own.

    Both wait for what is announced. A frame is held until the report took it; of other tables only
    the file is handed on.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Announces stored tables.

        Those that fail or never come read as nothing once ``close`` was called.
        """
        self._files: dict[str, Future[Path | None]] = {name: Future() for name in names}
        self._frames: dict[str, Future[pl.DataFrame | None]] = {
            name: Future() for name in SHOWN if name in self._files
        }

    def awaited(self) -> list[str]:
        """Tables whose frames the report waits for."""
        return list(self._frames)

    def give_frame(self, name: str, frame: pl.DataFrame | None) -> None:
        """Hands a frame to the report; None where it cannot be read."""
        _settle(self._frames.get(name), frame)

    def give_file(self, name: str, path: Path | None) -> None:
        """Hands an exported file to the warehouse; None where there is none."""
        _settle(self._files.get(name), path)

    def frame(self, name: str) -> pl.DataFrame | None:
        """The frame of a table, once; None where the store has to be read."""
        return _taken(self._frames, name)

    def file(self, name: str) -> Path | None:
        """The exported file of a table, once; None where the store has to be read."""
        return _taken(self._files, name)

    def close(self) -> None:
        """Lets nobody wait for what does not come any more."""
        for future in (*list(self._frames.values()), *list(self._files.values())):
            _settle(future, None)


def _settle(future: Future[Value | None] | None, value: Value | None) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _taken(futures: dict[str, Future[Value | None]], name: str) -> Value | None:
    if name not in futures:
        return None
    value = futures[name].result()
    del futures[name]  # not before: who settles it has to find it
    return value
