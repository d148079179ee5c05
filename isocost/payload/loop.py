"""The loop that keeps the engine busy and writes to the bank.

Lives here: `Stop`, `Sink` (completions to rows, rows to parts), `drive` (add, step, sink). Not
here: how a session is prepared and closed (`session`).
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from isocost.bank.writer import RunWriter
from isocost.engines.protocol import Completion, Engine, Request, TellsNotes
from isocost.payload.progress import Progress
from isocost.payload.rows import generation_row
from isocost.payload.work import Sample, request_of


class Interrupted(BaseException):
    """A signal arrived while there was nothing to seal.

    Not an Exception, so that no library mistakes it for an error of its own.
    """


class Stop:
    """Remembers that the process was asked to end.

    Attributes:
        signal_number: the first signal received; None if there was none.
    """

    SAME_WISH_S = 2.0
    """A signal this soon after the first is a duplicate.

    Ctrl-C reaches the whole process group, and Dagster forwards it.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._since = 0.0
        self._ends_at_once = False

    def __bool__(self) -> bool:
        return self.signal_number is not None

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Handle SIGTERM and SIGINT while the block runs.

        A second one, after a moment, has its default effect.
        """
        before = {
            number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)
        }
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, before)  # whoever started this may block
        try:
            yield self
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise `Interrupted` at a signal, or for an earlier one, while the block runs.

        Starting an engine may take minutes.
        """
        self._ends_at_once = True
        try:
            if self:
                raise Interrupted
            yield
        finally:
            self._ends_at_once = False

    def _take(self, number: int, _frame: object) -> None:
        if self.signal_number is None:
            self.signal_number, self._since = number, time.monotonic()
            if self._ends_at_once:
                raise Interrupted
        elif time.monotonic() - self._since >= self.SAME_WISH_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@dataclass
class Counts:
    """Totals of a stretch of generation.

    Tokens are counts; times are seconds on the monotonic clock.
    """

    samples: int = 0
    errors: int = 0
    output_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    retries: int = 0
    finish_reasons: Counter[str] = field(default_factory=Counter)
    first_error: str | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row of raw_generations: validated values, not the engine's claims."""
        self.finish_reasons[row["finish_reason"]] += 1
        self.output_tokens += row["output_tokens"] or 0
        self.prompt_tokens += row["prompt_tokens"] or 0
        self.cached_tokens += row["cached_tokens"] or 0
        self.retries += row["num_retries"] or 0
        if row["finish_reason"] == "error":
            self.errors += 1
            self.first_error = self.first_error or row["error"]
        else:
            self.samples += 1


class Sink:
    """Turn completions into rows, and seal them when due.

    Attributes:
        counts: measured samples.
        warmup: warm-up requests.
        drain_start_s: when the last request was submitted; None before.
    """

    def __init__(
        self,
        writer: RunWriter,
        engine: Engine,
        *,
        logprobs_k: int,
        window: int,
        drain_telemetry: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """Connect writer, engine and power sampler.

        Args:
            writer: of the run.
            engine: whose steps are banked.
            logprobs_k: top log-probabilities requested.
            window: tokens of DeepConf's window.
            drain_telemetry: rows of raw_telemetry since the last call.
        """
        self.counts, self.warmup = Counts(), Counts()
        self.drain_start_s: float | None = None
        self._writer, self._engine, self._k, self._window = writer, engine, logprobs_k, window
        self._drain_telemetry = drain_telemetry
        self._step_index = 0

    def take(
        self, sample: Sample, request: Request, completion: Completion, *, is_warmup: bool
    ) -> dict[str, Any]:
        """Take one completion; return its validated row."""
        lacks_count = (
            self._engine.capabilities.counts_cached_tokens
            and completion.cached_tokens is None
            and completion.finish_reason not in ("abort", "error")
        )
        row = generation_row(
            sample,
            request,
            completion,
            attempt=self._writer.manifest.attempt,
            logprobs_k=self._k,
            window=self._window,
            is_warmup=is_warmup,
            notes=["cached_tokens are missing, which this engine counts"] if lacks_count else [],
        )
        (self.warmup if is_warmup else self.counts).add(row)
        self._writer.append("raw_generations", [row])
        return row

    def take_steps(self, *, is_warmup: bool = False) -> None:
        """Move the engine's step statistics and the power samples to the writer."""
        rows = self._engine.drain_steps() if self._engine.capabilities.has_steps else []
        for row in rows:
            drains = (
                not is_warmup
                and self.drain_start_s is not None
                and row["end_s"] > self.drain_start_s
            )
            row |= {
                "attempt": self._writer.manifest.attempt,
                "step_index": self._step_index,
                "is_warmup": is_warmup,
                "is_drain": drains,
            }
            self._step_index += 1
        self._writer.append("raw_steps", rows)
        self._writer.append("raw_telemetry", self._drain_telemetry())

    def seal(self, *, force: bool = False) -> None:
        """Seal if due, or unconditionally."""
        if force or self._writer.due():
            self.take_steps()
            self._writer.seal()


def warm_up(
    engine: Engine, samples: Iterable[Sample], sink: Sink, *, max_tokens: int, stop: Stop
) -> None:
    """Generate a few requests as warm-up, then let the engine forget their prompts.

    They are banked, marked as warm-up.

    Args:
        engine: started.
        samples: the requests' models; each is requested once.
        sink: receives the rows.
        max_tokens: maximum tokens of a warm-up request; enough steps to trigger one-time work.
        stop: ends the warm-up early.
    """
    flying: dict[str, tuple[Sample, Request]] = {}
    for number, sample in enumerate(samples):
        warm = Sample(sample.point, sample.asked, number)
        made = request_of(sample, per_request_seed=False)
        values = {name: getattr(made, name) for name in Request.__slots__}
        values |= {
            "request_id": f"warmup-{number}:0",
            "max_tokens": min(max_tokens, made.max_tokens),
            "sample_index": None,
        }
        request = Request(**values)
        flying[request.request_id] = (warm, request)
        engine.add(request)
    while flying and not stop:
        for completion in engine.step():
            sink.take(*flying.pop(completion.request_id), completion, is_warmup=True)
    sink.take_steps(is_warmup=True)
    if not stop:
        engine.settle()


def drive(
    engine: Engine,
    samples: Iterator[Sample],
    sink: Sink,
    progress: Progress,
    *,
    options: dict[str, Any],
    stop: Stop,
) -> None:
    """Generate samples until there are no more, or until asked to stop.

    Requests in flight at a stop are abandoned.

    Args:
        engine: started.
        samples: in order.
        sink: takes completions.
        progress: counts and prints.
        options: see `work.payload_options`.
        stop: ends the loop after the current step.

    Raises:
        EngineAway: the engine is no longer reachable; finished completions were taken.
    """
    flying: dict[str, tuple[Sample, Request]] = {}
    in_flight, isolate, seeded = (
        options["in_flight"],
        options["isolate_points"],
        options["per_request_seed"],
    )
    upcoming = next(samples, None)
    point_id = None
    while (upcoming is not None or flying) and not stop:
        while upcoming is not None and len(flying) < in_flight:
            if isolate and flying and upcoming.point.point_id != point_id:
                break
            point_id = upcoming.point.point_id
            request = request_of(upcoming, per_request_seed=seeded)
            flying[request.request_id] = (upcoming, request)
            engine.add(request)
            upcoming = next(samples, None)
            if upcoming is None:
                sink.drain_start_s = time.monotonic()
        for completion in engine.step():
            row = sink.take(*flying.pop(completion.request_id), completion, is_warmup=False)
            if row["finish_reason"] != "error":
                progress.add(row["output_tokens"] or 0)
        if isinstance(engine, TellsNotes):
            for note in engine.drain_notes():
                progress.say(note)
        sink.seal()
        progress.tick()
