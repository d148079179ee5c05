"""HTTP for server engines: one bounded exchange, and the meaning of its failures.

Lives here: `Limits` (deadline, silence and size of one exchange), `Client` (standard library, no
redirects) and the ways in which an exchange fails. Not here: retries (``breaker``, ``openai``) and
the content of the answer (``openai_stream``).

A socket timeout bounds only one read; a server that sends a byte now and then would hold a request
forever. So every read of a response, headers included, gets what is left of the exchange's own
limits.
"""

from __future__ import annotations

import functools
import http.client
import io
import json
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from isocost.credentials import redacted
from isocost.engines.breaker import retry_after

CONNECT_S = 30.0
_AWAY = frozenset((408, 425, 429, 502, 503, 504, *range(520, 525), 529, 530))
"""Includes the codes of gateways whose upstream is down, slow or overloaded (520 to 530)."""
_COME_AGAIN = frozenset((408, 425, 429, 503, 529))
_NO_LONGER = frozenset((401, 402))
_SHOWN_BYTES = 20_000


class ExchangeFailed(Exception):
    """An exchange gave no complete answer; the reason is the message."""


class Away(ExchangeFailed):
    """The server is unreachable, or temporarily accepts no requests."""

    def __init__(
        self, reason: str, *, code: int | None = None, wait_s: float | None = None
    ) -> None:
        """`code` is the HTTP status, if any; `wait_s` is the pause that the server requested."""
        super().__init__(reason)
        self.wait_s = wait_s
        self.is_busy = code == 429
        self.is_told = code in _COME_AGAIN

    is_busy: bool
    """It answers other requests: too many requests."""
    is_told: bool
    """The server itself invites a retry, so the request is not at fault."""


class Broken(ExchangeFailed):
    """The exchange started and broke off, or the answer cannot be parsed.

    Worth retrying, but not forever.
    """


class Refused(ExchangeFailed):
    """The server rejects this request."""

    def __init__(self, reason: str, *, code: int, remedy: str = "") -> None:
        """`code` is the HTTP status."""
        super().__init__(reason)
        self.code, self.remedy = code, remedy


class Shut(Refused):
    """The server accepts no further requests with this key.

    Every further request would end in the same way.
    """


class DeadlineExceeded(ExchangeFailed):
    """The exchange exceeded its deadline."""


class TooLong(ExchangeFailed):
    """More bytes arrived than the answer can need."""


@dataclass
class Limits:
    """Limits of one exchange.

    Attributes:
        timeout_s: maximum silence: seconds without a part of the answer.
        deadline_s: seconds for the whole exchange.
        most_bytes: maximum response size, including headers.
        began: monotonic seconds.
        heard: last sign of life, monotonic seconds; set by `piece`. Other bytes (comments, partial
            lines) do not count.
        received: bytes so far.
    """

    timeout_s: float
    deadline_s: float
    most_bytes: int
    began: float = field(default_factory=time.monotonic)
    heard: float = 0.0
    received: int = 0

    def __post_init__(self) -> None:
        """Silence counts from the start."""
        self.heard = self.began

    def piece(self) -> None:
        """A part of the answer arrived."""
        self.heard = time.monotonic()

    def left(self) -> float:
        """Seconds that the next read may take.

        Raises:
            DeadlineExceeded: the deadline has passed.
            TimeoutError: the maximum silence has passed.
        """
        now = time.monotonic()
        if now - self.began >= self.deadline_s:
            raise DeadlineExceeded(
                f"the answer was not complete after {self.deadline_s:g} s (deadline_s)"
            )
        if now - self.heard >= self.timeout_s:
            raise TimeoutError(
                f"no part of the answer arrived for {self.timeout_s:g} s (timeout_s)"
            )
        return min(self.began + self.deadline_s, self.heard + self.timeout_s) - now

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


class _Wire(io.RawIOBase):
    """The reading end of a socket, with limits."""

    def __init__(self, stream: Any, sock: socket.socket, limits: Limits) -> None:
        self._stream, self._sock, self._limits = stream, sock, limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(max(self._limits.left(), 0.001))
        try:
            number = self._stream.raw.readinto(buffer)
        except TimeoutError:
            self._limits.left()  # states which limit it was
            raise
        self._limits.count(number or 0)
        return number

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, limits: Limits, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_Wire(self.fp, sock, limits))


class _Connection(http.client.HTTPConnection):
    """A connection whose responses respect the limits."""

    def __init__(self, host: str, *, limits: Limits, **named: Any) -> None:
        super().__init__(host, **named)
        self._limits = limits
        # http.client only calls it; its stubs ask for a class.
        made = functools.partial(_Response, limits=limits)
        self.response_class = made  # pyright: ignore[reportAttributeAccessIssue]

    def connect(self) -> None:
        self.timeout = max(min(CONNECT_S, self._limits.left()), 0.001)
        super().connect()
        self.sock.settimeout(max(self._limits.left(), 0.001))


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Request(urllib.request.Request):
    """A request that carries its limits to the handlers below."""

    def __init__(
        self, url: str, *, data: bytes | None, headers: dict[str, str], limits: Limits
    ) -> None:
        super().__init__(url, data=data, headers=headers)
        self.limits = limits


def _limits(request: urllib.request.Request) -> Limits:
    assert isinstance(request, _Request), "`Client.exchange` opens nothing else"
    return request.limits


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_Connection, limits=_limits(req)), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._trusted = context

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(
            functools.partial(_SecureConnection, limits=_limits(req)), req, context=self._trusted
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirects.

    A key must not be sent anywhere but where the sweep says, and a redirected POST would lose its
    body.
    """

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


class Client:
    """Send requests. Proxies are those of the environment."""

    def __init__(self) -> None:
        """Load the trusted certificates; connect to nothing."""
        self._opener = urllib.request.build_opener(
            _Http, _Https(ssl.create_default_context()), _NoRedirect
        )

    @contextmanager
    def exchange(
        self, url: str, body: Mapping[str, Any] | None, *, key: str | None, limits: Limits
    ) -> Iterator[http.client.HTTPResponse]:
        """One request and its response, closed at the end; a POST if there is a body.

        Args:
            url: address and path.
            body: sent as JSON; None for a GET.
            key: sent as a bearer token; not sent if empty.
            limits: of the exchange, reading included.

        Raises:
            ExchangeFailed: by its kind, also while the block reads.
        """
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        data = None if body is None else json.dumps(body).encode()
        request = _Request(url, data=data, headers=headers, limits=limits)
        try:
            response = self._opener.open(request, timeout=min(CONNECT_S, limits.timeout_s))
        except urllib.error.HTTPError as error:
            raise _refusal(error, key) from None
        except urllib.error.URLError as error:
            raise Away(_why(error.reason)) from None
        except (
            OSError
        ) as error:  # the connection was closed, or nothing arrived, before there was a status
            raise Away(_why(error)) from None
        except (http.client.HTTPException, ValueError) as error:
            raise Broken(f"the response is not valid HTTP ({_why(error)})") from None
        with response:
            try:
                yield response
            except (OSError, http.client.HTTPException) as error:
                raise Broken(f"the answer broke off ({_why(error)})") from None


def _refusal(error: urllib.error.HTTPError, key: str | None) -> ExchangeFailed:
    """The exception for an error status."""
    try:
        with error:
            said = told_by(error.read(_SHOWN_BYTES).decode("utf-8", "replace"), key)
    except (OSError, http.client.HTTPException, ExchangeFailed):
        said = ""
    told = f"HTTP {error.code}: {said or error.reason}"
    if error.code in _AWAY:
        return Away(told, code=error.code, wait_s=retry_after(error.headers.get("Retry-After")))
    if error.code == 409 or error.code >= 500:
        return Broken(told)
    if error.code in _NO_LONGER:
        return Shut(told, code=error.code)
    if 300 <= error.code < 400:
        target = str(error.headers.get("Location") or "elsewhere").partition("?")[0][:200]
        told = f"HTTP {error.code}: the server redirects to {target}, which is not followed"
        return Refused(
            told, code=error.code, remedy="Give the right address in engine.options.base_url."
        )
    return Refused(told, code=error.code)


def _why(error: object) -> str:
    """A short reason for a failed connection."""
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)[:200]


def told_by(body: str, key: str | None = None) -> str:
    """The message of an error response, in one line.

    The message of OpenAI's error object if there is one, otherwise its text without markup.

    Args:
        body: of the response.
        key: redacted before the line is cut, so that no part of it remains.
    """
    try:
        told = json.loads(body)
        told = told.get("error", told) if isinstance(told, dict) else told
        body = (
            str(told.get("message") or told.get("detail") or told)
            if isinstance(told, dict)
            else str(told)
        )
    except (ValueError, RecursionError):
        body = re.sub(
            r"<(style|script).*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL | re.IGNORECASE
        )
    return redacted(" ".join(body.split()), [key] if key else ())[:300]
