"""Where a model is.

Lives here: the meaning of "cache:NAME", and which paths are ids on the Hub. Not here: how a model
gets there (``isocost.engines.prepare``, ``isocost.hub``), nor how it is checked
(isocost.sweep.limits).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from isocost.hub import Repository, repository_at
from isocost.sweep.models import Adapter, ModelVariant

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


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(path: str) -> bool:
    """Whether a model's `path` is read as the id of a repository on the Hub, OWNER/NAME.

    A folder of this name, relative to the working directory, comes first; a GGUF file is none.
    """
    return _HUB_ID.fullmatch(path) is not None and not is_gguf(path) and not Path(path).is_dir()


def is_gguf(path: str) -> bool:
    """Whether a model's `path` names a GGUF file."""
    return path.lower().endswith(".gguf")


def hub_repository(model: ModelVariant) -> Repository | None:
    """The repository of a model on the Hub, at its commit; None for a local folder."""
    return None if model.commit is None else repository_at("model", model.path, model.commit)


def weights_folder(model: ModelVariant) -> Path:
    """The folder that a model is loaded from; for a model on the Hub in the Hub's cache.

    It need not exist.
    """
    repository = hub_repository(model)
    return model_folder(model.path) if repository is None else repository.folder


def adapter_folder(adapter: Adapter) -> Path:
    """The folder of a LoRA adapter; for one on the Hub in the Hub's cache. It need not exist."""
    if adapter.commit is None:
        return model_folder(adapter.path)
    return repository_at("model", adapter.path, adapter.commit).folder


def model_folder(path: str) -> Path:
    """The folder that a model's `path` refers to.

    "cache:NAME" is NAME in the model cache, "~" is the home folder. The folder need not exist.
    """
    if path.startswith(CACHE_PREFIX):
        return cache_root() / "models" / path.removeprefix(CACHE_PREFIX)
    return Path(path).expanduser()
