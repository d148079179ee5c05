"""The thread that all requests to a server share.

Lives here: `Loop`. Not here: what happens to one request (``openai_calls``).
"""

from __future__ import annotations

import asyncio
import queue
from contextlib import ExitStack

from anyio.from_thread import start_blocking_portal

from isocost.engines.openai_calls import Calls
from isocost.engines.openai_http import Client
from isocost.engines.protocol import Completion, Request


class Loop:
    """An event loop with a pool of connections, in a thread that ends with the process."""

    def __init__(self, calls: Calls, most: int, done: queue.SimpleQueue[Completion]) -> None:
        """Start it.

        Args:
            calls: makes completions of requests.
            most: requests in flight at once.
            done: gets the completions.
        """
        self._calls, self._done = calls, done
        self._places = asyncio.Semaphore(most)
        self._open = ExitStack()
        self._portal = self._open.enter_context(
            start_blocking_portal(name="openai", backend_options={"use_uvloop": True})
        )
        self._open.callback(self._portal.call, self._portal.stop, True)  # breaks off its tasks
        self._client = self._open.enter_context(self._portal.wrap_async_context_manager(Client()))

    def add(self, request: Request, arrival: float, queued: float) -> None:
        """Ask for a completion; return at once."""
        self._portal.start_task_soon(self._ask, request, arrival, queued)

    async def _ask(self, request: Request, arrival: float, queued: float) -> None:
        async with self._places:
            made = await self._calls.completion(self._client, request, arrival, queued)
        if made is not None:
            self._done.put(made)

    def close(self) -> None:
        """Break off what is in flight, and end the thread."""
        self._open.close()
