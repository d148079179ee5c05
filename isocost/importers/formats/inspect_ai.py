"""Inspect AI logs, as JSON or as ``.eval`` archives.

Traps: scores are letters (C, I, P, N), numbers, booleans or mappings; (id, epoch) is the sample,
retries are not epochs; samples are invalidated afterwards; long texts may be attachments; the log
of a cancelled run is incomplete; an archive grows, and the last member with a name counts; a sample
may be in chunks; eval sets add their own files next to the logs.

Lives here: finding and reading logs, summary numbers. Not here: the contents of a header
(``inspect_ai_settings``) and samples (``inspect_ai_samples``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.inspect_ai_samples import put_log, sample_rows
from isocost.importers.formats.inspect_ai_settings import HARMLESS, Log, log_of
from isocost.importers.reading import CheckedZip, as_list, as_object, load_json
from isocost.importers.row import Row

# Files that eval sets, bundles and the viewer add next to logs.
_SIDE_FILES = frozenset({"eval-set.json", "logs.json", "listing.json"})
# Ids may contain slashes. A chunked sample has its own folder, with everything but its long lists
# in sample.json.
_SAMPLE = re.compile(r"samples/.*_epoch_\d+(?:\.json|/sample\.json)", re.DOTALL)
_PIECES = re.compile(r"/attachments/(\d+)\.json")


@register
class InspectAi(Importer):
    """One log, or a folder of logs."""

    name = "inspect_ai"
    title = "Inspect AI logs: .eval archives and .json"
    version = 3
    harmless = HARMLESS
    marks = (
        frozenset({"eval", "plan"}),
        frozenset({"eval", "status"}),
    )
    names = ("*.eval",)
    conventions = Conventions(
        units={
            "latency_s": "output.time, s",
            "prompt_tokens": (
                "output.usage.input_tokens, plus cache reads and writes if the provider counts "
                "them separately"
            ),
            "output_tokens": (
                "output.usage.output_tokens, plus reasoning if the provider counts it separately"
            ),
        },
        latency_meaning=(
            "the last model call of the sample, as Inspect timed it (output.time); sample totals"
            " are in extra"
        ),
        notes=(
            (
                "The score is part of the condition: several scorers, and several values of one"
                " score, make several points."
            ),
            "Letters: C is 1, P is 0.5, I and N are 0; N means that there is no answer.",
            "Samples that their author invalidated have no verdict.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The log, or every .eval and .json of a folder.

        Side files of eval sets are listed for reporting, and not read.
        """
        return files_under(path, ("*.eval", "*.json"), "Inspect log (.eval or .json)")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Samples of every log, then its metrics."""
        left_out = [
            file for file in source.files if file.name in _SIDE_FILES and file != source.path
        ]
        if left_out:
            names = ", ".join(source.relative(file) for file in left_out[:5]) + (
                ", ..." if len(left_out) > 5 else ""
            )
            source.warnings.append(
                f"{len(left_out)} side files of eval sets left out, they are not logs: {names}"
            )
        for file in source.files:
            if file in left_out:
                continue
            source.at = str(file)
            if file.suffix == ".eval":
                archive = CheckedZip(file, grows=True)
                try:
                    yield from self._archive(source, file, archive)
                finally:
                    archive.close()
            else:
                document = as_object(load_json(file), str(file))
                samples = as_list(document.get("samples") or [], f"{file}, samples")
                yield from self._log(
                    source,
                    file,
                    document,
                    ((f"samples[{i}]", item) for i, item in enumerate(samples)),
                )

    def _archive(self, source: ImportInput, file: Path, archive: CheckedZip) -> Iterator[Row]:
        if "header.json" in archive.members:
            header = as_object(archive.json("header.json"), f"{file}, header.json")
            if "header.json" in archive.repeated and "eval" not in header:
                raise IsocostError(
                    "has two members of one name, and the last has no key 'eval'",
                    where=f"{file}, member 'header.json'",
                )
        elif "_journal/start.json" in archive.members:
            # A run that was killed has no header; its sealed samples still exist.
            header = {
                **as_object(archive.json("_journal/start.json"), f"{file}, _journal/start.json"),
                "status": "started",
            }
        else:
            raise IsocostError(
                "contains neither header.json nor _journal/start.json",
                where=str(file),
                remedy="Check that it is an Inspect log",
            )
        members = sorted(name for name in archive.members if _SAMPLE.fullmatch(name))
        yield from self._log(
            source, file, header, ((f"member {name}", _member(archive, name)) for name in members)
        )

    def _log(
        self,
        source: ImportInput,
        file: Path,
        header: dict[str, Any],
        samples: Iterator[tuple[str, Any]],
    ) -> Iterator[Row]:
        if "eval" not in header:
            raise IsocostError("has no key 'eval': it is not an Inspect log", where=str(file))
        log = log_of(header, file)
        source.run = _run_of(header)
        if header.get("status") != "success":
            source.warnings.append(
                f"{file.name}: the run's status is {str(header.get('status'))[:40]!r}; not every"
                " sample may be there"
            )
        seen: set[tuple[str, int]] = set()
        found = taken_back = 0
        for place, sample in samples:
            sample = as_object(sample, f"{file}, {place}")
            key = (str(sample["id"]), int(sample.get("epoch", 1)))
            if key in seen:
                raise IsocostError(
                    f"sample {key[0]!r} of epoch {key[1]} is duplicated", where=f"{file}, {place}"
                )
            seen.add(key)
            taken_back += bool(sample.get("invalidation"))
            for row in sample_rows(source, file, place, sample, log, self.no_answers):
                found += 1
                yield row
        if taken_back:
            source.warnings.append(
                f"{file.name}: {taken_back} of {len(seen)} samples were invalidated by their"
                " author: no verdict on them"
            )
        elif header.get("invalidated"):
            source.warnings.append(
                f"{file.name}: states that samples were invalidated, but marks none"
            )
        for row in _metric_rows(source, file, header, log):
            found += 1
            yield row
        if not found:
            source.warnings.append(f"{file.name}: neither samples nor metrics")


def _member(archive: CheckedZip, name: str) -> Any:
    """A sample of an archive.

    That in pieces with its metadata and attachments, its events are not needed.
    """
    sample = archive.json(name)
    if not name.endswith("/sample.json") or not isinstance(sample, dict):
        return sample
    home = name.removesuffix("/sample.json")
    attachments: dict[str, Any] = {}
    for member in archive.members:
        if member.startswith(home) and (match := _PIECES.fullmatch(member.removeprefix(home))):
            first = int(match[1])
            attachments |= {
                str(first + i): text
                for i, text in enumerate(as_list(archive.json(member), f"{archive.path}, {member}"))
            }
    more = (
        {"metadata": archive.json(f"{home}/metadata.json")}
        if f"{home}/metadata.json" in archive.members
        else {}
    )
    return {**sample, **more, "attachments": attachments}


def _run_of(header: dict[str, Any]) -> str | None:
    """The run's own id.

    A retry of a log keeps its task_id and takes over its finished samples: both logs are one run.
    """
    run = header["eval"]
    return next(
        (
            f"{key}:{run[key]}"
            for key in ("task_id", "eval_id", "run_id")
            if isinstance(run.get(key), str) and run[key]
        ),
        None,
    )


def _metric_rows(
    source: ImportInput, file: Path, header: dict[str, Any], log: Log
) -> Iterator[Row]:
    results = as_object(header.get("results") or {}, f"{file}, results")
    scores = results.get("scores")
    if scores is None and results.get("metrics"):
        scores = [
            {"name": (results.get("scorer") or {}).get("name"), "metrics": results["metrics"]}
        ]  # logs of version 1
    for position, score in enumerate(as_list(scores or [], f"{file}, results.scores")):
        for name, metric in sorted(
            as_object(
                score.get("metrics") or {}, f"{file}, results.scores[{position}].metrics"
            ).items()
        ):
            row = source.row("aggregate", file, f"results.scores[{position}].metrics.{name}")
            own, scorer = score.get("name"), score.get("scorer")
            put_log(
                row, log, own if scorer in (None, own) else f"{scorer}.{own}", score.get("reducer")
            )
            row.text("metric_name", name)
            row.number("metric_value", metric["value"] if isinstance(metric, dict) else metric)
            kept = {**results, **score}
            numbers = ("total_samples", "completed_samples", "scored_samples", "unscored_samples")
            row.json("extra", {key: kept[key] for key in numbers if kept.get(key) is not None})
            yield row
