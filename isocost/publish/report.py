"""The report: one page that opens from disk without a network.

Lives here: putting the sections, the charts' specifications, the style, the script and the drawing
library into one file. Not here: the content of the sections (``sections``, ``compared``) and of the
charts (``frontier_figure``, ``scaling_figure``).
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import polars as pl

from isocost import atomic
from isocost.publish import facts as facts_module
from isocost.publish import sections, theme
from isocost.publish.compared import compared
from isocost.publish.facts import Facts
from isocost.publish.frontier_figure import frontier_specification
from isocost.publish.handover import Handover
from isocost.publish.points_shown import thinned
from isocost.publish.rules_section import rules
from isocost.publish.scaling_figure import axes_shown, curves_drawn, scaling_specification
from isocost.store import Store

_INTACT = "what was published before is intact"

TITLE = "Isocost: accuracy against inference compute"
# As wide as the page allows; one task per chart.
_FLUID: dict[str, Any] = {"width": "container", "facet": False}
_PAGE = Path(__file__).parent / "page"


def write_report(
    store: Store,
    handover: Handover | None = None,
    target: Path | None = None,
    *,
    memory: int | None = None,
) -> Path:
    """Write the report of the stored tables, atomically.

    Args:
        store: the tables; the page is ``store.report``.
        handover: passes on the tables published in the same run.
        target: alternative path of the page.
        memory: budget in bytes for the tables: of larger ones only what can be shown is read; see
            ``facts.gather``.

    Returns:
        The page's path.

    Raises:
        IsocostError: a table cannot be read, or the page cannot be written; an older page is then
            unchanged.
    """
    target = target or store.report
    facts = facts_module.gather(
        store, handover.frame if handover else lambda _: None, memory=memory
    )
    atomic.write_text(target, render(facts, drawing_library(target.parent)), intact=_INTACT)
    return target


def render(facts: Facts, library: str) -> str:
    """The whole page as HTML; the same facts give the same text.

    Args:
        facts: what is shown.
        library: the script that defines ``vegaEmbed``.
    """
    body = [sections.header(facts), "<main>"]
    if facts.first_axis:
        body += [sections.cards(facts), sections.frontier(facts)]
    else:
        body.append(sections.lacking(facts))
    body += [
        compared(facts),
        sections.curves(facts),
        sections.accounting(facts),
        sections.unknowns(facts),
        rules(facts),
        sections.provenance(facts),
        "</main>",
    ]
    data = {
        "config": {mode: theme.config(mode) for mode in ("light", "dark")},
        "charts": charts(facts),
    }
    return Template((_PAGE / "report.html").read_text(encoding="utf-8")).substitute(
        title=TITLE,
        style=(_PAGE / "report.css").read_text(encoding="utf-8"),
        body="\n".join(body),
        # No "<" in a text may open or close an element here.
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        library=library,
        script=(_PAGE / "report.js").read_text(encoding="utf-8"),
    )


def charts(facts: Facts) -> dict[str, dict[str, dict[str, Any]]]:
    """Specification of every chart.

    Element id, then the value of its selector (cost axis, or strategy).
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    strategies, axes = facts.curve_strategies, axes_shown(facts.scaling_points)
    # Sliced once: filtering all curves for every task and strategy took half of a report over
    # twenty tasks.
    points, fits = (
        _cut(frame) for frame in curves_drawn(facts.scaling_points, facts.scaling_fits, axes)
    )
    frontiers, none = (
        _cut(facts.frontier.filter(pl.col("cost") > 0), "cost_axis"),
        facts.scaling_fits.clear(),
    )
    for place, task in enumerate(facts.tasks):
        found[f"frontier-{place}"] = {
            cost: frontier_specification(
                thinned(frontiers[task, cost].sort("cost", "accuracy", "outcome_id")),
                cost,
                facts.bound_of(task, cost),
                height=380,
                **_FLUID,
            )
            for cost in facts.axes
            if (task, cost) in frontiers
        }
        found[f"curves-{place}"] = {
            strategy: scaling_specification(
                mine, fits.get((task, strategy), none), axes[task], height=320, **_FLUID
            )
            for strategy in strategies
            if (mine := points.get((task, strategy))) is not None
            and mine.select(
                ((pl.col("point_kind") == "measured") & (pl.col("cost") > 0)).any()
            ).item()
        }
    return {name: variants for name, variants in found.items() if variants}


def _cut(frame: pl.DataFrame, by: str = "strategy") -> dict[tuple[Any, ...], pl.DataFrame]:
    return frame.partition_by("task", by, as_dict=True, maintain_order=True)


def drawing_library(folder: Path) -> str:
    """Vega, Vega-Lite and vega-embed as one script of 900 kB, cached in a folder.

    The vl-convert wheel contains them; bundling takes seconds, so the script is cached under the
    wheel's version and its own checksum.
    """
    import vl_convert

    name = f".vega-{version('vl-convert-python')}-"
    for kept in folder.glob(f"{name}*.js"):
        data = kept.read_bytes()
        if kept.name == f"{name}{hashlib.sha256(data).hexdigest()[:16]}.js":
            return data.decode()
        kept.unlink(missing_ok=True)
    # Its stubs ask for a snippet; without one it exports the libraries.
    bundle = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]
    text = bundle.replace("</script", "<\\/script")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    atomic.write_text(folder / f"{name}{digest}.js", text, intact=_INTACT)
    return text
