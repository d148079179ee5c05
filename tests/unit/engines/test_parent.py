"""A payload whose orchestrator is killed does not run on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Whoever runs the tests may ignore or block the signal, which processes inherit; the payload listens.
LISTEN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_DFL); signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])"
CHILD = f"{LISTEN}; import sys, time; from isocost.engines.parent import end_with_parent; end_with_parent(); print('up', flush=True); time.sleep(60)"
PARENT = f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {CHILD!r}]); print(p.pid, flush=True); time.sleep(60)"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's"
)
def test_the_child_gets_sigterm_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    lines = sorted([parent.stdout.readline().strip(), parent.stdout.readline().strip()])
    child = int(next(line for line in lines if line != "up"))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 30  # half of what the child would sleep
    while time.monotonic() < until:
        if not _is_running(child):
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def _is_running(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
