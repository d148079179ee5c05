"""Requests to a server, each until it is answered or fails for good.

Lives here: `Calls`, which sends any number at once from one event loop. Times are the client's: a
request is "scheduled" when it is sent for the last time, and its first token is the first piece of
text to arrive. Not here: the exchange and its limits (``openai_http``), the stream
(``openai_stream``), when a request is sent again (``openai_tries``), whether the server is
reachable (``breaker``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from isocost.credentials import without
from isocost.engines.breaker import Breaker, GivenUp, Turn
from isocost.engines.openai_faults import Away, Broken, ExchangeFailed, Refused, Shut
from isocost.engines.openai_http import Client
from isocost.engines.openai_limits import Limits, RequestLimits
from isocost.engines.openai_server import Server
from isocost.engines.openai_stream import Answer, Unusable, events
from isocost.engines.openai_tries import Tries
from isocost.engines.protocol import TEMPLATE, Completion, EngineSettings, Request
from isocost.errors import IsocostError
from isocost.messages import is_plain

_MOST_ANSWER_BYTES = 4 * 2**20
_TOKEN_BYTES, _TOP_BYTES = 2048, 512
"""Maximum bytes per token in a stream, including its event, and per alternative."""


class Calls:
    """See the module's docstring."""

    def __init__(
        self,
        server: Server,
        settings: EngineSettings,
        limits: RequestLimits,
        breaker: Breaker,
        *,
        chat: bool,
        extra: Mapping[str, Any],
        context: int | None,
    ) -> None:
        """Prepare; send nothing.

        Args:
            server: address and key.
            settings: model and log-probabilities.
            limits: of each request.
            breaker: shared by all requests.
            chat: whether it is the chat API.
            extra: added to every request.
            context: tokens of the model's context; None if unknown.
        """
        self._server, self._settings, self._limits = server, settings, limits
        self._breaker, self._chat, self._extra = breaker, chat, dict(extra)
        self._context = context

    async def completion(
        self, client: Client, request: Request, arrival: float, queued: float
    ) -> Completion | None:
        """The completion of a request, whatever happens; None if it was given up.

        Args:
            client: sends it.
            request: the request.
            arrival: when it was made, wall clock.
            queued: when it was accepted, monotonic seconds.
        """
        tries = Tries(self._limits.retries, self._breaker)
        try:
            return await self._ask(client, request, arrival, queued, tries)
        except GivenUp:
            return None  # never answered, so there is nothing to record
        except Exception as error:
            is_known = isinstance(error, ExchangeFailed | Unusable | IsocostError)
            said = str(error) if is_known else f"{type(error).__name__}: {error}"
            return Completion(
                request_id=request.request_id,
                text=None,
                token_ids=None,
                finish_reason="error",
                error=self._server.redacted(said),
                arrival_unix_s=arrival,
                num_retries=tries.number,
            )

    async def _ask(
        self, client: Client, request: Request, arrival: float, queued: float, tries: Tries
    ) -> Completion:
        """Send a request until it is answered or fails for good.

        A text that broke off is discarded and requested again from the start.

        Raises:
            GivenUp: it was not answered and will not be.
            ExchangeFailed, Unusable: it ends in an error.
        """
        body = self._body(request)
        while True:
            with await self._breaker.admit() as turn:
                try:
                    answer = await self._receive(client, body, turn)
                    break
                except Away as error:
                    wait = tries.away(error)
                    if error.is_busy:
                        turn.busy(self._server.redacted(str(error)))
                    else:
                        turn.away(self._server.redacted(str(error)), error.wait_s)
                except Shut as error:
                    self._breaker.give_up(
                        self._server.redacted(
                            f"the server accepts no further requests with this key: {error}"
                        )
                    )
                    raise GivenUp from None
                except (Broken, ValueError, Unusable) as error:
                    is_outage = self._breaker.is_open()
                    wait = tries.failed(error, is_outage=is_outage)
                    if is_outage:
                        turn.away(self._server.redacted(str(error)))
                except Refused:
                    turn.answered(is_whole=True)
                    raise
            await self._breaker.pause(wait)
        return self._completion(request, body, answer, (arrival, queued, turn.sent_s), tries.number)

    async def _receive(self, client: Client, body: dict[str, Any], turn: Turn) -> Answer:
        """One exchange.

        Raises:
            ExchangeFailed: there is no complete answer.
            Unusable: the answer is invalid.
            ValueError: it is not JSON.
        """
        answer, most, limit = Answer(), _most_output(body) or 0, self._limits
        size = _MOST_ANSWER_BYTES + most * (_TOKEN_BYTES + _TOP_BYTES * self._settings.logprobs_k)
        limits = Limits(
            limit.timeout_s,
            limit.deadline_s,
            size,
            connect_s=limit.connect_s,
            first_token_s=limit.first_token_s,
        )
        chat = "messages" in body
        path = "/chat/completions" if chat else "/completions"
        async with client.exchange(
            self._server.url + path, body, key=self._server.key(), limits=limits
        ) as response:
            turn.answered()
            async for event in events(response.pieces()):
                answer.take(event, chat=chat)
                limits.piece(is_token=answer.first_s is not None)
            if answer.finish_reason is None:
                raise Broken("the stream ended without a finish reason")
            answer.last_s = time.monotonic()
        turn.answered(is_whole=True)
        return answer

    def _completion(
        self,
        request: Request,
        body: dict[str, Any],
        answer: Answer,
        times: tuple[float, float, float],
        retries: int,
    ) -> Completion:
        arrival, queued, sent = times
        counts = answer.counts(most_output=_most_output(body), context=self._context)
        logprobs = answer.logprobs(self._settings.logprobs_k, counts["output_tokens"])
        finish, reasoning = answer.finish(), answer.whole_reasoning()
        notes = [
            *(["the server ended it with an error"] if finish == "error" else []),
            *answer.notes,
        ]
        return Completion(
            request_id=request.request_id,
            text=without(answer.whole_text(), [self._server.key()]),
            reasoning_text=reasoning and without(reasoning, [self._server.key()]),
            token_ids=None,
            finish_reason=finish,
            stop_reason=answer.ended_by(self._server.redacted),
            error=self._server.redacted("; ".join(notes)) if notes else None,
            **counts,
            logprobs=logprobs,
            arrival_unix_s=arrival,
            queued_s=queued,
            scheduled_s=sent,
            first_token_s=answer.first_s,
            last_token_s=answer.last_s,
            num_retries=retries,
        )

    def _body(self, request: Request) -> dict[str, Any]:
        k = self._settings.logprobs_k
        body: dict[str, Any] = {
            "model": self._settings.model_path,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        # Not in OpenAI's own API: sent only if set.
        body |= {"top_k": request.top_k} if request.top_k else {}
        body |= {"min_p": request.min_p} if request.min_p else {}
        body |= {"seed": request.seed} if request.seed is not None else {}
        body |= {"stop": list(request.stop)} if request.stop else {}
        extra = dict(self._extra)
        if self._chat and not is_plain(request.messages):
            body |= {
                "messages": [dict(m) for m in request.messages],
                "logprobs": True,
                "top_logprobs": k,
            }
        else:
            body |= {"prompt": "\n\n".join(m["content"] for m in request.messages), "logprobs": k}
            extra.pop(TEMPLATE, None)  # a plain text has no template
        return body | extra


def _most_output(body: dict[str, Any]) -> int | None:
    """Maximum number of tokens that a request asks for.

    The sweep's ``extra_body`` may name it differently.
    """
    given = [body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return max((most for most in given if type(most) is int), default=None)
