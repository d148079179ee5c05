"""AIPerf artifact folders: request records, GPU telemetry and accuracy exports.

Traps: failed requests have no metrics; every metric carries its own unit; the energy counter is in
megajoules since boot; timestamps are nanoseconds of the Unix clock; a graded sample and its request
are in two files and share an id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.clock import unix_seconds
from isocost.importers.reading import as_list, as_object, iter_json_lines, load_json
from isocost.importers.row import Row
from isocost.importers.settings import brief_settings, hosted, stated_settings
from isocost.importers.units import FACTORS

_SUMMARY, _REQUESTS, _GRADED = (
    "profile_export_aiperf.json",
    "profile_export.jsonl",
    "accuracy_export.jsonl",
)
_METRICS = {
    "time_to_first_token": "ttft_s",
    "inter_token_latency": "inter_token_s",
    "request_latency": "latency_s",
}
_TOKENS = {
    "input_sequence_length": "prompt_tokens",
    "output_sequence_length": "output_tokens",
    "reasoning_token_count": "reasoning_tokens",
    "usage_prompt_cache_read_tokens": "cached_tokens",
}
_COSTS = (
    "started_unix_s",
    "latency_s",
    "ttft_s",
    "inter_token_s",
    "prompt_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cached_tokens",
)
_POWER = ("nvidia_power_usage", "gpu_power_usage", "amd_power")
_ENERGY = ("nvidia_energy_consumption", "energy_consumption", "amd_energy_consumption")


@register
class AiPerf(Importer):
    """An artifact folder, one of its JSON Lines files, or its summary alone."""

    name = "aiperf"
    version = 2
    title = (
        "AIPerf artifacts: profile_export.jsonl, gpu_telemetry_export.jsonl, accuracy_export.jsonl,"
        " profile_export_aiperf.json"
    )
    harmless: ClassVar[Mapping[str, str]] = {
        "models": "the model has a column of its own",
        "endpoint.model_names": "the model has a column of its own",
        "endpoint.url*": "the provider",
        "endpoint.api_key": "who pays",
        "endpoint.timeout*": "how long to wait for a request",
        "output*": "where results are written",
        "artifacts*": "where results are written",
        "logging*": "how much is logged",
        "cli_command": "the other settings in words",
        "*random_seed": "which draws were made, not what they were drawn from",
        "input.headers*": "who asks",
        "loadgen.benchmark_duration": "how long it ran",
        "loadgen.benchmark_grace_period": "how long it waited at the end",
        "loadgen.request_count": "how many requests were made",
        "loadgen.warmup*": "requests before the measurement",
        "gpu_telemetry*": "whether power was read",
        "benchmark_id": "a name",
    }
    marks = (
        frozenset({"metadata", "metrics"}),
        frozenset({"telemetry_data"}),
        frozenset({"passed", "grader_name"}),
        frozenset({"input_config", "request_latency"}),
    )
    names = ("profile_export.jsonl", "profile_export_aiperf.json")
    conventions = Conventions(
        units={
            "ttft_s": "time_to_first_token, in the unit next to it",
            "latency_s": "request_latency, in the unit next to it",
            "power_w": "nvidia_power_usage, W",
            "metric_value": "energy counter, MJ since boot -> J",
        },
        latency_meaning="client: request_latency, from sending the request to its last response",
        energy_unknown_reason="telemetry_not_attributed_to_requests",
        notes=(
            (
                "Telemetry rows are device readings: the energy of the run is a window, none is"
                " attributed to single requests."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The three JSON Lines files and the summary, as far as they are there."""
        names = (_REQUESTS, "gpu_telemetry_export.jsonl", _GRADED, _SUMMARY)
        return files_under(path, names, "AIPerf export")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Records of every file, distinguished by their keys."""
        configs = {file.parent: _document(file) for file in source.files if file.name == _SUMMARY}
        for file in source.files:
            # All exports of an artifact folder are one run, named after its requests, or its
            # summary where they were not kept.
            folder = {other.name: other for other in source.files if other.parent == file.parent}
            source.run = source.file_run(folder.get(_REQUESTS) or folder.get(_SUMMARY) or file)
            facts = self._facts(configs.get(file.parent, {}), file)
            if file.name == _SUMMARY:
                yield from _summary(source, file, configs[file.parent], facts)
                continue
            costs = (
                _costs(source, folder[_REQUESTS])
                if file.name == _GRADED and _REQUESTS in folder
                else {}
            )
            for number, value in iter_json_lines(file):
                row = _row(source, file, number, value)
                if row.values["record_kind"] == "sample":
                    row.values |= costs.get(str(value.get("x_request_id")), {})
                _put_facts(row, facts)
                _put_phase(row, value)
                yield row

    def _facts(self, document: dict[str, Any], file: Path) -> dict[str, Any]:
        """Model and settings from the summary file of the records."""
        config = as_object(
            document.get("input_config") or document.get("config") or {}, f"{file}, input_config"
        )
        endpoint = as_object(config.get("endpoint") or {}, f"{file}, input_config.endpoint")
        urls = endpoint.get("urls") or endpoint.get("url") or []
        hosts = sorted(
            {host for url in (urls if isinstance(urls, list) else [urls]) if (host := hosted(url))}
        )
        condition = brief_settings(stated_settings(config, self.harmless)) | (
            {"provider": ",".join(hosts)} if hosts else {}
        )
        return {"model": _model(config, endpoint, file), "condition": condition}


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.text("model_variant", facts["model"])
    row.condition(facts["condition"])


def _summary(
    source: ImportInput, file: Path, document: dict[str, Any], facts: dict[str, Any]
) -> Iterator[Row]:
    """Summary numbers: every statistic of every metric, in its stated unit."""
    window = [document.get(key) for key in ("start_time", "end_time")]
    for tag, metric in sorted(document.items()):
        if not isinstance(metric, dict) or "unit" not in metric:
            continue
        for statistic, value in metric.items():
            if statistic == "unit" or value is None:
                continue
            row = source.row("aggregate", file, f"{tag}.{statistic}")
            _put_facts(row, facts)
            row.text(
                "metric_name",
                tag if statistic == "avg" and len(metric) == 2 else f"{tag}_{statistic}",
            )
            unit = str(metric["unit"])
            row.number("metric_value", value, unit=unit if unit in FACTORS else None)
            row.text("metric_unit", FACTORS[unit][0] if unit in FACTORS else unit)
            for column, text in zip(("started_unix_s", "ended_unix_s"), window, strict=True):
                if isinstance(text, str):
                    row.number(column, unix_seconds(text, f"{row.where}, {column}")[0])
            yield row


def _put_phase(row: Row, value: dict[str, Any]) -> None:
    """Warm-up and each of several phases with its own load are separate points."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return
    phase = metadata.get("benchmark_phase", "profiling")
    row.condition(
        {
            "benchmark_phase": None if phase == "profiling" else phase,
            "profiling_index": metadata.get("profiling_index") or None,
        }
    )


def _costs(source: ImportInput, file: Path) -> dict[str, dict[str, Any]]:
    """Tokens and times of every request by its id, for the graded sample that it answered."""
    found = {}
    for number, value in iter_json_lines(file):
        identity = as_object(value.get("metadata"), f"{file}, line {number}, metadata").get(
            "x_request_id"
        )
        if identity is not None:
            values = _row(source, file, number, value).values
            found[str(identity)] = {
                column: values[column] for column in _COSTS if values.get(column) is not None
            }
    return found


def _document(file: Path) -> dict[str, Any]:
    return as_object(load_json(file), str(file))


def _model(config: dict[str, Any], endpoint: dict[str, Any], file: Path) -> str | None:
    models = config.get("models") or {}  # since 0.12; endpoint.model_names before
    items = as_list(
        models.get("items") or [] if isinstance(models, dict) else [],
        f"{file}, input_config.models.items",
    )
    names = (
        [item.get("name") for item in items if isinstance(item, dict)]
        or endpoint.get("model_names")
        or []
    )
    return str(names[0]) if len(names) == 1 and isinstance(names, list) else None


def _row(source: ImportInput, file: Path, number: int, value: dict[str, Any]) -> Row:
    place = f"line {number}"
    if "telemetry_data" in value:
        return _telemetry(source.row("telemetry", file, place), value)
    if "metrics" in value:
        return _request(source.row("request", file, place), value)
    if "passed" in value:
        return _graded(source.row("sample", file, place), value)
    raise IsocostError(
        "is not an AIPerf record",
        where=f"{file}, {place}",
        remedy="Records have metrics (requests), telemetry_data (GPUs) or passed (accuracy)",
    )


def _request(row: Row, value: dict[str, Any]) -> Row:
    metadata = as_object(value.get("metadata"), f"{row.where}, metadata")
    metrics = as_object(value.get("metrics") or {}, f"{row.where}, metrics")
    row.text("problem_source_id", metadata.get("conversation_id", metadata.get("session_num")))
    row.number("started_unix_s", metadata.get("request_start_ns"), unit="ns", low=0.0)
    row.number("ended_unix_s", metadata.get("request_end_ns"), unit="ns", low=0.0)
    error = value.get("error")
    if error is not None:
        row.text(
            "error",
            (
                f"{error.get('code')} {error.get('type')}: {error.get('message')}"
                if isinstance(error, dict)
                else error
            ),
        )
    for tag, column in _METRICS.items():
        metric = metrics.get(tag)
        if error is not None:
            row.null(column, "failed_request")
        elif metric is not None:
            row.seconds(column, metric["value"], unit=str(metric.get("unit") or "ms"))
    for tag, column in _TOKENS.items():
        metric = metrics.get(tag)
        if metric is not None:
            row.integer(column, metric["value"])
    kept = {
        key: metadata[key]
        for key in ("session_num", "turn_index", "benchmark_phase", "was_cancelled", "x_request_id")
        if key in metadata
    }
    rest = {
        tag: metric for tag, metric in metrics.items() if tag not in _METRICS and tag not in _TOKENS
    }
    row.json("extra", {**kept, "metrics": rest})
    return row


def _telemetry(row: Row, value: dict[str, Any]) -> Row:
    data = as_object(value["telemetry_data"], f"{row.where}, telemetry_data")
    row.text("device", value.get("gpu_uuid", value.get("gpu_index")))
    row.number("started_unix_s", value.get("timestamp_ns"), unit="ns", low=0.0)
    power = next((name for name in _POWER if data.get(name) is not None), None)
    if power:
        row.number("power_w", data[power], unit="W", low=0.0, sentinel=-1.0)
    energy = next((name for name in _ENERGY if data.get(name) is not None), None)
    if energy:
        row.text("metric_name", "energy_counter_since_boot")
        row.number("metric_value", data[energy], unit="MJ", low=0.0)
        row.text("metric_unit", "J")
    rest = {key: item for key, item in data.items() if key not in (power, energy)}
    row.json(
        "extra",
        {
            **rest,
            **{
                key: value[key]
                for key in ("gpu_index", "gpu_model_name", "hostname")
                if key in value
            },
        },
    )
    return row


def _graded(row: Row, value: dict[str, Any]) -> Row:
    row.text("task", value.get("task"))
    row.text("problem_source_id", value.get("conversation_id", value.get("session_num")))
    row.flag("label_correct", value["passed"])
    if row.values.get("label_correct") is not None:
        row.number("label_score", float(row.values["label_correct"]))
    row.text("label_name", value.get("grader_name"))
    row.whole("reference", value.get("expected"))
    row.whole("answer", value.get("actual"))
    row.text("output_text", value.get("model_output"))
    row.number("ended_unix_s", value.get("timestamp_ns"), unit="ns", low=0.0)
    kept = (
        "unparsed",
        "confidence",
        "explanation",
        "model_thinking",
        "x_request_id",
        "benchmark_phase",
        "session_num",
    )
    row.json("extra", {key: value[key] for key in kept if value.get(key) is not None})
    return row
