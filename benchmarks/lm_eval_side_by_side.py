"""The same task through lm-eval and through Isocost: prompts, answers, scores and seconds.

``python -m benchmarks.lm_eval_side_by_side`` runs 32 problems in GSM8K's form with three shots,
greedily, with SmolLM2-135M and the same settings of vLLM: with lm-eval's own vLLM backend, and as a
sweep with ``source: lm_eval``. Both run in an environment with lm-eval
(``foreign_environment``), in turn, each time in a new process. The exit status is 1 where a prompt
or a score differs. ``--write`` keeps what was printed in docs/results/lm_eval.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.foreign_environment import LM_EVAL, lm_eval_python
from benchmarks.lm_eval_client import (
    CACHE_BYTES,
    ENGINE,
    FILTERS,
    MODEL,
    PROBLEMS,
    TASK,
    TASKS,
)
from isocost.errors import IsocostError

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "results" / "lm_eval.md"
SIDES = ("lm_eval", "isocost")
SWEEP = f"""\
sweep: side-by-side
models: {{name: smollm2, path: "cache:{MODEL}", dtype: float32}}
engine: {json.dumps({"engine": "vllm", "kv_cache_bytes": CACHE_BYTES, **ENGINE})}
tasks:
  - name: shop
    source: lm_eval
    dataset: {TASK}
    config: {{include_path: {TASKS}}}
    n_problems: {PROBLEMS}
    verifier: lm_eval
prompts: {{name: lm_eval, template: "{{prompt}}", chat: false}}
grid: {{temperature: 0.0, max_tokens: MOST}}
samples_per_problem: 1
bank: {{warmup_requests: 2, logprobs_k: 0, telemetry: none}}
"""


def measured(python: Path, side: str, folder: Path) -> dict[str, Any]:
    """What one side made in a process of its own."""
    output = folder / "made.json"
    command = [python, "-m", "benchmarks.lm_eval_client", side, str(folder), str(output)]
    # Threads that spin while they wait would count other programs' work as theirs.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise IsocostError(f"the side {side} failed: {done.stderr[-3000:]}", where=str(folder))
    made: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return made


def same(made: dict[str, dict[str, Any]], key: str) -> int:
    """How many documents are equal in one respect."""
    one, other = (made[side]["documents"] for side in SIDES)
    return sum(a[key] == b[key] for a, b in zip(one, other, strict=True))


def answers(made: dict[str, dict[str, Any]], name: str, key: str) -> int:
    """How many documents have equal answers or scores of one filter; no answer is [invalid]."""
    one, other = (made[side]["documents"] for side in SIDES)
    pairs = [(a[key][name], b[key][name]) for a, b in zip(one, other, strict=True)]
    return sum(a == ("[invalid]" if b is None else b) for a, b in pairs)


def lines(runs: list[dict[str, dict[str, Any]]]) -> list[str]:
    """The tables of all rounds as Markdown."""
    first = runs[0]
    made = ["| compared | equal |", "|---|---|"]
    made += [
        f"| prompts, character by character | {same(first, 'prompt')} of {PROBLEMS} |",
        f"| generated texts | {same(first, 'text')} of {PROBLEMS} |",
    ]
    for name in FILTERS:
        made += [
            f"| answers of filter {name} | {answers(first, name, 'answers')} of {PROBLEMS} |",
            f"| scores of filter {name} | {answers(first, name, 'scores')} of {PROBLEMS} |",
        ]
    made += ["", f"| score of | {' | '.join(SIDES)} |", "|---|---|---|"]
    for name in FILTERS:
        results = [str(first[side]["results"][name]) for side in SIDES]
        made.append(f"| {name} | {' | '.join(results)} |")
    for key, named in (("seconds", "seconds of generation"), ("cpu_seconds", "core seconds")):
        made += ["", f"| {named} | {' | '.join(SIDES)} |", "|---|---|---|"]
        for number, run in enumerate(runs, start=1):
            found = (f"{run[side][key]:.2f}" for side in SIDES)
            made.append(f"| round {number} | {' | '.join(found)} |")
        middle = [statistics.median(run[side][key] for run in runs) for side in SIDES]
        made.append(f"| median | {middle[0]:.2f} | {middle[1]:.2f} |")
    made += ["", f"{first['isocost']['tokens']} tokens are generated in each round."]
    return made


def main() -> int:
    """Run both sides in turn, compare, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/results")
    arguments = parser.parse_args()
    python, runs = lm_eval_python(), []
    for number in range(arguments.rounds):
        run = {}
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "sweep.yaml").write_text(SWEEP.replace("MOST", "48"), "utf-8")
                run[side] = measured(python, side, Path(folder))
        runs.append(run)
    found = lines(runs)
    print("\n".join(found))
    if arguments.write:
        head = [
            "# lm-eval and Isocost side by side",
            "",
            f"`python -m benchmarks.lm_eval_side_by_side --rounds {arguments.rounds} --write` with"
            f" {LM_EVAL}:",
            f"{PROBLEMS} problems in GSM8K's form, 3 shots, greedy, {MODEL} in float32 on"
            f" {len(os.sched_getaffinity(0))} CPU cores. The seconds are those of the requests"
            " alone, after a warm-up; core seconds do",
            "not include waiting for other programs on the same machine.",
            "",
        ]
        OUTPUT.write_text("\n".join([*head, *found]) + "\n", encoding="utf-8")
    return int(
        any(
            same(run, "prompt") != PROBLEMS
            or any(answers(run, name, "scores") != PROBLEMS for name in FILTERS)
            for run in runs
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
