"""Run model-written code in a sandbox, and test it from a process that it cannot reach.

Lives here: one run of a program and its tests: two sandboxes, and relaying messages between them.
Not here: what runs inside (``answerer``, ``judge``), the sandbox itself (``walls``), what is run
(verifiers/code.py).

The program runs in one isolated process and its tests in another. Plain data passes between them
through this process, in size-limited frames that it does not interpret; the verdict comes from the
tests' process, to which the program has no handle. It is off unless ISOCOST_RUN_CODE=1 is set, and
code is not run if the machine cannot build the sandboxes (``missing`` says why).

Protects against: a program that searches for its tests, claims to have passed, answers with objects
that equal everything, reads or changes the user's files, reaches the network, sockets or other
processes, or takes unlimited processor time, memory, output or folders. Does not protect against:
an attack on the kernel or bubblewrap. For that, use a virtual machine around everything.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from isocost.tasks.isolation.walls import Missing, missing, room_command
from isocost.tasks.isolation.wire import MOST_BYTES

__all__ = ["SWITCH", "Limits", "Missing", "Outcome", "is_enabled", "missing", "run_isolated"]

SWITCH = "ISOCOST_RUN_CODE"
_VERDICT = b'{"verdict": '
_OUT_OF_TIME = {128 + signal.SIGXCPU, 128 + signal.SIGKILL, -signal.SIGXCPU, -signal.SIGKILL}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for each of the two sandboxes of a run.

    Attributes:
        cpu_s: processor seconds.
        wall_s: seconds until both are killed.
        memory_bytes: address space.
        file_bytes: largest file; the only writable folder has 16 MiB in memory.
    """

    cpu_s: int = 5
    wall_s: float = 15.0
    memory_bytes: int = 512 * 2**20
    file_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: "passed", "failed", "timeout", "memory"; "unsupported" (the tests need to pass
            objects that cannot be transferred) or "isolation_unavailable" (nothing was run): these
            two say nothing about the program.
        detail: a few words, at most 300 characters.
    """

    status: str
    detail: str = ""


class _Ended(Exception):
    """A sandbox closed its end, or exceeded the limits."""


class _OutOfTime(Exception):
    """The deadline passed."""


def is_enabled() -> bool:
    """Whether the user has allowed model-written code to run."""
    return os.environ.get(SWITCH) == "1"


def run_isolated(program: str, tests: str = "", limits: Limits | None = None) -> Outcome:
    """Run a program, and tests against what it defines.

    Args:
        program: Python source that a model wrote.
        tests: Python source that raises if the program is wrong; it sees what the program defines.
        limits: for each of the two.

    Returns:
        "passed" only if the tests ran to their last line.
    """
    lacking = missing()
    if lacking:
        return Outcome("isolation_unavailable", "; ".join(item.what for item in lacking)[:300])
    limits = limits or Limits()
    told = (limits.cpu_s, limits.memory_bytes, limits.file_bytes)
    deadline = time.monotonic() + limits.wall_s
    with _Room("answerer", told, deadline) as answer, _judge(told, deadline) as judge:
        try:
            job = {"program": _sendable(program), "tests": _sendable(tests)}
            judge.send(json.dumps(job).encode(), b"\1")
            return _carried(answer, judge)
        except _OutOfTime:
            return Outcome("timeout")


_KEPT = threading.local()


@contextlib.contextmanager
def _judge(limits: tuple[int, int, int], deadline: float) -> Iterator[_Room]:
    """This thread's test process, which serves run after run.

    A process that did not reach a verdict is not reused.
    """
    key = (os.getpid(), limits)
    known: _Room | None = (
        getattr(_KEPT, "room", None) if getattr(_KEPT, "key", None) == key else None
    )
    if known is None or not known.is_alive():
        _dismiss()
        known = _Room("judge", limits, deadline)
    _KEPT.room = _KEPT.key = None
    known.deadline, known.is_done = deadline, False
    try:
        yield known
    finally:
        if known.is_done:
            _KEPT.room, _KEPT.key = known, key
        else:
            known.close()


def _dismiss() -> None:
    """End the test process that this thread keeps.

    A process that was started by another process belongs to that process.
    """
    room, key = getattr(_KEPT, "room", None), getattr(_KEPT, "key", None)
    if room is not None and key is not None and key[0] == os.getpid():
        room.close()
    _KEPT.room = _KEPT.key = None


atexit.register(_dismiss)


def _carried(answer: _Room, judge: _Room) -> Outcome:
    """Relay frames between the sandboxes until the verdict arrives."""
    while True:
        try:
            asked = judge.receive()
        except _Ended:
            return Outcome("failed", "the tests ended their own process")
        if asked.startswith(_VERDICT):
            judge.is_done = True
            found = json.loads(asked)["verdict"]
            return Outcome(found["status"], found["detail"])
        try:
            answer.send(asked)
            replied = answer.receive()
        except _Ended as error:
            if answer.status() in _OUT_OF_TIME:
                return Outcome("timeout")
            return Outcome("failed", str(error) or "the program ended itself")
        judge.send(replied)


def _sendable(source: str) -> str:
    return source.encode("utf-8", "backslashreplace").decode("utf-8")


class _Room:
    """One isolated process and the two pipes to it."""

    def __init__(self, program: str, limits: tuple[int, int, int], deadline: float) -> None:
        self.deadline = deadline
        self.is_done = False
        with room_command(program, limits) as (command, options):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                **options,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None, "both are pipes"
        self._stdin, self._stdout = stdin, stdout
        for pipe in (stdin, stdout):
            os.set_blocking(pipe.fileno(), False)

    def __enter__(self) -> _Room:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_alive(self) -> bool:
        """Whether its process is still running."""
        return self._process.poll() is None

    def close(self) -> None:
        """End every process in it."""
        # The room's first process dies with bubblewrap, and every other one in it with its first.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    def status(self) -> int:
        """The exit status of a sandbox that has ended or is about to."""
        try:
            return self._process.wait(max(0.0, min(2.0, self.deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            return 0

    def send(self, data: bytes, before: bytes = b"") -> None:
        """Send one frame."""
        left = memoryview(before + len(data).to_bytes(4, "big") + data)
        while left:
            self._ready(self._stdin, selectors.EVENT_WRITE)
            try:
                left = left[os.write(self._stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Ended from None

    def receive(self) -> bytes:
        """The next frame."""
        size = int.from_bytes(self._read(4), "big")
        if size > MOST_BYTES:
            raise _Ended(f"one value of more than {MOST_BYTES >> 20} MiB")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < size:
            self._ready(self._stdout, selectors.EVENT_READ)
            try:
                piece = os.read(self._stdout.fileno(), min(size - len(pieces), 1 << 20))
            except BlockingIOError:
                continue
            if not piece:
                raise _Ended
            pieces += piece
        return bytes(pieces)

    def _ready(self, pipe: IO[bytes], event: int) -> None:
        left = self.deadline - time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            if left <= 0 or not selector.select(left):
                raise _OutOfTime
