"""One real build shared by the end-to-end tests.

A small random Llama through vLLM, Dagster and every table.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from pipeline_place import Killed, Place, make_place, wait_for_samples, wait_until_gone

from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank

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
def killed(repo: Path, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Killed:
    """A run that was killed with SIGKILL in the middle of generation, and what it left."""
    place = make_place(repo, tmp_path_factory.mktemp("built"), tiny_model)
    process = place.start()
    wait_for_samples(place.store, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_gone(process.pid)
    return Killed(
        place,
        read_raw(place.store.lake, "raw_generations"),
        tuple(fault for fault in verify_bank(place.store.lake).faults if fault.is_loss),
    )


@pytest.fixture(scope="session")
def built(killed: Killed) -> tuple[Place, str]:
    """The same run, started again and gone to its end, and what it printed."""
    return killed.place, killed.place.run()
