"""Inspect AI logs, as JSON or as ``.eval`` archives.

Traps: scores are letters (C, I, P, N), numbers, booleans or mappings; (id, epoch) is the sample, retries are not epochs; long
texts may be attachments; a log of a cancelled run is half a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import CheckedZip, as_list, as_object, load_json
from isocost.bank.importers.row import Row
from isocost.bank.importers.usage import put_usage
from isocost.errors import IsocostError
from isocost.hashing import text_hash

_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_ATTACHMENT = re.compile(r"(?:attachment|tc)://([0-9a-f]{16,64})")
# Settings of the client, not of the draw.
_NOT_SAMPLING = {"max_connections", "max_retries", "timeout", "attempt_timeout", "cache", "batch", "max_tool_output"}


@register
class InspectAi(Importer):
    """One log, or a folder of logs."""

    name = "inspect_ai"
    title = "Inspect AI logs: .eval archives and .json"
    marks = (
        frozenset({"eval", "plan"}),
        frozenset({"eval", "status"}),
    )
    names = ("*.eval",)
    conventions = Conventions(
        units={
            "latency_s": "output.time, s",
            "prompt_tokens": "output.usage.input_tokens, and cache reads and writes where the provider counts them beside it",
            "output_tokens": "output.usage.output_tokens",
        },
        latency_meaning="the last model call of the sample, as Inspect timed it (output.time); sample totals are in extra",
        notes=("Several scorers make several points (condition.scorer).", "Letters: C is 1, P is 0.5, I and N are 0."),
    )

    def files(self, path: Path) -> list[Path]:
        """The log, or every .eval and .json of a folder."""
        return files_under(path, ("*.eval", "*.json"), "Inspect log (.eval or .json)")

    def records(self, source: Source) -> Iterator[Row]:
        """Samples of every log, then its metrics."""
        for file in source.files:
            source.at = str(file)
            if file.suffix == ".eval":
                archive = CheckedZip(file)
                try:
                    yield from _archive_rows(source, file, archive)
                finally:
                    archive.close()
            else:
                document = as_object(load_json(file), str(file))
                samples = document.get("samples") or []
                yield from _log_rows(source, file, document, ((None, item) for item in as_list(samples, f"{file}, samples")))


def _archive_rows(source: Source, file: Path, archive: CheckedZip) -> Iterator[Row]:
    if "header.json" in archive.members:
        header = as_object(archive.json("header.json"), f"{file}, header.json")
    elif "_journal/start.json" in archive.members:
        # A run that was killed has no header; what it sealed is still there.
        header = {**as_object(archive.json("_journal/start.json"), f"{file}, _journal/start.json"), "status": "started"}
    else:
        raise IsocostError("holds neither header.json nor _journal/start.json", where=str(file), remedy="Check that it is an Inspect log")
    members = sorted(name for name in archive.members if name.startswith("samples/") and name.endswith(".json"))
    yield from _log_rows(source, file, header, ((name, archive.json(name)) for name in members))


def _log_rows(source: Source, file: Path, header: dict[str, Any], samples: Iterator[tuple[str | None, Any]]) -> Iterator[Row]:
    facts = _facts(header, file)
    source.run = _run_of(header)
    if header.get("status") != "success":
        source.warnings.append(f"{file.name}: the run's status is {str(header.get('status'))[:40]!r}; not every sample may be there")
    seen: set[tuple[str, int]] = set()
    found = 0
    for position, (member, sample) in enumerate(samples):
        place = f"member {member}" if member else f"samples[{position}]"
        sample = as_object(sample, f"{file}, {place}")
        key = (str(sample["id"]), int(sample.get("epoch", 1)))
        if key in seen:
            raise IsocostError(f"sample {key[0]!r} of epoch {key[1]} comes twice", where=f"{file}, {place}")
        seen.add(key)
        for row in _sample_rows(source, file, place, sample, facts):
            found += 1
            yield row
    for row in _metric_rows(source, file, header, facts):
        found += 1
        yield row
    if not found:
        source.warnings.append(f"{file.name}: neither samples nor metrics")


def _run_of(header: dict[str, Any]) -> str | None:
    """The run's own id. A retry of a log keeps its task_id and takes over its finished samples: both logs are one run."""
    run = header["eval"]
    return next((f"{key}:{run[key]}" for key in ("task_id", "eval_id", "run_id") if isinstance(run.get(key), str) and run[key]), None)


def _facts(header: dict[str, Any], file: Path) -> dict[str, Any]:
    if "eval" not in header:
        raise IsocostError("has no key 'eval': it is no Inspect log", where=str(file))
    run = as_object(header["eval"], f"{file}, eval")
    plan = as_object(header.get("plan") or {}, f"{file}, plan")
    sampling = {**(run.get("model_generate_config") or {}), **(plan.get("config") or {})}
    sampling = {key: value for key, value in sampling.items() if key not in _NOT_SAMPLING and value is not None}
    steps = as_list(plan.get("steps") or [], f"{file}, plan.steps")
    solvers = "+".join(str(step.get("solver")) for step in steps if isinstance(step, dict))
    return {
        "model_variant": run.get("model"),
        "task": run.get("task"),
        "task_version": run.get("task_version"),
        "prompt": f"inspect:{solvers}" if steps else None,
        "prompt_hash": text_hash(repr(steps)) if steps else None,
        # An empty configuration means the provider's defaults, which the log does not hold.
        "sampling": sampling or None,
    }


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    for column in ("task", "model_variant", "task_version", "prompt", "prompt_hash"):
        row.text(column, facts[column])
    row.json("sampling", facts["sampling"])


def _sample_rows(source: Source, file: Path, place: str, sample: dict[str, Any], facts: dict[str, Any]) -> Iterator[Row]:
    scores = sample.get("scores") or {}
    if "score" in sample and not scores:
        scores = {"score": sample["score"]}  # logs of version 1
    scores = as_object(scores, f"{file}, {place}, scores")
    for scorer in sorted(scores) or [None]:
        row = source.row("sample", file, place)
        _put_facts(row, facts)
        if len(scores) > 1:
            row.json("condition", {"scorer": scorer})
        _put_sample(row, sample)
        if scorer is not None and scores[scorer] is not None:
            _put_score(row, scorer, as_object(scores[scorer], f"{row.where}, scores.{scorer}"))
        yield row


def _put_sample(row: Row, sample: dict[str, Any]) -> None:
    attachments = sample.get("attachments") or {}
    row.text("problem_source_id", sample["id"])
    row.integer("sample_index", int(sample.get("epoch", 1)) - 1)
    row.whole("problem_text", _resolved(_message_text(sample.get("input")), attachments))
    row.whole("reference", _resolved(sample.get("target"), attachments))
    output = sample.get("output") or {}
    choices = as_list(output.get("choices") or [], f"{row.where}, output.choices")
    if choices:
        choice = as_object(choices[0], f"{row.where}, output.choices[0]")
        message = as_object(choice.get("message") or {}, f"{row.where}, output.choices[0].message")
        row.text("output_text", _resolved(_content_text(message.get("content")), attachments))
        row.text("finish_reason", choice.get("stop_reason"))
        row.number("logprob_sum", _logprob_sum(choice.get("logprobs")))
    put_usage(row, as_object(output.get("usage") or {}, f"{row.where}, output.usage"))
    row.seconds("latency_s", output.get("time"))
    error = sample.get("error") or output.get("error")
    row.text("error", error.get("message") if isinstance(error, dict) else error)
    kept = ("total_time", "working_time", "error_retries", "model_usage", "limit", "uuid", "metadata", "choices")
    row.json("extra", {key: sample[key] for key in kept if sample.get(key) not in (None, [], {})})


def _put_score(row: Row, scorer: str, score: dict[str, Any]) -> None:
    value = score.get("value")
    row.whole("answer", score.get("answer"))
    row.text("label_name", scorer)
    if isinstance(value, str) and value in _LETTERS:
        value = _LETTERS[value]
    if isinstance(value, bool):
        value = float(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            row.null("label_score", "score_is_text")
            return
    if isinstance(value, dict | list):
        row.null("label_score", "score_has_several_values")
    elif value is not None:
        row.label(value, scorer)


def _metric_rows(source: Source, file: Path, header: dict[str, Any], facts: dict[str, Any]) -> Iterator[Row]:
    results = header.get("results") or {}
    scores = results.get("scores")
    if scores is None and results.get("metrics"):
        scores = [{"name": (results.get("scorer") or {}).get("name"), "metrics": results["metrics"]}]  # logs of version 1
    for position, score in enumerate(as_list(scores or [], f"{file}, results.scores")):
        for name, metric in sorted(as_object(score.get("metrics") or {}, f"{file}, results.scores[{position}].metrics").items()):
            row = source.row("aggregate", file, f"results.scores[{position}].metrics.{name}")
            _put_facts(row, facts)
            row.json("condition", {"scorer": score.get("name"), "reducer": score.get("reducer")})
            row.text("metric_name", name)
            row.number("metric_value", metric["value"] if isinstance(metric, dict) else metric)
            row.json("extra", {key: results.get(key) for key in ("total_samples", "completed_samples") if key in results})
            yield row


def _message_text(value: Any) -> Any:
    if isinstance(value, list):
        texts = [_content_text(item.get("content")) for item in value if isinstance(item, dict)]
        return "\n\n".join(text for text in texts if text)
    return value


def _content_text(content: Any) -> str | None:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return content


def _resolved(value: Any, attachments: Any) -> Any:
    if isinstance(value, str) and isinstance(attachments, dict) and (match := _ATTACHMENT.fullmatch(value)):
        return attachments.get(match[1], value)
    return value


def _logprob_sum(logprobs: Any) -> float | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return sum(float(token["logprob"]) for token in content) if content else None
