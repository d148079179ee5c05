"""The contents of a sweep file, as written: with defaults and lists.

Lives here: the types a sweep file is parsed into. Not here: reading and its error messages
(isocost.sweep.loader), and the expanded form without defaults (isocost.sweep.models).
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from isocost.capabilities import AUTO
from isocost.methods.base import Alias
from isocost.sweep.models import (
    SAMPLE,
    Count,
    Dtype,
    EngineName,
    Frozen,
    Name,
    PowerSourceName,
    PromptSpec,
    Real,
    Seed,
    StopTexts,
    Whole,
)
from isocost.sweep.replay import ReplayEntry
from isocost.sweep.source import Source
from isocost.verifier_settings import stated_value

_UNITS = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}


def _listed(value: Any) -> Any:
    """A single value is a list of one."""
    return value if isinstance(value, list | tuple) or value is None else [value]


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]iB|[kKMGT]?B)\s*", value)
    if not match:
        raise ValueError('a size must be a number of bytes or a text such as "512 MiB" or "2 GiB"')
    return int(float(match[1]) * _UNITS[match[2]])


Bytes = Annotated[Count, BeforeValidator(_bytes)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(_listed)]
Wholes = Annotated[tuple[Whole, ...], BeforeValidator(_listed)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_listed)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed)]
Temperature = Annotated[Real, Field(ge=0, le=2)]
Share = Annotated[Real, Field(gt=0, le=1)]
Floor = Annotated[Real, Field(ge=0, le=1)]


def _named(value: Any) -> Any:
    """A name alone is a method with its default parameters."""
    if isinstance(value, str):
        return {"name": value}
    return value


class MethodEntry(BaseModel):
    """A method by its name; the other keys are its parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Name

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the file states."""
        return dict(self.model_extra or {})


Methods = Annotated[
    tuple[Annotated[MethodEntry, BeforeValidator(_named)], ...], BeforeValidator(_listed)
]


class AdapterEntry(Frozen):
    """A LoRA adapter; a path alone is one, too.

    `commit`, `sha256` and `parameters` are not for the file: they are what it is resolved to.
    """

    path: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    commit: str | None = None
    sha256: str | None = None
    parameters: Count | None = None


def _adapter(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


AdapterKey = Annotated[AdapterEntry | None, BeforeValidator(_adapter)]


def _arguments(value: Any) -> Any:
    """Arguments of a chat template; what a JSON file could not hold is refused here."""
    if value is None or value == {}:
        return None
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("must have values that JSON can express") from None
    return value


TemplateArguments = Annotated[
    dict[Annotated[str, Field(min_length=1)], Any] | None, BeforeValidator(_arguments)
]


class WeightsEntry(Frozen):
    """Weights in one numeric form.

    `commit` is not for the file: it is what the revision of a model on the Hub is resolved to.
    """

    name: Name
    path: Annotated[str, Field(min_length=1)]
    dtype: Dtype | None = None
    revision: str | None = None
    quantization: str | None = None
    card: str | None = None
    commit: str | None = None
    chat_template_kwargs: TemplateArguments = None
    reasoning_parser: Annotated[str, Field(min_length=1)] | None = None
    adapter: AdapterKey = None


class VariantEntry(Frozen):
    """A variant of a model; keys that are left out are those of the model."""

    name: Name
    path: Annotated[str, Field(min_length=1)] | None = None
    revision: str | None = None
    dtype: Dtype | None = None
    quantization: str | None = None
    card: str | None = None
    commit: str | None = None
    chat_template_kwargs: TemplateArguments = None
    reasoning_parser: Annotated[str, Field(min_length=1)] | None = None
    adapter: AdapterKey = None


class ModelEntry(WeightsEntry):
    """A model and the numeric forms in which it is measured.

    With `variants`, only the variants are measured.
    """

    variants: Annotated[tuple[VariantEntry, ...], BeforeValidator(_listed)] = ()

    def weights(self) -> tuple[WeightsEntry, ...]:
        """The model itself, or its variants with what they leave out, each "model-variant"."""
        own: dict[str, Any] = {key: getattr(self, key) for key in WeightsEntry.model_fields}
        if not self.variants:
            return (WeightsEntry(**own),)
        found = []
        for variant in self.variants:
            stated = {key: getattr(variant, key) for key in variant.model_fields_set}
            named: dict[str, Any] = {
                "name": f"{self.name}-{variant.name}",
                "path": variant.path or self.path,
            }
            found.append(WeightsEntry(**{**own, **stated, **named}))
        return tuple(found)


class EngineEntry(Frozen):
    """Engine settings. Each value of a list is a separate engine start.

    An engine that loads a model needs `max_model_len` and `kv_cache_bytes`, and its models need a
    `dtype`; a server determines these itself.
    """

    engine: EngineName = "vllm"
    seed: Seed = 0
    max_model_len: Counts | None = None
    kv_cache_bytes: Bytes | None = None
    max_num_seqs: Counts = (64,)
    max_num_batched_tokens: Counts = (4096,)
    block_size: Count | None = None
    enable_prefix_caching: bool = True
    enforce_eager: bool = False
    options: dict[str, Any] = Field(default_factory=dict)


class PartnerEngineEntry(Frozen):
    """Settings of a partner's engine, which are single values.

    Keys that are left out are those of the sweep's `engine`, except `options`: they belong to one
    engine.
    """

    engine: EngineName | None = None
    seed: Seed | None = None
    max_model_len: Count | None = None
    kv_cache_bytes: Bytes | None = None
    max_num_seqs: Count | None = None
    max_num_batched_tokens: Count | None = None
    block_size: Count | None = None
    enable_prefix_caching: bool | None = None
    enforce_eager: bool | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class PartnerEntry(Frozen):
    """A further model that methods call by an alias, with an engine of its own."""

    model: WeightsEntry
    engine: PartnerEngineEntry = PartnerEngineEntry()


class TaskEntry(Frozen):
    """A set of problems and its verifier, a name or a mapping of a name and its options."""

    name: Name
    source: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    config: dict[str, Any] = Field(default_factory=dict)
    n_problems: Count
    seed: Seed = 0
    verifier: Annotated[str, BeforeValidator(stated_value), Field(min_length=1)]


class PromptEntry(PromptSpec):
    """A prompt: how a question is asked.

    `max_tokens` replaces the grid's for this prompt, `tasks` limits it to some tasks.
    """

    system: str | None = None
    stop: StopTexts = ()
    max_tokens: Counts | None = None
    tasks: Names | None = None


class Grid(Frozen):
    """The axes of the product. A single value is a list of one."""

    temperature: Annotated[tuple[Temperature, ...], BeforeValidator(_listed)]
    top_p: Annotated[tuple[Share, ...], BeforeValidator(_listed)] = (1.0,)
    top_k: Wholes = (0,)
    min_p: Annotated[tuple[Floor, ...], BeforeValidator(_listed)] = (0.0,)
    max_tokens: Counts
    seed: Seeds = (0,)
    method: Methods = (MethodEntry(name=SAMPLE),)


class Exclusion(Frozen):
    """Points to leave out: those that match any value of every given key."""

    model: Names | None = None
    task: Names | None = None
    prompt: Names | None = None
    temperature: Annotated[tuple[Temperature, ...] | None, BeforeValidator(_listed)] = None
    max_tokens: Counts | None = None
    seed: Seeds | None = None
    method: Names | None = None


class BankEntry(Frozen):
    """What is banked in addition to the text."""

    logprobs_k: Annotated[Whole, Field(le=20)] = 5
    warmup_requests: Whole = 2
    part_rows: Count = 256
    telemetry: PowerSourceName = AUTO


class SweepSpec(Frozen):
    """A parsed sweep file. `source` has the position of every key."""

    sweep: Name
    description: str = ""
    models: Annotated[tuple[ModelEntry, ...], BeforeValidator(_listed)]
    engine: EngineEntry
    partners: dict[Alias, PartnerEntry] = Field(default_factory=dict)
    tasks: Annotated[tuple[TaskEntry, ...], BeforeValidator(_listed)]
    prompts: Annotated[tuple[PromptEntry, ...], BeforeValidator(_listed)]
    grid: Grid
    samples_per_problem: Count
    exclude: Annotated[tuple[Exclusion, ...], BeforeValidator(_listed)] = ()
    bank: BankEntry = BankEntry()
    replay: ReplayEntry = ReplayEntry()

    _source: Source = PrivateAttr(default_factory=lambda: Source("sweep"))

    def read_from(self, source: Source) -> None:
        """Say where the sweep was read from."""
        self._source = source

    @property
    def source(self) -> Source:
        """The position of each key in the file."""
        return self._source
