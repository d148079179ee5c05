"""A two-layer random Llama with a real tokenizer, for tests.

Lives here: its weights and its tokenizer. Not here: its place in the model cache (`prepare`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def make_tiny_llama(
    folder: Path, *, seed: int = 0, layers: int = 2, hidden: int = 64, vocabulary: int = 512
) -> Path:
    """Write a small random Llama with a byte-level BPE tokenizer and a chat template.

    Needs no network.

    Args:
        folder: where to write; created if missing.
        seed: seed of the weights.
        layers: decoder layers.
        hidden: hidden size; heads have 32 channels, the minimum for the CPU attention kernels, so a
            multiple of 64.
        vocabulary: tokens of the tokenizer.

    Returns:
        The folder.
    """
    quiet_libraries()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer(vocabulary)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 64,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with a chat template, trained on sums."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    corpus = [
        f"What is {a} plus {b}? The answer is {a + b}. Reply with only the number, step by step."
        for a in range(40)
        for b in range(40)
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|begin|>", "<|end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|pad|>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|begin|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
    )
    return tokenizer


def quiet_libraries() -> None:
    """Keep the libraries that build models from printing progress."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
