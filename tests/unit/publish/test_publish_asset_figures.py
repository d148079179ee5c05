"""The pictures on the assets' pages: the report's colours, and not cut."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

import pytest

from isocost.publish import asset_figures
from isocost.publish.facts import from_frames
from isocost.publish.report import charts

pytestmark = pytest.mark.slow  # renders images

_COLOUR = re.compile(r'(?:fill|stroke)="(#[0-9a-f]{6})"')


def drawings(markdown: str) -> list[str]:
    return [
        base64.b64decode(found).decode()
        for found in re.findall(r"\(data:image/svg\+xml;base64,([^)]+)\)", markdown)
    ]


def scale(specification: dict, names: set[str]) -> dict[str, str]:
    """The colour of each strategy, as a chart's scale says."""
    found = {}

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if (
                isinstance(value.get("scale"), dict)
                and value.get("field") in names
                and "range" in value["scale"]
            ):
                found.update(zip(value["scale"]["domain"], value["scale"]["range"], strict=True))
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(specification)
    return found


def test_each_task_has_the_reports_own_chart_in_the_reports_colours(lab):
    facts = from_frames(lab)
    pictures = drawings(asset_figures.frontier_pictures(lab))
    assert len(pictures) == len(facts.tasks)
    for place, (task, drawn) in enumerate(zip(facts.tasks, pictures, strict=True)):
        reported = charts(facts)[f"frontier-{place}"][facts.axis_of(task)]
        wanted = {shade for shade in scale(reported, {"colour"}).values()}
        assert wanted and wanted <= set(_COLOUR.findall(drawn))


@pytest.mark.parametrize("draw", [asset_figures.frontier_pictures, asset_figures.curve_pictures])
def test_a_picture_is_a_drawing_that_fits_into_the_dialog(lab, draw):
    text = draw(lab)
    assert drawings(text)
    for drawn in drawings(text):
        root = ET.fromstring(drawn)
        assert 300 < float(root.attrib["width"]) < 900 and float(root.attrib["height"]) > 100
    assert len(text) < 400_000


def test_without_anything_measured_the_page_says_why():
    assert asset_figures.frontier_pictures({}).startswith("No configuration")
    assert asset_figures.curve_pictures({}).startswith("No curve yet")
