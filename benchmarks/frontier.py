"""How fast and how large: frontiers, the shared problem bootstrap and the frontier tables.

Baselines in the same run: a frontier by moocore; the bootstrap one outcome at a time with numpy
(means) and moocore (membership), timed on a share of the outcomes and draws and scaled up linearly,
which favours the baseline's frontier part. Limits: bootstrap of 5,000 outcomes x 1,000 problems x
2,000 draws in 30 s and 4 GiB; a frontier of 1,000,000 points in 2 s.
"""

from __future__ import annotations

import argparse
import resource
import time

import moocore
import numpy as np
import polars as pl

from isocost.frontier import hypervolume, pareto_mask, problem_bootstrap, resample_counts
from isocost.tables.frontiers.frontiers import build_frontiers

LIMITS = {"bootstrap_s": 30.0, "peak_gib": 4.0, "frontier_s": 2.0}


def clock(action) -> tuple[float, object]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def bank(outcomes: int, problems: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes that trade cost for quality, with noise, so that many are close to the frontier."""
    rng = np.random.default_rng(seed)
    budget = np.geomspace(1, 256, outcomes)[:, None]
    skill = 1 - rng.random(problems) ** (1 / np.log2(budget + 1))
    return np.clip(
        1 - skill + rng.normal(0, 0.1, (outcomes, problems)), 0, 1
    ), budget * rng.lognormal(4, 0.5, (outcomes, problems))


def frontier(points: int) -> list[str]:
    rng = np.random.default_rng(0)
    cost, quality = rng.lognormal(size=points), rng.random(points)
    ours, mask = clock(lambda: pareto_mask(cost, quality))
    pairs = np.column_stack([cost, -quality])
    theirs, oracle = clock(lambda: moocore.is_nondominated(pairs, keep_weakly=True))
    assert (mask == oracle).all()
    worst, _ = clock(lambda: pareto_mask(cost, np.sqrt(cost)))
    volume, _ = clock(lambda: hypervolume(np.log(cost), quality, [10, 0]))
    return [
        (
            f"frontier of {points:,} points: {ours:.2f} s, limit {LIMITS['frontier_s']} s; moocore"
            f" {theirs:.2f} s, ratio {ours / theirs:.2f}"
        ),
        f"  all points on it: {worst:.2f} s; hypervolume {volume:.2f} s",
    ]


def bootstrap(outcomes: int, problems: int, draws: int) -> list[str]:
    values, costs = bank(outcomes, problems)
    found = []
    for method in ("percentile", "bca"):
        took, result = clock(
            lambda method=method: problem_bootstrap(values, costs, draws, 0, method=method)
        )
        found.append((method, took, result))
    baseline = _baseline(values, costs, draws)
    lines = [
        f"bootstrap {outcomes:,} x {problems:,} x {draws:,}, {method}: {took:.1f} s, limit"
        f" {LIMITS['bootstrap_s']:.0f} s; one outcome at a time {baseline:.0f} s (scaled up), ratio"
        f" {took / baseline:.3f}"
        for method, took, _ in found
    ]
    uncertain = int(((found[0][2].membership > 0.05) & (found[0][2].membership < 0.95)).sum())
    return [
        *lines,
        (
            f"  {uncertain} outcomes with a membership of 0.05 to 0.95; peak memory"
            f" {peak_gib():.2f} GiB, limit {LIMITS['peak_gib']:.0f} GiB"
        ),
    ]


def _baseline(values: np.ndarray, costs: np.ndarray, draws: int) -> float:
    few, part = min(50, len(values)), min(100, draws)
    counts = resample_counts(values.shape[1], draws, 0).astype(np.float64)

    def one_by_one() -> None:
        for row in range(few):
            for matrix in (values, costs):
                np.quantile(
                    [np.average(matrix[row], weights=weight) for weight in counts], [0.025, 0.975]
                )

    means, _ = clock(one_by_one)
    grades, spent = counts[:part] @ values.T, counts[:part] @ costs.T
    member, _ = clock(
        lambda: [
            moocore.is_nondominated(np.column_stack([c, -q]))
            for c, q in zip(spent, grades, strict=True)
        ]
    )
    return means * len(values) / few + member * draws / part


def tables(outcomes: int, problems: int, draws: int) -> list[str]:
    values, costs = bank(outcomes, problems)
    ids = np.array([f"o{number:05d}" for number in range(outcomes)])
    names = np.array([f"p{number:05d}" for number in range(problems)])
    rows = pl.DataFrame(
        {
            "outcome_id": np.repeat(ids, problems),
            "problem_id": np.tile(names, outcomes),
            "accuracy": values.ravel(),
        }
    )
    rows = rows.with_columns(
        pl.Series("output_tokens_per_problem", costs.ravel()),
        pl.Series("latency_sequential_s_per_problem", costs.ravel() / 100),
    )
    heads = pl.DataFrame(
        {
            "outcome_id": ids,
            "task": "t",
            "strategy": "s",
            "budget": np.arange(outcomes),
            "model_variant": "m",
        }
    )
    heads = heads.with_columns(
        pl.lit(1.0).alias("output_tokens_per_problem"), pl.lit(1.0).alias("latency_s_per_problem")
    )
    took, built = clock(lambda: build_frontiers(heads, rows, draws=draws))
    size = sum(frame.height for frame in built.values())
    return [
        f"frontier tables of {outcomes:,} outcomes x {problems:,} problems x 2 axes: {took:.1f} s,"
        f" {size:,} rows; peak {peak_gib():.2f} GiB"
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frontier", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="also the frontier tables at the full size"
    )
    arguments = parser.parse_args()
    for line in (*bootstrap(5000, 1000, 2000), *frontier(1_000_000)):
        print(line, flush=True)
    for line in tables(*((5000, 1000, 2000) if arguments.full else (1000, 500, 1000))):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
