"""The engines of a session: its own, and those of its partners.

Lives here: `Crew`, which sends each request to the engine of its model and drives all of them at
once. Not here: the process of a partner (``partner``), the payload's loop (``loop``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from isocost.engines.protocol import Completion, Engine, ReportsNotes, Request
from isocost.errors import IsocostError

_PAUSE_S = 0.002
"""Between two looks at the partners while the session's own engine has nothing to do."""


class Crew:
    """Several engines, driven like one.

    Attributes:
        own: the session's engine.
        partners: the engines of its partners, by alias; their steps never wait.
    """

    def __init__(self, own: Engine, partners: Mapping[str, Engine] | None = None) -> None:
        """Take the engines; none is started."""
        self.own, self.partners = own, dict(partners or {})

    def __getitem__(self, partner: str | None) -> Engine:
        """The engine of a partner, or the session's for None."""
        return self.own if partner is None else self.partners[partner]

    def items(self) -> list[tuple[str | None, Engine]]:
        """Every engine with its partner's alias, the session's own first."""
        return [(None, self.own), *self.partners.items()]

    def check(self) -> None:
        """See `Engine`."""
        for partner, engine in self.items():
            with naming(partner):
                engine.check()

    def room(self, request: Request) -> int | None:
        """See `Engine`."""
        return self[request.partner].room(request)

    def start(self) -> None:
        """Start every engine, one after the other: engines measure free memory as they start."""
        for partner, engine in self.items():
            with naming(partner):
                engine.start()

    def describe(self) -> dict[str, Any]:
        """What the manifest says of the engines: ``engine``, and ``partners`` if there are any."""
        found: dict[str, Any] = {"engine": self.own.describe()}
        if self.partners:
            found["partners"] = {alias: one.describe() for alias, one in self.partners.items()}
        return found

    def computing_here(self) -> list[Engine]:
        """The engines that compute on this machine."""
        return [one for _, one in self.items() if one.capabilities.computes_here]

    def add(self, request: Request) -> None:
        """See `Engine`."""
        self[request.partner].add(request)

    def step(self) -> list[Completion]:
        """See `Engine`: work of the session's own engine, and what the partners have finished."""
        done = self.own.step() if self.own.unfinished() or not self.partners else []
        for engine in self.partners.values():
            done += engine.step()
        if self.partners and not done and not self.own.unfinished():
            time.sleep(_PAUSE_S)
        return done

    def settle(self) -> None:
        """See `Engine`."""
        for _, engine in self.items():
            engine.settle()

    def drain_steps(self) -> list[dict[str, Any]]:
        """Steps of the engines that have any, with the partner whose they are."""
        return [
            {**row, "partner": partner}
            for partner, engine in self.items()
            if engine.capabilities.has_steps
            for row in engine.drain_steps()
        ]

    def drain_notes(self) -> list[str]:
        """See `ReportsNotes`."""
        return [
            note
            for _, engine in self.items()
            if isinstance(engine, ReportsNotes)
            for note in engine.drain_notes()
        ]

    def close(self) -> None:
        """See `Engine`: all are closed, whatever one of them raises."""
        try:
            self.own.close()
        finally:
            for engine in self.partners.values():
                engine.close()


def share_cores() -> None:
    """Let engines in several processes compute on the same cores.

    Threads of OpenMP spin while they wait, and would take the cores from the other engine.
    To be set before PyTorch is imported; an existing value is kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def naming(partner: str | None) -> Iterator[None]:
    """Errors of a partner's engine name its key in the sweep file."""
    try:
        yield
    except IsocostError as error:
        if partner is None:
            raise
        place = f"partners.{partner}"
        where = error.where or ""
        own = f"{place}.{where}" if where.split(".")[0] in ("engine", "model") else place
        more = f"{own} ({where})" if where and own == place else own
        raise IsocostError(error.what, where=more, remedy=error.remedy) from error
