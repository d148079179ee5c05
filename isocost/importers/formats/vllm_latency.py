"""``vllm bench latency`` results (--output-json): repeated times of one batch.

Traps: the file names neither model, batch size nor lengths; a latency is of a whole batch, not of a
request.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, register
from isocost.importers.formats.vllm_throughput import number_row, offline_results
from isocost.importers.reading import as_list, as_object, load_json
from isocost.importers.row import Row


@register
class VllmLatency(Importer):
    """One result, or a folder of results."""

    name = "vllm_latency"
    title = "vllm bench latency results (--output-json)"
    marks = (frozenset({"avg_latency", "latencies", "percentiles"}),)
    conventions = Conventions(
        units={"metric_value": "latencies, s"},
        notes=(
            (
                "A latency is that of one batch from start to end: batch size and lengths are "
                "settings that are not in the file."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The result, or every result of a folder."""
        return offline_results(path, "vllm bench latency result")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Mean, spread and percentiles of every run, then the latency of each batch."""
        for file in source.files:
            source.at = str(file)
            document = as_object(load_json(file), str(file))
            if "avg_latency" not in document or "latencies" not in document:
                raise IsocostError(
                    "has no avg_latency and latencies: it is not a result of vllm bench latency",
                    where=str(file),
                )
            names = {"avg_latency": "mean_batch_latency", "std_latency": "std_batch_latency"}
            for key, name in names.items():
                if document.get(key) is not None:
                    yield number_row(source, file, (key, name, document[key], "s"), None)
            for share, value in as_object(
                document.get("percentiles") or {}, f"{file}, percentiles"
            ).items():
                yield number_row(
                    source,
                    file,
                    (f"percentiles.{share}", f"p{share}_batch_latency", value, "s"),
                    None,
                )
            for index, value in enumerate(as_list(document["latencies"], f"{file}, latencies")):
                yield number_row(
                    source, file, (f"latencies[{index}]", "batch_latency", value, "s"), value
                )
