"""GuideLLM reports, version 2 (and 1, whose settings are under ``args``).

Traps: durations in milliseconds and in seconds; the statistics of a group without
requests are all 0.0; request bodies may be stripped, then only the statistics are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_list, as_object, load_json, load_yaml
from isocost.importers.row import Row
from isocost.importers.settings import brief_settings, hosted, stated_settings

_GROUPS = ("successful", "errored", "incomplete")
_SECONDS = {"request_latency": "s", "request_scheduled_latency": "s"}
_PERCENTILES = ("p25", "p50", "p75", "p90", "p95", "p99")
_STATISTICS = ("mean", "median", "std_dev", "min", "max")


@register
class GuideLlm(Importer):
    """A JSON report with its benchmarks, or a folder of reports."""

    name = "guidellm"
    version = 2
    title = "GuideLLM reports (JSON or YAML), version 2"
    harmless: ClassVar[Mapping[str, str]] = {
        "id_": "a name",
        "run_id": "a name",
        "run_index": "which benchmark of the report it is",
        "profile": "the plan that the strategy was made from; the strategy enters",
        "constraints": "when to stop",
        "outputs": "where results are written",
        "seed": "which draws were made, not what they were drawn from",
        "*.random_seed": "which draws were made, not what they were drawn from",
        "*.worker_count": "processes of the client",
        "metrics.sample_size": "how many requests are kept in the report",
        "backend.model": "the model has a column of its own",
        "backend.target": "the provider",
        "backend.api_key": "who pays",
        "backend.timeout*": "how long to wait for a request",
        "backend.validate_backend*": "a question before the run",
    }
    marks = (frozenset({"metadata", "benchmarks"}),)
    conventions = Conventions(
        units={
            "ttft_s": "time_to_first_token_ms, ms",
            "inter_token_s": "inter_token_latency_ms, ms",
            "latency_s": "request_latency, s",
        },
        latency_meaning="client: request_end - request_start",
        notes=(
            (
                "Only statistics of successful requests are imported; a group without requests"
                " writes 0.0 for all of them."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The report, or every .json of a folder.

        Its .yaml where it has no .json, since GuideLLM writes the same report as both.
        """
        has_json = path.is_dir() and next(path.rglob("*.json"), None) is not None
        return files_under(
            path,
            ("*.json",) if has_json else ("*.json", "*.yaml", "*.yml"),
            "GuideLLM report (.json or .yaml)",
        )

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Requests where a report kept them, then each benchmark's statistics, report by report."""
        reports = 0
        for file in source.files:
            source.at = str(file)
            document = as_object(
                load_json(file) if file.suffix == ".json" else load_yaml(file), str(file)
            )
            if source.path.is_dir() and not {"metadata", "benchmarks"} <= document.keys():
                source.warnings.append(
                    f"{source.relative(file)}: left out, it is not a GuideLLM report"
                )
                continue
            reports += 1
            yield from self._report(source, file, document)
        if not reports:
            raise IsocostError(
                "contains no GuideLLM report",
                where=str(source.path),
                remedy="A report has metadata and benchmarks",
            )

    def _report(self, source: ImportInput, file: Path, document: dict[str, Any]) -> Iterator[Row]:
        if not {"metadata", "benchmarks"} <= document.keys():
            raise IsocostError(
                "is not a GuideLLM report",
                where=str(file),
                remedy="A report has metadata and benchmarks",
            )
        version = (document["metadata"] or {}).get("version")
        if version not in (1, 2):
            raise IsocostError(
                f"has report version {version!r}",
                where=f"{file}, metadata.version",
                remedy="Versions 1 and 2 are read",
            )
        for index, benchmark in enumerate(
            as_list(document.get("benchmarks"), f"{file}, benchmarks")
        ):
            benchmark = as_object(benchmark, f"{file}, benchmarks[{index}]")
            facts = _facts(document, benchmark, self.harmless)
            facts["file"] = file
            timing = benchmark.get("scheduler_metrics") or {}
            facts["window"] = (
                timing.get("measure_start_time") or timing.get("start_time"),
                timing.get("measure_end_time") or timing.get("end_time"),
            )
            requests = benchmark.get("requests") or {}
            for group in _GROUPS:
                for position, request in enumerate(requests.get(group) or []):
                    yield _request(
                        source,
                        f"benchmarks[{index}].requests.{group}[{position}]",
                        group,
                        as_object(request, str(file)),
                        facts,
                    )
            yield from _statistics(
                source,
                f"benchmarks[{index}].metrics",
                as_object(benchmark.get("metrics"), f"{file}, metrics"),
                facts,
            )


def _facts(
    document: dict[str, Any], benchmark: dict[str, Any], harmless: Mapping[str, str]
) -> dict[str, Any]:
    """Model and settings of a benchmark.

    Its own values take precedence over those of the whole report.
    """
    stated = document.get("config") or {}
    config = {
        **(stated.get("spec") or {}),
        **(benchmark.get("config") or benchmark.get("args") or {}),
    }
    backend = config.get("backend") or {}
    named = {
        "provider": hosted(backend.get("target")),
        "labels": (stated.get("metadata") or {}).get("labels"),
    }
    return {
        "model": backend.get("model"),
        "condition": brief_settings(stated_settings({**config, **named}, harmless)),
    }


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.text("model_variant", facts["model"])
    row.condition(facts["condition"])


def _request(
    source: ImportInput, place: str, group: str, request: dict[str, Any], facts: dict[str, Any]
) -> Row:
    row = source.row("request", facts["file"], place)
    _put_facts(row, facts)
    info = request.get("info") or {}
    row.text("problem_source_id", request.get("request_id") or info.get("request_id"))
    row.text("output_text", request.get("output"))
    row.integer("prompt_tokens", request.get("prompt_tokens"))
    row.integer("cached_tokens", request.get("cached_tokens"))
    if group == "successful":
        row.integer("output_tokens", request.get("output_tokens"))
        row.seconds("ttft_s", request.get("time_to_first_token_ms"), unit="ms")
        row.seconds("inter_token_s", request.get("inter_token_latency_ms"), unit="ms")
        row.seconds("latency_s", request.get("request_latency"))
    else:
        row.text("error", info.get("error") or group)
        for column in ("ttft_s", "latency_s", "output_tokens"):
            row.null(column, f"{group}_request")
    row.number("started_unix_s", request.get("request_start_time"), low=0.0, sentinel=-1.0)
    row.number("ended_unix_s", request.get("request_end_time"), low=0.0, sentinel=-1.0)
    timings = info.get("timings") or {}
    if timings.get("queued") is not None and timings.get("dequeued") is not None:
        row.seconds("queue_s", max(timings["dequeued"] - timings["queued"], 0.0))
    return row


def _statistics(
    source: ImportInput, place: str, metrics: dict[str, Any], facts: dict[str, Any]
) -> Iterator[Row]:
    for name, groups in sorted(metrics.items()):
        group = groups.get("successful") if isinstance(groups, dict) else None
        if not isinstance(group, dict):
            continue
        unit = "ms" if name.endswith("_ms") else _SECONDS.get(name)
        base = name.removesuffix("_ms")
        values = {key: group.get(key) for key in _STATISTICS}
        values.update({key: (group.get("percentiles") or {}).get(key) for key in _PERCENTILES})
        for key, value in values.items():
            row = source.row("aggregate", facts["file"], f"{place}.{name}.{key}")
            _put_facts(row, facts)
            row.text("metric_name", f"{base}_{key}")
            row.number("started_unix_s", facts["window"][0], low=0.0)
            row.number("ended_unix_s", facts["window"][1], low=0.0)
            if not group.get("count"):
                row.null("metric_value", "no_requests")
            else:
                row.number("metric_value", value, unit=unit)
            row.text("metric_unit", "s" if unit else None)
            row.json("extra", {"count": group.get("count")})
            yield row
