"""Costs of samples from cards, tokens and times, and what strategies spend of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isocost.axes.model import AxisLabel, CostAxis, Field, Total
from isocost.axes.registry import all_axes
from isocost.costs import (
    kinetics_eflops,
    kv_traffic_bytes,
    load_book,
    token_usd,
    weight_traffic_bytes,
)
from isocost.costs.other_cards import PriceCard
from isocost.schema.frames import empty
from isocost.sweep import plan_sessions, sample_id_of, sweep_from_text
from isocost.tables.core.call_costs import (
    REASONS,
    add_derived_costs,
    derived_without_cards,
    device_count,
    resolved_dtype,
)
from isocost.tables.core.samples import build_core
from isocost.tables.outcomes.outcomes import Bootstrap, build_outcomes
from isocost.tasks import load_problems

SWEEP = """
sweep: tiny
models: {name: NAME, path: "cache:none", dtype: bfloat16, card: CARD}
engine: {max_model_len: 256, kv_cache_bytes: 64 MiB}
tasks:
  - name: sums
    source: inline
    dataset: sums
    verifier: numeric
    n_problems: 2
    config: {problems: [{question: "1+1?", reference: 2}, {question: "2+2?", reference: 4}]}
prompts: {name: direct, template: "{question}"}
grid: {temperature: 0.7, max_tokens: 99}
samples_per_problem: 4
"""
MODEL, H100 = load_book().model("qwen3-0.6b"), load_book().device("h100-sxm")
AXES = (
    "flops",
    "kinetics_eflops",
    "kv_traffic_bytes",
    "weight_traffic_bytes",
    "device_s",
    "cost_usd",
)


def planned(card="qwen3-0.6b", name="m"):
    return plan_sessions(sweep_from_text(SWEEP.replace("CARD", card).replace("NAME", name)))[0]


def rows(session, **changes):
    """Eight calls of two problems.

    The times overlap: call i runs from i to i + 2 + i/10 s, its first half second is prefill.
    """
    point = session.points[0].point
    found = []
    for i in range(8):
        problem = load_problems(point.task)[i // 4]
        sample_id = sample_id_of(point.point_id, problem.problem_id, i % 4)
        found.append(
            dict.fromkeys(empty("raw_generations").columns)
            | {
                "call_id": f"{sample_id}:0", "sample_id": sample_id, "point_id": point.point_id, "problem_id": problem.problem_id,
                "session_id": session.session_id, "run_id": "r", "attempt": 1, "sample_index": i % 4, "call_index": 0, "role": "solve",
                "task": "sums", "model_variant": point.model.name, "prompt_name": "direct", "prompt_hash": "0" * 16,
                "output_text": f"The answer is {2 + i % 3}.", "finish_reason": "stop", "prompt_tokens": 40 + i // 4, "cached_tokens": 16,
                "output_tokens": 10 + 7 * i, "queued_s": 100.0, "scheduled_s": 100.0 + i, "first_token_s": 100.5 + i,
                "last_token_s": 102.0 + 1.1 * i, "is_warmup": False,
            }
            | {name: value(i) for name, value in changes.items()}
        )  # fmt: skip
    return pl.DataFrame(found, schema=empty("raw_generations").schema, orient="row")


def manifest(session, device="NVIDIA H100 80GB HBM3", sizes=(1, 1, 1), **stated):
    parallel = dict(
        zip(
            ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
            sizes,
            strict=True,
        )
    )
    info = {
        "engine": {
            "device": "cuda",
            "resolved": {"parallel": parallel, "model": {"dtype": "torch.bfloat16"}},
        },
        "telemetry": {"description": {"devices": [{"name": device}]}},
    }
    return {
        "session_id": session.session_id,
        "run_id": "r",
        "attempt": 1,
        "status": "finished",
        "info": info | stated,
    }


def built(session, frame=None, book=None, **stated):
    frame = rows(session) if frame is None else frame
    return build_core(frame, [session], [manifest(session, **stated)], book=book)


def test_every_axis_is_its_formula():
    session = planned()
    core = built(session)
    samples, run = core["core_samples"], core["core_sessions"].row(0, named=True)
    prompt, output = samples["prompt_tokens"].to_numpy(), samples["output_tokens"].to_numpy()
    starts, ends = 100.5 + np.arange(8), 102.0 + 1.1 * np.arange(8)
    assert (
        run["decoding_s"] == pytest.approx(ends[-1] - starts[0]) and run["device_count"] == 1
    )  # one always decodes
    assert run["decode_batch_mean"] == pytest.approx((ends - starts).sum() / run["decoding_s"])
    intensity = H100.intensity("bfloat16")
    np.testing.assert_allclose(
        samples["kinetics_eflops"], kinetics_eflops(MODEL, prompt, output, 1, intensity)
    )
    assert samples["kinetics_intensity"].unique().to_list() == [intensity]
    np.testing.assert_allclose(samples["kv_traffic_bytes"], kv_traffic_bytes(MODEL, prompt, output))
    weights = weight_traffic_bytes(
        MODEL, prompt, output, cached_tokens=16, batch=run["decode_batch_mean"]
    )
    np.testing.assert_allclose(samples["weight_traffic_bytes"], weights)
    assert samples["traffic_method"].unique().to_list() == ["modelled_decode_batch_mean"]
    assert samples["cost_method"].unique().to_list() == ["device_s_x_price"]
    assert samples["price_card"].unique().to_list() == ["h100-sxm-on-demand"]
    np.testing.assert_allclose(samples["cost_usd"], samples["device_s"] * 2.0 / 3600)
    assert samples["costs_unknown_reasons"].to_list() == [[]] * 8


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2, 1)])
def test_device_seconds_add_up_to_the_window_times_the_devices(sizes):
    session = planned()
    frame = rows(
        session, is_warmup=lambda i: i == 0, finish_reason=lambda i: "error" if i == 3 else "stop"
    )
    core = built(session, frame, sizes=sizes)
    samples = core["core_samples"]
    assert samples.height == 7  # the warm-up call is not one of them, the failed one is charged
    assert samples["device_s"].sum() == pytest.approx(
        np.prod(sizes) * (102.0 + 7.7 - 101.0), rel=1e-9
    )
    alone = rows(session).filter(pl.col("sample_index") == 0).head(1)
    assert built(session, alone, sizes=sizes)["core_samples"]["device_s"].to_list() == [
        pytest.approx(2.0 * np.prod(sizes))
    ]


def test_a_price_card_that_names_the_model_prices_tokens():
    session, book = planned(name="gpt-4o-mini"), load_book()
    samples = built(session)["core_samples"]
    expected = token_usd(
        book.price("gpt-4o-mini"),
        samples["prompt_tokens"],
        samples["output_tokens"],
        cached_tokens=16,
    )
    np.testing.assert_allclose(samples["cost_usd"], expected)
    assert (
        samples["cost_method"].unique().to_list() == ["tokens_x_price"]
        and samples["price_card"][0] == "gpt-4o-mini"
    )
    other = book.price("gpt-4o-mini").model_copy(update={"name": "dear"})
    book.prices["dear"] = other
    doubted = built(session, book=book)["core_samples"]
    assert (
        doubted["cost_usd"].null_count() == 8
        and "cost_usd: several price cards name the model: gpt-4o-mini, dear"
        in (doubted["costs_unknown_reasons"][0])
    )
    with pytest.raises(ValueError, match="no token prices"):
        PriceCard(**{**book.price("h100-sxm-on-demand").model_dump(), "model": "m"})


@pytest.mark.parametrize(
    ("address", "card"),
    [
        ("https://api.dear.example/v1", "dear"),
        ("https://eu.api.dear.example:8443/v1", "dear"),
        ("https://API.cheap.example/v1", "cheap"),
        ("https://notapi.cheap.example/v1", "any"),
        (None, "any"),
    ],
)
def test_one_model_has_a_price_at_each_service(address, card):
    session = planned(name="gpt-4o-mini")
    book = load_book()
    listed = book.prices.pop("gpt-4o-mini")
    services = {"any": None, "cheap": "api.cheap.example", "dear": "api.dear.example"}
    for number, (name, provider) in enumerate(services.items()):
        book.prices[name] = listed.model_copy(
            update={
                "name": name,
                "provider": provider,
                "usd_per_million_input_tokens": 1.0 + number,
                "usd_per_million_cached_input_tokens": 0.5,
                "usd_per_million_output_tokens": 10.0,
            }
        )
    engine = {"engine": "openai", "device": "remote"} | ({"base_url": address} if address else {})
    samples = built(session, book=book, engine=engine)["core_samples"]
    assert samples["price_card"].unique().to_list() == [card]
    fresh = samples["prompt_tokens"] - samples["cached_tokens"]
    paid = 1.0 + list(services).index(card)
    expected = paid * fresh + 0.5 * samples["cached_tokens"] + 10.0 * samples["output_tokens"]
    np.testing.assert_allclose(samples["cost_usd"], expected / 1e6)
    del book.prices["any"]
    left = built(session, book=book, engine=engine)["core_samples"]
    assert (left["cost_usd"].null_count() == 8) == (card == "any")


@pytest.mark.parametrize("provider", ["https://api.example", "api.example/v1", "", " "])
def test_a_provider_is_the_host_name_of_one_that_sells_tokens(provider):
    card = load_book().price("gpt-4o-mini").model_dump()
    with pytest.raises(ValueError, match="host name"):
        PriceCard(**{**card, "provider": provider})
    with pytest.raises(ValueError, match="no model"):
        PriceCard(**{**card, "model": None, "provider": "api.example"})


@pytest.mark.parametrize(
    ("card", "stated", "unknown"),
    [
        ("null", {}, {"flops": "names no model card", "kinetics_eflops": "names no model card", "kv_traffic_bytes": "names no model card",
                      "weight_traffic_bytes": "names no model card"}),
        ("qwen3-0.6b", {"device": "Abacus 3000"}, {"kinetics_eflops": "there is no device card 'Abacus 3000'",
                                                   "cost_usd": "there is no device card 'Abacus 3000'"}),
        ("qwen3-0.6b", {"engine": {"device": "cpu"}}, {"kinetics_eflops": "no dense peak", "device_s": "number of devices is not recorded",
                                                       "cost_usd": "hours of the device cpu"}),
        ("qwen3-0.6b", {"engine": {}, "telemetry": {}}, {"kinetics_eflops": "device is not recorded", "device_s": "number of devices",
                                                         "cost_usd": "device is not recorded"}),
    ],
)  # fmt: skip
def test_what_is_unknown_is_null_with_its_reason(card, stated, unknown):
    session = planned(card)
    samples = built(session, **stated)["core_samples"]
    for axis in AXES:
        reasons = [
            reason
            for reason in samples["costs_unknown_reasons"][0]
            if reason.startswith(f"{axis}: ")
        ]
        assert samples[axis].null_count() == (8 if axis in unknown else 0), axis
        assert len(reasons) == (axis in unknown) and all(
            unknown[axis] in reason for reason in reasons
        ), reasons
    assert (
        samples.filter(pl.col("kinetics_eflops").is_null())["kinetics_intensity"].null_count()
        == samples["kinetics_eflops"].null_count()
    )


def test_unknown_tokens_and_times_are_unknown_costs():
    session = planned()
    frame = rows(
        session,
        output_tokens=lambda i: None if i == 1 else 9,
        first_token_s=lambda i: None if i == 2 else 100.5 + i,
    )
    samples = built(session, frame)["core_samples"]
    silent, timeless = samples.row(1, named=True), samples.row(2, named=True)
    assert (
        silent["flops"] is None
        and silent["weight_traffic_bytes"] is None
        and silent["device_s"] > 0
        and silent["cost_usd"] > 0
    )
    assert timeless["flops"] > 0 and timeless["device_s"] is None and timeless["cost_usd"] is None
    assert timeless["costs_unknown_reasons"] == [
        "cost_usd: device_s is not known",
        "device_s: the times of the call are not known",
        "ttft_s: the times of the call are not known",
        "inter_token_s: the times or tokens of a call are not known",
    ]
    nothing = built(
        session,
        rows(session, **{name: lambda i: None for name in ("first_token_s", "last_token_s")}),
    )["core_samples"]
    assert nothing["weight_traffic_bytes"].null_count() == 8 and nothing[
        "traffic_method"
    ].unique().to_list() == ["modelled"]
    assert (
        "weight_traffic_bytes: the mean decode batch is unknown"
        in nothing["costs_unknown_reasons"][0]
    )


def test_what_the_engine_resolved_counts():
    assert device_count({"tensor_parallel_size": 4}) == 4 and device_count({}) is None
    info = {"engine": {"resolved": {"model": {"dtype": "torch.float16"}}}}
    assert (
        resolved_dtype(info, "auto") == "float16"
        and resolved_dtype(info, "float32") == "float32"
        and resolved_dtype({}, "auto") == "auto"
    )


@pytest.fixture(scope="module")
def outcomes():
    session = planned()
    core = built(session)
    return core["core_samples"], *build_outcomes(core["core_samples"], bootstrap=Bootstrap(draws=0))


def test_parallel_trials_share_the_prompt_as_the_paper_has_it(outcomes):
    samples, found, _ = outcomes
    for k in (1, 2, 4):
        expected = [
            kinetics_eflops(
                MODEL, part["prompt_tokens"], part["output_tokens"], k, H100.intensity("bfloat16")
            ).mean()
            for part in samples.partition_by("problem_id")
        ]
        row = found.filter(strategy="majority_at_k", budget=float(k)).row(0, named=True)
        assert row["kinetics_eflops_per_problem"] == pytest.approx(np.mean(expected), rel=1e-12)
        assert (
            row["kinetics_intensity"] == H100.intensity("bfloat16")
            and row["cost_method"] == "device_s_x_price"
        )
        for axis in ("kv_traffic_bytes", "weight_traffic_bytes", "device_s", "cost_usd"):
            assert row[f"{axis}_per_problem"] == pytest.approx(
                k * samples[axis].mean(), rel=1e-12
            ), axis
    windows = found.filter(strategy="early_stopping_consistency", budget=4.0).row(
        0, named=True
    )  # one window of four: side by side
    side_by_side = found.filter(strategy="majority_at_k", budget=4.0).row(0, named=True)
    assert windows["kinetics_eflops_per_problem"] == pytest.approx(
        side_by_side["kinetics_eflops_per_problem"], rel=1e-12
    )
    one_by_one = found.filter(strategy="retry_until_verified", budget=4.0).row(0, named=True)
    sequential = [
        samples.filter(problem_id=p) for p in samples["problem_id"].unique(maintain_order=True)
    ]
    assert one_by_one["kinetics_eflops_per_problem"] <= np.mean(
        [part["kinetics_eflops"].sum() for part in sequential]
    ) * (1 + 1e-12)


def test_every_null_cost_of_an_outcome_has_its_reason_and_no_other(outcomes):
    for table in (
        outcomes[1],
        build_outcomes(outcomes[0].with_columns(cost_method=pl.Series(["a", "b"] * 4)))[0],
    ):
        for row in table.rows(named=True):
            null = sorted(a.name for a in all_axes().values() if row[a.per_problem] is None)
            assert [reason.partition(": ")[0] for reason in row["costs_unknown_reasons"]] == null, (
                row["strategy"]
            )
            assert (row["energy_unknown_reason"] is None) == (
                row["energy_j_per_problem"] is not None
            )
            assert (row["cost_method"] is None) == (row["cost_usd_per_problem"] is None)
    mixed = table.filter(strategy="majority_at_k").row(0, named=True)
    assert (
        "cost_usd: values from different methods are not added up" in mixed["costs_unknown_reasons"]
    )
    problems = outcomes[2]
    assert problems.filter(
        pl.col("energy_j_per_problem").is_null() != pl.col("energy_unknown_reason").is_not_null()
    ).is_empty()


def test_dollars_and_eflops_of_unlike_methods_are_not_added_in_a_chain():
    own, hosted = planned(), planned(name="gpt-4o-mini")
    pair = [built(s)["core_samples"] for s in (own, hosted)]
    found = build_outcomes(pl.concat(pair), bootstrap=Bootstrap(draws=0))[0].filter(
        pl.col("budget_unit") == "models"
    )
    assert found.height and found["cost_usd_per_problem"].null_count() == found.height
    assert found["kinetics_eflops_per_problem"].null_count() == 0  # of one device both


class Litres(CostAxis):
    """An axis that follows from another one's values; not registered."""

    name, unit, meaning, label = "water_l", "L", "Litres.", AxisLabel("", "", "")
    adds, needs_columns = Total("water_l"), ("energy_j",)
    fields = (Field("water_l", "Litres.", "L"), Field("water_source", "Well.", type="string"))

    def compute(self, calls):
        return calls["energy_j"] / 2


class LitresByCard(Litres):
    needs_cards = ("model",)


def test_an_axis_may_follow_from_what_another_one_found():
    session = planned()
    calls = pl.DataFrame(
        {
            "session_id": session.session_id, "run_id": "r",
            "point_id": [session.points[0].point.point_id, "pt-unknown", "pt-unknown"],
            "is_warmup": False, "first_token_s": 0.0, "last_token_s": 1.0, "decode_s": 1.0,
            "energy_j": [6.0, None, 8.0], REASONS: [["a: b"], [], []],
        },
        schema_overrides={REASONS: pl.List(pl.String)},
    )  # fmt: skip
    known = {point.point.point_id: point for point in session.points}
    found = add_derived_costs(calls, known, {}, load_book(), (Litres(),))
    assert found["water_l"].to_list() == [3.0, None, 4.0]
    assert found[REASONS].to_list() == [["a: b"], ["water_l: energy_j is not known"], []]
    assert found["water_source"].dtype == pl.String
    nothing = add_derived_costs(calls.head(0), known, {}, load_book(), (Litres(),))
    assert nothing.schema == found.schema
    imported = derived_without_cards(calls, (LitresByCard(),))
    assert imported["water_l"].to_list() == [3.0, None, 4.0]
    assert imported[REASONS][1].to_list() == ["water_l: an imported source does not name our cards"]
