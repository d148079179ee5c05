"""A circuit breaker with backoff and patience, shared by all requests in flight.

Lives here: `Breaker`, the backoff and the parsing of ``Retry-After``. Not here: which failures
count as unreachable (``openai_faults``), and the requests.

While the server answers, the circuit is closed and requests pass. The first that finds it
unreachable opens the circuit: from then on one request at a time is let through as a probe, at
growing intervals with jitter (Brooker 2015, "Exponential Backoff And Jitter"), while the others
wait. When an answer starts to arrive, the next one may try, and the first complete answer closes
the circuit. If the server is unreachable for longer than the patience, all requests are given up.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from isocost.retry_after import LONGEST_RETRY_AFTER_S

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0


class GivenUp(Exception):
    """The request was not answered and will not be.

    Patience ran out, or the engine was closed. This is not an error of the request.
    """


class Turn:
    """One request that was let through.

    It reports here what it learns about the server; a probe that learns nothing makes room at the
    end.

    Attributes:
        sent_s: when it was let through, monotonic seconds.
        is_probe: whether the others wait for its result.
        is_trial: whether it was let through while the server was unreachable.
        is_answering: whether its answer has started to arrive.
    """

    def __init__(self, breaker: Breaker, sent_s: float, *, is_probe: bool) -> None:
        self._breaker, self.sent_s, self.is_probe, self.is_answering = (
            breaker,
            sent_s,
            is_probe,
            False,
        )
        self.is_trial = is_probe

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self._breaker.end(self)

    def answered(self, *, is_whole: bool = False) -> None:
        """The server answers, so it is reachable.

        Call again with `is_whole` when everything arrived.
        """
        self._breaker.note_answer(self, is_whole=is_whole)

    def away(self, reason: str, wait_s: float | None = None) -> None:
        """The server was found unreachable.

        `wait_s` is the pause it requested. Only a trial makes the next wait longer.
        """
        self._breaker.note_outage(self, reason, wait_s)

    def busy(self, reason: str) -> None:
        """The server is reachable but overloaded (429).

        The others may continue, but patience runs.
        """
        self._breaker.note_overload(self, reason)


class Breaker:
    """Shared by all requests of one engine; every method may be called from any thread.

    Requests wait in coroutines, of whichever event loop.

    Attributes:
        patience_s: seconds without an answer after which requests are given up.
    """

    def __init__(
        self,
        patience_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Start closed.

        Args:
            patience_s: see the attribute.
            clock: monotonic clock.
            jitter: draws from [0, 1).
        """
        self.patience_s, self._clock, self._jitter = patience_s, clock, jitter
        self._lock = threading.RLock()
        self._waiting: list[asyncio.Future[None]] = []
        self._since: float | None = None
        self._reason = ""
        self._is_open = self._has_probe = False
        self._failures = self._answering = 0
        self._next_probe = 0.0
        self._answered_sent = -float("inf")
        self._given_up: str | None = None
        self._notes: list[str] = []

    async def admit(self) -> Turn:
        """Wait until a request may be sent.

        Returns:
            The request's turn, a context within which it is sent and answered.

        Raises:
            GivenUp: patience ran out, or the engine was closed.
        """
        while True:
            with self._lock:
                if self._given_up is not None:
                    raise GivenUp(self._given_up)
                if not self._is_open:
                    return Turn(self, self._clock(), is_probe=False)
                wait = self._next_probe - self._clock()
                if wait <= 0 and not self._has_probe:
                    self._has_probe = True
                    return Turn(self, self._clock(), is_probe=True)
                seconds = None if self._has_probe else wait
                changed = self._change()
            await asyncio.wait([changed], timeout=seconds)

    def note_answer(self, turn: Turn, *, is_whole: bool) -> None:
        """A turn reports an answer; see `Turn.answered`."""
        with self._lock:
            self._answering += not turn.is_answering
            turn.is_answering = True
            now = self._clock()
            if is_whole:
                self._answered_sent = max(self._answered_sent, turn.sent_s)
            if self._is_open and is_whole and turn.is_trial:
                self._notes.append(f"the server is back after {now - (self._since or now):.0f} s")
                self._is_open, self._failures = False, 0
            if not self._is_open:
                self._since = None
            elif is_whole:
                # Sent before the outage: no proof that new requests are accepted, but something is
                # working.
                self._since = now
            elif turn.is_probe:
                # An answer that has started may still break off; meanwhile the next request may
                # try, too.
                self._next_probe = now
            self._release(turn)

    def note_outage(self, turn: Turn, reason: str, wait_s: float | None) -> None:
        """A turn reports that the server is unreachable; see `Turn.away`."""
        with self._lock:
            now = self._clock()
            self._since = now if self._since is None else self._since
            self._reason = reason
            if not self._is_open:
                self._is_open, self._failures = True, 0
                self._notes.append(
                    f"the server is unreachable ({reason}); waiting at most {self.patience_s:.0f} s"
                )
                self._next_probe = now + self._wait(wait_s)
            elif turn.is_trial:
                self._failures += 1
                self._next_probe = now + self._wait(wait_s)
            self._release(turn)

    def note_overload(self, turn: Turn, reason: str) -> None:
        """A turn reports that the server is overloaded; see `Turn.busy`."""
        with self._lock:
            self._since = self._clock() if self._since is None else self._since
            self._reason = reason
            self._is_open = self._is_open and not turn.is_probe
            self._release(turn)

    def end(self, turn: Turn) -> None:
        """A turn is over; see `Turn`."""
        with self._lock:
            self._answering -= turn.is_answering
            turn.is_answering = False
            self._release(turn)

    def _release(self, turn: Turn) -> None:
        with self._lock:
            self._has_probe = self._has_probe and not turn.is_probe
            turn.is_probe = False
            self._announce()

    def _change(self) -> asyncio.Future[None]:
        """Done at the next change of anything that a waiting request depends on."""
        found = asyncio.get_running_loop().create_future()
        self._waiting.append(found)
        return found

    def _announce(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for changed in waiting:
            with suppress(RuntimeError):  # its event loop has ended
                changed.get_loop().call_soon_threadsafe(_settle, changed)

    async def pause(self, seconds: float) -> None:
        """Wait before a request is sent again, not longer than the patience.

        A server that answers other requests meanwhile could otherwise hold one for as long as it
        asks to.

        Raises:
            GivenUp: as `admit`.
        """
        until = self._clock() + min(seconds, self.patience_s)
        while True:
            with self._lock:
                if self._given_up is not None:
                    raise GivenUp(self._given_up)
                if (left := until - self._clock()) <= 0:
                    return
                changed = self._change()
            await asyncio.wait([changed], timeout=left)

    def give_up(self, reason: str) -> None:
        """Give up every waiting and every later request.

        The first reason is kept.
        """
        with self._lock:
            self._given_up = self._given_up if self._given_up is not None else reason
            self._announce()

    def given_up(self) -> str | None:
        """Why requests are given up.

        None while they are not, or while answers still arrive. Checks whether patience has run out.
        """
        with self._lock:
            if (
                self._given_up is None
                and self._since is not None
                and self._clock() - self._since > self.patience_s
            ):
                self.give_up(
                    f"the server has not answered for {self._clock() - self._since:.0f} s"
                    f" ({self._reason})"
                )
            return None if self._answering else self._given_up

    def is_open(self) -> bool:
        """Whether the server was found unreachable and has not answered completely since."""
        with self._lock:
            return self._is_open

    def answered_since(self, moment_s: float) -> bool:
        """Whether a request sent after a time (monotonic seconds) was answered completely."""
        with self._lock:
            return self._answered_sent > moment_s

    def drain_notes(self) -> list[str]:
        """Lines about outages and recoveries since the last call."""
        with self._lock:
            notes, self._notes = self._notes, []
            return notes

    def _wait(self, wait_s: float | None) -> float:
        return max(backoff(self._failures, self._jitter), min(wait_s or 0.0, LONGEST_RETRY_AFTER_S))


def _settle(changed: asyncio.Future[None]) -> None:
    if not changed.done():
        changed.set_result(None)


def backoff(failures: int, jitter: Callable[[], float] = random.random) -> float:
    """Seconds to wait after a number of failures.

    Doubling from half a second to fifteen, with the upper half randomised.
    """
    return min(FIRST_WAIT_S * 2.0 ** min(failures, 20), LONGEST_WAIT_S) * (0.5 + 0.5 * jitter())
