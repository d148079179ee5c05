"""What does forcing an answer add to truncation? Both on the same traces of a real model.

``python -m benchmarks.forced`` generates greedy traces of two tasks, once as plain samples and once
with answers forced at several budgets, and compares the replayed strategy ``truncated_at_tokens``
of the former with ``answer_at_budget`` of the latter, over the problems whose two traces are the
same tokens. Of a trace that has ended by the budget both have its answer; of a longer one, forcing
has that of its probe. So the difference of the curves has to be the share of longer traces whose
probe is right, and the difference in tokens those of the probes: the columns ``rest`` and
``tokens_rest`` are what is left, and the exit status is 1 where it is not 0. ``--write`` keeps the
table in docs/results/forced.csv.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.live import generated, tasks
from isocost.bank.reader import read_raw
from isocost.build import refresh
from isocost.store import Store

BUDGETS = (16.0, 32.0, 64.0)
MOST = 80
OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "forced.csv"
ROUNDING = 1e-9
TOKENS = "output_tokens_per_problem"
SWEEP = """
sweep: {name}
models: {{name: smollm2-135m-instruct, path: "cache:smollm2-135m-instruct", dtype: float32}}
engine:
  engine: vllm
  seed: 0
  max_model_len: 512
  kv_cache_bytes: 768 MiB
  max_num_seqs: 64
  max_num_batched_tokens: 4096
  enforce_eager: true
{tasks}prompts:
  - name: step-by-step
    template: |-
      {{question}}
      Think step by step. Finish with "Answer: " and the number.
grid:
  temperature: 0
  max_tokens: {most}
  method: [sample, {{name: forced_answers, budgets: {budgets}, answer_tokens: 12}}]
samples_per_problem: 1
bank: {{warmup_requests: 2, logprobs_k: 0, telemetry: none}}
"""


def traces(store: Store, session_id: str) -> pl.DataFrame:
    """Each problem's trace as it was generated for both points, with its length."""
    first = read_raw(store.lake, "raw_generations", session_id).filter(
        ~pl.col("is_warmup"), pl.col("call_index") == 0
    )
    sides = [
        first.filter(pl.col("method") == method).select(
            "task", "problem_id", pl.col("output_token_ids").alias(method)
        )
        for method in ("sample", "forced_answers")
    ]
    return sides[0].join(sides[1], on=["task", "problem_id"], validate="1:1")


def curves(store: Store) -> pl.DataFrame:
    """Accuracy and tokens of both strategies, one row per task, budget and problem."""
    outcomes = store.read("out_strategy_outcomes")
    problems = store.read("out_strategy_problems")
    points = store.read("core_points").select("point_id", "method")
    sides = []
    for method, strategy in (
        ("sample", "truncated_at_tokens"),
        ("forced_answers", "answer_at_budget"),
    ):
        mine = outcomes.join(points.filter(method=method), on="point_id").filter(
            pl.col("strategy") == strategy, pl.col("budget").is_in(BUDGETS)
        )
        joined = problems.join(mine.select("outcome_id", "task", "budget"), on="outcome_id")
        sides.append(joined.select("task", "budget", "problem_id", "accuracy", TOKENS))
    return sides[0].join(sides[1], on=["task", "budget", "problem_id"], suffix="_forced")


def probes(store: Store, session_id: str) -> pl.DataFrame:
    """Verdict and tokens of every forced answer."""
    answers = store.read_only("core_answers", [session_id]).filter(
        pl.col("budget").is_in(BUDGETS), pl.col("n_calls") == 2
    )
    calls = store.read_only("core_calls", [session_id])
    spent = calls.select(
        pl.col("sample_id"),
        pl.col("call_index").alias("answer_call_index"),
        pl.col("output_tokens").alias("probe_tokens"),
    )
    raw = read_raw(store.lake, "raw_answers", session_id)
    held = raw.select("sample_id", "answer_index", "answer_call_index")
    joined = answers.join(held, on=["sample_id", "answer_index"]).join(
        spent, on=["sample_id", "answer_call_index"]
    )
    return joined.select(
        "task",
        "budget",
        "problem_id",
        pl.col("correct").cast(pl.Float64).alias("probe_right"),
        "probe_tokens",
    )


def compared(store: Store, session_id: str, command: str) -> list[dict[str, object]]:
    """One row per task and budget, over the problems with one trace."""
    both = traces(store, session_id)
    same = both.filter(pl.col("sample") == pl.col("forced_answers"))
    joined = (
        curves(store)
        .join(same.select("task", "problem_id"), on=["task", "problem_id"])
        .join(probes(store, session_id), on=["task", "budget", "problem_id"], how="left")
        .sort("task", "budget", "problem_id")
    )
    rows: list[dict[str, object]] = []
    for (task, budget), part in joined.group_by("task", "budget", maintain_order=True):
        n, asked = part.height, part["probe_tokens"].drop_nulls().len()
        added = float(part["probe_right"].fill_null(0).sum()) / n
        spent = float(part["probe_tokens"].fill_null(0).sum()) / n
        means = {name: float(part[name].sum()) / n for name in part.columns[3:7]}
        rows.append(
            {
                "task": task,
                "budget_tokens": int(float(str(budget))),
                "problems": n,
                "problems_other_trace": both.filter(pl.col("task") == task).height - n,
                "longer_traces": asked,
                "accuracy_truncated": round(means["accuracy"], 4),
                "accuracy_forced": round(means["accuracy_forced"], 4),
                "added_by_forcing": round(added, 4),
                "rest": _exact(means["accuracy_forced"] - means["accuracy"] - added),
                "tokens_truncated": round(means[TOKENS], 2),
                "tokens_forced": round(means[f"{TOKENS}_forced"], 2),
                "tokens_rest": _exact(means[f"{TOKENS}_forced"] - means[TOKENS] - spent),
                "command": command,
            }
        )
    return rows


def _exact(rest: float) -> float:
    """What is left of a difference beyond the rounding of means."""
    return 0.0 if abs(rest) < ROUNDING else rest


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forced", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--problems", type=int, default=15, help="of each task (%(default)s)")
    parser.add_argument("--write", action="store_true", help=f"keep the rows in {OUTPUT.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name) / "data")
        file = Path(name) / "forced.yaml"
        budgets = [int(budget) for budget in BUDGETS]
        settings = {"name": "forced", "tasks": tasks(arguments.problems), "most": MOST}
        file.write_text(SWEEP.format(budgets=budgets, **settings), encoding="utf-8")
        [session_id] = generated(store, file)
        refresh.derive(store, "strategies")
        command = f"python -m benchmarks.forced --problems {arguments.problems} --write"
        rows = compared(store, session_id, command)
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items() if key != "command"))
    if arguments.write:
        with OUTPUT.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 0 if rows and all(row["rest"] == row["tokens_rest"] == 0 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
