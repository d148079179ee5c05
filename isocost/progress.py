"""Progress of long work, on standard error.

Lives here: a bar on a terminal, a line now and then elsewhere. Not here: the work.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

QUIET_S = 2.0
"""Seconds before the first report: most work is done by then."""
LINE_S = 15.0
"""Seconds between two lines without a terminal."""


class Progress:
    """Count up to a total.

    Use it as a context manager, and call it with the number done.
    """

    def __init__(self, what: str, total: int) -> None:
        """Start silently.

        Args:
            what: the work in progress, as in "judging import-x with code".
            total: the total number.
        """
        self._what, self._total = what, total
        self._begun = time.monotonic()
        self._reported = self._begun + QUIET_S - LINE_S
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int) -> None:
        """Report how many are done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
            return
        now = time.monotonic()
        if now - self._reported < LINE_S:
            return
        self._reported = now
        if sys.stderr.isatty():
            self._start(done)
        else:
            print(self._line(done, now - self._begun), file=sys.stderr, flush=True)

    def _start(self, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total, completed=done)
        self._bar.start()

    def _line(self, done: int, seconds: float) -> str:
        share = done / max(self._total, 1)
        left = seconds / share - seconds if share else None
        return f"{self._what}: {done:,} of {self._total:,} ({share:.0%})" + (
            "" if left is None else f", about {_spelled(left)} left"
        )


def _spelled(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
