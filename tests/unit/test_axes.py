"""Cost axes: each computed one is its formula, and a description with a hole is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.axes.compute import Calls, Cards, computed
from isocost.axes.model import AxisLabel, ByTokens, CostAxis, Field, Total
from isocost.axes.registry import AXES, all_axes, by_outcome_column, find, register
from isocost.costs import forward_flops, kinetics_eflops, load_book, request_bytes, token_usd
from isocost.errors import IsocostError
from isocost.schema.registry import table

BOOK = load_book()
FULL = Cards(BOOK.model("qwen3-8b"), BOOK.device("h200-sxm"), BOOK.price("gpt-4o-mini"))
COMPUTED = tuple(axis for axis in all_axes().values() if axis.is_computed)
ROWS = pl.DataFrame(
    {
        "prompt_tokens": [100, None, 30],
        "output_tokens": [50, 7, 1],
        "cached_tokens": [64, None, None],
    }
)


def test_every_computed_axis_is_its_formula_and_unknown_tokens_are_null():
    frame, reasons = computed(ROWS, FULL, COMPUTED)
    assert reasons == {} and frame.height == 3
    assert all(frame[c].is_null().to_list() == [False, True, False] for c in frame.columns)
    assert frame["flops"][0] == forward_flops(FULL.model, 100, 50, cached_tokens=64)
    assert frame["kinetics_eflops"][2] == kinetics_eflops(
        FULL.model, 30, 1, 1, FULL.device.intensity("bfloat16")
    )
    assert frame["cost_usd"][0] == token_usd(FULL.price, 100, 50, cached_tokens=64)
    assert frame["weight_traffic_bytes"][0] + frame["kv_traffic_bytes"][0] == request_bytes(
        FULL.model, 100, 50
    )


def test_a_missing_card_is_null_with_its_reason():
    frame, reasons = computed(ROWS, Cards(BOOK.model("qwen3-8b"), BOOK.device("cpu")), COMPUTED)
    assert frame["flops"].null_count() == 1 and "flops" not in reasons
    assert "no dense peak" in reasons["kinetics_eflops"]
    assert reasons["cost_usd"] == "no price card is given"
    nothing, why = computed(ROWS, Cards(), COMPUTED)
    assert set(why) == {axis.name for axis in COMPUTED}
    assert all(nothing[c].null_count() == 3 for c in nothing.columns)
    with pytest.raises(IsocostError, match="output_tokens"):
        computed(ROWS.drop("output_tokens"), FULL, COMPUTED)


@settings(max_examples=40, deadline=None)
@given(
    prompt=st.integers(1, 5000),
    cached=st.floats(0, 1),
    length=st.integers(1, 20_000),
    share=st.floats(0, 1),
    batch=st.floats(1, 64),
    card=st.sampled_from(["qwen3-8b", "smollm2-135m-instruct"]),
)
@pytest.mark.slow
def test_the_rise_of_an_axis_says_what_a_cut_sample_had_cost(
    prompt, cached, length, share, batch, card
):
    """cost - per_token (T - b) - per_token_squared (T^2 - b^2), against the formula at b."""
    cards = Cards(BOOK.model(card), FULL.device, FULL.price, decode_batch=batch)
    b = max(int(length * share), 1)
    rows = pl.DataFrame({"prompt_tokens": [prompt], "cached_tokens": [int(prompt * cached)]})
    whole, cut = (
        computed(rows.with_columns(output_tokens=pl.lit(tokens)), cards, COMPUTED)[0].row(
            0, named=True
        )
        for tokens in (length, b)
    )
    for axis in COMPUTED:
        linear, square = (*(whole[f.name] for f in axis.rise), 0.0)[:2]
        reported = whole[axis.column] - linear * (length - b) - square * (length**2 - b**2)
        assert reported == pytest.approx(cut[axis.column], rel=1e-9), axis.name


def test_a_cost_with_a_bend_has_no_rise():
    class Bent(CostAxis):
        name, unit, meaning = "bent_j", "J", "A law with a bend."
        label, adds, cut = AxisLabel("", "", ""), Total("bent_j"), ByTokens(degree=2)
        fields = (Field("bent_j", "Bent.", "J"),)

        def compute(self, calls: Calls) -> np.ndarray:
            return np.minimum(calls.output, 700.0) + calls.prompt

    rows = pl.DataFrame({"prompt_tokens": [5] * 4, "output_tokens": [699, 2000, 2017, 0]})
    frame, _ = computed(rows, Cards(), (Bent(),))
    assert frame["bent_j_per_token"].to_list()[:3] == [None, None, None]
    assert frame["bent_j"].to_list() == [704.0, 705.0, 705.0, 5.0]


def test_axes_are_described_and_found():
    units = {axis.name: axis.unit for axis in all_axes().values()}
    assert units["kinetics_eflops"] == "FLOP" and units["kv_traffic_bytes"] == "bytes"
    samples, outcomes = table("core_samples"), table("out_strategy_outcomes")
    for name, axis in all_axes().items():
        assert axis.name == name and find(name) is axis
        assert by_outcome_column()[axis.per_problem] is axis
        assert axis.meaning.endswith(".") and axis.label.title
        assert outcomes.column(axis.per_problem).unit == axis.unit
        if axis.column:
            assert samples.column(axis.column).unit == axis.unit
        for field in axis.columns:
            assert samples.column(field.name).meaning == field.meaning
        if axis.method:
            assert samples.column(axis.method)
    with pytest.raises(
        IsocostError, match=r"no cost axis is called 'energy_joule'.*Did you mean energy_j"
    ):
        find("energy_joule")


def axis_with(**changes) -> type[CostAxis]:
    whole = {
        "name": "test_l", "unit": "L", "meaning": "Nothing.", "label": AxisLabel("", "", ""),
        "adds": Total("test_l"), "fields": (Field("test_l", "Nothing.", "L"),),
        "compute": lambda self, calls: calls.output,
    }  # fmt: skip
    return type("Test", (CostAxis,), whole | changes)


@pytest.mark.parametrize(
    ("changes", "stated"),
    [
        ({"name": "flops"}, "two cost axes are called 'flops'"),
        ({"adds": Total("other_l")}, "its first field must be its column 'other_l'"),
        ({"unit": None}, r"lacks unit.*cost-axis.md"),
    ],
)
def test_a_description_that_cannot_be_is_refused(changes, stated):
    before = AXES.names()
    with pytest.raises(IsocostError, match=stated):
        register(axis_with(**changes))
    assert before == AXES.names()


def test_a_column_is_brought_by_one_axis(monkeypatch):
    other = axis_with(adds=Total("energy_j"), fields=(Field("energy_j", "Joules.", "J"),))()
    monkeypatch.setattr(AXES, "_items", {**AXES.all(), "test_l": other})
    all_axes.cache_clear()
    try:
        with pytest.raises(IsocostError, match="two cost axes bring a column 'energy_j'"):
            all_axes()
    finally:
        all_axes.cache_clear()
