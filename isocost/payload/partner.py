"""The engine of a partner, in a process of its own.

Lives here: `PartnerEngine`, the end of the pipe that the payload holds. Not here: the other end
(``partner_process``), several engines as one (``crew``).

Two engines cannot share a process: they would work in turns, not at the same time; one that crashes
would take the other with it; and vLLM's second engine loses its process groups when the first one
is closed. What needs only the model's folder (checks, lengths of prompts) is done here.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from isocost.capabilities import Capabilities
from isocost.engines.protocol import (
    Completion,
    Engine,
    EngineSettings,
    Messages,
    Request,
    engine_class,
)
from isocost.errors import IsocostError

CLOSING_S = 25.0
"""How long an engine may take to end by itself, with what it has started; vllm_serve takes 20 s."""
_CHILD = "isocost.payload.partner_process"


class PartnerEngine:
    """Drives an engine in a child process; see `isocost.engines.protocol.Engine`.

    If the process ends or its server is away for good, the requests in flight and all later ones
    come back as errors: the samples that do not need the partner go on.

    Attributes:
        name: the engine's name in a sweep.
        capabilities: what it declares.
    """

    def __init__(self, alias: str, engine: str, settings: EngineSettings) -> None:
        """Prepare; nothing is started.

        Args:
            alias: the partner's.
            engine: name of the engine.
            settings: of the engine.

        Raises:
            IsocostError: there is no such engine, or it has no such option.
        """
        make = engine_class(engine)
        self.name: str = make.name
        self.capabilities: Capabilities = make.capabilities
        self._alias, self._settings = alias, settings
        self._here: Engine = make(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._talker: threading.Thread | None = None
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._description: dict[str, Any] = {}
        self._flying: set[str] = set()
        self._done: list[Completion] = []
        self._steps: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._ended: str | None = None

    def check(self) -> None:
        """See `Engine`."""
        self._here.check()

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """See `Engine`."""
        return self._here.prompt_lengths(prompts)

    def room(self, request: Request) -> int | None:
        """See `Engine`."""
        return self._here.room(request)

    def start(self) -> None:
        """See `Engine`.

        Raises:
            IsocostError: the engine does not start, with its own message.
        """
        ours, theirs = socket.socketpair()
        self._pipe = Connection(ours.detach())
        with theirs:
            # In a group of its own: Ctrl-C is for the payload, which ends its engines in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", _CHILD, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=os.environ,
            )
        # Threads read what the child says and write what it is sent: while it is at a step its pipe
        # fills up, and whoever writes waits. The payload must not, nor its own engine with it.
        threading.Thread(target=self._listen, args=(self._pipe,), daemon=True).start()
        self._talker = threading.Thread(target=self._talk, args=(self._pipe,), daemon=True)
        self._talker.start()
        self._send("start", self.name, self._settings)
        kind, *said = self._news.get()
        if kind == "up":
            [self._description] = said
            return
        if kind == "refused":
            raise IsocostError(said[0], where=said[1], remedy=said[2])
        raise IsocostError(
            f"the process of the engine ended while it started ({self._exit()})",
            remedy="The lines above are its own. Give it less memory, or correct its settings.",
        )

    def describe(self) -> dict[str, Any]:
        """See `Engine`."""
        return self._description

    def add(self, request: Request) -> None:
        """See `Engine`."""
        self._flying.add(request.request_id)
        self._send("add", request)

    def step(self) -> list[Completion]:
        """What has finished since the last call; never waits."""
        with suppress(queue.Empty):
            while True:
                self._take(*self._news.get_nowait())
        if self._ended is not None:
            self._done += [
                Completion(request_id, None, None, "error", error=self._ended)
                for request_id in sorted(self._flying)
            ]
            self._flying.clear()
        done, self._done = self._done, []
        return done

    def unfinished(self) -> int:
        """See `Engine`."""
        return len(self._flying) + len(self._done)

    def settle(self) -> None:
        """See `Engine`."""
        self._send("settle")

    def drain_steps(self) -> list[dict[str, Any]]:
        """See `Engine`."""
        rows, self._steps = self._steps, []
        return rows

    def drain_notes(self) -> list[str]:
        """See `ReportsNotes`."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """See `Engine`."""
        process, self._process = self._process, None
        if process is None:
            return
        self._send("close")
        for end in (None, process.terminate, process.kill):
            if end is not None:
                end()
            with suppress(subprocess.TimeoutExpired):
                process.wait(CLOSING_S)
                break
        self._outbox.put(None)
        if self._talker is not None:
            self._talker.join(CLOSING_S)
        if self._pipe is not None:
            self._pipe.close()

    def _send(self, *message: Any) -> None:
        """Send a message; one to a process that has ended is answered by `step`."""
        self._outbox.put(ForkingPickler.dumps(message))

    def _talk(self, pipe: Connection) -> None:
        with suppress(OSError):
            while (message := self._outbox.get()) is not None:
                pipe.send_bytes(message)

    def _listen(self, pipe: Connection) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._news.put(pipe.recv())
        self._news.put(("ended",))

    def _take(self, kind: str, *said: Any) -> None:
        if kind == "did":
            done, steps, notes = said
            self._done += [one for one in done if one.request_id in self._flying]
            self._flying -= {one.request_id for one in done}
            self._steps += steps
            self._notes += [f"partner {self._alias}: {note}" for note in notes]
            return
        if self._ended is not None:
            return
        why = said[0] if said else f"its process ended unexpectedly ({self._exit()})"
        self._ended = f"partners.{self._alias}: the engine {self.name} is gone: {why}"
        self._notes.append(f"{self._ended}; calls of this partner fail, the others go on")

    def _exit(self) -> str:
        """How the process ended."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_S)
        code = self._process.returncode
        if code is None:
            return "it still runs, but says nothing"
        return f"signal {-code}" if code < 0 else f"exit code {code}"
