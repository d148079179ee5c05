"""Serve Dagster's UI until this process ends: ``python -m pipelines.ui``.

Lives here: starting ``dagster dev``, and ending everything that it started when it, this process or
the parent of this process is killed. Dagster itself then leaves webserver and daemon running, which
keep the port and continue to launch unattended runs. Not here: what is served.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from isocost.engines.parent import end_with_parent

GRACE_S = 15.0
"""What was asked to end is killed after this time."""
DAGSTER_S = 5.0
"""Dagster gets this long to end its own processes before they are asked one by one."""


def main(argv: list[str] | None = None) -> int:
    """Serves; the exit code of ``dagster dev``."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.ui", description=(__doc__ or "").splitlines()[0].replace("``", "")
    )
    parser.add_argument("--port", default="3000")
    parser.add_argument("--end", type=int, metavar="GROUP", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.end:
        return _end_after_input(arguments.end)
    end_with_parent()
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-w",
        "workspace.yaml",
        "-h",
        "127.0.0.1",
        "-p",
        arguments.port,
    ]
    # A session of its own, so that everything in it can be ended together. It gets SIGTERM when
    # this process is gone, even by a kill -9.
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=end_with_parent)  # noqa: PLW1509 - no thread runs here
    # What Dagster leaves behind is ended even if this process can no longer do so: the kernel
    # closes the pipe to the guard however this process dies.
    guard = subprocess.Popen(
        [sys.executable, "-m", "pipelines.ui", "--end", str(process.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )

    def passed_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, passed_on)
    code = process.wait()
    _end_group(process.pid)
    guard.kill()
    guard.communicate()
    return code if code >= 0 else 128 - code


def _end_after_input(group: int) -> int:
    """End a process group when the standard input of this process ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    time.sleep(DAGSTER_S)
    _end_group(group)
    return 0


def _end_group(group: int) -> None:
    """End what is left of a process group."""
    end = time.monotonic() + GRACE_S
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < end:
            time.sleep(0.2)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main())
