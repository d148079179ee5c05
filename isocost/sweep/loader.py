"""Read a sweep file and report mistakes with file, line and key.

Lives here: YAML -> SweepSpec, the wording of its errors, and the checks that need only the file.
Not here: checks that depend on the machine (isocost.sweep.limits) or on the registered tasks
(isocost.intake.preflight).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from isocost.capabilities import AUTO, ENGINES, POWER_SOURCES, capabilities_of
from isocost.credentials import refuse_credentials
from isocost.errors import IsocostError
from isocost.methods import check_engine, method_of
from isocost.registry import did_you_mean
from isocost.sweep.expand import expand, model_variants
from isocost.sweep.models import MOST_NAME, SAMPLE
from isocost.sweep.partners import check_partners
from isocost.sweep.source import Key, Source, dotted, parse_yaml, read_yaml
from isocost.sweep.spec import SweepSpec, VariantEntry, WeightsEntry

MOST_SAMPLES = 100_000_000


def load_sweep(path: str | Path) -> SweepSpec:
    """Read and check a sweep file; start nothing and write nothing.

    Checked here: YAML, keys, types and ranges, names that refer to each other, a grid of at least
    one and at most 100,000 points, budgets that fit the context, and samples that could differ.
    Models and tasks are checked by `isocost.intake.preflight.preflight`.

    Raises:
        IsocostError: the first mistake in the order of the file, with file, line, dotted key and
            what would be right.
    """
    value, source = read_yaml(path)
    return spec_of(value, source)


def sweep_from_text(text: str, name: str = "sweep") -> SweepSpec:
    """Like `load_sweep`, for a text; `name` is the file name shown in errors."""
    return spec_of(*parse_yaml(text, name))


def spec_of(value: Any, source: Source) -> SweepSpec:
    """Check the parsed value of a sweep file. Errors as in `load_sweep`."""
    if not isinstance(value, dict):
        raise IsocostError(
            (
                "the file is empty"
                if value is None
                else f"is a {type(value).__name__}, not a mapping of keys"
            ),
            where=source.name,
            remedy=f"A sweep file has the keys {', '.join(SweepSpec.model_fields)}.",
        )
    _check_credentials(value, source)
    try:
        spec = SweepSpec.model_validate(value)
    except ValidationError as error:
        raise first_mistake(error, source) from None
    spec.read_from(source)
    _check_lists(spec)
    _check_names(spec)
    _check_engine(spec)
    _check_methods(spec)
    check_partners(spec)
    _check_model_settings(spec)
    _check_clients(spec)
    _check_power_source(spec)
    _check_budgets(spec)
    _check_samples(spec)
    total = sum(
        planned.samples_per_problem * planned.point.task.n_problems for planned in expand(spec)
    )
    if total > MOST_SAMPLES:
        raise IsocostError(
            f"the sweep asks for {total:,} samples",
            where=source.where("samples_per_problem"),
            remedy=f"Keep it under {MOST_SAMPLES:,}; split it into several sweeps.",
        )
    return spec


def _check_credentials(value: dict[str, Any], source: Source) -> None:
    """Check for credentials first, so that no other error message can show them."""
    remedy = (
        "Remove it. Put the key in an environment variable, and name that in "
        "engine.options.api_key_variable."
    )
    for part in ("engine", "models", "partners"):
        for key, error in refuse_credentials(value.get(part), remedy=remedy):
            raise IsocostError(error.what, where=source.where(part, *key), remedy=error.remedy)
    remedy = "Remove it. Put the key in an environment variable, and name that in api_key_variable."
    for index, verifier in enumerate(_verifiers(value.get("tasks"))):
        for key, error in refuse_credentials(verifier, remedy=remedy):
            where = source.where("tasks", index, "verifier", *key)
            raise IsocostError(error.what, where=where, remedy=error.remedy)


def _verifiers(tasks: Any) -> list[Any]:
    """What the tasks of an unchecked file say of their verifiers."""
    return [
        task.get("verifier") if isinstance(task, dict) else None
        for task in (tasks if isinstance(tasks, list) else [tasks])
    ]


def first_mistake(
    error: ValidationError, source: Source, root: type[BaseModel] = SweepSpec
) -> IsocostError:
    """The first mistake in the order of the file, as an IsocostError.

    Args:
        error: what validation found.
        source: the places of the file's keys.
        root: the model of the whole file.
    """
    mistakes = {_key(item["loc"]): item for item in reversed(error.errors())}
    ordered = sorted(mistakes, key=lambda key: (source.line(key), dotted(key)))
    # A misspelt key is also a missing key; report the misspelling.
    first = next((key for key in ordered if mistakes[key]["type"] == "extra_forbidden"), ordered[0])
    what, remedy = _wording(first, mistakes[first], root)
    meant = remedy.removeprefix("Did you mean ").split("?")[0]
    others = [source.where(*key) for key in ordered if key not in (first, (*first[:-1], meant))]
    if others:
        remedy += (
            " Further mistakes at:"
            f" {'; '.join(others[:5])}{' and more' if len(others) > 5 else ''}."
        )
    return IsocostError(what, where=source.where(*first), remedy=remedy)


def _key(loc: Iterable[str | int]) -> Key:
    # pydantic says [key] for a key of the user's own that is wrong itself
    return tuple(part for part in loc if part != "[key]")


def _wording(key: Key, item: Any, root: type[BaseModel]) -> tuple[str, str]:
    kind = item["type"]
    if kind == "extra_forbidden":
        model = _model_at(key[:-1], root)
        return f"unknown key {key[-1]}", did_you_mean(
            str(key[-1]), model.model_fields if model else (), kind="keys here"
        )
    if kind == "missing":
        model = _model_at(key[:-1], root)
        keys = f" Keys here: {', '.join(model.model_fields)}." if model else ""
        return f"key {key[-1]} is missing", f"Add it.{keys}"
    got = f" (got {_shown(item.get('input'))})"
    if kind == "literal_error":
        known = [
            word.strip(" '") for word in item["ctx"]["expected"].replace(" or ", ", ").split(",")
        ]
        return f"unknown value{got}", did_you_mean(str(item.get("input")), known)
    message = item["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        message = (
            "a name is 1 to 80 letters, digits and . _ + -, and begins with a letter or a digit"
        )
    return f"{message[0].lower()}{message[1:]}{got}", "Correct the value."


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _model_at(key: Key, root: type[BaseModel]) -> type[BaseModel] | None:
    """The model whose keys are allowed at a position in the file."""
    current: Any = root
    for part in key:
        if isinstance(part, int):
            continue
        if typing.get_origin(current) is dict:  # a key of the user's own, such as a task
            current = typing.get_args(current)[1]
            continue
        model = _model_in(current)
        if model is None or part not in model.model_fields:
            return None
        current = model.model_fields[part].annotation
    return _model_in(current)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, BaseModel)
    ):
        return annotation
    return next(
        (model for part in typing.get_args(annotation) if (model := _model_in(part)) is not None),
        None,
    )


def _check_lists(spec: SweepSpec) -> None:
    for name in ("models", "tasks", "prompts"):
        if not getattr(spec, name):
            raise IsocostError(
                "the grid has zero points: this list is empty",
                where=spec.source.where(name),
                remedy="Give at least one entry.",
            )


def _check_variant_names(spec: SweepSpec) -> None:
    for index, entry in enumerate(spec.models):
        for number, variant in enumerate(entry.variants):
            too_many = len(f"{entry.name}-{variant.name}") - MOST_NAME
            if too_many > 0:
                raise IsocostError(
                    f"{entry.name}-{variant.name} is longer than {MOST_NAME} characters",
                    where=spec.source.where("models", index, "variants", number, "name"),
                    remedy=f"Shorten the name of the model or of the variant by {too_many}.",
                )


def _check_names(spec: SweepSpec) -> None:
    _check_variant_names(spec)
    variants = [
        (index, variant.name)
        for index, entry in enumerate(spec.models)
        for variant in model_variants(entry)
    ]
    named = {
        "model": ("models", variants),
        "task": ("tasks", [(index, entry.name) for index, entry in enumerate(spec.tasks)]),
        "prompt": ("prompts", [(index, entry.name) for index, entry in enumerate(spec.prompts)]),
    }
    for key, entries in named.values():
        seen: set[str] = set()
        for index, name in entries:
            if name in seen:
                raise IsocostError(
                    f"the name {name} is given twice",
                    where=spec.source.where(key, index, "name"),
                    remedy="Give each entry its own name.",
                )
            seen.add(name)
    for index, prompt in enumerate(spec.prompts):
        _check_known(
            spec, ("prompts", index, "tasks"), prompt.tasks, [name for _, name in named["task"][1]]
        )
    for index, rule in enumerate(spec.exclude):
        if not any(getattr(rule, key) is not None for key in type(rule).model_fields):
            raise IsocostError(
                "an exclusion without a key excludes nothing",
                where=spec.source.where("exclude", index),
                remedy="Give a key or remove it.",
            )
        for key, (_, entries) in named.items():
            _check_known(
                spec, ("exclude", index, key), getattr(rule, key), [name for _, name in entries]
            )
        _check_known(
            spec, ("exclude", index, "method"), rule.method, [m.name for m in spec.grid.method]
        )
        for key in ("temperature", "max_tokens", "seed"):
            known = set(getattr(spec.grid, key)) | {
                value
                for prompt in spec.prompts
                for value in prompt.max_tokens or ()
                if key == "max_tokens"
            }
            _check_known(spec, ("exclude", index, key), getattr(rule, key), known)
    for name in spec.replay.tasks:
        _check_known(
            spec, ("replay", "tasks", name), [name], [entry for _, entry in named["task"][1]]
        )


def _check_known(
    spec: SweepSpec, key: Key, given: Iterable[Any] | None, known: Iterable[Any]
) -> None:
    known = list(known)
    for name in given or ():
        if name not in known:
            raise IsocostError(
                f"{name!r} is not in any list of this sweep",
                where=spec.source.where(*key),
                remedy=did_you_mean(str(name), map(str, known)),
            )


def _check_engine(spec: SweepSpec) -> None:
    engine = spec.engine
    if engine.engine not in ENGINES.names():
        raise IsocostError(
            f"no engine is called {engine.engine!r}",
            where=spec.source.where("engine", "engine"),
            remedy=ENGINES.remedy(engine.engine),
        )
    if not capabilities_of(engine.engine).loads_model:
        return
    _check_what_a_model_needs(spec)
    if (
        engine.max_num_batched_tokens
        and engine.max_num_seqs
        and min(engine.max_num_batched_tokens) < max(engine.max_num_seqs)
    ):
        raise IsocostError(
            f"max_num_batched_tokens {min(engine.max_num_batched_tokens)} is below max_num_seqs"
            f" {max(engine.max_num_seqs)}: each running sequence needs one token per step",
            where=spec.source.where("engine", "max_num_batched_tokens"),
            remedy="Raise max_num_batched_tokens or lower max_num_seqs.",
        )


_NOT_APPLIED = {
    "chat_template_kwargs": "Remove it.",
    "reasoning_parser": "Remove it: a server separates reasoning by its own settings, and what it "
    "sends separately is banked separately.",
    "adapter": "Remove it: give `path` the name under which the server offers the adapter.",
}


def _check_model_settings(spec: SweepSpec) -> None:
    """Refuse keys of a model that its engine would not apply."""
    places: list[tuple[Key, WeightsEntry | VariantEntry, str]] = []
    for index, entry in enumerate(spec.models):
        places.append((("models", index), entry, spec.engine.engine))
        places += [
            (("models", index, "variants", number), variant, spec.engine.engine)
            for number, variant in enumerate(entry.variants)
        ]
    places += [
        (("partners", alias, "model"), partner.model, partner.engine.engine or spec.engine.engine)
        for alias, partner in spec.partners.items()
    ]
    for key, stated, engine in places:
        for name, remedy in _NOT_APPLIED.items():
            if getattr(stated, name) is not None and name not in (
                capabilities_of(engine).model_settings
            ):
                raise IsocostError(
                    f"engine {engine} does not apply {name}",
                    where=spec.source.where(*key, name),
                    remedy=remedy,
                )


def _check_clients(spec: SweepSpec) -> None:
    """Refuse arguments of a chat template for clients that ask a server by themselves.

    A server that is started here has them as its default; the requests of clients to any other are
    the clients' own.
    """
    if capabilities_of(spec.engine.engine).loads_model:
        return
    for index, entry in enumerate(spec.grid.method):
        where = spec.source.where("grid", "method", index)
        if "serves_http" not in method_of(entry.name, entry.parameters, where=where).needs:
            continue
        for number, model in enumerate(spec.models):
            if any(weights.chat_template_kwargs for weights in model.weights()):
                raise IsocostError(
                    f"the clients of method {entry.name} send requests of their own, to which"
                    " chat_template_kwargs are not added",
                    where=spec.source.where("models", number),
                    remedy="Send them from the client, or use engine: vllm_serve.",
                )


def _check_methods(spec: SweepSpec) -> None:
    """Check that the methods exist, and that the engine can do what they need."""
    for index, entry in enumerate(spec.grid.method):
        where = spec.source.where("grid", "method", index)
        method = method_of(entry.name, entry.parameters, where=where)
        check_engine(method, spec.engine.engine, where)
        if entry.name == SAMPLE:
            continue
        for number, prompt in enumerate(spec.prompts):
            if not prompt.chat:
                raise IsocostError(
                    f"method {entry.name} makes chats, and prompt {prompt.name} is none",
                    where=spec.source.where("prompts", number, "chat"),
                    remedy=f"Remove chat: false, or measure it with method {SAMPLE} in a sweep of"
                    " its own.",
                )


def _check_power_source(spec: SweepSpec) -> None:
    known = (AUTO, *POWER_SOURCES.names())
    if spec.bank.telemetry not in known:
        raise IsocostError(
            f"no power source is called {spec.bank.telemetry!r}",
            where=spec.source.where("bank", "telemetry"),
            remedy=POWER_SOURCES.remedy(spec.bank.telemetry, known=known),
        )


def _check_what_a_model_needs(spec: SweepSpec) -> None:
    """Check number format, context and cache: required to load a model, unknown for a server."""
    lacking: list[Key] = []
    for index, entry in enumerate(spec.models):
        if any(variant.dtype is None for variant in model_variants(entry)):
            lacking.append(("models", index, "dtype"))
    lacking += [
        ("engine", key)
        for key in ("max_model_len", "kv_cache_bytes")
        if getattr(spec.engine, key) is None
    ]
    if lacking:
        first = min(lacking, key=lambda key: spec.source.line(key[:-1]))
        also = (
            f" Further keys: {', '.join(dotted(key) for key in lacking if key != first)}."
            if len(lacking) > 1
            else ""
        )
        raise IsocostError(
            f"key {first[-1]} is missing",
            where=spec.source.where(*first),
            remedy=f"Add it: engine {spec.engine.engine} loads the model.{also}",
        )


def _check_budgets(spec: SweepSpec) -> None:
    length = min(spec.engine.max_model_len or (), default=0)
    places: list[tuple[Key, tuple[int, ...]]] = [(("grid", "max_tokens"), spec.grid.max_tokens)]
    places += [
        (("prompts", i, "max_tokens"), prompt.max_tokens)
        for i, prompt in enumerate(spec.prompts)
        if prompt.max_tokens is not None
    ]
    for key, budgets in places:
        for budget in budgets:
            if length and budget >= length:
                raise IsocostError(
                    f"{budget} generated tokens leave no room for a prompt in a context of"
                    f" {length}",
                    where=spec.source.where(*key),
                    remedy=(
                        "Keep max_tokens plus the longest prompt within engine.max_model_len"
                        f" ({length}), or raise that."
                    ),
                )


def _check_samples(spec: SweepSpec) -> None:
    if spec.samples_per_problem > 1 and 0.0 in spec.grid.temperature:
        raise IsocostError(
            f"temperature 0 is greedy: {spec.samples_per_problem} samples per problem would be "
            f"identical copies",
            where=spec.source.where("grid", "temperature", spec.grid.temperature.index(0.0)),
            remedy=(
                "Use a temperature above 0, or a separate sweep with samples_per_problem: 1 for "
                "greedy decoding."
            ),
        )
    if 0.0 in spec.grid.temperature and len(spec.grid.seed) > 1:
        raise IsocostError(
            f"temperature 0 is greedy: {len(spec.grid.seed)} seeds would measure the same thing",
            where=spec.source.where("grid", "seed"),
            remedy="Give one seed, or a temperature above 0.",
        )
