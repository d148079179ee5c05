"""Expand a sweep to points, and group points into engine sessions.

Lives here: the pure expansion (same spec, same result, on every machine) and the grouping by engine
configuration. Not here: reading files (isocost.sweep.loader), or anything that depends on the
machine (isocost.sweep.limits).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from isocost.capabilities import Role
from isocost.errors import IsocostError
from isocost.hashing import canonical_json, sha256_hex, slug
from isocost.methods import method_of
from isocost.registry import did_you_mean
from isocost.sweep.models import (
    SAMPLE,
    Budget,
    EngineConfig,
    MethodSpec,
    ModelVariant,
    PlannedPoint,
    Point,
    PromptSpec,
    Sampling,
    Session,
    TaskSpec,
    engine_settings_of,
    make_point,
    partner_settings_of,
)
from isocost.sweep.spec import Exclusion, Grid, ModelEntry, SweepSpec

MAX_POINTS = 100_000
"""More points than this are a mistake in the grid rather than intended.

Dagster's partitions and pages could not handle them.
"""


_NO_PARTNERS: Mapping[str, EngineConfig] = MappingProxyType({})


def model_variants(entry: ModelEntry) -> tuple[ModelVariant, ...]:
    """The numeric forms of one model.

    The model itself, or its variants, each named "model-variant".
    """
    return tuple(ModelVariant(**weights.model_dump()) for weights in entry.weights())


def engine_configs(spec: SweepSpec) -> tuple[EngineConfig, ...]:
    """One engine configuration per model variant and value of the engine's listed settings."""
    engine = spec.engine
    fixed = {
        key: getattr(engine, key)
        for key in (
            "engine",
            "seed",
            "kv_cache_bytes",
            "block_size",
            "enable_prefix_caching",
            "enforce_eager",
            "options",
        )
    }
    return tuple(
        EngineConfig(
            model=variant,
            max_model_len=length,
            max_num_seqs=seqs,
            max_num_batched_tokens=batched,
            **fixed,
        )
        for entry in spec.models
        for variant in model_variants(entry)
        for length, seqs, batched in itertools.product(
            (None,) if engine.max_model_len is None else engine.max_model_len,
            engine.max_num_seqs,
            engine.max_num_batched_tokens,
        )
    )


def partner_config(spec: SweepSpec, alias: str, engine: EngineConfig) -> EngineConfig:
    """The engine configuration of a partner, beside an engine of the sweep.

    Args:
        spec: the sweep.
        alias: of one of its partners.
        engine: has the values of the keys that the partner leaves out.
    """
    entry = spec.partners[alias]
    stated = {
        key: getattr(entry.engine, key)
        for key in entry.engine.model_fields_set
        if getattr(entry.engine, key) is not None
    }
    return engine.model_copy(
        update={
            "options": {},
            **stated,
            "model": ModelVariant(**entry.model.model_dump()),
        }
    )


def expand(spec: SweepSpec) -> tuple[PlannedPoint, ...]:
    """Every point of a sweep, in file order: engine, task, prompt, sampling, budget, seed.

    Pure: reads nothing but its argument.

    Raises:
        IsocostError: zero points, more than 100,000, or two entries that come out as the same
            point.
    """
    _check_size(spec)
    places: dict[str, str] = {}
    planned = []
    for point in _points(spec):
        label = f"{point.model.name} / {point.task.name} / {point.prompt.name}"
        if point.point_id in places:
            raise IsocostError(
                f"the same point occurs twice ({places[point.point_id]}; {label})",
                where=spec.source.where("grid"),
                remedy=(
                    "Remove the repeated value or entry. To get more samples of a point, raise "
                    "samples_per_problem."
                ),
            )
        places[point.point_id] = label
        planned.append(PlannedPoint(point=point, samples_per_problem=spec.samples_per_problem))
    if not planned:
        raise IsocostError(
            "the grid has zero points: every one is excluded",
            where=spec.source.where("exclude"),
            remedy="Narrow or remove an exclusion.",
        )
    return tuple(planned)


def _check_size(spec: SweepSpec) -> None:
    axes: list[tuple[tuple[str | int, ...], int]] = [
        ((axis,), len(getattr(spec, axis))) for axis in ("models", "tasks", "prompts")
    ]
    axes += [(("grid", axis), len(getattr(spec.grid, axis))) for axis in Grid.model_fields]
    engine = {
        axis: getattr(spec.engine, axis)
        for axis in ("max_model_len", "max_num_seqs", "max_num_batched_tokens")
    }
    axes += [
        (("engine", axis), len(values)) for axis, values in engine.items() if values is not None
    ]
    for index, prompt in enumerate(spec.prompts):
        axes += [
            (("prompts", index, key), len(value))
            for key in ("max_tokens", "tasks")
            if (value := getattr(prompt, key)) is not None
        ]
    total = 1
    for key, size in axes:
        if size == 0:
            raise IsocostError(
                "the grid has zero points: this list is empty",
                where=spec.source.where(*key),
                remedy="Give at least one value.",
            )
        total *= size if key[0] != "prompts" or len(key) == 1 else 1
    if total > MAX_POINTS:
        raise IsocostError(
            f"the grid has {total:,} points",
            where=spec.source.where("grid"),
            remedy=f"Keep it under {MAX_POINTS:,}; split it into several sweeps.",
        )


def _points(spec: SweepSpec) -> Iterator[Point]:
    grid = spec.grid
    methods = tuple(
        (expanded_method(spec, index), partners_of(spec, index))
        for index in range(len(grid.method))
    )
    sampling = tuple(itertools.product(grid.temperature, grid.top_p, grid.top_k, grid.min_p))
    for engine, task_entry, prompt_entry in itertools.product(
        engine_configs(spec), spec.tasks, spec.prompts
    ):
        if prompt_entry.tasks is not None and task_entry.name not in prompt_entry.tasks:
            continue
        task = TaskSpec(**{key: getattr(task_entry, key) for key in TaskSpec.model_fields})
        prompt = PromptSpec(**{key: getattr(prompt_entry, key) for key in PromptSpec.model_fields})
        budgets = grid.max_tokens if prompt_entry.max_tokens is None else prompt_entry.max_tokens
        for drawn, max_tokens, seed, (method, aliases) in itertools.product(
            sampling, budgets, grid.seed, methods
        ):
            temperature, top_p, top_k, min_p = drawn
            point = make_point(
                sweep=spec.sweep,
                task=task,
                model=engine.model,
                prompt=prompt,
                sampling=Sampling(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p),
                budget=Budget(max_tokens=max_tokens),
                seed=seed,
                method=method,
                engine=engine,
                partners={alias: partner_config(spec, alias, engine) for alias in aliases},
            )
            if not any(_matches(rule, point) for rule in spec.exclude):
                yield point


def expanded_method(spec: SweepSpec, index: int) -> Literal["sample"] | MethodSpec:
    """One entry of the grid's methods with every parameter.

    Raises:
        IsocostError: there is no such method, or it does not take these parameters.
    """
    entry = spec.grid.method[index]
    where = spec.source.where("grid", "method", index)
    method = method_of(entry.name, entry.parameters, where=where)
    if entry.name == SAMPLE:
        return SAMPLE
    return MethodSpec(name=entry.name, parameters=method.model_dump(mode="json"))


def partners_of(spec: SweepSpec, index: int) -> tuple[str, ...]:
    """The aliases of the partners that one entry of the grid's methods calls, sorted.

    Raises:
        IsocostError: the sweep has no partner with one of them.
    """
    entry = spec.grid.method[index]
    where = spec.source.where("grid", "method", index)
    wanted = method_of(entry.name, entry.parameters, where=where).partners()
    for alias in wanted:
        if alias not in spec.partners:
            raise IsocostError(
                f"method {entry.name} calls the partner {alias!r}, which the sweep does not have",
                where=where,
                remedy=did_you_mean(alias, spec.partners, kind="partners")
                if spec.partners
                else f"Add partners.{alias} with a model, and an engine where it differs.",
            )
    return tuple(sorted(wanted))


def _matches(rule: Exclusion, point: Point) -> bool:
    found = {
        "model": point.model.name,
        "task": point.task.name,
        "prompt": point.prompt.name,
        "temperature": point.sampling.temperature,
        "max_tokens": point.budget.max_tokens,
        "seed": point.seed,
        "method": point.method_name,
    }
    given = {key: getattr(rule, key) for key in found if getattr(rule, key) is not None}
    return bool(given) and all(found[key] in values for key, values in given.items())


def session_id_of(
    sweep: str, engine: EngineConfig, partners: Mapping[str, EngineConfig] = _NO_PARTNERS
) -> str:
    """Id of a session: its readable parts, then 10 hexadecimal digits.

    The readable parts are sweep, model variant and engine; the digits hash sweep, engine
    configuration and those of the partners, if it has any.

    It does not depend on the points, so a sweep that grows keeps its partitions, nor on settings
    that change neither answers nor the way a session runs (a server's address).
    """
    readable = f"{slug(sweep, 32)}-{slug(engine.model.name, 40)}-{engine.engine}"
    roles = (Role.IDENTITY, Role.CONDITION)
    named = {"sweep": sweep, "engine": engine_settings_of(engine.model_dump(mode="json"), *roles)}
    if partners:
        dumped = {alias: one.model_dump(mode="json") for alias, one in partners.items()}
        named["partners"] = partner_settings_of(dumped, *roles)
    return f"{readable}-{sha256_hex(named, 10)}"


def plan_sessions(spec: SweepSpec) -> tuple[Session, ...]:
    """Group the points of a sweep by engine configuration and partners.

    Each group is one engine start, in the order of the file.
    """
    groups: dict[str, list[PlannedPoint]] = {}
    for planned in expand(spec):
        key = planned.point.model_dump(mode="json", include={"engine", "partners"})
        groups.setdefault(canonical_json(key), []).append(planned)
    return tuple(
        Session(
            session_schema=1,
            session_id=session_id_of(spec.sweep, points[0].point.engine, points[0].point.partners),
            sweep=spec.sweep,
            engine=points[0].point.engine,
            partners=points[0].point.partners,
            points=tuple(points),
            logprobs_k=spec.bank.logprobs_k,
            warmup_requests=spec.bank.warmup_requests,
            part_rows=spec.bank.part_rows,
            telemetry=spec.bank.telemetry,
        )
        for points in groups.values()
    )
