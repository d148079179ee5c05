"""every_eval_ever: instance-level JSON Lines and aggregate JSON, schema 0.2 to 0.3.

Traps: one line a metric, not a sample; there is no repeat index (ours stands in metadata); latencies are milliseconds; scores
may have any range, which the aggregate's metric_config says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import as_list, as_object, iter_json_lines, load_json
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError

_VERSIONS = ("0.2", "0.3")
_DRAWN = ("temperature", "top_p", "top_k", "max_tokens")


@register
class EveryEvalEver(Importer):
    """An aggregate JSON, its instance file, or a folder of both."""

    name = "every_eval_ever"
    title = "every_eval_ever: aggregate .json and instance-level .jsonl"
    marks = (frozenset({"schema_version", "evaluation_id"}),)
    conventions = Conventions(
        units={"latency_s": "performance.latency_ms, ms", "ttft_s": "performance.time_to_first_token_ms, ms"},
        latency_meaning="performance.latency_ms as the converter took it",
        notes=("Files exported here carry sample_index, energy_j and energy_method in metadata and come back whole.",),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every .json and .jsonl of a folder."""
        found = files_under(path, ("*.json", "*.jsonl"), "every_eval_ever file")
        if path.is_file() and path.suffix not in (".json", ".jsonl"):
            raise IsocostError(
                f"ends in {path.suffix or 'nothing'}", where=str(path), remedy="Give an aggregate .json or an instance .jsonl"
            )
        return found

    def records(self, source: Source) -> Iterator[Row]:
        """Samples of instance files with the facts of their aggregate, then the aggregates' results."""
        runs: dict[str, dict[str, Any]] = {}
        for file in source.files:
            if file.suffix == ".json":
                source.at = str(file)
                document = as_object(load_json(file), str(file))
                _check_version(document, str(file))
                runs[str(document["evaluation_id"])] = {"file": file, "document": document}
        instances = [file for file in source.files if file.suffix == ".jsonl"]
        several = _several_results(instances)
        for file in instances:
            for number, value in iter_json_lines(file):
                _check_version(value, f"{file}, line {number}")
                row = _sample(source, file, number, value, runs.get(str(value.get("evaluation_id"))))
                if _evaluation(value) in several:
                    # The same answer judged by several metrics: a point for each, not several answers.
                    row.json("condition", {"metric": row.values.get("label_name") or str(value.get("evaluation_result_id"))})
                yield row
        for run in runs.values():
            yield from _results(source, run["file"], run["document"])


def _evaluation(value: dict[str, Any]) -> tuple[str, str]:
    return str(value.get("evaluation_id")), str(value.get("evaluation_name"))


def _several_results(files: list[Path]) -> set[tuple[str, str]]:
    """Evaluations whose samples are judged by more than one result."""
    first: dict[tuple[str, str], str] = {}
    several = set()
    for file in files:
        for _, value in iter_json_lines(file):
            result = str(value.get("evaluation_result_id"))
            if first.setdefault(_evaluation(value), result) != result:
                several.add(_evaluation(value))
    return several


def _run_of(value: dict[str, Any]) -> str | None:
    own = value.get("evaluation_id")
    return own if isinstance(own, str) and own else None


def _check_version(document: dict[str, Any], where: str) -> None:
    version = str(document.get("schema_version", ""))
    if not version:
        raise IsocostError("has no schema_version: it is no file of every_eval_ever", where=where)
    if not version.startswith(_VERSIONS):
        raise IsocostError(f"has schema_version {version[:20]!r}", where=where, remedy=f"Versions {', '.join(_VERSIONS)} are read")


def _facts(result: dict[str, Any] | None) -> dict[str, Any]:
    config = (result or {}).get("generation_config") or {}
    arguments = config.get("generation_args") or {}
    details = config.get("additional_details") or {}
    drawn = {key: arguments[key] for key in _DRAWN if arguments.get(key) is not None}
    return {
        "sampling": drawn,
        "prompt": details.get("prompt_name") or arguments.get("prompt_template"),
        "task_version": details.get("task_version"),
    }


def _result_of(run: dict[str, Any] | None, value: dict[str, Any]) -> dict[str, Any] | None:
    results = run["document"].get("evaluation_results") or [] if run else []
    wanted = value.get("evaluation_result_id")
    named = [item for item in results if wanted is not None and item.get("evaluation_result_id") == wanted]
    named = named or [item for item in results if item.get("evaluation_name") == value.get("evaluation_name")]
    return named[0] if named else None


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.json("sampling", facts["sampling"])
    row.text("prompt", facts["prompt"])
    row.text("task_version", facts["task_version"])


def _sample(source: Source, file: Path, number: int, value: dict[str, Any], run: dict[str, Any] | None) -> Row:
    source.run = _run_of(value)
    row = source.row("sample", file, f"line {number}")
    result = _result_of(run, value)
    metadata = as_object(value.get("metadata") or {}, f"{row.where}, metadata")
    facts = _facts(result)
    facts.update({key: metadata[key] for key in ("prompt", "task_version") if metadata.get(key)})
    _put_facts(row, facts)
    row.text("model_variant", value["model_id"])
    row.text("task", value["evaluation_name"])
    row.text("problem_source_id", value["sample_id"])
    question = as_object(value.get("input") or {}, f"{row.where}, input")
    row.text("problem_text", question.get("raw"))
    references = as_list(question.get("reference") or [], f"{row.where}, input.reference")
    row.whole("reference", references[0] if len(references) == 1 else references or None)
    output = value.get("output") or {}
    texts = as_list(output.get("raw") or [], f"{row.where}, output.raw")
    row.whole("output_text", texts[0] if len(texts) == 1 else texts or None)
    answers = [item for item in value.get("answer_attribution") or [] if item.get("is_terminal")]
    row.text("answer", answers[-1].get("extracted_value") if answers else None)
    _put_score(row, as_object(value["evaluation"], f"{row.where}, evaluation"), result)
    _put_cost(row, value, metadata)
    row.text("error", value.get("error"))
    row.json("extra", {"metadata": metadata, "interaction_type": value.get("interaction_type"), "choices": question.get("choices")})
    return row


def _put_score(row: Row, evaluation: dict[str, Any], result: dict[str, Any] | None) -> None:
    config = (result or {}).get("metric_config") or {}
    row.text("label_name", config.get("metric_name") or config.get("metric_id"))
    row.flag("label_correct", evaluation.get("is_correct"))
    row.number("label_score", evaluation.get("score"))
    score = row.values.get("label_score")
    if score is not None and not 0.0 <= score <= 1.0:
        row.null("label_score", "outside_0_to_1")
    elif score is not None and config.get("lower_is_better") is True:
        row.null("label_score", "lower_is_better")


def _put_cost(row: Row, value: dict[str, Any], metadata: dict[str, Any]) -> None:
    usage, performance = value.get("token_usage") or {}, value.get("performance") or {}
    row.integer("prompt_tokens", usage.get("input_tokens"))
    row.integer("output_tokens", usage.get("output_tokens"))
    row.integer("reasoning_tokens", usage.get("reasoning_tokens"))
    row.integer("cached_tokens", usage.get("input_tokens_cache_read"))
    row.seconds("latency_s", performance.get("latency_ms"), unit="ms")
    row.seconds("ttft_s", performance.get("time_to_first_token_ms"), unit="ms")
    row.integer("sample_index", metadata.get("sample_index"))
    row.number("energy_j", metadata.get("energy_j"), low=0.0)
    if row.values.get("energy_j") is not None:
        row.text("energy_method", metadata.get("energy_method"))
    row.number("cost_usd", metadata.get("cost_usd"), low=0.0)
    row.text("finish_reason", metadata.get("finish_reason"))


def _results(source: Source, file: Path, document: dict[str, Any]) -> Iterator[Row]:
    model = as_object(document.get("model_info"), f"{file}, model_info")
    source.run = _run_of(document)
    for index, result in enumerate(as_list(document.get("evaluation_results"), f"{file}, evaluation_results")):
        result = as_object(result, f"{file}, evaluation_results[{index}]")
        config, details = result.get("metric_config") or {}, as_object(result.get("score_details"), f"{file}, score_details")
        row = source.row("aggregate", file, f"evaluation_results[{index}]")
        _put_facts(row, _facts(result))
        row.text("model_variant", model.get("id"))
        row.text("task", result["evaluation_name"])
        row.text("metric_name", config.get("metric_name") or config.get("metric_id") or result["evaluation_name"])
        row.number("metric_value", details["score"])
        row.json("extra", {"uncertainty": details.get("uncertainty"), "lower_is_better": config.get("lower_is_better")})
        yield row
