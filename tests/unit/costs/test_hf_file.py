"""A foreign config.json gives an answer or an error with file and key, never a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.costs.hf_config import FAMILIES
from isocost.costs.hf_file import SIZES, read_hf_config, size
from isocost.costs.model_cards import ModelCard
from isocost.engines.model_folder import ModelFolder
from isocost.errors import IsocostError

SOUND = {
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 2,
    "intermediate_size": 16,
    "vocab_size": 32,
    "torch_dtype": "bfloat16",
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 8,
}
VALUES = st.one_of(
    st.integers(-2, 3),
    st.just(0),
    st.none(),
    st.booleans(),
    st.floats(allow_nan=True),
    st.text(max_size=4),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
KEYS = st.sampled_from(
    [
        *SIZES,
        "model_type",
        "torch_dtype",
        "quantization_config",
        "text_config",
        "sliding_window",
        "layer_types",
        "mlp_only_layers",
        "max_window_layers",
        "use_sliding_window",
    ]
)


@given(
    family=st.sampled_from(sorted(FAMILIES)),
    changes=st.dictionaries(KEYS, VALUES, max_size=3),
    missing=st.sets(st.sampled_from(sorted(SOUND)), max_size=1),
)
def test_whatever_the_file_states_it_is_an_answer_or_an_error(
    tmp_path_factory: pytest.TempPathFactory,
    family: str,
    changes: dict[str, object],
    missing: set[str],
) -> None:
    config = {k: v for k, v in SOUND.items() if k not in missing}
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text(json.dumps({"model_type": family, **config, **changes}))
    for read in (
        lambda: ModelCard.from_hf_config(folder),
        lambda: ModelFolder(folder, "m").check_kv_cache(2**20, 8, dtype="float32"),
        lambda: ModelFolder(folder, "m").check_length(8),
        lambda: ModelFolder(folder, "m").check_memory(2**20, dtype="float32"),
    ):
        try:
            read()
        except IsocostError as error:
            assert error.where and error.remedy


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
@pytest.mark.parametrize("inside", ["", "text_config"])
def test_an_impossible_size_is_named(tmp_path: Path, key: str, value: object, inside: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({inside: {key: value}} if inside else {key: value}))
    with pytest.raises(IsocostError, match="not a positive integer") as caught:
        read_hf_config(file)
    assert str(caught.value.where).endswith(f"{file}, key {inside + '.' if inside else ''}{key}")


@pytest.mark.parametrize("content", ["[]", "1", '"x"', "null", "", "[" * 100_000, "\ud800"])
def test_what_is_not_a_configuration_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(IsocostError) as caught:
        read_hf_config(file)
    assert str(file) in str(caught.value)


def test_a_size_that_differs_between_layers_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(SOUND | {"num_key_value_heads": [1, 2]}))
    assert size(read_hf_config(file), "num_key_value_heads") is None
    assert ModelFolder(tmp_path, "m").kv_bytes_per_token("float32") is None
    file.write_text(json.dumps(SOUND))
    assert ModelFolder(tmp_path, "m").kv_bytes_per_token("float32") == 2 * 2 * 1 * 4 * 4
