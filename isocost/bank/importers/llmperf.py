"""llmperf: individual responses and the summary beside them.

Traps: failed requests carry an error code and zeros; the summary writes some numbers as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import as_object, load_json
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError

# The rest of a summary is the caller's own metadata.
_NUMBERS = ("results_", "mean_", "stddev_", "num_")


@register
class LlmPerf(Importer):
    """One file of individual responses or one summary, or a folder of both."""

    name = "llmperf"
    title = "ray-project/llmperf: individual responses (a list) and summaries (an object)"
    marks = (
        frozenset({"number_input_tokens", "ttft_s"}),
        frozenset({"results_ttft_s_mean"}),
    )
    conventions = Conventions(
        units={"ttft_s": "ttft_s, s", "inter_token_s": "inter_token_latency_s, s", "latency_s": "end_to_end_latency_s, s"},
        latency_meaning="client: end_to_end_latency_s, from sending the request to its end",
        notes=("Requests carry no verdict: they tell time and tokens, not accuracy.",),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every JSON file of the folder."""
        return files_under(path, ("*.json",), "llmperf result")

    def records(self, source: Source) -> Iterator[Row]:
        """Requests of lists, summary numbers of objects."""
        for file in source.files:
            source.at = str(file)
            document = load_json(file)
            if isinstance(document, list):
                for index, request in enumerate(document):
                    yield _request(source, file, index, as_object(request, f"{file}, [{index}]"))
            elif isinstance(document, dict) and "model" in document:
                yield from _summary(source, file, document)
            else:
                raise IsocostError("is neither a list of responses nor a summary of llmperf", where=str(file))


def _request(source: Source, file: Path, index: int, request: dict[str, Any]) -> Row:
    row = source.row("request", file, f"[{index}]")
    row.text("problem_source_id", f"request-{index}")
    row.integer("prompt_tokens", request["number_input_tokens"])
    if request.get("error_code") is not None or request.get("error_msg"):
        row.text("error", f"{request.get('error_code')}: {request.get('error_msg')}")
        for column in ("ttft_s", "inter_token_s", "latency_s", "output_tokens"):
            row.null(column, "failed_request")
        return row
    row.integer("output_tokens", request["number_output_tokens"])
    row.seconds("ttft_s", request["ttft_s"])
    row.seconds("inter_token_s", request.get("inter_token_latency_s"))
    row.seconds("latency_s", request["end_to_end_latency_s"])
    return row


def _summary(source: Source, file: Path, document: dict[str, Any]) -> Iterator[Row]:
    for key, value in sorted(document.items()):
        if not key.startswith(_NUMBERS) or isinstance(value, dict | list | bool):
            continue
        row = source.row("aggregate", file, key)
        row.text("model_variant", document["model"])
        row.text("metric_name", key.removeprefix("results_"))
        if key.endswith("_frequency"):  # a mapping, written as text
            row.null("metric_value", "value_is_a_mapping")
            row.json("extra", {key: value})
        else:
            row.number("metric_value", value)
        if "_s_" in key:
            row.text("metric_unit", "s")
        yield row
