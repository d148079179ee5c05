"""The table at the end of a run: the frontier of every task, and next steps.

Lives here: the output. Not here: the choice of rows (``facts``) and the formatting of numbers
(``labels``).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isocost.publish import facts as facts_module
from isocost.publish import labels, sentences
from isocost.publish.facts import Facts
from isocost.schema.tables.frontiers import is_mean
from isocost.store import Store

UI = "make ui        then open http://127.0.0.1:3000"


def show(
    store: Store,
    console: Console | None = None,
    *,
    cost_axis: str | None = None,
    sessions: Collection[str] = (),
) -> None:
    """Print the frontier of every task, the accounting of samples, and three places to go.

    Args:
        store: the tables.
        console: where to print; standard output unless given.
        cost_axis: the axis to show; generated tokens unless given.
        sessions: the sessions of this run: only their tasks are shown, and means that include them;
            the others are listed.
    """
    console = console or Console()
    facts = facts_module.gather(store)
    shown, others = _chosen(facts, store, sessions)
    for task in shown:
        axis = cost_axis or facts.axis_of(task)
        if axis and facts.frontier_of(task, axis).height:
            console.print()
            console.print(frontier_table(facts, task, axis))
            if is_mean(task):
                console.print(sentences.over_tasks(facts, task), highlight=False, markup=False)
    if without := sentences.without_mean(facts):
        console.print(without, highlight=False, markup=False)
    if others:
        console.print(
            f"Also in the report: {', '.join(map(labels.task_words, others))}.",
            highlight=False,
            markup=False,
        )
    if lacking := sentences.without_frontier(facts):
        console.print(lacking, highlight=False, markup=False)
    elif not facts.axes:
        console.print("No frontier yet: no measured configuration has both an accuracy and a cost.")
    console.print(accounting_line(facts), highlight=False)
    for text in (sentences.unfinished(facts) if facts.missing else "", sentences.cut_off(facts)):
        if text:
            console.print(text, style="yellow", highlight=False, markup=False)
    console.print()
    console.print(_places(store), highlight=False)


def _chosen(facts: Facts, store: Store, sessions: Collection[str]) -> tuple[list[str], list[str]]:
    """Tasks to show, and other tasks.

    All are shown if none of them belongs to this run.
    """
    points = store.read("core_points", columns=["session_id", "task"])
    run = set(points.filter(pl.col("session_id").is_in(list(sessions)))["task"])
    own = [
        task
        for task in facts.tasks
        if task in run or run & set(facts.tasks_of_mean(task) if is_mean(task) else ())
    ]
    return (
        (own, [task for task in facts.tasks if task not in own]) if own else (list(facts.tasks), [])
    )


def frontier_table(facts: Facts, task: str, axis: str) -> Table:
    """The frontier of one task, cheapest first.

    Strategy and budget, cost, accuracy with interval, membership probability.
    """
    rows = facts.frontier_of(task, axis)
    frontier = rows.filter("is_on_frontier")
    title = (
        f"[bold]{escape(labels.task_words(task))}[/]  [dim]accuracy against"
        f" {labels.axis_label(axis).noun}[/]"
    )
    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        pad_edge=False,
        caption_justify="left",
        caption=_caption(rows),
    )
    table.add_column("configuration", overflow="fold")
    table.add_column(labels.axis_label(axis).column, justify="right", no_wrap=True)
    table.add_column("accuracy (interval)", justify="right", no_wrap=True)
    table.add_column("on frontier", justify="right", no_wrap=True)
    for row in frontier.iter_rows(named=True):
        name = escape(sentences.name(row))
        spread = labels.interval(row["accuracy_low"], row["accuracy_high"]).removesuffix(
            f"{labels.NBSP}%"
        )
        table.add_row(
            f"[bold]{name} ◂{labels.NBSP}knee[/]" if sentences.marks_knee(row) else name,
            labels.amount(row["cost"], axis),
            f"{labels.percent(row['accuracy'])} [dim]({spread})[/]",
            labels.probability(row["frontier_probability"]),
        )
    return table


def accounting_line(facts: Facts) -> str:
    """One line: samples banked, valid, truncated, invalid."""
    summary = facts.summary
    if summary.is_empty():
        return "No samples are banked yet."
    total, valid = (int(summary[c].sum()) for c in ("samples_total", "samples_valid"))
    cut = summary["samples_truncated"]
    truncated = "an unknown number" if cut.null_count() else labels.count(int(cut.sum()))
    text = (
        f"{labels.count(total)} samples banked ({sentences.generated_tokens(facts)}),"
        f" {labels.count(valid)} valid, "
    )
    text += f"{truncated} of these ended by their token budget"
    return text + (
        f"; {labels.count(total - valid)} invalid, left out and counted." if total > valid else "."
    )


def _caption(rows: pl.DataFrame) -> str:
    first = rows.row(0, named=True)
    level = labels.percent(first["confidence"], 0)
    text = (
        f"{rows.filter('is_on_frontier').height} of {first['n_groups']} configurations; {level}"
        " intervals and the probability of being "
    )
    return (
        text + f"on the frontier from {first['draws']:,} bootstrap draws over"
        f" {labels.many(first['n_problems'], 'problem')}"
    )


def _places(store: Store) -> Table:
    places = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    places.add_column(no_wrap=True, style="bold")
    places.add_column(overflow="fold")
    places.add_row("Dagster UI", UI)
    places.add_row("Warehouse", _shown(store.warehouse))
    places.add_row("Report", _shown(store.report))
    return places


def _shown(path: Path) -> str:
    """A path, as short as possible relative to the working directory."""
    try:
        text = str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        text = str(path)
    return text if path.exists() else f"{text} (not written yet)"
