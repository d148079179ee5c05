"""Get the judgements of requests: from the bank, otherwise by asking the judges.

Lives here: which requests are asked, how many at a time, and when a judge counts as away. Not here:
the exchange with a server (``client``), the files (``bank``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.judges.bank import Judgement, Pending, adding, judge_folder, read_judgements
from isocost.judges.client import Client, Failure
from isocost.progress import Progress
from isocost.tasks.rubrics import JudgeModel, Request

AWAY_AFTER = 3
"""Requests in a row that a server does not answer, until it counts as away."""


@dataclass
class Asker:
    """The judgements of a lake.

    Attributes:
        lake: where they are kept.
    """

    lake: Path

    def ask(self, requests: Sequence[Request]) -> dict[str, Judgement | Failure]:
        """What the judges say, by the key of the request; each is asked once, if at all.

        A judge that does not answer does not stop the others.

        Raises:
            Damaged: banked judgements are not what was sealed.
            MachineError: judgements cannot be written.
        """
        found: dict[str, Judgement | Failure] = {}
        by_judge: dict[str, list[Request]] = {}
        for request in {one.key: one for one in requests}.values():
            by_judge.setdefault(request.judge.model_dump_json(), []).append(request)
        for own in by_judge.values():
            folder = judge_folder(self.lake, own[0].judge.model)
            wanted = {request.key for request in own}
            known = read_judgements(folder, wanted)
            if any(request.key not in known for request in own):
                with adding(folder) as pending:
                    known = read_judgements(
                        folder, wanted
                    )  # another process may have asked meanwhile
                    missing = [request for request in own if request.key not in known]
                    found |= _run(_ask_all(own[0].judge, missing, pending))
            found |= {one.key: known[one.key] for one in own if one.key in known}
        return found


def _run(work: Coroutine[Any, Any, Mapping[str, Judgement | Failure]]) -> dict[str, Any]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return dict(asyncio.run(work))
    with ThreadPoolExecutor(1) as pool:  # the caller is in an event loop, such as a notebook's
        return dict(pool.submit(asyncio.run, work).result())


@dataclass
class _Course:
    """How asking one judge goes."""

    client: Client
    slots: asyncio.Semaphore
    pending: Pending
    told: Progress
    done: int = 0
    away: int = 0
    last: Failure | None = None

    async def one(self, request: Request) -> Judgement | Failure:
        async with self.slots:
            if self.last is not None and self.away >= AWAY_AFTER:
                return self.last
            found = await self.client.ask(request)
            if isinstance(found, Judgement):
                self.pending.add(found)
                self.away = 0
            elif found.is_away:
                self.away, self.last = self.away + 1, found
            self.done += 1
            self.told(self.done)
            return found


async def _ask_all(
    judge: JudgeModel, requests: Sequence[Request], pending: Pending
) -> Mapping[str, Judgement | Failure]:
    with Progress(f"asking judge {judge.label}", len(requests)) as told:
        async with Client(judge) as client:
            course = _Course(client, asyncio.Semaphore(judge.in_flight), pending, told)
            found = await asyncio.gather(*(course.one(request) for request in requests))
    return {request.key: one for request, one in zip(requests, found, strict=True)}
