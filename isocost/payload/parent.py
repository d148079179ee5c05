"""End the payload when the process that started it is gone.

Lives here: one system call. Otherwise, a killed orchestrator would leave behind an engine that
nobody waits for and that holds the session's lock and the device. SIGTERM, not SIGKILL: finished
samples are sealed first. Not here: handling of that signal (``loop.Stop``).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

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
