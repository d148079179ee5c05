"""The report and the terminal: whole, escaped, without a network, honest about what is unknown."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest
from rich.console import Console

from isocost.publish import facts as facts_module
from isocost.publish import html, report, terminal
from isocost.publish.labels import NBSP

pytestmark = pytest.mark.slow

LIBRARY = "window.vegaEmbed = () => Promise.resolve();"
SESSION = "quickstart-0123456789"


class Page(HTMLParser):
    """Ids, options and text of a page; refuses tags that do not close."""

    VOID = frozenset({"meta", "br", "i", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.options: dict[str, list[str]] = {}
        self.links: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [value for key, value in attrs if key in {"src", "href"}]
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "select":
            self.options[given["id"]] = []
        if tag == "option":
            self.options[list(self.options)[-1]].append(given["value"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words).replace(NBSP, " "))


def rendered(lab) -> str:
    return report.render(facts_module.from_frames(lab), LIBRARY)


def carried(text: str) -> dict:
    return json.loads(
        re.search(
            r'<script type="application/json" id="isocost-data">(.*?)</script>', text, re.DOTALL
        ).group(1)
    )


def test_every_chart_has_its_place_and_every_choice_its_specification(lab):
    text = rendered(lab)
    page, charts = Page(text), carried(text)["charts"]
    assert set(charts) <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert {name for name in page.ids if name.startswith(("frontier-", "curves-"))} == set(charts)
    assert (
        page.options["cost-axis"]
        == list(charts["frontier-0"])
        == ["output_tokens_per_problem", "flops_per_problem"]
    )
    assert page.options["strategy"] == list(charts["curves-0"]) == ["majority_at_k", "pass_at_k"]


def test_the_page_needs_no_network(lab):
    text = rendered(lab)
    assert Page(text).links == []
    assert "default-src 'none'" in text and "@import" not in text and "url(" not in text


def test_the_numbers_are_those_of_the_tables(lab):
    page = Page(rendered(lab))
    summary = lab["out_point_summary"]
    assert f"{summary['samples_valid'].sum():,} valid samples" in page.text
    assert "engine error: 1" in page.text
    top = lab["out_frontier_points"].filter(
        (pl.col("frontier_kind") == "policy")
        & (pl.col("task") == "adding")
        & pl.col("is_on_frontier")
    )
    assert f"{100 * top['accuracy'].max():.1f} %" in page.text
    assert "Energy 188 samples: no power source" in page.text
    assert f"{SESSION}, attempt 1" in page.text and "vllm 0.32.0" in page.text


def test_an_import_is_named_by_its_format_and_has_a_dash_for_an_engine(lab):
    stated = {
        "session_id": "im-0123456789abcdef",
        "source": "helm",
        "engine": None,
        "engine_version": None,
        "device": None,
    }
    imported = (
        lab["core_sessions"]
        .head(1)
        .with_columns(**{name: pl.lit(value, dtype=pl.String) for name, value in stated.items()})
    )
    page = Page(rendered(lab | {"core_sessions": imported}))
    assert "helm · tiny · im-0123456789abcdef – – " in page.text and "attempt" not in page.text


def test_curves_without_token_counts_are_drawn_against_samples(lab):
    frames = dict(lab)
    for name in ("out_scaling_points", "out_scaling_fits"):
        is_other = (pl.col("task") == "sorting") & (
            pl.col("cost_axis") == "output_tokens_per_problem"
        )
        axis = pl.when(is_other).then(pl.lit("samples_per_problem")).otherwise(pl.col("cost_axis"))
        frames[name] = lab[name].with_columns(cost_axis=axis)
    text = rendered(frames)
    titles = [
        carried(text)["charts"][f"curves-{place}"]["majority_at_k"]["layer"][-1]["encoding"]["x"][
            "axis"
        ]["title"]
        for place in (0, 1)
    ]
    assert titles == ["Generated tokens per problem", "Samples per problem"]
    assert "Samples instead of generated tokens, which is unknown: sorting." in Page(text).text
    assert "instead of" not in Page(rendered(lab)).text


def test_long_names_break_after_their_marks():
    assert html.breakable("a_b:c=<d>/e, f") == "a_<wbr>b:<wbr>c=&lt;d&gt;/<wbr>e, f"


def test_names_from_outside_are_escaped(lab):
    evil = '</script><script>alert("x")</script><b>'
    points = lab["core_points"].with_columns(prompt=pl.lit(evil) + pl.col("prompt"))
    text = rendered(lab | {"core_points": points})
    assert "<b>" not in text and 'alert("x")</script>' not in text
    assert any(
        evil in row["configuration"]
        for row in carried(text)["charts"]["frontier-0"]["flops_per_problem"]["data"]["values"][:1]
    )


def test_the_same_tables_give_the_same_page(lab_store):
    checksum = hashlib.sha256(LIBRARY.encode()).hexdigest()[:16]
    library = lab_store.report.parent / f".vega-{report.version('vl-convert-python')}-{checksum}.js"
    library.parent.mkdir(parents=True)
    library.write_text(LIBRARY, encoding="utf-8")
    first = report.write_report(lab_store).read_bytes()
    assert report.write_report(lab_store).read_bytes() == first and b"vegaEmbed" in first
    assert sorted(p.name for p in lab_store.report.parent.iterdir()) == [library.name, "index.html"]


def test_a_new_machine_gets_a_page_that_says_so():
    page = Page(report.render(facts_module.from_frames({}), LIBRARY))
    assert "Nothing is measured yet" in page.text and "No session is on record" in page.text


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_ends_with_the_frontier_and_three_places(lab, lab_store, width):
    shown = io.StringIO()
    terminal.show(lab_store, Console(file=shown, width=width))
    text = shown.getvalue().replace(NBSP, " ")
    steps = (
        facts_module.from_frames(lab)
        .frontier_of("adding", "output_tokens_per_problem")
        .filter("is_on_frontier")
    )
    for row in steps.iter_rows(named=True):
        assert (
            f"{100 * row['accuracy']:.1f} % ({100 * row['accuracy_low']:.1f}–{100 * row['accuracy_high']:.1f})"
            in text
        )
        assert f"{100 * row['frontier_probability']:.0f} %" in text
    assert "2,000 bootstrap draws" in text
    assert "192 samples banked" in text and "4 invalid" in text
    assert [word for word in ("Dagster UI", "Warehouse", "Report") if word not in text] == []
    assert "not written yet" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= width


def test_the_terminal_says_when_there_is_nothing(tmp_path):
    from isocost.store import Store

    shown = io.StringIO()
    terminal.show(Store(tmp_path), Console(file=shown, width=80))
    assert "No frontier yet" in shown.getvalue() and "No samples are banked yet" in shown.getvalue()


def test_a_task_without_a_frontier_is_named(lab, lab_store):
    points = lab["out_frontier_points"].filter(pl.col("task") != "adding")
    for frontier in (points, points.clear()):
        text = Page(rendered(lab | {"out_frontier_points": frontier})).text
        named = text.split("No frontier for ")[1].split(":")[0].split(", ")
        assert "adding" in named and len(named) == (1 if frontier.height else 2)
    assert "No frontier for" not in Page(rendered(lab)).text
    lab_store.write(points, "out_frontier_points")
    shown = io.StringIO()
    terminal.show(lab_store, Console(file=shown, width=200))
    assert "No frontier for adding: its data do not allow choosing an answer" in shown.getvalue()


def test_a_task_that_nobody_judged_is_distinguished_from_one_without_answers(lab):
    unjudged = lab["out_point_summary"].with_columns(
        samples_graded=pl.when(pl.col("task") == "adding").then(0).otherwise("samples_graded")
    )
    text = Page(
        rendered(
            lab
            | {
                "out_frontier_points": lab["out_frontier_points"].clear(),
                "out_point_summary": unjudged,
            }
        )
    ).text
    assert "No frontier for adding: no sample has a verdict" in text
    assert "No frontier for sorting: its data do not allow choosing an answer" in text


def test_an_unfinished_sweep_is_said_first(lab, lab_store):
    # What every session lacks, in core_points, is no matter: another session may have banked it.
    points = lab["core_points"].with_columns(
        samples_planned=pl.lit(100, dtype=pl.Int64), samples_missing=pl.lit(90, dtype=pl.Int64)
    )
    counted = lab["out_point_summary"].with_columns(
        samples_planned=pl.lit(100, dtype=pl.Int64), samples_missing=pl.lit(25, dtype=pl.Int64)
    )
    text = Page(rendered(lab | {"core_points": points, "out_point_summary": counted})).text
    assert "Not finished: 100 of 400 planned samples (25 %) are not banked yet" in text
    assert "Not finished" not in Page(rendered(lab)).text
    lab_store.write(points, "core_points", SESSION)
    lab_store.write(counted, "out_point_summary")
    shown = io.StringIO()
    terminal.show(lab_store, Console(file=shown, width=200))
    assert "Not finished: 100 of 400" in shown.getvalue()


def test_every_table_region_and_figure_has_a_name_and_headings_rise_by_one(lab):
    text = rendered(lab)
    tables = re.findall(
        r'<div class=scroll role=region aria-label="([^"]+)"><table style="([^"]+)"><thead>(.*?)</thead>',
        text,
    )
    assert len(tables) == text.count("<table") and len(tables) >= 5
    for _, style, head in tables:  # a telephone shows each value under the head of its column
        heads = re.findall(r"--h\d:&#x27;(.*?)&#x27;", style)
        assert heads == re.findall(r"<th[^>]*>(.*?)</th>", head)
    figures = re.findall(r"<figure([^>]*)>", text)
    assert figures and all("aria-label=" in attributes for attributes in figures)
    assert "role=img" not in text
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1 and all(
        after <= before + 1 for before, after in itertools.pairwise(levels)
    )
    assert 'setAttribute("aria-label", "Save this figure")' in text


def test_what_was_cut_off_stands_at_the_top(lab):
    cut = lab["out_point_summary"].with_columns(truncated_ratio=pl.lit(0.64))
    page = Page(rendered(lab | {"out_point_summary": cut})).text
    assert page.index("Truncated: in 4 of 4 configurations") < page.index("At a glance")
    assert "Truncated: in" not in Page(rendered(lab)).text


def test_the_banner_can_be_read():
    style = (report._PAGE / "report.css").read_text(encoding="utf-8")
    for ground, warn in zip(
        re.findall(r"--ground: (#\w+)", style), re.findall(r"--warn: (#\w+)", style), strict=True
    ):
        light, dark = sorted((luminance(ground), luminance(warn)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_terminal_shows_the_tasks_of_these_sessions_and_names_the_others(lab, lab_store):
    points = lab["core_points"]
    lab_store.write(points.filter(task="adding"), "core_points", SESSION)
    lab_store.write(
        points.filter(task="sorting").with_columns(session_id=pl.lit("another-0123456789")),
        "core_points",
        "another-0123456789",
    )
    shown = io.StringIO()
    terminal.show(lab_store, Console(file=shown, width=80), sessions=[SESSION])
    text = shown.getvalue()
    assert (
        "adding  accuracy against" in text
        and "sorting  accuracy" not in text
        and "Also in the report: sorting." in text
    )
    assert max(len(line) for line in text.splitlines()) <= 80
    every = io.StringIO()
    terminal.show(lab_store, Console(file=every, width=80))
    assert "sorting  accuracy against" in every.getvalue() and "besides" not in every.getvalue()


def test_long_names_stay_within_eighty_columns(lab, lab_store):
    long = pl.lit("a_prompt_with_a_very_long_name_that_has_no_blank_in_it_at_all_") + pl.col(
        "prompt"
    )
    lab_store.write(lab["core_points"].with_columns(prompt=long), "core_points", SESSION)
    shown = io.StringIO()
    terminal.show(lab_store, Console(file=shown, width=80))
    assert max(len(line) for line in shown.getvalue().splitlines()) <= 80
    assert "on frontier" in shown.getvalue()
