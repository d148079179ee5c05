"""LoRA adapters and weights as files, made from shapes without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path


def safetensors(shapes: Mapping[str, Sequence[int]], fill: bytes = b"\0\0\0\0") -> bytes:
    """A safetensors file of float32 tensors of these shapes."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + fill * (end // 4)


def pairs(
    rank: int = 4, hidden: int = 64, layers: int = 2, prefix: str = "base_model.model.model"
) -> dict[str, tuple[int, int]]:
    """Shapes of an adapter of the query and value projections of a small Llama."""
    found = {}
    for layer in range(layers):
        for name, out in (("q_proj", hidden), ("v_proj", hidden // 2)):
            key = f"{prefix}.layers.{layer}.self_attn.{name}"
            found[f"{key}.lora_A.weight"] = (rank, hidden)
            found[f"{key}.lora_B.weight"] = (out, rank)
    return found


def weights(hidden: int = 64, layers: int = 2) -> dict[str, tuple[int, int]]:
    """Shapes of the weights that `pairs` changes."""
    found = {}
    for layer in range(layers):
        for name, out in (("q_proj", hidden), ("v_proj", hidden // 2)):
            found[f"model.layers.{layer}.self_attn.{name}.weight"] = (out, hidden)
    return found


def configuration(rank: int = 4, **changes: object) -> dict[str, object]:
    """PEFT's configuration of such an adapter."""
    return {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none"} | {
        "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", **changes,
    }  # fmt: skip


def files(rank: int = 4, fill: bytes = b"\0\0\0\0", **changes: object) -> dict[str, bytes]:
    """The files of an adapter's folder or repository."""
    return {
        "adapter_config.json": json.dumps(configuration(rank, **changes)).encode(),
        "adapter_model.safetensors": safetensors(pairs(rank), fill),
    }


def write(folder: Path, content: Mapping[str, bytes]) -> Path:
    """A folder with files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder
