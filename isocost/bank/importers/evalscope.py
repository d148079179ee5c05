"""evalscope output folders: predictions and reviews, joined by index.

Traps: a repeat is a further line of the same group; the verdict of a benchmark is the value of its main metric, the first one where
none is named; a resumed run appends, so that of two lines of one index the later counts; counts and times of 0 mean unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import as_list, as_object, iter_json_lines
from isocost.bank.importers.row import Row
from isocost.bank.importers.usage import put_usage
from isocost.errors import IsocostError


@register
class EvalScope(Importer):
    """An output folder with predictions/<model>/<set>.jsonl and reviews/<model>/<set>.jsonl."""

    name = "evalscope"
    title = "evalscope: predictions and reviews (JSON Lines)"
    marks = (
        frozenset({"index", "model_output"}),
        frozenset({"index", "sample_score"}),
    )
    conventions = Conventions(
        units={"latency_s": "perf_metrics.latency, s, else model_output.time, s", "ttft_s": "perf_metrics.ttft, s"},
        latency_meaning="client: perf_metrics.latency of the request, else model_output.time",
        notes=("Model and data set come from the folder and file names.",),
    )

    def files(self, path: Path) -> list[Path]:
        """Every JSON Lines file below predictions/ and reviews/."""
        if not path.is_dir():
            raise IsocostError(
                "is no folder", where=str(path), remedy="Give evalscope's output folder, which holds predictions/ and reviews/"
            )
        found = [file for file in files_under(path, ("*.jsonl",), "predictions or reviews") if {"predictions", "reviews"} & set(file.parts)]
        if not any("predictions" in file.parts for file in found):
            raise IsocostError("holds no predictions", where=str(path), remedy="Looked for predictions/<model>/<set>.jsonl")
        return found

    def records(self, source: Source) -> Iterator[Row]:
        """One sample a prediction, with its review where there is one."""
        reviews = {_key(file): file for file in source.files if "reviews" in file.parts}
        for file in source.files:
            if "predictions" not in file.parts:
                continue
            verdicts = _reviews(reviews.get(_key(file)))
            if not verdicts:
                source.warnings.append(f"{source.relative(file)}: no reviews")
            last = {str(value.get("index")): number for number, value in iter_json_lines(file)}
            replaced = 0
            for number, value in iter_json_lines(file):
                index = str(value.get("index"))
                row = _sample(source, file, number, value, verdicts.get(index))
                if last[index] != number:
                    replaced += 1
                    row.text("error", f"replaced by line {last[index]}, as evalscope reads its own files")
                yield row
            if replaced:
                source.warnings.append(f"{source.relative(file)}: {replaced} predictions replaced by a later line of the same index")
            if lone := len(verdicts.keys() - last.keys()):
                source.warnings.append(f"{source.relative(file)}: {lone} reviews without a prediction")


def _key(file: Path) -> tuple[str, str]:
    return file.parent.name, file.name


def _reviews(file: Path | None) -> dict[str, dict[str, Any]]:
    return {str(value.get("index")): value for _, value in iter_json_lines(file)} if file else {}


def _sample(source: Source, file: Path, number: int, value: dict[str, Any], review: dict[str, Any] | None) -> Row:
    row = source.row("sample", file, f"line {number}")
    output = as_object(value.get("model_output") or {}, f"{row.where}, model_output")
    row.text("model_variant", value.get("model") or output.get("model") or file.parent.name)
    row.text("task", file.stem)
    row.text("problem_source_id", value["index"])
    row.text("problem_text", _question(as_list(value.get("messages") or [], f"{row.where}, messages")))
    choices = output.get("choices") or []
    message: dict[str, Any] = {}
    if choices:
        choice = as_object(choices[0], f"{row.where}, choices[0]")
        message = as_object(choice.get("message") or {}, f"{row.where}, choices[0].message")
        row.text("output_text", _content(message.get("content")))
        row.text("finish_reason", choice.get("stop_reason", choice.get("finish_reason")))
    usage = as_object(output.get("usage") or {}, f"{row.where}, usage")
    perf = as_object(output.get("perf_metrics") or message.get("perf_metrics") or {}, f"{row.where}, perf_metrics")
    put_usage(row, usage or perf)
    row.seconds("latency_s", perf.get("latency") or output.get("time"))
    row.seconds("ttft_s", perf.get("ttft"))
    row.text("error", output.get("error"))
    if review is not None:
        _put_review(row, review)
    row.json("extra", {"metadata": value.get("metadata")} if value.get("metadata") else None)
    return row


def _question(messages: list[Any]) -> str | None:
    """What was asked: the user's messages up to the first answer."""
    texts = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") == "assistant":
            break
        if message.get("role") == "user":
            texts.append(str(_content(message.get("content")) or ""))
    return "\n\n".join(text for text in texts if text) or None


def _content(content: Any) -> Any:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content


def _put_review(row: Row, review: dict[str, Any]) -> None:
    target = review.get("target")
    row.whole("reference", target[0] if isinstance(target, list) and len(target) == 1 else target)
    wrapper = as_object(review.get("sample_score") or {}, f"{row.where}, sample_score")
    score = as_object(wrapper.get("score") or {}, f"{row.where}, sample_score.score")
    row.whole("answer", score.get("extracted_prediction"))
    values = as_object(score.get("value") or {}, f"{row.where}, sample_score.score.value")
    main = score.get("main_score_name")
    name = main if main in values else next(iter(values), None)
    if wrapper.get("group_id") is not None:
        row.text("problem_source_id", wrapper["group_id"])  # repeats of one problem share it
    row.integer("sample_index", wrapper.get("generation_index"))
    if name is not None:
        value = values[name]
        row.label(float(value) if isinstance(value, bool) else value, name)
    else:
        row.null("label_correct", f"score_is_{str(score.get('status') or 'absent')[:20]}")
