"""A hub on loopback with its own cache, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, fake_hub
from hub_repos import fill

VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A filled hub that the environment names; no token is set."""
    for name in (*VARIABLES, *TOKENS):
        monkeypatch.delenv(name, raising=False)
    with fake_hub() as served:
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        fill(served)
        yield served


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Problems are kept for a process; a test wants them read."""
    from isocost.tasks import load

    load._load.cache_clear()
