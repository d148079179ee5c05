"""The invariants every estimator must keep, one test a family of them, over random inputs.

They were written down before the code, fifteen families of them; the numbers follow that list.
Finer tests of the same things lie beside the code's other tests; this page is where one sees that
none is missing.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost import costs, frontier, strategies
from isocost.costs.attribution import share_by_tokens, share_by_weight
from isocost.costs.kinetics import kinetics_eflops, kinetics_terms
from isocost.costs.runtime import helm_idealized_runtime
from isocost.curves.anytime import cumulative_regret
from isocost.curves.counts import beta_binomial_fit, coverage, posterior_coverage
from isocost.strategies.estimators.order import rank_weights
from isocost.telemetry.integrate import integrate_power

BOOK = costs.load_book()
FEW = settings(max_examples=20, deadline=None)
BANKS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, 10**6))
)


@FEW
@given(BANKS)
def test_invariant_01_coverage(bank):
    n, c, seed = bank
    ks, y = np.arange(1, n + 1), np.r_[np.ones(c), np.zeros(n - c)]
    curve, whole = strategies.pass_at_k(n, c, ks), strategies.pass_hat_k(n, c, ks)
    assert curve[0] == pytest.approx(c / n, abs=1e-15)
    assert np.all(np.diff(curve) >= -1e-15)
    assert np.array_equal(curve == 1, n - c < ks)
    assert np.allclose(strategies.expected_max(y, ks), curve, atol=1e-12)
    assert np.allclose(strategies.best_of_k(y, y, ks), curve, atol=1e-12)
    assert np.allclose(strategies.best_of_k(-y, y, ks), whole, atol=1e-12)
    assert np.allclose(strategies.best_of_k(np.full(n, float(seed)), y, ks), c / n, atol=1e-12)


@FEW
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_invariant_02_majority(counts):
    ks = np.arange(1, sum(counts) + 1)
    wins = np.stack([strategies.majority_at_k(counts, g, ks) for g in range(len(counts))])
    assert np.allclose(wins[:, :2], np.array(counts)[:, None] / sum(counts), atol=1e-12)
    assert np.allclose(wins.sum(axis=0), 1, atol=1e-12)
    assert np.allclose(
        strategies.majority_at_k([counts[0], *counts[:0:-1]], 0, ks), wins[0], atol=1e-12
    )


@FEW
@given(BANKS)
def test_invariant_03_selectors_lie_between_all_and_any_correct(bank):
    n, c, seed = bank
    rng = np.random.default_rng(seed)
    y, weights, ks = (
        rng.permutation(np.r_[np.ones(c), np.zeros(n - c)]),
        rng.random(n),
        np.arange(1, n + 1),
    )
    classes = np.where(y == 1, 0, rng.integers(1, 3, n))
    low, high = strategies.pass_hat_k(n, c, ks) - 1e-12, strategies.pass_at_k(n, c, ks) + 1e-12
    for chosen in (
        strategies.best_of_k(weights, y, ks),
        strategies.majority_at_k(np.bincount(classes, minlength=3), 0, ks),
        strategies.weighted_majority_at_k(classes, weights, 0, ks),
        strategies.borda_at_k(classes, weights, 0, ks),
        strategies.deepconf_offline_at_k(classes, weights, 0, ks, 0.5),
        strategies.shortest_majority_at_k(classes, 10 + 90 * weights, 0, ks),
        strategies.shortest_of_k(weights, y, ks).accuracy,
        strategies.generate_then_verify(
            rng.integers(0, 2, (n, 2)).astype(float), y, ks, 1
        ).accuracy,
    ):
        assert np.all(chosen >= low)
        assert np.all(chosen <= high)


@FEW
@given(st.integers(1, 60), st.data())
def test_invariant_04_rank_weights(n, data):
    k = data.draw(st.integers(1, n))
    weights = rank_weights(n, np.array([k]))[:, 0]
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert np.allclose(
        weights,
        [math.comb(n - r, k - 1) / math.comb(n, k) for r in range(1, n + 1)],
        rtol=1e-11,
        atol=0,
    )
    y = np.random.default_rng(n).integers(0, 2, n).astype(float)
    tied = np.r_[np.full(n // 2, 2.0), np.arange(n - n // 2) / n]
    moved = np.r_[np.roll(y[: n // 2], 1), y[n // 2 :]]
    assert strategies.best_of_k(tied, y, k) == pytest.approx(
        strategies.best_of_k(tied, moved, k), abs=1e-12
    )


def test_invariant_05_beta_binomial_coverage():
    n, c = np.full(8, 20), np.array([0, 0, 0, 1, 2, 5, 12, 20])
    fit = beta_binomial_fit(n, c)
    alpha, beta = fit.parameters["alpha"], fit.parameters["beta"]
    ks = np.array([1, 2, 5, 20, 100, 1000])
    assert coverage(fit, ks)[0] == pytest.approx(alpha / (alpha + beta), rel=1e-9)
    assert np.all(np.diff(coverage(fit, ks)) > 0)
    assert np.allclose(
        np.ravel(posterior_coverage(fit, n, c, 1)), (alpha + c) / (alpha + beta + n), rtol=1e-9
    )


@FEW
@given(st.lists(st.integers(1, 4), min_size=2, max_size=3))
def test_invariant_06_policies_that_stop_early(counts):
    n = sum(counts)
    whole = float(strategies.majority_at_k(counts, 0, n))
    never = strategies.adaptive_consistency(counts, 0, 1 - 2.0 ** -(n + 2), n)
    assert (float(never.samples), float(never.accuracy)) == pytest.approx((n, whole), abs=1e-12)
    single = strategies.early_stopping_consistency(counts, 0, 1, n)
    assert (float(single.samples), float(single.accuracy)) == pytest.approx(
        (1, counts[0] / n), abs=1e-12
    )
    one = strategies.early_stopping_consistency(counts, 0, n, n)
    assert (float(one.samples), float(one.accuracy)) == pytest.approx((n, whole), abs=1e-12)


@FEW
@given(st.integers(0, 10**6))
def test_invariant_07_cascades(seed):
    rng = np.random.default_rng(seed)
    values = [rng.integers(0, 2, (8, 1)).astype(float) for _ in range(2)]
    prices = [np.full((8, 1), 1.0), np.full((8, 1), 10.0)]
    scores = [rng.random((8, 1))]
    never, always = (strategies.cascade(values, scores, prices, [bar]) for bar in (-np.inf, np.inf))
    assert np.array_equal(never.accuracy, values[0][:, 0])
    assert np.array_equal(always.accuracy, values[1][:, 0])
    assert np.all(always.cost == 11.0)
    router = strategies.oracle_router(np.hstack(values), np.hstack(prices))
    for bar in rng.random(5):
        assert np.all(router.accuracy >= strategies.cascade(values, scores, prices, [bar]).accuracy)


@FEW
@given(st.integers(1, 200), st.integers(0, 3000), st.integers(1, 3000), st.floats(0, 600))
def test_invariant_08_generate_then_verify_and_kinetics(trials, prompt, output, intensity):
    assert float(strategies.verification_cost(trials, 0, 3.0)) == trials
    assert float(costs.verification_budget(trials, 0, 3.0)) == trials
    model = BOOK.model("qwen3-8b")
    flops = kinetics_terms(model, prompt, output, trials, 0.0)
    assert flops.total == pytest.approx(flops.linear + flops.attention, rel=1e-12)
    many, one = (kinetics_eflops(model, 0, output, n, intensity) for n in (trials, 1))
    assert float(many) == pytest.approx(trials * float(one), rel=1e-12)


@FEW
@given(st.integers(1, 3000), st.integers(1, 500), st.integers(1, 2000))
def test_invariant_09_runtime_and_roofline(prompt, output, context):
    table = {
        "runtime_per_output_token": 0.08,
        "runtime_for_prompt_tokens": {"1": 0.04, "256": 0.11, "1024": 0.4},
    }
    step = helm_idealized_runtime(table, prompt, output + 1) - helm_idealized_runtime(
        table, prompt, output
    )
    assert float(step) == pytest.approx(0.08, rel=1e-9)
    batch = np.array([1, 2, 4, 16, 64, 256])
    device = next(
        card
        for card in BOOK.devices.values()
        if card.peak_flops_per_s and card.bandwidth_bytes_per_s
    )
    seconds = costs.decode_step_seconds(BOOK.model("qwen3-8b"), device, batch, context)
    assert np.all(np.diff(seconds) >= 0)
    assert np.all(np.diff(seconds / batch) <= 1e-15)


@FEW
@given(st.integers(0, 10**6))
def test_invariant_10_cost_of_pass(seed):
    rng = np.random.default_rng(seed)
    price, rate = rng.random((3, 5)) + 0.01, rng.integers(0, 5, (3, 5)) / 4
    values = [costs.cost_of_pass(price[:m], rate[:m], 20.0) for m in (1, 2, 3)]
    assert all(
        later.value <= earlier.value + 1e-12 for earlier, later in itertools.pairwise(values)
    )
    assert np.all((values[-1].essentialness >= 0) & (values[-1].essentialness <= 1))


@FEW
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 20)), min_size=2, max_size=12))
def test_invariant_11_frontier_and_hypervolume(points):
    cost, quality = (np.array(v, dtype=float) for v in zip(*points, strict=True))
    volumes = [
        frontier.hypervolume(cost[:m], quality[:m], (40, -1)) for m in range(1, len(points) + 1)
    ]
    assert np.all(np.diff(volumes) >= -1e-9)
    mask = frontier.pareto_mask(cost, quality)
    assert frontier.pareto_mask(cost[mask], quality[mask]).all()
    assert np.array_equal(frontier.pareto_mask(np.log(cost), np.exp(quality / 5)), mask)


@FEW
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(1, 9000))
def test_invariant_12_regret(accuracy, horizon):
    tokens = 1000.0 * np.arange(1, len(accuracy) + 1)
    assert -1e-12 <= cumulative_regret(tokens, accuracy, horizon) <= 1 + 1e-12
    assert cumulative_regret([500, 2000], [1, 1], 4000) == pytest.approx(
        500 / (2 * 4000), abs=1e-12
    )


@FEW
@given(st.floats(0, 1), st.integers(0, 20))
def test_invariant_13_speculative_decoding(acceptance, drafted):
    per_step = float(costs.tokens_per_step(acceptance, drafted))
    assert float(costs.tokens_per_step(acceptance, 0)) == pytest.approx(1, abs=1e-12)
    assert float(costs.tokens_per_step(1.0, drafted)) == pytest.approx(drafted + 1, abs=1e-9)
    assert costs.target_efficiency(
        acceptance, drafted, 0.02, 0.02, 0.0, 0.0
    ).speedup == pytest.approx(per_step, rel=1e-12)


@FEW
@given(st.lists(st.integers(1, 900), min_size=1, max_size=9), st.floats(0.1, 1e6))
def test_invariant_14_energy_adds_up(tokens, joules):
    assert share_by_tokens(joules, tokens).sum() == pytest.approx(joules, rel=1e-9)
    assert share_by_weight(joules, np.sqrt(tokens)).sum() == pytest.approx(joules, rel=1e-9)
    assert integrate_power([0.0, 1.0, 4.0, 9.0], [joules] * 4, 0.0, 9.0) == pytest.approx(
        9 * joules, rel=1e-12
    )


@FEW
@given(st.integers(1, 60), st.data())
def test_invariant_15_intervals(n, data):
    c = data.draw(st.integers(0, n))
    (wide_low, wide_high), (low, high) = frontier.clopper_pearson(c, n), frontier.jeffreys(c, n)
    ends = frontier.wilson(c, n)
    assert 0 <= float(ends[0]) <= c / n <= float(ends[1]) <= 1
    assert float(wide_low) <= float(low) + 1e-12
    assert float(wide_high) >= float(high) - 1e-12
    scores = (
        np.random.default_rng(n).integers(0, 2, (400, 4)).astype(float) * 0.5
        + np.random.default_rng(c).random((400, 1)) * 0.5
    )
    split = frontier.variance_split(scores)
    naive = scores.std(ddof=1) / np.sqrt(scores.size)
    clustered = frontier.clustered_se(scores.ravel(), np.repeat(np.arange(400), 4))
    assert clustered == pytest.approx(naive * np.sqrt(split.design_effect), rel=0.01)
