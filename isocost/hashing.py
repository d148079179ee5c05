"""Canonical JSON and the identifiers derived from it.

Lives here: the one way this project turns a value into bytes to be hashed, so that equal things
have equal ids on every machine. Not here: which values go into which id (isocost.sweep.models,
isocost.tasks), nor checksums of files (isocost.bank).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any

from isocost.errors import IsocostError


def canonical_json(value: Any) -> str:
    """Canonical JSON of a value: equal values give equal text.

    Sorted keys, no spaces, shortest round-trip floats, NFC strings.

    Args:
        value: anything made of dict (string keys), list, tuple, str, int, float, bool and None.

    Raises:
        IsocostError: NaN, infinity, a key that is not a string, or a value that JSON cannot
            represent: none of them has a canonical text.
    """
    try:
        return json.dumps(
            _normalised(value, "$"),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
    except RecursionError:
        raise IsocostError(
            "a value is nested too deeply for canonical JSON", remedy="Use a flatter value."
        ) from None
    except ValueError as error:
        if isinstance(error, IsocostError):
            raise
        raise IsocostError(
            f"a value has no canonical JSON form: {error}",
            remedy="Use finite numbers; write an unknown as null.",
        ) from None


def _normalised(value: Any, where: str) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_normalised(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise IsocostError(
                    f"key {key!r} is not a string", where=where, remedy="Quote the key."
                )
        return {
            unicodedata.normalize("NFC", key): _normalised(item, f"{where}.{key}")
            for key, item in value.items()
        }
    raise IsocostError(
        f"{type(value).__name__} has no canonical JSON form",
        where=where,
        remedy="Use strings, numbers, booleans, lists and mappings.",
    )


def sha256_hex(value: Any, digits: int = 64) -> str:
    """First `digits` hexadecimal digits of the SHA-256 of a value's canonical JSON (UTF-8)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]


def text_hash(text: str, digits: int = 16) -> str:
    """First `digits` hexadecimal digits of the SHA-256 of a text, unchanged.

    UTF-8, lone surrogates escaped.
    """
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:digits]


def slug(text: str, limit: int = 60) -> str:
    """Turn a text into a readable part of an id.

    Lower case letters, digits and single hyphens, at most `limit` characters; "x" if nothing is
    left.
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:limit].strip("-") or "x"
