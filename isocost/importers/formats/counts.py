"""Counts files.

c correct of n samples a problem, the smallest thing pass@k can be computed from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, Source, register
from isocost.importers.reading import iter_json_lines
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

MOST_SAMPLES = 20_000_000
"""Samples of one file.

Each becomes a row of core_samples, so that a slip of the finger must not fill the memory.
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
"""Names that say how samples were drawn, on whichever lines they stand."""


@register
class Counts(Importer):
    """JSON Lines of ``{"id", "c", "n"}``, as passk-inference reads them; ``cluster`` names problems
    that hang together.

    ``source`` is kept in ``extra``: a benchmark that problems were taken from makes them no
    repetitions of each other. What else every line says alike is a setting of the run, and so is a
    temperature, a revision and what else says how samples were drawn, line by line; whatever else
    differs from line to line belongs to the problem.

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
                "What every line says alike is a setting of the run; a temperature, a revision and"
                " the like are on whichever line they stand."
            ),
            (
                "Only the counts are known: the order of the samples of a problem is not, and no"
                " answer can be voted on."
            ),
        ),
    )
    harmless: ClassVar[Mapping[str, str]] = {
        "source": "the benchmark that a problem was taken from; it tells no two runs apart"
    }

    def records(self, source: Source) -> Iterator[Row]:
        """One counts record a line."""
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
                    f"the file holds more than {MOST_SAMPLES:,} samples",
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
                    f"{row.values['problem_source_id']!r} comes twice",
                    "Add the counts of one problem up to one line",
                )
            seen.add(key)
            row.json("extra", {key: item for key, item in value.items() if key not in _OWN})
            yield row
        if 2 * len(faults) > lines:
            first = faults[0]
            what = f"{len(faults)} of {lines} lines hold no counts that can be, so that this is no"
            raise IsocostError(
                f"{what} file of counts; the first: {first.what}",
                where=first.where,
                remedy="Give a file whose lines have id, c and n, with c of n attempts correct",
            )
        source.warnings += _told(faults)


def _count(row: Row, value: Mapping[str, Any]) -> IsocostError | None:
    """Fills in both counts, or neither where they cannot be; what is wrong with them then."""
    try:
        for column, key in (("counts_correct", "c"), ("counts_total", "n")):
            row.integer(column, value.get(key), sentinel=None, is_needed=True)
            if row.values.get(column) is None:
                raise row.fail(key, "is missing")
        correct, total = row.values["counts_correct"], row.values["counts_total"]
        if correct > total:
            raise row.fail("c", f"{correct} correct of {total} cannot be")
        if total > MOST_SAMPLES:
            raise row.fail("n", f"nobody has drawn {total:,} samples of one problem")
    except IsocostError as fault:
        for column in ("counts_correct", "counts_total"):
            row.null(column, IMPOSSIBLE)
        return fault
    return None


def _told(faults: Sequence[IsocostError]) -> list[str]:
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
    """What every line of a file says, and says alike.

    Nothing where there is one line only, which says nothing of the rest.
    """
    common: dict[str, Any] = {}
    lines = 0
    for _, value in iter_json_lines(path):
        lines += 1
        told = {key: item for key, item in value.items() if key not in _OWN}
        common = (
            told
            if lines == 1
            else {key: item for key, item in common.items() if key in told and told[key] == item}
        )
        if not common and lines > 1:
            return {}
    return common if lines > 1 else {}
