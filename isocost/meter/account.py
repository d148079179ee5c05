"""What one sample may spend, and the calls that it has made.

Lives here: `Account`, which the gateway writes from its thread and the loop reads once the client
has ended, and `Accounts`, which knows them by their tokens. Not here: what was asked and answered
(``exchange``), the gateway itself.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass

from isocost.meter.exchange import Asked, BadRequest, Exchange

CALL_LIMIT, TOKEN_LIMIT = "call_limit", "token_limit"
_QUIET_S = 5.0
"""How long the end of a client's connections is waited for."""


@dataclass(frozen=True)
class Limits:
    """What one sample may spend.

    Attributes:
        calls: calls at most; each choice of a request is one.
        tokens: generated tokens, after which no further call is made.
    """

    calls: int
    tokens: int


class Account:
    """The calls of one sample.

    Attributes:
        token: the secret part of its address.
        limits: what it may spend.
        exchanges: its requests in the order of their arrival.
        refused: why requests were not passed on, in order.
        limit: the limit that was reached first; None if none was.
        limit_since_s: when it was reached, monotonic seconds.
    """

    def __init__(self, limits: Limits) -> None:
        self.token = secrets.token_urlsafe(24)
        self.limits = limits
        self.exchanges: list[Exchange] = []
        self.refused: list[str] = []
        self.limit: str | None = None
        self.limit_since_s: float | None = None
        self._calls = self._tokens = self._open = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def begin(self, asked: Asked) -> Exchange:
        """A request is about to be passed on.

        Raises:
            BadRequest: the sample must not make it.
        """
        with self._changed:
            if self._is_closed:
                raise BadRequest("this sample has ended", 410)
            if self._calls + asked.choices > self.limits.calls:
                self._reach(CALL_LIMIT)
                raise BadRequest(f"the sample has made its {self.limits.calls} calls", 403)
            if self._tokens >= self.limits.tokens:
                self._reach(TOKEN_LIMIT)
                what = f"the sample has generated {self._tokens} of {self.limits.tokens} tokens"
                raise BadRequest(what, 403)
            self._calls += asked.choices
            self._open += 1
            exchange = Exchange(asked)
            self.exchanges.append(exchange)
            return exchange

    def _reach(self, limit: str) -> None:
        if self.limit is None:
            self.limit, self.limit_since_s = limit, time.monotonic()

    def refuse(self, reason: str) -> None:
        """A request was not passed on."""
        with self._changed:
            if len(self.refused) < 100:
                self.refused.append(reason)

    def ended(self, tokens: int | None) -> None:
        """A request that had begun is over, and has generated so many tokens as far as is known."""
        with self._changed:
            self._open -= 1
            self._tokens += tokens or 0
            self._changed.notify_all()

    def silent_s(self, now: float) -> float:
        """For how long the server has sent nothing although it was asked; 0 if nothing is open."""
        with self._changed:
            waits = [
                now - (e.pieces[-1][0] if e.pieces else e.queued_s)
                for e in self.exchanges
                if e.ended_s is None
            ]
        return max(waits, default=0.0)

    def close(self) -> list[Exchange]:
        """Take no more requests; all of them, each of which has ended."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: self._open == 0, _QUIET_S)
            for exchange in self.exchanges:
                exchange.end("the client did not wait for the answer", is_broken_off=True)
            return list(self.exchanges)


class Accounts:
    """The samples under way, by token."""

    def __init__(self) -> None:
        self._open: dict[str, Account] = {}
        self._lock = threading.Lock()

    def open(self, limits: Limits) -> Account:
        """An account with an address of its own."""
        account = Account(limits)
        with self._lock:
            self._open[account.token] = account
        return account

    def get(self, token: str) -> Account | None:
        """The account with a token; None if there is none or its sample has ended."""
        with self._lock:
            return self._open.get(token)

    def close(self, account: Account) -> list[Exchange]:
        """End a sample: its address is unknown from now on; its requests."""
        with self._lock:
            self._open.pop(account.token, None)
        return account.close()
