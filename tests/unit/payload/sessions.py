"""Sessions and recorded banks made in a line, for tests of the payload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isocost.bank.files import Files
from isocost.bank.writer import open_run
from isocost.engines.protocol import Completion
from isocost.payload.rows import generation_row
from isocost.payload.work import Work, request_of
from isocost.sweep import (
    Budget,
    EngineConfig,
    ModelVariant,
    PlannedPoint,
    PromptSpec,
    Sampling,
    Session,
    TaskSpec,
    make_point,
)
from isocost.sweep.models import MethodSpec


def session(
    engine: str = "replay",
    *,
    session_id: str = "test-0123456789",
    problems: int = 4,
    samples: int = 3,
    prompts: tuple[str, ...] = ("direct", "steps"),
    path: str = "none",
    max_tokens: int = 8,
    options: dict[str, Any] | None = None,
    logprobs_k: int = 5,
    warmup_requests: int = 0,
    part_rows: int = 5,
    temperature: float = 0.7,
    method: str | MethodSpec = "sample",
    contexts: int = 0,
    partners: dict[str, EngineConfig] | None = None,
    **changes: Any,
) -> Session:
    config: dict[str, Any] = {
        "engine": engine,
        "model": ModelVariant(
            name="tiny", path=path, revision=None, dtype="float32", quantization=None, card=None
        ),
        "seed": 0,
        "max_model_len": 256,
        "kv_cache_bytes": 64 * 2**20,
        "max_num_seqs": 4,
        "max_num_batched_tokens": 512,
        "block_size": None,
        "enable_prefix_caching": True,
        "enforce_eager": True,
        "options": options or {},
    }
    engine_config = EngineConfig(**(config | changes))
    rows = [
        {"question": f"What is {n} + {n + 1}?", "reference": str(2 * n + 1)}
        | ({"context": f"context number {n % contexts} is given"} if contexts else {})
        for n in range(problems)
    ]
    task = TaskSpec(
        name="sums",
        source="inline",
        dataset="sums",
        config={"problems": rows},
        n_problems=problems,
        seed=0,
        verifier="numeric",
    )
    points = tuple(
        PlannedPoint(
            point=make_point(
                sweep="test",
                task=task,
                model=engine_config.model,
                prompt=PromptSpec(name=name, system=None, template=f"{name}: {{question}}"),
                sampling=Sampling(temperature=temperature, top_p=1.0, top_k=0, min_p=0.0),
                budget=Budget(max_tokens=max_tokens),
                seed=0,
                method=method,
                engine=engine_config,
                partners=partners or {},
            ),
            samples_per_problem=samples,
        )
        for name in prompts
    )
    return Session(
        session_schema=1,
        session_id=session_id,
        sweep="test",
        engine=engine_config,
        partners=partners or {},
        points=points,
        logprobs_k=logprobs_k,
        warmup_requests=warmup_requests,
        part_rows=part_rows,
        telemetry="none",
    )


def partner(like: Session, engine: str = "openai", *, name: str = "big", **changes: Any):
    """The engine configuration of a partner."""
    model = like.engine.model.model_copy(
        update={"name": name, "path": changes.pop("path", name), "card": changes.pop("card", None)}
    )
    return like.engine.model_copy(
        update={"engine": engine, "model": model, "options": {}} | changes
    )


def record(what: Session, lake: Path, *, seconds: float = 0.0) -> None:
    """Banks every sample of a session as if an engine had generated it, each `seconds` long."""
    work = Work(what)
    with open_run(Files(lake), what.session_id, part_rows=1000) as (writer, _):
        rows = []
        for sample in work.samples(work.plan):
            made = Completion(
                request_id="",
                text=f"sample {sample.sample_index} of {sample.asked.problem.question}",
                token_ids=[1, 2, sample.sample_index],
                finish_reason="stop",
                prompt_tokens=7,
                output_tokens=3,
                cached_tokens=0,
                arrival_unix_s=1000.0,
                queued_s=10.0,
                scheduled_s=10.0,
                first_token_s=10.0 + seconds / 3,
                last_token_s=10.0 + seconds,
                num_preemptions=0,
                recorded={"logprob_sum": -0.5 - sample.sample_index},
            )
            request = request_of(sample, per_request_seed=False)
            rows.append(
                generation_row(
                    sample, request, made, attempt=1, logprobs_k=5, window=2048, is_warmup=False
                )
            )
        writer.append("raw_generations", rows)
        writer.finish("finished")
