"""lm-evaluation-harness: results and samples files.

Traps: with several filters every document comes once a filter; with repeats one verdict stands for all answers of a document;
there are no token counts and no latencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import as_list, as_object, iter_json_lines, load_json
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError
from isocost.hashing import text_hash

_STAMP = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
_SAMPLES = re.compile(rf"samples_(?P<task>.+)_(?P<stamp>{_STAMP})\.jsonl")
_RESULTS = re.compile(rf"results_(?P<stamp>{_STAMP})\.json")
# The verdict where a task has several metrics: the first of these that it has.
_PREFERRED = ("exact_match", "acc", "acc_norm", "pass@1", "math_verify", "prompt_level_strict_acc")


@register
class LmEval(Importer):
    """``results_<time>.json`` and ``samples_<task>_<time>.jsonl``, a file or a folder of them."""

    name = "lm_eval"
    title = "lm-evaluation-harness: results_*.json and samples_*.jsonl, alone or as a folder"
    marks = (
        frozenset({"results", "configs"}),
        frozenset({"doc_id", "filtered_resps"}),
    )
    names = ("results_*T*.json", "samples_*T*.jsonl")
    conventions = Conventions(
        units={"metric_value": "results.<task>.<metric>,<filter>, as the metric defines it"},
        notes=(
            "A filter is part of the condition: the same generations under two filters are two points.",
            "With repeats > 1 lm-eval scores one filtered answer a document: the other answers have no label.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file and, for samples, the results file of the same run beside it; or all such files of a folder."""
        found = files_under(path, ("results_*.json", "samples_*.jsonl"), "results_*.json or samples_*.jsonl")
        named = [file for file in found if _SAMPLES.fullmatch(file.name) or _RESULTS.fullmatch(file.name)]
        if not named:
            raise IsocostError(
                "is not named as lm-eval names its files",
                where=str(path),
                remedy="Keep the names results_<time>.json and samples_<task>_<time>.jsonl",
            )
        return named

    def records(self, source: Source) -> Iterator[Row]:
        """Samples of every task, then the summary numbers of every results file."""
        runs = {}
        for file in source.files:
            if match := _RESULTS.fullmatch(file.name):
                source.at = str(file)
                runs[file.parent, match["stamp"]] = (file, as_object(load_json(file), str(file)))
        for file in source.files:
            if match := _SAMPLES.fullmatch(file.name):
                # The answers of a greedy run come again word for word: only the time in its name tells two runs apart.
                source.run = f"{match['stamp']} {source.file_run(file)}"
                run = runs.get((file.parent, match["stamp"]))
                if run is None:
                    source.warnings.append(
                        f"{file.name}: no results file of the same run, so model, task version, prompt and sampling are not known from it"
                    )
                yield from _samples(source, file, match["task"], _run_facts(run[1] if run else {}, match["task"], file))
        for (_, stamp), (file, document) in runs.items():
            source.run = f"{stamp} {source.file_run(file)}"
            yield from _aggregates(source, file, document)


def _run_facts(document: dict[str, Any], task: str, file: Path) -> dict[str, Any]:
    """Provenance of one task of one run."""
    if not document:
        return {"task": task}
    config = as_object(document.get("configs", {}).get(task, {}), f"{file}, configs.{task}")
    shots = document.get("n-shot", {}).get(task)
    template = {
        "doc_to_text": config.get("doc_to_text"),
        "doc_to_target": config.get("doc_to_target"),
        "description": config.get("description"),
        "fewshot_delimiter": config.get("fewshot_delimiter"),
        "num_fewshot": shots,
        "system_instruction": document.get("system_instruction"),
        "chat_template_sha": document.get("chat_template_sha"),
        "fewshot_as_multiturn": document.get("fewshot_as_multiturn"),
    }
    sampling = config.get("generation_kwargs")
    if sampling is None and config.get("output_type"):
        sampling = {"method": config["output_type"]}  # log-likelihoods: nothing is drawn
    return {
        "task": task,
        "model_variant": document.get("model_name") or document.get("config", {}).get("model"),
        "task_version": document.get("versions", {}).get(task),
        "prompt": f"lm_eval:{task}:{shots}-shot" if config else None,
        "prompt_hash": text_hash(repr(sorted(template.items()))) if config else None,
        "sampling": sampling,
    }


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    for column in ("task", "model_variant", "task_version", "prompt", "prompt_hash"):
        row.text(column, facts.get(column))
    row.json("sampling", facts.get("sampling"))


def _samples(source: Source, file: Path, task: str, facts: dict[str, Any]) -> Iterator[Row]:
    seen: set[tuple[str, str]] = set()
    for number, value in iter_json_lines(file):
        place = f"line {number}"
        where = f"{file}, {place}"
        filter_name = str(value.get("filter", "none"))
        key = (str(value["doc_id"]), filter_name)
        if key in seen:
            raise IsocostError(
                f"document {key[0]} comes twice under filter {filter_name!r}", where=where, remedy="The file holds two runs; split it"
            )
        seen.add(key)
        answers = _answers(value, where)
        for index, answer in enumerate(answers or [None]):
            row = source.row("sample", file, place)
            _put_facts(row, facts)
            if facts.get("sampling") is None:
                row.json("sampling", _request_sampling(value))
            row.json("condition", {"filter": filter_name})
            _put_document(row, value)
            row.text("output_text", answer)
            if len(answers) > 1:
                row.integer("sample_index", index)
            _put_verdict(row, value, index, len(answers))
            yield row


def _answers(value: dict[str, Any], where: str) -> list[str]:
    """The generated texts of a document: all repeats of its one request; none for log-likelihood requests."""
    requests = as_list(value.get("resps"), f"{where}, resps")
    if len(requests) != 1:
        return []
    repeats = requests[0] if isinstance(requests[0], list) else [requests[0]]
    return repeats if all(isinstance(item, str) for item in repeats) else []


def _request_sampling(value: dict[str, Any]) -> dict[str, Any] | None:
    arguments = value.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    last = first.get("arg_1") if isinstance(first, dict) else None
    return last if isinstance(last, dict) else None


def _put_document(row: Row, value: dict[str, Any]) -> None:
    row.text("problem_source_id", value["doc_id"])
    document = value.get("doc")
    arguments = value.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    prompt = first.get("arg_0") if isinstance(first, dict) else None
    question = document.get("question", document.get("problem")) if isinstance(document, dict) else None
    row.whole("problem_text", question if question is not None else prompt)
    row.whole("reference", value.get("target"))


def _put_verdict(row: Row, value: dict[str, Any], index: int, repeats: int) -> None:
    names = [name for name in value.get("metrics", []) if isinstance(name, str)]
    name = next((name for name in _PREFERRED if name in names), names[0] if names else None)
    score = value.get(name) if name else None
    filtered = value.get("filtered_resps")
    first = filtered[0] if isinstance(filtered, list) and filtered else filtered
    extra = {key: value[key] for key in ("doc_hash", "prompt_hash", "target_hash") if key in value}
    extra["metrics"] = {metric: value.get(metric) for metric in names}
    if not isinstance(row.values.get("output_text"), str):
        extra["resps"] = value.get("resps")
    if repeats > 1 and (index > 0 or isinstance(first, list)):
        # One verdict for all repeats (take_first scores answer 0; other filters score the group): no verdict on this answer alone.
        row.null("label_correct", "one_verdict_for_all_repeats")
    elif isinstance(score, bool | int | float):
        row.label(score, name)
        row.whole("answer", first)
    elif name:
        row.null("label_correct", "metric_is_no_number")
    row.json("extra", extra)


def _aggregates(source: Source, file: Path, document: dict[str, Any]) -> Iterator[Row]:
    results = as_object(document.get("results"), f"{file}, results")
    for task in sorted(results):
        facts = _run_facts(document, task, file)
        counted = document.get("n-samples", {}).get(task, {})
        for key, value in sorted(as_object(results[task], f"{file}, results.{task}").items()):
            if "," not in key:
                continue
            metric, filter_name = key.rsplit(",", 1)
            row = source.row("aggregate", file, f"results.{task}.{key}")
            _put_facts(row, facts)
            row.json("condition", {"filter": filter_name})
            row.text("metric_name", metric)
            if isinstance(value, str):
                row.null("metric_value", f"source_writes_{value[:20]}")
            else:
                row.number("metric_value", value)
            row.json("extra", counted if isinstance(counted, dict) else None)
            yield row
