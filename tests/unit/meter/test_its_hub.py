"""its_hub, a library of inference-time scaling, through the meter in an environment of its own."""

from __future__ import annotations

import shlex
from pathlib import Path

import polars as pl
import pytest

from benchmarks.foreign_environment import its_hub_python
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow
CLIENT = Path(__file__).parents[3] / "benchmarks" / "its_hub_client.py"
SAID = ["First", " add", " 0", " and", " 1", ".", "\n", "Then", " it", " is", " 1", "."]


def test_four_algorithms_of_its_hub_are_metered_without_a_line_of_code(lab):
    try:
        python = its_hub_python()
    except IsocostError as error:
        pytest.skip(f"no environment with its_hub: {error}")

    def script(prompt, number, choice):
        return SAID[: 6 if "Then" not in prompt else 12] + ["!"] * (number % 3)

    lab.server.script, lab.server.first_s = script, 0.5  # long enough for calls to overlap
    words = [str(python), str(CLIENT), "varied", "4"]
    found = lab.run(command=shlex.join(words), samples=4, options={"clients": 2}, time_limit_s=120)
    assert (found.generated, found.errors) == (4, 0), found.first_error
    calls = lab.calls()
    assert calls["output_tokens"].sum() == lab.server.counts["output"]
    assert calls["prompt_tokens"].sum() == lab.server.counts["prompt"]
    assert calls["cached_tokens"].sum() == lab.server.counts["cached"]
    by_sample = {index: calls.filter(pl.col("sample_index") == index) for index in range(4)}
    for index in (0, 1):  # budget 4: as many calls, all at once, none of which builds on another
        assert by_sample[index]["wave"].to_list() == [0] * 4
        assert by_sample[index]["parent_call_id"].null_count() == 4
    answers = dict(lab.answers().select("sample_index", "answer_text").iter_rows())
    shortest = min(by_sample[1]["output_text"], key=len)
    assert answers[1] == shortest.strip()
    for index in (2, 3):  # steps that go on from earlier ones, wave by wave
        steps = by_sample[index]
        assert steps["wave"].max() == 2
        assert (steps["parent_call_id"].is_null() == (steps["wave"] == 0)).all()
        parents = steps.filter(pl.col("parent_call_id").is_not_null()).join(
            steps.select(parent_call_id="call_id", parent_wave="wave"), on="parent_call_id"
        )
        assert (parents["parent_wave"] == parents["wave"] - 1).all()
    assert CLIENT.read_text().count("import isocost") == 0
