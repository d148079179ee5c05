"""Replay: every exact strategy from banks of 100 thousand to 10 million samples.

Versus one DuckDB scan and a shuffling loop.

The bank is synthetic, with answer distributions as they come: difficulty from a beta law, a few
popular wrong answers and a tail of rare ones, some samples without an answer. Each size runs in a
process of its own, so that peak memory is its own. Compilation happens on a small bank before the
clock starts, and is printed. ``--full`` adds the 10 million samples.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

POINTS, SAMPLES, TASKS = 10, 100, 2
LIMIT_S, LIMIT_GIB, FULL_LIMIT_GIB, MOST_EXPONENT, LEAST_SPEEDUP = 60.0, 3.0, 6.0, 1.05, 100.0
EXACT = (
    "pass_at_k",
    "pass_hat_k",
    "majority_at_k",
    "best_of_k",
    "retry_until_verified",
    "shortest_of_k",
    "surprisal_guided_at_k",
    "truncated_at_tokens",
    "oracle_router",
    "oracle_cascade",
)
SAMPLED = (
    "weighted_majority_at_k_probability",
    "borda_at_k_mean_logprob",
    "deepconf_offline_at_k_lowest_group_keep_90",
    "deepconf_offline_at_k_lowest_group_keep_10",
    "deepconf_online_at_k_keep_90",
    "adaptive_consistency",
    "sequential_ratio_test",
    "early_stopping_consistency",
    "shortest_majority_at_k",
    "rpc",
    "cascade",
)
COLUMNS = (
    "correct",
    "answer_class",
    "output_tokens",
    "prompt_tokens",
    "latency_s",
    "flops",
    "score",
    "logprob_mean",
    "logprob_sum",
    "confidence_lowest_group",
    "decode_s",
)


def point_samples(point: int, problems: int, samples: int) -> pl.DataFrame:
    """One point's samples, sorted as the table is."""
    rng = np.random.default_rng([point, problems])
    size = problems * samples
    skill = np.repeat(rng.beta(0.7, 0.9, problems), samples)
    right = rng.random(size) < skill
    # Wrong answers: problem by problem a few are popular, most are rare (Zipf).
    wrong = 1 + np.minimum(rng.zipf(1.6, size), 400)
    silent = (rng.random(size) < 0.04) & ~right
    classes = np.where(silent, -1, np.where(right, 0, wrong))
    tokens = np.maximum(rng.lognormal(5 + 0.3 * ~right, 0.5).astype(np.int64), 1)
    logprob = -np.abs(rng.normal(0.3 + 0.2 * ~right, 0.15))
    seconds = tokens * rng.uniform(0.009, 0.011, size)
    at, low = point_records(rng, tokens)
    number = np.repeat(np.arange(problems), samples)
    return pl.DataFrame(
        {
            "task": pl.Series([f"task-{point % TASKS}"], dtype=pl.String).new_from_index(0, size),
            "model_variant": (
                pl.Series([f"model-{point // TASKS}"], dtype=pl.String).new_from_index(0, size)
            ),
            "prompt": pl.Series(["direct"], dtype=pl.String).new_from_index(0, size),
            "point_id": pl.Series([f"pt-{point:04d}"], dtype=pl.String).new_from_index(0, size),
            "problem_id": pl.Series([f"pr-{i:07d}" for i in range(problems)]).gather(number),
            "sample_index": np.tile(np.arange(samples, dtype=np.int32), problems),
            "is_valid": np.ones(size, dtype=bool),
            "correct": right,
            "answer_class": pl.Series(classes).cast(pl.Int32).replace(-1, None),
            "output_tokens": tokens,
            "prompt_tokens": 40 + number % 100,
            "latency_s": seconds,
            "prefill_s": seconds / 20,
            "decode_s": seconds * 19 / 20,
            "flops": tokens * (1e9 * (1 + point)),
            "score": right.astype(np.float64),
            "logprob_mean": logprob,
            "logprob_sum": logprob * tokens,
            "confidence_lowest_group": low[:, -1],
            "confidence_record_tokens": pl.Series(at).arr.to_list(),
            "confidence_record_values": pl.Series(low).arr.to_list(),
            "completion_hash": (number * 1000 + rng.integers(0, 1000, size)).astype(str),
        }
    )


def point_records(
    rng: np.random.Generator, tokens: np.ndarray, records: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Where each trace's window confidence reaches new lows, and those lows: (samples, records)."""
    at = np.sort(rng.random((len(tokens), records)), axis=1) * tokens[:, None]
    rising = np.maximum.accumulate(
        at.astype(np.int32) + 1 + np.arange(records, dtype=np.int32), axis=1
    )
    return rising, 4 - np.cumsum(rng.exponential(0.1, (len(tokens), records)), axis=1).astype(
        np.float32
    )


def write_bank(folder: Path, problems: int) -> str:
    """Write a bank, one file per point, and return the pattern that reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for point in range(POINTS):
        point_samples(point, problems, SAMPLES).write_parquet(folder / f"point-{point:02d}.parquet")
    return str(folder / "*.parquet")


def peak_gib() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def scan_seconds(pattern: str) -> float:
    """The floor: one DuckDB scan of the columns, summed, on two threads."""
    connection = duckdb.connect(config={"threads": 2})
    start = time.perf_counter()
    connection.execute(
        f"SELECT {', '.join(f'sum({c})' for c in COLUMNS)} FROM read_parquet(?)", [pattern]
    ).fetchall()
    return time.perf_counter() - start


def replay(pattern: str, names: tuple[str, ...], out: Path) -> dict[str, float]:
    """Replay task by task, writing each task's tables away.

    Seconds, rows and the largest error bound.
    """
    from isocost.tables.outcomes.outcomes import build_outcomes

    start, used = time.perf_counter(), time.process_time()
    rows, bound = 0, 0.0
    unread = (
        []
        if any("online" in name for name in names)
        else ["confidence_record_tokens", "confidence_record_values"]
    )
    for task in range(TASKS):
        samples = (
            pl.scan_parquet(pattern)
            .filter(pl.col("task") == f"task-{task}")
            .drop(*unread)
            .collect()
        )
        outcomes, problems = build_outcomes(samples, strategies=names)
        del samples
        outcomes.write_parquet(out / f"outcomes-{task}.parquet")
        problems.write_parquet(out / f"problems-{task}.parquet")
        rows, bound = rows + problems.height, max(bound, outcomes["error_bound"].max() or 0.0)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - used,
        "rows": rows,
        "bound": bound,
    }


def child(pattern: str, names: tuple[str, ...]) -> None:
    """One measurement in its own process; prints JSON."""
    from isocost.tables.outcomes.outcomes import build_outcomes

    small = pl.concat([point_samples(p, 3, 32) for p in (0, TASKS)])
    start = time.perf_counter()
    build_outcomes(small, strategies=names)
    compiled = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as out:
        measured = replay(pattern, names, Path(out))
    memory = peak_gib()
    print(
        json.dumps(measured | {"compile": compiled, "gib": memory, "scan": scan_seconds(pattern)})
    )


def measure(pattern: str, names: tuple[str, ...]) -> dict[str, float]:
    """Run `child` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.replay", "--child", pattern, ",".join(names)]
    return json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )


def shuffling_loop(classes: np.ndarray, ks: list[int], orders: int, seed: int = 0) -> np.ndarray:
    """What others do.

    Shuffle the samples, count the first k, share ties. (problems, budgets) means over orders.
    """
    rng = np.random.default_rng(seed)
    wins = np.zeros((len(classes), len(ks)))
    for row, own in enumerate(classes):
        for _ in range(orders):
            shuffled = rng.permutation(own)
            for i, k in enumerate(ks):
                votes = np.bincount(shuffled[:k])
                top = votes == votes.max()
                wins[row, i] += top[0] / top.sum()
    return wins / orders


def bench_majority(problems: int = 1000, error: float = 1e-3) -> None:
    """Exact majority versus the loop, at equal standard error of a point's accuracy."""
    from isocost.strategies import majority_at_k

    frame = point_samples(0, problems, SAMPLES)
    classes = frame["answer_class"].fill_null(401).to_numpy().reshape(problems, SAMPLES)
    counts = np.stack([np.bincount(row, minlength=402) for row in classes])
    ks = [1, 2, 4, 8, 16, 32, 64, 100]
    majority_at_k(counts[:2], 0, ks)
    start = time.perf_counter()
    exact = majority_at_k(counts, 0, ks)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    trial = shuffling_loop(classes[:100], ks, 10)
    once = (time.perf_counter() - start) / (100 * 10) * problems
    agreement = np.abs(trial - exact[:100]).max()
    # Error of the mean over problems after R orders: sqrt(sum p (1 - p) / R) / problems, the worst
    # budget.
    needed = int(np.ceil((exact * (1 - exact)).sum(axis=0).max() / (error * problems) ** 2))
    print(
        f"majority@k, {problems:,} problems x {SAMPLES} samples, {len(ks)} budgets: exact"
        f" {ours:.3f} s"
    )
    print(
        f"  shuffling loop: {once:.2f} s an order; standard error {error} of the accuracy takes"
        f" {needed} orders, {once * needed:.0f} s"
    )
    ratio = once * needed / ours
    verdict = "met" if ratio >= LEAST_SPEEDUP else "MISSED"
    print(
        f"  exact is {ratio:,.0f} times faster at that error (at least {LEAST_SPEEDUP:.0f}:"
        f" {verdict})"
    )
    print(
        f"  largest difference on 100 problems after 10 orders: {agreement:.2f} (noise of the loop)"
    )


def bench_sizes(folder: Path, full: bool) -> str:
    """Time and memory of the exact strategies by size; gives the pattern of the 1M bank."""
    sizes = [100, 1000, *([10_000] if full else [])]
    seconds, patterns = [], {}
    print(
        f"exact strategies, {POINTS} points x {SAMPLES} samples per problem, k = 1, 2, 4 .. n"
        f" ({', '.join(EXACT)})"
    )
    for problems in sizes:
        patterns[problems] = write_bank(folder / str(problems), problems)
        found = measure(patterns[problems], EXACT)
        seconds.append(found["seconds"])
        print(
            f"  {POINTS * problems * SAMPLES:>10,} samples: {found['seconds']:.1f} s"
            f" ({found['cpu']:.1f} s of processor), {found['gib']:.2f} GiB, {found['rows']:,} rows;"
            f" {found['seconds'] / found['scan']:,.0f} x one DuckDB scan ({found['scan']:.3f} s);"
            f" compiling before: {found['compile']:.1f} s",
            flush=True,
        )
        if problems == 1000:
            met = found["seconds"] <= LIMIT_S and found["gib"] <= LIMIT_GIB
            print(
                f"             limit {LIMIT_S:.0f} s and {LIMIT_GIB:.0f} GiB:"
                f" {'met' if met else 'MISSED'}"
            )
        if problems == 10_000:
            print(
                f"             limit {FULL_LIMIT_GIB:.0f} GiB:"
                f" {'met' if found['gib'] <= FULL_LIMIT_GIB else 'MISSED'}"
            )
    for (small, early), (large, late) in pairwise(zip(sizes, seconds, strict=True)):
        exponent = np.log(late / early) / np.log(large / small)
        verdict = "met" if exponent <= MOST_EXPONENT else "MISSED"
        step = f"{POINTS * small * SAMPLES:,} -> {POINTS * large * SAMPLES:,}"
        print(f"  exponent {step}: {exponent:.2f} (at most {MOST_EXPONENT}: {verdict})")
    return patterns[1000]


def bench_sampled(pattern: str) -> None:
    """Time and bound of each sampled strategy, and of RPC and cascades."""
    print(
        "one strategy at a time, 1,000,000 samples; the bound is of an accuracy of a row and"
        " exceeded with a chance of at most 0.05"
    )
    for name in SAMPLED:
        found = measure(pattern, (name,))
        bound = f"error bound {found['bound']:.4f}" if found["bound"] else "exact"
        print(
            f"  {name:45s} {found['seconds']:7.1f} s ({found['cpu']:.1f} s of processor),"
            f" {found['rows']:,} rows, {bound}",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay")
    parser.add_argument("--full", action="store_true", help="also 10 million samples")
    parser.add_argument("--exact", action="store_true", help="leave the sampled strategies out")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child[0], tuple(arguments.child[1].split(",")))
    bench_majority()
    with tempfile.TemporaryDirectory() as folder:
        pattern = bench_sizes(Path(folder), arguments.full)
        if not arguments.exact:
            bench_sampled(pattern)
    return None


if __name__ == "__main__":
    main()
