"""Counts files: c correct of n samples a problem, the smallest thing pass@k can be computed from."""

from __future__ import annotations

from collections.abc import Iterator

from isocost.bank.importers.base import Conventions, Importer, Source, register
from isocost.bank.importers.reading import iter_json_lines
from isocost.bank.importers.row import Row

MOST_SAMPLES = 20_000_000
"""Samples of one file: each becomes a row of core_samples, so that a slip of the finger must not fill the memory."""


@register
class Counts(Importer):
    """JSON Lines of ``{"id", "c", "n"}``, as passk-inference reads them; ``cluster`` names problems that hang together.

    ``source`` is kept in ``extra``: a benchmark that problems were taken from makes them no repetitions of each other.
    """

    name = "counts"
    version = 2
    title = "JSON Lines {id, c, n}: correct of all samples for each problem"
    marks = (frozenset({"id", "c", "n"}),)
    conventions = Conventions(
        units={"counts_correct": "c, samples", "counts_total": "n, samples"},
        notes=("Only the counts are known: the order of the samples of a problem is not, and no answer can be voted on.",),
    )

    def records(self, source: Source) -> Iterator[Row]:
        """One counts record a line."""
        path = source.files[0]
        seen: set[str] = set()
        total = 0
        for number, value in iter_json_lines(path):
            row = source.row("counts", path, f"line {number}")
            row.text("problem_source_id", value.get("id"))
            row.integer("counts_correct", value.get("c"), sentinel=None)
            row.integer("counts_total", value.get("n"), sentinel=None)
            for column, key in (("problem_source_id", "id"), ("counts_correct", "c"), ("counts_total", "n")):
                if row.values.get(column) is None:
                    raise row.fail(key, "is missing", "Every line needs id, c and n")
            if row.values["counts_correct"] > row.values["counts_total"]:
                raise row.fail("c", f"{row.values['counts_correct']} correct of {row.values['counts_total']} cannot be")
            total += row.values["counts_total"]
            if total > MOST_SAMPLES:
                raise row.fail(
                    "n", f"the file holds more than {MOST_SAMPLES:,} samples", "Correct n, or import the problems in several files"
                )
            if row.values["problem_source_id"] in seen:
                raise row.fail("id", f"{row.values['problem_source_id']!r} comes twice", "Add the counts of one problem up to one line")
            seen.add(row.values["problem_source_id"])
            row.text("cluster_id", value.get("cluster"))
            row.text("model_variant", value.get("model"))
            row.text("task", value.get("task"))
            row.json("extra", {key: item for key, item in value.items() if key not in {"id", "c", "n", "cluster", "model", "task"}})
            yield row
