"""Clients as processes: started, watched, and ended with everything that they have started.

Lives here: `CommandClient` and `FunctionClient`, each of which makes one sample at a time, and how
one may end (`Ended`). Not here: the calls that they make (``gateway``), and what becomes of the
answer (``isocost.payload.outside``).

Each client is a process group under a guard, which kills the group when this process dies. A group
is killed when its sample is over, whether it has ended by itself or not: nothing that a client has
left in the background goes on calling the model.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from isocost.meter import guard

ADDRESS_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
MODEL_VARIABLE = "ISOCOST_MODEL"
_NO_KEY = "metered"
_MOST_ANSWER_BYTES = 4 * 2**20
_STDERR_BYTES = 2000
_TICK_S = 0.05
_LOOPBACK = "127.0.0.1,localhost,::1"
_SIGNALLED = 128
_PLACE = re.compile(r"\{(?:question|base_url|model)\}")


@dataclass(frozen=True)
class Question:
    """What a client is given.

    Attributes:
        problem: question, messages and the point's sampling, without the reference.
        base_url: address of the sample.
        model: name of the model.
        arguments: the method's.
    """

    problem: Mapping[str, Any]
    base_url: str
    model: str
    arguments: Mapping[str, Any]

    def as_json(self) -> str:
        """In one line."""
        return json.dumps(
            {
                "problem": dict(self.problem),
                "base_url": self.base_url,
                "model": self.model,
                "arguments": dict(self.arguments),
            }
        )


@dataclass(frozen=True)
class Ended:
    """How a client has ended.

    Attributes:
        answer: its answer; None if there is none.
        fault: what it did wrong, in a line; None if it answered.
        details: the end of what it said about that.
        cause: what `watched` said, if that ended it.
    """

    answer: str | None = None
    fault: str | None = None
    details: str = ""
    cause: str | None = None


Watch = Callable[[], str | None]
"""Asked now and then: why the client must be ended now; None to go on."""


class Client(Protocol):
    """Makes one sample at a time."""

    def ask(self, question: Question, watched: Watch) -> Ended:
        """Make one sample; the client's processes are gone, or idle, when it returns."""
        ...

    def close(self) -> None:
        """End what is left."""
        ...


class CommandClient:
    """A command line, one process per sample.

    It reads the question as JSON on standard input, has the address in the environment, and prints
    its answer. In its words ``{question}``, ``{base_url}`` and ``{model}`` are replaced.
    """

    def __init__(self, command: str, *, hidden: Sequence[str] = ()) -> None:
        """`hidden` are environment variables that it does not get."""
        self._words, self._hidden = shlex.split(command), tuple(hidden)

    def ask(self, question: Question, watched: Watch) -> Ended:
        """See `Client`."""
        values = {
            "{question}": str(question.problem.get("question", "")),
            "{base_url}": question.base_url,
            "{model}": question.model,
        }
        words = [_filled(word, values) for word in self._words]
        with tempfile.TemporaryFile() as given:
            given.write(question.as_json().encode())
            given.seek(0)
            with _Group(words, given, environment(question, self._hidden)) as group:
                cause = group.wait(watched)
                group.kill()
                group.read_rest()
        if cause is not None:
            return Ended(cause=cause)
        if group.code:
            return group.failure()
        answer = group.output().decode("utf-8", "replace").strip()
        return Ended(answer) if answer else Ended(fault="the client printed no answer")

    def close(self) -> None:
        """See `Client`; nothing is left."""


class FunctionClient:
    """A Python function, in a process that makes one sample after another."""

    def __init__(self, function: str, *, hidden: Sequence[str] = ()) -> None:
        """`hidden` are environment variables that it does not get."""
        self._words = [sys.executable, "-m", "isocost.meter.worker", function]
        self._hidden = tuple(hidden)
        self._group: _Group | None = None

    def ask(self, question: Question, watched: Watch) -> Ended:
        """See `Client`."""
        group = self._group
        if group is None:
            group = _Group(self._words, subprocess.PIPE, environment(question, self._hidden))
            self._group = group
        group.send(question.as_json() + "\n")
        cause = group.wait(watched, until=lambda: b"\n" in group.output())
        if cause is None and b"\n" not in group.output():
            group.kill()
            group.read_rest()
        line = group.output().partition(b"\n")[0]
        if cause is not None or not line:
            group.kill()
            group.read_rest()
            self.close()
            return Ended(cause=cause) if cause else group.failure()
        group.forget()
        said = json.loads(line)
        if "cannot_start" in said:
            self.close()
            return Ended(fault=f"the function cannot be imported: {said['cannot_start']}")
        if (error := said.get("error")) is not None:
            return Ended(fault=f"the function raised {error.splitlines()[-1]}", details=error)
        return Ended(said["answer"])

    def close(self) -> None:
        """See `Client`."""
        if self._group is not None:
            self._group.close()
        self._group = None


def environment(question: Question, hidden: Sequence[str]) -> dict[str, str]:
    """The environment of a client: it finds the meter, and no key of the server."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = {name: value for name, value in os.environ.items() if name not in hidden}
    direct = ",".join(filter(None, [found.get("NO_PROXY"), found.get("no_proxy"), _LOOPBACK]))
    return {
        **found,
        **dict.fromkeys(ADDRESS_VARIABLES, question.base_url),
        MODEL_VARIABLE: question.model,
        "OPENAI_API_KEY": _NO_KEY,
        "PATH": path,
        # Otherwise a proxy of the environment would be asked for the gateway.
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def _filled(word: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: values[found[0]], word)


def _failed(code: int, errors: str) -> Ended:
    """A client that has failed: how it ended, and the end of what it said."""
    last = errors.strip()[-_STDERR_BYTES:]
    if code > _SIGNALLED:
        name = signal.strsignal(code - _SIGNALLED) or str(code - _SIGNALLED)
        what = f"the client was ended by a signal ({name})"
    else:
        what = f"the client ended with exit code {code}"
    return Ended(fault=f"{what}: {last.splitlines()[-1]}" if last else what, details=last)


class _Group:
    """A command under its guard, with what it has said so far."""

    def __init__(
        self, words: Sequence[str], stdin: IO[bytes] | int, variables: Mapping[str, str]
    ) -> None:
        read, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(read), *words],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(variables),
                start_new_session=True,
                pass_fds=(read,),
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(read)
        self.code: int | None = None
        self._said = {"stdout": bytearray(), "stderr": bytearray()}
        self._selector = selectors.DefaultSelector()
        self._unsent = b""
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
        for name in self._said:
            stream = getattr(self._process, name)
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, name)

    def __enter__(self) -> _Group:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def output(self) -> bytes:
        """Standard output so far."""
        return bytes(self._said["stdout"])

    def failure(self) -> Ended:
        """How the command failed."""
        return _failed(self.code or 0, self._said["stderr"].decode("utf-8", "replace"))

    def forget(self) -> None:
        """Drop what was said."""
        for said in self._said.values():
            said.clear()

    def send(self, line: str) -> None:
        """Write to standard input, as fast as it is read while `wait` reads what is said.

        A process may say a lot before it reads, and a question may be larger than a pipe: to wait
        until all is written would stop both sides for ever.
        """
        self._unsent += line.encode()
        self._write()

    def _write(self) -> None:
        stream = self._process.stdin
        if not self._unsent or stream is None:
            return
        try:
            self._unsent = self._unsent[os.write(stream.fileno(), self._unsent) :]
        except BlockingIOError:
            return
        except OSError:  # nothing reads it any more, which its end will say
            self._unsent = b""

    def wait(self, watched: Watch, until: Callable[[], bool] = lambda: False) -> str | None:
        """Read until the command ends, or a condition holds, or it must be ended: then why."""
        while True:
            self._write()
            self._read(_TICK_S if not self._unsent else _TICK_S / 10)
            if until():
                return None
            if self._has_ended():
                return None
            if len(self._said["stdout"]) > _MOST_ANSWER_BYTES:
                return f"the client printed more than {_MOST_ANSWER_BYTES:,} bytes"
            if (cause := watched()) is not None:
                return cause

    def _has_ended(self) -> bool:
        """Whether the leader has ended; it keeps its number until the group is killed."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _read(self, timeout_s: float) -> bool:
        """Take what is there; whether there was something."""
        ready = self._selector.select(timeout_s) if self._selector.get_map() else []
        if not ready and not self._selector.get_map():
            time.sleep(timeout_s)
        for key, _ in ready:
            with suppress(BlockingIOError):
                piece = os.read(key.fd, 65536)
                if not piece:
                    self._selector.unregister(key.fileobj)
                    continue
                said = self._said[key.data]
                said += piece
                if key.data == "stderr":
                    del said[: -4 * _STDERR_BYTES]
        return bool(ready)

    def read_rest(self) -> None:
        """Take what is left; nothing writes any more."""
        while self._selector.get_map() and self._read(0.0):
            if len(self._said["stdout"]) > _MOST_ANSWER_BYTES:
                return

    def kill(self) -> None:
        """End every process of the group; only now its number may be used again."""
        if self.code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self.code = self._process.wait()

    def close(self) -> None:
        """End the group, and release what it held."""
        self.kill()
        with suppress(OSError):
            os.close(self._lifeline)
        self._lifeline = -1
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
