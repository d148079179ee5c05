"""One session from its file to its sealed parts.

Lives here: the order of steps (check, lock, recover, subtract, start, warm up, generate, seal,
record) and the manifest's info. Not here: the loop itself (`loop`), the bank's files
(``isocost.bank``).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl

import isocost
from isocost.bank.files import Files
from isocost.bank.resume import banked_calls, done_elsewhere, missing_samples
from isocost.bank.writer import RunWriter, open_run
from isocost.capabilities import AUTO, ENGINES, capabilities_of
from isocost.engines.protocol import EngineAway, ServesHttp, engine_class
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.payload.course import Course
from isocost.payload.crew import Crew, naming, share_cores
from isocost.payload.loop import Counts, Interrupted, Sink, Stop, drive, warm_up
from isocost.payload.partner import PartnerEngine
from isocost.payload.preflight import (
    check_budgets,
    check_methods,
    check_power_source,
    check_prompts,
)
from isocost.payload.progress import Progress, Reporter, duration
from isocost.payload.shared import SharedCalls
from isocost.payload.weights import fetch_weights
from isocost.payload.work import Sample, Work, derived_seed, engine_settings, payload_options
from isocost.sweep import Session, session_json

PART_SECONDS = 60.0
WARMUP_TOKENS = 16
SAMPLING_PERIOD_S = 0.1
IDLE_S = 10.5
"""Idle time between engine start and warm-up for the idle baseline, if power is measured.

The baseline needs 10 s.
"""


class RunFailed(IsocostError):
    """The engine or the storage failed after the run had started; the manifest records it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: ``complete`` (nothing was missing), ``finished`` or ``stopped``.
        run_id: the run; None if nothing was missing.
        generated: samples generated.
        errors: failed requests; their samples stay missing.
        missing: samples still missing, errors included.
        first_error: text of the first error.
        away: why the run ended early, if the engine became unreachable.
    """

    status: str
    run_id: str | None
    generated: int
    errors: int
    missing: int
    first_error: str | None = None
    away: EngineAway | None = None


def generate(
    session: Session,
    lake: str,
    *,
    reporter: Reporter,
    stop: Stop,
    run_id: str | None = None,
    max_samples: int | None = None,
) -> Outcome:
    """Generate exactly the samples of a session that are missing from the lake.

    Args:
        session: what to measure.
        lake: folder of the lake, or an fsspec URL.
        reporter: receives progress.
        stop: ends the run when true.
        run_id: name of the run; a new UUID if None.
        max_samples: maximum number of samples in this run.

    Raises:
        IsocostError: bad input; nothing is changed.
        RunFailed: the engine cannot start, or storage fails; everything sealed before is intact.
    """
    check_budgets(session)
    if session.partners:
        share_cores()
    options = payload_options(session)
    _crew(session, None)
    work = Work(session)
    check_methods(work)
    files = Files(lake)
    points = list(work.points)
    with open_run(
        files,
        session.session_id,
        run_id=run_id,
        point_ids=points,
        part_rows=session.part_rows,
        part_seconds=PART_SECONDS,
    ) as (
        writer,
        found,
    ):
        for note in found.notes:
            reporter.say(note)
        done = pl.concat([found.done, done_elsewhere(files, session.session_id, points)])
        missing = missing_samples(work.plan, done)
        if missing.is_empty():
            reporter.say(
                f"session {session.session_id}: all {work.plan.height} samples are banked, "
                f"nothing to generate"
            )
            return Outcome("complete", None, 0, 0, 0)
        _keep_session_file(files, session)
        todo = missing if max_samples is None else missing.head(max_samples)
        # A later run must not reuse the random numbers of an earlier one: with the same seed it
        # would repeat its samples.
        fresh = done.is_empty() and writer.manifest.attempt == 1
        attempt = None if fresh else writer.manifest.attempt
        for config in (session.engine, *session.partners.values()):
            fetch_weights(config, reporter)
        engine = _crew(session, attempt)
        engine.check()
        check_power_source(session)
        longest = _longest_prompt(work, engine, bool(options["per_request_seed"]))
        info = _info(
            session,
            seed=_seed(session, session.engine.seed, attempt),
            longest=longest,
            planned=work.plan.height,
            missing=missing.height,
            asked=todo.height,
        )
        writer.start(**info)
        course_of = _courses(work, todo, engine, writer, options)
        counts, status, away = _measure(
            work, todo, engine, writer, reporter, stop, options, course_of
        )
        run, still = writer.manifest.run_id, missing.height - counts.samples
        return Outcome(status, run, counts.samples, counts.errors, still, counts.first_error, away)


def _crew(session: Session, attempt: int | None) -> Crew:
    """The engines of a session, with seeds for an attempt; None for the first.

    Raises:
        IsocostError: there is no such engine, or it has no such option.
    """
    settings = engine_settings(session, _seed(session, session.engine.seed, attempt))
    own = engine_class(session.engine.engine)(settings)
    partners = {}
    for alias, config in session.partners.items():
        with naming(alias):
            settings = engine_settings(session, _seed(session, config.seed, attempt), alias)
            partners[alias] = PartnerEngine(alias, config.engine, settings)
    return Crew(own, partners)


def _seed(session: Session, seed: int, attempt: int | None) -> int:
    return seed if attempt is None else derived_seed(seed, session.session_id, attempt)


def _longest_prompt(work: Work, engine: Crew, per_request_seed: bool) -> int | None:
    """Tokens of the longest prompt for the session's own engine, after all prompts are checked."""
    for alias, partner in engine.partners.items():
        with naming(alias):
            check_prompts(work, partner, per_request_seed=per_request_seed, partner=alias)
    return check_prompts(work, engine.own, per_request_seed=per_request_seed)


def _courses(
    work: Work,
    todo: pl.DataFrame,
    engine: Crew,
    writer: RunWriter,
    options: dict[str, Any],
) -> Callable[[Sample], Course | None]:
    """What runs the samples of methods, with the calls of theirs that are banked."""
    session_id = writer.manifest.session_id
    asked = [point_id for point_id, method in work.methods.items() if not method.is_outside]
    banked = banked_calls(writer.files, session_id, todo, asked)
    owners = work.owners(todo)
    shared = SharedCalls(owners, banked_calls(writer.files, session_id, owners, asked))
    seeded = bool(options["per_request_seed"])

    def course_of(sample: Sample) -> Course | None:
        method = work.methods.get(sample.point.point_id)
        if method is None:
            return None
        return Course(
            sample,
            method,
            attempt=writer.manifest.attempt,
            room=engine.room,
            per_request_seed=seeded,
            banked=banked.get(sample.sample_id),
            shared=shared.begin(sample),
        )

    return course_of


def _measure(
    work: Work,
    todo: pl.DataFrame,
    engine: Crew,
    writer: RunWriter,
    reporter: Reporter,
    stop: Stop,
    options: dict[str, Any],
    course_of: Callable[[Sample], Course | None],
) -> tuple[Counts, str, EngineAway | None]:
    session, named = work.session, ", ".join(_named(engine))
    reporter.say(
        f"session {session.session_id}: {todo.height} of {work.plan.height} samples to generate,"
        f" starting engine {named}"
    )
    try:
        before = time.monotonic()
        try:
            with stop.at_once():
                engine.start()
        except Interrupted:
            writer.finish("stopped", clock_end=_clock())
            return Counts(), "stopped", None
        started = time.monotonic() - before
        reporter.say(f"engine {named} is up after {duration(started)}")
        writer.update(**engine.describe(), engine_start_s=started)
        with _power(session, engine, writer, stop) as drain_telemetry:
            sink = Sink(
                writer,
                engine,
                logprobs_k=session.logprobs_k,
                window=int(options["confidence_window"]),
                drain_telemetry=drain_telemetry,
            )
            warmup_start = start = time.monotonic()
            progress = Progress(
                reporter,
                todo.height,
                banked=work.plan.height - writer.manifest.info["missing_samples"],
            )
            away = None
            try:
                warm_up(
                    engine,
                    islice(work.samples(todo), session.warmup_requests),
                    sink,
                    max_tokens=WARMUP_TOKENS,
                    stop=stop,
                )
                start = time.monotonic()
                inside, outside = _by_place(work, todo)
                drive(
                    engine,
                    work.samples(inside),
                    sink,
                    progress,
                    options=options,
                    stop=stop,
                    course_of=course_of,
                )
                if outside.height and not stop:
                    _meter(work, outside, engine, sink, progress, writer, stop, options)
            except EngineAway as error:
                away = error
                writer.manifest.info["error"] = str(error)
            end = time.monotonic()
            sink.take_steps()
        status = "stopped" if stop or away else "finished"
        sink.take_steps()
        window = {
            "warmup_start_s": warmup_start,
            "start_s": start,
            "drain_start_s": sink.drain_start_s,
            "end_s": end,
        }
        writer.finish(
            status,
            clock_end=_clock(),
            window=window,
            counts=_counts(sink.counts),
            warmup=_counts(sink.warmup),
        )
        progress.tick(force=True)
        reporter.message(
            "summary",
            run_id=writer.manifest.run_id,
            status=status,
            window=window,
            counts=_counts(sink.counts),
        )
        return sink.counts, status, away
    except BaseException as error:
        # Finished samples are worth sealing whatever went wrong; if storage failed, this fails
        # again, silently.
        with suppress(IsocostError):
            writer.seal()
        writer.fail(error, clock_end=_clock())
        if isinstance(error, IsocostError):
            raise RunFailed(error.what, where=error.where, remedy=error.remedy) from error
        raise
    finally:
        engine.close()


def _named(engine: Crew) -> list[str]:
    return [
        one.name if partner is None else f"{one.name} (partner {partner})"
        for partner, one in engine.items()
    ]


def _by_place(work: Work, todo: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The samples that are asked of the engine here, and those that clients make."""
    outside = [point_id for point_id, method in work.methods.items() if method.is_outside]
    is_outside = pl.col("point_id").is_in(outside)
    return todo.filter(~is_outside), todo.filter(is_outside)


def _meter(
    work: Work,
    todo: pl.DataFrame,
    engine: Crew,
    sink: Sink,
    progress: Progress,
    writer: RunWriter,
    stop: Stop,
    options: dict[str, Any],
) -> None:
    """Make the samples of clients; see ``outside``."""
    from isocost.meter.gateway import Gateway  # HTTP on both sides, for this method alone
    from isocost.methods.external import External
    from isocost.payload.outside import drive_clients

    server = engine.own
    assert isinstance(server, ServesHttp), "`check_methods` refuses other engines"
    with Gateway(server.address()) as gateway:
        drive_clients(
            gateway,
            work.samples(todo),
            {id_: m for id_, m in work.methods.items() if isinstance(m, External)},
            sink,
            progress,
            attempt=writer.manifest.attempt,
            options=options,
            logprobs_k=work.session.logprobs_k,
            stop=stop,
        )


@contextmanager
def _power(
    session: Session, engine: Crew, writer: RunWriter, stop: Stop
) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    from isocost.telemetry import NoSource, PowerSampler, described, open_source

    here = engine.computing_here()
    if session.telemetry == AUTO and not here:
        source = NoSource(
            f"the engine {engine.own.name} does not compute on this machine, so this machine's "
            "power is not measured"
        )
    else:
        # Only the devices that an engine uses: idle power of another board or of the processor is
        # not the engine's. Naming a source declares that it reads what the engine uses.
        engines = [one.describe() for one in here or [engine.own]]
        source = open_source(
            session.telemetry,
            count=max((one["devices"] for one in engines if one.get("devices")), default=None),
            device=engines[0].get("device"),
        )
    writer.update(
        telemetry={
            "source": source.name,
            "unknown_reason": source.unknown_reason,
            "description": described(source),
        }
    )
    sampler = PowerSampler(source, SAMPLING_PERIOD_S)
    sampler.start()
    try:
        if source.unknown_reason is None:
            writer.manifest.info["telemetry"]["idle_s"] = _rest(stop)
        yield sampler.drain
    finally:
        sampler.stop()
        writer.append("raw_telemetry", sampler.drain())
        writer.manifest.info["telemetry"]["sampling"] = sampler.summary()
        source.close()


def _rest(stop: Stop) -> list[float]:
    """Wait with the model loaded and idle; return start and end on the monotonic clock."""
    start = time.monotonic()
    while time.monotonic() < start + IDLE_S and not stop:
        time.sleep(0.1)
    return [start, time.monotonic()]


def _keep_session_file(files: Files, session: Session) -> None:
    path = f"sessions/{session.session_id}.json"
    if files.size(path) is None:
        files.write(path, session_json(session))


def _info(
    session: Session, *, seed: int, longest: int | None, planned: int, missing: int, asked: int
) -> dict[str, Any]:
    return {
        "sweep": session.sweep,
        "session_sha256": sha256_hex(session.model_dump(mode="json")),
        "engine_seed": seed,
        "logprobs_k": session.logprobs_k,
        "longest_prompt_tokens": longest,
        "planned_samples": planned,
        "missing_samples": missing,
        "asked_samples": asked,
        "clock_start": _clock(),
        "host": host(),
        "versions": versions(),
    }


def _clock() -> dict[str, float]:
    return {"unix_s": time.time(), "monotonic_s": time.monotonic()}


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "samples": counts.samples,
        "errors": counts.errors,
        "retries": counts.retries,
        "first_error": counts.first_error,
        "prompt_tokens": counts.prompt_tokens,
        "cached_tokens": counts.cached_tokens,
        "output_tokens": counts.output_tokens,
        "finish_reasons": dict(sorted(counts.finish_reasons.items())),
    }


def host() -> dict[str, Any]:
    """The machine: platform, processor, usable cores."""
    model = None
    with (
        suppress(OSError),
        open("/proc/cpuinfo", encoding="utf-8") as lines,  # noqa: PTH123 - tests replace open
    ):
        model = next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
            None,
        )
    return {
        "name": platform.node(),
        "platform": platform.platform(),
        "processor": model,
        "usable_cores": len(os.sched_getaffinity(0)),
        "process": os.getpid(),
    }


def versions() -> dict[str, str]:
    """Versions of installed packages that affect the numbers."""
    found = {"isocost": isocost.__version__, "python": platform.python_version()}
    engines = (name for engine in ENGINES.names() for name in capabilities_of(engine).packages)
    for name in (*engines, "torch", "transformers", "numpy", "polars", "pyarrow"):
        if name in found:
            continue
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
