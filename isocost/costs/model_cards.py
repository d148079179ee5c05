"""The card of a model: what its architecture costs per token.

Lives here: `ModelCard` and the quantities that follow from it alone (parameters that are
multiplied, bytes per token of KV cache). Not here: reading a Hugging Face configuration
(`hf_config`), the packaged cards (`book`), and any formula that takes token counts or a device
(`flops`, `roofline`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Width = Annotated[int, Field(gt=0, lt=2**31)]
"""A count of layers, heads, experts or positions, as wide as its column in ``core_models``."""
Weights = Annotated[int, Field(ge=0, lt=2**53)]
"""A number of weights, which a float still tells from the next one."""


class ModelCard(BaseModel):
    """Architecture numbers of one model, enough for every analytic cost of this project.

    Attributes:
        name: the name that sweeps and prices refer to.
        source: where the numbers come from.
        parameters_total: all weights, shared embeddings counted once.
        parameters_active: weights that take part in one token: all of them in a dense model; in a
            mixture of experts everything outside the experts plus the chosen experts. The input
            embedding table is included.
        layers: transformer blocks.
        hidden_size: width of the residual stream.
        query_heads: query heads per layer.
        kv_heads: key/value heads per layer.
        head_size: elements of one head.
        vocabulary: rows of the output projection.
        is_embedding_tied: whether the output projection is the input embedding table.
        experts_total: routed experts per mixture layer; NULL for a dense model.
        experts_active: routed experts each token visits; NULL for a dense model.
        parameters_experts: weights in all routed experts of all layers together; 0 for a dense
            model.
        layers_windowed: layers whose attention sees only the last `window_tokens` positions.
        window_tokens: that window; NULL where `layers_windowed` is 0.
        bytes_per_weight: mean bytes of one stored weight (2 for bfloat16, 1 for fp8, 0.5 for
            4-bit).
        bytes_per_kv_element: bytes of one stored key or value element.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    parameters_total: Weights = Field(gt=0)
    parameters_active: Weights = Field(gt=0)
    layers: Width
    hidden_size: Width
    query_heads: Width
    kv_heads: Width
    head_size: Width
    vocabulary: Width
    is_embedding_tied: bool
    experts_total: Width | None = None
    experts_active: Width | None = None
    parameters_experts: Weights = 0
    layers_windowed: int = Field(default=0, ge=0)
    window_tokens: Width | None = None
    bytes_per_weight: float = Field(gt=0)
    bytes_per_kv_element: float = Field(gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.parameters_active > self.parameters_total:
            raise ValueError("parameters_active is larger than parameters_total")
        if (self.experts_total is None) != (self.experts_active is None) or (
            self.experts_total is None
        ) != (self.parameters_experts == 0):
            raise ValueError(
                "experts_total, experts_active and parameters_experts are given together or not"
                " at all"
            )
        if (
            self.experts_total is not None
            and self.experts_active is not None
            and not 0 < self.experts_active <= self.experts_total
        ):
            raise ValueError("experts_active must be in 1..experts_total")
        if self.layers_windowed > self.layers or (self.layers_windowed > 0) != (
            self.window_tokens is not None
        ):
            raise ValueError(
                "layers_windowed (at most layers) and window_tokens are given together or not"
                " at all"
            )
        if self.parameters_body <= 0:
            raise ValueError("the embedding tables alone are larger than parameters_active")
        return self

    @classmethod
    def from_hf_config(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        dtype: str | None = None,
        bytes_per_kv_element: float | None = None,
    ) -> ModelCard:
        """Read a Hugging Face ``config.json``.

        See `isocost.costs.hf_config.model_card_from_hf_config`.
        """
        from isocost.costs.hf_config import model_card_from_hf_config

        return model_card_from_hf_config(
            path, name=name, dtype=dtype, bytes_per_kv_element=bytes_per_kv_element
        )

    @classmethod
    def from_gguf(
        cls, path: str | Path, *, name: str | None = None, bytes_per_kv_element: float = 2.0
    ) -> ModelCard:
        """Count a GGUF file's weights; see `isocost.costs.gguf_file.model_card_from_gguf`."""
        from isocost.costs.gguf_file import model_card_from_gguf

        return model_card_from_gguf(path, name=name, bytes_per_kv_element=bytes_per_kv_element)

    def with_adapter(self, parameters: int) -> ModelCard:
        """The card of the model with a LoRA adapter that is not merged into its weights.

        A pair A (r x d_in), B (d_out x r) is two more products per token, 2 r (d_in + d_out) FLOPs
        (Hu et al. 2021, arXiv:2106.09685, section 4.1): as much as that many more weights.

        Args:
            parameters: number of the adapter's weights, r (d_in + d_out) summed over its pairs.
        """
        return self.model_copy(
            update={
                "parameters_total": self.parameters_total + parameters,
                "parameters_active": self.parameters_active + parameters,
            }
        )

    @property
    def parameters_logits(self) -> int:
        """Weights of the output projection, hidden size times vocabulary.

        Used once per sampled position.
        """
        return self.hidden_size * self.vocabulary

    @property
    def parameters_looked_up(self) -> int:
        """Weights of a separate input table.

        One row is read per token, nothing is multiplied. 0 if tied.
        """
        return 0 if self.is_embedding_tied else self.hidden_size * self.vocabulary

    @property
    def parameters_body(self) -> int:
        """Active weights that every processed token is multiplied with.

        Active, less both embedding tables.
        """
        return self.parameters_active - self.parameters_logits - self.parameters_looked_up

    @property
    def kv_elements_per_token(self) -> int:
        """Key and value elements one token adds over all layers.

        2 x kv_heads x head_size x layers.
        """
        return 2 * self.kv_heads * self.head_size * self.layers

    @property
    def kv_bytes_per_token(self) -> float:
        """Bytes of KV cache one token adds (kappa)."""
        return self.kv_elements_per_token * self.bytes_per_kv_element

    @property
    def queries_per_kv_head(self) -> float:
        """Query heads that share a key/value head (r of grouped-query attention)."""
        return self.query_heads / self.kv_heads
