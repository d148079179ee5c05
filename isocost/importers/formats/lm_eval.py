"""lm-evaluation-harness: results and samples files.

Traps: with several filters every document occurs once per filter; with repeats a filter's single
    verdict is for the first answer or for all of them together; there are no token counts and no
    latencies;
before 0.4.8 samples did not name their filter, before 0.4 nothing did.

Lives here: finding the files, joining those of one run, summary numbers. Not here: a task's
settings in a results file (``lm_eval_settings``) and the shapes of samples (``lm_eval_samples``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.lm_eval_samples import document_rows, put_task
from isocost.importers.formats.lm_eval_settings import HARMLESS, Task, task_of
from isocost.importers.reading import as_object, iter_json_lines, load_json, regular_file
from isocost.importers.row import Row

_STAMP = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
_SAMPLES = re.compile(rf"samples_(?P<task>.+)_(?P<stamp>{_STAMP})\.jsonl")
# With an output path that ends in .json, lm-eval puts that file's name in place of "results".
_RESULTS = re.compile(rf".+_(?P<stamp>{_STAMP})\.json")
_TIME = "a time as lm-eval writes it, like 2026-01-21T03-44-18.458309"


@register
class LmEval(Importer):
    """``results_<time>.json`` and ``samples_<task>_<time>.jsonl``, a file or a folder of them."""

    name = "lm_eval"
    title = "lm-evaluation-harness: results_*.json and samples_*.jsonl, alone or as a folder"
    version = 3
    harmless = HARMLESS
    no_answers = frozenset({"", "[invalid]", '["invalid"]'})
    rendered_prompts = True
    takes_metric = True
    marks = (
        frozenset({"results", "configs"}),
        frozenset({"results", "versions"}),
        frozenset({"doc_id", "filtered_resps"}),
    )
    names = ("results_*T*.json", "samples_*T*.jsonl")
    conventions = Conventions(
        units={"metric_value": "results.<task>.<metric>,<filter>, as the metric defines it"},
        notes=(
            (
                "A filter is part of the condition: the same generations under two filters are two"
                " points."
            ),
            (
                "With repeats > 1 a verdict is for the first answer (take_first) or for several "
                "together (maj@k): the other answers have no label, and a verdict for several is "
                "kept in extra.group."
            ),
            "Lower-is-better metrics (higher_is_better false) are not verdicts.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file and, for samples, the results file of the same run.

        Or all such files of a folder.
        """
        if not path.is_dir():
            beside = _results_beside(path)
            return [regular_file(path)] if beside is None else sorted([path, beside])
        found = files_under(
            path, ("*.json", "samples_*.jsonl"), "results_*.json or samples_*.jsonl"
        )
        mine = [
            file
            for file in found
            if file.name.startswith(("results_", "samples_")) or _RESULTS.fullmatch(file.name)
        ]
        if not mine:
            raise IsocostError(
                f"contains {len(found)} .json files, none of them named like lm-eval's files",
                where=str(path),
                remedy=(
                    "Keep the names results_<time>.json and samples_<task>_<time>.jsonl, or give"
                    " one results file itself"
                ),
            )
        return mine

    def stated_by_place(self, file: Path) -> str:
        """Task and time: two greedy runs of equal answers differ in nothing else."""
        match = _SAMPLES.fullmatch(file.name) or _RESULTS.fullmatch(file.name)
        return match["stamp"] + match.groupdict().get("task", "") if match else ""

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Samples of every task, then the summary numbers of every results file."""
        runs: dict[tuple[Path, str], _Run] = {}
        for file in source.files:
            if file.suffix == ".json":
                run = _read(source, file)
                runs[file.parent, run.stamp or file.name] = run
        for file in source.files:
            if file.suffix != ".json":
                match = _samples_name(file)
                # The answers of a greedy run repeat exactly: only the time in its name
                # distinguishes two runs.
                source.run = f"{match['stamp']} {source.file_run(file)}"
                yield from self._samples(
                    source, file, match["task"], runs.get((file.parent, match["stamp"]))
                )
        for run in runs.values():
            if run.file == source.path or run.file.is_relative_to(source.path):
                source.run = f"{run.stamp} {source.file_run(run.file)}"
                yield from _aggregates(source, run)

    def _samples(
        self, source: ImportInput, file: Path, name: str, run: _Run | None
    ) -> Iterator[Row]:
        if run is None:
            source.warnings.append(
                f"{file.name}: no results file of the same run, so model, task version, prompt and"
                " sampling are not known from it, nor the settings that it states"
            )
        source.at = str(file)
        task = task_of(run.document if run else {}, name, str(run.file if run else file))
        seen: set[tuple[str, str]] = set()
        unnamed = _Unnamed(source, file, name, task, run)
        for number, value in iter_json_lines(file):
            filter_name = (
                str(value["filter"])
                if value.get("filter") is not None
                else unnamed.filter_of(value)
            )
            key = (str(value["doc_id"]), filter_name)
            if key in seen:
                raise IsocostError(
                    f"document {key[0]} is duplicated under filter {filter_name!r}",
                    where=f"{file}, line {number}",
                    remedy="The file contains two runs. Split it",
                )
            seen.add(key)
            yield from document_rows(
                source, file, number, {**value, "filter": filter_name}, task, self.no_answers
            )


@dataclass(frozen=True, slots=True)
class _Run:
    """A results file and the time in its name, which the samples files of the run bear, too."""

    file: Path
    document: dict[str, Any]
    stamp: str | None


def _read(source: ImportInput, file: Path) -> _Run:
    source.at = str(file)
    document = as_object(load_json(file), str(file))
    match = _RESULTS.fullmatch(file.name)
    if "results" not in document:
        raise IsocostError(
            "has no key 'results': it is not a results file of lm-eval",
            where=str(file),
            remedy="Take it out of the folder, or give the others",
        )
    if match is None and (file != source.path or file.name.startswith("results_")):
        time = file.stem.removeprefix("results_")
        source.warnings.append(
            f"{file.name}: {time!r} is not {_TIME}: no samples file can be joined to it"
        )
    return _Run(file, document, match["stamp"] if match else None)


def _samples_name(file: Path) -> re.Match[str]:
    match = _SAMPLES.fullmatch(file.name)
    if match is None:
        raise IsocostError(
            f"is not named as lm-eval names its files: {file.stem.rpartition('_')[2]!r} is not"
            f" {_TIME}",
            where=str(file),
            remedy="Keep the name samples_<task>_<time>.jsonl; task and run are read from it",
        )
    return match


def _results_beside(path: Path) -> Path | None:
    """The results file of the same run as a samples file."""
    match = _SAMPLES.fullmatch(path.name)
    if match is None or not path.parent.is_dir():
        return None
    own = path.with_name(f"results_{match['stamp']}.json")
    others = sorted(
        file
        for file in path.parent.glob(f"*_{match['stamp']}.json")
        if _RESULTS.fullmatch(file.name)
    )
    found = [own] if own.exists() else others
    return regular_file(found[0]) if len(found) == 1 else None


class _Unnamed:
    """Filter names for samples of lm-eval before 0.4.8, which do not name them.

    A document's lines come in the order of the filters.
    """

    def __init__(
        self, source: ImportInput, file: Path, name: str, task: Task, run: _Run | None
    ) -> None:
        self.source, self.file, self.name, self.task, self.run = source, file, name, task, run
        self.names: list[str] | None = None
        self.times: Counter[str] = Counter()

    def filter_of(self, value: dict[str, Any]) -> str:
        if self.names is None:
            self.names = self._found()
        document = str(value["doc_id"])
        self.times[document] += 1
        return self.names[self.times[document] - 1]

    def _found(self) -> list[str]:
        lines = Counter(
            str(value["doc_id"])
            for _, value in iter_json_lines(self.file)
            if value.get("filter") is None
        )
        most = max(lines.values())
        if most == 1:
            return ["none"]
        results = self.run.document["results"].get(self.name) if self.run else None
        keys = [key for key in results or {} if "," in key]
        named = list(self.task.steps) or list(dict.fromkeys(key.rpartition(",")[2] for key in keys))
        if len(named) != most or set(lines.values()) != {most}:
            known = (
                f"by the {len(named)} filters of the results file ({', '.join(named)})"
                if named
                else "without the results file"
            )
            raise IsocostError(
                "is a log of lm-eval before 0.4.8, whose samples do not name their filter: "
                f"{most} lines of a document are indistinguishable {known}",
                where=str(self.file),
                remedy=(
                    "Put the results file of the same run next to it, or add the filter to each "
                    "line"
                ),
            )
        self.source.warnings.append(
            f"{self.file.name}: written by lm-eval before 0.4.8, which names no filter in samples;"
            f" the lines of a document are taken as those of {', '.join(named)}, in this order"
        )
        return named


def _aggregates(source: ImportInput, run: _Run) -> Iterator[Row]:
    file, document = run.file, run.document
    is_old = "configs" not in document
    results = as_object(document["results"], f"{file}, results")
    for name in sorted(results):
        source.at = f"{file}, results.{name}"
        task = task_of(document, name, str(file))
        counted = (document.get("n-samples") or {}).get(name)
        for key, value in sorted(as_object(results[name], f"{file}, results.{name}").items()):
            metric, comma, filter_name = key.rpartition(",")
            if not comma and (not is_old or isinstance(value, str)):
                # The task's alias and counts; before 0.4 a metric had no filter in its name.
                continue
            row = source.row("aggregate", file, f"results.{name}.{key}")
            put_task(row, task, filter_name if comma else None)
            row.text("metric_name", metric if comma else key)
            if isinstance(value, str):
                row.null("metric_value", f"source_writes_{value[:20]}")
            elif isinstance(value, list | dict):
                row.null("metric_value", "source_writes_several_values")
            else:
                row.number("metric_value", value)
            rises = task.rises.get(metric if comma else key)
            extra = {**(counted if isinstance(counted, dict) else {}), "higher_is_better": rises}
            row.json("extra", {key: value for key, value in extra.items() if value is not None})
            yield row
