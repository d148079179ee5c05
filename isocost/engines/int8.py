"""The int8 form of a model folder: 8-bit weights per output channel, 8-bit activations per token.

Lives here: `quantise_int8`, which rounds the weights of every linear layer to the nearest of 255
steps. Not here: formats that need calibration data, and preparing the source (`prepare`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from isocost import atomic
from isocost.errors import IsocostError

if TYPE_CHECKING:
    from torch import Tensor

_ONE_FILE = "model.safetensors"
_LEVELS = 127
_KEPT = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json")
_MORE_KEPT = ("merges.txt", "chat_template.jinja", "generation_config.json")


def quantise_int8(source: Path, target: Path) -> None:
    """Write the int8 form of a Hugging Face folder into an existing folder.

    Embeddings, norms and the output projection keep their format.

    Args:
        source: a folder with one weight file.
        target: where the int8 form goes.

    Raises:
        IsocostError: the source has several weight files, or is quantised already.
    """
    import torch
    from safetensors.torch import load_file, save_file

    if not (source / _ONE_FILE).is_file():
        raise IsocostError(
            f"{_ONE_FILE} is missing; weights in several files are not supported",
            where=str(source),
            remedy="Give a folder with a single weight file.",
        )
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if "quantization_config" in config:
        raise IsocostError(
            "the model is quantised already",
            where=str(source / "config.json"),
            remedy="Give the folder with the original weights.",
        )
    made: dict[str, torch.Tensor] = {}
    for name, weight in load_file(source / _ONE_FILE).items():
        if not _is_linear(name, weight.ndim):
            made[name] = weight
            continue
        steps, scale = rounded(weight)
        made[name], made[f"{name}_scale"] = steps, scale
    save_file(made, target / _ONE_FILE, metadata={"format": "pt"})
    atomic.write_text(
        target / "config.json", json.dumps({**config, "quantization_config": _SCHEME}, indent=1)
    )
    for name in (*_KEPT, *_MORE_KEPT):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix as int8 steps, and the size of a step per row.

    Args:
        weight: a tensor of (outputs, inputs).

    Returns:
        ``steps`` (int8) and ``scale`` (outputs, 1), so that steps * scale is the nearest matrix.
    """
    import torch

    exact = weight.to(torch.float32)
    # A row of zeros has steps of any size.
    scale = exact.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    scale = scale / _LEVELS
    steps = (exact / scale).round().clamp(-_LEVELS, _LEVELS).to(torch.int8)
    return steps, scale


def _is_linear(name: str, dimensions: int) -> bool:
    return dimensions == 2 and name.endswith("_proj.weight")


_SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "kv_cache_scheme": None,
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "channel",
                "dynamic": False,
            },
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
            "output_activations": None,
        }
    },
}
