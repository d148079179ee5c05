"""A verifier with its options as one text: how a task states it, and what of it is identity.

Lives here, on the ground: sweeps hash it, tasks configure verifiers by it, imports keep it, and
these do not know each other. Not here: which options a verifier has
(``isocost.tasks.verifiers``).

A verifier without options is its name, as it always was: "numeric". One with options is its name,
a space and their canonical JSON: ``numeric {"relative_tolerance":0.01}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from isocost.hashing import canonical_json

NOT_IDENTITY = frozenset(
    ["api_key_variable", "base_url", "gold", "in_flight", "price", "retries", "timeout_s"]
)
"""Options that say how a judge is reached, what it costs and what it is compared with.

They change no verdict, so neither a problem nor a point depends on them.
"""


def stated(name: str, options: Mapping[str, Any]) -> str:
    """The text of a verifier.

    Raises:
        IsocostError: an option has no JSON form.
    """
    return f"{name} {canonical_json(dict(options))}" if options else name


def stated_value(value: Any) -> str:
    """The text of a verifier as a sweep file has it: a name, or a mapping with the key `name`.

    Raises:
        ValueError: neither of them.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("a verifier is a name, or a mapping with the key name and its options")
    options = {str(key): item for key, item in value.items() if key != "name"}
    return stated(value["name"], options)


def given_text(given: str) -> str:
    """The text of a verifier from a command line: its own text, or a mapping in YAML.

    Raises:
        ValueError: neither of them.
    """
    name, _, rest = given.strip().partition(" ")
    if name.isidentifier() and (not rest or rest.lstrip().startswith("{")):
        return stated(name, options_of(given.strip()))
    try:
        value = yaml.safe_load(given)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from None
    return stated_value(value)


def name_of(text: str) -> str:
    """The registered name in the text of a verifier."""
    return text.partition(" ")[0]


def options_of(text: str) -> dict[str, Any]:
    """The options in the text of a verifier; empty for one without.

    Raises:
        ValueError: what follows the name is not a JSON object.
    """
    _, _, rest = text.partition(" ")
    options = json.loads(rest) if rest.strip() else {}
    if not isinstance(options, dict):
        raise ValueError(f"{rest[:40]!r} is not a mapping of options")
    return options


def identity_of(text: str) -> str:
    """The text without the options that change no verdict; unchanged if it has none of them."""
    try:
        options = options_of(text)
    except ValueError:
        return text
    return stated(name_of(text), _without_access(options)) if options else text


def options_json(text: str | None) -> str | None:
    """Canonical JSON of the options that are identity; None for a verifier without."""
    if text is None:
        return None
    options = _without_access(options_of(text))
    return canonical_json(options) if options else None


def _without_access(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item if key == "extra_body" else _without_access(item)
            for key, item in value.items()
            if key not in NOT_IDENTITY
        }
    return [_without_access(item) for item in value] if isinstance(value, list) else value
