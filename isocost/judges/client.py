"""Ask a judge: one request of OpenAI's chat interface, with attempts and a limit of its answer.

Lives here: the exchange with one server, and what a reply must have. Not here: which requests are
needed (``asking``) and the measured engine (``isocost.engines``): the speed of a judge is not
measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from isocost.credentials import key_fault, redacted, without
from isocost.hashing import canonical_json
from isocost.judges.bank import Judgement
from isocost.retry_after import retry_after
from isocost.tasks.rubrics import JudgeModel, Request

MOST_BYTES = 16 * 2**20
_BUSY = frozenset([408, 409, 425, 429, *range(500, 600)])
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 30.0
_LONGEST_REASON = 300
_CONNECT_S = 15.0
"""A host that drops packets is away; only a reply may take as long as it is allowed to."""
KEY_MISSING, AWAY, REFUSED = "judge_key_missing", "judge_away", "judge_refused"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a judge did not answer.

    Attributes:
        reason: code.
        detail: in words, without the key.
        is_away: whether the server did not answer at all, as opposed to refusing one request.
        wait_s: seconds that the server asks to wait before the next attempt; None without.
    """

    reason: str
    detail: str
    is_away: bool
    wait_s: float | None = None


class Client:
    """A connection to one judge's server."""

    def __init__(self, judge: JudgeModel) -> None:
        """Connect to nothing yet; the key is read from its variable."""
        self._judge = judge
        variable = judge.api_key_variable
        self._key = os.environ.get(variable, "") if variable else ""
        fault = key_fault(variable)
        self.missing = None if fault is None else Failure(KEY_MISSING, fault, True)
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Client:
        may_send = self._key and self.missing is None
        headers = {"Authorization": f"Bearer {self._key}"} if may_send else {}
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(
                self._judge.timeout_s, connect=min(self._judge.timeout_s, _CONNECT_S)
            ),
            trust_env=False,
            limits=httpx.Limits(max_connections=self._judge.in_flight),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def ask(self, request: Request) -> Judgement | Failure:
        """The judgement of one request, after as many attempts as the judge allows."""
        if self.missing is not None:
            return self.missing
        wait = _FIRST_WAIT_S
        for attempt in range(self._judge.retries + 1):
            begun, asked = time.monotonic(), time.time()
            found = await self._once(request)
            if isinstance(found, Failure):
                if found.reason != AWAY or attempt == self._judge.retries:
                    return found  # what was rejected would be rejected again
                await asyncio.sleep(max(wait, min(found.wait_s or 0.0, _LONGEST_WAIT_S)))
                wait = min(2 * wait, _LONGEST_WAIT_S)
                continue
            return _judgement(
                request,
                found,
                asked_unix_s=asked,
                latency_s=time.monotonic() - begun,
                num_retries=attempt,
                said=self._said,
            )
        raise AssertionError("the last attempt returns")

    async def _once(self, request: Request) -> dict[str, Any] | Failure:
        assert self._http is not None, "used within its context"
        url = f"{self._judge.base_url}/chat/completions"
        try:
            # The library's timeout is that of one read: a byte now and then would last forever.
            async with (
                asyncio.timeout(self._judge.timeout_s),
                self._http.stream("POST", url, json=dict(request.body)) as response,
            ):
                raw = await _body(response)
        except TimeoutError:
            what = f"{url} does not answer: no whole reply within {self._judge.timeout_s:g} s"
            return self._failure(AWAY, what, is_away=True)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            detail = str(error) or type(error).__name__
            return self._failure(AWAY, f"{url} does not answer: {detail}", is_away=True)
        shown = raw.decode("utf-8", "replace")
        if response.status_code in _BUSY:
            what = f"{url} answers HTTP {response.status_code}: {shown}"
            failure = self._failure(AWAY, what, is_away=True)
            return replace(failure, wait_s=retry_after(response.headers.get("Retry-After")))
        if response.status_code != 200:
            what = f"{url} rejects the request with HTTP {response.status_code}: {shown}"
            is_away = response.status_code in (401, 402, 403, 404)  # so it will every request
            return self._failure(REFUSED, what, is_away=is_away)
        try:
            found = json.loads(raw)
            if not isinstance(found["choices"][0]["message"].get("content") or "", str):
                raise TypeError("the content is not text")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            what = f"{url} sends something else than a chat completion: {shown}"
            return self._failure(REFUSED, what, is_away=False)
        return found

    def _said(self, value: object) -> str | None:
        """A text of the server in a form that can be written: valid, and without the key."""
        if not isinstance(value, str):
            return None
        return without(value.encode("utf-8", "replace").decode(), [self._key])

    def _failure(self, reason: str, detail: str, *, is_away: bool) -> Failure:
        line = redacted(" ".join(detail.split()), [self._key])
        return Failure(reason, line[:_LONGEST_REASON], is_away)


async def _body(response: httpx.Response) -> bytes:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > MOST_BYTES:
            raise httpx.RemoteProtocolError(f"the reply is longer than {MOST_BYTES:,} bytes")
    return bytes(found)


def _judgement(
    request: Request,
    found: dict[str, Any],
    *,
    asked_unix_s: float,
    latency_s: float,
    num_retries: int,
    said: Callable[[object], str | None],
) -> Judgement:
    stated = found.get("usage")
    usage: dict[str, Any] = stated if isinstance(stated, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    choice = found["choices"][0]
    prompt_tokens = _count(usage.get("prompt_tokens"))
    cached_tokens = _count(cached)
    if prompt_tokens is None or (cached_tokens or 0) > prompt_tokens:
        cached_tokens = None
    return Judgement(
        key=request.key,
        model=request.judge.model,
        request=canonical_json(dict(request.body)),
        output_text=said(choice["message"].get("content")) or "",
        finish_reason=said(choice.get("finish_reason")),
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        output_tokens=_count(usage.get("completion_tokens")),
        asked_unix_s=asked_unix_s,
        latency_s=latency_s,
        num_retries=num_retries,
        served_model=said(found.get("model")),
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        return None
    return value
