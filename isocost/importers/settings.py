"""The settings that a source states, and their path into a point's identity.

Lives here: flattening of stated settings, reading of ``name=value`` texts, checking of settings
given by hand. Not here: which settings a format states (its module) and which of them are harmless
(``Importer.harmless``).

Whatever a source states enters the point's identity, because two runs that differ in it are not
repeats of one configuration. The exceptions are listed, each with the reason why it cannot affect
the measurement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from isocost.errors import IsocostError
from isocost.hashing import text_hash

_OWN_HOSTS = (
    "localhost",
    "127.",
    "0.0.0.0",  # noqa: S104 - a place that is of no interest to others, read and not bound
    "10.",
    "192.168.",
    *(f"172.{block}." for block in range(16, 32)),
)
LONG = 120
"""A longer setting is represented in a condition by its hash.

Conditions should be readable.
"""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_EXAMPLE = 'Write name=value, or a JSON object such as \'{"hardware": "H100"}\''


def stated_settings(
    stated: Mapping[str, Any], harmless: Mapping[str, str] | Iterable[str] = ()
) -> dict[str, Any]:
    """Settings by dotted name, without empty and harmless ones.

    Args:
        stated: nested settings of the source; lists are kept whole.
        harmless: patterns of dotted names (as of ``fnmatch``) that are left out; a pattern that
            matches a mapping's own name drops all of it.

    Returns:
        Name to value, in order of the names. None, empty texts, lists and mappings are left out.
    """
    patterns = tuple(harmless)
    return dict(sorted(_flat(stated, "", patterns)))


def _flat(
    stated: Mapping[str, Any], prefix: str, patterns: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    for key, value in stated.items():
        name = f"{prefix}{key}"
        if (
            value is None
            or value in ("", [], {})
            or any(fnmatchcase(name, pattern) for pattern in patterns)
        ):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.", patterns)
        else:
            yield name, value


def hosted(url: Any) -> str | None:
    """The host of a hosted interface, which names a provider.

    None for a server on the user's own machines or network.
    """
    host = (
        urlsplit(url if "://" in url else f"//{url}").hostname
        if isinstance(url, str) and url
        else None
    )
    return None if host is None or host.startswith(_OWN_HOSTS) or "." not in host else host


def brief_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as represented in a condition.

    Long ones as their hash, functions without their address in memory.
    """
    return {name: brief(value) for name, value in settings.items()}


def brief(value: Any) -> Any:
    """One setting as represented in a condition.

    A function's repr (``<function f at 0x7f..>``) is the same in every run.
    """
    plain = _plain(value)
    text = plain if isinstance(plain, str) else repr(plain)
    return f"sha256:{text_hash(text)}" if len(text) > LONG else plain


def without_addresses(text: str) -> str:
    """A text without the addresses in memory of the functions that it names."""
    return _ADDRESS.sub("", text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return without_addresses(value) if isinstance(value, str) else value


def arguments_of(value: Any) -> dict[str, Any]:
    """Parse arguments written as ``a=1,b=x`` into a mapping.

    A mapping is returned unchanged; any other text is under ``arguments``.

    A comma inside brackets or quotes does not separate.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if value is None or not str(value).strip():
        return {}
    parts = list(_parts(str(value)))
    if not all("=" in part for part in parts):
        return {"arguments": str(value)}
    return {name.strip(): text.strip() for name, _, text in (part.partition("=") for part in parts)}


def _parts(text: str) -> Iterator[str]:
    depth, quote, begin = 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth <= 0:
            yield text[begin:position]
            begin = position + 1
    yield text[begin:]


def given_settings(given: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Settings given by hand, as ``name=value`` texts, JSON objects or a mapping.

    Raises:
        IsocostError: neither of these, an empty name or value, or one name with two values.
    """
    found: dict[str, Any] = {}
    for item in [given] if isinstance(given, Mapping) else given:
        for name, value in stated_settings(_one(item)).items():
            if found.setdefault(name, value) != value:
                raise IsocostError(
                    f"condition {name} is {found[name]!r} and {value!r}",
                    remedy="Give each setting once",
                )
    return found


def _one(item: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if item.lstrip().startswith("{"):
        try:
            value = json.loads(item)
        except ValueError as error:
            raise IsocostError(
                f"the condition cannot be read as JSON ({error})", where=item[:80], remedy=_EXAMPLE
            ) from None
        return value
    name, equals, value = item.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise IsocostError(
            "the condition has no name or no value", where=item[:80], remedy=_EXAMPLE
        )
    return {name.strip(): value.strip()}
