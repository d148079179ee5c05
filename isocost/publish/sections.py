"""The sections of the report, each from the gathered facts to HTML.

Lives here: headline, frontier, curves, accounting, unknowns, provenance. Not here: the page around
them (``report``).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import polars as pl

import isocost
from isocost.publish import html, labels, sentences
from isocost.publish.facts import MUCH_TRUNCATED, Facts
from isocost.publish.html import Cell, number
from isocost.publish.scaling_figure import MOST_CURVES, axes_shown, curves_drawn, decided, on_axes
from isocost.schema.tables.frontiers import is_mean

_KINDS = {"oracle": ", needs a perfect verifier", "metric": ", not a way to answer"}
READING = (
    (
        "Frontier",
        (
            "No other configuration is at least as accurate at the same or lower cost. The "
            "staircase shows the best accuracy for each budget."
        ),
    ),
    (
        "Probability",
        (
            "The share of bootstrap draws of problems in which a configuration is on the "
            "frontier: large, dark marks are safe choices."
        ),
    ),
    (
        "Interval",
        (
            "The plausible range of the accuracy on new problems of the same kind; it says "
            "nothing about other tasks."
        ),
    ),
    (
        "Perfect verifier",
        (
            "The dotted staircase is the accuracy if a correct sample were always picked where "
            "there is one: a bound, not an option."
        ),
    ),
    (
        "Knee",
        (
            "The step at which the frontier bends most, against the logarithm of the cost. It "
            "describes a shape and is not a recommendation: whether more accuracy is worth its "
            "cost depends on the cost of an error."
        ),
    ),
)


def header(facts: Facts) -> str:
    """Title and one line on what was measured."""
    summary = facts.summary
    tasks = [task for task in facts.tasks if not is_mean(task)]
    line = "Nothing is measured yet: run a sweep, then publish again."
    if summary.height:
        models = summary["model_variant"].n_unique()
        line = (
            f"{labels.many(len(tasks), 'task')},"
            f" {labels.many(summary.height, 'measured configuration')} of"
            f" {labels.many(models, 'model')}, {labels.count(int(summary['samples_valid'].sum()))}"
            f" valid samples, {sentences.generated_tokens(facts)}. Every strategy below is replayed"
            " from these samples."
        )
    title = html.tag("h1", "What accuracy does a unit of inference compute buy?")
    sentences_shown = (
        sentences.unfinished(facts) if facts.missing else "",
        sentences.cut_off(facts),
    )
    notices = "".join(
        html.element("p", html.breakable(text), class_="notice") for text in sentences_shown if text
    )
    return (
        "<header class=page><div"
        f" class=mark>Isocost</div>{title}{html.tag('p', line, class_='lede')}{notices}</header>"
    )


def cards(facts: Facts) -> str:
    """One card per task: the best accuracy, its cost, and its certainty."""
    made = []
    for task in facts.tasks:
        axis = facts.axis_of(task)
        said = sentences.headline(facts, task, axis) if axis else None
        if said is None:
            continue
        figure = f"<p class=figure>{said.accuracy}<small>{said.interval}</small></p>"
        texts = html.element("p", html.breakable(said.best)) + html.element(
            "p", html.breakable(said.knee)
        )
        texts += html.tag("p", said.doubt, class_="aside")
        title = html.element("h3", html.breakable(labels.task_words(task)))
        made.append(html.element("section", title + figure + texts, class_="card"))
    return f"{html.tag('h2', 'At a glance')}<div class=cards>{''.join(made)}</div>" if made else ""


def frontier(facts: Facts) -> str:
    """A chart and a table per task; the tables of all cost axes are there, the script shows one."""
    parts = [
        html.tag("h2", "The frontier"),
        _selector("cost-axis", "Cost axis", {a: labels.axis_label(a).title for a in facts.axes}),
    ]
    for place, task in enumerate(facts.tasks):
        if not facts.frontier.filter(pl.col("task") == task).height:
            continue
        figure = _figure(
            f"frontier-{place}",
            f"Frontier, {labels.task_words(task)}: accuracy against cost; its steps are in the"
            " table below",
        )
        over = (
            html.element("p", html.breakable(sentences.over_tasks(facts, task)), class_="hint")
            if is_mean(task)
            else ""
        )
        tables = "".join(_frontier_block(facts, task, axis) for axis in facts.axes)
        parts.append(
            "<div"
            f" class=panel>{html.tag('h3', labels.task_words(task))}{over}{figure}{tables}</div>"
        )
    parts += [
        html.tag("p", text, class_="hint") for text in (sentences.without_mean(facts),) if text
    ]
    parts.append(lacking(facts))
    parts.append(
        "<details><summary>How to read this</summary>" + html.definitions(READING) + "</details>"
    )
    return "".join(parts)


def lacking(facts: Facts) -> str:
    """The tasks without a frontier, and why."""
    text = sentences.without_frontier(facts)
    return html.tag("p", text, class_="hint") if text else ""


def _frontier_block(facts: Facts, task: str, axis: str) -> str:
    rows = facts.frontier_of(task, axis)
    hidden = {} if axis == facts.first_axis else {"hidden": ""}
    if rows.is_empty():
        known = facts.axis_of(task)
        text = (
            f"{labels.axis_label(axis).short} is unknown for"
            f" {'all of these tasks' if is_mean(task) else 'this task'}"
        )
        text += (
            f"; select another cost axis, such as {labels.axis_label(known).short}."
            if known
            else "."
        )
        return html.element("div", html.tag("p", text, class_="hint"), data_axis=axis, **hidden)
    steps = rows.filter("is_on_frontier").sort("cost")
    columns = (labels.axis_label(axis).heading, "Accuracy", "Interval")
    head = ["Configuration", *(number(name) for name in columns), "On the frontier in"]
    body, knees = [], set()
    for place, row in enumerate(steps.iter_rows(named=True)):
        if sentences.marks_knee(row):
            knees.add(place)
        body.append(
            (
                html.long(sentences.name(row) + (" (knee)" if place in knees else "")),
                number(labels.amount(row["cost"], axis)),
                number(labels.percent(row["accuracy"])),
                number(labels.interval(row["accuracy_low"], row["accuracy_high"])),
                Cell(
                    labels.probability(row["frontier_probability"]),
                    markup=html.share_bar(row["frontier_probability"]),
                ),
            )
        )
    first = rows.row(0, named=True)
    note = (
        f"{steps.height} of {rows.height} distinct configurations."
        f" {labels.percent(first['confidence'], 0)} intervals; probabilities from"
        f" {labels.count(first['draws'])} bootstrap draws over"
        f" {labels.many(first['n_problems'], 'problem')}."
    )
    inner = html.table(
        head, body, name=f"Frontier, {labels.task_words(task)}", marked=frozenset(knees)
    ) + html.tag("p", note + _left_out(facts, task, axis), class_="hint")
    return html.element("div", inner, data_axis=axis, **hidden)


def _left_out(facts: Facts, task: str, axis: str) -> str:
    row = facts.frontiers.filter((pl.col("task") == task) & (pl.col("cost_axis") == axis))
    if row.is_empty():
        return ""
    given = row.row(0, named=True)
    reasons = {
        "n_excluded_unknown_cost": "cost unknown",
        "n_excluded_unknown_accuracy": "accuracy undefined",
        "n_excluded_other_problems": (
            "not measured in all of these tasks" if is_mean(task) else "graded on other problems"
        ),
    }
    listed = [
        f"{labels.count(given[name])} ({words})" for name, words in reasons.items() if given[name]
    ]
    return f" Left out: {', '.join(listed)}." if listed else ""


def curves(facts: Facts) -> str:
    """A chart per task and a table of asymptotes per strategy."""
    axes = axes_shown(facts.scaling_points)
    if not axes:
        return ""
    points, chosen = curves_drawn(facts.scaling_points, facts.scaling_fits, axes)
    parts = [
        html.tag("h2", "Where more samples stop paying off"),
        html.tag(
            "p",
            "Dots are measured, lines are the family that predicted held-out budgets best, dashed "
            "where extrapolated; the band beyond the last dot is the interval of the asymptote.",
            class_="hint",
        ),
        _selector(
            "strategy",
            "Strategy",
            {s: labels.strategy_words(s) + _kind(facts, s) for s in facts.curve_strategies},
        ),
        "<div class=charts>",
    ]
    for place, task in enumerate(facts.tasks):
        if task in axes:
            label = f"Scaling curves, {labels.task_words(task)}: accuracy against cost"
            parts.append(_figure(f"curves-{place}", label, html.tag("h3", labels.task_words(task))))
    parts.append("</div>")
    if points.height < on_axes(facts.scaling_points, axes).height:
        hint = (
            f"The chart shows the {MOST_CURVES} most accurate configurations per task and "
            f"strategy; all are in out_scaling_fits."
        )
        parts.append(html.tag("p", hint, class_="hint"))
    drawn = set(points["strategy"])
    for strategy in facts.curve_strategies:
        hidden = {} if strategy == facts.curve_strategies[0] else {"hidden": ""}
        rows = chosen.filter(pl.col("strategy") == strategy).sort("task", "configuration")
        why = (
            "No family could be fitted to these curves."
            if strategy in drawn
            else "No curve for the costs shown here."
        )
        parts.append(html.element("div", _asymptotes(rows, why), data_strategy=strategy, **hidden))
    parts.append(_other_axes(axes))
    return "".join(parts)


def _other_axes(axes: dict[str, str]) -> str:
    """The tasks with curves against a different cost, and why."""
    usual = labels.ordered_axes(list(axes.values()))[0]
    parts = []
    for axis in labels.ordered_axes(list(axes.values()))[1:]:
        tasks = ", ".join(
            labels.task_words(task)
            for task in labels.ordered_tasks([task for task, own in axes.items() if own == axis])
        )
        parts.append(
            f"{labels.axis_label(axis).heading} instead of {labels.axis_label(usual).short}, "
            f"which is unknown: {tasks}."
        )
    return html.element("p", html.breakable(" ".join(parts)), class_="hint") if parts else ""


def _kind(facts: Facts, strategy: str) -> str:
    return _KINDS.get(facts.kinds.get(strategy, "policy"), "")


def _asymptotes(rows: pl.DataFrame, without: str) -> str:
    head = [
        "Task",
        "Configuration",
        number("Gain"),
        number("Interval"),
        "Trend",
        "Family",
        number("Asymptote"),
        number("Interval"),
    ]
    body = []
    for row in rows.with_columns(is_decided=decided()).iter_rows(named=True):
        fitted = row["is_decided"]
        body.append(
            (
                html.long(labels.task_words(row["task"])),
                html.long(row["configuration"]),
                number(labels.points(row["gain"])),
                number(labels.points_interval(row["gain_low"], row["gain_high"])),
                row["trend"],
                row["family"].replace("_", " "),
                number(labels.percent(row["asymptote"]) if fitted else "–"),
                number(
                    labels.interval(row["asymptote_low"], row["asymptote_high"]) if fitted else "–"
                ),
            )
        )
    if not body:
        return html.tag("p", without, class_="hint")
    note = (
        "Gain: percentage points from the smallest to the largest measured budget. An asymptote "
        "is given if accuracy rises and the data determine it."
    )
    return html.table(head, body, name="Asymptotes") + html.tag("p", note, class_="hint")


def accounting(facts: Facts) -> str:
    """What was generated, what counts, what does not, and why."""
    if facts.summary.is_empty():
        return ""
    head = [
        "Task",
        "Configuration",
        *(
            number(n)
            for n in ("Problems", "Samples", "Valid", "Truncated", "No answer", "Tokens per sample")
        ),
    ]
    head.append("Left out because of")
    body = []
    for row in facts.summary.iter_rows(named=True):
        reasons = ", ".join(
            f"{code.replace('_', ' ')}: {labels.count(n)}"
            for code, n in json.loads(row["invalid_counts"]).items()
        )
        body.append(
            (
                html.long(row["task"]),
                html.long(row["configuration"]),
                number(labels.count(row["n_problems"])),
                number(labels.count(row["samples_total"])),
                number(labels.count(row["samples_valid"])),
                Cell(
                    labels.percent(row["truncated_ratio"]),
                    is_number=True,
                    is_problem=(row["truncated_ratio"] or 0) >= MUCH_TRUNCATED,
                ),
                number(labels.percent(row["unanswered_ratio"])),
                number(labels.number(row["output_tokens_per_sample"])),
                html.long(reasons or "nothing"),
            )
        )
    note = (
        "A truncated sample reached its token budget: without an answer it counts as not correct, "
        "and it is never dropped. Samples are left out if the engine or the verifier failed, if "
        "they are ungraded, or if they are duplicates in an imported source."
    )
    return (
        html.tag("h2", "What was counted")
        + html.table(head, body, name="What was counted")
        + html.tag("p", note, class_="hint")
    )


def unknowns(facts: Facts) -> str:
    """Unknown costs, each with its reason: unknown is never shown as zero."""
    lines = []
    summary = facts.summary
    if summary.height:
        missing = summary.filter(pl.col("samples_with_energy") < pl.col("samples_valid"))
        reasons = Counter(
            {reason or "no reason recorded": 0 for reason in missing["energy_unknown_reason"]}
        )
        for row in missing.iter_rows(named=True):
            reasons[row["energy_unknown_reason"] or "no reason recorded"] += (
                row["samples_valid"] - row["samples_with_energy"]
            )
        lines += [
            ("Energy", f"{labels.count(n)} samples: {reason.replace('_', ' ')}")
            for reason, n in reasons.items()
        ]
        without = summary.filter(pl.col("flops_per_sample").is_null()).height
        if without:
            lines.append(("FLOP", f"{labels.many(without, 'configuration')} without a model card"))
    for row in facts.frontiers.filter(pl.col("n_excluded_unknown_cost") > 0).iter_rows(named=True):
        words = (
            f"{labels.count(row['n_excluded_unknown_cost'])} of {labels.count(row['n_outcomes'])}"
            " outcomes have no known cost"
        )
        lines.append(
            (
                f"{labels.axis_label(row['cost_axis']).heading}, {labels.task_words(row['task'])}",
                words,
            )
        )
    return html.tag("h2", "What is unknown") + html.definitions(lines) if lines else ""


def provenance(facts: Facts) -> str:
    """The runs and the code behind the numbers."""
    head = [
        "Session or import",
        "Engine",
        "Device",
        "Isocost",
        "Started (UTC)",
        number("Samples"),
        "State",
    ]
    body = []
    for row in facts.sessions.sort("session_id", "attempt").iter_rows(named=True):
        state = "valid" if row["is_valid"] else ", ".join(row["invalid_reasons"]).replace("_", " ")
        body.append(
            (
                html.long(_session_words(row)),
                " ".join(str(v) for v in (row["engine"], row["engine_version"]) if v) or "–",
                html.long(row["device"] or "–"),
                row["isocost_version"] or "–",
                _moment(row["started_unix_s"]),
                number(labels.count(row["samples_total"])),
                html.long(state),
            )
        )
    table = (
        html.table(head, body, name="Where it comes from")
        if body
        else html.tag("p", "No session is on record.", class_="hint")
    )
    text = (
        f"Written by Isocost {isocost.__version__}. The same tables are in warehouse.duckdb and "
        f"as Parquet files in exports/."
    )
    return (
        html.tag("h2", "Where it comes from")
        + table
        + f"<footer class=page>{html.escape(text)}</footer>"
    )


def _session_words(row: dict[str, Any]) -> str:
    """A session by its readable key.

    An import, which has a hash as key and no engine, by its format and its single model.
    """
    if row["engine"] is not None:
        return f"{row['session_id']}, attempt {row['attempt']}"
    return " · ".join(
        str(part) for part in (row["source"], row["model_variant"], row["session_id"]) if part
    )


def _figure(name: str, label: str, before: str = "") -> str:
    """The container of a figure: the script draws there; the label is for screen readers."""
    return html.element("figure", f'{before}<div class=chart id="{name}"></div>', aria_label=label)


def _selector(name: str, label: str, options: dict[str, str]) -> str:
    if len(options) < 2:
        # A single option is not a choice, but the script reads it.
        style: dict[str, Any] = {"hidden": ""}
    else:
        style = {}
    inner = "".join(html.tag("option", text, value=value) for value, text in options.items())
    select = html.element("select", inner, id=name)
    return html.element(
        "div", html.tag("label", label, for_=name) + select, class_="toolbar", **style
    )


def _moment(unix_s: float | None) -> str:
    return (
        "–" if unix_s is None else datetime.fromtimestamp(unix_s, tz=UTC).strftime("%Y-%m-%d %H:%M")
    )
