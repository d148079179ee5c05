"""Samples that are made by clients of their own, through the meter.

Lives here: the loop that keeps several clients at work, and what becomes of a client's end: rows of
raw_generations for its calls and the row of raw_answers that completes its sample. Not here: the
processes and the gateway (``isocost.meter``), samples whose method is asked (``course``).

A sample is banked as a whole when its client has ended: its calls and its answer are sealed
together, the calls first. A client cannot be continued, so a sample that was under way at the end
of a run starts again from nothing (docs/decisions/0016).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from isocost.credentials import redacted, without
from isocost.engines.protocol import Completion, EngineAway, Request
from isocost.meter.account import Account, Limits
from isocost.meter.clients import Client, CommandClient, Ended, FunctionClient, Question
from isocost.meter.exchange import Exchange
from isocost.meter.gateway import Gateway
from isocost.meter.order import FOLLOW_UP, MeteredCall, metered_calls
from isocost.methods import Call
from isocost.methods.external import External
from isocost.payload.judgement import ENDED
from isocost.payload.loop import Sink, Stop
from isocost.payload.progress import Progress
from isocost.payload.work import NumberedCall, Sample, derived_seed, request_of
from isocost.tasks import prompt_hash

TIME_LIMIT, STOPPED = "time_limit", "stopped"
GRACE_S = 5.0
"""Seconds in which a client may still answer after a call was refused by a limit."""
_WAIT_S = 0.2
_PROBE_S = 1.0


@dataclass
class Made:
    """A sample whose client has ended.

    Attributes:
        sample: the sample.
        method: its method.
        ended: how the client ended.
        exchanges: its requests.
        account: what it was allowed to spend.
        rows: rows of raw_answers, without the columns that the writer adds.
        has_failed: whether it stays missing.
        output_tokens: generated in all, as far as known.
    """

    sample: Sample
    method: External
    ended: Ended
    exchanges: Sequence[Exchange]
    account: Account
    rows: list[dict[str, Any]] = field(default_factory=list)
    has_failed: bool = False
    output_tokens: int = 0


class Clients:
    """Makes samples, each in a thread that attends to one client at a time."""

    def __init__(self, gateway: Gateway, at_once: int, stop: Stop) -> None:
        """`at_once` clients run at the same time."""
        self._gateway, self._stop = gateway, stop
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="client")
        self._local = threading.local()
        self._all: list[Client] = []
        self._is_closing = False

    def start(self, sample: Sample, method: External) -> Future[Made]:
        """Begin a sample."""
        return self._pool.submit(self._make, sample, method)

    def close(self) -> None:
        """End every client."""
        self._is_closing = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        for client in self._all:
            client.close()

    def _make(self, sample: Sample, method: External) -> Made:
        account = self._gateway.accounts.open(Limits(method.call_limit, method.token_limit))
        begun = time.monotonic()

        def watched() -> str | None:
            now = time.monotonic()
            if self._stop or self._is_closing:
                return STOPPED
            if account.limit_since_s is not None and now > account.limit_since_s + GRACE_S:
                return account.limit
            if now < begun + method.time_limit_s:
                return None
            silent = account.silent_s(now)
            if silent > method.time_limit_s / 2:
                return f"the server sent nothing for {silent:.0f} s"
            return TIME_LIMIT

        question = Question(
            problem=problem_of(sample),
            base_url=self._gateway.address(account),
            model=self._gateway.upstream.model,
            arguments=method.arguments,
        )
        try:
            ended = self._client(method).ask(question, watched)
        except (OSError, ValueError) as error:
            # A word with a NUL, which no command line can have, is a ValueError.
            what = getattr(error, "strerror", None) or error
            ended = Ended(fault=f"the client cannot be started: {what}")
        finally:
            exchanges = self._gateway.accounts.close(account)
        return Made(sample, method, self._redacted(ended), exchanges, account)

    def _redacted(self, ended: Ended) -> Ended:
        """Without the server's key, which a client does not get but may have found."""
        key = [self._gateway.upstream.key]
        return replace(
            ended,
            answer=None if ended.answer is None else without(ended.answer, key),
            fault=None if ended.fault is None else redacted(ended.fault, key),
            details=redacted(ended.details, key),
        )

    def _client(self, method: External) -> Client:
        """This thread's client of a method; those of other methods are ended."""
        key = (method.command, method.function)
        if getattr(self._local, "key", None) != key:
            if (before := getattr(self._local, "client", None)) is not None:
                before.close()
            hidden = [name] if (name := self._gateway.upstream.key_variable) else []
            client = (
                CommandClient(method.command, hidden=hidden)
                if method.command is not None
                else FunctionClient(str(method.function), hidden=hidden)
            )
            self._local.client, self._local.key = client, key
            self._all.append(client)
        return self._local.client


def problem_of(sample: Sample) -> dict[str, Any]:
    """What a client is given of a sample: everything but the reference."""
    sampling = sample.point.sampling
    return {
        "problem_id": sample.asked.problem.problem_id,
        "question": sample.asked.problem.question,
        "messages": [dict(message) for message in sample.asked.messages],
        "sample_index": sample.sample_index,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "max_tokens": sample.point.budget.max_tokens,
        "seed": derived_seed(sample.point.seed, sample.sample_id),
    }


def drive_clients(
    gateway: Gateway,
    samples: Iterator[Sample],
    methods: Mapping[str, External],
    sink: Sink,
    progress: Progress,
    *,
    attempt: int,
    options: Mapping[str, Any],
    logprobs_k: int,
    stop: Stop,
) -> None:
    """Make samples with clients until there are no more, or until asked to stop.

    Args:
        gateway: listening, in front of the engine's server.
        samples: in order.
        methods: by point_id.
        sink: takes calls and answers.
        progress: counts and prints.
        attempt: number of the run.
        options: see `work.payload_options`.
        logprobs_k: most likely tokens per position that are kept.
        stop: ends the clients under way; their samples stay missing.

    Raises:
        EngineAway: the server is no longer reachable; finished samples were taken.
    """
    at_once = int(options["clients"])
    clients = Clients(gateway, at_once, stop)
    flying: dict[Future[Made], str] = {}
    dropped = 0
    upcoming = next(samples, None)
    probed = time.monotonic()
    try:
        while (upcoming is not None or flying) and not stop:
            while (
                upcoming is not None
                and len(flying) < at_once
                and not gateway.away_s()
                and not _waits(upcoming, flying, options)
            ):
                point_id = upcoming.point.point_id
                flying[clients.start(upcoming, methods[point_id])] = point_id
                upcoming = next(samples, None)
                if upcoming is None:
                    sink.drain_start_s = time.monotonic()
            done = wait(flying, _WAIT_S, FIRST_COMPLETED).done if flying else _pause()
            for future in done:
                del flying[future]
                made = future.result()
                if made.ended.cause == STOPPED:
                    dropped += 1
                else:
                    _take(made, sink, progress, attempt, logprobs_k, gateway)
            if gateway.away_s() and time.monotonic() - probed > _PROBE_S:
                probed = time.monotonic()
                gateway.probe()
                _check_reachable(gateway)
            sink.seal()
            progress.tick()
        if dropped := dropped + len(flying):
            progress.say(f"{dropped} samples were under way; they will start again")
    finally:
        clients.close()


def _waits(sample: Sample, flying: Mapping[Any, str], options: Mapping[str, Any]) -> bool:
    """Whether a sample must wait until those of another point have ended."""
    return bool(options["isolate_points"]) and any(
        point_id != sample.point.point_id for point_id in flying.values()
    )


def _pause() -> set[Future[Made]]:
    time.sleep(_WAIT_S)
    return set()


def _check_reachable(gateway: Gateway) -> None:
    if (away := gateway.away_s()) > gateway.upstream.patience_s:
        raise EngineAway(
            f"the server has not answered for {away:.0f} s",
            where=gateway.upstream.url,
            remedy="Run again when the server is reachable: sealed samples are not made again.",
        )


def _take(
    made: Made, sink: Sink, progress: Progress, attempt: int, logprobs_k: int, gateway: Gateway
) -> None:
    """Bank a sample: its calls, then its answer."""
    found = metered_calls(
        made.exchanges,
        logprobs_k=logprobs_k,
        context=gateway.upstream.context,
        key=gateway.upstream.key,
    )
    rows = [
        sink.take(made.sample, *_as_request(made.sample, item), is_warmup=False, numbered=item[0])
        for item in ((_numbered(index, call), call.completion) for index, call in enumerate(found))
    ]
    conclude(made, rows, attempt)
    sink.take_answers(made)
    if made.has_failed:
        error = made.rows[-1]["error"]
        progress.say(f"sample {made.sample.sample_id} failed: {error.splitlines()[0][:300]}")
    else:
        made.output_tokens = sum(row["output_tokens"] or 0 for row in rows)
        progress.add(made.output_tokens)


def _numbered(index: int, call: MeteredCall) -> NumberedCall:
    role = "solve" if call.parent is None else FOLLOW_UP
    asked = Call(call.asked.messages, role=role, parent=call.parent)
    return NumberedCall(index, call.wave, asked, call.asked.request_hash)


def _as_request(
    sample: Sample, made: tuple[NumberedCall, Completion]
) -> tuple[Request, Completion]:
    item, completion = made
    request = replace(
        request_of(sample, per_request_seed=False),
        request_id=f"{sample.sample_id}:{item.index}",
        messages=item.call.messages,
        prompt_hash=prompt_hash([dict(message) for message in item.call.messages]),
        call_index=item.index,
        request_hash=item.request_hash,
    )
    return request, replace(completion, request_id=request.request_id)


def conclude(made: Made, rows: Sequence[Mapping[str, Any]], attempt: int) -> None:
    """Say how the sample ended: its row of raw_answers.

    Args:
        made: changed in place.
        rows: its validated calls.
        attempt: number of the run.
    """
    ended = made.ended
    good = [int(row["call_index"]) for row in rows if row["finish_reason"] in ENDED]
    reason, fault = _end(made, rows, bool(good))
    holder = None
    if fault is None and ended.answer is not None:
        said = ended.answer.strip()
        same = [i for i in good if (rows[i]["output_text"] or "").strip() == said]
        holder = same[-1] if same else None
    if reason is None:
        reason = "stop" if holder is None else str(rows[holder]["finish_reason"])
    made.has_failed = fault is not None
    sample = made.sample
    kept = set(range(len(rows))) if made.has_failed else set(good)
    made.rows = [
        {
            "sample_id": sample.sample_id,
            "point_id": sample.point.point_id,
            "problem_id": sample.asked.problem.problem_id,
            "attempt": attempt,
            "sample_index": sample.sample_index,
            "task": sample.point.task.name,
            "method": made.method.name,
            "answer_index": 0,
            "is_final": True,
            "budget": None,
            "budget_unit": None,
            "answer_text": None if made.has_failed else ended.answer,
            "finish_reason": "error" if made.has_failed else reason,
            "error": _remark(made, rows) if fault is None else _storable(made, fault),
            "answer_call_index": holder,
            # A call that failed is not a part of the sample.
            "call_attempts": [attempt if i in kept else None for i in range(len(rows))],
            "used_calls": sorted(kept),
            "used_tokens": [None] * len(kept),
        }
    ]


def _end(
    made: Made, rows: Sequence[Mapping[str, Any]], has_calls: bool
) -> tuple[str | None, str | None]:
    """The finish reason, if it is not that of a call, and why the sample failed, if it did."""
    ended, limit = made.ended, made.account.limit
    remark = _remark(made, rows)
    behind = f"; {remark}" if remark else ""
    if ended.cause is None and ended.answer is not None:
        if not has_calls:
            what = "the client answered without a complete call through the address that it got"
            return None, what + behind
        return limit, None
    server_failed = bool(rows) and rows[-1]["finish_reason"] == "error"
    reason = limit or (TIME_LIMIT if ended.cause == TIME_LIMIT else None)
    if reason is not None and has_calls and not server_failed:
        return reason, None
    what = ended.fault or ended.cause or reason
    if what == TIME_LIMIT:
        what = f"the client did not end within {made.method.time_limit_s:g} s"
    return None, f"{what}{behind}"


def _storable(made: Made, fault: str) -> str:
    """Why a sample failed: a line, and below it the end of what its client said."""
    text = f"{fault}\n{made.ended.details}" if made.ended.details else fault
    return text.encode("utf-8", "replace").decode("utf-8")


def _remark(made: Made, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """What went wrong on the way, of which the sample need not have failed."""
    failed = [row for row in rows if row["finish_reason"] not in ENDED]
    said = [f"call {row['call_index']}: {row['error']}" for row in failed[-1:]]
    said += [f"refused: {reason}" for reason in made.account.refused[-1:]]
    return "; ".join(said)[:1000] or None
