"""evalscope output folders: predictions and reviews, joined by index within one run.

Traps: a repeat is a further line of the same group; the verdict of a benchmark is the value of its
main metric, the first one where none is named; a resumed run appends, so the later of two lines
with the same index counts; counts and times of 0 mean unknown; a request for n completions has one
verdict, one usage and one time for all of them; an empty extracted_prediction means no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.evalscope_run import (
    DATASET_HARMLESS,
    HARMLESS,
    SAMPLING_HARMLESS,
    Run,
    kind_of_file,
    report_rows,
    runs_of,
    settings_of,
)
from isocost.importers.reading import as_list, as_object, iter_json_lines
from isocost.importers.row import Row
from isocost.importers.usage import put_usage

_COSTS = (
    "prompt_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "total_tokens",
    "latency_s",
    "ttft_s",
)


@register
class EvalScope(Importer):
    """An output folder with predictions and reviews, or a folder of such folders.

    Files are predictions/<model>/<set>.jsonl and reviews/<model>/<set>.jsonl.
    """

    name = "evalscope"
    version = 3
    title = "evalscope: predictions and reviews (JSON Lines), task configuration and reports"
    marks = (
        frozenset({"index", "model_output"}),
        frozenset({"index", "sample_score"}),
    )
    harmless: ClassVar[Mapping[str, str]] = {
        **HARMLESS,
        **{f"generation_config.{name}": why for name, why in SAMPLING_HARMLESS.items()},
        **{f"dataset_args.*.{name}": why for name, why in DATASET_HARMLESS.items()},
    }
    conventions = Conventions(
        units={
            "latency_s": "perf_metrics.latency, s, else model_output.time, s",
            "ttft_s": "perf_metrics.ttft, s",
        },
        latency_meaning="client: perf_metrics.latency of the request, else model_output.time",
        notes=(
            "Model and data set come from the folder and file names.",
            (
                "A verdict, a usage or a time of a request for several completions is kept in "
                "extra.group and not assigned to any of them."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """Predictions, reviews, reports and task configurations of every run."""
        if not path.is_dir():
            raise IsocostError(
                "is not a folder",
                where=str(path),
                remedy="Give evalscope's output folder, which contains predictions/ and reviews/",
            )
        patterns = ("*.jsonl", "*.json", "*.yaml", "*.yml")
        kinds = {
            file: kind_of_file(PurePosixPath(file.relative_to(path).as_posix()))
            for file in files_under(path, patterns, "predictions")
        }
        if "predictions" not in kinds.values():
            raise IsocostError(
                "contains no predictions",
                where=str(path),
                remedy="Looked for predictions/<model>/<set>.jsonl",
            )
        return [file for file, kind in kinds.items() if kind is not None]

    def records(self, source: ImportInput) -> Iterator[Row]:
        """The samples of every prediction with its review, then the reports' numbers.

        Run by run.
        """
        for run in runs_of(source):
            if not run.config:
                source.warnings.append(
                    f"{run.root}: no configs/task_config.yaml: its settings are not known, give"
                    " them with --condition"
                )
            for name, file in run.files["predictions"].items():
                yield from self._predictions(source, run, name, file)
            for name in run.files["reviews"].keys() - run.files["predictions"].keys():
                source.warnings.append(
                    f"{source.relative(run.files['reviews'][name])}: reviews without predictions"
                )
            yield from report_rows(source, run)

    def _predictions(self, source: ImportInput, run: Run, name: str, file: Path) -> Iterator[Row]:
        verdicts = _reviews(run.files["reviews"].get(name))
        if not verdicts:
            source.warnings.append(f"{source.relative(file)}: no reviews")
        condition, sampling = settings_of(run, file.stem)
        last = {str(value.get("index")): number for number, value in iter_json_lines(file)}
        replaced = several = 0
        for number, value in iter_json_lines(file):
            index = str(value.get("index"))
            rows = list(self._samples(source, run, file, (number, value, verdicts.get(index))))
            several += len(rows) > 1
            replaced += last[index] != number
            for row in rows:
                row.condition(condition)
                row.json("sampling", sampling)
                if last[index] != number:
                    row.replaced(
                        f"replaced by line {last[index]}, as evalscope reads its own files"
                    )
                yield row
        relative = source.relative(file)
        if replaced:
            source.warnings.append(
                f"{relative}: {replaced} predictions replaced by a later line of the same index"
            )
        if several:
            source.warnings.append(
                f"{relative}: {several} requests for several completions: their verdicts, tokens "
                f"and times are not assigned to any sample"
            )
        if lone := len(verdicts.keys() - last.keys()):
            source.warnings.append(f"{relative}: {lone} reviews without a prediction")

    def _samples(
        self,
        source: ImportInput,
        run: Run,
        file: Path,
        line: tuple[int, dict[str, Any], dict[str, Any] | None],
    ) -> Iterator[Row]:
        """One row a completion."""
        number, value, review = line
        output = as_object(value.get("model_output") or {}, f"{file}, line {number}, model_output")
        choices = as_list(output.get("choices") or [], f"{file}, line {number}, choices")
        for position in range(max(len(choices), 1)):
            row = source.row(
                "sample",
                file,
                f"line {number}" if len(choices) < 2 else f"line {number}, choices[{position}]",
            )
            _put_prediction(row, file, value, output)
            if choices:
                _put_choice(
                    row, as_object(choices[position], f"{row.where}, choices[{position}]"), output
                )
            else:
                _put_costs(row, output, {})
            if review is not None:
                _put_review(row, review, run, self.no_answers)
            kept = {"metadata": value["metadata"]} if value.get("metadata") else {}
            if len(choices) > 1:
                kept["group"] = _spread(row, len(choices))
                _number(row, position, len(choices))
            row.json("extra", kept)
            yield row


def _reviews(file: Path | None) -> dict[str, dict[str, Any]]:
    return {str(value.get("index")): value for _, value in iter_json_lines(file)} if file else {}


def _put_prediction(row: Row, file: Path, value: dict[str, Any], output: dict[str, Any]) -> None:
    row.text("model_variant", value.get("model") or output.get("model") or file.parent.name)
    row.text("task", file.stem)
    row.text("problem_source_id", value["index"])
    row.text(
        "problem_text", _question(as_list(value.get("messages") or [], f"{row.where}, messages"))
    )
    row.text("error", output.get("error"))


def _put_choice(row: Row, choice: dict[str, Any], output: dict[str, Any]) -> None:
    message = as_object(choice.get("message") or {}, f"{row.where}, message")
    row.text("output_text", _content(message.get("content")))
    row.text("finish_reason", choice.get("stop_reason", choice.get("finish_reason")))
    _put_costs(row, output, message)
    tokens = as_object(choice.get("logprobs") or {}, f"{row.where}, logprobs").get("content")
    if tokens:
        row.number("logprob_sum", sum(token["logprob"] for token in tokens))


def _put_costs(row: Row, output: dict[str, Any], message: dict[str, Any]) -> None:
    usage = as_object(output.get("usage") or {}, f"{row.where}, usage")
    perf = as_object(
        output.get("perf_metrics") or message.get("perf_metrics") or {},
        f"{row.where}, perf_metrics",
    )
    put_usage(row, usage or perf)
    row.seconds("latency_s", perf.get("latency") or output.get("time"))
    row.seconds("ttft_s", perf.get("ttft"))


def _spread(row: Row, covers: int) -> dict[str, Any]:
    """Remove from a row what applies to all completions of its request; return it."""
    group: dict[str, Any] = {"covers": covers}
    columns = (
        *(("verdict", name) for name in ("label_correct", "label_score", "answer")),
        *(("usage", name) for name in _COSTS),
    )
    for kind, column in columns:
        if row.values.get(column) is None:
            continue
        name = {"label_correct": None, "label_score": "label"}.get(column, column)
        if name is not None:
            group[name] = row.values[column]
        row.null(column, f"{'time' if column.endswith('_s') else kind}_covers_{covers}_samples")
    row.reasons[:] = [reason for reason in row.reasons if reason != "answer:no_answer"]
    return group


def _number(row: Row, position: int, number: int) -> None:
    """The completion's number among all attempts at the problem."""
    row.integer("sample_index", row.values.get("sample_index", 0) * number + position)


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


def _put_review(row: Row, review: dict[str, Any], run: Run, no_answers: frozenset[str]) -> None:
    target = review.get("target")
    row.whole("reference", target[0] if isinstance(target, list) and len(target) == 1 else target)
    wrapper = as_object(review.get("sample_score") or {}, f"{row.where}, sample_score")
    score = as_object(wrapper.get("score") or {}, f"{row.where}, sample_score.score")
    row.extracted(score.get("extracted_prediction"), no_answers)
    values = as_object(score.get("value") or {}, f"{row.where}, sample_score.score.value")
    main = score.get("main_score_name")
    name = main if main in values else next(iter(values), None)
    if wrapper.get("group_id") is not None:
        row.text("problem_source_id", wrapper["group_id"])  # repeats of one problem share it
    row.integer("sample_index", wrapper.get("generation_index"))
    if name is not None:
        value = values[name]
        row.label(
            float(value) if isinstance(value, bool) else value,
            name,
            higher_is_better=False if name in run.lower_is_better else None,
        )
    else:
        row.null("label_correct", f"score_is_{str(score.get('status') or 'absent')[:20]}")
