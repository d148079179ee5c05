"""Payloads started fast.

One process imports everything and forks a payload for every line it is given.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# It never touches Polars itself: its threads would not survive a fork.
FORKING = """
import os, sys
from isocost.generate import main
import isocost.bank.verify, isocost.bank.writer, isocost.engines.replay, isocost.telemetry
isocost.bank.writer._SEALING_SHARE = float(sys.argv[1])
for line in sys.stdin:
    stderr, *arguments = line.split()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        code = 70
        try:
            code = main(arguments)
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Payloads:
    """Starts payloads, one at a time.

    Attributes:
        complaint: what the last one wrote to stderr.
    """

    def __init__(
        self, session: Path, lake: Path, stderr: Path, *, sealing_share: float = 0.02
    ) -> None:
        """A ``sealing_share`` of 1 seals every part that is full at once, whatever it costs.

        By default parts grow instead.
        """
        self._line = f"{stderr} --session {session} --lake {lake}\n"
        self._stderr = stderr
        self._server = subprocess.Popen(
            [sys.executable, "-c", FORKING, str(sealing_share)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *, kill_after_s: float | None = None, meanwhile: Callable[[], None] | None = None
    ) -> int:
        """Exit code of one payload; -9 when it was killed in time.

        Args:
            kill_after_s: kill -9 so long after its start, or after ``meanwhile`` where that is
                given.
            meanwhile: called while it runs.
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(self._line)
        self._server.stdin.flush()
        pid = int(self._server.stdout.readline())
        if meanwhile is not None:
            meanwhile()
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            with suppress(ProcessLookupError):  # it had ended by itself
                os.kill(pid, signal.SIGKILL)
        return int(self._server.stdout.readline())

    @property
    def complaint(self) -> str:
        return self._stderr.read_text(encoding="utf-8")

    def close(self) -> None:
        """Ends the forking process."""
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=20)
        self._server.stdout.close()
