"""How long and how often a server is waited for.

Lives here: `RequestLimits` (as set in a sweep) and `Limits` (of one exchange under way). Not here:
what is done when a limit is exceeded (``openai_http``), and an unreachable server (``breaker``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from isocost.engines.openai_faults import DeadlineExceeded, TooLong

CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long and how often a request is waited for; the options of these names.

    Attributes:
        connect_s: seconds to connect.
        first_token_s: seconds until the first token; None: no limit but `timeout_s`.
        timeout_s: maximum silence.
        deadline_s: seconds for the whole exchange.
        retries: failures of one request that are tolerated.
    """

    connect_s: float = CONNECT_S
    first_token_s: float | None = None
    timeout_s: float = 600.0
    deadline_s: float = 3600.0
    retries: int = 3


@dataclass
class Limits:
    """Limits of one exchange.

    Attributes:
        timeout_s: maximum silence: seconds without a part of the answer.
        deadline_s: seconds for the whole exchange.
        most_bytes: maximum response size, without headers.
        connect_s: seconds to connect.
        first_token_s: seconds until the first token, which `timeout_s` does not bound then; None:
            no limit but `timeout_s`.
        began: monotonic seconds.
        heard: last sign of life, monotonic seconds; set by `piece`. Other bytes (comments, partial
            lines) do not count.
        has_token: whether the first token has arrived.
        received: bytes so far.
    """

    timeout_s: float
    deadline_s: float
    most_bytes: int
    connect_s: float = CONNECT_S
    first_token_s: float | None = None
    began: float = field(default_factory=time.monotonic)
    heard: float = 0.0
    has_token: bool = False
    received: int = 0

    def __post_init__(self) -> None:
        """Silence counts from the start."""
        self.heard = self.began

    def piece(self, *, is_token: bool = True) -> None:
        """A part of the answer arrived."""
        self.heard = time.monotonic()
        self.has_token = self.has_token or is_token

    def left(self) -> float:
        """Seconds until the first limit is exceeded."""
        return min(moment for moment, _ in self._ends()) - time.monotonic()

    def exceeded(self) -> Exception:
        """The limit that is exceeded first: `DeadlineExceeded`, or TimeoutError for a silence."""
        return min(self._ends(), key=lambda end: end[0])[1]

    def count(self, number: int) -> None:
        """Count received bytes.

        Raises:
            TooLong: there are too many.
        """
        self.received += number
        if self.received > self.most_bytes:
            raise TooLong(
                f"the server sent more than {self.most_bytes:,} bytes, more than the answer can "
                f"need"
            )

    def _ends(self) -> list[tuple[float, Exception]]:
        whole = DeadlineExceeded(
            f"the answer was not complete after {self.deadline_s:g} s (deadline_s)"
        )
        if self.first_token_s is not None and not self.has_token:
            until = self.began + self.first_token_s
            silent = TimeoutError(
                f"no token arrived within {self.first_token_s:g} s (first_token_s)"
            )
        else:
            until = self.heard + self.timeout_s
            silent = TimeoutError(
                f"no part of the answer arrived for {self.timeout_s:g} s (timeout_s)"
            )
        return [(self.began + self.deadline_s, whole), (until, silent)]
