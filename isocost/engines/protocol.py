"""The interface between the payload and engines.

Lives here: settings, requests, completions, the `Engine` protocol and the registry. Not here: any
engine (one file each in this folder) and the loop that drives them (``isocost.payload``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from isocost.capabilities import ENGINES, Capabilities
from isocost.engines.logprobs import TokenLogprobs
from isocost.errors import IsocostError
from isocost.registry import did_you_mean

TEMPLATE = "chat_template_kwargs"
"""Key under which servers take arguments of the chat template, as a model in a sweep does."""

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything an engine needs to start. Sizes in bytes, lengths in tokens.

    Attributes:
        model_path: Hugging Face folder for an engine that loads one, otherwise the sweep's `path`:
            the model's name on a server.
        model_name: name of the model variant, for messages.
        dtype: numeric form of the weights; None if the sweep does not state it, as for a server.
        quantization: vLLM's name of a quantisation method, or None.
        revision: revision of the weights, recorded only for local folders.
        seed: seed of the engine's random stream.
        max_model_len: maximum prompt plus output; None if the server determines it.
        kv_cache_bytes: size of the KV cache; None if the server determines it.
        max_num_seqs: requests generated at once.
        max_num_batched_tokens: tokens per step.
        block_size: tokens of a KV block; None leaves the choice to the engine; it is recorded.
        enable_prefix_caching: whether prompts share their KV blocks.
        enforce_eager: no graph capture or compilation.
        logprobs_k: top log-probabilities per token; 0: of the sampled token only.
        options: settings specific to this engine.
        chat_template_kwargs: arguments of the model's chat template.
        reasoning_parser: vLLM's name of what separates reasoning from the answer; None leaves the
            text as it was generated.
        adapter_path: folder of a LoRA adapter in PEFT's format; None for none.
    """

    model_path: str
    model_name: str
    dtype: str | None
    quantization: str | None
    revision: str | None
    seed: int
    max_model_len: int | None
    kv_cache_bytes: int | None
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int | None
    enable_prefix_caching: bool
    enforce_eager: bool
    logprobs_k: int
    options: Mapping[str, Any]
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    reasoning_parser: str | None = None
    adapter_path: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the engine.

    Attributes:
        request_id: unique in the run; the call_id.
        messages: chat messages, or one text to be continued (``isocost.messages``).
        temperature: 0 is greedy.
        top_p: nucleus mass.
        top_k: 0 keeps all tokens.
        min_p: minimum probability relative to the most likely token.
        max_tokens: maximum number of tokens to generate.
        seed: seed of this request; None uses the engine's stream.
        problem_id: the key for a recorded answer in the replay engine, with the next two.
        prompt_hash: hash of the messages.
        sample_index: number of the sample; None for warm-up.
        call_index: number of the call in its sample; also a key of the replay engine.
        request_hash: hash of everything that a method asked, in place of `prompt_hash` in the key
            of the replay engine; None for the only call of a sample.
        prefix: tokens with which the model's own turn begins; for engines that declare
            ``continues_tokens``, as `continuation`. A last one that ends a turn is left out.
        continuation: text after the prefix with which the turn goes on.
        stop: texts that end generation.
        choices: answers to choose from by their first token; for engines that declare
            ``scores_choices``.
        steps: steps of a solution to the last message, to be scored in place of generating; for
            engines that declare ``scores_steps``.
        partner: alias of the partner that is asked; None for the point's own model. An engine
            serves one model and need not look at it.
        is_turn: whether the answer is a whole turn of the model, so that its reasoning can be
            separated; not if a method goes on with it, or chooses or stops within it.
    """

    request_id: str
    messages: Messages
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int
    seed: int | None
    problem_id: str
    prompt_hash: str
    sample_index: int | None
    call_index: int = 0
    request_hash: str | None = None
    prefix: tuple[int, ...] = ()
    continuation: str = ""
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    partner: str | None = None
    is_turn: bool = True


@dataclass(frozen=True, slots=True)
class Completion:
    """The result of a request.

    Unknown is None. Times in seconds; ``arrival_unix_s`` is wall clock, the others monotonic.

    Attributes:
        request_id: of the request.
        text: generated text without special tokens.
        token_ids: generated tokens.
        finish_reason: stop, length, abort, error, repetition, content_filter (the server withheld
            the rest), refusal (the model declined).
        stop_reason: stop string or token id; None for the end-of-sequence token.
        error: what went wrong.
        prompt_tokens: tokens of the prompt.
        output_tokens: tokens generated.
        cached_tokens: prompt tokens found in the prefix cache.
        logprobs: raw log-probabilities.
        arrival_unix_s: when the request was made.
        queued_s: when the engine accepted it.
        scheduled_s: when it was first scheduled.
        first_token_s: first token.
        last_token_s: last token.
        num_preemptions: how often it was preempted.
        num_retries: how often the request was sent again because the server was unreachable or its
            answer broke off; None if the engine has no server.
        choice_logprobs: ln p of the first token of each of the request's choices; None inside for
            one that is not among the most likely tokens, None without choices.
        step_scores: score of each of the request's steps, from 0 to 1; None without steps.
        reasoning_text: reasoning that was separated from the text; None if none was.
        reasoning_tokens: of the generated tokens, those of the reasoning; None if unknown.
        recorded: columns of raw_generations that come from the engine rather than the payload
            (replay).
    """

    request_id: str
    text: str | None
    token_ids: Sequence[int] | None
    finish_reason: str
    stop_reason: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    logprobs: TokenLogprobs | None = None
    arrival_unix_s: float | None = None
    queued_s: float | None = None
    scheduled_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    num_preemptions: int | None = None
    num_retries: int | None = None
    choice_logprobs: Sequence[float | None] | None = None
    step_scores: Sequence[float] | None = None
    reasoning_text: str | None = None
    reasoning_tokens: int | None = None
    recorded: Mapping[str, Any] = field(default_factory=dict)


REFUSALS = (IsocostError, ValueError, TypeError, LookupError)
"""What `Engine.add` raises for a call that the engine cannot take."""


def refused(request: Request, error: Exception) -> Completion:
    """The completion of a request that the engine refused."""
    said = f"the engine refuses the call: {error}"
    return Completion(request.request_id, None, None, "error", error=said)


class Engine(Protocol):
    """An engine that the payload can drive.

    Constructing one must be cheap and import nothing heavy; `start` does the work.

    Attributes:
        name: its name in a sweep.
        capabilities: what it loads, what it can report, and which of its settings are not part of a
            point.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def __init__(self, settings: EngineSettings) -> None:
        """Take the settings; raise IsocostError for unknown options."""

    def check(self) -> None:
        """Raise IsocostError for anything wrong before the engine is started.

        For example, no model folder, or too small a KV cache.
        """

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """Tokens of each prompt, known before `start`; None if only a server can tell.

        Used only for engines that declare that they report prompt lengths.
        """

    def room(self, request: Request) -> int | None:
        """Tokens that the context leaves for generation after a request's prompt and prefix.

        Zero or less if the prompt alone is too long; None if only a server can tell.
        """

    def start(self) -> None:
        """Start the engine; raise IsocostError if it cannot start."""

    def describe(self) -> dict[str, Any]:
        """Properties of the running engine, JSON-ready, after `start`.

        Returns:
            ``engine`` (its name), ``device`` and ``devices`` (the kind that it computes on, such
            as ``cuda``, and how many) if it computes here, ``resolved`` (the configuration as the
            engine resolved it: a mapping whose ``model`` has dtype and max_model_len if known) and
            ``version`` (of the generating software) if it is not a package installed here.
        """
        ...

    def add(self, request: Request) -> None:
        """Submit a request; return at once."""

    def step(self) -> list[Completion]:
        """Work or wait briefly; return what has finished, possibly nothing.

        Raises:
            EngineAway: the engine is no longer reachable; the requests in flight are not at fault.
        """
        ...

    def unfinished(self) -> int:
        """Requests submitted and not returned yet."""
        ...

    def settle(self) -> None:
        """Forget what the warm-up left behind, such as its prompts in the prefix cache.

        Called with nothing in flight.
        """

    def drain_steps(self) -> list[dict[str, Any]]:
        """Engine-step statistics since the last call, asked of engines that declare steps.

        Columns of raw_steps from ``end_s`` to ``fully_accepted_drafts``.
        """
        ...

    def close(self) -> None:
        """Release memory and devices; safe to call twice and before `start`."""


@runtime_checkable
class ReportsNotes(Protocol):
    """An engine with something to report while it runs, such as an unreachable server."""

    def drain_notes(self) -> list[str]:
        """Lines since the last call."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, for others that call it.

    Attributes:
        url: up to and including ``/v1``.
        model: name of the model there.
        key: sent as a bearer token; empty for none.
        key_variable: environment variable that holds the key; None for none.
        timeout_s: seconds without a byte after which an answer is given up.
        patience_s: seconds to wait for an unreachable server.
        context: tokens of the model's context; None if unknown.
    """

    url: str
    model: str
    key: str = ""
    key_variable: str | None = None
    timeout_s: float = 600.0
    patience_s: float = 900.0
    context: int | None = None


@runtime_checkable
class ServesHttp(Protocol):
    """An engine that declares ``serves_http``: a server that others can call as well."""

    def address(self) -> Address:
        """Where it is, after `start`."""
        ...


class EngineAway(IsocostError):
    """The engine is no longer reachable.

    The run ends as if it had been stopped: unanswered requests stay missing.
    """


register = ENGINES.add


def engine_class(name: str) -> type[Engine]:
    """The engine registered under a name.

    Raises:
        IsocostError: there is none.
    """
    return cast(type[Engine], ENGINES.get(name, where="engine.engine"))


def checked_options(
    settings: EngineSettings,
    known: Mapping[str, type | tuple[type, ...]],
    engine: str,
    *,
    hint: str = "",
) -> dict[str, Any]:
    """An engine's options, checked for known names and types.

    Args:
        settings: what the engine was given.
        known: names and types of its options.
        engine: its name.
        hint: what else to say about an option that is not known.

    Raises:
        IsocostError: an option is unknown or of the wrong type.
    """
    for key, value in settings.options.items():
        if key not in known:
            raise IsocostError(
                f"engine {engine} has no option {key!r}",
                where=f"engine.options.{key}",
                remedy=f"{did_you_mean(key, known, kind='options')} {hint}".strip(),
            )
        types = known[key]
        wanted = types if isinstance(types, tuple) else (types,)
        if not isinstance(value, wanted) or (isinstance(value, bool) and types is not bool):
            names = " or ".join(t.__name__ for t in wanted)
            raise IsocostError(
                f"must be {names}, is {type(value).__name__}",
                where=f"engine.options.{key}",
                remedy="Correct the sweep file.",
            )
    return dict(settings.options)
