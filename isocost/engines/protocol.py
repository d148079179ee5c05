"""What the payload asks of an engine, and what it gets back.

Lives here: settings, requests, completions, the `Engine` protocol and the registry. Not here: any
engine (one file each beside this one) and the loop that drives them (``isocost.payload``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from isocost.capabilities import ENGINES, Capabilities
from isocost.engines.logprobs import TokenLogprobs
from isocost.errors import IsocostError
from isocost.registry import did_you_mean

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything an engine needs to start. Sizes in bytes, lengths in tokens.

    Attributes:
        model_path: Hugging Face folder of an engine that loads one, else what the sweep calls
            `path`: the model's name at a server.
        model_name: name of the model variant, for messages.
        dtype: numeric form of the weights; None where the sweep does not say, as for a server.
        quantization: vLLM's name of a quantisation method, or None.
        revision: revision of the weights, recorded only for local folders.
        seed: seed of the engine's random stream.
        max_model_len: longest prompt plus output; None where it is the server's own.
        kv_cache_bytes: size of the KV cache; None where it is the server's own.
        max_num_seqs: requests generated at once.
        max_num_batched_tokens: tokens per step.
        block_size: tokens of a KV block; None leaves the choice to the engine, which is recorded.
        enable_prefix_caching: whether prompts share their KV blocks.
        enforce_eager: no graph capture or compilation.
        logprobs_k: top log-probabilities per token; 0: of the sampled token only.
        options: what only this engine understands.
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


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the engine.

    Attributes:
        request_id: unique in the run; the call_id.
        messages: chat messages.
        temperature: 0 is greedy.
        top_p: nucleus mass.
        top_k: 0 keeps all tokens.
        min_p: least probability relative to the most likely token.
        max_tokens: most tokens to generate.
        seed: seed of this request; None uses the engine's stream.
        problem_id: what the replay engine looks a recorded answer up by, with the next two.
        prompt_hash: hash of the messages.
        sample_index: number of the sample; None for warm-up.
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


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of a request. Unknown is None. Times in seconds; ``arrival_unix_s`` is wall clock,
    the others monotonic.

    Attributes:
        request_id: of the request.
        text: generated text without special tokens.
        token_ids: generated tokens.
        finish_reason: stop, length, abort, error, repetition.
        stop_reason: stop string or token id; None for the end-of-sequence token.
        error: what went wrong.
        prompt_tokens: tokens of the prompt.
        output_tokens: tokens generated.
        cached_tokens: prompt tokens found in the prefix cache.
        logprobs: raw log-probabilities.
        arrival_unix_s: when the request was made.
        queued_s: when the engine took it.
        scheduled_s: when it was first scheduled.
        first_token_s: first token.
        last_token_s: last token.
        num_preemptions: how often it lost its memory.
        num_retries: how often the request was sent again because the server was away or its answer
            broke off; None where the engine has no server.
        recorded: columns of raw_generations that the engine knows better than the payload can
            compute (replay).
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
    recorded: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """An engine that the payload can drive. Constructing one must be cheap and import nothing
    heavy; `start` does the work.

    Attributes:
        name: what a sweep calls it.
        capabilities: what it loads, what it can tell, and which of its settings are no part of a
            point.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def __init__(self, settings: EngineSettings) -> None:
        """Takes the settings; raises IsocostError for options that the engine does not know."""

    def check(self) -> None:
        """Raises IsocostError for what is wrong before the engine is started.

        No model folder, too small a KV cache.
        """

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """Tokens of each prompt, known before `start`; None where only a server can tell.

        Asked of engines that declare that they tell prompt lengths.
        """

    def start(self) -> None:
        """Starts the engine; raises IsocostError when it cannot."""

    def describe(self) -> dict[str, Any]:
        """What is to be known of the running engine, JSON-ready, after `start`.

        Returns:
            ``engine`` (its name), ``device`` and ``devices`` (the kind that it computes on, such
            as ``cuda``, and how many) where it computes here, ``resolved`` (the configuration as
            the engine resolved it: a mapping whose ``model`` has dtype and max_model_len where they
            are known) and ``version`` (of what generates) where it is not that of a package here.
        """

    def add(self, request: Request) -> None:
        """Hands a request over; returns at once."""

    def step(self) -> list[Completion]:
        """Works or waits a little and returns what has finished, possibly nothing.

        Raises:
            EngineAway: what generates cannot be reached any more; nothing is wrong with the
                requests in flight.
        """

    def unfinished(self) -> int:
        """Requests handed over and not returned yet."""

    def settle(self) -> None:
        """Forgets what the warm-up left behind, e.g.

        Its prompts in the prefix cache. Called with nothing in flight.
        """

    def drain_steps(self) -> list[dict[str, Any]]:
        """Engine-step statistics since the last call, asked of engines that declare steps.

        Columns of raw_steps from ``end_s`` to ``fully_accepted_drafts``.
        """

    def close(self) -> None:
        """Gives memory and devices back; safe to call twice and before `start`."""


@runtime_checkable
class TellsNotes(Protocol):
    """An engine with something to report while it runs, such as a server that is away."""

    def drain_notes(self) -> list[str]:
        """Lines since the last call."""


class EngineAway(IsocostError):
    """What generates cannot be reached any more.

    The run ends as if it had been stopped: what was not answered stays missing.
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
    """An engine's options, each of a known name and type.

    Args:
        settings: what the engine was given.
        known: names and types of its options.
        engine: its name.
        hint: what else to say about an option that is not known.

    Raises:
        IsocostError: an option is unknown or of another type.
    """
    for key, value in settings.options.items():
        if key not in known:
            raise IsocostError(
                f"engine {engine} has no option {key!r}",
                where=f"engine.options.{key}",
                remedy=f"{did_you_mean(key, known, kind='options')} {hint}".strip(),
            )
        if not isinstance(value, known[key]) or (
            isinstance(value, bool) and known[key] is not bool
        ):
            wanted = known[key] if isinstance(known[key], tuple) else (known[key],)
            names = " or ".join(t.__name__ for t in wanted)
            raise IsocostError(
                f"must be {names}, is {type(value).__name__}",
                where=f"engine.options.{key}",
                remedy="Mend the sweep file.",
            )
    return dict(settings.options)
