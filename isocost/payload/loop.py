"""The loop that keeps the engine busy and writes to the bank.

Lives here: `Stop`, `Sink` (completions to rows, rows to parts), `drive` (add, step, sink). Not
here: how a session is prepared and closed (`session`).
"""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol

from isocost.bank.writer import RunWriter
from isocost.engines.protocol import REFUSALS, Completion, EngineAway, Request, refused
from isocost.payload.course import Course
from isocost.payload.crew import Crew
from isocost.payload.progress import Progress
from isocost.payload.rows import generation_row
from isocost.payload.work import NumberedCall, Sample, request_of


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

    def add(self, row: Mapping[str, Any], *, is_sample: bool = True) -> None:
        """Count one row of raw_generations: validated values, not the engine's claims.

        Args:
            row: the row.
            is_sample: whether it is a whole sample; samples of several calls are counted by `end`.
        """
        self.finish_reasons[row["finish_reason"]] += 1
        self.output_tokens += row["output_tokens"] or 0
        self.prompt_tokens += row["prompt_tokens"] or 0
        self.cached_tokens += row["cached_tokens"] or 0
        self.retries += row["num_retries"] or 0
        if is_sample:
            failed = row["finish_reason"] == "error"
            self.end(row["error"] if failed else None, failed=failed)

    def end(self, error: str | None, *, failed: bool) -> None:
        """Count one sample, or one that failed."""
        if failed:
            self.errors += 1
            self.first_error = self.first_error or error
        else:
            self.samples += 1


class HasEnded(Protocol):
    """A sample whose method has ended.

    Attributes:
        rows: its rows of raw_answers; the last one is final.
        has_failed: whether it failed and is still missing.
    """

    rows: list[dict[str, Any]]
    has_failed: bool


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
        engine: Crew,
        *,
        logprobs_k: int,
        window: int,
        drain_telemetry: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """Connect writer, engine and power sampler.

        Args:
            writer: of the run.
            engine: the engines, whose steps are banked.
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
        self,
        sample: Sample,
        request: Request,
        completion: Completion,
        *,
        is_warmup: bool,
        numbered: NumberedCall | None = None,
    ) -> dict[str, Any]:
        """Take one completion, of a method's call if it is numbered; return its validated row."""
        lacks_count = (
            self._engine[request.partner].capabilities.counts_cached_tokens
            and completion.cached_tokens is None
            and completion.finish_reason not in ("abort", "error")
        )
        row = generation_row(
            sample,
            request,
            completion,
            numbered=numbered,
            attempt=self._writer.manifest.attempt,
            logprobs_k=self._k,
            window=self._window,
            is_warmup=is_warmup,
            notes=["cached_tokens are missing, which this engine counts"] if lacks_count else [],
        )
        (self.warmup if is_warmup else self.counts).add(row, is_sample=numbered is None)
        self._writer.append("raw_generations", [row])
        return row

    def take_answers(self, ended: HasEnded) -> None:
        """Take the answers of a sample whose method has ended."""
        self.counts.end(ended.rows[-1]["error"], failed=ended.has_failed)
        self._writer.append("raw_answers", ended.rows)

    def take_steps(self, *, is_warmup: bool = False) -> None:
        """Move the engine's step statistics and the power samples to the writer."""
        rows = self._engine.drain_steps()
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
    engine: Crew, samples: Iterable[Sample], sink: Sink, *, max_tokens: int, stop: Stop
) -> None:
    """Generate a few requests as warm-up, then let the engines forget their prompts.

    They are banked, marked as warm-up.

    Args:
        engine: started.
        samples: the requests' models; each is requested once of every engine.
        sink: receives the rows.
        max_tokens: maximum tokens of a warm-up request; enough steps to trigger one-time work.
        stop: ends the warm-up early.
    """
    flying: dict[str, tuple[Sample, Request]] = {}
    aliases = [partner for partner, _ in engine.items()]
    for number, (partner, sample) in enumerate(product(aliases, samples)):
        warm = Sample(sample.point, sample.asked, number)
        made = request_of(sample, per_request_seed=False)
        values = {name: getattr(made, name) for name in Request.__slots__}
        values |= {
            "request_id": f"warmup-{number}:0",
            "max_tokens": min(max_tokens, made.max_tokens),
            "sample_index": None,
            "partner": partner,
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


class Queue:
    """What is to be asked next: calls of samples under way first, then new samples.

    A sample that has begun is finished before others begin, so that few are under way at once.

    Attributes:
        flying: what each request in flight belongs to, by request_id.
    """

    def __init__(
        self,
        samples: Iterator[Sample],
        sink: Sink,
        progress: Progress,
        course_of: Callable[[Sample], Course | None],
        options: Mapping[str, Any],
    ) -> None:
        """Arguments as for `drive`."""
        self.flying: dict[str, tuple[Sample, Request, NumberedCall | None, Course | None]] = {}
        self._samples, self._sink, self._progress = samples, sink, progress
        self._course_of = course_of
        self._isolates, self._seeded = options["isolate_points"], options["per_request_seed"]
        self._ready: deque[tuple[Course, NumberedCall, Request]] = deque()
        self._sharing: dict[str, list[Course]] = {}
        self._failed: dict[str, Mapping[str, Any]] = {}
        self._upcoming = next(samples, None)
        self._point_id: str | None = None
        self._under_way = 0

    def is_done(self) -> bool:
        """Whether nothing is left to be asked or answered."""
        return self._upcoming is None and not self.flying and not self._ready

    def next(self) -> Request | None:
        """The next request, now in flight; None if there is none to be made now."""
        while True:
            while self._ready:
                course, item, request = self._ready.popleft()
                if course.is_failing and not item.call.shared:
                    course.drop(item.index)
                    self._end_if_over(course)
                    continue
                self._note_drain()
                self.flying[request.request_id] = (course.holder(item), request, item, course)
                return request
            sample = self._upcoming
            if sample is None or (
                self._isolates
                and (self.flying or self._under_way)
                and sample.point.point_id != self._point_id
            ):
                return None
            self._point_id = sample.point.point_id
            self._upcoming = next(self._samples, None)
            course = self._course_of(sample)
            if course is None:
                request = request_of(sample, per_request_seed=self._seeded)
                self._note_drain()
                self.flying[request.request_id] = (sample, request, None, None)
                return request
            self._under_way += 1
            self._follow(course, course.begin())

    def take(self, completion: Completion) -> None:
        """Take a completion, and queue what its method asks next."""
        sample, request, item, course = self.flying.pop(completion.request_id)
        row = self._sink.take(sample, request, completion, is_warmup=False, numbered=item)
        if row["finish_reason"] != "error":
            self._progress.add(row["output_tokens"] or 0, samples=1 if course is None else 0)
        if course is None:
            return
        waiting = self._sharing.pop(request.request_id, [course])
        if row["finish_reason"] in ("error", "abort") and item is not None and item.call.shared:
            self._failed[request.request_id] = row
        for one in waiting:
            self._follow(one, one.take(row))

    def _follow(self, course: Course, asked: list[tuple[NumberedCall, Request]]) -> None:
        """Queue what a method asks; a shared call is asked once for all samples that wait for it.

        One that failed is not asked again in this run: the samples of its context fail with it.
        """
        failed: list[Mapping[str, Any]] = []
        for item, request in asked:
            waiting = self._sharing.get(request.request_id)
            if item.call.shared and request.request_id in self._failed:
                failed.append(self._failed[request.request_id])
            elif item.call.shared and waiting is not None:
                waiting.append(course)
            else:
                if item.call.shared:
                    self._sharing[request.request_id] = [course]
                self._ready.append((course, item, request))
        for row in failed:
            course.take(row)
        if course.restarted is not None:
            self._progress.say(course.restarted)
            course.restarted = None
        self._end_if_over(course)

    def _end_if_over(self, course: Course) -> None:
        if not course.is_over:
            return
        self._under_way -= 1
        self._sink.take_answers(course)
        if not course.has_failed:
            self._progress.add(0)

    def _note_drain(self) -> None:
        """From the last request of the last sample on the batch runs empty."""
        if self._upcoming is None and not self._ready:
            self._sink.drain_start_s = time.monotonic()


def _add(engine: Crew, queue: Queue, request: Request) -> None:
    """Hand a request to the engine; a call of a method that it refuses fails its sample alone.

    What a sweep asks was checked before the engine started; what a method asks was not.
    """
    try:
        engine.add(request)
    except EngineAway:
        raise
    except REFUSALS as error:
        if queue.flying[request.request_id][-1] is None:
            raise
        queue.take(refused(request, error))


def drive(
    engine: Crew,
    samples: Iterator[Sample],
    sink: Sink,
    progress: Progress,
    *,
    options: dict[str, Any],
    stop: Stop,
    course_of: Callable[[Sample], Course | None] = lambda _: None,
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
        course_of: the method of a sample under way; None for a sample of one call.

    Raises:
        EngineAway: the engine is no longer reachable; finished completions were taken.
    """
    queue = Queue(samples, sink, progress, course_of, options)
    in_flight = options["in_flight"]
    while not queue.is_done() and not stop:
        while len(queue.flying) < in_flight and (request := queue.next()) is not None:
            _add(engine, queue, request)
        for completion in engine.step() if queue.flying else ():
            queue.take(completion)
        for note in engine.drain_notes():
            progress.say(note)
        sink.seal()
        progress.tick()
