"""One sample of a method under way.

Lives here: `Course`, which runs a method's generator, numbers its calls, hands it their replies and
keeps its answers as rows of raw_answers. Not here: engines and the loop that keeps many samples in
flight (``loop``), the methods (``isocost.methods``).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from isocost.bank.resume import REPLIED
from isocost.engines.protocol import Request
from isocost.methods import Answer, Call, LimitReached, Method, Reply, Steps, judged
from isocost.payload.judgement import ENDED
from isocost.payload.work import NumberedCall, Sample, asked_of_method, method_request, numbered

MOST_TOKENS = 10**6
"""Generated tokens of one sample: more are taken for a loop without end."""
LIMITS = ("call_limit", "token_limit", "context_limit")
_DIFFERS = "call {} is shared, and differs between samples of one context"
Banked = Mapping[int, Mapping[str, Any]]
"""Rows of raw_generations of one sample, by call_index."""


class Course:
    """A sample of a method, from its first call to its answer.

    Attributes:
        sample: the sample.
        rows: its rows of raw_answers, without the columns that the writer adds; the last one is
            final once `is_over`.
        is_over: whether the method has returned, or the sample has failed.
        has_failed: whether it failed and is still missing.
        restarted: why what was banked of it could not be used; None if it was used.
    """

    def __init__(
        self,
        sample: Sample,
        method: Method,
        *,
        attempt: int,
        room: Callable[[Request], int | None],
        per_request_seed: bool,
        banked: Banked | None = None,
        shared: dict[int, Mapping[str, Any]] | None = None,
    ) -> None:
        """Prepare a sample.

        Args:
            sample: the sample.
            method: how it is made.
            attempt: number of the run, for calls that it makes.
            room: see `Engine.room`.
            per_request_seed: whether calls have seeds of their own.
            banked: calls of the sample that earlier runs completed.
            shared: completed calls that it shares with other samples, the same object for all of
                them; what it makes of these is added.
        """
        self.sample = sample
        self._method, self._attempt, self._room = method, attempt, room
        self._seeded = per_request_seed
        self._partners = frozenset(method.partners())
        self._banked = dict(banked or {})
        self._shared = {} if shared is None else shared
        self.restarted: str | None = None
        self._begin()

    def _begin(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.is_over = self.has_failed = False
        self._steps = _started(self._method, self.sample)
        self._attempts: list[int] = []
        self._finishes: list[str] = []
        self._output_tokens = 0
        self._n_shared = 0
        self._wave = -1
        self._pending: dict[int, NumberedCall] = {}
        self._replies: dict[int, Reply] = {}
        self._fault: str | None = None

    def begin(self) -> list[tuple[NumberedCall, Request]]:
        """The first calls to be made; what is banked is not asked again."""
        return self._advance(None)

    def take(self, row: Mapping[str, Any]) -> list[tuple[NumberedCall, Request]]:
        """Take the row of one of its calls; the calls to be made next.

        After a failed call the sample has failed, once the other calls in flight have returned.
        """
        index = int(row["call_index"])
        item = self._pending.pop(index)
        if item.call.shared and row["finish_reason"] in ENDED:
            self._shared[index] = {name: row[name] for name in REPLIED}
        if row["request_hash"] != item.request_hash:  # made for another sample that waits for it
            self._fault = _DIFFERS.format(index)
        self._keep(index, row)
        if row["finish_reason"] not in ENDED and self._fault is None:
            self._fault = f"call {index} ({row['role']}): {row['error'] or row['finish_reason']}"
        if self._pending:
            return []
        if self._fault is not None:
            self._fail(self._fault)
            return []
        return self._advance([self._replies[i] for i in sorted(self._replies)])

    def drop(self, index: int) -> None:
        """Forget a call that has not been made, after another one of the sample failed."""
        del self._pending[index]
        if not self._pending and self._fault is not None:
            self._fail(self._fault)

    def holder(self, item: NumberedCall) -> Sample:
        """What a call is banked under: the sample, or what all samples of its context share."""
        return (self.sample.owner if item.call.shared else None) or self.sample

    @property
    def is_failing(self) -> bool:
        """Whether a call has failed, so that no further one need be made."""
        return self._fault is not None

    def _keep(self, index: int, row: Mapping[str, Any]) -> None:
        self._attempts[index] = int(row["attempt"])
        self._finishes[index] = str(row["finish_reason"])
        self._output_tokens += row["output_tokens"] or 0
        self._replies[index] = _reply(row)

    def _advance(self, sent: list[Reply] | None) -> list[tuple[NumberedCall, Request]]:
        """Resume the method until it asks for a call that is not banked, or returns."""
        limit: LimitReached | None = None
        while not self.is_over:
            try:
                if limit is not None:
                    got = self._steps.throw(limit)
                else:
                    got = next(self._steps) if sent is None else self._steps.send(sent)
                limit = None
                if isinstance(got, Answer):
                    sent = []
                    limit = self._note(got)
                    continue
                asked = self._numbered(got)
                todo, limit = self._requests(asked)
            except StopIteration as stop:
                self._finish(stop.value)
                return []
            except LimitReached as reached:
                if reached.reason not in LIMITS:
                    self._fail(_raised(self._method.name, reached))
                    return []
                self._finish(None, reason=reached.reason, error=str(reached))
                return []
            except Exception as error:  # whatever a method does wrong, the others go on
                self._fail(_raised(self._method.name, error))
                return []
            if limit is not None:
                continue
            if not self._fits_bank(asked):
                self._close()
                self._begin()
                return self._advance(None)
            if self._make(asked, todo):
                return todo
            sent = [self._replies[i] for i in sorted(self._replies)]
        return []

    def _note(self, answer: Answer) -> LimitReached | None:
        """Keep an answer at a smaller budget."""
        self._add(answer, is_final=False)
        if len(self.rows) > 10 * self._method.most_calls:
            return LimitReached("call_limit", f"the method gave {len(self.rows)} answers")
        return None

    def _numbered(self, got: Sequence[Call]) -> list[NumberedCall]:
        """The calls of the next wave with their numbers.

        Raises:
            TypeError, ValueError: the method does not keep to its interface.
        """
        first = len(self._attempts)
        calls = [_judged_call(call, first, self._partners) for call in got]
        if not calls:
            raise ValueError("it asked for no calls")
        self._check_sharing(calls)
        return [
            numbered(first + i, self._wave + 1, call, self._parent_holder(call))
            for i, call in enumerate(calls)
        ]

    def _check_sharing(self, calls: Sequence[Call]) -> None:
        """Refuse shared calls that cannot be the same for all questions about a context.

        Raises:
            ValueError: says why not.
        """
        if not any(call.shared for call in calls):
            return
        if self.sample.owner is None:
            raise ValueError("a call is shared, and the problem has no context to share it with")
        if not all(call.shared for call in calls) or self._n_shared < len(self._attempts):
            raise ValueError("a call is shared after one that is not, or together with it")

    def _parent_holder(self, call: Call) -> str | None:
        """What holds the call that one builds on, if that is shared; None otherwise."""
        owner = self.sample.owner
        is_shared = call.parent is not None and call.parent < self._n_shared
        return owner.sample_id if owner is not None and is_shared else None

    def _completed(self, item: NumberedCall) -> Mapping[str, Any] | None:
        """The row of a call that need not be made, its own or a shared one."""
        return (self._shared if item.call.shared else self._banked).get(item.index)

    def _requests(
        self, asked: list[NumberedCall]
    ) -> tuple[list[tuple[NumberedCall, Request]], LimitReached | None]:
        """The requests of a wave that are not banked, or why the wave must not be made."""
        if len(self._attempts) + len(asked) > self._method.most_calls:
            what = f"the method asked for more than {self._method.most_calls} calls"
            return [], LimitReached("call_limit", what)
        if self._output_tokens >= MOST_TOKENS:
            what = f"the calls of the sample have generated {self._output_tokens} tokens"
            return [], LimitReached("token_limit", what)
        todo: list[tuple[NumberedCall, Request]] = []
        for item in asked:
            if self._completed(item) is not None:
                continue
            request = method_request(self.holder(item), item, per_request_seed=self._seeded)
            room = self._room(request)
            if room is not None and room < 1:
                what = f"the prompt of call {item.index} ({item.call.role}) exceeds the context"
                return [], LimitReached("context_limit", what)
            if room is not None and room < request.max_tokens:
                request = replace(request, max_tokens=room)
            todo.append((item, request))
        return todo, None

    def _fits_bank(self, asked: list[NumberedCall]) -> bool:
        """Whether the banked calls of a wave are those that the method asks; else forget all."""
        for item in asked:
            row = self._completed(item)
            if row is not None and row["request_hash"] != item.request_hash:
                if item.call.shared and row["attempt"] == self._attempt:
                    raise ValueError(_DIFFERS.format(item.index))
                self.restarted = (
                    f"sample {self.sample.sample_id} is started again: call {item.index} of method "
                    f"{self._method.name} is not the one that is banked"
                )
                self._banked = {}
                if item.call.shared:
                    self._shared.clear()
                return False
        return True

    def _make(self, asked: list[NumberedCall], todo: list[tuple[NumberedCall, Request]]) -> bool:
        """Begin a wave: take what is banked of it; whether something is left to be made."""
        self._wave += 1
        self._replies = {}
        self._attempts += [self._attempt] * len(asked)
        self._finishes += [""] * len(asked)
        self._pending = {item.index: item for item, _ in todo}
        self._n_shared += sum(item.call.shared for item in asked)
        for item in asked:
            row = self._completed(item)
            if row is not None:
                self._keep(item.index, row)
        return bool(todo)

    def _finish(
        self, answer: Answer | None, *, reason: str | None = None, error: str | None = None
    ) -> None:
        """The method has returned, or must not go on: its last answer is the sample's."""
        if answer is None and not self.rows and reason is None:
            self._fail(f"method {self._method.name} returned without an answer")
            return
        if answer is None and self.rows:
            self.rows[-1] |= {
                "is_final": True,
                "call_attempts": list(self._attempts),
                "finish_reason": reason or self.rows[-1]["finish_reason"],
                "error": None if error is None else _storable(error),
            }
        else:
            try:
                self._add(answer, is_final=True, reason=reason, error=error)
            except (TypeError, ValueError) as fault:
                self._fail(_raised(self._method.name, fault))
                return
        self.is_over = True

    def _fail(self, what: str) -> None:
        """The sample has failed: it stays missing, and says why."""
        self._close()
        self.rows = []
        self._add(None, is_final=True, reason="error", error=what)
        self.is_over = self.has_failed = True

    def _close(self) -> None:
        """End the method; one that objects to being ended has ended, too."""
        with suppress(Exception):
            self._steps.close()

    def _add(
        self,
        answer: Answer | None,
        *,
        is_final: bool,
        reason: str | None = None,
        error: str | None = None,
    ) -> None:
        if answer is not None:
            answer = _judged_answer(answer)
        made = len(self._attempts)
        used = sorted(set(range(made) if answer is None or answer.calls is None else answer.calls))
        if answer is not None:
            _check_calls(answer, used, made, self._n_shared)
        cuts = {} if answer is None or answer.cuts is None else answer.cuts
        ended = None if answer is None else self._ending(answer)
        sample, owner = self.sample, self.sample.owner
        self.rows.append(
            {
                "sample_id": sample.sample_id,
                "point_id": sample.point.point_id,
                "problem_id": sample.asked.problem.problem_id,
                "attempt": self._attempt,
                "sample_index": sample.sample_index,
                "task": sample.point.task.name,
                "method": self._method.name,
                "answer_index": len(self.rows),
                "is_final": is_final,
                "budget": None if answer is None else answer.budget,
                "budget_unit": self._method.unit or None,
                "answer_text": None if answer is None else _storable(answer.text),
                "finish_reason": reason or ended or "stop",
                "error": None if error is None else _storable(error),
                "answer_call_index": None if answer is None else answer.call,
                "call_attempts": list(self._attempts),
                "used_calls": used,
                "used_tokens": [cuts.get(index) for index in used],
                "shared_id": owner.sample_id if owner is not None and self._n_shared else None,
                "n_shared_calls": self._n_shared or None,
            }
        )

    def _ending(self, answer: Answer) -> str:
        if answer.is_whole is not None:
            return "stop" if answer.is_whole else "length"
        return self._finishes[answer.call]


def _reply(row: Mapping[str, Any]) -> Reply:
    """A row of raw_generations as a method sees it, the same whether generated or banked."""
    tokens, choices = row["output_token_ids"], row["choice_logprobs"]
    scores = row["step_scores"]
    return Reply(
        index=int(row["call_index"]),
        text=row["output_text"] or "",
        token_ids=None if tokens is None else tuple(int(token) for token in tokens),
        finish_reason=str(row["finish_reason"]),
        stop_text=row["stop_reason"],
        output_tokens=row["output_tokens"],
        logprob_sum=row["logprob_sum"],
        choice_logprobs=None if choices is None else tuple(choices),
        step_scores=None if scores is None else tuple(scores),
    )


def _judged_call(value: object, first: int, partners: Collection[str]) -> Call:
    """A call whose fields are valid, which builds on an earlier one and asks a known partner.

    Raises:
        TypeError, ValueError: what is wrong with it.
    """
    call = judged(value)
    if not isinstance(call, Call):
        raise TypeError("it asked for an answer among calls")
    if call.parent is not None and call.parent >= first:
        raise ValueError(f"call {call.parent} is not an earlier call")
    if call.partner is not None and call.partner not in partners:
        raise ValueError(f"it asked the partner {call.partner!r}, which it does not declare")
    return call


def _judged_answer(value: object) -> Answer:
    """An answer whose fields are valid.

    Raises:
        TypeError, ValueError: what is wrong with it.
    """
    answer = judged(value)
    if not isinstance(answer, Answer):
        raise TypeError("it answered with a call")
    return answer


def _started(method: Method, sample: Sample) -> Steps:
    """The method's steps; whatever its `run` does wrong shows at the first one."""
    yielded = yield from method.run(asked_of_method(sample))
    return yielded


def _check_calls(answer: Answer, used: Sequence[int], made: int, shared: int) -> None:
    """Refuse an answer that needs calls that were not made, or the beginning of a shared one.

    Raises:
        ValueError: it does.
    """
    if answer.call >= made:
        raise ValueError(f"the answer is in call {answer.call}, which was not made")
    if used and used[-1] >= made:
        raise ValueError("the answer needed calls that were not made")
    if any(index < shared for index in answer.cuts or ()):
        raise ValueError("the answer needed the beginning of a shared call, whose cost is shared")


def _storable(text: str) -> str:
    """Halves of surrogate pairs, which no file can hold, as replacement characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _raised(name: str, error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    place = f" (line {frames[-1].lineno} of {frames[-1].name})" if frames else ""
    said = " ".join(str(error).split())[:500]
    return f"method {name} raised {type(error).__name__}: {said}{place}"
