"""Ask a server through the engine ``openai``: tokens, wall and processor seconds as JSON.

Lives here: the process that ``benchmarks.servers`` measures, which runs in the folder whose package
it is to use. Not here: the server.
"""

from __future__ import annotations

import json
import sys
import time

from isocost.engines.openai import OpenAiEngine
from isocost.engines.protocol import EngineSettings, Request


def main(url: str, size: dict[str, int]) -> None:
    """Ask, and print what it took."""
    settings = EngineSettings(
        model_path="paced",
        model_name="paced",
        dtype=None,
        quantization=None,
        revision=None,
        seed=0,
        max_model_len=None,
        kv_cache_bytes=None,
        max_num_seqs=size["in_flight"],
        max_num_batched_tokens=1,
        block_size=None,
        enable_prefix_caching=False,
        enforce_eager=False,
        logprobs_k=size["top"],
        options={"base_url": url},
    )
    engine = OpenAiEngine(settings)
    engine.check()
    engine.start()
    messages = ({"role": "user", "content": "word " * 100},)
    wall, cpu, made = time.perf_counter(), time.process_time(), 0
    for number in range(size["requests"]):
        engine.add(
            Request(
                request_id=str(number),
                messages=messages,
                temperature=0.7,
                top_p=1.0,
                top_k=0,
                min_p=0.0,
                max_tokens=size["tokens"],
                seed=None,
                problem_id="p",
                prompt_hash="h",
                sample_index=number,
            )
        )
    while engine.unfinished():
        for completion in engine.step():
            assert completion.error is None, completion.error
            made += completion.output_tokens or 0
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    engine.close()
    assert made == size["requests"] * size["tokens"], f"{made} tokens"
    print(json.dumps([made, wall, cpu]))


main(sys.argv[1], json.loads(sys.argv[2]))
