"""The gateway: every sample has an address of its own, and what passes there is measured.

Lives here: `Gateway`, a Starlette application in a thread of its own, in front of one server. The
bytes of an answer pass unchanged as they come. If a stream comes without usage because the client
did not ask for it, the gateway asks, and withholds the event that has nothing else. Not here: what
a sample may spend (``account``), reading what has passed (``exchange``).

Addresses are ``http://HOST:PORT/samples/TOKEN/v1``. The key of the server is added here: a client
has none, and need not know where the server is.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from isocost.credentials import without
from isocost.engines.protocol import Address
from isocost.errors import IsocostError
from isocost.meter.account import Account, Accounts
from isocost.meter.exchange import (
    PATHS,
    BadRequest,
    Exchange,
    error_body,
    read_request,
)

MOST_REQUEST_BYTES = 32 * 2**20
MOST_ANSWER_BYTES = 256 * 2**20
_CONNECT_S = 30.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_NOT_PASSED = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailers", b"transfer-encoding", b"upgrade", b"host", b"content-length",
        b"authorization", b"accept-encoding", b"content-encoding", b"date", b"server", b"expect",
    )
)  # fmt: skip
"""Headers that belong to one connection, or that are set here."""
_BAD_GATEWAY, _TIMED_OUT = 502, 504
_LEFT = "the client did not wait for the answer"
_COUNT = re.compile(rb'"completion_tokens"\s*:\s*(\d{1,9})')
_LAST_PIECES = 16
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
"""What ends an event; servers end lines in either way."""
_DECODED = ("gzip", "deflate")
"""Compressions that are undone if a server uses them although it is asked not to."""


class Gateway:
    """See the module's docstring; use it as a context manager.

    Attributes:
        accounts: the samples under way.
        upstream: the server.
    """

    def __init__(self, upstream: Address, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on nothing yet.

        Args:
            upstream: the server.
            host: address to listen on; loopback unless clients run elsewhere.
            port: 0 takes a free one.
        """
        self.accounts, self.upstream = Accounts(), upstream
        self._host, self._port = host, port
        self._client: httpx.AsyncClient | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._away_since_s: float | None = None

    def __enter__(self) -> Self:
        """Start listening.

        Raises:
            IsocostError: the address cannot be listened on.
        """
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            # Said to be TCP: only then the event loop sends small pieces at once.
            self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((self._host, self._port))
        except (OSError, OverflowError) as error:
            raise IsocostError(
                f"the gateway cannot listen there: {getattr(error, 'strerror', None) or error}",
                where=f"{self._host}:{self._port}",
                remedy="Give another host or port.",
            ) from None
        config = uvicorn.Config(
            self._application(),
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="on",
            timeout_keep_alive=600,
            backlog=2048,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="gateway", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive():
                raise IsocostError("the gateway could not start", where=self._host)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; what is still open is broken off."""
        assert self._server is not None and self._thread is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        if self._socket is not None:
            self._socket.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def address(self, account: Account) -> str:
        """The base URL of one sample."""
        return f"{self.origin}/samples/{account.token}/v1"

    def away_s(self) -> float:
        """For how long the server has been unreachable; 0 while it answers, whatever it says."""
        since = self._away_since_s
        return 0.0 if since is None else time.monotonic() - since

    def probe(self) -> None:
        """See whether an unreachable server is back."""
        here = self._is_here()
        with suppress(httpx.HTTPError):
            httpx.get(
                f"{self.upstream.url}/models", headers=self._own(), timeout=5, trust_env=not here
            )
            self._away_since_s = None

    def _is_here(self) -> bool:
        return urlsplit(self.upstream.url).hostname in _LOOPBACK

    def _application(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            # Proxies are those of the environment, but none is between us and this machine.
            async with httpx.AsyncClient(
                timeout=httpx.Timeout(self.upstream.timeout_s, connect=_CONNECT_S, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=256),
                trust_env=not self._is_here(),
            ) as client:
                self._client = client
                yield

        every = ["GET", "POST", "PUT", "DELETE", "PATCH"]
        routes = [
            *(
                Route(f"/samples/{{token}}/v1/{path}", self._pass, methods=["POST"])
                for path in PATHS
            ),
            Route("/samples/{token}/v1/models", self._models, methods=["GET"]),
            Route("/{rest:path}", self._unknown, methods=every),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    def _account(self, request: Request) -> Account | None:
        return self.accounts.get(request.path_params.get("token", ""))

    async def _unknown(self, request: Request) -> Response:
        parts = request.url.path.split("/")
        known = len(parts) > 2 and self.accounts.get(parts[2]) is not None
        what = (
            f"{request.method} {request.url.path.partition('/v1')[2] or '/'} is not metered; "
            f"{' and '.join(PATHS)} are"
            if known
            else "no sample under way has this address"
        )
        return _refusal(what, 404)

    async def _models(self, request: Request) -> Response:
        if self._account(request) is None:
            return _refusal("no sample under way has this address", 404)
        client = self._client
        assert client is not None
        try:
            found = await client.get(f"{self.upstream.url}/models", headers=self._own())
        except httpx.HTTPError as error:
            return _refusal(f"the server does not answer: {_why(error)}", _BAD_GATEWAY)
        return Response(found.content, found.status_code, _passed(found.headers))

    async def _pass(self, request: Request) -> Response:
        account = self._account(request)
        if account is None:
            return _refusal("no sample under way has this address", 404)
        try:
            data = await _body(request)
            path = request.url.path.rpartition("/v1/")[2]
            exchange = account.begin(read_request(path, data, self.upstream.model))
        except BadRequest as error:
            account.refuse(str(error))
            return _refusal(str(error), error.status)
        except ClientDisconnect:
            account.refuse("the client broke off its request")
            return Response(status_code=400)
        return await self._forward(request, account, exchange)

    async def _forward(self, request: Request, account: Account, exchange: Exchange) -> Response:
        """Pass a request on, and its answer back, unless the client leaves before it begins.

        Whatever happens, the exchange ends, here or at the end of its stream.
        """
        flow = _Flow(account, exchange)
        answer = asyncio.ensure_future(self._answer(request, flow))
        gone = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await flow.close(_LEFT, is_broken_off=True)
                return Response(status_code=499)
            return answer.result()
        except BaseException:
            await flow.close(_LEFT, is_broken_off=True)
            raise
        finally:
            gone.cancel()
            answer.cancel()

    async def _answer(self, request: Request, flow: _Flow) -> Response:
        client, exchange = self._client, flow.exchange
        asked = exchange.asked
        assert client is not None
        headers = [(k, v) for k, v in request.headers.raw if k.lower() not in _NOT_PASSED]
        headers += [(k.encode(), v.encode()) for k, v in self._own().items()]
        made = client.build_request(
            "POST", f"{self.upstream.url}/{asked.path}", content=asked.sent, headers=headers
        )
        try:
            exchange.sent_s = time.monotonic()
            answer = flow.answer = await client.send(made, stream=True)
            self._away_since_s = None
            exchange.status = answer.status_code
            headers = _passed(answer.headers)
            if (found := flow.unknown_encoding()) is not None:
                raise httpx.DecodingError(f"the answer is compressed ({found}), and must not be")
            if asked.body.get("stream") is True and answer.status_code < 300:
                return StreamingResponse(flow.pieces(), answer.status_code, headers)
            body = b"".join([piece async for piece in flow.raw()])
            await flow.close()
            if answer.status_code >= 300:  # servers quote keys that they reject
                body = without(body.decode("latin-1"), [self.upstream.key]).encode("latin-1")
            return Response(body, answer.status_code, headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                self._away_since_s = self._away_since_s or time.monotonic()
            status = _TIMED_OUT if isinstance(error, httpx.TimeoutException) else _BAD_GATEWAY
            reason = f"the server does not answer: {_why(error)}"
            await flow.close(reason)
            return _refusal(reason, status)

    def _own(self) -> dict[str, str]:
        key = {"authorization": f"Bearer {self.upstream.key}"} if self.upstream.key else {}
        # The answer is read here as it passes, so it must not be compressed.
        return {"accept-encoding": "identity", **key}


class _Flow:
    """One answer on its way back."""

    def __init__(self, account: Account, exchange: Exchange) -> None:
        self.answer: httpx.Response | None = None
        self.exchange = exchange
        self._account = account
        self._is_over = False

    def unknown_encoding(self) -> str | None:
        """How the answer is compressed, if that cannot be undone here."""
        assert self.answer is not None
        found = self.answer.headers.get("content-encoding", "identity").lower()
        return None if found in ("identity", *_DECODED) else found[:40]

    async def raw(self) -> AsyncIterator[bytes]:
        """The bytes as they come, which are kept."""
        assert self.answer is not None
        size = 0
        async for piece in self.answer.aiter_bytes():
            self.exchange.take(piece)
            size += len(piece)
            if size > MOST_ANSWER_BYTES:
                raise httpx.ReadError(f"the answer is larger than {MOST_ANSWER_BYTES:,} bytes")
            yield piece

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of a stream, without the event that the client did not ask for."""
        fault, broken = None, True
        try:
            if self.exchange.asked.hides_usage:
                async for piece in _without_usage(self.raw()):
                    yield piece
            else:
                async for piece in self.raw():
                    yield piece
            broken = False
        except httpx.HTTPError as error:
            fault, broken = f"the answer broke off: {_why(error)}", False
            # Without an end the client notices too.
            raise
        finally:
            if broken:
                fault = _LEFT
            await self.close(fault, is_broken_off=broken)

    async def close(self, fault: str | None = None, *, is_broken_off: bool = False) -> None:
        """The exchange is over."""
        if self._is_over:
            return
        self._is_over = True
        self.exchange.end(fault, is_broken_off=is_broken_off)
        self._account.ended(_tokens(self.exchange))
        if self.answer is not None:
            await self.answer.aclose()


def _tokens(exchange: Exchange) -> int | None:
    """Generated tokens of an exchange that is over, as its usage says; None if it has none.

    Only for the limit: everything is read with care once the sample has ended.
    """
    end = b"".join(piece for _, piece in exchange.pieces[-_LAST_PIECES:])
    found = _COUNT.findall(end)
    return int(found[-1]) if found else None


async def _left(request: Request) -> None:
    """Return when the client closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _without_usage(raw: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Events as they come, but for those that have usage and no choice."""
    rest = b""
    async for piece in raw:
        rest += piece
        whole, cut = [], 0
        for blank in _BLANK_LINE.finditer(rest, max(0, len(rest) - len(piece) - 3)):
            event, cut = rest[cut : blank.end()], blank.end()
            if not _is_only_usage(event):
                whole.append(event)
        rest = rest[cut:]
        if whole:
            yield b"".join(whole)
    if rest and not _is_only_usage(rest):
        yield rest


def _is_only_usage(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    lines = [line for line in event.splitlines() if line.startswith(b"data:")]
    try:
        found = json.loads(b"\n".join(line.removeprefix(b"data:") for line in lines))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(found.get("usage")) and found.get("choices") == []


async def _body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        BadRequest: it is too large.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_REQUEST_BYTES:
            raise BadRequest(f"the body is larger than {MOST_REQUEST_BYTES:,} bytes", 413)
        pieces.append(piece)
    return b"".join(pieces)


def _passed(headers: httpx.Headers) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower().encode() not in _NOT_PASSED}


def _refusal(reason: str, status: int) -> JSONResponse:
    return JSONResponse(error_body(reason, "meter_error", str(status)), status)


def _why(error: Exception) -> str:
    return str(error)[:300] or type(error).__name__
