"""A lake, and a way to fill it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isocost.bank.files import Files
from isocost.bank.writer import open_run

sys.path.insert(0, str(Path(__file__).parent))
from bank_rows import SESSION, call


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def bank(lake: Path) -> Callable[..., str]:
    """Banks samples in parts.

    ``bank(range(4), range(4, 6))`` is one run of two parts. Returns the run id.
    """

    def fill(
        *parts: range, session: str = SESSION, status: str = "finished", **changes: Any
    ) -> str:
        with open_run(Files(lake), session, part_rows=100) as (writer, _):
            for part in parts:
                writer.append(
                    "raw_generations",
                    [call(i, attempt=writer.manifest.attempt, **changes) for i in part],
                )
                writer.seal()
            writer.finish(status)
            return writer.manifest.run_id

    return fill
