"""What serves the UI ends with what started it, whichever of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Stands in for Dagster: asked to end, it ends its child, which would go on for ever otherwise.
DAGSTER = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
signal.signal(signal.SIGTERM, lambda *_: (child.terminate(), sys.exit(0)))
print(child.pid, flush=True)
time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def serve(repo: Path, folder: Path, dagster: str) -> tuple[subprocess.Popen[str], int]:
    """What serves the UI, over a stand-in for Dagster, and the child that this has started."""
    (folder / "dagster").mkdir()
    (folder / "dagster" / "__init__.py").touch()
    (folder / "dagster" / "__main__.py").write_text(dagster)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(repo)])}
    started = subprocess.Popen(
        [sys.executable, "-m", "pipelines.ui"],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    child = int(started.stdout.readline())
    return started, child


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("victim", ["starter", "dagster"])
def test_nothing_stays_of_a_ui_that_was_killed(
    repo: Path, tmp_path: Path, victim: str, number: int
) -> None:
    started, child = serve(repo, tmp_path, DAGSTER)
    parent = int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(started.pid if victim == "starter" else parent, number)
    until = time.monotonic() + 25
    while not (is_gone(child) and is_gone(parent) and started.poll() is not None):
        assert time.monotonic() < until, (
            victim,
            number,
            is_gone(child),
            is_gone(parent),
            started.poll(),
        )
        time.sleep(0.1)


@pytest.mark.slow
def test_what_ignores_being_asked_is_ended_after_a_kill(repo: Path, tmp_path: Path) -> None:
    """Dagster ends without its child, as when it is interrupted while it ends."""
    impatient = DAGSTER.replace("child.terminate(), ", "")
    started, child = serve(repo, tmp_path, impatient)
    time.sleep(1)  # the guard has started, too
    started.kill()
    until = time.monotonic() + 30
    while not is_gone(child):
        assert time.monotonic() < until
        time.sleep(0.1)
