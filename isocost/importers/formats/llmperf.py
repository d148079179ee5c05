"""llmperf: individual responses and their summary.

Traps: failed requests carry an error code and zeros; the summary writes some numbers as text; the
    mean gap includes the time to first token; the model and the load are only in the summary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_object, load_json
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

_NUMBERS = ("results_",)
_REQUESTS, _SUMMARY = "_individual_responses", "_summary"


@register
class LlmPerf(Importer):
    """One file of individual responses or one summary, or a folder of both."""

    name = "llmperf"
    version = 2
    title = "ray-project/llmperf: individual responses (a list) and summaries (an object)"
    harmless: ClassVar[Mapping[str, str]] = {
        "version": "of the file's form",
        "name": "how the files are called",
        "timestamp": "when it ran",
        "model": "the model has a column of its own",
        "additional_sampling_params": "the sampling",
        "num_completed_requests": "how many requests were made",
        "max_num_completed_requests": "how many requests were made",
    }
    marks = (
        frozenset({"number_input_tokens", "ttft_s"}),
        frozenset({"results_ttft_s_mean"}),
    )
    conventions = Conventions(
        units={
            "ttft_s": "ttft_s, s",
            "inter_token_s": "inter_token_latency_s, s",
            "latency_s": "end_to_end_latency_s, s",
        },
        latency_meaning="client: end_to_end_latency_s, from sending the request to its end",
        notes=("Requests have no verdict: they measure time and tokens, not accuracy.",),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every JSON file of the folder."""
        return files_under(path, ("*.json",), "llmperf result")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Requests of lists, summary numbers of objects."""
        documents = {}
        for file in source.files:
            source.at = str(file)
            documents[file] = load_json(file)
        summaries = {
            _run_of(file): value
            for file, value in documents.items()
            if isinstance(value, dict) and "model" in value
        }
        for file, document in documents.items():
            summary = summaries.get(_run_of(file), {})
            # A run's two files are one run: both are named after its requests.
            twin = next(
                (
                    other
                    for other in documents
                    if _run_of(other) == _run_of(file) and isinstance(documents[other], list)
                ),
                file,
            )
            source.run = source.file_run(twin)
            if isinstance(document, list):
                for index, request in enumerate(document):
                    yield _request(
                        source,
                        file,
                        index,
                        as_object(request, f"{file}, [{index}]"),
                        self._facts(summary),
                    )
            elif document is summary:
                yield from _summary(source, file, document, self._facts(summary))
            else:
                raise IsocostError(
                    "is neither a list of responses nor a summary of llmperf", where=str(file)
                )

    def _facts(self, summary: dict[str, Any]) -> dict[str, Any]:
        settings = {key: value for key, value in summary.items() if not key.startswith(_NUMBERS)}
        sampling = summary.get("additional_sampling_params")
        return {
            "model": summary.get("model"),
            "condition": stated_settings(settings, self.harmless),
            "sampling": sampling if isinstance(sampling, dict) else None,
        }


def _run_of(file: Path) -> tuple[Path, str]:
    """What the two files of one run share: their folder, and the start of their name."""
    return file.parent, file.stem.removesuffix(_REQUESTS).removesuffix(_SUMMARY)


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.text("model_variant", facts["model"])
    row.condition(facts["condition"])
    row.json("sampling", facts["sampling"])


def _request(
    source: ImportInput, file: Path, index: int, request: dict[str, Any], facts: dict[str, Any]
) -> Row:
    row = source.row("request", file, f"[{index}]")
    _put_facts(row, facts)
    row.text("problem_source_id", f"request-{index}")
    row.integer("prompt_tokens", request["number_input_tokens"])
    if request.get("error_code") is not None or request.get("error_msg"):
        row.text("error", f"{request.get('error_code')}: {request.get('error_msg')}")
        for column in ("ttft_s", "inter_token_s", "latency_s", "output_tokens"):
            row.null(column, "failed_request")
        return row
    row.integer("output_tokens", request["number_output_tokens"])
    row.integer("total_tokens", request.get("number_total_tokens"))
    row.seconds("ttft_s", request["ttft_s"])
    row.seconds("inter_token_s", request.get("inter_token_latency_s"))
    row.seconds("latency_s", request["end_to_end_latency_s"])
    return row


def _summary(
    source: ImportInput, file: Path, document: dict[str, Any], facts: dict[str, Any]
) -> Iterator[Row]:
    for key, value in sorted(document.items()):
        if not key.startswith(_NUMBERS) or isinstance(value, dict | list | bool):
            continue
        row = source.row("aggregate", file, key)
        _put_facts(row, facts)
        row.text("metric_name", key.removeprefix("results_"))
        if key.endswith("_frequency"):  # a mapping, written as text
            row.null("metric_value", "value_is_a_mapping")
            row.json("extra", {key: value})
        else:
            row.number("metric_value", value)
        if "_s_" in key:
            row.text("metric_unit", "s")
        yield row
