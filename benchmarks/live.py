"""Does replay predict what a method does when it runs? Live methods against their replay.

``python -m benchmarks.live`` banks plain samples of two tasks, runs each stopping rule live on the
same problems with another engine seed, and compares accuracy, samples and generated tokens per
problem with the replay of the rule from the bank. It does the same for a cascade of two models,
which runs with two engines: the same weights in bfloat16 and in float32. Its threshold is found in
the bank, so that half of the samples are passed on. The interval is that of the mean difference
over problems, joint over the three quantities of a row (Bonferroni); the last column says whether
it contains 0. ``--write`` keeps the table in docs/results/live.csv. The exit status is 1 where an
interval excludes 0.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import norm

from isocost.build import refresh
from isocost.intake.plan import plan_sweep
from isocost.stopping import escalating_threshold
from isocost.store import Store
from isocost.strategies.estimators.cascades import cascade

SMALL, LARGE = (
    f'name: smollm2-135m-{form}, path: "cache:smollm2-135m-instruct", dtype: {form}'
    for form in ("bfloat16", "float32")
)
CASCADE, ESCALATE = "cascade", 0.5
RULES = ("adaptive_consistency", "early_stopping_consistency", "sequential_ratio_test")
OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "live.csv"
LEVEL = 0.95
QUANTITIES = ("accuracy", "samples", "output_tokens")
_TASKS = """\
tasks:
  - name: basic-arithmetic
    source: reasoning_gym
    dataset: basic_arithmetic
    config: {min_terms: 2, max_terms: 2, min_digits: 1, max_digits: 1, operators: ["+", "-"],
      allow_negation: false, allow_parentheses: false}
    n_problems: N
    seed: 11
    verifier: numeric
  - name: letter-counting
    source: reasoning_gym
    dataset: letter_counting
    config: {min_words: 1, max_words: 2}
    n_problems: N
    seed: 11
    verifier: numeric
"""
SWEEP = """
sweep: {name}
models: [{models}]
{partners}
engine:
  engine: vllm
  seed: {seed}
  max_model_len: 256
  kv_cache_bytes: 768 MiB
  max_num_seqs: 64
  max_num_batched_tokens: 4096
  enforce_eager: true
{tasks}prompts:
  - {{name: direct, template: "{{question}} Reply with only the number."}}
grid: {{temperature: 0.7, max_tokens: 12, method: [{methods}]}}
samples_per_problem: {samples}
bank: {{warmup_requests: 2, logprobs_k: 0, telemetry: none}}
"""


def tasks(problems: int) -> str:
    """The tasks of a sweep on which the small model is neither hopeless nor perfect.

    Args:
        problems: of each.
    """
    return _TASKS.replace("n_problems: N", f"n_problems: {problems}")


def generated(store: Store, file: Path) -> list[str]:
    """Plan, generate and curate one sweep; its sessions."""
    sessions = plan_sweep(store, file)
    for session_id in sessions:
        # vLLM gets a process of its own: it inspects every module that is loaded.
        command = [sys.executable, "-m", "isocost.generate", "--lake", str(store.lake)]
        subprocess.run([*command, "--session", str(store.session_file(session_id))], check=True)
        refresh.curate_session(store, session_id)
    return sessions


def measured(
    store: Store,
    folder: Path,
    name: str,
    *,
    problems: int,
    models: tuple[str, ...] = (LARGE,),
    partner: str | None = None,
    **settings: object,
) -> list[str]:
    """The sessions of one sweep of this benchmark."""
    file = folder / f"{name}.yaml"
    text = SWEEP.format(
        name=name,
        tasks=tasks(problems),
        models=", ".join(f"{{{model}}}" for model in models),
        partners="" if partner is None else f"partners: {{large: {{model: {{{partner}}}}}}}",
        **settings,
    )
    file.write_text(text, encoding="utf-8")
    return generated(store, file)


def live_rows(store: Store, sessions: list[str]) -> pl.DataFrame:
    """What each rule did at each problem."""
    points = store.read_only("core_points", sessions).select("point_id", "method")
    samples = store.read_only("core_samples", sessions).filter("is_valid")
    return samples.join(points, on="point_id").select(
        "task",
        "problem_id",
        pl.col("method").alias("rule"),
        pl.col("correct").cast(pl.Float64).alias("accuracy"),
        pl.col("n_calls").cast(pl.Float64).alias("samples"),
        pl.col("output_tokens").cast(pl.Float64),
    )


def replayed_rows(store: Store, cap: int) -> pl.DataFrame:
    """What the replay of each rule expects at each problem, at the same cap."""
    outcomes = store.read("out_strategy_outcomes").filter(
        pl.col("strategy_family").is_in(RULES), pl.col("budget") == cap
    )
    first = outcomes.sort("task", "strategy_family", "strategy").unique(
        ["task", "strategy_family"], keep="first", maintain_order=True
    )
    problems = store.read("out_strategy_problems")
    return problems.join(
        first.select("outcome_id", "task", "strategy_family"), on="outcome_id"
    ).select(
        "task",
        "problem_id",
        pl.col("strategy_family").alias("rule"),
        "accuracy",
        pl.col("samples_per_problem").alias("samples"),
        pl.col("output_tokens_per_problem").alias("output_tokens"),
    )


def replayed_cascade(store: Store, sessions: list[str]) -> tuple[float, pl.DataFrame]:
    """A threshold that passes on half of the bank, and what a cascade with it is expected to do.

    Args:
        store: plain samples of both models.
        sessions: of the small model, then of the large one.
    """
    key = ["task", "problem_id"]
    banks = [
        store.read_only("core_samples", [session_id])
        .filter("is_valid")
        .group_by(key)
        .agg(pl.col("correct").cast(pl.Float64), "output_tokens", "logprob_mean")
        .sort(key)
        for session_id in sessions
    ]
    shared = banks[0].select(key).join(banks[1].select(key), on=key).sort(key)
    small, large = (shared.join(bank, on=key, maintain_order="left") for bank in banks)
    known = small["logprob_mean"].explode().drop_nulls().to_numpy()
    threshold = escalating_threshold(known, ESCALATE)
    sizes = [bank["correct"].list.len().to_numpy() for bank in (small, large)]

    def padded(bank: pl.DataFrame, name: str, unknown: float) -> np.ndarray:
        rows = [[unknown if v is None else float(v) for v in row] for row in bank[name]]
        width = max(map(len, rows))
        return np.array([row + [0.0] * (width - len(row)) for row in rows])

    found = cascade(
        [padded(bank, "correct", 0.0) for bank in (small, large)],
        [padded(small, "logprob_mean", -np.inf)],
        [padded(bank, "output_tokens", np.nan) for bank in (small, large)],
        [threshold],
        sizes=sizes,
    )
    return threshold, shared.with_columns(
        pl.lit(CASCADE).alias("rule"),
        pl.Series("accuracy", found.accuracy),
        pl.Series("samples", found.reach.sum(axis=1)),
        pl.Series("output_tokens", found.cost),
    )


def compared(live: pl.DataFrame, replayed: pl.DataFrame, command: str) -> list[dict[str, object]]:
    """One row per rule and quantity, over the problems of both tasks."""
    joined = live.join(replayed, on=["task", "problem_id", "rule"], suffix="_replayed")
    z = float(norm.ppf(1 - (1 - LEVEL) / 2 / len(QUANTITIES)))
    rows: list[dict[str, object]] = []
    for rule in (*RULES, CASCADE):
        mine = joined.filter(pl.col("rule") == rule)
        for name in QUANTITIES:
            ours, theirs = mine[name], mine[f"{name}_replayed"]
            apart = (ours - theirs).drop_nulls()
            mean, error = float(apart.mean() or 0.0), float(apart.std() or 0.0) / len(apart) ** 0.5
            rows.append(
                {
                    "rule": rule,
                    "quantity": f"{name}_per_problem",
                    "problems": len(apart),
                    "live": round(float(ours.mean() or 0.0), 4),
                    "replayed": round(float(theirs.mean() or 0.0), 4),
                    "difference_low": round(mean - z * error, 4),
                    "difference_high": round(mean + z * error, 4),
                    "is_within": abs(mean) <= z * error,
                    "command": command,
                }
            )
    return rows


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--problems", type=int, default=75, help="of each task (%(default)s)")
    parser.add_argument("--cap", type=int, default=8, help="samples at most (%(default)s)")
    parser.add_argument("--write", action="store_true", help=f"keep the rows in {OUTPUT.name}")
    arguments = parser.parse_args()
    cap, problems = arguments.cap, arguments.problems
    methods = ", ".join(f"{{name: {rule}, max_samples: {cap}}}" for rule in RULES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bank, live = Store(folder / "bank"), Store(folder / "live")
        size = {"problems": problems, "samples": cap}
        measured(bank, folder, "bank", seed=0, methods="sample", **size)
        refresh.derive(bank, "strategies")
        sessions = measured(
            live, folder, "live", seed=1, problems=problems, samples=1, methods=methods
        )
        pair = Store(folder / "pair")
        both = measured(
            pair, folder, "pair", models=(SMALL, LARGE), seed=0, methods="sample", **size
        )
        threshold, expected = replayed_cascade(pair, both)
        sessions_of_two = measured(
            live, folder, "two", models=(SMALL,), partner=LARGE, seed=1, problems=problems,
            samples=1, methods=f"{{name: {CASCADE}, thresholds: [{threshold!r}]}}",
        )  # fmt: skip
        command = f"python -m benchmarks.live --problems {problems} --cap {cap} --write"
        rows = compared(
            live_rows(live, sessions + sessions_of_two),
            pl.concat([replayed_rows(bank, cap), expected], how="diagonal_relaxed"),
            command,
        )
    for row in rows:
        print("  ".join(f"{row[key]!s:>28}" for key in row if key != "command"))
    if arguments.write:
        with OUTPUT.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 0 if all(row["is_within"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
