"""A server as the engine reaches it: its address, the key, and what it says of itself.

Lives here: `Server`, `checked_url`. Not here: the exchange (``openai_http``) and the requests
(``openai``).
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from isocost.credentials import redacted, url_credential
from isocost.engines.openai_http import Client, ExchangeFailed, Limits, Refused
from isocost.engines.openai_stream import plain, strict_json
from isocost.errors import IsocostError

_MOST_LISTED_BYTES = 16 * 2**20
_LONGEST_REASON = 500


class Server:
    """One address and the key for it.

    Attributes:
        url: up to and with ``/v1``, without a slash at its end.
        client: sends what is asked.
    """

    def __init__(self, url: str, key_variable: str | None, *, timeout_s: float) -> None:
        """Connects to nothing.

        Args:
            url: as the sweep gives it.
            key_variable: name of the environment variable that holds the key; None for a server
                without one.
            timeout_s: longest silence.

        Raises:
            IsocostError: the address is none, or carries a credential.
        """
        self.url = checked_url(url, "engine.options.base_url")
        self.client = Client()
        self._key_variable, self._timeout = key_variable, timeout_s

    def check_key(self) -> None:
        """Raises IsocostError where the key is missing or no header can carry it."""
        where = "engine.options.api_key_variable"
        if self._key_variable and not self.key():
            raise IsocostError(
                f"the environment variable {self._key_variable} is not set",
                where=where,
                remedy="Set it.",
            )
        if any(not 32 < ord(letter) < 127 for letter in self.key()):
            what = (
                f"the environment variable {self._key_variable} holds a space, a line break or"
                " another character that no header can carry"
            )
            raise IsocostError(what, where=where, remedy="Set it to the key alone.")

    def key(self) -> str:
        """The key; empty where there is none."""
        return os.environ.get(self._key_variable, "") if self._key_variable else ""

    def told(self, text: str) -> str:
        """A line that may leave the engine."""
        line = redacted(" ".join(text.split()), [self.key()]).encode("utf-8", "replace").decode()
        return line[:_LONGEST_REASON]

    def models(self) -> list[dict[str, Any]]:
        """What the server lists; nothing of a server that has no such list.

        Raises:
            IsocostError: it does not answer, refuses, or is no such server.
        """
        where = f"{self.url}/models"
        limits = Limits(min(self._timeout, 30), 30, _MOST_LISTED_BYTES)
        try:
            with self.client.exchange(where, None, key=self.key(), limits=limits) as response:
                found = strict_json(response.read())
            return [
                plain(model, self.told)
                for model in found.get("data") or ()
                if isinstance(model, dict)
            ]
        except Refused as error:
            if error.code in (404, 405):
                return []
            remedy = error.remedy or "Check engine.options.base_url."
            if error.code in (401, 403):
                remedy = (
                    "Name the environment variable that holds the key in"
                    " engine.options.api_key_variable, or correct the key."
                )
            raise IsocostError(
                self.told(f"the server refuses: {error}"), where=where, remedy=remedy
            ) from None
        except ExchangeFailed as error:
            remedy = "Start it, or correct engine.options.base_url in the sweep file."
            raise IsocostError(
                self.told(f"the server does not answer: {error}"), where=where, remedy=remedy
            ) from None
        except (ValueError, AttributeError, TypeError):
            raise IsocostError(
                "what answers is no server with OpenAI's interface: its list of models is no JSON"
                " of that form",
                where=where,
                remedy="Correct engine.options.base_url; it usually ends in /v1.",
            ) from None

    def version(self) -> str | None:
        """The server's version where it tells it the way vLLM and SGLang do, beside the interface.

        None elsewhere.
        """
        root = self.url.removesuffix("/v1")
        for path, key in (("/version", "version"), ("/get_server_info", "version")):
            limits = Limits(min(self._timeout, 5), 10, _MOST_LISTED_BYTES)
            try:
                with self.client.exchange(
                    root + path, None, key=self.key(), limits=limits
                ) as response:
                    told = strict_json(response.read()).get(key)
            except (ExchangeFailed, ValueError, AttributeError):
                continue
            if isinstance(told, str) and told:
                return self.told(told)
        return None


def checked_url(url: str, where: str) -> str:
    """The address of an interface without a slash at its end.

    Raises:
        IsocostError: it is none, or carries a credential; then it is not shown.
    """
    if found := url_credential(url):
        raise IsocostError(
            f"the address carries {found}",
            where=where,
            remedy=(
                "Take it out; keep the key in an environment variable and name that in"
                " engine.options.api_key_variable."
            ),
        )
    example = "E.g. http://localhost:8000/v1."
    if not url.startswith(("http://", "https://")):
        raise IsocostError("an HTTP address is needed", where=where, remedy=example)
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise IsocostError(
            "the address holds a space or a control character", where=where, remedy=example
        )
    try:
        parts = urlsplit(url)
        valid = (
            bool(parts.hostname and parts.hostname.encode("idna"))
            and parts.port != 0
            and parts.path.isascii()
        )
    except ValueError:
        valid = False
    if not valid:
        raise IsocostError(
            "this is no valid HTTP address (host, port or path)", where=where, remedy=example
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise IsocostError(
            "the address has a part behind ? or #, to which no path can be added",
            where=where,
            remedy=example,
        )
    return url.rstrip("/")
