"""Physics of imported rows.

Each rule fires exactly where it is broken, rows that can be pass untouched, and nothing changes
unsaid.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.core.physics import (
    REASONS,
    RULES,
    calls_judged_by_physics,
    judged_by_physics,
    mean_gap,
)

SCHEMA = polars_schema(table("raw_imports"))
NEEDED = {
    "import_id": "im-1",
    "record_index": 0,
    "source": "generic",
    "record_kind": "sample",
    "source_file": "f",
    "null_reasons": [],
}
CLEAN = {
    "output_text": "text",
    "prompt_tokens": 100,
    "output_tokens": 51,
    "reasoning_tokens": 20,
    "cached_tokens": 60,
    "total_tokens": 151,
    "queue_s": 0.0,
    "ttft_s": 0.5,
    "inter_token_s": 0.05,
    "latency_s": 3.0,
    "started_unix_s": 1.7e9,
    "ended_unix_s": 1.7e9 + 3,
    "energy_j": 600.0,
    "energy_method": "nvml",
    "cost_usd": 0.01,
    "logprob_sum": -12.5,
}
JUDGED = [name for name in CLEAN if name not in ("output_text", "energy_method")]


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    listed = [
        {**dict.fromkeys(SCHEMA), **NEEDED, "record_index": number, **row}
        for number, row in enumerate(rows)
    ]
    return conform(pl.DataFrame(listed, schema=SCHEMA, orient="row"), "raw_imports")


def judged(**changes: Any) -> dict[str, Any]:
    return judged_by_physics(frame({**CLEAN, **changes})).row(0, named=True)


@st.composite
def possible(draw: st.DrawFn) -> dict[str, Any]:
    """A row that a server can have written.

    Every value follows from a few drawn ones, each may be unknown.
    """
    prompt, output = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**5))
    ttft, decode = (
        draw(st.floats(1e-3, 100)),
        draw(st.floats(output / 5e4, 1000 + output / 5e4)) if output > 1 else 0.0,
    )
    latency = ttft + decode
    start = draw(st.floats(1e9, 2e9))
    row = {
        "prompt_tokens": prompt,
        "output_tokens": output,
        "reasoning_tokens": draw(st.integers(0, output)),
        "cached_tokens": draw(st.integers(0, prompt)),
        "total_tokens": prompt + output,
        "ttft_s": ttft,
        "latency_s": latency,
        "inter_token_s": (latency - ttft) / (output - 1) if output > 1 else None,
        "started_unix_s": start,
        "ended_unix_s": start + latency,
        "energy_j": latency * draw(st.floats(1e-3, 1e5)),
        "energy_method": "nvml",
        "logprob_sum": -draw(st.floats(0, min(1e5, 29.9 * output))),
        "cost_usd": draw(st.floats(1e-9, 10)),
        "output_text": draw(st.sampled_from([None, "text"])),
    }
    gone = draw(st.sets(st.sampled_from(sorted(row.keys() - {"energy_method"}))))
    # Where the output's count is gone its gap and its sum say nothing that can be held against
    # anything.
    return {name: None if name in gone else value for name, value in row.items()}


@pytest.mark.slow
@given(st.lists(possible(), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_a_row_that_can_be_passes_untouched(rows: list[dict[str, Any]]) -> None:
    before = frame(*rows)
    after = judged_by_physics(before)
    assert after.drop(REASONS).equals(before)
    assert after[REASONS].list.len().sum() == 0


BROKEN = [
    ({"ttft_s": 0.0}, "ttft_s", None, "zero_time_is_no_measurement"),
    ({"ttft_s": 3.5}, "ttft_s", None, "first_token_after_the_end"),
    ({"latency_s": 0.0}, "latency_s", None, "zero_time_is_no_measurement"),
    ({"latency_s": 1e-7}, "latency_s", None, "faster_than_any_hardware"),
    ({"latency_s": -1.0}, "latency_s", None, "negative"),
    ({"inter_token_s": 0.2}, "inter_token_s", 0.05, "recomputed_from_latency_and_ttft"),
    ({"inter_token_s": 0.0}, "inter_token_s", 0.05, "recomputed_from_latency_and_ttft"),
    ({"inter_token_s": 0.2, "ttft_s": None}, "inter_token_s", None, "gaps_longer_than_the_record"),
    ({"inter_token_s": 0.2, "ttft_s": 3.0}, "inter_token_s", None, "all_tokens_came_at_once"),
    (
        {"output_tokens": 1, "total_tokens": None, "reasoning_tokens": 0},
        "inter_token_s",
        None,
        "fewer_than_two_tokens",
    ),
    (
        {"reasoning_tokens": 400, "total_tokens": 551},
        "output_tokens",
        451,
        "reasoning_is_counted_beside_output",
    ),
    (
        {"reasoning_tokens": 20, "total_tokens": 171},
        "output_tokens",
        71,
        "reasoning_is_counted_beside_output",
    ),
    (
        {"reasoning_tokens": 400, "total_tokens": None},
        "output_tokens",
        451,
        "reasoning_is_counted_beside_output",
    ),
    ({"reasoning_tokens": 400}, "output_tokens", None, "more_reasoning_than_output"),
    (
        {"cached_tokens": 800, "total_tokens": 951},
        "prompt_tokens",
        900,
        "cache_is_counted_beside_prompt",
    ),
    ({"cached_tokens": 800}, "cached_tokens", None, "more_cached_than_prompt"),
    ({"total_tokens": 400}, "output_tokens", None, "input_and_output_are_not_the_total"),
    ({"output_tokens": 0, "total_tokens": 100}, "output_tokens", None, "zero_tokens_beside_a_text"),
    ({"output_tokens": 10**10}, "output_tokens", None, "more_than_any_context_holds"),
    *(
        ({name: 1e12}, name, None, "longer_than_any_request")
        for name in ("queue_s", "ttft_s", "latency_s")
    ),
    ({"started_unix_s": 1.7e12}, "started_unix_s", None, "not_unix_seconds"),
    ({"ended_unix_s": 1.6e9}, "ended_unix_s", None, "ends_before_it_starts"),
    ({"logprob_sum": 0.5}, "logprob_sum", None, "probability_above_one"),
    ({"cost_usd": -0.1}, "cost_usd", None, "negative"),
    ({"cost_usd": 0.0}, "cost_usd", None, "zero_is_no_price"),
    ({"cost_usd": 1e20}, "cost_usd", None, "more_than_any_price"),
    (
        {"prompt_tokens": 0, "cached_tokens": 0, "total_tokens": 51},
        "prompt_tokens",
        None,
        "zero_tokens_of_a_prompt",
    ),
    ({"queue_s": 1e12}, "queue_s", None, "longer_than_any_request"),
    ({"latency_s": 1e29}, "latency_s", None, "longer_than_any_request"),
    ({"logprob_sum": -1e29}, "logprob_sum", None, "less_likely_than_any_sampling"),
    ({"logprob_sum": -30.1 * 51}, "logprob_sum", None, "less_likely_than_any_sampling"),
    ({"started_unix_s": -5.0}, "started_unix_s", None, "before_any_computer"),
    ({"ended_unix_s": 6.2e12}, "ended_unix_s", None, "not_unix_seconds"),
]


@pytest.mark.parametrize(("changes", "column", "left", "reason"), BROKEN)
def test_what_cannot_be_is_null_or_repaired_and_reported(
    changes: dict[str, Any], column: str, left: float | None, reason: str
) -> None:
    row = judged(**changes)
    assert row[column] == (None if left is None else pytest.approx(left))
    assert f"{column}: {reason}" in row[REASONS]
    # What the rule does not name stays as it was written.
    touched = {entry.split(":")[0] for entry in row[REASONS]}
    assert all(
        row[name] == changes.get(name, CLEAN[name]) for name in JUDGED if name not in touched
    )


ENERGY = [
    ({"energy_j": 0.0}, "zero_energy_is_no_measurement"),
    ({"energy_j": 0.0, "latency_s": None}, "zero_energy_is_no_measurement"),
    ({"energy_j": -1.0}, "negative"),
    ({"energy_j": 1e9}, "more_power_than_any_machine"),
    ({"energy_j": 1e13, "latency_s": None}, "more_energy_than_any_record"),
]


@pytest.mark.parametrize(("changes", "reason"), ENERGY)
def test_energy_that_cannot_be_is_unknown_with_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    row = judged(**changes)
    assert (row["energy_j"], row["energy_method"], row["energy_unknown_reason"]) == (
        None,
        None,
        reason,
    )


def test_no_time_and_no_joule_for_no_token_is_no_measurement_but_no_contradiction_either() -> None:
    row = judged(
        output_text="",
        output_tokens=0,
        reasoning_tokens=0,
        total_tokens=100,
        latency_s=0.0,
        ttft_s=0.0,
        energy_j=0.0,
    )
    assert row["latency_s"] == 0.0 and row["energy_j"] == 0.0 and row["output_tokens"] == 0
    assert row["ttft_s"] is None and "ttft_s: no_token_came" in row[REASONS]


@pytest.mark.parametrize("kind", ["aggregate", "telemetry"])
def test_summary_numbers_and_readings_are_left_alone_but_for_the_energy_of_windows(
    kind: str,
) -> None:
    reported = frame(
        {**CLEAN, "record_kind": kind, "ttft_s": 0.0, "energy_j": 0.0, "output_tokens": 10**12}
    )
    after = judged_by_physics(reported).row(0, named=True)
    assert after["ttft_s"] == 0.0 and after["output_tokens"] == 10**12
    assert after["energy_j"] == (None if kind == "aggregate" else 0.0)


def oracle(row: dict[str, Any]) -> set[str]:
    """The columns that cannot stand as they are, one plain sentence after another.

    The table of rules knows nothing of this.
    """
    v = {name: row[name] for name in JUDGED}
    odd = {
        name
        for name in JUDGED
        if name not in ("logprob_sum", "started_unix_s", "ended_unix_s")
        and v[name] is not None
        and v[name] < 0
    }
    v |= dict.fromkeys(odd)
    text = bool(row["output_text"])
    if v["output_tokens"] == 0 and text:
        odd.add("output_tokens")
        v["output_tokens"] = None
    silent = v["output_tokens"] == 0 and not text
    if v["latency_s"] is not None and v["latency_s"] == 0 and not silent:
        odd.add("latency_s")
        v["latency_s"] = None
    if (
        v["latency_s"] is not None
        and v["output_tokens"] is not None
        and v["output_tokens"] / 1e5 > v["latency_s"]
    ):
        odd.add("latency_s")
        v["latency_s"] = None
    if v["ttft_s"] is not None and (
        v["ttft_s"] == 0
        or silent
        or (v["latency_s"] is not None and v["ttft_s"] > v["latency_s"] + 1e-3)
    ):
        odd.add("ttft_s")
    if v["energy_j"] == 0 and not (v["latency_s"] == 0 and silent):
        odd.add("energy_j")
    if (
        v["energy_j"] is not None
        and v["latency_s"] is not None
        and v["energy_j"] > 1e6 * v["latency_s"]
    ):
        odd.add("energy_j")
    if (
        v["started_unix_s"] is not None
        and v["ended_unix_s"] is not None
        and v["ended_unix_s"] < v["started_unix_s"] - 1e-3
    ):
        odd |= {"started_unix_s", "ended_unix_s"}
    if v["cost_usd"] == 0 and not silent:
        odd.add("cost_usd")
    if v["logprob_sum"] is not None and v["logprob_sum"] > 1e-6:
        odd.add("logprob_sum")
    return odd


def maybe(values: st.SearchStrategy[float]) -> st.SearchStrategy[float | None]:
    return st.one_of(st.none(), st.just(0.0), values)


ANY = st.fixed_dictionaries(
    {
        "output_tokens": st.one_of(st.none(), st.integers(0, 5000)),
        "latency_s": maybe(st.floats(-1, 100)),
        "ttft_s": maybe(st.floats(-1, 100)),
        "energy_j": maybe(st.floats(-1, 1e9)),
        "started_unix_s": maybe(st.floats(1e9, 2e9)),
        "ended_unix_s": maybe(st.floats(1e9, 2e9)),
        "logprob_sum": maybe(st.floats(-10, 10)),
        "cost_usd": maybe(st.floats(-1, 1)),
        "output_text": st.sampled_from([None, "", "text"]),
    }
)


@pytest.mark.slow
@given(st.lists(ANY, min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_rules_fire_exactly_where_a_plain_reading_says_so(rows: list[dict[str, Any]]) -> None:
    full = [{**dict.fromkeys(CLEAN), **row} for row in rows]
    after = judged_by_physics(frame(*full))
    for row, found in zip(full, after.iter_rows(named=True), strict=True):
        changed = {name for name in JUDGED if found[name] != row[name]}
        assert changed == oracle(row)
        stated = {reason.split(":")[0] for reason in found[REASONS]} | (
            {"energy_j"} if found["energy_unknown_reason"] else set()
        )
        assert stated == changed


@pytest.mark.slow
@given(ANY)
@settings(max_examples=100, deadline=None)
def test_judging_twice_changes_nothing_more(row: dict[str, Any]) -> None:
    once = judged_by_physics(frame({**dict.fromkeys(CLEAN), **row}))
    assert judged_by_physics(once.drop(REASONS)).drop(REASONS).equals(once.drop(REASONS))


def test_every_rule_is_among_those_that_were_broken_here() -> None:
    """A new rule needs a line in the tables above."""
    codes = {case[-1] for case in (*BROKEN, *ENERGY)}
    assert {rule.code for rule in RULES} - codes == {"no_token_came"}


def test_the_mean_gap_follows_from_the_ends() -> None:
    rows = frame(
        CLEAN, {**CLEAN, "output_tokens": 1}, {**CLEAN, "ttft_s": None}, {**CLEAN, "ttft_s": 3.0}
    )
    assert rows.select(gap=mean_gap())["gap"].to_list() == [pytest.approx(0.05), None, None, None]


def test_calls_of_our_own_engines_are_held_to_the_same() -> None:
    calls = pl.DataFrame(
        {
            "prompt_tokens": [10, 10],
            "cached_tokens": [11, 10],
            "output_tokens": [10**6, 10],
            "logprob_sum": [1.0, -1.0],
            "latency_s": [1.0, 1.0],
            "prefill_s": [0.5, 0.5],
            "decode_s": [0.5, 0.5],
        }
    )
    after = calls_judged_by_physics(calls)
    assert after.row(0)[1:7] == (None, 10**6, None, None, None, None) and after.row(1)[
        :7
    ] == calls.row(1)
    assert (
        len(after[REASONS][0]) == 5
        and not len(after[REASONS][1])
        and math.isclose(after["latency_s"][1], 1.0)
    )
