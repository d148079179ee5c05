"""The figures.

Valid Vega-Lite, what is drawn is what the tables say, and PNGs small enough for metadata.
"""

from __future__ import annotations

import io

import altair as alt
import polars as pl
import pytest
from PIL import Image

from isocost.errors import IsocostError
from isocost.publish import drawing, figures
from isocost.publish import facts as facts_module
from isocost.publish.frontier_figure import frontier_specification
from isocost.publish.scaling_figure import curves_drawn, scaling_specification

pytestmark = pytest.mark.slow

AXIS = "output_tokens_per_problem"


def drawn(specification: dict, kind: str) -> list[dict]:
    return [row for row in specification["data"]["values"] if row["kind"] == kind]


@pytest.fixture
def facts(lab):
    return facts_module.from_frames(lab)


def test_the_frontier_figure_shows_every_outcome_and_the_staircase(facts):
    rows = facts.frontier_of("adding", AXIS)
    specification = frontier_specification(rows, AXIS, facts.bound_of("adding", AXIS), facet=False)
    points = drawn(specification, "point")
    assert len(points) == rows.height
    assert sorted(p["cost"] for p in points) == pytest.approx(
        rows["cost"].sort().to_list(), rel=1e-4
    )
    steps = rows.filter("is_on_frontier").sort("cost")
    stair = drawn(specification, "stair")
    assert [s["accuracy"] for s in stair[:-1]] == pytest.approx(
        steps["accuracy"].to_list(), rel=1e-4
    )
    right = specification["encoding"]["x"]["scale"]["domain"][1]
    assert (
        stair[-1]["cost"] == right > steps["cost"].max()
        and stair[-1]["accuracy"] == stair[-2]["accuracy"]
    )
    assert [p["note"] for p in points if "note" in p] == ["first", "last"]
    assert [row["note"] for row in drawn(specification, "bound") if "note" in row] == ["bound"]


def test_a_single_vote_has_the_same_name_in_the_legend_as_beside_its_mark(facts):
    rows = facts.frontier_of("adding", AXIS)
    specification = frontier_specification(rows, AXIS, facet=False)
    points = drawn(specification, "point")
    assert {p["colour"] for p in points if p["label"] == "one sample"} == {"one sample"}
    assert {p["colour"] for p in points if p["label"] != "one sample"} == {"majority"}
    alone = frontier_specification(rows.filter(pl.col("budget") == 1), AXIS, facet=False)
    legends = [
        layer["encoding"]["color"]["scale"]["domain"]
        for layer in alone["layer"]
        if "color" in layer["encoding"]
    ]
    assert legends and all(domain == ["one sample"] for domain in legends)


@pytest.mark.parametrize(
    ("cost", "accuracy", "align", "baseline"),
    [(1.0, 0.0, "left", "bottom"), (1e4, 0.9, "right", "bottom")],
)
def test_the_label_of_a_lone_step_stays_inside_the_picture(facts, cost, accuracy, align, baseline):
    rows = facts.frontier_of("adding", AXIS)
    lone = rows.with_columns(is_on_frontier=pl.lit(False)).vstack(
        rows.head(1).with_columns(
            cost=pl.lit(cost),
            accuracy=pl.lit(accuracy),
            is_on_frontier=pl.lit(True),
            outcome_id=pl.lit("lone"),
        )
    )
    (noted,) = [
        p for p in drawn(frontier_specification(lone, AXIS, facet=False), "point") if "note" in p
    ]
    assert (noted["note"], noted["note_align"], noted["note_baseline"]) == ("last", align, baseline)


def test_a_legend_has_as_many_columns_as_whole_names_fit(facts):
    short, long = (
        drawing.legend(["x" * length, "y"], is_panel=False)["columns"]["expr"]
        for length in (5, 120)
    )
    # The room is that of the page, not the plot's: the plot shrinks while it is laid out, and rows
    # added then would be cut off.
    room = "(containerSize()[0] > 0 ? containerSize()[0] - 90 : width)"
    assert (
        short == f"max(1, min(4, floor({room} / 80)))"
        and long == f"max(1, min(4, floor({room} / 850)))"
    )
    assert drawing.legend(["x"], is_panel=True) == {}


def test_sure_marks_are_darker_and_the_axis_has_its_unit(facts):
    specification = frontier_specification(facts.frontier_of("adding", AXIS), AXIS, facet=False)
    points = sorted(drawn(specification, "point"), key=lambda p: p["frontier_probability"])
    opacities = [p["mark_opacity"] for p in points]
    assert opacities == sorted(opacities) and opacities[0] < opacities[-1]
    assert specification["encoding"]["x"]["axis"]["title"] == "Generated tokens per problem"
    assert specification["encoding"]["x"]["scale"]["type"] == "log"


def test_ten_configurations_have_ten_marks(facts):
    rows = facts.frontier_of("adding", AXIS)
    made = pl.concat(
        [
            rows.head(1).with_columns(configuration=pl.lit(f"c{n}"), outcome_id=pl.lit(f"o{n}"))
            for n in range(10)
        ]
    )
    specification = frontier_specification(made, AXIS, facet=False)
    (shape,) = [
        layer["encoding"]["shape"]
        for layer in specification["layer"]
        if "shape" in layer["encoding"]
    ]
    assert len(set(shape["scale"]["range"])) == len(shape["scale"]["domain"]) == 10


def test_many_strategies_share_one_colour(facts):
    rows = facts.frontier_of("adding", AXIS)
    more = [
        rows.head(1).with_columns(
            strategy=pl.lit(f"s{n}"), outcome_id=pl.lit(f"o{n}"), is_on_frontier=pl.lit(False)
        )
        for n in range(9)
    ]
    specification = frontier_specification(pl.concat([rows, *more]), AXIS, facet=False)
    colours = {p["colour"] for p in drawn(specification, "point")}
    assert len(colours) == 7 and "other strategies" in colours and "majority" in colours


def test_the_scaling_figure_shows_points_curve_and_decided_asymptotes_only(lab, facts):
    points, fits = facts.curves_of("majority_at_k", AXIS)
    specification = scaling_specification(points, fits, AXIS)
    assert (
        len(drawn(specification, "point"))
        == points.filter(pl.col("point_kind") == "measured").height
    )
    curve, curves = drawn(specification, "curve"), points["curve_id"].n_unique()
    assert len(curve) == points.filter(pl.col("point_kind") == "fitted").height + curves
    assert (
        sum(row["is_extrapolated"] for row in curve) == curves
    )  # the dashed line begins where the solid one ends
    assert len(drawn(specification, "asymptote")) == fits.height == 4
    for column, value in (
        ("status", "at_bound"),
        ("trend", "flat"),
        ("asymptote_kind", "constructed"),
    ):
        undecided = fits.with_columns(pl.lit(value).alias(column))
        assert drawn(scaling_specification(points, undecided, AXIS), "asymptote") == []


def test_specifications_hold_the_vega_lite_schema(facts):
    points, fits = facts.curves_of("majority_at_k", AXIS)
    bound = facts.bound.filter(pl.col("cost_axis") == AXIS)
    frontier = facts.frontier.filter(pl.col("cost_axis") == AXIS)
    for chart in (
        figures.frontier_chart(frontier, AXIS, bound),
        figures.scaling_chart(points, fits, AXIS),
    ):
        specification = figures.themed(chart)
        specification["config"]["legend"].pop(
            "layout"
        )  # Vega's: handed through, but not listed by the schema of Vega-Lite
        assert isinstance(alt.FacetChart.from_dict(specification, validate=True), alt.FacetChart)


def test_an_image_is_small_enough_for_metadata(lab):
    image = figures.to_png(figures.frontier_figure(lab))
    assert len(image) < 100_000
    assert Image.open(io.BytesIO(image)).size[0] > 1000


def test_an_image_that_cannot_be_made_small_is_refused(lab, monkeypatch):
    monkeypatch.setattr(figures, "_SCALES", (0.1,))
    with pytest.raises(IsocostError, match="more than 10"):
        figures.to_png(figures.frontier_figure(lab), limit_bytes=10)


def test_both_figures_come_from_tables_alone(lab):
    frontier = {name: lab[name] for name in ("out_frontier_points", "out_frontiers")}
    assert "data" in figures.frontier_figure(frontier).to_dict()
    curves = {name: lab[name] for name in ("out_scaling_points", "out_scaling_fits")}
    assert "data" in figures.curves_figure(curves).to_dict()


def test_nothing_to_see_is_said():
    for chart in (figures.frontier_figure({}), figures.curves_figure({})):
        assert "yet" in chart.to_dict()["data"]["values"][0]["text"]
    with pytest.raises(IsocostError, match="known cost on the axis energy_j"):
        figures.frontier_chart(
            facts_module.from_frames({}).frontier.with_columns(configuration=pl.lit("")), "energy_j"
        )


@pytest.mark.parametrize(
    "costs", [(13.7, 16.3), (0.21, 0.43), (12.0, 45.0), (1.0, 1.0), (10.0, 53.9), (3e9, 8e13)]
)
def test_every_cost_axis_has_labels_that_say_its_scale(costs):
    low, high = drawing.log_domain(pl.Series(costs))
    ticks = drawing.cost_encoding(AXIS, [low, high])["axis"]["values"]
    assert ticks == sorted(set(ticks)) and len(ticks) <= 14
    assert all(low <= tick <= high for tick in ticks)
    assert len(ticks) >= (1 if costs[0] == costs[1] else 2)


def test_of_many_curves_those_are_drawn_that_get_furthest():
    reached = {f"c{i:02d}": i / 20 for i in range(15)} | {"tie": 5 / 20}
    rows = [
        {
            "task": "t",
            "strategy": "s",
            "cost_axis": "a",
            "cost": 1.0,
            "configuration": name,
            "point_kind": kind,
            "accuracy": top - drop,
        }
        for name, top in reached.items()
        for kind, drop in (("measured", 0.1), ("measured", 0.0), ("fitted", -0.5))
    ]
    points = pl.DataFrame(rows)
    points = pl.concat(
        [
            points,
            points.with_columns(strategy=pl.lit("few")).head(3),
            points.with_columns(cost_axis=pl.lit("b")),
        ]
    )
    fits = points.select(
        "task", "strategy", "cost_axis", "configuration", is_chosen=pl.lit(True)
    ).unique(maintain_order=True)
    shown, chosen = curves_drawn(points, fits, {"t": "a"})
    best = {f"c{i:02d}" for i in range(5, 15)}
    assert set(shown["cost_axis"]) == {"a"} and shown.height == 33
    assert set(shown.filter(pl.col("strategy") == "s")["configuration"]) == best
    assert set(chosen.filter(pl.col("strategy") == "s")["configuration"]) == best
    assert chosen.filter(pl.col("strategy") == "few")["configuration"].to_list() == ["c00"]


def test_of_more_configurations_than_marks_the_surest_keep_theirs(facts):
    rows = facts.frontier_of("adding", AXIS)
    many = pl.concat(
        [
            rows.with_columns(
                configuration=pl.lit(f"c{i:02d}"),
                outcome_id=pl.col("outcome_id") + str(i),
                is_on_frontier=pl.lit(i == 13),
                frontier_probability=pl.lit(i / 20),
            )
            for i in range(14)
        ]
    )
    specification = frontier_specification(many, AXIS, facet=False)
    (shape,) = [
        layer["encoding"]["shape"]
        for layer in specification["layer"]
        if "shape" in layer["encoding"]
    ]
    kept = {f"c{i:02d}" for i in range(5, 14)}
    assert (
        set(shape["scale"]["domain"]) == kept | {"other configurations"}
        and shape["field"] == "mark"
    )
    assert len(set(shape["scale"]["range"])) == len(shape["scale"]["range"]) == 10
    # One calculation for all rows: a page holds tens of thousands of them.
    (calculated,) = specification["transform"]
    assert (
        calculated["as"] == "mark"
        and all(f'"{name}"' in calculated["calculate"] for name in kept)
        and '"c04"' not in str(calculated)
    )
    few = frontier_specification(many.filter(pl.col("configuration") < "c10"), AXIS, facet=False)
    assert "transform" not in few
    (shape,) = [
        layer["encoding"]["shape"] for layer in few["layer"] if "shape" in layer["encoding"]
    ]
    assert shape["field"] == "configuration" and len(shape["scale"]["domain"]) == 10
