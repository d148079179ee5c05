"""Print what a small model with a LoRA adapter says: in vLLM, merged, and without the adapter.

A program of its own, for test_adapter_vllm: ``python lora_and_merged.py FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import adapters

from isocost.engines.prepare import make_tiny_llama
from isocost.engines.protocol import EngineSettings, Request
from isocost.engines.vllm import VllmEngine, encode_chat

TOKENS = 12
QUESTIONS = ({"role": "user", "content": "1 + 1?"}, {"role": "user", "content": "2 + 3?"})


def main(folder: Path) -> None:
    base, adapter = make_tiny_llama(folder / "base"), folder / "adapter"
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    adapters.write(adapter, {"adapter_config.json": json.dumps(adapters.configuration()).encode()})
    tensors = {name: torch.randn(shape) for name, shape in adapters.pairs().items()}
    save_file(tensors, adapter / "adapter_model.safetensors")
    engine = VllmEngine(
        EngineSettings(
            model_path=str(base), model_name="tiny", dtype="float32", quantization=None, revision=None,
            seed=0, max_model_len=256, kv_cache_bytes=2**26, max_num_seqs=4,
            max_num_batched_tokens=512, block_size=None, enable_prefix_caching=True,
            enforce_eager=True, logprobs_k=1, options={}, adapter_path=str(adapter),
        )
    )  # fmt: skip
    engine.check()
    engine.start()
    for number, question in enumerate(QUESTIONS):
        engine.add(Request(str(number), (question,), 0.0, 1.0, 0, 0.0, TOKENS, None, "p", "h", 0))
    found: dict[str, list[int]] = {}
    while engine.unfinished():
        found |= {one.request_id: list(one.token_ids or ()) for one in engine.step()}
    described = engine.describe()["adapter"]
    engine.close()

    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)

    def greedy() -> list[list[int]]:
        answers = []
        for question in QUESTIONS:
            ids = encode_chat(engine._tokenizer, [question])
            given = torch.tensor([ids])
            made = model.generate(
                given, attention_mask=torch.ones_like(given), max_new_tokens=TOKENS, do_sample=False
            )
            answers.append(made[0, len(ids) :].tolist())
        return answers

    bare = greedy()
    for name, lower in tensors.items():
        if ".lora_A." in name:
            upper = tensors[name.replace("lora_A", "lora_B")]
            key = name.removeprefix("base_model.model.").replace(".lora_A", "")
            model.get_parameter(key).data += 2 * (upper @ lower)  # lora_alpha / r
    said = {"vllm": [found[str(n)] for n in range(len(QUESTIONS))], "described": described}
    print(json.dumps({**said, "merged": greedy(), "bare": bare}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
