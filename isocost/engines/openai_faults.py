"""The ways in which an exchange with a server fails.

Lives here: the exceptions, what an error status means, and the message in its body. Not here: the
exchange (``openai_http``), and when a request is sent again (``openai_tries``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from isocost.credentials import redacted
from isocost.retry_after import retry_after

_AWAY = frozenset((408, 425, 429, 502, 503, 504, *range(520, 525), 529, 530))
"""Includes the codes of gateways whose upstream is down, slow or overloaded (520 to 530)."""
_COME_AGAIN = frozenset((408, 425, 429, 503, 529))
_NO_LONGER = frozenset((401, 402))


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
        self.invites_retry = code in _COME_AGAIN

    is_busy: bool
    """It answers other requests: too many requests."""
    invites_retry: bool
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


def status_fault(
    code: int, reason: str | None, headers: Mapping[str, str], body: bytes, key: str | None
) -> ExchangeFailed:
    """The exception for an error status.

    Args:
        code: the status.
        reason: its words.
        headers: of the response.
        body: its first bytes; empty if they could not be read.
        key: redacted from what the server says.
    """
    said = error_message(body.decode("utf-8", "replace"), key)
    message = f"HTTP {code}: {said or reason or 'no reason given'}"
    if code in _AWAY:
        return Away(message, code=code, wait_s=retry_after(headers.get("Retry-After")))
    if code == 409 or code >= 500:
        return Broken(message)
    if code in _NO_LONGER:
        return Shut(message, code=code)
    if 300 <= code < 400:
        target = str(headers.get("Location") or "elsewhere").partition("?")[0][:200]
        message = f"HTTP {code}: the server redirects to {target}, which is not followed"
        return Refused(
            message, code=code, remedy="Give the right address in engine.options.base_url."
        )
    return Refused(message, code=code)


def error_message(body: str, key: str | None = None) -> str:
    """The message of an error response, in one line.

    The message of OpenAI's error object if there is one, otherwise its text without markup.

    Args:
        body: of the response.
        key: redacted before the line is cut, so that no part of it remains.
    """
    try:
        found = json.loads(body)
        found = found.get("error", found) if isinstance(found, dict) else found
        body = (
            str(found.get("message") or found.get("detail") or found)
            if isinstance(found, dict)
            else str(found)
        )
    except (ValueError, RecursionError):
        body = re.sub(
            r"<(style|script).*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL | re.IGNORECASE
        )
    return redacted(" ".join(body.split()), [key] if key else ())[:300]
