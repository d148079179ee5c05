"""Fixtures shared by all tests: where the repository and other people's data lie."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

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

# Tests that look at one costly build run in one process, so that it is made once. So do the tests
# of a file that has a fixture for all of them.
SHARED = {
    "tests/attack/test_attack.py": "attack",
    "tests/pipeline/test_end_to_end.py": "built",
    "tests/pipeline/test_every_source.py": "built",
    "tests/pipeline/test_readme.py": "built",
    "tests/pipeline/test_report.py": "built",
    "tests/pipeline/test_ui.py": "built",
}

REPO = Path(__file__).resolve().parents[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """``--dist loadgroup`` by ``SHARED``: pytest 9.2 hides the group that pytest-xdist 3.8 writes."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    @cache
    def has_fixture(file: str) -> bool:
        return 'fixture(scope="module"' in (REPO / file).read_text(encoding="utf-8")

    class BySharedBuild(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return SHARED.get(file) or (file if has_fixture(file) else nodeid)

    return BySharedBuild(config, log)


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
