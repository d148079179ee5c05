"""SGLang ``bench_serving`` results: JSON Lines, one run per line.

With each request's details if --output-details was given.

Traps: the file is appended to, run after run; without streaming the time to first token is the
whole latency and there are no gaps; latencies of requests are not kept, but follow from the first
token and the gaps; output lengths are the requested ones if the server reports none, and only their
sum is counted again by the tokenizer; the model's name is only in the server's own description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.hashing import text_hash
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.vllm_bench import rate_unit
from isocost.importers.reading import as_list, as_object, iter_json_lines
from isocost.importers.row import Row
from isocost.importers.settings import brief_settings, stated_settings
from isocost.importers.usage import put_summed_latency

_ARRAYS = (
    "input_lens",
    "output_lens",
    "ttfts",
    "itls",
    "generated_texts",
    "errors",
    "latencies",
    "start_times",
)
_SETTINGS = (
    "tag",
    "backend",
    "dataset_name",
    "request_rate",
    "max_concurrency",
    "sharegpt_output_len",
    "random_input_len",
    "random_output_len",
    "random_range_ratio",
)
_UNITS = {
    "duration": "s",
    **{
        f"total_{kind}_tokens": "tokens"
        for kind in ("input", "output", "input_text", "input_vision")
    },
}
_LONGEST_LINE = 256 << 20


@register
class SglangBench(Importer):
    """A file of one or more runs, or a folder of such files."""

    name = "sglang_bench"
    title = "SGLang bench_serving results (JSON Lines)"
    harmless: ClassVar[Mapping[str, str]] = {
        "server.host": "where the server listens",
        "server.port": "where the server listens",
        "server.*port*": "where the server listens",
        "server.log*": "how much is logged",
        "server.random_seed": "which draws were made, not what they were drawn from",
        "server.api_key": "who pays",
        "server.admin_api_key": "who pays",
        "server.internal_states": "counters of the server at the end",
        "server.*_time*": "counters of the server at the end",
        "server.served_model_name": "a name for the model",
        "server.model_path": "the model has a column of its own",
        "server.file_storage_path": "path of files",
        "server.download_dir": "path of files",
        "server.status": "whether the server is well",
    }
    marks = (
        frozenset({"backend", "dataset_name", "request_rate"}),
        frozenset({"total_output_tokens_retokenized"}),
    )
    conventions = Conventions(
        units={
            "ttft_s": "ttfts, s; 0.0 of a failed request is unknown",
            "inter_token_s": "mean of itls, s, where there is one for each token after the first",
            "latency_s": "ttft + sum of itls, s",
            "metric_value": "*_ms -> s",
        },
        latency_meaning="client: from sending the request to its last token",
        notes=(
            "Requests have no verdict: they measure time and tokens, not accuracy.",
            "Settings of the run and of the server, where it described itself, are the condition.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every .jsonl of a folder."""
        return files_under(path, ("*.jsonl", "*.json"), "SGLang bench_serving result")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Requests of every run where they were kept, then its summary numbers."""
        for file in source.files:
            for number, result in iter_json_lines(file, limit=_LONGEST_LINE):
                place = f"line {number}"
                if "backend" not in result or "duration" not in result:
                    raise IsocostError(
                        "has no backend and duration: it is not a result of bench_serving",
                        where=f"{file}, {place}",
                    )
                # A file is appended to: the run is the line, not the file.
                identity = {
                    key: value
                    for key, value in result.items()
                    if not isinstance(value, list | dict)
                }
                source.run = f"result:{text_hash(repr(sorted(identity.items())))}"
                facts = self._facts(result, f"{file}, {place}")
                yield from _requests(source, file, place, result, facts)
                yield from _summary(source, file, place, result, facts)

    def _facts(self, result: dict[str, Any], where: str) -> dict[str, Any]:
        server = as_object(result.get("server_info") or {}, f"{where}, server_info")
        # The arguments that were in effect; a server of another kind nests them.
        server = {
            **as_object(server.get("server_args") or {}, where),
            **{k: v for k, v in server.items() if k != "server_args"},
        }
        settings = {
            key: result[key] for key in result if key in _SETTINGS or isinstance(result[key], str)
        }
        return {
            "model": server.get("model_path")
            or server.get("served_model_name")
            or result.get("model_id")
            or result.get("model"),
            "condition": brief_settings(
                stated_settings({**settings, "server": server}, self.harmless)
            ),
        }


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    row.text("model_variant", facts["model"])
    row.condition(facts["condition"])


def _requests(
    source: ImportInput, file: Path, place: str, result: dict[str, Any], facts: dict[str, Any]
) -> Iterator[Row]:
    where = f"{file}, {place}"
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
    for index in range(next(iter(lengths.values()), 0)):
        row = source.row("request", file, f"{place}[{index}]")
        _put_facts(row, facts)
        _put_request(row, {name: values[index] for name, values in arrays.items()}, index)
        yield row


def _put_request(row: Row, one: dict[str, Any], index: int) -> None:
    row.text("problem_source_id", f"request-{index}")
    row.integer("prompt_tokens", one.get("input_lens"))
    if one.get("errors") or not one.get("ttfts", 1):
        row.text("error", one.get("errors") or "no tokens arrived, and there is no error text")
        for column in ("ttft_s", "latency_s", "inter_token_s", "output_tokens"):
            row.null(column, "failed_request")
        return
    gaps = as_list(one.get("itls") or [], f"{row.where}, itls")
    row.integer("output_tokens", one.get("output_lens"))
    row.text("output_text", one.get("generated_texts"))
    row.seconds("ttft_s", one.get("ttfts"))
    latency = one.get("latencies")
    if latency is None:
        put_summed_latency(row, one.get("ttfts"), gaps)
    else:
        row.seconds("latency_s", latency)
    if gaps and len(gaps) + 1 == row.values.get("output_tokens"):
        row.seconds("inter_token_s", sum(gaps) / len(gaps))
    elif gaps:
        row.null("inter_token_s", "gaps_between_chunks_of_several_tokens")


def _summary(
    source: ImportInput, file: Path, place: str, result: dict[str, Any], facts: dict[str, Any]
) -> Iterator[Row]:
    for key, value in sorted(result.items()):
        if isinstance(value, bool) or not isinstance(value, int | float) or key in _SETTINGS:
            continue
        row = source.row("aggregate", file, f"{place}.{key}")
        _put_facts(row, facts)
        unit = "ms" if key.endswith("_ms") else None
        row.text("metric_name", key.removesuffix("_ms"))
        row.number("metric_value", value, unit=unit)
        row.text("metric_unit", "s" if unit else _UNITS.get(key) or rate_unit(key))
        row.seconds("latency_s", result["duration"])
        row.text("latency_meaning", "the run")
        yield row
