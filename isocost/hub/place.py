"""Which hub is asked, where its files are kept, and whether the network may be used.

Lives here: the environment variables that ``huggingface_hub`` knows, read when they are needed, so
that all parts of a process agree. Not here: requests (``repository``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["dataset", "model"]
"""Kinds of repositories that a hub has."""

_TRUE = {"1", "ON", "YES", "TRUE"}
_PUBLIC = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Place:
    """A hub and its cache.

    Attributes:
        endpoint: address of the hub (``HF_ENDPOINT``).
        cache: folder of downloaded repositories (``HF_HUB_CACHE``, otherwise ``hub`` in
            ``HF_HOME``).
        is_offline: whether nothing may be downloaded (``HF_HUB_OFFLINE``).
        token: the token to send (``HF_TOKEN``, or what ``hf auth login`` stored); never shown.
    """

    endpoint: str
    cache: Path
    is_offline: bool
    token: str | None

    def __repr__(self) -> str:
        """Without the token."""
        known = "with" if self.token else "without"
        return f"Place({self.shown}, {self.cache}, {known} token)"

    @property
    def shown(self) -> str:
        """The address as messages show it, without a user or password in it."""
        scheme, mark, rest = self.endpoint.rpartition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def current_place() -> Place:
    """The hub that the environment names."""
    variables = os.environ
    home = variables.get("HF_HOME") or str(
        Path(variables.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    )
    cache = (
        variables.get("HF_HUB_CACHE")
        or variables.get("HUGGINGFACE_HUB_CACHE")
        or str(Path(home) / "hub")
    )
    return Place(
        endpoint=(variables.get("HF_ENDPOINT") or _PUBLIC).rstrip("/"),
        cache=_folder(cache),
        is_offline=any(
            variables.get(name, "").upper() in _TRUE
            for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        ),
        token=_token(variables.get("HF_TOKEN_PATH") or str(Path(home) / "token")),
    )


def _folder(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser().resolve()


def _token(file: str) -> str | None:
    """The token of the environment, otherwise the one in a file."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if found := (os.environ.get(name) or "").strip():
            return found
    try:
        return _folder(file).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
