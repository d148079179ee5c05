"""``vllm bench throughput`` results (--output-json): one run without a server, as five numbers.

Traps: the file names neither model nor settings; total_num_tokens counts prompts and answers;
num_output_tokens is written by some versions only.
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

_NEEDED = frozenset({"elapsed_time", "num_requests", "total_num_tokens"})
_UNITS = {
    "elapsed_time": "s",
    "total_num_tokens": "tokens",
    "num_output_tokens": "tokens",
    "requests_per_second": "requests/s",
    "tokens_per_second": "tokens/s",
    "output_tokens_per_second": "tokens/s",
}


def offline_results(path: Path, what: str) -> list[Path]:
    """Results of an offline vLLM benchmark below a path.

    Without the copies that it writes for PyTorch's own dashboard.
    """
    found = files_under(path, ("*.json",), what)
    return [file for file in found if file == path or not file.name.endswith(".pytorch.json")]


def number_row(
    source: ImportInput, file: Path, fact: tuple[str, str, Any, str | None], seconds: float | None
) -> Row:
    """One summary number of a run: position, name, value and unit."""
    place, name, value, unit = fact
    row = source.row("aggregate", file, place)
    row.text("metric_name", name)
    row.number("metric_value", value)
    row.text("metric_unit", unit)
    if seconds is not None:
        row.seconds("latency_s", seconds)
        row.text("latency_meaning", "the run")
    return row


@register
class VllmThroughput(Importer):
    """One result, or a folder of results."""

    name = "vllm_throughput"
    title = "vllm bench throughput results (--output-json)"
    harmless: ClassVar[Mapping[str, str]] = {"date": "when it ran"}
    marks = (frozenset({"elapsed_time", "num_requests", "total_num_tokens"}),)
    conventions = Conventions(
        units={"metric_value": "elapsed_time, s; tokens; requests/s; tokens/s"},
        notes=(
            (
                "All requests are submitted at once: the rates are for full batches, and there is "
                "no latency per request."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The result, or every result of a folder."""
        return offline_results(path, "vllm bench throughput result")

    def records(self, source: ImportInput) -> Iterator[Row]:
        """The numbers of every run."""
        for file in source.files:
            source.at = str(file)
            document = as_object(load_json(file), str(file))
            if missing := sorted(_NEEDED - document.keys()):
                raise IsocostError(
                    f"has no {', '.join(missing)}: it is not a result of vllm bench throughput",
                    where=str(file),
                )
            numbers = {
                key: value
                for key, value in document.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
            settings = stated_settings(
                {key: value for key, value in document.items() if key not in numbers}, self.harmless
            )
            for key, value in sorted(numbers.items()):
                row = number_row(
                    source, file, (key, key, value, _UNITS.get(key)), document["elapsed_time"]
                )
                row.text("model_variant", document.get("model"))
                row.condition({key: value for key, value in settings.items() if key != "model"})
                yield row
