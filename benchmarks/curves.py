"""How fast: refitting curves under bootstrap draws, and the scaling tables of a bank.

Baselines in the same run: ``scipy.optimize.curve_fit`` one curve at a time, and
``scipy.optimize.minimize`` one bootstrap draw of counts at a time, both timed on a share of the
work and scaled up linearly. Equal answers are asserted, not assumed.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import polars as pl
from scipy.optimize import curve_fit, minimize
from scipy.special import betaln

from isocost.curves import bootstrap_counts, fit_many
from isocost.strategies import pass_at_k
from isocost.tables.scaling.scaling import build_scaling

BUDGETS = 2.0 ** np.arange(8)


def clock(action) -> tuple[float, object]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def least_squares(fits: int, shared: int) -> str:
    """Saturating power laws, as they are refitted under bootstrap draws: all from one start."""
    rng = np.random.default_rng(0)
    y = (
        0.8
        - 0.5 * BUDGETS**-0.5
        + rng.normal(0, 0.01, (fits, 1))
        + rng.normal(0, 0.005, (fits, len(BUDGETS)))
    )
    start = fit_many("saturating_power_law", BUDGETS, y.mean(axis=0)[None])
    ours, found = clock(
        lambda: fit_many(
            "saturating_power_law", BUDGETS, y, initial=np.repeat(start.theta, fits, axis=0)
        )
    )

    def curve(x, ceiling, gap, exponent):
        return ceiling - gap * x**-exponent

    box = ([0, 0, 1e-3], [1, 10, 20])
    theirs, answers = clock(
        lambda: [
            curve_fit(curve, BUDGETS, row, p0=start.parameters[0], bounds=box)[0]
            for row in y[:shared]
        ]
    )
    # curve_fit stops at its own tolerance: never better than ours by more than rounding.
    rss = np.array(
        [((curve(BUDGETS, *p) - row) ** 2).sum() for p, row in zip(answers, y, strict=False)]
    )
    assert (found.rss[:shared] <= rss * (1 + 1e-6)).all()
    scaled = theirs * fits / shared
    return (
        f"{fits:,} saturating power laws: {ours:.2f} s; scipy curve_fit {scaled:.1f} s (from"
        f" {shared}), ratio {scaled / ours:.0f}"
    )


def likelihood(problems: int, draws: int, shared: int) -> str:
    """Beta-binomial fits under a bootstrap of problems."""
    rng = np.random.default_rng(1)
    c = rng.binomial(64, rng.beta(0.5, 2.0, problems))
    ours, found = clock(lambda: bootstrap_counts("beta_binomial", 64, c, draws=draws, seed=0))
    weights = np.random.default_rng(0).multinomial(
        problems, np.full(problems, 1 / problems), size=draws
    )

    def negative(theta, w):
        a, b = np.exp(theta)
        return -(w * (betaln(a + c, b + 64 - c) - betaln(a, b))).sum()

    theirs, answers = clock(
        lambda: [minimize(negative, np.log([0.5, 2.0]), args=(w,)).x for w in weights[:shared]]
    )
    assert np.allclose(np.exp(answers), found.parameters[:shared], rtol=1e-3)
    scaled = theirs * draws / shared
    what = f"{draws:,} draws of {problems} problems' counts"
    return (
        f"{what}: {ours:.2f} s; scipy minimize {scaled:.1f} s (from {shared}), ratio"
        f" {scaled / ours:.0f}"
    )


def tables(points: int, problems: int, draws: int) -> str:
    """build_scaling on coverage curves of ``points`` configurations, three cost axes each."""
    rng = np.random.default_rng(2)
    outcomes, rows = [], []
    names = [f"p{i:04d}" for i in range(problems)]
    for point in range(points):
        solved = pass_at_k(
            128, rng.binomial(128, rng.beta(0.5, 2.0, problems)), BUDGETS.astype(int)
        )
        tokens = rng.integers(50, 500, problems)
        for column, k in enumerate(BUDGETS):
            key = {
                "outcome_id": f"{point}:{k}",
                "task": "t",
                "model_variant": "m",
                "prompt": "p",
                "point_id": f"pt-{point}",
            }
            cost = {
                "samples_per_problem": k + 0 * tokens,
                "output_tokens_per_problem": k * tokens,
                "flops_per_problem": 1e9 * (k * tokens + 90.0),
            }
            outcomes.append(
                {
                    **key,
                    "strategy": "pass_at_k",
                    "strategy_kind": "oracle",
                    "budget": k,
                    "parameters": "{}",
                    **{a: v.mean() for a, v in cost.items()},
                }
            )
            rows.append(
                pl.DataFrame(
                    {"problem_id": names, "accuracy": solved[:, column], **cost}
                ).with_columns(outcome_id=pl.lit(key["outcome_id"]))
            )
    frames = pl.DataFrame(outcomes), pl.concat(rows)
    took, found = clock(lambda: build_scaling(*frames, draws=draws))
    fits = found["out_scaling_fits"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"scaling tables of {fits['curve_id'].n_unique()} curves, {fits.height} families x {draws}"
        f" draws: {took:.2f} s, {1e6 * took / (fits.height * draws):.1f} us a fit, peak"
        f" {peak:.2f} GiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves")
    parser.add_argument("--full", action="store_true", help="also the largest sizes")
    full = parser.parse_args().full
    print(least_squares(20_000, 200))
    print(likelihood(200, 500, 50))
    print(tables(50, 200, 200))
    if full:
        print(least_squares(1_000_000, 200))
        print(tables(500, 1000, 200))


if __name__ == "__main__":
    main()
