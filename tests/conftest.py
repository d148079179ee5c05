"""Fixtures shared by all tests: where the repository and other people's data lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time where a verdict hangs on the run; new ones on every run elsewhere.
settings.register_profile(
    "here", deadline=None
)  # speed is for the benchmarks: other work on the machine is no failure
settings.register_profile("ci", derandomize=True, database=None, deadline=None)
settings.load_profile("here")
if os.environ.get("CI"):
    settings.load_profile("ci")

# Builds that take tens of seconds and that many tests look at.
SHARED = ("built", "brought")

REPO = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one shared build run in one process (``--dist loadgroup``), so it is made once."""
    for item in items:
        for name in SHARED:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = REPO.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "other people's results are missing: no folder ../shared/data beside the checkout"
        )
    return folder


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    folder = REPO.parent / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip(
            "inputs on which something went wrong are missing: no folder ../shared/cases beside the checkout"
        )
    return folder
