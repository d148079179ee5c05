"""End a process when the one that started it is gone: a payload, a partner's engine, a server.

Lives here: one system call, and ``python -m isocost.engines.parent COMMAND``, which makes it and
becomes the command. Otherwise, a killed orchestrator would leave behind an engine that nobody waits
for and that holds the session's lock and the device. SIGTERM, not SIGKILL: finished samples are
sealed first. Not here: handling of that signal (``isocost.payload.loop.Stop``).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> bool:
    """Ask the kernel for SIGTERM when the parent dies; return whether it will (Linux only).

    A parent that died before this call is detected too: the process then has a new parent.
    """
    if not sys.platform.startswith("linux"):
        return False
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        return False
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
    return True


def until_parent_ends(command: Sequence[str]) -> list[str]:
    """A command line that runs another one, which then gets SIGTERM when its starter is gone.

    Killed with SIGKILL, the starter cannot end it itself.
    """
    return [sys.executable, "-m", __spec__.name, *command]


if __name__ == "__main__":
    end_with_parent()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - its process is the one to stop
