"""Reading a Hugging Face ``config.json``.

Lives here: what makes such a file readable, and the judgement of the sizes in it, so that a zero or
text among them is reported with file and key before anything divides by it. Not here: what the
sizes of a model family mean (``hf_config``), which files a model folder needs
(``engines.model_folder``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from isocost.errors import IsocostError

SIZES = (
    "decoder_sparse_step",
    "head_dim",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "moe_intermediate_size",
    "num_attention_heads",
    "num_experts",
    "num_experts_per_tok",
    "num_hidden_layers",
    "num_key_value_heads",
    "num_local_experts",
    "vocab_size",
)
"""Keys whose value is a positive integer; null where a family derives it, a list where it differs
between layers."""


def read_hf_config(file: Path) -> dict[str, Any]:
    """Read a ``config.json`` and judge its sizes.

    Args:
        file: the file.

    Returns:
        The configuration as it is in the file.

    Raises:
        IsocostError: the file is missing, not a JSON object, or has an impossible size; names the
            key.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IsocostError(
            "config.json is missing",
            where=str(file.parent),
            remedy="Give a Hugging Face model folder or its config.json.",
        ) from None
    except OSError as error:
        raise IsocostError(
            f"cannot be read: {error.strerror}",
            where=str(file),
            remedy="Make the file readable and retry.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise IsocostError(
            f"not valid JSON: {error}", where=str(file), remedy="Fetch the model again."
        ) from None
    if not isinstance(config, dict):
        raise IsocostError(
            "the configuration is not a JSON object",
            where=str(file),
            remedy="Give a model's config.json.",
        )
    found = cast("dict[str, Any]", config)
    _judge(found, file, "")
    text = found.get("text_config")
    if text is not None and not isinstance(text, dict):
        raise IsocostError(
            "the configuration of the text model is not a JSON object",
            where=f"{file}, key text_config",
            remedy="Fetch the model again.",
        )
    _judge(cast("dict[str, Any]", text or {}), file, "text_config.")
    return found


def size(config: Mapping[str, Any], key: str) -> int | None:
    """A size of a judged configuration; None if it is not stated or differs between layers.

    Args:
        config: what `read_hf_config` returned.
        key: one of `SIZES`.
    """
    value = config.get(key)
    return value if isinstance(value, int) else None


def _judge(config: Mapping[str, Any], file: Path, inside: str) -> None:
    for key in SIZES:
        value = config.get(key)
        if value is None or isinstance(value, list):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise IsocostError(
                f"{value!r} is not a positive integer",
                where=f"{file}, key {inside}{key}",
                remedy="Fetch the model again.",
            )
