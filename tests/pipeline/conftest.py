"""One real build shared by the end-to-end tests.

A small random Llama through vLLM, Dagster and every table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pipeline_place import Place, make_place

# Shared with other tests: the small server, and samples of every import format.
_TESTS = Path(__file__).resolve().parents[1]
for _folder in (_TESTS, _TESTS / "unit" / "importers"):
    sys.path.insert(0, str(_folder))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("vllm", reason="vLLM is not installed: extra `cpu` or `gpu`")
    from isocost.engines.prepare import make_tiny_llama

    return make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def built(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> tuple[Place, str]:
    """A whole run and what it printed."""
    place = make_place(repo, tmp_path_factory.mktemp("built"), tiny_model, samples=4, max_tokens=16)
    return place, place.run()
