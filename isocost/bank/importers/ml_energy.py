"""ML.ENERGY benchmark ``results.json``.

Traps: the energy of a request is no measurement but its share of the steady state by tokens; failed requests carry zeros; the
settings are also written into the folder's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import as_list, as_object, load_json
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError

_CONDITION = (
    "gpu_model",
    "num_gpus",
    "max_num_seqs",
    "max_num_batched_tokens",
    "request_rate",
    "burstiness",
    "max_concurrency",
    "num_request_repeats",
)
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
_SHARE = "share of the steady-state GPU energy by output tokens (steady_state_energy_per_token * output_len)"


@register
class MlEnergy(Importer):
    """One results.json, or a folder of runs."""

    name = "ml_energy"
    title = "ML.ENERGY benchmark results.json"
    marks = (
        frozenset({"model_id", "steady_state_energy"}),
        frozenset({"model_id", "max_output_tokens", "results"}),
    )
    conventions = Conventions(
        units={"latency_s": "latency, s", "ttft_s": "ttft, s", "inter_token_s": "mean of itl, s", "energy_j": "energy, J", "power_w": "W"},
        latency_meaning="client: latency of the request",
        energy_method="steady_state_token_share",
        notes=("energy_j is " + _SHARE + ": it is not measured for the request.", "Outputs are stored by the source but never scored."),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every results.json of a folder."""
        return files_under(path, ("results.json",), "results.json of ML.ENERGY")

    def records(self, source: Source) -> Iterator[Row]:
        """Requests, summary numbers and the power timeline of every run."""
        for file in source.files:
            source.at = str(file)
            document = as_object(load_json(file), str(file))
            if "model_id" not in document or not document.keys() & {"results", "steady_state_energy"}:
                raise IsocostError("has no model_id with results of requests: it is no result of ML.ENERGY", where=str(file))
            facts = {
                "model": document["model_id"],
                "sampling": {key: document[key] for key in ("max_output_tokens", "seed") if document.get(key) is not None},
                "condition": {key: document[key] for key in _CONDITION if document.get(key) is not None},
            }
            for index, request in enumerate(as_list(document.get("results") or [], f"{file}, results")):
                yield _request(source, file, index, as_object(request, f"{file}, results[{index}]"), facts)
            for key, unit in _AGGREGATES.items():
                if document.get(key) is not None:
                    yield _aggregate(source, file, key, document[key], unit, facts)
            yield from _power(source, file, document, facts)


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.text("model_variant", facts["model"])
    row.json("condition", facts["condition"])


def _request(source: Source, file: Path, index: int, request: dict[str, Any], facts: dict[str, Any]) -> Row:
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
    gaps = list(dropwhile(lambda gap: not gap, as_list(request.get("itl") or [], f"{row.where}, itl")))
    if gaps:
        # Tokens that came in one chunk have gaps of 0 and share the chunk's: the mean is over all of them, from the first gap on.
        row.seconds("inter_token_s", sum(gaps) / len(gaps))
    elif request.get("itl"):
        row.null("inter_token_s", "all_gaps_are_zero")
    row.number("energy_j", request.get("energy"), unit="J", low=0.0, sentinel=-1.0)
    if row.values.get("energy_j") is None:
        row.text("energy_unknown_reason", "source_says_unknown")
    row.json("extra", {key: request[key] for key in ("reasoning_output_text", "dataset_output_len") if request.get(key)})
    return row


def _aggregate(source: Source, file: Path, key: str, value: Any, unit: str | None, facts: dict[str, Any]) -> Row:
    row = source.row("aggregate", file, key)
    _put_facts(row, facts)
    row.text("metric_name", key)
    row.number("metric_value", value, unit=unit)
    row.text("metric_unit", unit)
    return row


def _power(source: Source, file: Path, document: dict[str, Any], facts: dict[str, Any]) -> Iterator[Row]:
    power = ((document.get("timeline") or {}).get("power") or {}).get("device_instant") or {}
    for device in sorted(as_object(power, f"{file}, timeline.power.device_instant")):
        for index, pair in enumerate(power[device]):
            row = source.row("telemetry", file, f"timeline.power.device_instant.{device}[{index}]")
            _put_facts(row, facts)
            row.text("device", device)
            row.number("started_unix_s", pair[0], low=0.0)
            row.number("power_w", pair[1], low=0.0, sentinel=-1.0)
            yield row
