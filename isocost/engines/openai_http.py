"""HTTP for server engines: bounded exchanges over a pool of connections.

Lives here: `Client` (aiohttp, no redirects, proxies of the environment) and `fetched` (one exchange
outside an event loop). Not here: their limits (``openai_limits``), how they fail
(``openai_faults``), retries (``breaker``, ``openai_calls``) and the content of the answer
(``openai_stream``). Why aiohttp: docs/decisions/0020-http-client.md.

A timeout of a library bounds only one read; a server that sends a byte now and then would hold a
request forever. So one timer covers the whole exchange, headers included, and is moved only when a
part of the answer has arrived.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.resolver import ThreadedResolver
from anyio.from_thread import start_blocking_portal

from isocost.engines.openai_faults import Away, Broken, DeadlineExceeded, status_fault
from isocost.engines.openai_limits import Limits

_SHOWN_BYTES, _SHOWN_S = 20_000, 5.0
_IDLE_S = 2.0
"""Connections are closed after this time without use: many servers close them after five seconds,
and a request that is sent at that moment would be lost."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REST_S = 0.2
"""How long the end of a response may take after its last event; otherwise the connection is closed
and not used again."""


class Response:
    """A response that is being read, within the limits of its exchange."""

    def __init__(self, found: aiohttp.ClientResponse, limits: Limits):
        self._found, self._limits = found, limits

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes as they come."""
        while piece := await self._found.content.readany():
            self._limits.count(len(piece))
            yield piece

    async def read(self) -> bytes:
        """All of its bytes."""
        return b"".join([piece async for piece in self.pieces()])


class Client:
    """Sends requests over a pool of connections; an asynchronous context manager.

    It belongs to the event loop that entered it.
    """

    async def __aenter__(self) -> Self:
        """Load the trusted certificates; connect to nothing."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=ssl.create_default_context(),
                keepalive_timeout=_IDLE_S,
                resolver=ThreadedResolver(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._session.close()

    @asynccontextmanager
    async def exchange(
        self, url: str, body: Mapping[str, Any] | None, *, key: str | None, limits: Limits
    ) -> AsyncIterator[Response]:
        """One request and its response; a POST if there is a body.

        Args:
            url: address and path.
            body: sent as JSON; None for a GET.
            key: sent as a bearer token; not sent if empty.
            limits: of the exchange, reading included.

        Raises:
            ExchangeFailed: by its kind, also while the block reads.
        """
        has_begun = False
        try:
            async with _within(limits) as watch, self._sent(url, body, key, limits) as found:
                if found.status >= 300:
                    shown = await _shown(found, min(_SHOWN_S, limits.left() / 2))
                    raise status_fault(found.status, found.reason, found.headers, shown, key)
                if (coding := found.headers.get("Content-Encoding", "identity")) != "identity":
                    raise Broken(f"the answer is compressed ({coding[:40]}), and must not be")
                has_begun = True
                yield Response(found, limits)
                watch.stop()
                await _rest(found)
        except aiohttp.ConnectionTimeoutError:
            raise Away(f"no connection within {limits.connect_s:g} s (connect_s)") from None
        except TimeoutError:
            fault = limits.exceeded()
            if isinstance(fault, DeadlineExceeded):
                raise fault from None
            if has_begun:
                raise Broken(f"the answer broke off ({fault})") from None
            raise Away(str(fault)) from None
        except (aiohttp.ClientError, OSError) as error:
            if has_begun:
                raise Broken(f"the answer broke off ({_why(error)})") from None
            # The connection was closed, or there was none.
            if isinstance(error, aiohttp.ClientConnectionError | OSError):
                raise Away(_why(error)) from None
            raise Broken(f"the response is not valid HTTP ({_why(error)})") from None

    def _sent(
        self, url: str, body: Mapping[str, Any] | None, key: str | None, limits: Limits
    ) -> Any:
        # A key must not be sent anywhere but where the sweep says, and a redirected POST would lose
        # its body.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        return self._session.request(
            "GET" if body is None else "POST",
            url,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers | ({"Authorization": f"Bearer {key}"} if key else {}),
            allow_redirects=False,
            proxy=_proxy(url),
            timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_s),
        )


def fetched(
    url: str, body: Mapping[str, Any] | None = None, *, key: str | None, limits: Limits
) -> bytes:
    """The body of one response; waits for it, in any thread.

    Raises:
        ExchangeFailed: by its kind.
    """

    async def fetch() -> bytes:
        async with (
            Client() as client,
            client.exchange(url, body, key=key, limits=limits) as response,
        ):
            return await response.read()

    with start_blocking_portal() as portal:
        return portal.call(fetch)


class _Watch:
    """Ends a timeout when a limit is exceeded.

    It looks when one could be exceeded at the earliest, not at every part of an answer, of which
    there are many thousands per second.
    """

    def __init__(self, limits: Limits, timeout: asyncio.Timeout) -> None:
        self._limits, self._timeout = limits, timeout
        self._loop = asyncio.get_running_loop()
        self._look()

    def _look(self) -> None:
        left = self._limits.left()
        if left <= 0:
            self._timeout.reschedule(self._loop.time())
            return
        # After the first token a shorter limit may hold.
        self._next = self._loop.call_later(min(left, self._limits.timeout_s), self._look)

    def stop(self) -> None:
        """Look no more."""
        self._next.cancel()


@asynccontextmanager
async def _within(limits: Limits) -> AsyncIterator[_Watch]:
    """Raise TimeoutError when a limit is exceeded."""
    async with asyncio.timeout(None) as timeout:
        watch = _Watch(limits, timeout)
        try:
            yield watch
        finally:
            watch.stop()


def _proxy(url: str) -> str | None:
    """The proxy of the environment for an address; none is between us and this machine.

    Not left to aiohttp, which would also send passwords from ``~/.netrc``.
    """
    parts = urlsplit(url)
    if parts.hostname in _LOOPBACK:
        return None
    found = urllib.request.getproxies().get(parts.scheme)
    if not found or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return found if "://" in found else f"http://{found}"


async def _shown(found: aiohttp.ClientResponse, seconds: float) -> bytes:
    """The beginning of an error's body; what does not come in time is missing."""
    shown = b""
    with suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(seconds):
            while len(shown) < _SHOWN_BYTES and (piece := await found.content.readany()):
                shown += piece
    return shown[:_SHOWN_BYTES]


async def _rest(found: aiohttp.ClientResponse) -> None:
    """Read the end of a response, so that its connection can be used again."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_REST_S):
            while not found.content.at_eof():
                await found.content.readany()


def _why(error: Exception) -> str:
    """A short reason for a failed connection."""
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)
    said = getattr(error, "message", None) or getattr(error, "strerror", None) or error
    return " ".join(str(said).split())[:200] or type(error).__name__
