"""ML.ENERGY benchmark ``results.json``.

Traps: the energy of a request is not a measurement but its share of the steady state by tokens;
    failed
requests carry zeros; the settings are also written into the folder's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import dropwhile
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_list, as_object, load_json
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

_AGGREGATES = {
    "duration": "s",
    "steady_state_duration": "s",
    "steady_state_energy": "J",
    "steady_state_energy_per_token": "J",
    "total_input_tokens": "tokens",
    "total_output_tokens": "tokens",
    "request_throughput": None,
    "output_throughput": None,
    "total_token_throughput": None,
    "completed": None,
}
_RESULTS = ("results", "timeline", "date")
_SETTINGS = (
    "num_gpus",
    "max_num_seqs",
    "max_num_batched_tokens",
    "max_output_tokens",
    "request_rate",
    "burstiness",
    "max_concurrency",
    "num_request_repeats",
    "num_requests",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "max_model_len",
    "temperature",
    "top_p",
)
_SHARE = (
    "share of the steady-state GPU energy by output tokens (steady_state_energy_per_token *"
    " output_len)"
)


@register
class MlEnergy(Importer):
    """One results.json, or a folder of runs."""

    name = "ml_energy"
    version = 2
    title = "ML.ENERGY benchmark results.json"
    harmless: ClassVar[Mapping[str, str]] = {
        "model_id": "the model has a column of its own",
        "date": "when it ran",
        "seed": "which draws were made, not what they were drawn from",
        "base_url": "a server on the same machine",
        "*_path": "path of files",
        "*_dir": "path of files",
    }
    marks = (
        frozenset({"model_id", "steady_state_energy"}),
        frozenset({"model_id", "max_output_tokens", "results"}),
    )
    conventions = Conventions(
        units={
            "latency_s": "latency, s",
            "ttft_s": "ttft, s",
            "inter_token_s": "mean of itl, s",
            "energy_j": "energy, J",
            "power_w": "W",
        },
        latency_meaning="client: latency of the request",
        energy_method="steady_state_token_share",
        notes=(
            "energy_j is " + _SHARE + ": it is not measured for the request.",
            "Outputs are stored by the source but never scored.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every results.json of a folder."""
        return files_under(path, ("results.json",), "results.json of ML.ENERGY")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Requests, summary numbers and the power timeline of every run."""
        for file in source.files:
            source.at = str(file)
            document = as_object(load_json(file), str(file))
            if "model_id" not in document or not document.keys() & {
                "results",
                "steady_state_energy",
            }:
                raise IsocostError(
                    "has no model_id with results of requests: it is not a result of ML.ENERGY",
                    where=str(file),
                )
            facts = self._facts(document)
            for index, request in enumerate(
                as_list(document.get("results") or [], f"{file}, results")
            ):
                yield _request(
                    source, file, index, as_object(request, f"{file}, results[{index}]"), facts
                )
            for key, unit in _AGGREGATES.items():
                if document.get(key) is not None:
                    yield _aggregate(source, file, key, document[key], unit, facts)
            if document.get("steady_state_energy") is not None:
                yield _window(source, file, document, facts)
            yield from _power(source, file, document, facts)

    def _facts(self, document: dict[str, Any]) -> dict[str, Any]:
        """Model, hardware and all other settings: neither results nor harmless values."""
        stated = {
            key: value
            for key, value in document.items()
            if key not in _AGGREGATES and key not in _RESULTS
        }
        boards = document.get("num_gpus"), document.get("gpu_model")
        hardware = (
            " x ".join(str(part) for part in boards if part is not None) if boards[1] else None
        )
        # An unknown number is a result of the run; words and switches are settings.
        settings = {
            key: value
            for key, value in stated_settings(stated, self.harmless).items()
            if key in _SETTINGS or isinstance(value, str | bool)
        }
        return {
            "model": document["model_id"],
            "condition": settings | ({"hardware": hardware} if hardware else {}),
        }


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.text("model_variant", facts["model"])
    row.condition(facts["condition"])


def _request(
    source: ImportInput, file: Path, index: int, request: dict[str, Any], facts: dict[str, Any]
) -> Row:
    row = source.row("request", file, f"results[{index}]")
    _put_facts(row, facts)
    row.text("problem_source_id", f"request-{index}")
    row.whole("problem_text", request.get("prompt"))
    row.integer("prompt_tokens", request.get("input_len"))
    if not request.get("success", True):
        row.text("error", request.get("error") or "success is false")
        for column in ("ttft_s", "latency_s", "energy_j", "output_tokens"):
            row.null(column, "failed_request")
        row.text("energy_unknown_reason", "failed_request")
        return row
    row.text("output_text", request.get("output_text"))
    row.integer("output_tokens", request.get("output_len"))
    row.seconds("latency_s", request.get("latency"))
    row.seconds("ttft_s", request.get("ttft"))
    gaps = list(
        dropwhile(lambda gap: not gap, as_list(request.get("itl") or [], f"{row.where}, itl"))
    )
    if gaps:
        # Tokens that came in one chunk have gaps of 0 and share the chunk's: the mean is over all
        # of them, from the first gap on.
        row.seconds("inter_token_s", sum(gaps) / len(gaps))
    elif request.get("itl"):
        row.null("inter_token_s", "all_gaps_are_zero")
    row.number("energy_j", request.get("energy"), unit="J", low=0.0, sentinel=-1.0)
    if row.values.get("energy_j") is None:
        row.text("energy_unknown_reason", "source_says_unknown")
    row.json(
        "extra",
        {
            key: request[key]
            for key in ("reasoning_output_text", "dataset_output_len")
            if request.get(key)
        },
    )
    return row


def _aggregate(
    source: ImportInput, file: Path, key: str, value: Any, unit: str | None, facts: dict[str, Any]
) -> Row:
    row = source.row("aggregate", file, key)
    _put_facts(row, facts)
    row.text("metric_name", key)
    row.number("metric_value", value, unit=unit)
    row.text("metric_unit", unit)
    return row


def _window(
    source: ImportInput, file: Path, document: dict[str, Any], facts: dict[str, Any]
) -> Row:
    """The steady state as a window.

    Its energy, its length, and the tokens that its energy per token implies.
    """
    row = source.row("aggregate", file, "steady_state")
    _put_facts(row, facts)
    row.text("metric_name", "window_energy")
    row.text("metric_unit", "J")
    row.number("metric_value", document["steady_state_energy"], unit="J", low=0.0)
    row.number("energy_j", document["steady_state_energy"], unit="J", low=0.0)
    row.text("energy_method", "zeus_gpu_energy")
    row.seconds("latency_s", document.get("steady_state_duration"))
    row.text("latency_meaning", "the steady state")
    share = document.get("steady_state_energy_per_token")
    if isinstance(share, int | float) and share > 0 and row.values.get("energy_j"):
        row.integer("output_tokens", round(row.values["energy_j"] / share))
    row.json("extra", {"window_kind": "steady"})
    return row


def _power(
    source: ImportInput, file: Path, document: dict[str, Any], facts: dict[str, Any]
) -> Iterator[Row]:
    power = ((document.get("timeline") or {}).get("power") or {}).get("device_instant") or {}
    for device in sorted(as_object(power, f"{file}, timeline.power.device_instant")):
        for index, pair in enumerate(power[device]):
            row = source.row("telemetry", file, f"timeline.power.device_instant.{device}[{index}]")
            _put_facts(row, facts)
            row.text("device", device)
            row.number("started_unix_s", pair[0], low=0.0)
            row.number("power_w", pair[1], low=0.0, sentinel=-1.0)
            yield row
