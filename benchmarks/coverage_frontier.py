"""Do the intervals of accuracy and of frontier membership contain the truth?

``python -m benchmarks.coverage_frontier`` simulates banks whose truth is known, 1,000 for each row,
and writes docs/results/coverage_frontier.csv. A row says how often what is claimed with 95 % was
true, with a Wilson interval for the simulation's own noise, and whether that is between 93 and 97
%.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from isocost.frontier import (
    bootstrap_intervals,
    frontier_margin,
    frontier_membership,
    margin_bounds,
    mean_interval,
    pareto_mask,
    resample_counts,
    score_interval,
    stratified_score_interval,
    wilson,
)

COMMAND = "python -m benchmarks.coverage_frontier"
OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "coverage_frontier.csv"
LEVEL = 0.95
DRAWS = 1000
ABILITIES = {"uniform": (1.0, 1.0), "u_shaped": (0.5, 0.5), "hard": (0.3, 3.0), "easy": (8.0, 0.5)}


def accuracy_rows(repetitions: int) -> Iterator[dict[str, object]]:
    """Accuracy over problems, for problem sets of several sizes, shapes and samples per problem."""
    for shape, (alpha, beta) in ABILITIES.items():
        for problems in (30, 100, 400):
            for samples in (1, 8):
                rng = np.random.default_rng([problems, samples, len(shape)])
                ability = rng.beta(alpha, beta, (repetitions, problems))
                values = rng.binomial(samples, ability) / samples
                yield from _accuracy_methods(
                    values, alpha / (alpha + beta), shape, problems, samples, None
                )
    rng = np.random.default_rng(7)
    source = rng.beta(1, 1, (repetitions, 40))
    ability = np.clip(
        np.repeat(source, 5, axis=1) * 0.8 + 0.2 * rng.random((repetitions, 200)), 0, 1
    )
    values = rng.binomial(4, ability) / 4
    yield from _accuracy_methods(
        values, 0.5, "uniform, 40 clusters of 5", 200, 4, np.repeat(np.arange(40), 5)
    )


def _accuracy_methods(
    values: np.ndarray,
    truth: float,
    scenario: str,
    problems: int,
    samples: int,
    clusters: np.ndarray | None,
) -> Iterator[dict[str, object]]:
    counts = resample_counts(problems, DRAWS, 0, clusters=clusters)
    found = {"score_effective": score_interval(values, LEVEL, clusters=clusters)}
    for method in ("percentile", "bca"):
        found[f"bootstrap_{method}"] = bootstrap_intervals(values, counts, LEVEL, method, clusters)[
            :2
        ]
    if clusters is None:
        found["student_t"] = mean_interval(values, LEVEL)
    else:
        found["score_effective, clusters ignored"] = score_interval(values, LEVEL)
    for method, (low, high) in found.items():
        used = method == "score_effective"
        yield _row(
            "accuracy", scenario, problems, samples, method, (low <= truth) & (truth <= high), used
        )


# Tasks of a mean over tasks: ability, problems, samples per problem.
SUITES = {
    "3 tasks, 30 problems each": ((1.0, 1.0), 30, 4, (0.5, 0.5), 30, 4, (0.3, 3.0), 30, 4),
    "2 tasks, 30 and 400 problems": ((1.0, 1.0), 30, 8, (8.0, 0.5), 400, 8),
    "2 hard tasks, 15 problems each": ((0.3, 3.0), 15, 2, (0.3, 3.0), 15, 2),
    "4 easy tasks, 30 problems each": ((8.0, 0.5), 30, 1) * 4,
    "10 tasks, 30 problems each": ((1.0, 1.0), 30, 1) * 10,
}


def macro_rows(repetitions: int) -> Iterator[dict[str, object]]:
    """Mean over tasks, each with problems of its own.

    The interval of the tables and the percentiles that it replaced.
    """
    for scenario, flat in SUITES.items():
        tasks = [flat[i : i + 3] for i in range(0, len(flat), 3)]
        rng = np.random.default_rng([len(tasks), *(problems for _, problems, _ in tasks)])
        parts = [
            rng.binomial(samples, rng.beta(*ability, (repetitions, problems))) / samples
            for ability, problems, samples in tasks
        ]
        share = np.full(len(tasks), 1 / len(tasks))
        truth = float(np.mean([a / (a + b) for (a, b), _, _ in tasks]))
        found = {"score_stratified": stratified_score_interval(parts, share, LEVEL)}
        draws = [resample_counts(part.shape[1], DRAWS, place) for place, part in enumerate(parts)]
        means = sum(
            part @ counts.T / part.shape[1] for part, counts in zip(parts, draws, strict=True)
        ) / len(tasks)
        found["bootstrap_percentile"] = tuple(
            np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        )
        for method, (low, high) in found.items():
            hits = (low <= truth) & (truth <= high)
            size = (sum(part.shape[1] for part in parts), tasks[0][2])
            yield _row(
                "accuracy, mean over tasks",
                scenario,
                *size,
                method,
                hits,
                method == "score_stratified",
            )


# Name: (true accuracies by rising cost, true mean costs). The last outcome is the one in question
# unless all are.
LADDERS = {
    "ladder of 6, steps of 0.08": (
        np.array([0.3, 0.38, 0.46, 0.54, 0.62, 0.7]),
        np.arange(1.0, 7.0),
    ),
    "ladder of 6, then 4 dominated by 0.05": (
        np.array([0.3, 0.38, 0.46, 0.54, 0.62, 0.7, 0.65, 0.57, 0.49, 0.41]),
        np.array([1.0, 2, 3, 4, 5, 6, 6.5, 5.5, 4.5, 3.5]),
    ),
    "2 outcomes, the more expensive barely better": (np.array([0.6, 0.6001]), np.array([1.0, 2.0])),
    "2 outcomes, the more expensive barely worse": (np.array([0.6, 0.5999]), np.array([1.0, 2.0])),
    "5 outcomes nearly tied": (0.6 + 0.0001 * np.arange(5), np.arange(1.0, 6.0)),
    "20 outcomes nearly tied": (0.6 + 0.0001 * np.arange(20), np.arange(1.0, 21.0)),
}


def membership_rows(repetitions: int) -> Iterator[dict[str, object]]:
    """Who is on the frontier of the population, against what the tables say.

    A claim about an outcome is the set of answers left open: "on" while is_on_optimistic_frontier,
    "off" while not is_on_conservative_frontier. For comparison the same with frontier_probability
    read as a test, "on" from 0.05 and "off" up to 0.95. For the margin it is the interval. The
    first outcome, which is cheapest and hence always on, is not counted.
    """
    for scenario, (accuracy, cost) in LADDERS.items():
        for problems in (100, 400):
            rng = np.random.default_rng([problems, len(accuracy)])
            truth, margin = pareto_mask(cost, accuracy)[1:], frontier_margin(cost, accuracy)[1:]
            flags, shares, inside = [], [], []
            for repetition in range(repetitions):
                values, costs = _bank(rng, accuracy, cost, problems, 4)
                counts = resample_counts(problems, DRAWS, repetition)
                member = frontier_membership(values, costs, counts)[1:]
                low, high = (
                    bound[:, 1:]
                    for bound in margin_bounds(values, costs, counts, tails=(0.025, 0.05))
                )
                flags.append(np.where(truth, high[1] > 0, low[1] <= 0))
                shares.append(np.where(truth, member >= 0.05, member <= 0.95))
                inside.append((low[0] <= margin) & (margin <= high[0]))
            for who, part in (("", slice(None)), (", most expensive outcome", slice(-1, None))):
                name = f"frontier membership{who}"
                yield _row(
                    name,
                    scenario,
                    problems,
                    4,
                    "optimistic and conservative flags",
                    np.array(flags)[:, part].ravel(),
                    True,
                )
                yield _row(
                    name,
                    scenario,
                    problems,
                    4,
                    "frontier_probability as a test",
                    np.array(shares)[:, part].ravel(),
                    False,
                )
            yield _row(
                "frontier margin",
                scenario,
                problems,
                4,
                "margin interval",
                np.array(inside).ravel(),
                True,
            )


def _bank(
    rng: np.random.Generator, accuracy: np.ndarray, cost: np.ndarray, problems: int, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Problems with a shared difficulty, so outcomes are positively correlated, as in real banks.

    Means as given.
    """
    shared = rng.random(problems)
    own = rng.random((len(accuracy), problems))
    # A Gaussian-free mixture whose mean over problems is exactly `accuracy`: success when a blend
    # falls below its quantile.
    blend = np.where(rng.random((len(accuracy), problems)) < 0.6, shared, own)
    ability = np.where(blend < accuracy[:, None], 0.9, 0.1)
    ability += (accuracy - (0.9 * accuracy + 0.1 * (1 - accuracy)))[:, None]
    values = rng.binomial(samples, np.clip(ability, 0, 1)) / samples
    return values, cost[:, None] * rng.lognormal(-0.02, 0.2, problems)


def _row(
    quantity: str,
    scenario: str,
    problems: int,
    samples: int,
    method: str,
    hits: np.ndarray,
    used: bool,
) -> dict[str, object]:
    share = float(np.mean(hits))
    low, high = wilson(int(np.sum(hits)), len(hits))
    return {
        "quantity": quantity,
        "scenario": scenario,
        "problems": problems,
        "samples": samples,
        "method": method,
        "is_in_tables": used,
        "claims": len(hits),
        "coverage": round(share, 4),
        "coverage_low": round(float(low), 4),
        "coverage_high": round(float(high), 4),
        "is_93_to_97": 0.93 <= share <= 0.97,
        "command": COMMAND,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    rows = [
        *accuracy_rows(arguments.repetitions),
        *macro_rows(arguments.repetitions),
        *membership_rows(arguments.repetitions),
    ]
    table = pl.DataFrame(rows)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    table.write_csv(arguments.output)
    for row in table.iter_rows(named=True):
        mark = " " if row["is_93_to_97"] else "*"
        where = (
            f"{row['quantity']}, {row['scenario']}, {row['problems']} problems x {row['samples']}"
        )
        print(f"{mark} {row['coverage']:.3f}  {where}: {row['method']}")
    missed = table.filter(pl.col("is_in_tables") & ~pl.col("is_93_to_97"))
    print(
        f"{missed.height} of {table.filter('is_in_tables').height} rows that the tables use lie"
        " outside 93-97 %"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
