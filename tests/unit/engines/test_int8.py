"""The int8 form: nearest steps per row, a folder that says how it was made, what else it keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from isocost.engines.int8 import quantise_int8, rounded
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow  # importing PyTorch takes seconds


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def safetensors(torch: Any) -> Any:
    return pytest.importorskip("safetensors.torch", reason="safetensors is not installed")


def test_every_weight_is_within_half_a_step_and_the_largest_of_a_row_is_exact(
    torch: Any,
) -> None:
    weight = torch.randn(7, 33, generator=torch.Generator().manual_seed(3))
    weight[4] = 0
    steps, scale = rounded(weight)
    assert steps.dtype == torch.int8 and scale.shape == (7, 1)
    assert ((steps * scale - weight).abs() <= scale / 2 * 1.0001).all()
    others = [0, 1, 2, 3, 5, 6]
    assert (steps[others].abs().amax(dim=1) == 127).all() and (steps[4] == 0).all()


@pytest.fixture
def folder(torch: Any, safetensors: Any) -> Callable[..., Path]:
    return partial(written, torch, safetensors)


def written(torch: Any, safetensors: Any, place: Path, **config: object) -> Path:
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"hidden_size": 4, **config}))
    (place / "tokenizer.json").write_text("{}")
    weights = {
        "model.embed_tokens.weight": torch.ones(8, 4),
        "model.layers.0.self_attn.q_proj.weight": torch.full((4, 4), 0.5),
        "model.norm.weight": torch.ones(4),
    }
    safetensors.save_file(weights, place / "model.safetensors")
    return place


def test_linear_layers_are_int8_and_the_rest_is_as_it_was(
    torch: Any, safetensors: Any, folder: Callable[..., Path], tmp_path: Path
) -> None:
    source, target = folder(tmp_path / "source"), tmp_path / "target"
    target.mkdir()
    quantise_int8(source, target)
    made = safetensors.load_file(target / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert made[name].dtype == torch.int8
    assert torch.allclose(made[name] * made[f"{name}_scale"], torch.full((4, 4), 0.5))
    assert made["model.embed_tokens.weight"].dtype == torch.float32 and len(made) == 4
    config = json.loads((target / "config.json").read_text())
    assert config["hidden_size"] == 4
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    assert (target / "tokenizer.json").is_file()


def test_a_quantised_model_is_not_rounded_again(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    source = folder(tmp_path / "source", quantization_config={})
    with pytest.raises(IsocostError, match=r"quantised already.*original weights"):
        quantise_int8(source, tmp_path)
