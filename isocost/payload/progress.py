"""Progress reports while a session runs.

Lives here: `Progress` (samples done and total, tokens/s, time left) and `Reporter` (plain lines;
Dagster Pipes if Dagster started the process). Not here: anything that is banked.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

PIPES_VARIABLE = "DAGSTER_PIPES_CONTEXT"
_RECENT_S = 20.0


class Reporter:
    """Send lines to the terminal, or to Dagster's log and messages if Pipes is available.

    Use it as a context manager.
    """

    def __init__(self, *, stream: Any = None) -> None:
        """`stream` receives the plain lines; standard output if None."""
        self._stream = stream
        self._pipes: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Reporter:
        """Open Dagster Pipes if its environment variable is set."""
        if os.environ.get(PIPES_VARIABLE):
            from dagster_pipes import open_dagster_pipes

            self._pipes = self._stack.enter_context(open_dagster_pipes())
        return self

    def __exit__(self, *_: object) -> None:
        """Close Pipes.

        It does not report exceptions: the exit code and the manifest do.
        """
        self._stack.close()

    @property
    def is_piped(self) -> bool:
        """Whether an orchestrator is listening."""
        return self._pipes is not None

    def say(self, line: str) -> None:
        """Print one plain line."""
        if self._pipes is not None:
            self._pipes.log.info(line)
        print(line, file=self._stream or sys.stdout, flush=True)

    def complain(self, line: str) -> None:
        """Print one error line to standard error."""
        if self._pipes is not None:
            self._pipes.log.error(line)
        print(line, file=sys.stderr, flush=True)

    def message(self, kind: str, **payload: Any) -> None:
        """Send a structured message, which the asset reads with ``get_custom_messages``.

        Nothing without Pipes.
        """
        if self._pipes is not None:
            self._pipes.report_custom_message({"kind": kind, **payload})


class Progress:
    """Count samples and tokens, and print a line now and then."""

    def __init__(
        self,
        reporter: Reporter,
        total: int,
        *,
        banked: int,
        every_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start counting.

        Args:
            reporter: destination of the lines.
            total: samples that this run generates.
            banked: samples banked before, shown in the line.
            every_s: seconds between lines.
            clock: monotonic clock.
        """
        self._reporter, self._total, self._banked, self._every, self._clock = (
            reporter,
            total,
            banked,
            every_s,
            clock,
        )
        self._start = self._last_line = clock()
        self._recent: deque[tuple[float, int]] = deque()
        self.samples = self.tokens = 0

    def add(self, tokens: int, *, samples: int = 1) -> None:
        """Count generated tokens, and the samples that they complete."""
        self.samples += samples
        self.tokens += tokens
        self._recent.append((self._clock(), tokens))

    def say(self, line: str) -> None:
        """Print a line between those of `tick`."""
        self._reporter.say(line)

    def tick(self, *, force: bool = False) -> None:
        """Print a line when due."""
        now = self._clock()
        if force or now - self._last_line >= self._every:
            self._last_line = now
            self._reporter.say(self.line())
            self._reporter.message("progress", **self.as_dict())

    def tokens_per_s(self) -> float | None:
        """Rate over the last seconds; None before the first sample."""
        now = self._clock()
        while self._recent and now - self._recent[0][0] > _RECENT_S:
            self._recent.popleft()
        span = min(now - self._start, _RECENT_S)
        return sum(t for _, t in self._recent) / span if self._recent and span > 0 else None

    def left_s(self) -> float | None:
        """Expected seconds to the end, from the samples so far; None before the first."""
        return (
            (self._clock() - self._start) * (self._total - self.samples) / self.samples
            if self.samples
            else None
        )

    def as_dict(self) -> dict[str, Any]:
        """The numbers of the line, JSON-ready."""
        return {
            "done": self.samples,
            "of": self._total,
            "banked_before": self._banked,
            "tokens_per_s": self.tokens_per_s(),
            "left_s": self.left_s(),
        }

    def line(self) -> str:
        """``samples 128 of 640 (512 already banked), 153 tokens/s, 2 min 10 s left``."""
        before = f" ({self._banked} already banked)" if self._banked else ""
        rate, left = self.tokens_per_s(), self.left_s()
        pace = f", {rate:.0f} tokens/s" if rate is not None else ""
        end = f", {duration(left)} left" if left is not None and self.samples < self._total else ""
        return f"samples {self.samples} of {self._total}{before}{pace}{end}"


def duration(seconds: float) -> str:
    """Seconds in readable form: ``45 s``, ``2 min 10 s``, ``3 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
