"""The card of a model from its GGUF file: counted from the file's own header.

Lives here: `model_card_from_gguf`. Not here: what a card means (`model_cards`), reading a Hugging
Face configuration (`hf_config`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from isocost.costs.model_cards import ModelCard
from isocost.costs.skeletons import model_skeleton
from isocost.errors import IsocostError

_PATTERN = {"gemma2": 2, "gemma3": 6}
"""Of so many layers one attends to everything, where the file names only the window."""
_INPUT, _OUTPUT = "token_embd.weight", "output.weight"


def model_card_from_gguf(
    path: str | Path, *, name: str | None = None, bytes_per_kv_element: float = 2.0
) -> ModelCard:
    """Count the weights in a GGUF file, and the bytes in which they are stored.

    Args:
        path: the file; of a model in several files, the first does not have all weights.
        name: the card's name; default the file's without its ending.
        bytes_per_kv_element: bytes per KV element; llama.cpp's default cache has 2.

    Returns:
        The card; its number of parameters is that of the file's tensors.

    Raises:
        IsocostError: the library ``gguf`` is missing, the file is not GGUF or is one of several, or
            lacks a number that a card needs.
    """
    path = Path(path)
    label = name or path.stem
    reader = _reader(path)

    def value(key: str) -> Any:
        field = reader.fields.get(key)
        return None if field is None else field.contents()

    kind = value("general.architecture")

    def number(key: str, default: Any = None) -> Any:
        found = value(f"{kind}.{key}")
        # Some files state a number for each layer; a card has one.
        if isinstance(found, list):
            found = found[0] if len(set(found)) == 1 else None
        return default if found is None else found

    if (value("split.count") or 1) > 1:
        raise _lacking(path, label, "is one of several files")
    tensors = {t.name: (math.prod(map(int, t.shape)), int(t.n_bytes)) for t in reader.tensors}
    total = sum(weights for weights, _ in tensors.values())
    experts = sum(n for tensor, (n, _) in tensors.items() if "_exps." in tensor)
    many, chosen = number("expert_count") or None, number("expert_used_count") or None
    hidden, heads = number("embedding_length"), number("attention.head_count")
    layers, vocabulary = number("block_count"), _vocabulary(reader)
    if vocabulary is None or None in (hidden, heads, layers):
        raise _lacking(path, label, "does not state its layers, widths and vocabulary")
    window = number("attention.sliding_window") or None
    every = number("attention.sliding_window_pattern", _PATTERN.get(str(kind)))
    if window is not None and not isinstance(every, int):
        raise _lacking(path, label, "does not say which layers have a window")
    try:
        return ModelCard(
            name=label,
            source=f"counted from a GGUF file ({kind})",
            parameters_total=total,
            parameters_active=total - experts + experts * (chosen or 0) // (many or 1),
            layers=layers,
            hidden_size=hidden,
            query_heads=heads,
            kv_heads=number("attention.head_count_kv", heads),
            head_size=number("attention.key_length", hidden // heads),
            vocabulary=vocabulary,
            is_embedding_tied=_OUTPUT not in tensors,
            experts_total=many,
            experts_active=chosen,
            parameters_experts=experts,
            layers_windowed=0 if window is None else layers - layers // every,
            window_tokens=window,
            bytes_per_weight=sum(size for _, size in tensors.values()) / max(total, 1),
            bytes_per_kv_element=bytes_per_kv_element,
        )
    except ValidationError as error:
        raise _lacking(path, label, f"gives no card: {error.errors()[0]['msg']}") from None


def _reader(path: Path) -> Any:
    if not path.is_file():
        raise IsocostError(
            "there is no such file", where=str(path), remedy="Give the path of a GGUF file."
        )
    try:
        from gguf import GGUFReader
    except ImportError:
        raise IsocostError(
            "reading GGUF files needs the package gguf",
            where=str(path),
            remedy="Install the extra `cpu` or `gpu` of isocost.",
        ) from None
    try:
        return GGUFReader(path)
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise IsocostError(
            f"is not a GGUF file that can be read: {error}",
            where=str(path),
            remedy="Fetch it again.",
        ) from None


def _vocabulary(reader: Any) -> int | None:
    """Rows of the input embedding."""
    shape = next((t.shape for t in reader.tensors if t.name == _INPUT), None)
    return None if shape is None else int(shape[-1])


def _lacking(path: Path, label: str, what: str) -> IsocostError:
    return IsocostError(
        what,
        where=str(path),
        remedy=f"Fill in this card:\n{model_skeleton(label)}",
    )
