"""every_eval_ever: instance-level JSON Lines and aggregate JSON, schema 0.2 to 0.3.

Traps: one line per metric, not per sample; several completions in one line; there is no repeat
    index (ours is in the metadata); latencies are milliseconds; scores may have any range and
    direction, defined by the aggregate's metric_config; artefacts of converters.

Lives here: finding and joining files, samples, results. Not here: what an aggregate states
(``every_eval_ever_settings``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.every_eval_ever_settings import HARMLESS, Run, facts_of
from isocost.importers.reading import as_list, as_object, iter_json_lines, load_json, regular_file
from isocost.importers.row import Row
from isocost.importers.usage import put_usage

_VERSIONS = ("0.2", "0.3")


@register
class EveryEvalEver(Importer):
    """An aggregate JSON, its instance file, or a folder of both."""

    name = "every_eval_ever"
    title = "every_eval_ever: aggregate .json and instance-level .jsonl"
    version = 3
    harmless = HARMLESS
    # Words of the tools that are converted to this format.
    no_answers = frozenset({"", "[invalid]", '["invalid"]'})
    marks = (frozenset({"schema_version", "evaluation_id"}),)
    conventions = Conventions(
        units={
            "latency_s": "performance.latency_ms, ms",
            "ttft_s": "performance.time_to_first_token_ms, ms",
        },
        latency_meaning="performance.latency_ms as the converter took it",
        notes=(
            (
                "Files exported here carry sample_index, energy_j and energy_method in metadata and"
                " come back whole."
            ),
            (
                "Files converted from Inspect logs have the waiting time as latency, which is left"
                " out, and with several epochs the score of all epochs on each: it is kept in "
                "extra.group."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file and, for instances, the aggregate with the same name.

        Or every .json and .jsonl of a folder.
        """
        if path.is_file() and path.suffix not in (".json", ".jsonl"):
            raise IsocostError(
                f"ends in {path.suffix or 'nothing'}",
                where=str(path),
                remedy="Give an aggregate .json or an instance .jsonl",
            )
        beside = path.with_name(path.stem.removesuffix("_samples") + ".json")
        if path.suffix == ".jsonl" and path.is_file() and beside.is_file():
            return sorted([regular_file(path), regular_file(beside)])
        return files_under(path, ("*.json", "*.jsonl"), "every_eval_ever file")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Samples of instance files with their aggregate's data, then the aggregates' results."""
        runs = _Runs()
        for file in source.files:
            if file.suffix == ".json":
                source.at = str(file)
                document = as_object(load_json(file), str(file))
                _check_version(document, str(file))
                runs.add(Run(file, document))
        instances = [file for file in source.files if file.suffix == ".jsonl"]
        seen = _Seen(source, instances)
        alone = 0
        for file in instances:
            for number, value in iter_json_lines(file):
                _check_version(value, f"{file}, line {number}")
                run = runs.of(file, value, f"{file}, line {number}")
                alone += run is None
                for row in _samples(
                    source,
                    file,
                    number,
                    value,
                    run,
                    seen.epochs[_evaluation(value)],
                    self.no_answers,
                ):
                    if _evaluation(value) in seen.several:
                        # The same answer with several metrics: a separate point for each, not
                        # several answers.
                        row.condition(
                            {
                                "metric": (
                                    row.values.get("label_name")
                                    or str(value.get("evaluation_result_id"))
                                )
                            }
                        )
                    yield row
        if alone:
            source.warnings.append(
                f"{alone} instances have no aggregate with their evaluation_id: how they were "
                f"generated is unknown"
            )
        for run in runs.every:
            if run.file == source.path or run.file.is_relative_to(source.path):
                yield from _results(source, run)


class _Runs:
    """Aggregates by evaluation_id and, where several bear the same one, by their folder."""

    def __init__(self) -> None:
        self.every: list[Run] = []
        self._by_id: defaultdict[str, list[Run]] = defaultdict(list)

    def add(self, run: Run) -> None:
        self.every.append(run)
        self._by_id[str(run.document["evaluation_id"])].append(run)

    def of(self, file: Path, value: dict[str, Any], where: str) -> Run | None:
        found = self._by_id.get(str(value.get("evaluation_id")), [])
        near = [run for run in found if run.file.parent == file.parent]
        named = [run for run in near if run.file.stem == file.stem.removesuffix("_samples")]
        for chosen in (named, near, found):
            if len(chosen) == 1:
                return chosen[0]
        if found:
            names = ", ".join(str(run.file.name) for run in found[:5])
            raise IsocostError(
                f"{len(found)} aggregates have its evaluation_id ({names})",
                where=where,
                remedy=(
                    "Keep each run in a separate folder, or name the files <name>.json and"
                    " <name>_samples.jsonl"
                ),
            )
        return None


class _Seen:
    """Data that needs all instances together.

    Evaluations with several metrics, and the number of epochs of each.
    """

    def __init__(self, source: ImportInput, files: list[Path]) -> None:
        first: dict[tuple[str, str], str] = {}
        self.several: set[tuple[str, str]] = set()
        self.epochs: defaultdict[tuple[str, str], int] = defaultdict(lambda: 1)
        for file in files:
            source.at = str(file)
            for _, value in iter_json_lines(file):
                key, result = _evaluation(value), str(value.get("evaluation_result_id"))
                if first.setdefault(key, result) != result:
                    self.several.add(key)
                self.epochs[key] = max(self.epochs[key], _epoch(value.get("metadata")) or 1)


def _evaluation(value: dict[str, Any]) -> tuple[str, str]:
    return str(value.get("evaluation_id")), str(value.get("evaluation_name"))


def _epoch(metadata: Any) -> int | None:
    stated = str(metadata.get("epoch", "")) if isinstance(metadata, dict) else ""
    return int(stated) if stated.isdecimal() and len(stated) < 10 and int(stated) > 0 else None


def _run_of(value: dict[str, Any]) -> str | None:
    own = value.get("evaluation_id")
    return own if isinstance(own, str) and own else None


def _check_version(document: dict[str, Any], where: str) -> None:
    version = str(document.get("schema_version", ""))
    if not version:
        raise IsocostError(
            "has no schema_version: it is not a file of every_eval_ever", where=where
        )
    if not version.startswith(_VERSIONS):
        raise IsocostError(
            f"has schema_version {version[:20]!r}",
            where=where,
            remedy=f"Versions {', '.join(_VERSIONS)} are read",
        )


def _samples(
    source: ImportInput,
    file: Path,
    number: int,
    value: dict[str, Any],
    run: Run | None,
    epochs: int,
    no_answers: frozenset[str],
) -> Iterator[Row]:
    """A row for every completion of a line."""
    where = f"{file}, line {number}"
    source.run = _run_of(value)
    result, facts = run.said_of(value) if run else (None, facts_of(None, None))
    metadata = as_object(value.get("metadata") or {}, f"{where}, metadata")
    question = as_object(value.get("input") or {}, f"{where}, input")
    references = as_list(question.get("reference") or [], f"{where}, input.reference")
    answers = [
        item
        for item in as_list(value.get("answer_attribution") or [], f"{where}, answer_attribution")
        if item.get("is_terminal")
    ]
    texts = _texts(value, where)
    # Converted from an Inspect log, each epoch bears the score of all.
    covers = (
        epochs
        if run is not None and run.library == "inspect_ai" and epochs > 1 and len(texts) <= 1
        else max(len(texts), 1)
    )
    for index, text in enumerate(texts or [None]):
        row = source.row("sample", file, f"line {number}")
        facts.put(
            row, {key: metadata[key] for key in ("prompt", "task_version") if metadata.get(key)}
        )
        row.text("model_variant", value["model_id"])
        row.text("task", value["evaluation_name"])
        row.text("problem_source_id", value["sample_id"])
        row.text("problem_text", question.get("raw"))
        row.whole("reference", references[0] if len(references) == 1 else references or None)
        row.text("output_text", text)
        extra = {
            "metadata": metadata,
            "interaction_type": value.get("interaction_type"),
            "choices": question.get("choices"),
        }
        if len(texts) <= 1:
            row.extracted(answers[-1].get("extracted_value") if answers else None, no_answers)
        _put_score(
            row,
            as_object(value["evaluation"], f"{row.where}, evaluation"),
            result,
            metadata,
            covers,
            extra,
        )
        _put_cost(row, value, metadata, run, len(texts))
        _put_index(row, metadata, index, len(texts))
        row.text("error", value.get("error"))
        row.json("extra", extra)
        yield row


def _texts(value: dict[str, Any], where: str) -> list[Any]:
    """The completions of a line; for a conversation, the model's last message."""
    output = as_object(value.get("output") or {}, f"{where}, output")
    if texts := as_list(output.get("raw") or [], f"{where}, output.raw"):
        return texts
    said = [
        message.get("content")
        for message in as_list(value.get("messages") or [], f"{where}, messages")
        if isinstance(message, dict)
        and message.get("role") == "assistant"
        and message.get("content")
    ]
    return said[-1:]


def _put_index(row: Row, metadata: dict[str, Any], index: int, texts: int) -> None:
    row.integer("sample_index", metadata.get("sample_index"))
    if row.values.get("sample_index") is None and (epoch := _epoch(metadata)):
        row.integer("sample_index", epoch - 1)
    if texts > 1:
        row.integer("sample_index", row.values.get("sample_index", 0) * texts + index)


def _put_score(
    row: Row,
    evaluation: dict[str, Any],
    result: dict[str, Any] | None,
    metadata: dict[str, Any],
    covers: int,
    extra: dict[str, Any],
) -> None:
    config = (result or {}).get("metric_config") or {}
    name = config.get("metric_name") or config.get("metric_id")
    if covers > 1:
        row.text("label_name", name)
        row.null("label_correct", f"verdict_covers_{covers}_samples")
        extra["group"] = {
            "label": evaluation.get("score"),
            "label_name": name,
            "is_correct": evaluation.get("is_correct"),
            "covers": covers,
        }
        return
    if _is_invented(metadata):
        row.text("label_name", name)
        row.null("label_correct", "converter_found_no_number")
        return
    row.flag("label_correct", evaluation.get("is_correct"))
    said = row.values.pop("label_correct", None)
    lower = config.get("lower_is_better")
    row.label(
        evaluation.get("score"),
        name,
        higher_is_better=not lower if isinstance(lower, bool) else None,
    )
    if row.group is not None or "label_score:lower_is_better" in row.reasons:
        return
    if config.get("score_type") == "levels":
        row.null("label_score", "score_is_a_level")
        row.values.pop("label_correct", None)
    score = row.values.get("label_score")
    if score is None:
        row.flag("label_correct", said)
    elif said is not None and score in (0.0, 1.0) and said != (score == 1.0):
        # Some converters call everything above 0 correct, others make no such claim for graded
        # metrics: the score is the source's own.
        row.null("label_correct", "is_correct_contradicts_the_score")


def _is_invented(metadata: dict[str, Any]) -> bool:
    """Whether a score of a file converted from lm-eval is not one of its metrics.

    The converter writes 0 if no metric is a number.
    """
    stated = metadata.get("lm_eval_metrics")
    if not isinstance(stated, str):
        return False
    try:
        metrics = json.loads(stated)
    except ValueError:
        return False
    return isinstance(metrics, dict) and not any(
        isinstance(value, int | float) for value in metrics.values()
    )


def _put_cost(
    row: Row, value: dict[str, Any], metadata: dict[str, Any], run: Run | None, completions: int
) -> None:
    usage, performance = value.get("token_usage") or {}, value.get("performance") or {}
    put_usage(row, as_object(usage, f"{row.where}, token_usage"), completions=completions)
    whole, generating = performance.get("latency_ms"), performance.get("generation_time_ms")
    if whole is not None and completions > 1:
        row.null("latency_s", f"usage_covers_{completions}_samples")
    elif (
        whole is not None
        and run is not None
        and run.library == "inspect_ai"
        and generating is not None
    ):
        row.null(
            "latency_s", "is_the_waiting_time"
        )  # the converter takes total_time - working_time
    else:
        row.seconds("latency_s", whole, unit="ms")
        row.seconds("ttft_s", performance.get("time_to_first_token_ms"), unit="ms")
        if (
            isinstance(whole, int | float)
            and isinstance(generating, int | float)
            and generating > whole
        ):
            row.null("latency_s", "less_than_its_generation_time")
    row.number("energy_j", metadata.get("energy_j"), low=0.0)
    if row.values.get("energy_j") is not None:
        row.text("energy_method", metadata.get("energy_method"))
    row.number("cost_usd", metadata.get("cost_usd"), low=0.0)
    row.text("finish_reason", metadata.get("finish_reason") or metadata.get("stop_reason") or None)


def _results(source: ImportInput, run: Run) -> Iterator[Row]:
    file, document = run.file, run.document
    model = as_object(document.get("model_info"), f"{file}, model_info")
    source.run = _run_of(document)
    for index, result in enumerate(
        as_list(document.get("evaluation_results"), f"{file}, evaluation_results")
    ):
        result = as_object(result, f"{file}, evaluation_results[{index}]")
        config, details = (
            result.get("metric_config") or {},
            as_object(result.get("score_details"), f"{file}, score_details"),
        )
        row = source.row("aggregate", file, f"evaluation_results[{index}]")
        facts_of(run, result).put(row, {})
        row.text("model_variant", model.get("id"))
        row.text("task", result["evaluation_name"])
        row.text(
            "metric_name",
            config.get("metric_name") or config.get("metric_id") or result["evaluation_name"],
        )
        row.number("metric_value", details["score"])
        row.json(
            "extra",
            {
                "uncertainty": details.get("uncertainty"),
                "lower_is_better": config.get("lower_is_better"),
            },
        )
        yield row
