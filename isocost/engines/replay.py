"""An engine that replays another session's banked samples at their original pace.

Lives here: `ReplayEngine`. It is a real engine to the payload (slots, queue, times) but needs no
model: for trying out a whole sweep on a small machine, and for tests that kill a run at any moment.
Not here: the replay of strategies (``isocost.strategies``), which needs no engine at all.

Options: ``bank`` (lake with the recorded session; a folder or URL), ``session`` (its id; None if
the lake has only one), ``point`` (recorded point, if several used the same prompt), ``speed`` (2.0
is twice as fast as recorded; 0 is at once).
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from isocost.capabilities import Capabilities
from isocost.engines.protocol import (
    Completion,
    EngineSettings,
    Messages,
    Request,
    checked_options,
    register,
)
from isocost.errors import IsocostError

_OPTIONS = {"bank": str, "session": str, "point": str, "speed": (int, float)}
_RECORDED = (
    "logprob_sum",
    "logprob_top1_mean",
    "tail_mass_sum",
    "entropy_low_sum",
    "entropy_high_sum",
    "self_certainty_low_sum",
    "confidence_sum",
    "confidence_tail",
    "confidence_lowest_group",
    "confidence_bottom_tenth",
    "confidence_window",
    "logprobs_k",
    "token_logprobs",
    "token_confidences",
    "choice_logprobs",
    "step_scores",
)
_LONGEST_WAIT_S = 0.05


@register
class ReplayEngine:
    """Answers requests from a bank; see the module's docstring."""

    name: ClassVar[str] = "replay"
    # Nothing is resolved: another engine ran, and its configuration is in the recorded session.
    capabilities: ClassVar[Capabilities] = Capabilities(
        loads_model=False,
        computes_here=False,
        has_steps=False,
        counts_cached_tokens=False,  # as many as the recorded engine did
        reports_prompt_lengths=False,
        reports_configuration=False,
        reports_version=True,
        continues_tokens=True,  # it repeats what was recorded
        scores_choices=True,
        scores_steps=True,
        model_settings=frozenset({"chat_template_kwargs", "reasoning_parser", "adapter"}),
        packages=("isocost",),
    )

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        options = checked_options(settings, _OPTIONS, self.name)
        if "bank" not in options:
            raise IsocostError(
                "the replay engine needs a bank to replay",
                where="engine.options.bank",
                remedy="Give the folder of a lake.",
            )
        self._settings = settings
        self._lake, self._session, self._point = (
            options["bank"],
            options.get("session"),
            options.get("point"),
        )
        self._speed = float(options.get("speed", 1.0))
        self._recorded: dict[tuple[str, str], dict[_Place, dict[str, Any]]] = {}
        self._waiting: deque[tuple[Request, float, float]] = deque()
        self._running: list[tuple[float, int, Completion]] = []
        self._count = 0

    def check(self) -> None:
        """See `Engine`; reads the recorded session."""
        rows = _load(self._lake, self._session, self._point)
        points = sorted({row["point_id"] for row in rows})
        for row in rows:
            asked = row["request_hash"] or row["prompt_hash"]
            slot = self._recorded.setdefault((row["problem_id"], asked), {})
            place = (row["sample_index"], row["call_index"])
            if place in slot and slot[place]["point_id"] != row["point_id"]:
                raise IsocostError(
                    f"several recorded points used problem {row['problem_id']} with the same "
                    f"prompt",
                    where="engine.options.point",
                    remedy=f"Name one of {', '.join(points)}.",
                )
            slot[place] = row
        if not self._recorded:
            raise IsocostError(
                "the recorded bank has no samples to replay",
                where=str(self._lake),
                remedy="Name a session that has some.",
            )

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """See `Engine`; not known without a tokenizer."""
        return None

    def room(self, request: Request) -> int | None:
        """See `Engine`; a recording fits by itself."""
        return None

    def start(self) -> None:
        """See `Engine`."""
        if not self._recorded:
            self.check()

    def describe(self) -> dict[str, Any]:
        """See `Engine`."""
        return {
            "engine": self.name,
            "bank": str(self._lake),
            "session": self._session,
            "speed": self._speed,
            "versions": {},
        }

    def add(self, request: Request) -> None:
        """See `Engine`.

        Raises:
            IsocostError: the bank has no such sample.
        """
        found = self._recorded.get(_asked(request), {})
        place = _place(request, found)
        if place not in found:
            raise IsocostError(
                f"the recorded bank has no sample {place[0]} of problem {request.problem_id} for"
                f" this prompt{f' as call {place[1]}' if place[1] else ''}",
                where=str(self._lake),
                remedy="Request at most as many samples and problems as were recorded.",
            )
        self._waiting.append((request, time.time(), time.monotonic()))
        self._fill(time.monotonic())

    def step(self) -> list[Completion]:
        """See `Engine`."""
        now = time.monotonic()
        if self._running and self._running[0][0] > now:
            time.sleep(min(self._running[0][0] - now, _LONGEST_WAIT_S))
            now = time.monotonic()
        done = []
        while self._running and self._running[0][0] <= now:
            done.append(heapq.heappop(self._running)[2])
        self._fill(now)
        return done

    def unfinished(self) -> int:
        """See `Engine`."""
        return len(self._waiting) + len(self._running)

    def settle(self) -> None:
        """See `Engine`."""

    def drain_steps(self) -> list[dict[str, Any]]:
        """See `Engine`; a replay has no steps."""
        return []

    def close(self) -> None:
        """See `Engine`."""
        self._recorded.clear()

    def _fill(self, now: float) -> None:
        while self._waiting and len(self._running) < self._settings.max_num_seqs:
            request, arrival, queued = self._waiting.popleft()
            found = self._recorded[_asked(request)]
            row = found[_place(request, found)]
            completion = self._answer(request, row, arrival, queued, now)
            self._count += 1
            heapq.heappush(self._running, (completion.last_token_s or now, self._count, completion))

    def _answer(
        self, request: Request, row: dict[str, Any], arrival: float, queued: float, now: float
    ) -> Completion:
        first, last = self._pace(row, "first_token_s"), self._pace(row, "last_token_s")
        return Completion(
            request_id=request.request_id,
            text=row["output_text"],
            token_ids=row["output_token_ids"],
            finish_reason=row["finish_reason"],
            stop_reason=row["stop_reason"],
            prompt_tokens=row["prompt_tokens"],
            output_tokens=row["output_tokens"],
            cached_tokens=row["cached_tokens"],
            arrival_unix_s=arrival,
            queued_s=queued,
            scheduled_s=now,
            first_token_s=now + first,
            last_token_s=now + last,
            num_preemptions=row["num_preemptions"],
            reasoning_text=row["reasoning_text"],
            reasoning_tokens=row["reasoning_tokens"],
            recorded={name: row[name] for name in _RECORDED},
        )

    def _pace(self, row: dict[str, Any], moment: str) -> float:
        if not self._speed or row[moment] is None or row["scheduled_s"] is None:
            return 0.0
        return max(0.0, row[moment] - row["scheduled_s"]) / self._speed


_Place = tuple[int, int]
"""Sample and call index."""


def _asked(request: Request) -> tuple[str, str]:
    return request.problem_id, request.request_hash or request.prompt_hash


def _place(request: Request, found: Mapping[_Place, Any]) -> _Place:
    """Which recording answers a request; warm-up takes the first one."""
    if request.sample_index is None:
        return min(found, default=(0, 0))
    return request.sample_index, request.call_index


def _load(lake: str, session: str | None, point: str | None) -> list[dict[str, Any]]:
    # The one place where a package uses another's code: the content of a part is only known once it
    # is verified, which the bank does.
    import polars as pl

    from isocost.bank.reader import read_manifests, read_raw

    holding = {
        manifest.session_id
        for manifest in read_manifests(lake, session)
        if any(part.table == "raw_generations" and part.rows for part in manifest.parts)
    }
    if len(holding) > 1:
        raise IsocostError(
            "contains several sessions",
            where=lake,
            remedy=f"Name one in engine.options.session: {', '.join(sorted(holding))}.",
        )
    points = None if point is None else [point]
    frame = read_raw(lake, "raw_generations", session, point_ids=points)
    counted = frame.filter(~pl.col("is_warmup"), pl.col("finish_reason") != "error")
    return counted.sort("session_id", "call_id", "attempt").to_dicts()
