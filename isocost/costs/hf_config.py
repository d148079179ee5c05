"""From a Hugging Face ``config.json`` to a `ModelCard`, by counting weights.

Lives here: one counting rule per model family that was checked against a published parameter count.
Not here: a guess for any other family. An unknown ``model_type`` is an error that prints the card
to fill in, because a wrong count would silently falsify every FLOP and byte downstream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.costs.hf_file import read_hf_config
from isocost.costs.model_cards import ModelCard
from isocost.costs.skeletons import model_skeleton
from isocost.errors import IsocostError

BYTES_PER_DTYPE = {
    "float32": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "int4": 0.5,
    "mxfp4": 4.25 / 8,
}
"""Bytes of a weight by number format.

Mxfp4 shares one 8-bit scale among 32 4-bit values, hence 4.25 bits.
"""


@dataclass(frozen=True)
class _Layers:
    """Weights of all layers together: outside the experts, and in all routed experts."""

    shared: int
    experts: int = 0
    experts_total: int | None = None
    experts_active: int | None = None


def _attention(
    c: Mapping[str, Any],
    head: int,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    norm_per_head: bool = False,
) -> int:
    d, q, kv = (
        c["hidden_size"],
        c["num_attention_heads"] * head,
        c.get("num_key_value_heads", c["num_attention_heads"]) * head,
    )
    weights = 2 * d * q + 2 * d * kv
    return (
        weights
        + (q + 2 * kv if qkv_bias else 0)
        + (d if out_bias else 0)
        + (2 * head if norm_per_head else 0)
    )


def _gated(d: int, inner: int, bias: bool = False) -> int:
    return 3 * d * inner + (2 * inner + d if bias else 0)


def _dense(
    c: Mapping[str, Any], head: int, *, qkv_bias: bool, out_bias: bool, norm_per_head: bool = False
) -> _Layers:
    d = c["hidden_size"]
    attention = _attention(
        c, head, qkv_bias=qkv_bias, out_bias=out_bias, norm_per_head=norm_per_head
    )
    layer = attention + _gated(d, c["intermediate_size"], bool(c.get("mlp_bias", False))) + 2 * d
    return _Layers(shared=c["num_hidden_layers"] * layer)


def _llama(c: Mapping[str, Any], head: int) -> _Layers:
    bias = bool(c.get("attention_bias", False))
    return _dense(c, head, qkv_bias=bias, out_bias=bias)


def _qwen2(c: Mapping[str, Any], head: int) -> _Layers:
    return _dense(c, head, qkv_bias=True, out_bias=False)


def _qwen3(c: Mapping[str, Any], head: int) -> _Layers:
    bias = bool(c.get("attention_bias", False))
    return _dense(c, head, qkv_bias=bias, out_bias=bias, norm_per_head=True)


def _mixtral(c: Mapping[str, Any], head: int) -> _Layers:
    d, layers, experts = c["hidden_size"], c["num_hidden_layers"], c["num_local_experts"]
    shared = layers * (_attention(c, head) + d * experts + 2 * d)
    return _Layers(
        shared,
        layers * experts * _gated(d, c["intermediate_size"]),
        experts,
        c["num_experts_per_tok"],
    )


def _qwen3_moe(c: Mapping[str, Any], head: int) -> _Layers:
    d, layers, experts = c["hidden_size"], c["num_hidden_layers"], c["num_experts"]
    step = c.get("decoder_sparse_step", 1)
    dense_only: set[int] = set(c.get("mlp_only_layers") or ())
    sparse = sum(1 for i in range(layers) if i not in dense_only and (i + 1) % step == 0)
    bias = bool(c.get("attention_bias", False))
    shared = (
        layers * (_attention(c, head, qkv_bias=bias, out_bias=bias, norm_per_head=True) + 2 * d)
        + sparse * d * experts
    )
    shared += (layers - sparse) * _gated(d, c["intermediate_size"])
    return _Layers(
        shared,
        sparse * experts * _gated(d, c["moe_intermediate_size"]),
        experts,
        c["num_experts_per_tok"],
    )


def _gpt_oss(c: Mapping[str, Any], head: int) -> _Layers:
    d, inner, layers, experts = (
        c["hidden_size"],
        c["intermediate_size"],
        c["num_hidden_layers"],
        c["num_local_experts"],
    )
    sinks, router = c["num_attention_heads"], d * experts + experts
    shared = layers * (_attention(c, head, qkv_bias=True, out_bias=True) + sinks + router + 2 * d)
    expert = 2 * d * inner + 2 * inner + inner * d + d
    return _Layers(shared, layers * experts * expert, experts, c["num_experts_per_tok"])


FAMILIES: dict[str, Callable[[Mapping[str, Any], int], _Layers]] = {
    "llama": _llama,
    "mistral": _llama,
    "phi3": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "mixtral": _mixtral,
    "qwen3_moe": _qwen3_moe,
    "gpt_oss": _gpt_oss,
}
"""Counting rule of each ``model_type``.

A family is added with a published parameter count as its test.
"""


def _windows(c: Mapping[str, Any]) -> tuple[int, int | None]:
    """Layers with windowed attention and their window, from ``layer_types`` or the older flags."""
    window, layers = c.get("sliding_window"), c["num_hidden_layers"]
    if not window or c.get("use_sliding_window") is False:
        return 0, None
    if c.get("layer_types"):
        count = sum(kind == "sliding_attention" for kind in c["layer_types"])
    elif c["model_type"] == "gpt_oss":
        count = (layers + 1) // 2
    else:
        count = max(0, layers - c.get("max_window_layers", 0))
    return (count, int(window)) if count else (0, None)


def _bytes_per_weight(c: Mapping[str, Any], dtype: str | None, where: str) -> float:
    if dtype is None and c.get("quantization_config"):
        method = str(c["quantization_config"].get("quant_method", "unknown"))
        raise IsocostError(
            f"the weights are quantised ({method}), so the stored bytes per weight do not follow"
            " from the configuration",
            where=f"{where}, key quantization_config",
            remedy=f"Give dtype, one of {', '.join(BYTES_PER_DTYPE)}, or write a card by hand",
        )
    stored = dtype or c.get("torch_dtype") or c.get("dtype")
    if stored not in BYTES_PER_DTYPE:
        raise IsocostError(
            f"the number format of the weights is {stored!r}, which has no known size",
            where=f"{where}, key torch_dtype",
            remedy=f"Give dtype, one of {', '.join(BYTES_PER_DTYPE)}",
        )
    return BYTES_PER_DTYPE[stored]


def model_card_from_hf_config(
    path: str | Path,
    *,
    name: str | None = None,
    dtype: str | None = None,
    bytes_per_kv_element: float | None = None,
) -> ModelCard:
    """Count the weights that a Hugging Face configuration describes.

    Args:
        path: a ``config.json`` or the model folder that contains it.
        name: the card's name; default the name of the folder.
        dtype: number format the weights are run in (``float32``, ``bfloat16``, ``fp8``, ...);
            default the configuration's.
        bytes_per_kv_element: bytes per KV element; default 2, or 4 when the weights run in float32.

    Returns:
        The card; its parameter counts equal those of the checkpoint exactly for the families in
        `FAMILIES`.

    Raises:
        IsocostError: unreadable file, missing key, unknown family (prints a template to fill in) or
            unknown number format.
    """
    path = Path(path)
    config = read_hf_config(path / "config.json" if path.is_dir() else path)
    where = str(path)
    label = name or (path.name if path.is_dir() else path.parent.name)
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        raise IsocostError(
            f"weights of model_type {family!r} cannot be counted (known: {', '.join(FAMILIES)})",
            where=f"{where}, key model_type",
            remedy=f"Fill in this card:\n{model_skeleton(label)}",
        )
    try:
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        head = config.get("head_dim") or hidden // heads
        layers = FAMILIES[family](config, head)
        vocabulary = config["vocab_size"]
        # The families' own defaults: transformers omits the key where it equals the default.
        tied = bool(config.get("tie_word_embeddings", False))
        outside = layers.shared + hidden + (1 if tied else 2) * vocabulary * hidden
        active_experts = (
            layers.experts * (layers.experts_active or 0) // (layers.experts_total or 1)
        )
        windowed, window = _windows(config)
        weight_bytes = _bytes_per_weight(config, dtype, where)
        return ModelCard(
            name=label,
            source=f"counted from {family} config.json",
            parameters_total=outside + layers.experts,
            parameters_active=outside + active_experts,
            layers=config["num_hidden_layers"],
            hidden_size=hidden,
            query_heads=heads,
            kv_heads=config.get("num_key_value_heads", heads),
            head_size=head,
            vocabulary=vocabulary,
            is_embedding_tied=tied,
            experts_total=layers.experts_total,
            experts_active=layers.experts_active,
            parameters_experts=layers.experts,
            layers_windowed=windowed,
            window_tokens=window,
            bytes_per_weight=weight_bytes,
            bytes_per_kv_element=bytes_per_kv_element or (4.0 if weight_bytes == 4.0 else 2.0),
        )
    except KeyError as error:
        raise IsocostError(
            f"the configuration lacks the key {error}",
            where=where,
            remedy=f"Fill in this card:\n{model_skeleton(label)}",
        ) from None
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise IsocostError(
            f"the sizes do not describe a model of type {family}: {error}",
            where=where,
            remedy=f"Fill in this card:\n{model_skeleton(label)}",
        ) from None
