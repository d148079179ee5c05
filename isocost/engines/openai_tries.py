"""When a request to a server is sent again, and when it is itself at fault.

Lives here: `Tries`, the record of one request. Not here: whether the server is reachable
(``breaker``), and the loop (``openai_calls``).
"""

from __future__ import annotations

import time

from isocost.engines.breaker import Breaker, backoff
from isocost.engines.openai_faults import Away, Broken, ExchangeFailed
from isocost.engines.openai_stream import Unusable


class Tries:
    """How often one request was sent, and whether it is itself at fault.

    An unreachable server is not a request's fault. But if other requests were answered since a
    request found the server unreachable, and it finds the server unreachable again, it may be the
    one that crashes it: that counts, as does an answer that broke off.
    """

    def __init__(self, most: int, breaker: Breaker) -> None:
        """`most` failures are tolerated."""
        self.number = 0
        self._most, self._breaker = most, breaker
        self._counted = self._unlucky = 0
        self._away_s: float | None = None
        self._invited_s: float | None = None

    def away(self, error: Away) -> float:
        """The server was unreachable.

        Returns seconds to wait in addition to the breaker's, or the error if the request is at
        fault.
        """
        self.number += 1
        now = time.monotonic()
        if error.invites_retry:
            self._unlucky += 1
            self._invited_s = now if self._invited_s is None else self._invited_s
            if now - self._invited_s > self._breaker.patience_s and self._breaker.answered_since(
                self._invited_s
            ):
                raise error
            return max(backoff(self._unlucky - 1), error.wait_s or 0.0) if error.is_busy else 0.0
        self._blame(error, now)
        return 0.0

    def failed(self, error: Exception, *, is_outage: bool) -> float:
        """The answer broke off or is invalid: seconds to wait, or the error if out of retries.

        Args:
            error: what happened.
            is_outage: whether the server is known to be unreachable; an answer that breaks off then
                is part of that.
        """
        if isinstance(error, Unusable) and not error.may_pass:
            raise error
        self.number += 1
        if is_outage:
            self._blame(error, time.monotonic())
            return 0.0
        self._count(error)
        return backoff(self._counted - 1)

    def _blame(self, error: Exception, now: float) -> None:
        if self._away_s is not None and self._breaker.answered_since(self._away_s):
            self._count(error)
        self._away_s = now

    def _count(self, error: Exception) -> None:
        self._counted += 1
        if self._counted > self._most:
            self.number -= 1  # it is not sent again
            raise Broken(
                str(error)
                if isinstance(error, ExchangeFailed | Unusable)
                else f"the answer cannot be parsed: {error}"
            ) from None
