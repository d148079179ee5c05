"""Keys and passwords: rejected where they would be written down, redacted from output.

Lives here, in the lowest layer, because sweeps (which reject) and engines (which redact) do not
know each other. Not here: the source of a key, which is an environment variable that the engine
reads.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from isocost.errors import IsocostError

REDACTED = "[redacted]"
SHORTEST_SECRET = 6
"""A shorter key is a placeholder ("EMPTY", "none").

Redacting it would spoil texts that happen to contain the word.
"""

_NAMED = r"(?:[\w-]*[-_])?(?:api|access|auth|secret|private|subscription|hf|bearer|session|security)[-_]?(?:key|token|id)|api[-_]?key"
_SECRET_KEY = re.compile(
    rf"(?:{_NAMED}|(?:x-)?api-key|authorization|password|passwd|secret|credentials?)", re.IGNORECASE
)
"""Names of settings that contain a credential."""
_SECRET_PARAMETER = re.compile(
    rf"(?:{_SECRET_KEY.pattern}|key|token|auth|code|pwd|pass|sig|signature|x-amz-(?:signature|credential|security-token))",
    re.IGNORECASE,
)
"""The same in a query string, where a bare "key" or "sig" is one, too."""
_USERINFO = re.compile(r"(?<=://)[^/?#@\s\"'<>]+(?=@)")
_PARAMETER = re.compile(rf"(?<=[?&;#])({_SECRET_PARAMETER.pattern})=[^&;#\s\"'<>]+", re.IGNORECASE)
_BEARER = re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE)


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of environment variables; most keys have a hyphen."""


def key_fault(variable: str | None) -> str | None:
    """Why an environment variable has no key that can be sent; None if it has, or none is named."""
    if not variable:
        return None
    key = os.environ.get(variable, "")
    if not key:
        return f"the environment variable {variable} is not set"
    if all(32 < ord(letter) < 127 for letter in key):
        return None
    return (
        f"the environment variable {variable} contains a space, a line break or another character"
        " that is not allowed in a header"
    )


def url_credential(text: str) -> str | None:
    """What kind of credential a URL carries, in words.

    None for a URL without one and for any other text.
    """
    if "://" not in text:
        return None
    if _USERINFO.search(text):
        return "a user or password before the @"
    try:
        query, fragment = urlsplit(text).query, urlsplit(text).fragment
    except ValueError:
        query, fragment = text.partition("?")[2], ""
    names = [
        name
        for part in (query, fragment)
        for name, value in parse_qsl(part)
        if value and _SECRET_PARAMETER.fullmatch(name)
    ]
    return f"a credential in its parameter {names[0]}" if names else None


def refuse_credentials(
    value: Any, *, remedy: str
) -> Iterator[tuple[tuple[str | int, ...], IsocostError]]:
    """Every credential in nested settings, with the error to raise.

    No message contains the credential.

    Args:
        value: mappings, lists and plain values.
        remedy: where to put the credential instead.
    """
    for key, name, item in _leaves(value):
        if not isinstance(item, str):
            continue
        found = url_credential(item)
        if found:
            yield (
                key,
                IsocostError(
                    f"the address carries {found}, which would be written into the bank",
                    remedy=remedy,
                ),
            )
        elif item and _SECRET_KEY.fullmatch(name):
            yield (
                key,
                IsocostError(
                    f"{name} is a credential, which would be written into the bank", remedy=remedy
                ),
            )
        elif _names_no_variable(name, item):
            yield (
                key,
                IsocostError(
                    f"{name} is not the name of an environment variable; if it is the key itself,"
                    " it would be written into the bank",
                    remedy=remedy,
                ),
            )


def _names_no_variable(name: str, item: str) -> bool:
    return name.endswith("key_variable") and bool(item) and not _VARIABLE.fullmatch(item)


def _leaves(
    value: Any, key: tuple[str | int, ...] = (), name: str = ""
) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    """Plain values with their place and the name of the mapping's key above them.

    Neither depth nor aliases cost more than the text.
    """
    waiting: list[tuple[tuple[str | int, ...], str, Any]] = [(key, name, value)]
    seen: set[int] = set()
    while waiting:
        key, name, value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if id(value) in seen:
                continue
            seen.add(id(value))
        if isinstance(value, Mapping):
            waiting += [
                ((*key, str(part)), str(part), item) for part, item in reversed(list(value.items()))
            ]
        elif isinstance(value, list | tuple):
            waiting += [
                ((*key, index), name, item) for index, item in reversed(list(enumerate(value)))
            ]
        else:
            yield key, name, value


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Redact secrets from a text.

    Those given, in the forms in which they are echoed, and anything that looks like a secret by its
    position.

    Args:
        text: text to be shown or written.
        secrets: keys in use; those shorter than ``SHORTEST_SECRET`` characters are placeholders and
            stay.
    """
    text = without(text, secrets)
    text = _USERINFO.sub(REDACTED, text)
    text = _PARAMETER.sub(rf"\1={REDACTED}", text)
    return _BEARER.sub(rf"\1{REDACTED}", text)


def without(text: str, secrets: Iterable[str]) -> str:
    """Redact only the given secrets.

    For generated text, in which an address is not a leak.
    """
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET:
            continue
        forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, REDACTED)
    return text
