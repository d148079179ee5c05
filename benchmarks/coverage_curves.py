"""Check that 95 % intervals of fitted curves contain the truth in 95 of 100 banks.

Simulated banks with known truth.

``python -m benchmarks.coverage_curves`` writes docs/results/coverage_curves.csv, one row an
experiment and quantity, headed by the command.

A bank has M problems. Curve experiments: a problem's chance of success at a budget is the quantile
of a Beta distribution whose mean over problems is the true curve, at a level that is the problem's
own at all budgets; each budget is then observed with 16 samples. Points therefore share problems,
as they do in real banks. Count experiments: success rates are drawn from the model, then counts
from them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.stats import beta as beta_distribution

from benchmarks.whitened import fit_whitened, shrunk_covariance
from isocost.curves import (
    bootstrap_counts,
    choose_family,
    compute_to_target,
    family,
    fit,
    fit_many,
    percentile_interval,
    profile_interval,
    resampled_means,
)
from isocost.frontier import wilson

BUDGETS = 2.0 ** np.arange(9)
SAMPLES, CONCENTRATION = 16, 1.5
OUT = Path("docs/results/coverage_curves.csv")
Found = Iterator[tuple[str, float, float | None, float | None]]
ANY_AXIS = ("exponentiated_power_law", "log_linear", "saturating_power_law", "sigmoid_log_compute")


def curve_bank(truth: np.ndarray, problems: int, rng: np.random.Generator) -> np.ndarray:
    """Observed success rates (budgets x problems) whose expectation over problems is ``truth``."""
    level = rng.random(problems)
    rate = beta_distribution.ppf(
        level[None], CONCENTRATION * truth[:, None], CONCENTRATION * (1 - truth[:, None])
    )
    return rng.binomial(SAMPLES, rate) / SAMPLES


def curve(
    name: str,
    parameters: tuple[float, ...],
    problems: int,
    targets: tuple[float, ...],
    fitted: str | None = None,
) -> Callable[[int, int], Found]:
    """An experiment on curves.

    Asymptote and compute to each target, by the family ``fitted`` (the true one when None).
    """
    model, values = family(name), np.array([parameters])
    truth = model.predict(values, BUDGETS)[0]

    def run(seed: int, draws: int) -> Found:
        observed = curve_bank(truth, problems, np.random.default_rng(seed))
        means, mean = resampled_means(observed, draws, seed), observed.mean(axis=1)
        variance = means.var(axis=0)
        weight = 1 / (variance + 0.25 * np.median(variance))
        used = (
            choose_family(ANY_AXIS, BUDGETS, mean, weight).family
            if fitted == "chosen"
            else fitted or name
        )
        centre = fit(used, BUDGETS, mean, weight)
        start = fit_many(used, BUDGETS, mean[None], weight).theta
        drawn = fit_many(
            used, BUDGETS, means, weight, initial=np.repeat(start, draws, axis=0), tolerance=1e-7
        )
        if model.asymptote_kind == "fitted":
            # A family without a fitted asymptote sets no interval for it: constructed ends at 1,
            # log-linear nowhere.
            interval = percentile_interval(drawn.asymptote, units=problems)
            yield "asymptote", float(model.asymptote(values)[0]), interval.low, interval.high
        for target in targets:
            reached = compute_to_target(centre, target, draws=drawn, units=problems)
            yield (
                f"compute_to_{target}",
                float(model.invert(values, np.array([target]))[0]),
                reached.low,
                reached.high,
            )

    return run


def profile(name: str, parameters: tuple[float, ...], problems: int) -> Callable[[int, int], Found]:
    """The profile interval, which takes correlated points as independent."""
    model, values = family(name), np.array([parameters])
    truth = model.predict(values, BUDGETS)[0]

    def run(seed: int, _draws: int) -> Found:
        observed = curve_bank(truth, problems, np.random.default_rng(seed))
        interval = profile_interval(fit(name, BUDGETS, observed.mean(axis=1)))
        yield "asymptote", float(model.asymptote(values)[0]), interval.low, interval.high

    return run


def whitened(
    name: str,
    parameters: tuple[float, ...],
    problems: int,
    targets: tuple[float, ...],
    shrinkage: float,
) -> Callable[[int, int], Found]:
    """As ``curve``, the points weighted by their full covariance instead of their variances."""
    model, values = family(name), np.array([parameters])
    truth = model.predict(values, BUDGETS)[0]

    def run(seed: int, draws: int) -> Found:
        observed = curve_bank(truth, problems, np.random.default_rng(seed))
        covariance = shrunk_covariance(observed, shrinkage)
        centre = fit_whitened(model, BUDGETS, observed.mean(axis=1)[None], covariance)
        drawn = model.public(
            fit_whitened(model, BUDGETS, resampled_means(observed, draws, seed), covariance, centre)
        )
        interval = percentile_interval(model.asymptote(drawn), units=problems)
        yield "asymptote", float(model.asymptote(values)[0]), interval.low, interval.high
        for target in targets:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                reached = percentile_interval(
                    model.invert(drawn, np.full(len(drawn), target)), units=problems
                )
            yield (
                f"compute_to_{target}",
                float(model.invert(values, np.array([target]))[0]),
                reached.low,
                reached.high,
            )

    return run


def counts(
    name: str,
    parameters: tuple[float, ...],
    problems: int,
    samples: int,
    targets: tuple[float, ...],
) -> Callable[[int, int], Found]:
    """An experiment on counts: maximum likelihood under the problem bootstrap."""
    model, values = family(name), np.array([parameters])
    share, alpha, beta = (
        (1 - parameters[0], *parameters[1:]) if len(parameters) == 3 else (1.0, *parameters)
    )

    def run(seed: int, draws: int) -> Found:
        rng = np.random.default_rng(seed)
        rate = rng.beta(alpha, beta, problems) * (rng.random(problems) < share)
        drawn = bootstrap_counts(name, samples, rng.binomial(samples, rate), draws=draws, seed=seed)
        if model.asymptote_kind == "fitted":
            interval = percentile_interval(drawn.asymptote, units=problems)
            yield "asymptote", share, interval.low, interval.high
        for target in targets:
            interval = percentile_interval(drawn.compute_to_target(target), units=problems)
            yield (
                f"compute_to_{target}",
                float(model.invert(values, np.array([target]))[0]),
                interval.low,
                interval.high,
            )

    return run


SATURATING, SIGMOID, ZERO_INFLATED = (0.8, 0.5, 0.5), (0.7, 8.0, 1.1, 0.0), (0.2, 1.0, 2.0)
EXPERIMENTS: dict[str, Callable[[int, int], Found]] = {
    "saturating power law, 200 problems": curve(
        "saturating_power_law", SATURATING, 200, (0.7, 0.78)
    ),
    "saturating power law, 50 problems": curve("saturating_power_law", SATURATING, 50, (0.7, 0.78)),
    "sigmoid in log-compute, 200 problems": curve("sigmoid_log_compute", SIGMOID, 200, (0.6, 0.68)),
    "exponentiated power law, 200 problems": curve(
        "exponentiated_power_law", (-1.2, -0.5), 200, (0.8, 0.95)
    ),
    "log-linear, 200 problems": curve("log_linear", (0.15, 0.07), 200, (0.5, 0.7)),
    "TTSPM, 200 problems": curve("ttspm_parallel", (0.75, 0.06), 200, (0.7,)),
    "zero-inflated beta-binomial counts, 200 problems": counts(
        "zero_inflated_beta_binomial", ZERO_INFLATED, 200, 64, (0.5, 0.75)
    ),
    "zero-inflated beta-binomial counts, 50 problems": counts(
        "zero_inflated_beta_binomial", ZERO_INFLATED, 50, 64, (0.5, 0.75)
    ),
    "beta-binomial counts, 200 problems": counts("beta_binomial", (0.5, 2.0), 200, 64, (0.7, 0.9)),
    "chosen family, truth saturating, 200 problems": curve(
        "saturating_power_law", SATURATING, 200, (0.7, 0.78), "chosen"
    ),
    "wrong family: TTSPM, truth saturating, 200 problems": curve(
        "saturating_power_law", SATURATING, 200, (0.7,), "ttspm_parallel"
    ),
    "wrong family: saturating, truth sigmoid, 200 problems": curve(
        "sigmoid_log_compute", SIGMOID, 200, (0.6,), "saturating_power_law"
    ),
    "profile interval, saturating power law, 200 problems": profile(
        "saturating_power_law", SATURATING, 200
    ),
    "full covariance, shrunk by 0.1, saturating power law, 200 problems": whitened(
        "saturating_power_law", SATURATING, 200, (0.7, 0.78), 0.1
    ),
    "full covariance, shrunk by 0.1, saturating power law, 50 problems": whitened(
        "saturating_power_law", SATURATING, 50, (0.7, 0.78), 0.1
    ),
    "full covariance, shrunk by 0.6, saturating power law, 50 problems": whitened(
        "saturating_power_law", SATURATING, 50, (0.7, 0.78), 0.6
    ),
    "full covariance, shrunk by 0.1, sigmoid in log-compute, 200 problems": whitened(
        "sigmoid_log_compute", SIGMOID, 200, (0.6,), 0.1
    ),
}


def judge(
    truth: float, rows: list[tuple[float | None, float | None]]
) -> dict[str, float | int | str]:
    """Coverage of a list of intervals.

    An end that is None is unbounded, both None is no interval and counts as a miss.
    """
    none = np.array([low is None and high is None for low, high in rows])
    low = np.array([-np.inf if low is None else low for low, _ in rows])
    high = np.array([np.inf if high is None else high for _, high in rows])
    below, above = (high < truth) & ~none, (low > truth) & ~none
    hits = int((~below & ~above & ~none).sum())
    ends = wilson(hits, len(rows))
    share = hits / len(rows)
    finite = high[~none & np.isfinite(high)] - low[~none & np.isfinite(high)]
    return {
        "truth": f"{truth:.6g}",
        "repetitions": len(rows),
        "coverage": f"{share:.4f}",
        "coverage_low": f"{float(ends[0]):.4f}",
        "coverage_high": f"{float(ends[1]):.4f}",
        "is_within_93_97": "yes" if 0.93 <= share <= 0.97 else "no",
        "interval_below_truth": int(below.sum()),
        "interval_above_truth": int(above.sum()),
        "no_interval": int(none.sum()),
        "unbounded": int(np.isinf(high[~none]).sum()),
        "median_width": f"{np.median(finite):.4g}" if len(finite) else "",
    }


def main() -> None:
    """Run all experiments, print each as it ends and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage_curves")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    table = []
    for number, (name, run) in enumerate(EXPERIMENTS.items()):
        found: dict[tuple[str, float], list[tuple[float | None, float | None]]] = {}
        for repetition in range(asked.repetitions):
            for quantity, truth, low, high in run(
                asked.seed + 1_000_003 * (number + 1) + repetition, asked.draws
            ):
                found.setdefault((quantity, truth), []).append((low, high))
        for (quantity, truth), rows in found.items():
            table.append({"experiment": name, "quantity": quantity, **judge(truth, rows)})
            print(" ".join(f"{key}={value}" for key, value in table[-1].items()), flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"# python -m benchmarks.coverage_curves --repetitions {asked.repetitions} --draws"
            f" {asked.draws} --seed {asked.seed}\n"
        )
        writer = csv.DictWriter(file, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
