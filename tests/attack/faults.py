"""Faults at the nth file operation of a process: it is killed there, or the operation fails as on a full or broken disk.

Here: the audit hook, and a process that forks commands which are killed. Python tells its audit hooks of every file that is opened, renamed
or removed; what libraries in other languages do to files is not reported, and is met by kills at a random moment instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.attack.ground import ATTACKED

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OPERATIONS = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.truncate",
    "os.chmod",
    "os.utime",
}
_act: list[Callable[[str], None]] = []
_is_hooked: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _act:
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, str | bytes) or not isinstance(flags, int) or not flags & _WRITES:
            return
    elif event in _OPERATIONS:
        path = arguments[0]
    else:
        return
    _act[-1](os.fsdecode(path) if isinstance(path, str | bytes) else "")


@contextmanager
def at_operation(
    n: int, under: Path, act: Callable[[str], None], *, for_good: bool = False
) -> Iterator[list[int]]:
    """Calls ``act`` at the nth operation that changes a file under a folder, and at all later ones where ``for_good``.

    Yields:
        A list whose one item is how many operations there were.
    """
    if not _is_hooked:
        _is_hooked.append(True)
        sys.addaudithook(_hook)  # cannot be taken off again
    count, root = [0], str(under)

    def met(path: str) -> None:
        if not path.startswith(root):
            return
        count[0] += 1
        if count[0] == n or (for_good and count[0] > n):
            act(path)

    _act.append(met)
    try:
        yield count
    finally:
        _act.remove(met)


# The process that forks never touches Polars itself: its threads would not survive a fork.
_FORKING = """
import json, os, signal, sys
sys.path[:0] = json.loads(sys.argv[1])
import isocost.cli, isocost.generate
for name in ("isocost.refresh", "isocost.build.refresh", "isocost.publish.exports", "isocost.publish.warehouse", "isocost.bank.verify",
             "isocost.engines.replay"):
    try:
        __import__(name)
    except ImportError:
        pass
from pathlib import Path
from tests.attack.faults import at_operation
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        out = os.open(request["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1); os.dup2(out, 2)
        code = 70
        try:
            main = isocost.generate.main if request["main"] == "generate" else isocost.cli.main
            with at_operation(request["operation"], Path(request["under"]), lambda _: os.kill(os.getpid(), signal.SIGKILL)):
                code = main(request["arguments"])
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Killer:
    """Runs commands that are killed with -9, at a file operation or at a moment."""

    def __init__(self) -> None:
        path = [str(ATTACKED), *(one for one in sys.path if one)]
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _FORKING, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ATTACKED,
        )

    def run(
        self,
        main: str,
        arguments: list[str],
        under: Path,
        *,
        operation: int = 0,
        after_s: float | None = None,
    ) -> tuple[int, str]:
        """One command; how it ended (-9 where it was killed in time), and what it had said.

        Args:
            main: ``cli`` or ``generate``.
            arguments: of the command.
            under: file operations in this folder count.
            operation: it is killed when it begins this one.
            after_s: it is killed so long after its start.
        """
        said = under.parent / "said"
        said.unlink(missing_ok=True)
        stated = {
            "main": main,
            "arguments": arguments,
            "under": str(under),
            "operation": operation,
            "said": str(said),
        }
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(stated) + "\n")
        self._server.stdin.flush()
        pid = int(self._server.stdout.readline())
        if after_s is not None:
            time.sleep(after_s)
            with suppress(ProcessLookupError):  # it had ended by itself
                os.kill(pid, signal.SIGKILL)
        code = int(self._server.stdout.readline())
        # One that was killed at once has said nothing, and has not even made the file.
        return code, said.read_text(errors="replace") if said.exists() else ""

    def close(self) -> None:
        """Ends the forking process."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=20)
