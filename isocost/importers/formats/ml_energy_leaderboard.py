"""ML.ENERGY leaderboard data: the published numbers of every configuration of a model or a task.

Traps: a model's file names model and task once, a task's file names the model in each
configuration; index.json lists models and contains no measurements; energies are per token,
request, image or video, of the steady state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_list, as_object, load_json
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

_NUMBER = re.compile(
    r"^(avg_|mean_|median_|p\d+_|energy_per_|output_throughput|throughput_|batch_latency)"
)
_UNITS: tuple[tuple[str, str, str | None, str], ...] = (
    # ending or start of the name, the rest of it, unit to convert from, resulting unit
    ("_watts", "", "W", "W"),
    ("_ms", "", "ms", "s"),
    ("_s", "", "s", "s"),
    ("_joules", "", "J", "J"),
    ("_tokens_per_sec", "", None, "tokens/s"),
    ("_images_per_sec", "", None, "images/s"),
    ("_videos_per_sec", "", None, "videos/s"),
    ("_len", "_len", None, "tokens"),
)


@register
class MlEnergyLeaderboard(Importer):
    """One file of a model or a task, or the data folder."""

    name = "ml_energy_leaderboard"
    title = "ML.ENERGY leaderboard data (a model's or a task's JSON)"
    harmless: ClassVar[Mapping[str, str]] = {
        "model_id": "the model has a column of its own",
        "nickname": "a name for the model",
        "task": "the task has a column of its own",
        "output_length_distribution": "a distribution of what came out",
        "*.notes": "words",
        "activated_params_billions": "a property of the model",
        "total_params_billions": "a property of the model",
        "architecture": "a property of the model",
    }
    marks = (
        frozenset({"configurations", "model_id"}),
        frozenset({"configurations", "task_display_name"}),
    )
    conventions = Conventions(
        units={"metric_value": "W, J per token and the like, ms -> s, tokens/s"},
        notes=(
            (
                "Numbers of the steady state on the named boards: the cost of a token or request "
                "there, not that of a single one."
            ),
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every .json of the folder but the index."""
        return [
            file
            for file in files_under(path, ("*.json",), "leaderboard file")
            if file == path or file.name != "index.json"
        ]

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Every number of every configuration."""
        for file in source.files:
            source.at = str(file)
            document = as_object(load_json(file), str(file))
            if "configurations" not in document or "task" not in document:
                raise IsocostError(
                    "has no task with configurations: it is not a leaderboard file of ML.ENERGY",
                    where=str(file),
                    remedy="Results of one run (results.json) are read by the importer ml_energy",
                )
            common = {
                key: value for key, value in document.items() if not isinstance(value, list | dict)
            }
            for index, one in enumerate(
                as_list(document["configurations"], f"{file}, configurations")
            ):
                yield from self._numbers(
                    source, file, index, common | as_object(one, f"{file}, configurations[{index}]")
                )

    def _numbers(
        self, source: ImportInput, file: Path, index: int, entry: dict[str, Any]
    ) -> Iterator[Row]:
        numbers = {key: value for key, value in entry.items() if _NUMBER.match(key)}
        settings = stated_settings(
            {key: value for key, value in entry.items() if key not in numbers}, self.harmless
        )
        # The two kinds of files write the same settings, one of them in a mapping.
        condition = {
            name.removeprefix("parallelization."): value
            for name, value in settings.items()
            if name != "task_display_name"
        }
        if entry.get("gpu_model"):
            condition["hardware"] = f"{entry.get('num_gpus', 1)} x {entry['gpu_model']}"
        for key, value in sorted(numbers.items()):
            row = source.row("aggregate", file, f"configurations[{index}].{key}")
            row.text("model_variant", entry.get("model_id"))
            row.text("task", entry["task"])
            row.condition(condition)
            name, unit, base = _named(key)
            row.text("metric_name", name)
            row.number("metric_value", value, unit=unit)
            row.text("metric_unit", base)
            yield row


def _named(key: str) -> tuple[str, str | None, str | None]:
    """Name without its unit, the unit to convert from, and the unit of the value."""
    for ending, kept, unit, base in _UNITS:
        if key.endswith(ending):
            name = key.removesuffix(ending) + kept
            per = re.search(r"_per_(\w+)$", name) if base == "J" else None
            return name, unit, f"J/{per[1]}" if per else base
    return key, None, None
