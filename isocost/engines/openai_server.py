"""A server: its address, the key, and what it reports about itself.

Lives here: `Server`, `checked_url`. Not here: the exchange (``openai_http``) and the requests
(``openai``).
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import SplitResult, urlsplit

from isocost.credentials import key_fault, redacted, url_credential
from isocost.engines.openai_faults import ExchangeFailed, Refused
from isocost.engines.openai_json import plain, strict_json
from isocost.engines.openai_limits import Limits
from isocost.errors import IsocostError

_MOST_LISTED_BYTES = 16 * 2**20
_LONGEST_REASON = 500


class Server:
    """An address and its key.

    Attributes:
        url: up to and including ``/v1``, without a trailing slash.
        key_variable: environment variable that holds the key; None for a server without one.
    """

    def __init__(self, url: str, key_variable: str | None, *, timeout_s: float) -> None:
        """Store the address; connect to nothing.

        Args:
            url: as given in the sweep.
            key_variable: name of the environment variable that holds the key; None for a server
                without a key.
            timeout_s: maximum silence.

        Raises:
            IsocostError: the address is invalid, or contains a credential.
        """
        self.url = checked_url(url, "engine.options.base_url")
        self.key_variable, self._timeout = key_variable, timeout_s

    def check_key(self) -> None:
        """Raise IsocostError if the key is missing or not allowed in a header."""
        if (fault := key_fault(self.key_variable)) is not None:
            raise IsocostError(
                fault, where="engine.options.api_key_variable", remedy="Set it to the key only."
            )

    def key(self) -> str:
        """The key; empty if there is none."""
        return os.environ.get(self.key_variable, "") if self.key_variable else ""

    def redacted(self, text: str) -> str:
        """A line with the key redacted."""
        line = redacted(" ".join(text.split()), [self.key()]).encode("utf-8", "replace").decode()
        return line[:_LONGEST_REASON]

    def _fetched(self, url: str, limits: Limits) -> bytes:
        from isocost.engines.openai_http import fetched

        return fetched(url, key=self.key(), limits=limits)

    def models(self) -> list[dict[str, Any]]:
        """The models that the server lists; empty if it has no such list.

        Raises:
            IsocostError: it does not answer, rejects the request, or is not such a server.
        """
        where = f"{self.url}/models"
        limits = Limits(min(self._timeout, 30), 30, _MOST_LISTED_BYTES)
        try:
            found = strict_json(self._fetched(where, limits))
            return [
                plain(model, self.redacted)
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
                self.redacted(f"the server rejects the request: {error}"),
                where=where,
                remedy=remedy,
            ) from None
        except ExchangeFailed as error:
            remedy = "Start it, or correct engine.options.base_url in the sweep file."
            raise IsocostError(
                self.redacted(f"the server does not answer: {error}"), where=where, remedy=remedy
            ) from None
        except (ValueError, AttributeError, TypeError):
            raise IsocostError(
                "this server does not have OpenAI's API: its list of models is not JSON of that "
                "form",
                where=where,
                remedy="Correct engine.options.base_url; it usually ends in /v1.",
            ) from None

    def version(self) -> str | None:
        """The server's version, if it reports it like vLLM and SGLang, next to the API.

        None otherwise.
        """
        root = self.url.removesuffix("/v1")
        for path, key in (("/version", "version"), ("/get_server_info", "version")):
            limits = Limits(min(self._timeout, 5), 10, _MOST_LISTED_BYTES)
            try:
                found = strict_json(self._fetched(root + path, limits)).get(key)
            except (ExchangeFailed, ValueError, AttributeError):
                continue
            if isinstance(found, str) and found:
                return self.redacted(found)
        return None


def _valid_parts(url: str) -> SplitResult | None:
    """The parts of an address; None if its host, port or path cannot be requested."""
    try:
        parts = urlsplit(url)
        valid = (
            bool(parts.hostname and parts.hostname.encode("idna"))
            and parts.port != 0
            and parts.path.isascii()
        )
    except ValueError:
        return None
    return parts if valid else None


def checked_url(url: str, where: str) -> str:
    """The address of an API without a trailing slash.

    Raises:
        IsocostError: it is invalid, or contains a credential; then it is not shown.
    """
    if found := url_credential(url):
        raise IsocostError(
            f"the address contains {found}",
            where=where,
            remedy=(
                "Remove it. Put the key in an environment variable, and name that in "
                "engine.options.api_key_variable."
            ),
        )
    example = "E.g. http://localhost:8000/v1."
    if not url.startswith(("http://", "https://")):
        raise IsocostError("an HTTP address is needed", where=where, remedy=example)
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise IsocostError(
            "the address contains a space or a control character", where=where, remedy=example
        )
    parts = _valid_parts(url)
    if parts is None:
        raise IsocostError(
            "this is not a valid HTTP address (host, port or path)", where=where, remedy=example
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise IsocostError(
            "the address has a part behind ? or #, to which no path can be added",
            where=where,
            remedy=example,
        )
    return url.rstrip("/")
