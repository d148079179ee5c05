"""Samples of two models are costed call by call, against numbers worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from isocost.costs import load_book
from isocost.schema.frames import empty
from isocost.sweep import plan_sessions, sample_id_of, sweep_from_text
from isocost.tables.configurations import configuration_names
from isocost.tables.core.engines import SEVERAL_ENGINES, runs_of_several
from isocost.tables.core.samples import UNLIKE, build_core
from isocost.tables.core.speculation import build_speculation
from isocost.tables.costs.efficiency import _model, build_request_efficiency
from isocost.tables.energy.attribution import build_energy_attribution
from isocost.tables.energy.windows import build_energy_windows
from isocost.tasks import load_problems

SWEEP = """
sweep: tiny
models: {name: m, path: "cache:none", dtype: bfloat16, card: qwen3-0.6b}
engine: {max_model_len: 256, kv_cache_bytes: 64 MiB}
partners:
  large:
    model: {name: NAME, path: other, dtype: bfloat16, card: CARD}
    engine: {ENGINE}
tasks:
  - name: sums
    source: inline
    dataset: sums
    verifier: numeric
    n_problems: 1
    config: {problems: [{question: "1+1?", reference: 2}]}
prompts: {name: direct, template: "{question}"}
grid: {temperature: 0.7, max_tokens: 99, method: cascade}
samples_per_problem: 2
"""
H100 = "NVIDIA H100 80GB HBM3"
LOCAL = {"engine": "vllm", "device": "cuda", "devices": 1}
SERVER = {"engine": "openai", "device": "remote", "base_url": "http://a.b/v1"}


def planned(card="qwen3-8b", name="big", engine="seed: 1"):
    text = SWEEP.replace("CARD", card).replace("NAME", name).replace("ENGINE", engine)
    [session] = plan_sessions(sweep_from_text(text))
    return session


def rows(session):
    """Sample 0 asks both models, sample 1 only the small one; seconds of a common clock.

    The small model's calls run from 10 to 12 and from 11 to 12, the large one's from 12 to 14; half
    a second of each is prefill.
    """
    point = session.points[0].point
    [problem] = load_problems(point.task)
    calls = (  # sample, call, partner, start, end, prompt, cached, output
        (0, 0, None, 10.0, 12.0, 40, 16, 10),
        (0, 1, "large", 12.0, 14.0, 44, 0, 20),
        (1, 0, None, 11.0, 12.0, 40, 16, 6),
    )
    found = []
    for index, call, partner, start, end, prompt, cached, output in calls:
        sample_id = sample_id_of(point.point_id, problem.problem_id, index)
        found.append(
            dict.fromkeys(empty("raw_generations").columns)
            | {
                "call_id": f"{sample_id}:{call}", "sample_id": sample_id, "point_id": point.point_id,
                "problem_id": problem.problem_id, "session_id": session.session_id, "run_id": "r",
                "attempt": 1, "sample_index": index, "call_index": call, "wave": call, "partner": partner,
                "role": "escalate" if partner else "solve", "method": "cascade", "task": "sums",
                "model_variant": "m", "prompt_name": "direct", "prompt_hash": "0" * 16,
                "output_text": "The answer is 2.", "finish_reason": "stop", "prompt_tokens": prompt,
                "cached_tokens": cached, "output_tokens": output, "queued_s": start, "scheduled_s": start,
                "first_token_s": start + 0.5, "last_token_s": end, "is_warmup": False,
            }
        )  # fmt: skip
    return pl.DataFrame(found, schema=empty("raw_generations").schema, orient="row")


def answers(frame):
    found = []
    for (sample_id,), mine in frame.group_by("sample_id", maintain_order=True):
        head = mine.row(0, named=True)
        for made in range(1, mine.height + 1):
            found.append(
                {name: head.get(name) for name in empty("raw_answers").columns}
                | {
                    "sample_id": sample_id, "answer_index": made - 1, "is_final": made == mine.height,
                    "budget": float(made), "budget_unit": "models", "answer_text": "The answer is 2.",
                    "finish_reason": "stop", "answer_call_index": made - 1,
                    "call_attempts": [1] * made, "used_calls": list(range(made)),
                    "used_tokens": [None] * made,
                }
            )  # fmt: skip
    return pl.DataFrame(found, schema=empty("raw_answers").schema, orient="row")


def manifest(session, partner):
    info = {
        "engine": {**LOCAL, "resolved": {"model": {"dtype": "torch.bfloat16"}}},
        "partners": {"large": partner},
        "telemetry": {"description": {"devices": [{"name": H100}]}},
        "host": {},
    }
    return {
        "session_id": session.session_id, "run_id": "r", "attempt": 1, "status": "finished",
        "info": info if partner else {k: v for k, v in info.items() if k != "partners"},
    }  # fmt: skip


def built(session, partner=LOCAL, frame=None, energy=None):
    frame = rows(session) if frame is None else frame
    core = build_core(
        frame, [session], [manifest(session, partner)], answers=answers(frame), energy=energy
    )
    samples = core["core_samples"].sort("sample_index")
    return core, samples.row(0, named=True), samples.row(1, named=True)


def flops(card, prompt, cached, output):
    """By hand, from the numbers of a card."""
    model = load_book().model(card)
    last = prompt + output - 1
    seen = (last * (last + 1) - cached * (cached + 1)) / 2
    return (
        2 * model.parameters_body * (last - cached)
        + 2 * model.parameters_logits * output
        + 4 * model.query_heads * model.head_size * model.layers * seen
    )


def test_flops_are_those_of_the_model_that_made_the_call():
    core, both, small = built(planned())
    own, other = flops("qwen3-0.6b", 40, 16, 10), flops("qwen3-8b", 44, 0, 20)
    assert other > 10 * own
    assert both["flops"] == pytest.approx(own + other)
    assert small["flops"] == pytest.approx(flops("qwen3-0.6b", 40, 16, 6))
    at_one = core["core_answers"].filter(pl.col("budget") == 1).sort("sample_index")
    assert at_one["flops"].to_list() == pytest.approx([own, small["flops"]])
    calls = core["core_calls"].sort("call_id")
    assert calls["partner"].to_list() == [None, "large", None]
    assert calls["flops"].to_list() == pytest.approx([own, other, small["flops"]])


def test_an_adapter_adds_two_flops_per_weight_and_processed_token():
    text = SWEEP.replace("CARD", "qwen3-8b").replace("NAME", "big").replace("ENGINE", "seed: 1")
    adapted = text.replace(
        "card: qwen3-0.6b", "card: qwen3-0.6b, adapter: {path: x, parameters: 1792}"
    )
    [session] = plan_sessions(sweep_from_text(adapted))
    _, both, small = built(session)
    bare_both, bare_small = flops("qwen3-0.6b", 40, 16, 10), flops("qwen3-0.6b", 40, 16, 6)
    assert small["flops"] == pytest.approx(bare_small + 2 * 1792 * (40 + 6 - 1 - 16), rel=1e-15)
    own = bare_both + 2 * 1792 * (40 + 10 - 1 - 16)
    # the partner has none
    assert both["flops"] == pytest.approx(own + flops("qwen3-8b", 44, 0, 20), rel=1e-15)
    [point] = built(session)[0]["core_points"].unique("point_id").to_dicts()
    assert _model(point, load_book()).parameters_total == (
        load_book().model("qwen3-0.6b").parameters_total + 1792
    )


def test_each_engine_has_its_own_decode_batch():
    core, both, small = built(planned())
    run = core["core_sessions"].row(0, named=True)
    # The small model decodes from 10.5 to 12 and from 11.5 to 12; the large one is not counted.
    assert run["decoding_s"] == pytest.approx(1.5)
    assert run["decode_batch_mean"] == pytest.approx(2.0 / 1.5)
    sizes = {name: load_book().model(name) for name in ("qwen3-0.6b", "qwen3-8b")}
    alone = both["weight_traffic_bytes"] - small["weight_traffic_bytes"] * (1 + 9 / (4 / 3)) / (
        1 + 5 / (4 / 3)
    )
    weights = (
        sizes["qwen3-8b"].parameters_body + sizes["qwen3-8b"].parameters_logits
    ) * sizes["qwen3-8b"].bytes_per_weight  # fmt: skip
    # All weights once for the prefill and for each of 19 steps, in a batch of one.
    assert alone == pytest.approx(20 * weights, rel=1e-6)


def test_engines_on_the_same_devices_share_their_time():
    _, both, small = built(planned())
    # 10 to 11 alone, 11 to 12 shared by two calls, 12 to 14 the large model alone.
    assert (both["device_s"], small["device_s"]) == pytest.approx((1.5 + 2.0, 0.5))
    assert both["cost_usd"] == pytest.approx(3.5 * 2.00 / 3600)
    assert (both["cost_method"], both["price_card"]) == ("device_s_x_price", "h100-sxm-on-demand")
    assert both["latency_s"] == pytest.approx(4.0)  # one after the other
    more = {**LOCAL, "devices": 2}
    _, both, small = built(planned(), more)
    assert (both["device_s"], small["device_s"]) == pytest.approx((7.0, 1.0))


def test_a_served_partner_is_paid_by_the_token_and_its_devices_are_unknown():
    session = planned(
        name="gpt-4o-mini", engine='engine: openai, options: {base_url: "http://a.b/v1"}'
    )
    core, both, small = built(session, SERVER)
    # Device time and tokens are priced by different methods, which are never added up.
    assert (both["cost_usd"], both["cost_method"], both["price_card"]) == (None, None, None)
    assert f"cost_usd: {UNLIKE}" in both["costs_unknown_reasons"]
    calls = core["core_answers"].filter(pl.col("budget") == 1).sort("sample_index")
    assert calls["cost_usd"].to_list() == pytest.approx([1.5 * 2 / 3600, 0.5 * 2 / 3600])
    assert small["cost_usd"] == pytest.approx(0.5 * 2.00 / 3600)
    assert small["cost_method"] == "device_s_x_price"
    assert both["device_s"] is None and small["device_s"] == pytest.approx(0.5)
    assert "device_s: the number of devices is not recorded" in both["costs_unknown_reasons"]
    assert both["flops"] == pytest.approx(
        flops("qwen3-0.6b", 40, 16, 10) + flops("qwen3-8b", 44, 0, 20)
    )
    assert both["kinetics_eflops"] is None and small["kinetics_eflops"] is not None
    assert set(core["core_samples"]["machine"]) == {f"1 x {H100} + server http://a.b/v1"}


def test_a_partner_without_a_card_makes_the_cost_unknown_and_not_the_small_ones():
    _, both, small = built(planned(card="null"))
    for axis in ("flops", "kinetics_eflops", "kv_traffic_bytes", "weight_traffic_bytes"):
        assert both[axis] is None and small[axis] is not None
        assert f"{axis}: the partner names no model card" in both["costs_unknown_reasons"]


def test_a_call_of_a_partner_that_no_session_knows_costs_nothing_that_is_known():
    session = planned()
    frame = rows(session).with_columns(
        pl.when(pl.col("partner") == "large").then(pl.lit("huge")).alias("partner")
    )
    _, both, small = built(session, LOCAL, frame)
    assert both["flops"] is None and both["device_s"] is None and both["cost_usd"] is None
    assert small["flops"] is not None


@pytest.mark.parametrize("partner", [LOCAL, SERVER, None])
def test_joules_of_two_engines_are_nobodys(partner):
    session = planned()
    energy = pl.DataFrame(
        {"session_id": [session.session_id], "run_id": ["r"], "energy_j": [90.0],
         "energy_method": ["nvml_counter"], "energy_unknown_reason": [None]},
        schema_overrides={"energy_unknown_reason": pl.String},
    )  # fmt: skip
    core, both, small = built(session, partner, energy=energy)
    for sample in (both, small):
        assert sample["energy_j"] is None and sample["energy_method"] is None
        assert sample["energy_unknown_reason"] == SEVERAL_ENGINES
    assert core["core_sessions"]["energy_j"].to_list() == [90.0]  # of the window it is known


def test_joules_of_one_engine_are_shared_as_ever():
    session = planned()
    frame = rows(session).filter(pl.col("partner").is_null())
    energy = pl.DataFrame(
        {"session_id": [session.session_id], "run_id": ["r"], "energy_j": [80.0],
         "energy_method": ["nvml_counter"], "energy_unknown_reason": [None]},
        schema_overrides={"energy_unknown_reason": pl.String},
    )  # fmt: skip
    _, both, small = built(session, None, frame, energy)
    assert (both["energy_j"], small["energy_j"]) == pytest.approx((50.0, 30.0))
    assert both["energy_method"] == "nvml_counter/output_token_share"


def test_no_rule_of_attribution_and_no_energy_model_fits_two_engines():
    session = planned()
    frame, several = rows(session), runs_of_several(rows(session), [manifest(session, LOCAL)])
    assert several == {(session.session_id, "r")}
    assert runs_of_several(frame.drop("partner"), [manifest(session, None)]) == set()
    telemetry = pl.DataFrame(
        [
            dict.fromkeys(empty("raw_telemetry").columns)
            | {"session_id": session.session_id, "run_id": "r", "attempt": 1, "source": "nvml",
               "device_id": "0", "device_name": H100, "monotonic_s": 9.0 + 0.1 * i,
               "unix_s": 1000.0 + 0.1 * i, "power_w": 100.0, "energy_counter_j": 10.0 * i}
            for i in range(80)
        ],
        schema=empty("raw_telemetry").schema,
        orient="row",
    )  # fmt: skip
    windows = build_energy_windows(frame, telemetry, several=several)
    [whole] = windows.filter(pl.col("window_kind") == "measured").iter_rows(named=True)
    assert whole["energy_unknown_reason"] is None
    assert whole["energy_j"] == pytest.approx(400.0)
    assert whole["fit_unknown_reason"] == SEVERAL_ENGINES
    shares = build_energy_attribution(frame, telemetry, windows, several)
    assert shares.height == 9 and shares["energy_j"].null_count() == 9
    assert set(shares["energy_unknown_reason"]) == {SEVERAL_ENGINES}
    alone = build_energy_attribution(frame, telemetry, windows)
    assert alone.filter("is_default")["energy_j"].sum() == pytest.approx(400.0)


def test_utilisation_of_a_point_with_partners_is_unknown():
    core, *_ = built(planned())
    found = build_request_efficiency(
        core["core_samples"], core["core_sessions"], core["core_points"], load_book()
    ).row(0, named=True)
    assert found["mfu_ratio"] is None and found["mbu_ratio"] is None
    assert found["unknown_reason"] == "the point has partners, whose devices are not counted"
    assert found["flops_per_s"] is not None


def test_points_say_what_their_partners_are_and_are_named_by_it():
    first, second = planned(), planned(name="bigger")
    points = pl.concat([built(first)[0]["core_points"], built(second)[0]["core_points"]])
    assert '"name":"big"' in points["partners"][0]
    assert points["model_card"].to_list() == ["qwen3-0.6b"] * 2
    names = configuration_names(points)
    assert sorted(names.values()) == ["direct · m+big", "direct · m+bigger"]


def test_steps_of_partners_are_not_the_sessions():
    blank = dict.fromkeys(empty("raw_steps").columns)
    steps = [
        blank
        | {"session_id": "s", "run_id": "r", "attempt": 1, "step_index": i, "partner": partner,
           "end_s": float(i), "step_s": 1.0, "drafts": 1, "draft_tokens": 4,
           "accepted_draft_tokens": accepted, "output_tokens": 1 + accepted,
           "fully_accepted_drafts": 0, "is_warmup": False, "is_drain": False}
        for i, (partner, accepted) in enumerate([(None, 1), ("large", 4), (None, 1)])
    ]  # fmt: skip
    frame = pl.DataFrame(steps, schema=empty("raw_steps").schema, orient="row")
    [row] = build_speculation(frame).iter_rows(named=True)
    assert (row["steps"], row["accepted_draft_tokens"]) == (2, 2)
    assert build_speculation(frame.drop("partner"))["steps"].to_list() == [3]


def test_two_price_cards_for_tokens_add_up():
    """Both models are sold by the token, at two prices."""
    session = planned(name="dear", engine='engine: openai, options: {base_url: "http://a.b/v1"}')
    book = load_book()
    cheap = book.price("gpt-4o-mini")
    for name, model, scale in (("a", "m", 1), ("b", "dear", 10)):
        prices = {
            key: scale * getattr(cheap, key)
            for key in (
                "usd_per_million_input_tokens",
                "usd_per_million_cached_input_tokens",
                "usd_per_million_output_tokens",
            )
        }
        book.prices[name] = cheap.model_copy(update={"name": name, "model": model, **prices})
    frame = rows(session)
    core = build_core(
        frame, [session], [manifest(session, SERVER)], answers=answers(frame), book=book
    )
    both, small = core["core_samples"].sort("sample_index").rows(named=True)
    own = (24 * 0.15 + 16 * 0.075 + 10 * 0.60) / 1e6
    other = 10 * (44 * 0.15 + 20 * 0.60) / 1e6
    assert both["cost_usd"] == pytest.approx(own + other)
    assert (both["cost_method"], both["price_card"]) == ("tokens_x_price", None)
    assert small["price_card"] == "a"
