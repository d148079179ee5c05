"""What is chosen to be shown.

One row of equal outcomes, telling names, policies apart from what a perfect verifier would do.
"""

from __future__ import annotations

import polars as pl

from isocost.publish import facts as facts_module
from isocost.publish import naming, report, sentences
from isocost.publish.labels import NBSP
from isocost.publish.points_shown import MOST_POINTS, likeliest, thinned


def gathered(lab):
    return facts_module.from_frames(lab)


def test_policies_are_shown_and_the_bound_is_kept_apart(lab):
    facts = gathered(lab)
    assert facts.tasks == ("adding", "sorting") and facts.first_axis == "output_tokens_per_problem"
    assert set(facts.frontier["strategy"]) == {"majority_at_k", "one_sample"}
    bound = facts.bound_of("adding", facts.first_axis)
    assert (
        bound.height
        and bound["accuracy"].max()
        > facts.frontier_of("adding", facts.first_axis)["accuracy"].max()
    )


def test_configurations_are_distinguished_by_as_little_as_possible(lab):
    assert set(gathered(lab).summary["configuration"]) == {"direct", "think"}
    points = lab["core_points"]
    models = points.with_columns(
        model_variant=pl.when(pl.col("prompt") == "think")
        .then(pl.lit("large"))
        .otherwise("model_variant")
    )
    assert set(gathered(lab | {"core_points": models}).summary["configuration"]) == {
        "direct · tiny",
        "think · large",
    }
    one_prompt = points.with_columns(
        prompt=pl.lit("ask"),
        temperature=pl.when(pl.col("prompt") == "think").then(1.0).otherwise(pl.col("temperature")),
    )
    assert set(gathered(lab | {"core_points": one_prompt}).summary["configuration"]) == {
        "ask · T 0.7",
        "ask · T 1",
    }
    alike = points.with_columns(prompt=pl.lit("ask"))
    names = gathered(lab | {"core_points": alike}).summary
    assert names.group_by("task").agg(pl.col("configuration").n_unique())[
        "configuration"
    ].to_list() == [2, 2]


def test_what_lies_beside_a_task_does_not_lengthen_its_names(lab):
    points = lab["core_points"]
    imported = points.filter(pl.col("task") == "sorting").with_columns(
        point_id=pl.lit("other-") + pl.col("point_id"),
        prompt=pl.lit(None, pl.String),
        temperature=pl.lit(1.0),
        seed=pl.lit(3, pl.Int64),
    )
    names = naming.point_names(
        pl.concat([points, imported], how="vertical_relaxed"), lab["out_frontier_points"]
    )
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
    assert (
        shown["strategy"].to_list() == ["majority_at_k"] * shown.height and shown["is_knee"].all()
    )


def test_thinning_keeps_the_frontier(lab):
    points = gathered(lab).frontier.filter(pl.col("cost_axis") == "output_tokens_per_problem")
    on = points.filter("is_on_frontier").group_by("task").len()["len"].max()
    kept = thinned(points, most=on)
    assert kept.group_by("task").len()["len"].max() == on
    assert kept.filter("is_on_frontier").height == points.filter("is_on_frontier").height


def test_the_headline_says_what_the_rows_say(lab):
    facts = gathered(lab)
    rows = facts.frontier_of("adding", facts.first_axis).filter("is_on_frontier").sort("cost")
    top, knee = rows.row(-1, named=True), rows.filter("is_knee").row(0, named=True)
    said = sentences.headline(facts, "adding", facts.first_axis)
    assert said.accuracy == f"{100 * top['accuracy']:.1f}{NBSP}%"
    assert (
        said.best.startswith(sentences.name(top))
        and f"{100 * top['frontier_probability']:.0f}{NBSP}%" in said.best
    )
    assert (
        sentences.name(knee) in said.knee
        and f"{100 * (top['accuracy'] - knee['accuracy']):.1f} points more" in said.knee
    )
    assert said.doubt.endswith("Based on 6 problems.")


def test_the_headline_owns_its_doubts(lab):
    points = lab["out_frontier_points"].with_columns(frontier_probability=pl.lit(0.4))
    facts = gathered(lab | {"out_frontier_points": points})
    rows = facts.frontier_of("adding", facts.first_axis)
    steps, rivals = (
        rows.filter("is_on_frontier").height,
        rows.filter(~pl.col("is_on_frontier")).height,
    )
    said = sentences.headline(facts, "adding", facts.first_axis)
    assert said.doubt.startswith(
        f"{steps} of {steps} steps are on the frontier in fewer than half of the draws; {rivals} configuration"
    )


def test_no_knee_is_reported_with_its_reason(lab):
    points = lab["out_frontier_points"].with_columns(is_knee=pl.lit(False))
    frontiers = lab["out_frontiers"].with_columns(
        knee_outcome_id=pl.lit(None, dtype=pl.String),
        knee_reason=pl.lit("the frontier does not bend above its chord"),
    )
    facts = gathered(lab | {"out_frontier_points": points, "out_frontiers": frontiers})
    assert (
        sentences.headline(facts, "adding", facts.first_axis).knee
        == "No knee: the frontier does not bend above its chord."
    )


def test_nothing_banked_is_nothing_shown():
    facts = facts_module.from_frames({})
    assert (facts.tasks, facts.axes, facts.first_axis, facts.curve_axes) == ((), (), None, ())


def test_the_axis_shown_first_is_one_that_half_of_the_tasks_have(lab):
    points = lab["out_frontier_points"]
    tokens = pl.col("cost_axis") == "output_tokens_per_problem"
    few = pl.concat(
        [
            points,
            *(
                points.filter(~tokens).with_columns(task=pl.lit(name))
                for name in ("import_a", "import_b", "import_c")
            ),
        ]
    )
    facts = gathered(lab | {"out_frontier_points": few})
    assert (
        facts.first_axis != "output_tokens_per_problem"
        and "output_tokens_per_problem" in facts.axes
    )
    assert facts.axis_of("import_a") == facts.first_axis
    half = pl.concat(
        [
            points,
            *(
                points.filter(~tokens).with_columns(task=pl.lit(name))
                for name in ("import_a", "import_b")
            ),
        ]
    )
    assert gathered(lab | {"out_frontier_points": half}).first_axis == "output_tokens_per_problem"


def test_a_single_sample_is_called_that_whatever_would_have_chosen(lab):
    points = lab["out_frontier_points"].with_columns(
        strategy=pl.col("strategy").replace("majority_at_k", "best_of_k_longest")
    )
    facts = gathered(lab | {"out_frontier_points": points})
    singles = facts.frontier.filter(pl.col("budget") == 1)
    assert (
        singles.height
        and set(singles["label"]) == {"one sample"}
        and set(singles["strategy"]) == {"one_sample"}
    )
    assert "best-of@8 (longest)" in set(facts.frontier["label"])


def test_outcomes_that_differ_in_parameters_alone_have_two_labels(lab):
    points = lab["out_frontier_points"].with_columns(
        parameters=pl.lit('{"ties":"shared","window":5}')
    )
    twin = points.with_columns(
        outcome_id=pl.col("outcome_id") + "-b",
        duplicate_of_outcome_id=pl.col("outcome_id") + "-b",
        parameters=pl.lit('{"ties":"first_seen","window":5}'),
    )
    shown = gathered(lab | {"out_frontier_points": pl.concat([points, twin])}).frontier
    assert not shown.select(
        pl.struct("task", "cost_axis", "configuration", "label").is_duplicated().any()
    ).item()
    assert {"majority@8 (ties shared)", "majority@8 (ties first_seen)"} <= set(shown["label"])
    bare = gathered(
        lab
        | {
            "out_frontier_points": pl.concat(
                [points, twin.with_columns(parameters=pl.lit('{"ties":"shared","window":5}'))]
            )
        }
    )
    assert not bare.frontier.select(
        pl.struct("task", "cost_axis", "configuration", "label").is_duplicated().any()
    ).item()


def test_what_the_budget_cut_off_is_said_with_names_and_shares(lab):
    cut = pl.when(pl.col("configuration") == "think").then(0.79).otherwise(0.1)
    facts = gathered(
        lab | {"out_point_summary": lab["out_point_summary"].with_columns(truncated_ratio=cut)}
    )
    text = sentences.cut_off(facts).replace(NBSP, " ")
    assert (
        text.startswith("Truncated: in 2 of 4 configurations")
        and "think on adding 79 %; think on sorting 79 %" in text
    )
    assert sentences.cut_off(gathered(lab)) == ""
    top = sentences.headline(facts, "adding", facts.first_axis)
    assert top.best.split(" for ")[0].endswith(
        "think"
    ) and "79 % of its samples were truncated" in top.doubt.replace(NBSP, " ")


def test_a_knee_at_a_single_sample_is_no_advice(lab):
    first = pl.col("budget") == 1
    points = lab["out_frontier_points"].with_columns(
        is_knee=first & pl.col("is_on_frontier") & (pl.col("prompt") == "think")
    )
    facts = gathered(lab | {"out_frontier_points": points})
    said = sentences.headline(facts, "adding", facts.first_axis)
    assert "which does not mean that one sample is enough" in said.knee
    rows = [
        row
        for row in facts.frontier_of("adding", facts.first_axis).iter_rows(named=True)
        if row["is_knee"]
    ]
    assert rows and not any(sentences.marks_knee(row) for row in rows)


MEANS = [
    {
        "frontier_kind": "policy",
        "task": "adding",
        "n_outcomes": 6,
        "n_shared": 4,
        "means": ["(macro)"],
        "left_out_reason": None,
    },
    {
        "frontier_kind": "policy",
        "task": "sorting",
        "n_outcomes": 6,
        "n_shared": 4,
        "means": ["(macro)"],
        "left_out_reason": None,
    },
    {
        "frontier_kind": "policy",
        "task": "words",
        "n_outcomes": 6,
        "n_shared": 0,
        "means": [],
        "left_out_reason": "nothing is shared",
    },
]


def test_a_mean_says_over_which_tasks_it_is_and_which_are_not_in_it(lab):
    schema = lab["out_task_means"].schema if "out_task_means" in lab else None
    means = pl.DataFrame(MEANS, schema=schema)
    frames = {
        name: pl.concat([lab[name], mean_of(lab[name])])
        for name in ("out_frontier_points", "out_frontiers")
    }
    facts = gathered(lab | frames | {"out_task_means": means})
    text = sentences.over_tasks(facts, "(macro)")
    assert (
        text
        == "Over adding and sorting; all tasks have the same weight. Not in it: words (nothing is shared)."
    )
    assert sentences.without_mean(facts) == ""
    lost = means.with_columns(left_out_reason=pl.lit("nothing is shared"))
    without = sentences.without_mean(gathered(lab | {"out_task_means": lost}))
    assert (
        without == "No mean over tasks. Not in it: adding, sorting and words (nothing is shared)."
    )


def mean_of(frame: pl.DataFrame) -> pl.DataFrame:
    mine = frame.filter(pl.col("task") == "adding")
    return mine.with_columns(
        task=pl.lit("(macro)"), tasks=pl.lit(["adding", "sorting"], dtype=pl.List(pl.String))
    )


def test_of_tables_too_large_to_be_held_the_same_is_shown(lab_store):
    points = lab_store.read("out_scaling_points")
    slower = points.with_columns(
        curve_id=pl.lit("slow-") + pl.col("curve_id"), cost_axis=pl.lit("energy_j_per_problem")
    )
    lab_store.write(pl.concat([points, slower]), "out_scaling_points")
    whole = facts_module.gather(lab_store, memory=1 << 40)
    few = facts_module.gather(lab_store, memory=0)
    assert few.axes == whole.axes and few.tasks == whole.tasks
    for task in whole.tasks:
        axis = whole.axis_of(task)
        assert few.frontier_of(task, axis).equals(whole.frontier_of(task, axis))
        assert few.bound_of(task, axis).equals(whole.bound_of(task, axis))
        assert sentences.headline(few, task, axis) == sentences.headline(whole, task, axis)
    assert few.scaling_points.height < whole.scaling_points.height
    assert report.render(few, "") == report.render(whole, "")


def test_of_many_outcomes_those_on_the_frontier_and_their_rivals_are_kept(lab):
    first = lab["out_frontier_points"].row(0, named=True)
    rows = [
        first
        | {"outcome_id": f"o{i:04d}", "duplicate_of_outcome_id": f"o{i:04d}"}
        | {"is_on_frontier": i % 10 == 0, "frontier_probability": 0.9 if i % 10 == 1 else 0.0}
        | {"accuracy": i / 2000}
        for i in range(1000)
    ]
    kept = likeliest(pl.DataFrame(rows, schema=lab["out_frontier_points"].schema))
    assert kept["n_groups"].unique().to_list() == [1000] and kept.height == MOST_POINTS + 200
    assert kept.filter("is_on_frontier").height == 100
    assert kept.filter(pl.col("frontier_probability") == 0.9).height == 100
    others = kept.filter(~pl.col("is_on_frontier") & (pl.col("frontier_probability") == 0))
    assert others["accuracy"].min() > 0.37
