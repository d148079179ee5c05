"""Item statistics and response features as tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from isocost.errors import IsocostError
from isocost.items import kr20, rest_correlation
from isocost.tables.items.items import build_item_statistics
from isocost.tables.items.responses import build_response_features

WORKED = [list(map(int, row)) for row in ("11110", "11100", "11001", "10100", "10000", "00001")]


def bank(matrix, *, samples=1, prompt="plain", models=None, task="sums"):
    rows = []
    for subject, line in enumerate(matrix):
        for item, value in enumerate(line):
            for index in range(samples):
                right = bool(value) if samples == 1 else index < round(value * samples)
                rows.append(
                    {
                        "sample_id": f"{prompt}{subject:03d}:{item:03d}:{index}",
                        "point_id": f"pt-{prompt}{subject:03d}",
                        "problem_id": f"p{item:03d}",
                        "task": task,
                        "model_variant": f"m{subject if models is None else models[subject]:02d}",
                        "prompt": prompt,
                        "is_valid": True,
                        "correct": right,
                        "output_tokens": 10 * (item + 1),
                        "answer": "right" if right else f"wrong {subject}",
                    }
                )
    return pl.DataFrame(rows)


def test_worked_matrix_comes_through():
    found = build_item_statistics(bank(WORKED))
    assert found["rest_correlation"].to_list() == pytest.approx(rest_correlation(WORKED).tolist())
    assert found["solved_ratio"].to_list() == pytest.approx([5 / 6, 0.5, 0.5, 1 / 6, 1 / 3])
    assert found["task_kr20"].unique().to_list() == pytest.approx([kr20(WORKED)]) and found[
        "n_subjects"
    ].unique().to_list() == [6]
    assert (
        found["irt_discrimination"].null_count() == 5
        and "needs 20 configurations" in found["irt_reason"][0]
    )
    assert (
        found["is_in_subset"].sum() == 4
        and found["subset_split"][0] == "models"
        and found["subset_cost"][0] == "output_tokens"
    )
    assert (
        found["subset_speed_up"][0]
        == pytest.approx(150 / found.filter("is_in_subset").height, rel=1)
        and not found["is_label_suspect"].any()
    )


def test_ungraded_and_invalid_samples_do_not_count():
    whole = bank(WORKED)
    extra = whole.head(4).with_columns(
        pl.col("sample_id") + "x", pl.lit(None, pl.Boolean).alias("correct")
    )
    wrong = whole.head(4).with_columns(pl.col("sample_id") + "y", pl.lit(False).alias("is_valid"))
    assert build_item_statistics(pl.concat([whole, extra, wrong])).equals(
        build_item_statistics(whole)
    )


def test_a_configuration_that_saw_a_part_is_no_subject():
    whole = bank(WORKED)
    part = bank([[1, 1]]).with_columns(
        pl.lit("pt-part").alias("point_id"), pl.col("sample_id") + "part"
    )
    assert build_item_statistics(pl.concat([whole, part]))["n_subjects"].unique().to_list() == [6]
    alone = build_item_statistics(
        pl.concat([part.head(1), part.tail(1).with_columns(pl.lit("pt-other").alias("point_id"))])
    )
    assert alone["n_subjects"].to_list() == [0, 0] and alone["solved_ratio"].to_list() == [1, 1]
    assert alone["undefined_reason"].null_count() == 0


def test_suspect_labels_are_named_with_their_reasons():
    rng = np.random.default_rng(0)
    ability = np.linspace(-2, 2, 30)
    p = 1 / (1 + np.exp(-2 * (ability[:, None] - rng.normal(0, 1, 12))))
    matrix = (rng.random(p.shape) < p).astype(int)
    matrix[:, 3] = 1 - (ability > 0)
    samples = bank(matrix)
    mislabelled = pl.col("problem_id") == "p007"
    samples = samples.with_columns(
        pl.when(mislabelled).then(False).otherwise(pl.col("correct")).alias("correct"),
        pl.when(mislabelled).then(pl.lit("42")).otherwise(pl.col("answer")).alias("answer"),
    )
    found = build_item_statistics(samples)
    assert dict(
        found.filter("is_label_suspect").select("problem_id", "suspect_reasons").iter_rows()
    ) == {
        "p003": ["negative_discrimination"],
        "p007": ["consensus_wrong"],
    }
    assert found["irt_discrimination"].null_count() == 0 and found["irt_information"].min() > 0
    assert 0 < found["task_discrimination_ratio"][0] < 1


def test_blind_solvable_with_and_without_chance():
    seeing = bank(WORKED)
    blind = bank([[1, 0.5, 0, 0, 0.25], [1, 0.25, 0, 0, 0.25]], samples=20, prompt="blind")
    both = pl.concat([seeing, blind])
    known = build_item_statistics(both, chance={"sums": 0.25})
    assert known["n_blind_samples"].to_list() == [40] * 5 and known["n_subjects"][0] == 6
    # 15 of 40 against a chance of a quarter is p = .05 for one problem, but not after adjusting for
    # five.
    assert known["is_blind_solvable"].to_list() == [True, False, False, False, False]
    assert known["blind_p_value"][2] == 1 and known[
        "blind_solved_ratio"
    ].to_list() == pytest.approx([1, 0.375, 0, 0, 0.25])
    unknown = build_item_statistics(both)
    assert (
        unknown["is_blind_solvable"].to_list() == [True, False, False, False, False]
        and unknown["blind_p_value"].null_count() == 5
    )
    assert build_item_statistics(seeing)["is_blind_solvable"].null_count() == 5


def test_few_models_are_split_by_configuration_and_said_so():
    assert (
        build_item_statistics(bank(WORKED, models=[0, 0, 0, 0, 0, 0]))["subset_split"][0]
        == "configurations"
    )
    assert "needs 4 configurations" in build_item_statistics(bank(WORKED[:3]))["subset_reason"][0]


def test_nothing_gives_an_empty_table_and_a_missing_column_is_named():
    samples = bank(WORKED)
    assert (
        build_item_statistics(samples.clear()).is_empty()
        and build_response_features(samples.clear()).is_empty()
    )
    with pytest.raises(IsocostError, match="column answer is missing"):
        build_item_statistics(samples.drop("answer"))


def test_response_features_compare_inside_problems():
    rng = np.random.default_rng(1)
    samples = bank([[0.5] * 8], samples=10)
    # Correct responses hedge less; hard problems are longer for both.
    texts = samples.select(
        "sample_id",
        output_text=pl.when("correct")
        .then(pl.lit("so the answer is "))
        .otherwise(pl.lit("maybe perhaps it is "))
        + pl.Series([" ".join(["word"] * int(n)) for n in rng.integers(5, 15, samples.height)]),
    )
    found = build_response_features(samples, texts)
    assert set(found["feature"]) >= {
        "output_tokens",
        "words",
        "hedges_per_100_words",
        "thinking_per_100_words",
    }
    hedge = found.filter(pl.col("feature") == "hedges_per_100_words").row(0, named=True)
    assert (
        hedge["mean_correct"] == 0
        and hedge["within_auc"] == 0
        and hedge["within_difference_high"] < 0
    )
    assert (
        hedge["p_value_bh"] < 0.001
        and hedge["n_mixed_problems"] == 8
        and (hedge["n_samples"], hedge["n_correct"]) == (80, 40)
    )
    tokens = found.filter(pl.col("feature") == "output_tokens").row(0, named=True)
    assert (
        tokens["within_difference"] == 0 and tokens["within_auc"] == 0.5 and tokens["p_value"] == 1
    )
    never = found.filter(pl.col("feature") == "thinking_per_100_words").row(0, named=True)
    assert never["pooled_correlation"] is None


def test_response_features_match_a_paired_test():
    rng = np.random.default_rng(2)
    samples = bank([[0.5] * 12], samples=4).with_columns(
        pl.Series("output_tokens", rng.integers(5, 500, 48))
    )
    row = build_response_features(samples).row(0, named=True)
    cells = (
        samples.group_by("problem_id", "correct")
        .agg(pl.col("output_tokens").mean())
        .pivot("correct", index="problem_id", values="output_tokens")
    )
    oracle = stats.ttest_rel(cells["true"].to_numpy(), cells["false"].to_numpy())
    assert row["p_value"] == pytest.approx(oracle.pvalue) and row["feature"] == "output_tokens"
    assert (row["within_difference_low"], row["within_difference_high"]) == pytest.approx(
        tuple(oracle.confidence_interval(0.95))
    )
    pooled = stats.pearsonr(samples["output_tokens"], samples["correct"].cast(pl.Int8)).statistic
    assert row["pooled_correlation"] == pytest.approx(pooled)


def test_response_features_of_a_point_need_no_other_point():
    rng = np.random.default_rng(3)
    samples = bank(rng.random((3, 6)).tolist(), samples=5).with_columns(
        pl.Series("output_tokens", rng.integers(5, 500, 90))
    )
    samples = samples.with_columns(
        logprob_mean=pl.when(pl.col("output_tokens") % 7 > 1).then(-1 / pl.col("output_tokens"))
    )
    words = pl.Series(
        [
            " ".join(rng.choice(["wait", "thus", "so"], int(n)))
            for n in rng.integers(1, 9, samples.height)
        ]
    )
    texts = samples.select("sample_id", output_text=words).sample(
        fraction=0.9, seed=0, shuffle=True
    )
    found = build_response_features(samples, texts)
    alone = [build_response_features(part, texts) for part in samples.partition_by("point_id")]
    assert found.equals(pl.concat(alone)) and found["point_id"].n_unique() == 3
    for row in found.iter_rows(named=True):
        if row["feature"] in samples.columns:
            mine = samples.filter(
                pl.col("point_id") == row["point_id"], pl.col(row["feature"]).is_not_null()
            )
            means = (
                mine.group_by("problem_id")
                .agg(
                    difference=pl.col(row["feature"]).filter("correct").mean()
                    - pl.col(row["feature"]).filter(~pl.col("correct")).mean()
                )["difference"]
                .drop_nulls()
            )
            assert (row["n_mixed_problems"], row["n_samples"]) == (len(means), mine.height)
            assert row["within_difference"] == pytest.approx(means.mean())


def test_unknown_features_are_counted_and_two_texts_are_refused():
    samples = bank([[0.5] * 4], samples=4)
    texts = samples.select("sample_id", output_text=pl.lit("one two")).head(10)
    found = build_response_features(samples, texts)
    words = found.filter(pl.col("feature") == "words").row(0, named=True)
    assert (words["n_samples"], words["n_unknown"]) == (10, 6)
    with pytest.raises(IsocostError, match="several texts"):
        build_response_features(samples, pl.concat([texts, texts]))
