"""Run third-party grading code in a helper process that can be killed.

Lives here: the helper's two ends (parent: `call`; child: `python -m isocost.tasks.judging`) and
what it can do: compute values of formulas (mpmath, sympy), and score with reasoning-gym. Not here:
running model-written code (isocost.tasks.isolation).

Why a process: model output passed to these libraries can run forever and take all memory
("9**9**9**9"), and a long integer operation does not notice a signal-based time limit. The child
counts processor seconds, so that a busy machine does not change a verdict, and the parent kills it
if that does not help.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import selectors
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from isocost.tasks.formulas import values

CPU_LIMIT_S = 5.0
"""Processor seconds for one grading. Typical ones take milliseconds."""
WALL_LIMIT_S = 60.0
"""Seconds until the child is killed.

Far above CPU_LIMIT_S plus the libraries' import time, so it only applies to a stuck child.
"""
MEMORY_LIMIT_BYTES = 4 * 2**30
"""Address space of the child. sympy and reasoning-gym need about 1 GiB of it."""


class JudgeFailed(Exception):
    """A grading that produced no result.

    `reason` is "timeout", "memory", "judge_died", "judge_error" or "judge_unavailable".
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the reason code and the library's own message."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None, "both are pipes"
    return process.stdin, process.stdout


class _Child:
    """The helper process, started at the first call and restarted after it was killed.

    One call at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def call(self, work: str, arguments: dict[str, Any], wall_limit_s: float) -> Any:
        with self._lock:
            try:
                process = self._running()
            except OSError as error:
                raise JudgeFailed("judge_unavailable", str(error)) from None
            line = json.dumps({"work": work, "arguments": arguments}).encode() + b"\n"
            try:
                stdin, _ = _pipes(process)
                stdin.write(line)
                stdin.flush()
                answer = self._read_line(process, wall_limit_s)
            except (BrokenPipeError, ConnectionError, EOFError):
                self._kill()
                raise JudgeFailed("judge_died") from None
        if "reason" in answer:
            raise JudgeFailed(answer["reason"], answer.get("detail", ""))
        return answer["value"]

    def _read_line(self, process: subprocess.Popen[bytes], wall_limit_s: float) -> Any:
        buffer, (_, stdout) = b"", _pipes(process)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not buffer.endswith(b"\n"):
                if not selector.select(wall_limit_s):
                    self._kill()
                    raise JudgeFailed("timeout")
                piece = os.read(stdout.fileno(), 65536)
                if not piece:
                    raise EOFError
                buffer += piece
        return json.loads(buffer)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # after a fork the pipes belong to the parent
            self._process, self._owner = None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            package = str(Path(__file__).resolve().parents[2])
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [package, os.environ.get("PYTHONPATH", "")])
                ),
            }
            self._process = subprocess.Popen(
                [sys.executable, "-m", "isocost.tasks.judging"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        return self._process

    def _kill(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in _pipes(self._process):
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process = None

    def close(self) -> None:
        with self._lock:
            self._kill()


_CHILD = _Child()
atexit.register(_CHILD.close)


def call(work: str, arguments: dict[str, Any], *, wall_limit_s: float = WALL_LIMIT_S) -> Any:
    """Run one piece of work in the helper process, by its name in _WORK.

    Raises:
        JudgeFailed: it took too long, took too much memory, died, or the library raised.
    """
    return _CHILD.call(work, arguments, wall_limit_s)


def is_working() -> bool:
    """Whether the helper process responds at all.

    Distinguishes a text that broke the grader from a broken environment.
    """
    try:
        return bool(call("alive", {}))
    except (JudgeFailed, OSError):
        return False


class _OutOfTime(BaseException):
    """Raised by the timer. Not an Exception, because the libraries catch those."""


def _gym_score(description: dict[str, Any], answer: str) -> float:
    from isocost.tasks.sources.reasoning_gym import entry_of

    dataset, entry = entry_of(description)
    return float(dataset.score_answer(answer, entry))


_WORK = {
    "alive": lambda: True,
    "differ_by_a_term": values.differ_by_a_term,
    "gym_score": _gym_score,
    "tree_values": values.tree_values,
    "trees_agree": values.trees_agree,
}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    import signal

    try:
        try:
            signal.alarm(
                int(2 * WALL_LIMIT_S)
            )  # unhandled: ends a stuck child whose parent was killed and can no longer kill it
            signal.setitimer(
                signal.ITIMER_PROF, float(request["arguments"].pop("cpu_limit_s", CPU_LIMIT_S))
            )
            return {"value": _WORK[request["work"]](**request["arguments"])}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
    except _OutOfTime:
        return {"reason": "timeout"}
    except (MemoryError, RecursionError):
        return {"reason": "memory"}
    except Exception as error:  # a library's exception on odd text is a reason code
        return {"reason": "judge_error", "detail": f"{type(error).__name__}: {error}"[:300]}


def _serve() -> None:
    import logging
    import resource
    import signal

    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # a library that prints must not write into the replies
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def out_of_time(_signum: int, _frame: object) -> None:
        raise _OutOfTime

    from isocost.tasks.sources.reasoning_gym import library

    importlib.import_module("mpmath")  # an import must not count as judging time
    signal.signal(signal.SIGPROF, out_of_time)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if request["work"] == "gym_score":
            library()
        elif request["work"] == "differ_by_a_term":
            importlib.import_module("sympy")
        replies.write(json.dumps(_answer(request)).encode() + b"\n")


if __name__ == "__main__":
    _serve()
