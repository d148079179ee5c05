"""What a cut sample had cost.

The laws that follow from the columns of a bank, against the formulas themselves.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from isocost.axes.compute import Cards, computed
from isocost.axes.registry import find
from isocost.costs import forward_flops, load_book
from isocost.strategies import PointBank, find_strategies
from isocost.strategies.cuts import CutLaw, cut_law

CARD = load_book().model("smollm2-135m-instruct")


def bank(problems=6, samples=5, *, seed=0, lengths=None, **labels):
    """A bank whose costs follow a card, a price list, decoding at an even pace and joules by
    tokens.
    """
    rng = np.random.default_rng(seed)
    shape = (problems, samples)
    prompt = np.repeat(rng.integers(20, 90, (problems, 1)), samples, axis=1).astype(float)
    cached = np.where(rng.random(shape) < 0.5, prompt // 16 * 16, 0.0)
    length = (
        rng.integers(4, 300, shape).astype(float)
        if lengths is None
        else np.broadcast_to(lengths, shape).astype(float)
    )
    prefill, pace = rng.uniform(0.01, 0.1, shape), rng.uniform(0.01, 0.02, shape)
    tokens = {"prompt_tokens": prompt, "cached_tokens": cached, "output_tokens": length}
    flops = computed(
        pl.DataFrame({name: values.ravel() for name, values in tokens.items()}),
        Cards(CARD),
        (find("flops"),),
    )[0]
    columns = {
        **{name: flops[name].to_numpy().reshape(shape) for name in flops.columns},
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "output_tokens": length,
        "cost_usd": 2e-6 * (prompt - cached) + 1e-6 * cached + 8e-6 * length,
        "cost_usd_per_token": np.full(shape, 8e-6),
        "prefill_s": prefill,
        "decode_s": pace * (length - 1),
        "latency_s": prefill + pace * (length - 1),
        "energy_j": 0.25 * length,
        "device_s": rng.random(shape),
    }
    right = (rng.random(shape) < 0.5).astype(float)
    labels = {"energy_method": "nvml/output_token_share"} | labels
    ids = tuple(f"pr-{i}" for i in range(problems))
    return PointBank(
        "pt",
        ids,
        np.full(problems, samples),
        right,
        (1 - right).astype(np.int64),
        columns,
        labels=labels,
    )


def at(bank_, tokens):
    """Every cost of every sample cut at these tokens, by its own law."""
    c = bank_.columns
    prompt, cached, length = c["prompt_tokens"], c["cached_tokens"], c["output_tokens"]
    pace = c["decode_s"] / np.maximum(length - 1, 1)
    return {
        "output_tokens": tokens,
        "prompt_tokens_unshared": prompt,
        "flops": forward_flops(CARD, prompt, tokens, cached_tokens=cached),
        "cost_usd": 2e-6 * (prompt - cached) + 1e-6 * cached + 8e-6 * tokens,
        "latency_sequential_s": c["prefill_s"] + pace * (tokens - 1),
        "energy_j": 0.25 * tokens,
    }


def test_every_law_is_its_formula():
    own = bank()
    length = own.columns["output_tokens"]
    tokens = np.maximum(np.floor(length * np.random.default_rng(1).random(length.shape)), 1.0)
    for axis, expected in at(own, tokens).items():
        law = cut_law(own, find(axis))
        assert isinstance(law, CutLaw), axis
        assert np.allclose(law.at(tokens), expected, rtol=1e-9), axis
        assert np.allclose(law.at(length), at(own, length)[axis], rtol=1e-9), axis


def test_what_follows_no_law_is_unknown_and_says_why():
    device_s, flops, energy_j = (find(name) for name in ("device_s", "flops", "energy_j"))
    assert cut_law(bank(), device_s) == "costs_follow_no_law_of_tokens"
    assert cut_law(bank(energy_method="nvml/window"), energy_j) == "energy_not_shared_by_tokens"
    silent = bank()
    without_rise = silent.columns | {"flops_per_token": silent.correct * np.nan}
    assert cut_law(replace(silent, columns=without_rise), flops) == "costs_follow_no_law_of_tokens"
    without = PointBank(
        "pt",
        silent.problem_ids,
        silent.sizes,
        silent.correct,
        silent.classes,
        {**silent.columns, "decode_s": silent.correct * np.nan},
    )
    assert cut_law(without, find("latency_sequential_s")) == "decoding_time_not_banked"
    assert cut_law(without, find("kv_traffic_bytes")) == "not_banked"


def test_a_point_of_few_samples_of_one_length_has_its_laws():
    """What the axis knows needs no samples to be found back from."""
    for own in (bank(lengths=40), bank(1, 1)):
        expected = at(own, np.full(own.columns["flops"].shape, 3.0))
        for axis in ("flops", "cost_usd"):
            assert np.allclose(cut_law(own, find(axis)).at(3.0), expected[axis], rtol=1e-9)


def test_truncated_samples_cost_what_they_had_cost_by_then():
    own = bank()
    replay = find_strategies(["truncated_at_tokens"])[0].replay(own, np.array([1, 50, 1000]))
    for i, b in enumerate((1, 50, 1000)):
        for axis, expected in at(own, np.minimum(own.columns["output_tokens"], b)).items():
            assert np.allclose(replay.costs[axis][:, i], expected.mean(axis=1), rtol=1e-9), (
                axis,
                b,
            )
    assert np.array_equal(replay.costs["latency_parallel_s"], replay.costs["latency_sequential_s"])
    assert replay.unknown_costs == {"device_s": "costs_follow_no_law_of_tokens"}
    assert np.isnan(replay.costs["device_s"][:, :2]).any()
    assert np.allclose(replay.costs["device_s"][:, 2], own.columns["device_s"].mean(axis=1))


def test_halted_samples_cost_what_they_had_cost_when_the_shortest_ended():
    own = bank(3, 5)
    replay = find_strategies(["shortest_of_k"])[0].replay(own, np.array([1, 3, 5]))
    length = own.columns["output_tokens"]
    for i, k in enumerate((1, 3, 5)):
        for row in range(3):
            subsets = list(itertools.combinations(range(5), k))
            for axis in ("output_tokens", "flops", "cost_usd", "energy_j"):
                spent = [
                    at(own, np.full(length.shape, length[row, list(s)].min()))[axis][
                        row, list(s)
                    ].sum()
                    for s in subsets
                ]
                assert replay.costs[axis][row, i] == pytest.approx(np.mean(spent), rel=1e-9), (
                    axis,
                    k,
                )
    assert "latency_sequential_s" in replay.unknown_costs
    assert np.isnan(replay.costs["latency_sequential_s"][:, 1:]).all()


@pytest.mark.slow
def test_stopped_traces_cost_what_they_had_cost_by_their_stop():
    """DeepConf online on every axis at once, against walking through the very same random orders."""
    from isocost.strategies.estimators.subsets import start_states
    from isocost.strategies.kernels.random import draw_next
    from isocost.strategies.policies.deepconf_online import ORDERS, DeepConfOnline
    from isocost.strategies.records import Records

    own, rng = bank(1, 8, seed=3), np.random.default_rng(9)
    lowest = rng.uniform(1, 2, (1, 8))
    early = np.floor(own.columns["output_tokens"] / 2)
    records = Records.from_lists([[[int(t)] for t in early[0]]], [[[v] for v in lowest[0]]])
    columns = {**own.columns, "confidence_lowest_group": lowest}
    full = PointBank(
        "pt",
        own.problem_ids,
        own.sizes,
        own.correct,
        own.classes,
        columns,
        None,
        own.labels,
        records,
    )
    replay = DeepConfOnline(keep=0.5, warmup=3).replay(full, np.array([8]))
    state, order = start_states(0, full.keys), np.arange(8)
    spent: dict[str, list[float]] = {axis: [] for axis in (*at(own, early), "parallel")}
    for _ in range(ORDERS):
        for i in range(8):
            draw_next(order, i, state)
        bar = np.percentile(lowest[0, order[:3]], 50)
        is_cut = np.array([i >= 3 and lowest[0, j] < bar for i, j in enumerate(order)])
        tokens = own.columns["output_tokens"].copy()
        tokens[0, order[is_cut]] = early[0, order[is_cut]]
        now = at(own, tokens)
        for axis, cost in now.items():
            spent[axis].append(cost[0].sum())
        # The slowest of a random three is known exactly; what is averaged is the slowest of the
        # others.
        spent["parallel"].append(now["latency_sequential_s"][0, order[3:]].max())
    assert min(spent["output_tokens"]) < own.columns["output_tokens"].sum()
    slowest = full.expected_extreme("latency_s", np.array([3]), largest=True)[0, 0]
    assert replay.costs["latency_parallel_s"][0, 0] == pytest.approx(
        slowest + np.mean(spent.pop("parallel")), rel=1e-9
    )
    for axis, found in spent.items():
        # Warm-up traces cost their exact mean in place of those drawn: equal in the mean over
        # orders, not order by order.
        assert replay.costs[axis][0, 0] == pytest.approx(np.mean(found), rel=0.05), axis
    assert set(replay.unknown_costs) == {"device_s", "kinetics_eflops"}


def test_the_answer_of_stopped_traces_does_not_need_an_axis_of_waiting(monkeypatch):
    from isocost.axes.model import Slowest
    from isocost.strategies.policies import deepconf_online
    from isocost.strategies.records import Records

    own = bank(2, 8)
    lowest = np.random.default_rng(9).uniform(1, 2, (2, 8))
    early = np.floor(own.columns["output_tokens"] / 2).astype(int).tolist()
    records = Records.from_lists(
        [[[t] for t in row] for row in early], [[[v] for v in row] for row in lowest]
    )
    full = replace(own, columns={**own.columns, "confidence_lowest_group": lowest}, records=records)
    policy = deepconf_online.DeepConfOnline(keep=0.5, warmup=3)
    whole = policy.replay(full, np.array([5, 8]))
    every = deepconf_online.axes_of
    monkeypatch.setattr(
        deepconf_online, "axes_of", lambda *kinds: () if kinds == (Slowest,) else every(*kinds)
    )
    without = policy.replay(full, np.array([5, 8]))
    np.testing.assert_array_equal(without.accuracy, whole.accuracy)
    np.testing.assert_array_equal(without.costs["flops"], whole.costs["flops"])
    assert "latency_parallel_s" not in without.costs
