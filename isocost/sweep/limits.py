"""Limits of the model folder and the machine, checked before an engine starts.

Lives here: checks that the folder exists and is a model, that its context is long enough, and that
its key-value cache fits at least one whole sequence. Not here: counts of real prompts, which need
the engine's tokenizer (the payload checks them), nor anything about the sweep file alone
(isocost.sweep.loader).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from isocost.capabilities import capabilities_of
from isocost.errors import IsocostError
from isocost.hub import model_files
from isocost.registry import did_you_mean
from isocost.sweep.expand import engine_configs, model_variants, partner_config, partners_of
from isocost.sweep.models import EngineConfig
from isocost.sweep.paths import CACHE_PREFIX, hub_repository, is_gguf, model_folder
from isocost.sweep.source import Key
from isocost.sweep.spec import SweepSpec

_KV_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_BLOCK = {True: 128, False: 16}
"""vLLM's block size in tokens where the sweep gives none: 128 in its CPU build, 16 on GPUs."""

_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.*",
    "*.tiktoken",
    "tekken.json",
    "tokenizer_config.json",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sweep file says the path of a model, and its engine's settings."""

    path: Key
    settings: Key


def check_models(spec: SweepSpec, *, memory_bytes: int | None = None) -> None:
    """Check every model of a sweep that an engine loads on this machine, partners included.

    Checks nothing of a model whose engine declares that it loads none.

    Args:
        spec: the sweep.
        memory_bytes: memory of this machine; a key-value cache that does not fit next to the
            weights, and to what is loaded at the same time, is rejected. If None, this is not
            checked, as on a machine with an accelerator, which has its own memory.

    Raises:
        IsocostError: a missing folder, no config.json, no weights, a context longer than the
            model's, a cache too small for one sequence or larger than the machine; with file, line,
            key and the number that would be right.
    """
    index_of = {
        variant.name: index
        for index, entry in enumerate(spec.models)
        for variant in model_variants(entry)
    }
    together = {partners_of(spec, index) for index in range(len(spec.grid.method))}
    for engine in engine_configs(spec):
        path: Key = ("models", index_of[engine.model.name], "path")
        held = _check_model(spec, engine, path, ("engine",), memory_bytes)
        for aliases in sorted(together):
            rest = None if memory_bytes is None else memory_bytes - held
            for alias in aliases:
                partner, key = partner_config(spec, alias, engine), ("partners", alias)
                taken = _check_model(spec, partner, (*key, "model", "path"), (*key, "engine"), rest)
                rest = None if rest is None else rest - taken


def _check_model(
    spec: SweepSpec, engine: EngineConfig, path: Key, settings: Key, memory_bytes: int | None
) -> int:
    """Check one model that is loaded here; the bytes that its weights and cache take."""
    if not capabilities_of(engine.engine).loads_model:
        return 0
    place = _Place(path, settings)
    folder = _folder(spec, engine, place.path)
    files = _files(engine, folder)
    config = _config(spec, engine, folder, files, place.path)
    _check_context(spec, engine, config, place)
    return _check_cache(spec, engine, config, files, memory_bytes, place)


def _files(engine: EngineConfig, folder: Path) -> dict[str, int]:
    """The files of a model with their sizes; for one on the Hub those that will be fetched."""
    repository = hub_repository(engine.model)
    if repository is not None:
        return model_files(repository.sizes())
    return {item.name: item.stat().st_size for item in folder.iterdir() if item.is_file()}


def _has(files: Iterable[str], *patterns: str) -> bool:
    return any(fnmatch(name, pattern) for name in files for pattern in patterns)


def _folder(spec: SweepSpec, engine: EngineConfig, key: Key) -> Path:
    repository = hub_repository(engine.model)
    if repository is not None:
        if "config.json" in repository.sizes():
            repository.fetch("config.json")
        return repository.folder
    folder = model_folder(engine.model.path)
    if folder.is_dir():
        return folder
    if is_gguf(engine.model.path):
        raise IsocostError(
            f"engine {engine.engine} does not load GGUF files",
            where=spec.source.where(*key),
            remedy=(
                f"Convert it once with `python -m isocost.engines.prepare {engine.model.path}`, and"
                f" give cache:{folder.stem}. Or serve it with llama.cpp, and use engine: openai."
            ),
        )
    neighbours = (
        [item.name for item in folder.parent.iterdir() if item.is_dir()]
        if folder.parent.is_dir()
        else []
    )
    prefix = CACHE_PREFIX if engine.model.path.startswith(CACHE_PREFIX) else f"{folder.parent}/"
    remedy = (
        did_you_mean(folder.name, neighbours, kind=f"folders in {folder.parent}")
        if neighbours
        else ""
    )
    hint = "Prepare it with `make model`, or give" if prefix == CACHE_PREFIX else "Give"
    raise IsocostError(
        f"the model folder {folder} does not exist",
        where=spec.source.where(*key),
        remedy=(
            f"{remedy} {hint} the path of a local Hugging Face folder (config.json, tokenizer,"
            " safetensors).".strip()
        ),
    )


def _config(
    spec: SweepSpec, engine: EngineConfig, folder: Path, files: Mapping[str, int], key: Key
) -> Mapping[str, Any]:
    where = spec.source.where(*key)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise IsocostError(
            f"{folder} has no config.json",
            where=where,
            remedy="Give a Hugging Face model folder.",
        ) from None
    except ValueError as error:
        raise IsocostError(
            f"{folder / 'config.json'} is not JSON: {error}",
            where=where,
            remedy="Fetch the model again.",
        ) from None
    if not isinstance(config, dict):
        raise IsocostError(
            f"{folder / 'config.json'} is not a JSON object",
            where=where,
            remedy="Fetch the model again.",
        )
    if engine.options.get("load_format") != "dummy" and not _has(files, "*.safetensors", "*.bin"):
        raise IsocostError(
            f"{folder} has no weights (*.safetensors)",
            where=where,
            remedy="Fetch the model again, or finish its conversion.",
        )
    given = engine.options.get("engine_args")
    if not (isinstance(given, dict) and "tokenizer" in given) and not _has(files, *_TOKENIZERS):
        raise IsocostError(
            f"{folder} has no tokenizer ({', '.join(_TOKENIZERS)})",
            where=where,
            remedy="Fetch the model again, with its tokenizer.",
        )
    return config.get("text_config") or config


def _check_context(
    spec: SweepSpec, engine: EngineConfig, config: Mapping[str, Any], place: _Place
) -> None:
    longest = config.get("max_position_embeddings")
    if (
        isinstance(longest, int)
        and engine.max_model_len is not None
        and engine.max_model_len > longest
    ):
        raise IsocostError(
            f"{engine.max_model_len} tokens exceed the context length of {engine.model.name}, "
            f"which is {longest}",
            where=spec.source.where(*place.settings, "max_model_len"),
            remedy=f"Use at most {longest}.",
        )


def kv_bytes_per_token(config: Mapping[str, Any], dtype: str) -> int | None:
    """Key-value bytes per token: 2 x layers x key-value heads x head size x bytes per element.

    None if the configuration has unusual keys (state-space or latent attention models).
    """
    heads = config.get("num_attention_heads")
    layers, kv_heads = config.get("num_hidden_layers"), config.get("num_key_value_heads", heads)
    head = config.get("head_dim") or (
        config["hidden_size"] // heads if heads and config.get("hidden_size") else None
    )
    name = (config.get("dtype") or config.get("torch_dtype")) if dtype == "auto" else dtype
    size = _KV_BYTES.get(str(name))
    factors = [n for n in (layers, kv_heads, head, size) if isinstance(n, int) and n > 0]
    if len(factors) < 4 or "kv_lora_rank" in config:
        return None
    return 2 * math.prod(factors)


def _check_cache(
    spec: SweepSpec,
    engine: EngineConfig,
    config: Mapping[str, Any],
    files: Mapping[str, int],
    memory_bytes: int | None,
    place: _Place,
) -> int:
    where = spec.source.where(*place.settings, "kv_cache_bytes")
    # An engine that loads a model has both (SweepSpec).
    assert engine.kv_cache_bytes is not None and engine.max_model_len is not None
    per_token = (
        None
        if "kv_cache_dtype" in engine.options
        else kv_bytes_per_token(config, engine.model.dtype or "")
    )
    if per_token is not None:
        block = engine.block_size or _BLOCK[memory_bytes is not None]
        needed = -(-engine.max_model_len // block) * block * per_token
        if engine.kv_cache_bytes < needed:
            raise IsocostError(
                f"{engine.kv_cache_bytes:,} bytes hold {engine.kv_cache_bytes // per_token:,}"
                f" tokens of {engine.model.name} ({per_token:,} bytes each); one sequence of"
                f" max_model_len {engine.max_model_len:,} needs {needed:,}",
                where=where,
                remedy=f"Give at least {-(-needed // 2**20)} MiB, or lower max_model_len.",
            )
    weights = sum(size for name, size in files.items() if name.endswith(".safetensors"))
    if memory_bytes is not None and engine.kv_cache_bytes + weights > memory_bytes:
        raise IsocostError(
            f"{engine.kv_cache_bytes:,} bytes of cache plus {weights:,} bytes of weights exceed "
            f"this machine's memory of {memory_bytes:,} bytes",
            where=where,
            remedy=(
                f"Give at most {max(memory_bytes - weights, 0) // 2**21} MiB, which leaves half of"
                " the rest to everything else."
            ),
        )
    return engine.kv_cache_bytes + weights


def machine_memory_bytes() -> int | None:
    """Memory of this machine in bytes.

    None if an NVIDIA driver is loaded (the model goes elsewhere) or the system does not report it.
    """
    if Path("/proc/driver/nvidia/version").exists():
        return None
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
