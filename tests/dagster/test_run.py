"""The terminal run on its instance.

What a killed run leaves behind does not hold up the next one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from pipelines.run import PROCESS_TAG, close_dead_runs, own_process

SLOT = "measurement"


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        found.event_log_storage.set_concurrency_slots(SLOT, 1)
        yield found


def started_run(instance: dg.DagsterInstance, process: str | None) -> dg.DagsterRun:
    @dg.job
    def empty():
        pass

    tags = {PROCESS_TAG: process} if process else {}
    run = instance.create_run_for_job(empty, status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.event_log_storage.claim_concurrency_slot(SLOT, run.run_id, "raw_session")
    return run


def free_slots(instance: dg.DagsterInstance) -> int:
    return (
        instance.event_log_storage.get_concurrency_info(SLOT).slot_count
        - instance.event_log_storage.get_concurrency_info(SLOT).active_slot_count
    )


def test_a_killed_terminals_run_is_failed_and_its_slot_freed(instance: dg.DagsterInstance) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "from pipelines.run import own_process; print(own_process())"],
        capture_output=True,
        text=True,
    )
    run = started_run(instance, child.stdout.strip())
    assert free_slots(instance) == 0
    assert close_dead_runs(instance) == [run.run_id]
    assert free_slots(instance) == 1
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_a_living_run_and_the_daemons_runs_are_left_alone(instance: dg.DagsterInstance) -> None:
    started_run(instance, own_process())
    started_run(instance, None)
    assert close_dead_runs(instance) == []
    assert free_slots(instance) == 0


WATCHED = """
import signal, subprocess, sys
from dagster._core.execution.compute_logs import execute_posix_tail
from pipelines.run import keep_interrupts_from_watchers
# Ignored where a shell started the tests in the background; Dagster gives SIGTERM what SIGINT has.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
keep_interrupts_from_watchers()
with execute_posix_tail(sys.argv[1], sys.stdout):
    child = subprocess.Popen(["sleep", "60"])  # as the payload, which the run waits for
    print("ready", flush=True)
    try:
        child.wait()
    except KeyboardInterrupt:
        print("interrupted", "child lives" if child.poll() is None else "", flush=True)
    child.kill()
"""


def test_an_interrupt_at_the_terminal_prints_no_trace_of_a_watcher(
    repo: Path, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, str(tmp_path / "log")],
        cwd=repo,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(1.5)  # until the watcher's own interpreter is up
    os.killpg(process.pid, signal.SIGINT)
    notes, errors = process.communicate(timeout=60)
    assert notes == "interrupted child lives\n" and process.returncode == 0
    assert "watch_orphans" not in errors
