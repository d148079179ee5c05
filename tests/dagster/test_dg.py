"""Dagster's own command `dg` knows the project: it is asked as people ask it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.jobs import JOBS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("dagster_dg_cli") is None,
        reason="dagster-dg-cli is not installed: run `make setup`",
    ),
]


@pytest.fixture
def dg(repo: Path, tmp_path: Path):
    """Runs a command of `dg` in the checkout, in an environment that knows nothing else of it."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DAGSTER", "ISOCOST"))
        }
        return subprocess.run(
            [str(Path(sys.executable).with_name("dg")), *arguments],
            cwd=repo,
            env=kept | {"DAGSTER_HOME": str(tmp_path), "HOME": str(tmp_path), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_the_definitions_are_checked(dg) -> None:
    done = dg("check", "defs")
    assert done.returncode == 0, done.stderr
    assert "All definitions loaded successfully" in done.stdout + done.stderr


def test_the_definitions_are_listed(dg) -> None:
    done = dg("list", "defs", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert {job["name"] for job in listed["jobs"]} == {job.name for job in JOBS}
    assert {"raw_generations", "core_samples", "out_frontiers"} <= {
        asset["asset_key"] for asset in listed["assets"]
    }
    assert [schedule["name"] for schedule in listed["schedules"]] == ["nightly_refresh"]
