import json
from pathlib import Path

import pytest
import yaml

from isocost.costs import ModelCard, load_book
from isocost.costs.skeletons import (
    baseline_skeleton,
    device_skeleton,
    model_skeleton,
    price_skeleton,
)
from isocost.errors import IsocostError


def config(
    model_type: str,
    hidden: int,
    heads: int,
    kv_heads: int,
    layers: int,
    inner: int,
    vocabulary: int,
    **extra,
) -> dict:
    keys = (
        "model_type",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "num_hidden_layers",
        "intermediate_size",
        "vocab_size",
    )
    return (
        dict(
            zip(keys, (model_type, hidden, heads, kv_heads, layers, inner, vocabulary), strict=True)
        )
        | extra
    )


QWEN_MOE = {
    "head_dim": 128,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
}
MIXTRAL = {"num_local_experts": 8, "num_experts_per_tok": 2}
GPT_OSS = {"head_dim": 64, "num_local_experts": 32, "num_experts_per_tok": 4, "sliding_window": 128}
NO_WINDOW = {"sliding_window": 131072, "use_sliding_window": False}
TIED = {"tie_word_embeddings": True}
CONFIGS = {
    # name: (configuration, published parameter count of the checkpoint)
    "smollm2-135m-instruct": (config("llama", 576, 9, 3, 30, 1536, 49152, **TIED), 134_515_008),
    "qwen2.5-7b-instruct": (
        config("qwen2", 3584, 28, 4, 28, 18944, 152064, **NO_WINDOW),
        7_615_616_512,
    ),
    "qwen3-0.6b": (
        config("qwen3", 1024, 16, 8, 28, 3072, 151936, head_dim=128, **TIED),
        596_049_920,
    ),
    "qwen3-8b": (config("qwen3", 4096, 32, 8, 36, 12288, 151936, head_dim=128), 8_190_735_360),
    "qwen3-30b-a3b": (
        config("qwen3_moe", 2048, 32, 4, 48, 6144, 151936, **QWEN_MOE),
        30_532_122_624,
    ),
    "llama-3-8b": (config("llama", 4096, 32, 8, 32, 14336, 128256), 8_030_261_248),
    "llama-2-70b": (config("llama", 8192, 64, 8, 80, 28672, 32000), 68_976_648_192),
    "mixtral-8x7b": (config("mixtral", 4096, 32, 8, 32, 14336, 32000, **MIXTRAL), 46_702_792_704),
    "gpt-oss-20b": (config("gpt_oss", 2880, 64, 8, 24, 2880, 201088, **GPT_OSS), 20_914_757_184),
}


def write_config(folder: Path, content: dict, **extra) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({"torch_dtype": "bfloat16"} | content | extra))
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_counted_weights_equal_the_published_checkpoint(name, tmp_path):
    content, published = CONFIGS[name]
    counted = ModelCard.from_hf_config(write_config(tmp_path, content), name=name)
    assert counted.parameters_total == published
    packaged = load_book().model(name)
    same = {"source", "bytes_per_weight"}
    assert packaged.model_dump(exclude=same) == counted.model_dump(exclude=same)


def test_every_packaged_model_is_recounted():
    assert set(load_book().models) == set(CONFIGS)


def test_known_active_parameters():
    book = load_book()
    assert book.model("mixtral-8x7b").parameters_active == 12_879_925_248  # published: 12.9 B
    assert book.model("qwen3-30b-a3b").parameters_active / 1e9 == pytest.approx(
        3.35, abs=0.01
    )  # published: 3.3 B
    gpt = book.model("gpt-oss-20b")
    assert (gpt.parameters_active - gpt.parameters_looked_up) / 1e9 == pytest.approx(
        3.61, abs=0.005
    )  # published: 3.61 B
    dense = book.model("qwen3-8b")
    assert dense.parameters_active == dense.parameters_total
    assert dense.kv_elements_per_token == 73728 and dense.queries_per_kv_head == 4
    assert book.model("llama-3-8b").kv_bytes_per_token == 131072


def test_window_layers_are_read(tmp_path):
    content, _ = CONFIGS["gpt-oss-20b"]
    assert (
        load_book().model("gpt-oss-20b").layers_windowed,
        load_book().model("gpt-oss-20b").window_tokens,
    ) == (12, 128)
    kinds = ["full_attention"] * 20 + ["sliding_attention"] * 4
    assert (
        ModelCard.from_hf_config(write_config(tmp_path, content, layer_types=kinds)).layers_windowed
        == 4
    )
    mistral = CONFIGS["llama-3-8b"][0] | {"model_type": "mistral", "sliding_window": 4096}
    assert ModelCard.from_hf_config(write_config(tmp_path, mistral)).layers_windowed == 32
    assert (
        ModelCard.from_hf_config(
            write_config(tmp_path, mistral, sliding_window=None)
        ).layers_windowed
        == 0
    )


def test_number_formats(tmp_path):
    content, _ = CONFIGS["smollm2-135m-instruct"]
    path = write_config(tmp_path, content)
    assert ModelCard.from_hf_config(tmp_path).name == tmp_path.name  # the folder will do
    assert ModelCard.from_hf_config(path, dtype="float32").bytes_per_weight == 4
    assert ModelCard.from_hf_config(path, dtype="float32").bytes_per_kv_element == 4
    assert (
        ModelCard.from_hf_config(path, dtype="fp8", bytes_per_kv_element=1).kv_bytes_per_token
        == 2 * 3 * 64 * 30
    )
    with pytest.raises(IsocostError, match="quantised"):
        ModelCard.from_hf_config(
            write_config(tmp_path, content, quantization_config={"quant_method": "awq"})
        )
    with pytest.raises(IsocostError, match="torch_dtype"):
        ModelCard.from_hf_config(write_config(tmp_path, content, torch_dtype="exotic"))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"model_type": "mamba"}', "parameters_total:"),
        ('{"model_type": "llama"}', "hidden_size"),
    ],
)
def test_bad_configurations_name_the_place(tmp_path, content, match):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(IsocostError, match=match) as caught:
        ModelCard.from_hf_config(path)
    assert str(path) in str(caught.value)


def test_missing_configuration(tmp_path):
    with pytest.raises(IsocostError, match=r"config\.json is missing"):
        ModelCard.from_hf_config(tmp_path)


def test_missing_cards_print_the_card_to_fill_in():
    book = load_book()
    with pytest.raises(IsocostError, match=r"'qwen3-8' .nearest: qwen3-8b") as caught:
        book.model("qwen3-8")
    assert model_skeleton("qwen3-8") in str(caught.value)
    for look_up, skeleton in (
        (book.device, device_skeleton),
        (book.price, price_skeleton),
        (book.baseline, baseline_skeleton),
    ):
        with pytest.raises(IsocostError) as caught:
            look_up("zzz")
        assert skeleton("zzz") in str(caught.value)


def test_a_filled_skeleton_loads(tmp_path):
    filled = yaml.safe_load(model_skeleton("mine"))["models"][0]
    filled.update(
        {key: 1 for key in filled if key not in ("name", "source")},
        source="mine",
        is_embedding_tied=True,
    )
    filled.update(parameters_total=100, parameters_active=100)
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"cards_version": 1, "models": [filled]}))
    device = yaml.safe_load(device_skeleton("card"))["devices"][0] | {
        "source": "sheet",
        "peak_flops_per_s": {"bfloat16": 1e12},
    }
    (tmp_path / "devices.yaml").write_text(
        yaml.safe_dump({"cards_version": 1, "devices": [device]})
    )
    price = yaml.safe_load(price_skeleton("shop"))["prices"][0] | {
        "source": "web",
        "as_of": "2026-01-01",
        "usd_per_device_hour": 1,
    }
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump({"cards_version": 1, "prices": [price]}))
    book = load_book(tmp_path)
    assert (
        book.model("mine").parameters_total == 100 and book.price("shop").usd_per_device_hour == 1
    )
    assert book.device("card").bandwidth_bytes_per_s is None
    assert "llama-3-8b" in book.models


def test_a_bad_card_file_names_file_entry_and_field(tmp_path):
    (tmp_path / "devices.yaml").write_text(
        "cards_version: 1\ndevices:\n- {name: x, source: y, flops: 3}\n"
    )
    with pytest.raises(IsocostError, match=r"devices.yaml, devices entry x: .*flops"):
        load_book(tmp_path)
    (tmp_path / "devices.yaml").write_text("cards_version: 2\ndevices: []\n")
    with pytest.raises(IsocostError, match="cards_version: 1"):
        load_book(tmp_path)
    with pytest.raises(IsocostError, match="no such folder"):
        load_book(tmp_path / "nowhere")


def test_devices():
    book = load_book()
    assert book.device("NVIDIA H100 80GB HBM3").name == "h100-sxm"
    assert book.device("h200-sxm").intensity("bfloat16") == pytest.approx(206.15, abs=0.01)
    assert book.device("b200-sxm").intensity("bfloat16") == pytest.approx(281.25)
    cpu = book.device("cpu")
    assert cpu.peak_flops_per_s is None and cpu.power_limit_w is None
    with pytest.raises(IsocostError, match="no dense peak for bfloat16"):
        cpu.peak("bfloat16")
    with pytest.raises(IsocostError, match="bandwidth"):
        cpu.bandwidth()


def test_every_card_has_a_source():
    book = load_book()
    for cards in (book.models, book.devices, book.prices, book.baselines):
        assert cards and all(card.source.strip() for card in cards.values())


@pytest.mark.parametrize("content", [b"models: [", b"cards_version: 1\nmodels: []\n# \xff"])
def test_a_card_file_that_is_no_yaml_is_reported_in_one_line(tmp_path, content):
    (tmp_path / "models.yaml").write_bytes(content)
    with pytest.raises(IsocostError, match=r"not valid YAML|not UTF-8") as caught:
        load_book(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("peak", ["-1", ".nan", "1.0e+300", "[1]"])
def test_a_broken_card_is_left_out_alone_and_no_packaged_one_stands_in_for_it(tmp_path, peak):
    name = next(iter(load_book().devices))
    rest = "source: x, bandwidth_bytes_per_s: 1, memory_bytes: 1, power_limit_w: 1"
    text = f"cards_version: 1\ndevices:\n  - {{name: {name}, peak_flops_per_s: {{bf16: {peak}}}, {rest}}}\n"
    (tmp_path / "devices.yaml").write_text(
        text + f"  - {{name: mine, peak_flops_per_s: null, {rest}}}\n"
    )
    faults = []
    book = load_book(tmp_path, faults=faults)
    assert (
        "mine" in book.devices
        and name not in book.devices
        and len(faults) == 1
        and f"entry {name}" in str(faults[0])
    )
    with pytest.raises(IsocostError, match="devices entry"):
        load_book(tmp_path)


@pytest.mark.parametrize("kind", ["models", "devices", "prices", "baselines"])
@pytest.mark.parametrize("value", [2**31, 253402300800, 2**63, 10**30, 1e-320, 1e23, -1, 0])
@pytest.mark.slow
def test_whatever_number_a_card_holds_its_tables_are_built_or_it_is_named(tmp_path, kind, value):
    from isocost.costs.book import PACKAGED
    from isocost.tables.costs.costs import build_cards

    packaged = yaml.safe_load((PACKAGED / f"{kind}.yaml").read_text())
    entry = packaged[kind][0]
    for key, was in entry.items():
        if isinstance(was, str | bool):
            continue
        hostile = {**packaged, kind: [{**entry, key: value}]}
        (tmp_path / f"{kind}.yaml").write_text(yaml.safe_dump(hostile))
        faults = []
        build_cards(load_book(tmp_path, faults=faults))
        assert all(f"{kind}.yaml, {kind} entry" in str(fault) for fault in faults)
