"""Runs tries in processes of their own, kills one that hangs, and goes on.

Here: drawing of tries, worker processes, limits. Not here: what a try does (``kinds``), the table (``table``).
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.attack import kinds
from tests.attack.ground import Ground
from tests.attack.outcomes import HANG, IMPOSSIBLE, TRACE, Broken, Impossible, Outcome, busy

GRACE_S = 15.0
"""A worker that is asked to end has this long to end what its try started."""
MEMORY = 24 << 30
"""Address space of a worker: a try that fills the memory ends that worker, and no other process."""


def drawn(seed: int, names: Iterable[str] = kinds.NAMES) -> Iterator[str]:
    """Tries without end, kinds by their shares, targets in turn from a drawn start."""
    dice, names = random.Random(seed), list(names)
    shares = [kinds.kind(name).SHARE for name in names]
    turns = {name: dice.randrange(1000) for name in names}
    while True:
        name = dice.choices(names, shares)[0]
        targets = kinds.kind(name).TARGETS
        turns[name] += 1
        yield f"{name}/{targets[turns[name] % len(targets)]}/{dice.randrange(10**9)}"


def sampled(seed: int) -> list[str]:
    """A few tries of every kind, targets drawn without repeats while there are enough."""
    dice, found = random.Random(seed), []
    for name in kinds.NAMES:
        module = kinds.kind(name)
        targets = dice.sample(module.TARGETS, len(module.TARGETS))
        found += [
            f"{name}/{targets[n % len(targets)]}/{dice.randrange(10**9)}"
            for n in range(module.SAMPLE)
        ]
    return found


def one(name: str, ground: Ground) -> Outcome:
    """One try, in this process."""
    kind, _, rest = name.partition("/")
    target = rest.rpartition("/")[0]
    module, begun = kinds.kind(kind), time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="try-", dir=ground.home.parent))
    try:
        result, detail = module.attempt(ground, target, random.Random(name), place)
    except Broken as error:
        result, detail = error.result, error.detail
    except Impossible as error:
        result, detail = IMPOSSIBLE, str(error)
    except Exception:  # of the attack itself, or of what it calls directly
        result, detail = TRACE, traceback.format_exc()[-2000:]
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Outcome(name, result, detail, time.monotonic() - begun)


def _work(home: Path, pipe: Connection) -> None:
    from isocost.engines.parent import end_with_parent

    faulthandler.enable()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what a try started is ended
    end_with_parent()
    os.environ["PYTHONWARNINGS"] = "ignore"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    ground = Ground(home)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            pipe.send(one(pipe.recv(), ground))


class _Worker:
    def __init__(self, home: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(home, theirs))
        self.process.start()
        theirs.close()
        self.name, self.until = "", 0.0

    def give(self, name: str) -> None:
        self.name = name
        self.until = time.monotonic() + kinds.kind(name.partition("/")[0]).LIMIT_S * min(4, busy())
        self.pipe.send(name)

    def end(self) -> int | None:
        self.process.terminate()
        self.process.join(GRACE_S)
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode


def attack(
    home: Path, tries: Iterator[str], *, workers: int, until: Callable[[int], bool]
) -> Iterator[Outcome]:
    """Runs tries until there are none or ``until`` says so, given how many there were.

    Args:
        home: where ``Ground`` was built.
        tries: their names.
        workers: processes.
        until: whether to stop.
    """
    count, free, busy = 0, [_Worker(home) for _ in range(workers)], []
    try:
        while True:
            while free and not until(count) and (name := next(tries, None)) is not None:
                worker = free.pop()
                worker.give(name)
                busy.append(worker)
                count += 1
            if not busy:
                return
            soonest = max(0.0, min(worker.until for worker in busy) - time.monotonic())
            ready = wait([worker.pipe for worker in busy], timeout=soonest)
            for worker in [
                worker for worker in busy if worker.pipe in ready or time.monotonic() > worker.until
            ]:
                busy.remove(worker)
                outcome = _outcome(worker)
                free.append(worker if worker.process.is_alive() else _Worker(home))
                yield outcome
    finally:
        for worker in (*free, *busy):
            worker.end()


def _outcome(worker: _Worker) -> Outcome:
    if not worker.pipe.poll():
        worker.end()
        return Outcome(
            worker.name,
            HANG,
            f"nothing came back within {kinds.kind(worker.name.partition('/')[0]).LIMIT_S} s",
        )
    try:
        return worker.pipe.recv()
    except EOFError:
        return Outcome(worker.name, TRACE, f"the process died with {worker.end()}")
