"""LoRA adapters in PEFT's format: what a folder contains, without torch or PEFT.

Lives here: `AdapterFolder`, with its rank, number of weights and content hash, and whether it fits
a model's weights. Not here: how a sweep names one (``isocost.sweep``), its application (each
engine), and its costs (``isocost.costs.model_cards``).

An adapter replaces the product of a weight W (d_out x d_in) with (W + s B A) x, where A is r x d_in
and B is d_out x r (Hu et al. 2021, arXiv:2106.09685, section 4.1). Not merged into W, it costs
2 r (d_in + d_out) FLOPs more per token: twice its own number of weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.plain_files import read_plain

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FILES = (CONFIG, WEIGHTS)
_MOST_CONFIG_BYTES = 2**20
_MOST_HEADER_BYTES = 100 * 2**20
_PREFIX = "base_model.model."
_OTHER_KINDS = (
    "use_dora",
    "use_bdlora",
    "use_qalora",
    "lora_bias",
    "layer_replication",
    "alora_invocation_tokens",
    "modules_to_save",
)
"""Keys of PEFT's configuration that make an adapter something else than W + s B A."""


class AdapterFolder:
    """The folder of an adapter.

    Attributes:
        path: the folder.
        where: for messages.
    """

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where

    def rank(self) -> int:
        """The largest rank of its layers.

        Raises:
            IsocostError: see `check`.
        """
        config = self._config()
        ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
        if not all(type(rank) is int and rank > 0 for rank in ranks):
            raise self._wrong(f"{CONFIG} has no rank r", "Train or export it again with PEFT.")
        return max(rank for rank in ranks if isinstance(rank, int))

    def parameters(self) -> int:
        """The number of its weights."""
        return sum(math.prod(shape) for shape in self._shapes().values())

    def sha256(self) -> str:
        """Hash of its configuration and weights."""
        digest = hashlib.sha256()
        for name in FILES:
            with (self.path / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def check(self) -> None:
        """Reject what is not a LoRA adapter of the plain kind.

        Raises:
            IsocostError: what is missing or different, and what to do.
        """
        if not self.path.is_dir():
            raise self._wrong(
                f"the adapter folder {self.path} does not exist",
                f"Give the folder of a LoRA adapter in PEFT's format ({', '.join(FILES)}).",
            )
        config = self._config()
        kind = config.get("peft_type")
        if str(kind).upper() != "LORA":
            raise self._wrong(
                f"the adapter is of the kind {kind}, not LORA", "Give a LoRA adapter."
            )
        other = next((key for key in _OTHER_KINDS if config.get(key)), None)
        if other is not None:
            raise self._wrong(
                f"the adapter uses {other}, which vLLM does not apply",
                "Merge it into the model with PEFT, and give the merged folder as the model.",
            )
        self.rank()
        if not any(".lora_A." in name for name in self._shapes()):
            raise self._wrong(f"{WEIGHTS} has no LoRA weights", "Export the adapter again.")

    def check_fits(self, model: Path) -> None:
        """Reject an adapter of another model, as far as the model's weights say so.

        Args:
            model: the folder of the model; its weights are compared if they are safetensors and
                not packed.

        Raises:
            IsocostError: no layer that it changes is in the model, or one has another shape.
        """
        self.check()
        known = _stored_shapes(model)
        mine = self._changed()
        compared = {name: shape for name, shape in mine.items() if name in known}
        if known and not compared:
            name = next(iter(mine))
            raise self._wrong(
                f"the adapter changes {name}, and no layer that it changes is in the model",
                "Give the model that the adapter was trained on.",
            )
        for name, shape in compared.items():
            if len(known[name]) == 2 and tuple(known[name]) != shape:
                raise self._wrong(
                    f"the adapter changes {name} of {_size(shape)} weights; in the model it has"
                    f" {_size(known[name])}",
                    "Give the model that the adapter was trained on.",
                )

    def _config(self) -> dict[str, Any]:
        file = self.path / CONFIG
        if not file.is_file():
            raise self._wrong(
                f"{self.path} has no {CONFIG}",
                "Give the folder of a LoRA adapter in PEFT's format.",
            )
        try:
            found = json.loads(
                read_plain(file, most_bytes=_MOST_CONFIG_BYTES, what="adapter configuration")
            )
        except ValueError as error:
            raise self._wrong(f"{file} is not JSON: {error}", "Fetch the adapter again.") from None
        if not isinstance(found, dict):
            raise self._wrong(f"{file} is not a JSON object", "Fetch the adapter again.")
        return found

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        file = self.path / WEIGHTS
        if not file.is_file():
            raise self._wrong(f"{self.path} has no {WEIGHTS}", "Save the adapter as safetensors.")
        try:
            return tensor_shapes(file)
        except (OSError, ValueError) as error:
            raise self._wrong(f"{file} cannot be read: {error}", "Fetch it again.") from None

    def _changed(self) -> dict[str, tuple[int, int]]:
        """Shapes (d_out, d_in) of the weights that it changes, by their name in the model."""
        shapes = self._shapes()
        found = {}
        for name, shape in shapes.items():
            before, mark, after = name.partition(".lora_A.")
            outer = shapes.get(f"{before}.lora_B.{after}")
            if mark and outer is not None and len(shape) == len(outer) == 2:
                found[f"{before.removeprefix(_PREFIX)}.weight"] = (outer[0], shape[1])
        if not found:
            raise self._wrong(f"{WEIGHTS} has no pairs of lora_A and lora_B", "Export it again.")
        return found

    def _wrong(self, what: str, remedy: str) -> IsocostError:
        return IsocostError(what, where=self.where, remedy=remedy)


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of a safetensors file's tensors, from its header.

    Raises:
        ValueError: it is not such a file.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 0 < length <= _MOST_HEADER_BYTES:
            raise ValueError("it has no header of a safetensors file")
        header = json.loads(opened.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    found = {}
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        shape = tensor.get("shape") if isinstance(tensor, dict) else None
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"tensor {name} has no shape")
        found[name] = tuple(shape)
    return found


def _stored_shapes(model: Path) -> Mapping[str, tuple[int, ...]]:
    """Shapes of a model's weights; nothing if its files cannot tell."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(model.glob("*.safetensors")):
        try:
            found |= tensor_shapes(file)
        except (OSError, ValueError):
            return {}
    return found


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
