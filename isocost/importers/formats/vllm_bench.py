"""``vllm bench serve`` results (plain, detailed, appended) and ``vllm bench sweep`` folders.

Traps: what streams in one chunk may be several tokens (speculative decoding), so gaps between
    chunks are not time per token; failed requests carry a time to first token of 0.0 and an error
    text;
start times are of a clock without epoch; without --save-detailed the latencies are still there, but
not which of them failed; summary.json repeats the runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.hashing import text_hash
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_list, as_object, iter_json_lines, load_json
from isocost.importers.row import Row
from isocost.importers.settings import brief_settings, stated_settings
from isocost.importers.usage import put_summed_latency

_ARRAYS = (
    "input_lens",
    "output_lens",
    "ttfts",
    "itls",
    "latencies",
    "start_times",
    "queue_times",
    "generated_texts",
    "errors",
    "server_queue_times",
    "server_ttfts",
)
_NOT_RUNS = re.compile(r"summary\.json|warmup\.json|.*failure\.json")
_SETTINGS = (
    "request_rate",
    "burstiness",
    "max_concurrency",
    "num_prompts",
    "backend",
    "label",
    "ramp_up_strategy",
    "ramp_up_start_rps",
    "ramp_up_end_rps",
)
_NAMES = ("date", "model_id", "tokenizer_id")
_UNITS = {
    "duration": "s",
    "gpu_energy_j": "J",
    "gpu_energy_duration_s": "s",
    "gpu_avg_power_w": "W",
    "gpu_energy_per_output_token_j": "J",
    "total_input_tokens": "tokens",
    "total_output_tokens": "tokens",
}


@register
class VllmBench(Importer):
    """A result file, an appended file of several results, or the folder of a vLLM sweep."""

    name = "vllm_bench"
    version = 3
    title = (
        "vllm bench serve results (plain, --save-detailed, --append-result) and vllm bench sweep"
        " folders"
    )
    harmless: ClassVar[Mapping[str, str]] = {
        "date": "when it ran",
        "run_number": "which of several repeats it is",
        "model_id": "the model has a column of its own",
    }
    marks = (
        frozenset({"model_id", "request_throughput"}),
        frozenset({"model_id", "num_prompts", "request_rate"}),
    )
    conventions = Conventions(
        units={
            "ttft_s": "ttfts, s; 0.0 of a failed request is unknown",
            "inter_token_s": "mean of itls, s, where there is one for each token after the first",
            "latency_s": "latencies, s; without it ttft + sum of itls",
            "queue_s": "queue_times, s, in the client before sending",
            "metric_value": "*_ms -> s",
        },
        latency_meaning=(
            "client: from sending the request to its last token, client queue not included"
        ),
        notes=(
            "Requests have no verdict: they measure time and tokens, not accuracy.",
            "Settings of the run (request rate, concurrency, sweep overrides) are the condition.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The result.

        Or every run=*.json of a sweep, without summaries, warm-ups and failure notes.
        """
        found = files_under(path, ("*.json", "*.jsonl"), "vllm bench result")
        runs = [file for file in found if file == path or not _NOT_RUNS.fullmatch(file.name)]
        if not runs:
            raise IsocostError(
                "contains no run of vllm bench",
                where=str(path),
                remedy="Summaries, warm-ups and failure notes are not imported",
            )
        return runs

    def stated_by_place(self, file: Path) -> str:
        """Settings in the names of a sweep's folders."""
        return _sweep(file)

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Requests of every run, then its summary numbers."""
        if source.path.is_dir():
            failed = sorted(source.path.rglob("*failure.json"))
            if failed:
                source.warnings.append(
                    f"{len(failed)} runs of the sweep failed, first"
                    f" {failed[0].relative_to(source.path)}"
                )
        for file in source.files:
            for position, result in _results(source, file):
                yield from _run_rows(source, file, position, result)


def _results(source: ImportInput, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    source.at = str(file)
    with file.open("rb") as handle:
        head = handle.read(1)
        lines = sum(1 for line in (handle.readline(1 << 20) for _ in range(2)) if line.strip())
    if lines > 1 and head == b"{":
        try:
            for number, value in iter_json_lines(file, limit=256 << 20):
                yield f"line {number}", value
            return
        except IsocostError as error:
            if "line 1," not in f"{error.where}," or "is not JSON" not in error.what:
                raise
    document = load_json(file)
    for position, value in enumerate(document if isinstance(document, list) else [document]):
        yield (f"[{position}]" if isinstance(document, list) else ""), as_object(value, str(file))


def _condition(result: dict[str, Any], file: Path) -> dict[str, Any]:
    """All settings that a result states, including those in a sweep's folder names."""
    condition = {key: result[key] for key in _SETTINGS if result.get(key) is not None}
    # Values of --metadata KEY=VALUE are among the results as text: they were given to distinguish
    # runs.
    condition |= {
        key: value
        for key, value in result.items()
        if isinstance(value, str) and key not in (*_SETTINGS, *_NAMES)
    }
    if result.get("tokenizer_id") != result.get("model_id"):
        condition["tokenizer"] = result.get("tokenizer_id")
    condition |= {
        key: value
        for key, value in stated_settings(_objects(result)).items()
        if isinstance(value, str | bool)
    }
    sweep = _sweep(file)
    return brief_settings(condition) | ({"sweep": sweep} if sweep else {})


def _sweep(file: Path) -> str:
    """Settings in the names of a sweep's folders; empty if there are none."""
    return "/".join(
        part for part in file.absolute().parent.parts[-3:] if part.startswith(("SERVE-", "BENCH-"))
    )


def _objects(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if isinstance(value, dict)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _run_of(result: dict[str, Any]) -> str:
    """An identifier of one result, which may share a file with others: its date and its numbers."""
    identity = {
        key: value
        for key, value in result.items()
        if not isinstance(value, list | dict) and key != "run_number"
    }
    return f"result:{text_hash(repr(sorted(identity.items())))}"


def _put_run(row: Row, result: dict[str, Any], condition: dict[str, Any]) -> None:
    row.text("model_variant", result.get("model_id"))
    row.condition(condition)


def _run_rows(source: ImportInput, file: Path, place: str, result: dict[str, Any]) -> Iterator[Row]:
    where = f"{file}, {place}" if place else str(file)
    if "model_id" not in result or "duration" not in result:
        raise IsocostError(
            "has no model_id and duration: it is not a result of vllm bench serve", where=where
        )
    if "steady_state_energy" in result:
        # The same keys and more: read as this format it would lose its requests and their energy.
        raise IsocostError(
            "is not a result of vllm bench serve: it has steady_state_energy", where=where
        )
    condition = _condition(result, file)
    source.run = _run_of(result)
    arrays = {
        name: as_list(result[name], f"{where}, {name}")
        for name in _ARRAYS
        if result.get(name) is not None
    }
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise IsocostError(
            f"has arrays of different lengths: {lengths}",
            where=where,
            remedy="The file was changed after the run",
        )
    if "errors" in arrays or "ttfts" in arrays:
        for index in range(next(iter(lengths.values()))):
            yield _request(
                source,
                file,
                place,
                result,
                condition,
                {name: values[index] for name, values in arrays.items()},
                index,
            )
    yield from _summary(source, file, place, result, condition)


def _request(
    source: ImportInput,
    file: Path,
    place: str,
    result: dict[str, Any],
    condition: dict[str, Any],
    one: dict[str, Any],
    index: int,
) -> Row:
    row = source.row("request", file, f"{place}[{index}]" if place else f"[{index}]")
    _put_run(row, result, condition)
    row.text("problem_source_id", f"request-{index}")
    row.integer("prompt_tokens", one.get("input_lens"))
    # A refused connection may leave an empty error text; then all of its times are zero.
    is_empty = (
        not one.get("output_lens", 1) and not one.get("ttfts", 1) and not one.get("latencies", 0)
    )
    if one.get("errors") or is_empty:
        row.text("error", one.get("errors") or "no answer and no error text")
        for column in ("ttft_s", "latency_s", "inter_token_s", "output_tokens"):
            row.null(column, "failed_request")
        return row
    row.integer("output_tokens", one.get("output_lens"))
    row.seconds("ttft_s", one.get("ttfts"))
    gaps = one.get("itls")
    if gaps and len(gaps) + 1 == row.values.get("output_tokens"):
        row.seconds("inter_token_s", sum(gaps) / len(gaps))
    elif gaps:
        row.null("inter_token_s", "gaps_between_chunks_of_several_tokens")
    latency = one.get("latencies")
    if latency is None and gaps is not None:
        put_summed_latency(row, one.get("ttfts"), gaps)
    else:
        row.seconds("latency_s", latency)
    row.seconds("queue_s", one.get("queue_times"))
    if one.get("generated_texts"):
        row.text("output_text", one["generated_texts"])
    kept = {
        key: one[name]
        for key, name in (
            ("start_perf_counter_s", "start_times"),
            ("server_queue_s", "server_queue_times"),
        )
        if name in one
    }
    row.json("extra", kept)
    return row


def _summary(
    source: ImportInput, file: Path, place: str, result: dict[str, Any], condition: dict[str, Any]
) -> Iterator[Row]:
    numbers = {
        key: value
        for key, value in (result | stated_settings(_objects(result))).items()
        if _is_number(value)
    }
    for key, value in sorted(numbers.items()):
        if key in _SETTINGS or key == "run_number":
            continue
        row = source.row("aggregate", file, f"{place}.{key}" if place else key)
        _put_run(row, result, condition)
        unit = "ms" if key.endswith("_ms") else _UNITS.get(key)
        row.text("metric_name", key.removesuffix("_ms"))
        row.number("metric_value", value, unit=unit)
        row.text("metric_unit", {"ms": "s"}.get(unit or "", unit) or rate_unit(key))
        row.seconds("latency_s", result["duration"])
        row.text("latency_meaning", "the run")
        yield row
    if _is_number(result.get("gpu_energy_j")):
        yield _window(source, file, place, result, condition)


def rate_unit(name: str) -> str | None:
    """Unit of a rate by its name, as vLLM's and SGLang's benchmarks write it.

    None where the name is of no rate.
    """
    if name in ("request_throughput", "request_goodput"):
        return "requests/s"
    return (
        "tokens/s"
        if name.endswith(("_throughput", "_throughput_retokenized", "_tokens_per_s"))
        else None
    )


def _window(
    source: ImportInput, file: Path, place: str, result: dict[str, Any], condition: dict[str, Any]
) -> Row:
    """The energy that the server's GPUs took in the run, as a window."""
    row = source.row("aggregate", file, f"{place}.window" if place else "window")
    _put_run(row, result, condition)
    row.text("metric_name", "window_energy")
    row.text("metric_unit", "J")
    row.number("metric_value", result["gpu_energy_j"], unit="J", low=0.0)
    row.number("energy_j", result["gpu_energy_j"], unit="J", low=0.0)
    row.text("energy_method", "reported_gpu_energy")
    row.seconds("latency_s", result.get("gpu_energy_duration_s") or result["duration"])
    row.text("latency_meaning", "the energy window")
    row.integer("output_tokens", result.get("total_output_tokens"))
    row.json("extra", {"requests": result.get("completed") or 0})
    return row
