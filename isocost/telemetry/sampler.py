"""The thread that samples a power source while the engine runs.

Lives here: `PowerSampler`. It reads on the monotonic clock at a fixed period, never blocks the
engine, measures its own cost, and returns rows of raw_telemetry. Not here: the meaning of the rows
(`measure`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from isocost.errors import IsocostError
from isocost.telemetry.judgement import judged
from isocost.telemetry.source import DeviceReading, PowerSource

_GIVE_UP_AFTER = 20
"""Consecutive failed reads after which the thread stops.

The driver is gone, and retrying would only cost time.
"""

_LONGEST_ERROR = 500


class PowerSampler:
    """Samples a source in a background thread.

    Usage: ``start()``, now and then ``drain()``, ``stop()``, a last ``drain()``; or as a context
    manager. A source that cannot measure (``unknown_reason``) starts no thread and yields no rows.

    Attributes:
        reads: moments read.
        read_errors: reads that failed and were left out.
        values_refused: values that cannot be true and are NULL, and readings that were left out
            (``judgement``).
        read_s: wall time inside the source.
        read_cpu_s: processor time of the sampling thread, the part that an engine on the same core
            can feel.
    """

    def __init__(
        self,
        source: PowerSource,
        period_s: float = 0.1,
        *,
        session_id: str = "",
        run_id: str = "",
        slow_every: int = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the thread.

        Args:
            source: an open source.
            period_s: seconds between reads; below the source's own update period only repeats are
                seen.
            session_id: written into every row.
            run_id: written into every row.
            slow_every: every how many reads the slow readings (clocks, memory, processes) are taken
                too.
            clock: monotonic clock in seconds.

        Raises:
            IsocostError: a period that is not positive, or ``slow_every`` below 1.
        """
        if not period_s > 0 or slow_every < 1:
            raise IsocostError(
                f"period_s {period_s} must be positive and slow_every {slow_every} at least 1",
                where="PowerSampler",
                remedy="0.1 and 10",
            )
        self._source, self._period, self._clock, self._slow_every = (
            source,
            period_s,
            clock,
            slow_every,
        )
        self._labels = {"session_id": session_id, "run_id": run_id}
        self._rows: list[dict[str, object]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._started_s: float | None = None
        self._stopped_s: float | None = None
        self._last_error: str | None = None
        self._first_refused: str | None = None
        self.reads = self.read_errors = self.values_refused = 0
        self.read_s = self.read_cpu_s = 0.0

    def __enter__(self) -> PowerSampler:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> PowerSampler:
        """Start the thread; once only."""
        if self._started_s is not None:
            raise IsocostError(
                "the sampler was started already",
                where="PowerSampler",
                remedy="Make a new one for each run",
            )
        self._started_s = self._clock()
        if self._source.unknown_reason is None:
            self._thread = threading.Thread(target=self._loop, name="power-sampler", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Take a last sample and end the thread; does nothing when it does not run."""
        if self._started_s is not None and self._stopped_s is None:
            self._stop.set()
            if self._thread is not None:
                self._thread.join(timeout=30)
            self._stopped_s = self._clock()

    def drain(self) -> list[dict[str, object]]:
        """Rows of raw_telemetry taken since the last call, oldest first."""
        with self._lock:
            rows, self._rows = self._rows, []
        return rows

    def summary(self) -> dict[str, object]:
        """What was sampled and its cost, JSON-ready, for the run's manifest.

        ``overhead_ratio`` is the sampling thread's processor time over its run time; None before
        the start.
        """
        end = self._stopped_s if self._stopped_s is not None else self._clock()
        elapsed = end - self._started_s if self._started_s is not None else 0.0
        return {
            "source": self._source.name,
            "unknown_reason": self._source.unknown_reason,
            "period_s": self._period,
            "reads": self.reads,
            "read_errors": self.read_errors,
            "last_error": self._last_error,
            "values_refused": self.values_refused,
            "first_refused": self._first_refused,
            "read_s": self.read_s,
            "read_cpu_s": self.read_cpu_s,
            "elapsed_s": elapsed,
            "overhead_ratio": self.read_cpu_s / elapsed if elapsed > 0 else None,
        }

    def _loop(self) -> None:
        cpu_start, due, failures, tick = time.thread_time(), self._clock(), 0, 0
        while True:
            last = self._stop.is_set()
            failures = (
                0 if self._sample(slow=last or tick % self._slow_every == 0) else failures + 1
            )
            tick += 1
            self.read_cpu_s = time.thread_time() - cpu_start
            if last or failures >= _GIVE_UP_AFTER:
                return
            # A missed slot is skipped, not caught up: a burst of late reads would cluster where the
            # machine is busiest.
            due = max(due + self._period, self._clock())
            self._stop.wait(max(0.0, due - self._clock()))

    def _sample(self, *, slow: bool) -> bool:
        before = self._clock()
        try:
            readings = self._judged(self._source.read(slow))
        except Exception as error:
            self.read_errors += 1
            self._last_error = f"{type(error).__name__}: {error}".encode(
                "utf-8", "backslashreplace"
            ).decode()[:_LONGEST_ERROR]
            return False
        after = self._clock()
        rows = [self._row(reading, (before + after) / 2) for reading in readings]
        with self._lock:
            self._rows.extend(rows)
        self.reads += 1
        self.read_s += after - before
        return True

    def _judged(self, readings: Iterable[object]) -> list[DeviceReading]:
        """One reading of each device, with possible values only."""
        found: dict[str, DeviceReading] = {}
        for each in readings:
            reading, faults = judged(each)
            if reading is not None and reading.device_id in found:
                reading, faults = None, [f"device_id {reading.device_id} is duplicated in one read"]
            if reading is not None:
                found[reading.device_id] = reading
            self.values_refused += len(faults)
            self._first_refused = self._first_refused or next(iter(faults), None)
        return list(found.values())

    def _row(self, reading: DeviceReading, moment_s: float) -> dict[str, object]:
        reasons = reading.throttle_reasons
        return {
            **self._labels,
            "device_id": reading.device_id,
            "monotonic_s": moment_s,
            "power_w": reading.power_w,
            "power_average_w": reading.power_average_w,
            "energy_counter_j": reading.energy_counter_j,
            "temperature_c": reading.temperature_c,
            "sm_clock_mhz": reading.sm_clock_mhz,
            "memory_used_bytes": reading.memory_used_bytes,
            "throttle_reasons": None if reasons is None else list(reasons),
            "utilization_ratio": reading.utilization_ratio,
            "compute_processes": reading.compute_processes,
            "source": self._source.name,
        }
