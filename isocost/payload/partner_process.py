"""The process of a partner's engine: ``python -m isocost.payload.partner_process FD``.

Lives here: the loop that takes requests from a pipe, steps the engine and answers. Not here: the
other end of the pipe (``partner``). Only the payload starts it.

Messages to it: ("start", engine, settings), ("add", request), ("settle",), ("close",). From it:
("up", description) or ("refused", what, where, remedy); ("did", completions, steps, notes);
("gone", why).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from isocost.engines.parent import end_with_parent
from isocost.engines.protocol import (
    REFUSALS,
    Completion,
    Engine,
    EngineAway,
    ReportsNotes,
    engine_class,
    refused,
)
from isocost.errors import IsocostError


def serve(pipe: Connection) -> int:
    """Start the engine that is asked for and drive it until it is to close; the exit code."""
    _, name, settings = pipe.recv()
    engine = engine_class(name)(settings)
    try:
        engine.check()
        engine.start()
    except IsocostError as error:
        pipe.send(("refused", error.what, error.where, error.remedy))
        return 1
    try:
        pipe.send(("up", engine.describe()))
        _drive(engine, pipe)
    except EngineAway as error:
        pipe.send(("gone", str(error)))
        return 1
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 1  # the payload is gone
    except Exception as error:  # whatever an engine does wrong is said where it is banked
        with suppress(OSError):
            pipe.send(("gone", f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))
        raise
    finally:
        engine.close()
    return 0


def _drive(engine: Engine, pipe: Connection) -> None:
    while True:
        done: list[Completion] = []
        while pipe.poll(0 if engine.unfinished() or done else None):
            kind, *said = pipe.recv()
            if kind == "close":
                return
            if kind == "settle":
                engine.settle()
            if kind == "add":
                try:
                    engine.add(said[0])
                except EngineAway:
                    raise
                except REFUSALS as error:
                    done.append(refused(said[0], error))
        if engine.unfinished():
            done += engine.step()
        steps: list[Mapping[str, Any]] = (
            list(engine.drain_steps()) if engine.capabilities.has_steps else []
        )
        notes = engine.drain_notes() if isinstance(engine, ReportsNotes) else []
        if done or steps or notes:
            pipe.send(("did", done, steps, notes))


if __name__ == "__main__":
    end_with_parent()
    raise SystemExit(serve(Connection(int(sys.argv[1]))))
