import numpy as np
import polars as pl
import pytest

from isocost.costs import (
    energy_cap_j,
    forward_flops,
    kinetics_eflops,
    load_book,
    request_bytes,
    request_seconds,
    token_usd,
)
from isocost.costs.axes import Cards, all_axes, cost_axes, register
from isocost.errors import IsocostError

BOOK = load_book()
FULL = Cards(BOOK.model("qwen3-8b"), BOOK.device("h200-sxm"), BOOK.price("gpt-4o-mini"))
ROWS = pl.DataFrame(
    {
        "prompt_tokens": [100, None, 30],
        "output_tokens": [50, 7, 1],
        "cached_tokens": [64, None, None],
    }
)


def test_every_axis_is_its_formula_and_unknown_tokens_are_null():
    frame, reasons = cost_axes(ROWS, FULL)
    assert reasons == {} and frame.columns == list(all_axes()) and frame.height == 3
    assert all(frame[c].is_null().to_list() == [False, True, False] for c in frame.columns)
    assert frame["flops"][0] == forward_flops(FULL.model, 100, 50, cached_tokens=64)
    assert frame["kinetics_eflops"][2] == kinetics_eflops(
        FULL.model, 30, 1, 1, FULL.device.intensity("bfloat16")
    )
    assert frame["token_price_usd"][0] == token_usd(FULL.price, 100, 50, cached_tokens=64)
    bound = request_seconds(FULL.model, FULL.device, [100, 30], [50, 1])
    np.testing.assert_allclose(frame["latency_bound_s"].drop_nulls(), bound)
    np.testing.assert_allclose(
        frame["energy_modelled_j"].drop_nulls(), energy_cap_j(FULL.device, bound)
    )
    assert frame["weight_traffic_bytes"][0] > 50 * 2 * FULL.model.parameters_body
    assert frame["weight_traffic_bytes"][0] + frame["kv_traffic_bytes"][0] == request_bytes(
        FULL.model, 100, 50
    )


def test_a_missing_card_or_peak_is_null_with_its_reason():
    frame, reasons = cost_axes(ROWS, Cards(BOOK.model("qwen3-8b"), BOOK.device("cpu")))
    assert frame["flops"].null_count() == 1 and "flops" not in reasons
    assert (
        reasons["latency_bound_s"] == "no memory bandwidth is known"
        and frame["latency_bound_s"].null_count() == 3
    )
    assert reasons["token_price_usd"] == "no price card is given"
    nothing, why = cost_axes(ROWS, Cards())
    assert set(why) == set(all_axes()) and all(
        nothing[c].null_count() == 3 for c in nothing.columns
    )


def test_axes_are_described_and_chosen_by_name():
    for name, axis in all_axes().items():
        assert axis.name == name and axis.unit and axis.method and axis.meaning.endswith(".")
    assert cost_axes(ROWS, FULL, ["flops"])[0].columns == ["flops"]
    with pytest.raises(IsocostError, match="no cost axis 'fun'"):
        cost_axes(ROWS, FULL, ["fun"])
    with pytest.raises(IsocostError, match="output_tokens"):
        cost_axes(ROWS.drop("output_tokens"), FULL)
    with pytest.raises(IsocostError, match="twice"):
        register(type(all_axes()["flops"]))
