"""A Hugging Face folder on disk, and whether it fits a session and the machine's memory.

Lives here: `ModelFolder`, read without torch or vLLM. Not here: building such folders (`prepare`),
FLOPs of a model (``isocost.costs``).
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from isocost.costs.hf_file import read_hf_config, size
from isocost.errors import IsocostError

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_MIB = 2**20


class ModelFolder:
    """A model folder.

    Attributes:
        path: the folder.
        name: name of the model variant, for messages.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._config: dict[str, Any] | None = None

    def config(self) -> dict[str, Any]:
        """``config.json``; the text model's part if there are several.

        Raises:
            IsocostError: it is missing, not a JSON object, or has an impossible size.
        """
        if self._config is None:
            found = read_hf_config(self.path / "config.json")
            self._config = found.get("text_config") or found
        assert self._config is not None
        return self._config

    def check(self, *, needs_weights: bool = True) -> None:
        """Reject a folder that does not exist or lacks a configuration, tokenizer or weights.

        Raises:
            IsocostError: states what is missing and how to get it.
        """
        where = f"model {self.name}"
        if not self.path.is_dir():
            remedy = "Give the path of a Hugging Face model folder."
            if self.path.parent.name == "models":
                remedy = (
                    f"Create it with `python -m isocost.engines.prepare {self.path.name}`, or "
                    f"give another folder."
                )
            raise IsocostError(f"the folder {self.path} does not exist", where=where, remedy=remedy)
        self.config()
        if not any(
            (self.path / name).is_file()
            for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "tekken.json")
        ):
            raise IsocostError(
                f"{self.path} has no tokenizer",
                where=where,
                remedy="Copy the tokenizer's files to the folder of config.json.",
            )
        if needs_weights and not self.weight_files():
            raise IsocostError(
                f"{self.path} has no weights",
                where=where,
                remedy="Fetch the model's *.safetensors files.",
            )

    def check_length(self, max_model_len: int) -> None:
        """Reject a length beyond the model's positions.

        Raises:
            IsocostError: names both numbers.
        """
        positions = size(self.config(), "max_position_embeddings")
        if (
            positions is not None
            and max_model_len > positions
            and not self.config().get("rope_scaling")
        ):
            raise IsocostError(
                f"max_model_len {max_model_len} exceeds the {positions} positions of the model",
                where=f"model {self.name}",
                remedy=f"Set max_model_len to at most {positions}.",
            )

    def kv_bytes_per_token(self, dtype: str, bytes_per_value: int | None = None) -> int | None:
        """Bytes of keys and values per token.

        None for architectures with a different kind of cache.
        """
        config = self.config()
        if any(
            config.get(key)
            for key in (
                "kv_lora_rank",
                "layer_types",
                "sliding_window",
                "hybrid_override_pattern",
                "ssm_cfg",
            )
        ):
            return None
        layers, heads = size(config, "num_hidden_layers"), size(config, "num_attention_heads")
        hidden, width = size(config, "hidden_size"), size(config, "head_dim")
        if layers is None or heads is None or (width is None and hidden is None):
            return None
        groups = heads
        if config.get("num_key_value_heads") is not None:
            groups = size(config, "num_key_value_heads")
        width = width or (hidden or 0) // heads
        if groups is None:
            return None
        return 2 * layers * groups * width * (bytes_per_value or self._bytes(dtype)) or None

    def check_kv_cache(
        self,
        kv_cache_bytes: int,
        max_model_len: int,
        *,
        dtype: str,
        bytes_per_value: int | None = None,
    ) -> None:
        """Reject a KV cache that cannot fit one sequence of full length.

        Raises:
            IsocostError: says how many tokens fit and how many bytes are needed.
        """
        per_token = self.kv_bytes_per_token(dtype, bytes_per_value)
        if per_token is not None and kv_cache_bytes < per_token * max_model_len:
            raise IsocostError(
                f"kv_cache_bytes {kv_cache_bytes} fits {kv_cache_bytes // per_token} tokens, one"
                f" sequence of max_model_len {max_model_len} needs {per_token * max_model_len}"
                " bytes",
                where=f"engine.kv_cache_bytes (model {self.name})",
                remedy="Raise kv_cache_bytes or lower max_model_len.",
            )

    def check_memory(self, kv_cache_bytes: int, *, dtype: str) -> None:
        """Reject weights and KV cache that together exceed the free memory (CPU engines).

        Raises:
            IsocostError: says what is needed and what is there.
        """
        free = free_memory()
        weights = sum(f.stat().st_size for f in self.weight_files())
        stored = self.config().get("dtype") or self.config().get("torch_dtype") or dtype
        weights = weights * self._bytes(dtype) // _BYTES.get(str(stored), self._bytes(dtype))
        if free is not None and weights + kv_cache_bytes > free:
            raise IsocostError(
                f"weights ({weights // _MIB} MiB as {dtype}) and KV cache ({kv_cache_bytes // _MIB}"
                f" MiB) need more memory than is free ({free // _MIB} MiB)",
                where=f"engine.kv_cache_bytes (model {self.name})",
                remedy="Lower kv_cache_bytes, take a smaller model, or free memory.",
            )

    def weight_files(self) -> list[Path]:
        """Weight files, sorted; of the first kind that exists."""
        return next(
            (found for pattern in _WEIGHTS if (found := sorted(self.path.glob(pattern)))), []
        )

    def tokenizer(self) -> Any:
        """The model's tokenizer, loaded without network access.

        Raises:
            IsocostError: transformers is missing or cannot load it.
        """
        try:
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(str(self.path), local_files_only=True)
        except (ImportError, OSError, ValueError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise IsocostError(
                f"the tokenizer cannot be loaded: {said}",
                where=f"model {self.name}",
                remedy=f"Check {self.path}.",
            ) from error

    def fingerprint(self) -> dict[str, Any]:
        """An identifier of the weights that does not require reading them all.

        The configuration's hash, and names and sizes of the weight files.
        """
        config = hashlib.sha256((self.path / "config.json").read_bytes()).hexdigest()
        return {
            "config_sha256": config,
            "weights": {f.name: f.stat().st_size for f in self.weight_files()},
        }

    def _bytes(self, dtype: str) -> int:
        stored = self.config().get("dtype") or self.config().get("torch_dtype")
        return _BYTES.get(dtype) or _BYTES.get(str(stored)) or 2


def free_memory() -> int | None:
    """Bytes of memory that a process here may still take.

    The kernel's estimate, or less if a control group limits it.
    """
    found = None
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = (
            int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
        )
    with suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        found = min(found, limit - used) if found is not None else limit - used
    return found
