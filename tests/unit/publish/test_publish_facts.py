"""What is chosen to be shown: one row of equal outcomes, telling names, policies apart from what a perfect verifier would do."""

from __future__ import annotations

import polars as pl

from isocost.publish import facts as facts_module
from isocost.publish import sentences
from isocost.publish.labels import NBSP


def gathered(lab):
    return facts_module.from_frames(lab)


def test_policies_are_shown_and_the_bound_is_kept_apart(lab):
    facts = gathered(lab)
    assert facts.tasks == ("adding", "sorting") and facts.first_axis == "output_tokens_per_problem"
    assert set(facts.frontier["strategy"]) == {"majority_at_k"}
    bound = facts.bound_of("adding", facts.first_axis)
    assert bound.height and bound["accuracy"].max() > facts.frontier_of("adding", facts.first_axis)["accuracy"].max()


def test_configurations_are_told_apart_by_as_little_as_possible(lab):
    assert set(gathered(lab).summary["configuration"]) == {"direct", "think"}
    points = lab["core_points"]
    models = points.with_columns(model_variant=pl.when(pl.col("prompt") == "think").then(pl.lit("large")).otherwise("model_variant"))
    assert set(gathered(lab | {"core_points": models}).summary["configuration"]) == {"direct · tiny", "think · large"}
    one_prompt = points.with_columns(
        prompt=pl.lit("ask"), temperature=pl.when(pl.col("prompt") == "think").then(1.0).otherwise(pl.col("temperature"))
    )
    assert set(gathered(lab | {"core_points": one_prompt}).summary["configuration"]) == {"ask · T 0.7", "ask · T 1"}
    alike = points.with_columns(prompt=pl.lit("ask"))
    names = gathered(lab | {"core_points": alike}).summary
    assert names.group_by("task").agg(pl.col("configuration").n_unique())["configuration"].to_list() == [2, 2]


def test_what_lies_beside_a_task_does_not_lengthen_its_names(lab):
    points = lab["core_points"]
    imported = points.filter(pl.col("task") == "sorting").with_columns(
        point_id=pl.lit("other-") + pl.col("point_id"), prompt=pl.lit(None, pl.String), temperature=pl.lit(1.0), seed=pl.lit(3, pl.Int64)
    )
    names = facts_module.configuration_names(pl.concat([points, imported], how="vertical_relaxed"), lab["out_frontier_points"])
    adding = points.filter(pl.col("task") == "adding")["point_id"]
    assert {names[point] for point in adding} == {"direct", "think"}


def test_equal_outcomes_are_shown_once_under_the_best_known_name(lab):
    points = lab["out_frontier_points"]
    first = points.filter(pl.col("is_on_frontier"))["outcome_id"][0]
    twin = points.filter(pl.col("outcome_id") == first).with_columns(
        outcome_id=pl.lit("a-twin"), strategy=pl.lit("borda_at_k_x"), is_knee=pl.lit(True)
    )
    both = pl.concat([points, twin]).with_columns(
        duplicate_of_outcome_id=pl.when(pl.col("outcome_id") == first)
        .then(pl.lit("a-twin"))
        .when(pl.col("outcome_id") == "a-twin")
        .then(pl.lit("a-twin"))
        .otherwise("duplicate_of_outcome_id")
    )
    facts = gathered(lab | {"out_frontier_points": both})
    assert facts.frontier.height == gathered(lab).frontier.height
    shown = facts.frontier.filter(pl.col("outcome_id") == first)
    assert shown["strategy"].to_list() == ["majority_at_k"] * shown.height and shown["is_knee"].all()


def test_thinning_keeps_the_frontier(lab):
    points = gathered(lab).frontier.filter(pl.col("cost_axis") == "output_tokens_per_problem")
    on = points.filter("is_on_frontier").group_by("task").len()["len"].max()
    kept = facts_module.thinned(points, most=on)
    assert kept.group_by("task").len()["len"].max() == on
    assert kept.filter("is_on_frontier").height == points.filter("is_on_frontier").height


def test_the_headline_says_what_the_rows_say(lab):
    facts = gathered(lab)
    rows = facts.frontier_of("adding", facts.first_axis).filter("is_on_frontier").sort("cost")
    top, knee = rows.row(-1, named=True), rows.filter("is_knee").row(0, named=True)
    said = sentences.headline(facts, "adding", facts.first_axis)
    assert said.accuracy == f"{100 * top['accuracy']:.1f}{NBSP}%"
    assert said.best.startswith(sentences.name(top)) and f"{100 * top['frontier_probability']:.0f}{NBSP}%" in said.best
    assert sentences.name(knee) in said.knee and f"{100 * (top['accuracy'] - knee['accuracy']):.1f} points more" in said.knee
    assert said.doubt.endswith("Based on 6 problems.")


def test_the_headline_owns_its_doubts(lab):
    points = lab["out_frontier_points"].with_columns(frontier_probability=pl.lit(0.4))
    facts = gathered(lab | {"out_frontier_points": points})
    rows = facts.frontier_of("adding", facts.first_axis)
    steps, rivals = rows.filter("is_on_frontier").height, rows.filter(~pl.col("is_on_frontier")).height
    said = sentences.headline(facts, "adding", facts.first_axis)
    assert said.doubt.startswith(f"{steps} of {steps} steps of the frontier hold in fewer than half of the draws; {rivals} configuration")


def test_no_knee_is_told_with_its_reason(lab):
    points = lab["out_frontier_points"].with_columns(is_knee=pl.lit(False))
    frontiers = lab["out_frontiers"].with_columns(
        knee_outcome_id=pl.lit(None, dtype=pl.String), knee_reason=pl.lit("the frontier does not bend above its chord")
    )
    facts = gathered(lab | {"out_frontier_points": points, "out_frontiers": frontiers})
    assert sentences.headline(facts, "adding", facts.first_axis).knee == "No knee: the frontier does not bend above its chord."


def test_nothing_banked_is_nothing_shown():
    facts = facts_module.from_frames({})
    assert (facts.tasks, facts.axes, facts.first_axis, facts.curve_axes) == ((), (), None, ())


def test_the_axis_shown_first_is_one_that_half_of_the_tasks_have(lab):
    points = lab["out_frontier_points"]
    tokens = pl.col("cost_axis") == "output_tokens_per_problem"
    few = pl.concat([points, *(points.filter(~tokens).with_columns(task=pl.lit(name)) for name in ("import_a", "import_b", "import_c"))])
    facts = gathered(lab | {"out_frontier_points": few})
    assert facts.first_axis != "output_tokens_per_problem" and "output_tokens_per_problem" in facts.axes
    assert facts.axis_of("import_a") == facts.first_axis
    half = pl.concat([points, *(points.filter(~tokens).with_columns(task=pl.lit(name)) for name in ("import_a", "import_b"))])
    assert gathered(lab | {"out_frontier_points": half}).first_axis == "output_tokens_per_problem"
