"""Cards counted from GGUF files, which the library writes."""

from __future__ import annotations

import numpy as np
import pytest

from isocost.costs.model_cards import ModelCard
from isocost.errors import IsocostError

gguf = pytest.importorskip("gguf")
HIDDEN, LAYERS, VOCABULARY, FEED = 64, 6, 96, 128


def write(path, *, kind="llama", experts=0, tied=True, window=None, halves=False, **leave_out):
    writer = gguf.GGUFWriter(path, kind)
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(HIDDEN)
    if "heads" not in leave_out:
        writer.add_head_count(4)
    writer.add_head_count_kv(2)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
    if window:
        writer.add_sliding_window(window)
    number = np.float16 if halves else np.float32
    shapes = {"token_embd.weight": (VOCABULARY, HIDDEN), "output_norm.weight": (HIDDEN,)}
    if not tied:
        shapes["output.weight"] = (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        shapes[f"blk.{layer}.attn_q.weight"] = (HIDDEN, HIDDEN)
        if experts:
            shapes[f"blk.{layer}.ffn_up_exps.weight"] = (experts, FEED, HIDDEN)
        else:
            shapes[f"blk.{layer}.ffn_up.weight"] = (FEED, HIDDEN)
    for name, shape in shapes.items():
        writer.add_tensor(name, np.zeros(shape, number))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sum(int(np.prod(shape)) for shape in shapes.values())


def test_a_dense_model_is_counted_by_its_tensors(tmp_path):
    for halves, size in ((True, 2.0), (False, 4.0)):
        file = tmp_path / f"small-{size}.gguf"
        total = write(file, halves=halves)
        card = ModelCard.from_gguf(file)
        assert (card.name, card.parameters_total, card.parameters_active) == (
            file.stem, total, total,
        )  # fmt: skip
        assert (card.bytes_per_weight, card.layers, card.hidden_size) == (size, LAYERS, HIDDEN)
        assert (card.query_heads, card.kv_heads, card.head_size) == (4, 2, 16)
        assert (card.vocabulary, card.is_embedding_tied, card.layers_windowed) == (96, True, 0)
    assert write(tmp_path / "two.gguf", tied=False) == total + VOCABULARY * HIDDEN
    assert not ModelCard.from_gguf(tmp_path / "two.gguf").is_embedding_tied


def test_only_the_chosen_experts_are_active(tmp_path):
    total = write(tmp_path / "moe.gguf", experts=8)
    card = ModelCard.from_gguf(tmp_path / "moe.gguf", name="moe")
    every = LAYERS * 8 * FEED * HIDDEN
    assert (card.parameters_experts, card.experts_total, card.experts_active) == (every, 8, 2)
    assert card.parameters_active == total - every + every // 4


def test_windows_follow_the_architecture_or_are_refused(tmp_path):
    write(tmp_path / "g.gguf", kind="gemma3", window=512)
    card = ModelCard.from_gguf(tmp_path / "g.gguf")
    assert (card.layers_windowed, card.window_tokens) == (5, 512)
    write(tmp_path / "l.gguf", window=512)
    with pytest.raises(IsocostError, match="which layers have a window"):
        ModelCard.from_gguf(tmp_path / "l.gguf")


def test_what_is_not_enough_is_refused_with_a_card_to_fill_in(tmp_path):
    with pytest.raises(IsocostError, match="no such file"):
        ModelCard.from_gguf(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_bytes(b"hello, this is text" * 9)
    with pytest.raises(IsocostError, match="is not a GGUF file"):
        ModelCard.from_gguf(tmp_path / "text.gguf")
    write(tmp_path / "h.gguf", heads=None)
    with pytest.raises(IsocostError, match=r"(?s)layers, widths and vocabulary.*parameters_total"):
        ModelCard.from_gguf(tmp_path / "h.gguf")
