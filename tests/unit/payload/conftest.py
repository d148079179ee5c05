"""A recorded lake, a session that replays it, and a way to run it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import sessions

from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import Outcome, generate
from isocost.sweep import Session


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    lake = tmp_path / "recorded"
    sessions.record(sessions.session(session_id="recorded-0123456789", samples=6), lake)
    return str(lake)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def run(lake: Path) -> Callable[..., Outcome]:
    def go(session: Session, **options: Any) -> Outcome:
        with Reporter() as reporter:
            return generate(
                session, str(lake), reporter=reporter, stop=options.pop("stop", Stop()), **options
            )

    return go
