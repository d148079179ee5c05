"""Model folders.

Lives here: the meaning of "cache:NAME". Not here: how a model gets there (the demo's conversion),
nor how it is checked (isocost.sweep.limits).
"""

from __future__ import annotations

import os
from pathlib import Path

CACHE_PREFIX = "cache:"
CACHE_VARIABLE = "ISOCOST_CACHE"


def cache_root() -> Path:
    """The project's cache folder.

    $ISOCOST_CACHE, otherwise `.cache` of the checkout, otherwise `~/.cache/isocost` for an
    installed package.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    checkout = Path(__file__).resolve().parents[2]
    return (
        checkout / ".cache"
        if (checkout / "pyproject.toml").is_file()
        else Path.home() / ".cache" / "isocost"
    )


def model_folder(path: str) -> Path:
    """The folder that a model's `path` refers to.

    "cache:NAME" is NAME in the model cache, "~" is the home folder. The folder need not exist.
    """
    if path.startswith(CACHE_PREFIX):
        return cache_root() / "models" / path.removeprefix(CACHE_PREFIX)
    return Path(path).expanduser()
