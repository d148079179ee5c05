"""Run a sweep file through Dagster from the terminal: ``python -m pipelines.run SWEEP.yaml``.

Plans the sweep, registers its sessions, executes the job ``sweep`` for each in this process on the
instance of ``DAGSTER_HOME``, reports every finished step, and ends with the frontier. What the
steps do is in ``assets``.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg

from assets.partitions import SESSIONS
from assets.resources import default_root
from isocost.build import refresh
from isocost.errors import IsocostError, PartialError
from isocost.store import Store

PROCESS_TAG = "isocost/process"
_WAKE = signal.SIGURG
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


_INTERRUPTED = "interrupted; finished samples are sealed, run the same command again to continue"


def main(argv: list[str] | None = None) -> int:
    """Run one sweep.

    Returns:
        0 if every session succeeded, 1 if one failed, 2 if the sweep file is at fault, 3 if
        something was left out of the tables or rejected by a rule and everything else was done, 130
        if interrupted.
    """
    try:
        return _main(argv)
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        print(f"\n{_INTERRUPTED}", file=sys.stderr)
        return 130


def _main(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.run",
        description=(__doc__ or "").splitlines()[0].replace("``", ""),
    )
    parser.add_argument("sweep", type=Path, help="sweep file (YAML)")
    arguments = parser.parse_args(argv)
    store = Store(default_root())
    try:
        planned = refresh.plan_sweep(store, arguments.sweep)
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        print(
            "error: DAGSTER_HOME is not set. Use `make demo`, which sets it, or set it to an "
            "absolute folder for runs and history",
            file=sys.stderr,
        )
        return 2
    try:
        if not Path(home).is_absolute():
            raise OSError(errno.EINVAL, "it must be an absolute path")
        Path(home).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(
            f"error: DAGSTER_HOME={home} cannot be used: {error.strerror}. Set it to a writable "
            f"folder",
            file=sys.stderr,
        )
        return 2
    # Dagster's notes to developers (previews, supersessions) are not for the user at this terminal.
    warnings.filterwarnings("ignore", module="dagster")
    from pipelines.definitions import (
        defs,
    )  # after the sweep file has been validated: loading takes seconds

    keep_interrupts_from_watchers()
    started, is_whole = time.monotonic(), True
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
        instance.add_dynamic_partitions(SESSIONS, planned)
        for session_id in planned:
            done = _run_session(defs, instance, session_id, is_last=session_id == planned[-1])
            if not done.success:
                print(
                    "\nNothing already measured is lost; run the same command again to continue. "
                    f"History: {home}",
                    file=sys.stderr,
                )
                return 1
            is_whole &= not any(_is_fault(check) for check in done.get_asset_check_evaluations())
    print(f"\n{len(planned)} session(s) through Dagster in {time.monotonic() - started:.0f} s")
    from isocost.publish.terminal import show  # altair and rich are not needed before

    show(store, sessions=planned)
    return 0 if is_whole else PartialError.exit_code


def _is_fault(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a non-blocking check reports that something is missing; a warning does not."""
    return not check.passed and check.severity is dg.AssetCheckSeverity.ERROR


def _run_session(
    defs: dg.Definitions, instance: dg.DagsterInstance, session_id: str, *, is_last: bool
) -> dg.ExecuteInProcessResult:
    """One run of the job; only the last session's run builds the derived tables, once for all."""
    run_id = str(uuid4())
    print(f"session {session_id}  (Dagster run {run_id[:8]})", flush=True)
    selection = None if is_last else _raw_and_core(defs)
    with _told(instance, run_id):
        done = defs.resolve_job_def("sweep").execute_in_process(
            instance=instance,
            partition_key=session_id,
            run_id=run_id,
            raise_on_error=False,
            asset_selection=selection,
            run_config=_QUIET,
            tags={PROCESS_TAG: own_process()},
        )
    for event in done.all_events if not done.success else []:
        if event.is_step_failure:
            if _is_interrupt(event):
                raise KeyboardInterrupt
            print(f"\nfailed: {event.step_key}: {_reason(event)}", file=sys.stderr)
    for check in done.get_asset_check_evaluations():
        if not check.passed:
            print(
                f"check {check.severity.value}:"
                f" {check.asset_key.to_user_string()}/{check.check_name}: {check.description}",
                file=sys.stderr,
            )
    return done


def keep_interrupts_from_watchers() -> None:
    """Let this process alone take Ctrl-C, of all that it starts.

    Ctrl-C reaches the whole group of the terminal: the processes that show Dagster's logs here end
    with this one anyhow, and would only print a stack trace each. A signal that is blocked stays
    blocked in whatever a thread starts, so the main thread blocks SIGINT and another one takes it.
    Python runs the handler in the main thread, which a second signal without an effect of its own
    wakes where it waits. The payload unblocks SIGINT for itself.
    """
    main = threading.main_thread().ident
    assert main is not None, "it has been started"
    inbox, outbox = os.pipe()
    os.set_blocking(outbox, False)
    signal.signal(_WAKE, lambda *_: None)
    signal.set_wakeup_fd(outbox, warn_on_full_buffer=False)

    def take() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while signals := os.read(inbox, 64):
            if signal.SIGINT in signals:
                signal.pthread_kill(main, _WAKE)

    threading.Thread(target=take, name="interrupts", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def own_process() -> str:
    """This process as ``pid/start``, where start is the kernel's tick of its birth.

    A pid alone may be given to another process.
    """
    return f"{os.getpid()}/{_started(os.getpid())}"


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs of killed terminals and free their measurement slots; return their ids.

    A run that dies with its process stays "started" and keeps its slot in the concurrency pool:
    without this the next run would wait for it for ever, since no daemon watches runs that a
    terminal executes.
    """
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    closed = []
    for run in instance.get_runs(unfinished):
        process = run.tags.get(PROCESS_TAG)
        if process is None or _is_alive(process):
            continue
        instance.report_run_failed(run, "The process that executed this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        closed.append(run.run_id)
    return closed


def _is_alive(process: str) -> bool:
    pid, _, started = process.partition("/")
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """Birth of a process in kernel ticks; empty when there is none of that pid."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _raw_and_core(defs: dg.Definitions) -> list[dg.AssetKey]:
    keys = dg.AssetSelection.groups("raw", "core").resolve(defs.resolve_asset_graph())
    return sorted(keys - {dg.AssetKey("raw_imports")}, key=str)


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether an interrupt caused a step's failure.

    Also one after which the payload took longer to end than Dagster waits.
    """
    found, names = [event.step_failure_data.error], set()
    while found:
        if (error := found.pop()) is not None:
            names.add(error.cls_name)
            found += [error.cause, error.context]
    return dg.DagsterExecutionInterruptedError.__name__ in names


def _reason(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    text = (
        event.step_failure_data.user_failure_data.description
        if event.step_failure_data.user_failure_data
        else None
    ) or ""
    return text or (error.message.strip() if error else "unknown")


@contextmanager
def _told(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Print a line for every step that ends, while the run goes on in this process."""
    stop = threading.Event()

    def watch() -> None:
        cursor, last = None, False
        while not last:
            last = stop.wait(0.5)
            if not instance.has_run(run_id):
                continue
            page = instance.get_records_for_run(
                run_id, cursor=cursor, of_type=dg.DagsterEventType.STEP_SUCCESS
            )
            cursor = page.cursor
            for record in page.records:
                event = record.event_log_entry.get_dagster_event()
                seconds, step = event.step_success_data.duration_ms / 1000, event.step_key
                if step is not None and not step.startswith(("schema_", "sql_")):
                    print(f"  {step:<28}{seconds:6.1f} s", flush=True)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


if __name__ == "__main__":
    raise SystemExit(main())
