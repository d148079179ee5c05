"""The report's section on which configurations differ, from counts of three models to HTML."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isocost.publish import facts as facts_module
from isocost.publish.compared import compared, p_words, verdict_words
from isocost.schema.frames import empty
from isocost.tables.coverage.bands import build_coverage_bands
from isocost.tables.frontiers.frontiers import build_frontiers
from isocost.tables.outcomes.outcomes import build_outcomes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown() -> facts_module.Facts:
    """`steady` is right more often, `lucky` now and then on every problem.

    It overtakes with more samples.
    """
    rng = np.random.default_rng(3)
    problems, samples = 120, 32
    chance = {
        "steady": np.where(np.arange(problems) < 66, 0.95, 0.0),
        "lucky": np.full(problems, 0.25),
        "poor": np.full(problems, 0.02),
    }
    cells = [
        {
            "task": "sums",
            "model_variant": model,
            "prompt": "<b>plain</b>",
            "point_id": f"pt-{model}",
            "problem_id": f"q{i:03d}",
            "sample_index": j,
            "is_valid": True,
            "correct": bool(right),
            "output_tokens": 10,
            "prompt_tokens": 5,
        }
        for model, p in chance.items()
        for i in range(problems)
        for j, right in enumerate(rng.random(samples) < p[i])
    ]
    bank = pl.DataFrame(cells).with_columns(answer_class=pl.lit(None, pl.Int32))
    outcomes, rows = build_outcomes(bank, strategies=["pass_at_k"])
    frames = {
        "out_strategy_outcomes": outcomes,
        **build_frontiers(outcomes, rows, draws=100),
        **build_coverage_bands(bank),
    }
    return facts_module.from_frames(frames)


def test_the_section_names_who_is_ahead_and_where_that_turns(shown):
    text = compared(shown)
    rows = shown.comparisons
    assert rows.height == 3 and rows["first_point_id"].null_count() == 0
    pair = rows.filter(
        pl.col("first_point_id").is_in(["pt-lucky", "pt-steady"])
        & pl.col("second_point_id").is_in(["pt-lucky", "pt-steady"])
    )
    row = pair.row(0, named=True)
    assert row["first_point_id"] == "pt-steady" and row["verdict"] == "first_better", (
        "the more accurate stands first"
    )
    assert (
        0
        < row["accuracy_difference_band_low"]
        < row["accuracy_difference"]
        < row["accuracy_difference_band_high"]
    )
    words = verdict_words(shown.overtaking("sums", "pt-steady", "pt-lucky"))
    assert (
        words.startswith("first ahead for k\u00a01–")
        and words.endswith("–32")
        and "second ahead" in words
    )
    back = verdict_words(shown.overtaking("sums", "pt-lucky", "pt-steady"))
    assert back.startswith("second ahead")
    assert (words if row["first_point_id"] == "pt-steady" else back) in text
    assert "Which configurations differ" in text and "steady" in text and "<b>" not in text


def test_nothing_to_compare_is_no_section(shown):
    alone = facts_module.from_frames({})
    assert compared(alone) == ""
    assert verdict_words(empty("out_coverage_differences")) == "–"


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (0.0, "<\u00a00.001"), (0.0123, "0.012"), (0.5, "0.50")]
)
def test_p_values_are_short_and_never_zero(value, words):
    assert p_words(value) == words
