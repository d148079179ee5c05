"""Run a command that ends when its starter does: ``python guard.py LIFELINE COMMAND...``.

Lives here: nothing but that, without a single import from Isocost, so that it starts at once. It is
the leader of a process group. LIFELINE is the number of a pipe's reading end, whose other end only
the starter has: when it closes, for whatever reason, the whole group is killed. Not here: limits,
and what a client is asked (``clients``).
"""

import os
import signal
import subprocess
import sys
import threading

NOT_STARTED = 127


def main() -> int:
    """Run the command; its exit code, or 128 and the signal that ended it."""
    lifeline = int(sys.argv[1])

    def watch() -> None:
        os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    try:
        code = subprocess.call(sys.argv[2:])
    except OSError as error:
        print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - its only voice
        return NOT_STARTED
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # Not through the interpreter's end, which waits for nothing here.
    found = main()
    sys.stderr.flush()
    os._exit(found)
