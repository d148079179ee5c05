"""Counts files.

c correct of n samples per problem, the minimum from which pass@k can be computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, register
from isocost.importers.reading import iter_json_lines
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

MOST_SAMPLES = 20_000_000
"""Samples of one file.

A typing error must not fill the memory.
"""
IMPOSSIBLE = "impossible_counts"
_OWN = frozenset({"id", "c", "n", "cluster", "model", "task"})
_ALWAYS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
        "max_new_tokens",
        "num_few_shot",
        "num_fewshot",
        "repetition_penalty",
        "reasoning_effort",
        "revision",
        "model_revision",
        "adapter",
        "lora",
        "peft",
        "quantization",
        "dtype",
        "engine",
        "provider",
        "hardware",
        "gpu",
        "prompt",
        "prompt_version",
        "task_version",
        "sampling",
    }
)
"""Names that describe how samples were drawn, on whichever lines they occur."""


@register
class Counts(Importer):
    """JSON Lines of ``{"id", "c", "n"}``, as passk-inference reads them.

    ``cluster`` names problems that belong together. ``source`` is kept in ``extra``: a benchmark
    that problems were taken from makes them no repetitions of each other. What else every line says
    alike is a setting of the run, and so is a temperature, a revision and what else says how
    samples were drawn, line by line; whatever else differs from line to line belongs to the
    problem.

    A line whose counts cannot be counts nothing: its problem is left out of the tables and named,
    and the others are kept. Where that is more than half of the lines the file is none of counts.
    """

    name = "counts"
    version = 4
    title = "JSON Lines {id, c, n}: correct of all samples for each problem"
    marks = (frozenset({"id", "c", "n"}),)
    conventions = Conventions(
        units={"counts_correct": "c, samples", "counts_total": "n, samples"},
        notes=(
            (
                "A value that is the same on every line is a setting of the run; a temperature, a "
                "revision and similar are settings on any line."
            ),
            (
                "Only the counts are known: not the order of the samples, and there are no "
                "answers to vote on."
            ),
        ),
    )
    harmless: ClassVar[Mapping[str, str]] = {
        "source": "the benchmark that a problem was taken from; it does not distinguish runs"
    }

    def records(self, source: ImportInput) -> Iterator[Row]:
        """One counts record per line."""
        path = source.files[0]
        seen: set[tuple[Any, ...]] = set()
        total, lines, faults = 0, 0, list[IsocostError]()
        settings = stated_settings(_alike(path), self.harmless)
        for number, value in iter_json_lines(path):
            row = source.row("counts", path, f"line {number}")
            row.text("problem_source_id", value.get("id"))
            if row.values.get("problem_source_id") is None:
                raise row.fail("id", "is missing", "Every line needs id, c and n")
            fault = _count(row, value)
            lines += 1
            if fault is not None:
                faults.append(fault)
            total += row.values.get("counts_total", 0)
            if total > MOST_SAMPLES:
                raise row.fail(
                    "n",
                    f"the file contains more than {MOST_SAMPLES:,} samples",
                    "Correct n, or import the problems in several files",
                )
            row.text("cluster_id", value.get("cluster"))
            row.text("model_variant", value.get("model"))
            row.text("task", value.get("task"))
            own = stated_settings(
                {name: value[name] for name in value.keys() & _ALWAYS}, self.harmless
            )
            row.condition({**settings, **own})
            key = (
                row.values["problem_source_id"],
                *(row.values.get(name) for name in ("model_variant", "task", "condition")),
            )
            if key in seen:
                raise row.fail(
                    "id",
                    f"{row.values['problem_source_id']!r} is duplicated",
                    "Add the counts of one problem up to one line",
                )
            seen.add(key)
            row.json("extra", {key: item for key, item in value.items() if key not in _OWN})
            yield row
        if 2 * len(faults) > lines:
            first = faults[0]
            what = f"{len(faults)} of {lines} lines have impossible counts, so this is not a"
            raise IsocostError(
                f"{what} file of counts; the first: {first.what}",
                where=first.where,
                remedy="Give a file whose lines have id, c and n, with c of n attempts correct",
            )
        source.warnings += _as_warnings(faults)


def _count(row: Row, value: Mapping[str, Any]) -> IsocostError | None:
    """Set both counts, or neither if they are impossible; return the fault."""
    try:
        for column, key in (("counts_correct", "c"), ("counts_total", "n")):
            row.integer(column, value.get(key), sentinel=None, is_needed=True)
            if row.values.get(column) is None:
                raise row.fail(key, "is missing")
        correct, total = row.values["counts_correct"], row.values["counts_total"]
        if correct > total:
            raise row.fail("c", f"{correct} correct of {total} cannot be")
        if total > MOST_SAMPLES:
            raise row.fail("n", f"{total:,} samples of one problem are not plausible")
    except IsocostError as fault:
        for column in ("counts_correct", "counts_total"):
            row.null(column, IMPOSSIBLE)
        return fault
    return None


def _as_warnings(faults: Sequence[IsocostError]) -> list[str]:
    """What the importing person should know of the lines that count nothing."""
    if not faults:
        return []
    shown = "; ".join(
        f"{fault.where.rpartition(', line ')[2]}: {fault.what}" for fault in faults[:5]
    )
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    one = len(faults) == 1
    return [
        f"{len(faults)} {'problem is' if one else 'problems are'} left out, whose counts cannot be:"
        f" line {shown}{more}"
    ]


def _alike(path: Path) -> dict[str, Any]:
    """The values that are the same on every line of a file.

    Nothing if there is only one line.
    """
    common: dict[str, Any] = {}
    lines = 0
    for _, value in iter_json_lines(path):
        lines += 1
        settings = {key: item for key, item in value.items() if key not in _OWN}
        common = (
            settings
            if lines == 1
            else {
                key: item
                for key, item in common.items()
                if key in settings and settings[key] == item
            }
        )
        if not common and lines > 1:
            return {}
    return common if lines > 1 else {}
