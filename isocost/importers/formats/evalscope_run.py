"""The description of an evalscope run: its task configuration and its reports.

Lives here: which files belong to a run, the settings that make its identity, summary numbers of its
reports. Not here: predictions and reviews (``evalscope``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from isocost.importers.base import ImportInput
from isocost.importers.reading import as_list, as_object, load_json, load_yaml
from isocost.importers.row import Row
from isocost.importers.settings import brief_settings, hosted, stated_settings

KINDS = ("predictions", "reviews", "reports", "configs")
HARMLESS = {
    "model": "the model has a column of its own",
    "model_id": "a name for the model's folder",
    "datasets": "which data sets were run together; each file is of one",
    "dataset_dir": "path of downloads",
    "work_dir": "path of results",
    "no_timestamp": "how the folder is called",
    "use_cache": "whether an earlier run was resumed",
    "rerun_review": "whether predictions of before were reviewed again",
    "limit": "how many problems were asked",
    "repeats": "how often each problem was asked",
    "seed": "which draws were made, not what they were drawn from",
    "ignore_errors": "what happens after an error",
    "debug": "how much is logged",
    "enable_progress_tracker": "progress on the screen",
    "analysis_report": "a text written afterwards",
    "collect_perf": "whether times are kept",
    "api_key": "who pays",
    "timeout": "how long to wait for a request",
    "stream": "how the answer travels",
    "evaluation_identity": "a hash of the rest",
    "resolved_benchmarks": "taken by data set",
    "dataset_args": "taken by data set",
    "generation_config": "the sampling",
    "api_url": "the provider",
}
SAMPLING_HARMLESS = {
    "timeout": "how long to wait for a request",
    "retries": "what happens after an error",
    "retry_interval": "what happens after an error",
    "batch_size": "a copy of eval_batch_size",
    "stream": "how the answer travels",
    "seed": "which draws were made, not what they were drawn from",
    "n": "number of completions per request; each is a sample",
    "logprobs": "token reporting",
    "top_logprobs": "token reporting",
    "extra_headers": "who asks",
}
DATASET_HARMLESS = {
    "subset_list": "which subsets were run; each file is of one",
    "local_path": "path of the data",
    "dataset_id": "path of the data",
    "limit": "how many problems were asked",
    "default_subset": "how a subset is called",
    "name": "the task has a column of its own",
}


@dataclass
class Run:
    """One run: a folder with predictions/ and the related files.

    Attributes:
        root: the folder, relative to the imported path.
        files: its files by kind (``KINDS``), then by the path below that.
        config: its task configuration; empty where none was kept.
        lower_is_better: names of lower-is-better metrics according to its reports.
    """

    root: PurePosixPath
    files: dict[str, dict[str, Path]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    config: dict[str, Any] = field(default_factory=dict)
    lower_is_better: set[str] = field(default_factory=set)

    def dataset_of(self, stem: str) -> str | None:
        """The data set of a file ``<data set>_<subset>.jsonl``, as named in the configuration."""
        names = [
            str(name)
            for name in self.config.get("datasets") or []
            if stem == name or stem.startswith(f"{name}_")
        ]
        return max(names, key=len, default=None)


def runs_of(source: ImportInput) -> list[Run]:
    """The runs of an imported folder, by the whole path of each.

    Two runs of one model are two folders.
    """
    found: dict[PurePosixPath, Run] = {}
    for file in source.files:
        place = PurePosixPath(source.relative(file))
        kind = kind_of_file(place)
        if kind is None:
            continue
        depth = len(place.parts) - 1 - place.parts[::-1].index(kind)
        root = PurePosixPath(*place.parts[:depth])
        found.setdefault(root, Run(root)).files[kind][
            PurePosixPath(*place.parts[depth + 1 :]).as_posix()
        ] = file
    for run in found.values():
        _configure(source, run)
    return [found[root] for root in sorted(found)]


def kind_of_file(place: PurePosixPath) -> str | None:
    """The kind (of ``KINDS``) of a file below the imported folder.

    By the last such folder above it and its ending.
    """
    kind = next((part for part in reversed(place.parts[:-1]) if part in KINDS), None)
    wanted = {
        "predictions": {".jsonl"},
        "reviews": {".jsonl"},
        "reports": {".json"},
        "configs": {".yaml", ".yml"},
    }
    return kind if kind is not None and place.suffix in wanted[kind] else None


def _configure(source: ImportInput, run: Run) -> None:
    configs = {
        name: file
        for name, file in run.files["configs"].items()
        if PurePosixPath(name).name.startswith("task_config")
    }
    configurations = []
    for file in configs.values():
        source.at = str(file)
        configurations.append(as_object(load_yaml(file), str(file)))
    # A resumed run writes its configuration again: only common values are certain, and changed
    # settings are reported.
    run.config = configurations[-1] if configurations else {}
    if len(configurations) > 1 and any(
        stated_settings(one, HARMLESS) != stated_settings(run.config, HARMLESS)
        for one in configurations
    ):
        source.warnings.append(
            f"{run.root}: {len(configurations)} task configurations that differ; the last by"
            " name counts"
        )
    for file in run.files["reports"].values():
        for metric in _report(source, file).get("metrics") or []:
            direction = ((metric.get("semantics") or {}) if isinstance(metric, dict) else {}).get(
                "direction"
            )
            if "lower" in str(direction):
                run.lower_is_better.add(_metric_name(metric))


def settings_of(run: Run, stem: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Condition and sampling of the file ``stem`` of a run, from its configuration.

    Args:
        run: the run.
        stem: name of a predictions file without its ending.
    """
    config, dataset = run.config, run.dataset_of(stem)
    condition = stated_settings(config, HARMLESS)
    named = {
        "dataset_args": config.get("dataset_args"),
        "benchmark": config.get("resolved_benchmarks"),
    }
    for prefix, stated in named.items():
        own = stated.get(dataset) if isinstance(stated, Mapping) and dataset is not None else None
        if isinstance(own, Mapping):
            condition |= {
                f"{prefix}.{name}": value
                for name, value in stated_settings(own, DATASET_HARMLESS).items()
            }
    identity = ((config.get("evaluation_identity") or {}).get("benchmarks") or {}).get(
        dataset
    ) or {}
    condition |= stated_settings(
        {
            "evaluation_version": identity.get("evaluation_version"),
            "provider": hosted(config.get("api_url")),
        }
    )
    generation = config.get("generation_config")
    return brief_settings(condition), stated_settings(generation, SAMPLING_HARMLESS) if isinstance(
        generation, Mapping
    ) else {}


def _report(source: ImportInput, file: Path) -> dict[str, Any]:
    source.at = str(file)
    return as_object(load_json(file), str(file))


def _metric_name(metric: dict[str, Any]) -> str:
    identity = metric.get("identity") or {}
    suffix = "_".join(
        f"{name}{value}" for name, value in sorted((identity.get("dimensions") or {}).items())
    )
    name = str(metric.get("legacy_name") or identity.get("name") or metric.get("name") or "score")
    return f"{name}_{suffix}" if suffix and suffix not in name else name


def report_rows(source: ImportInput, run: Run) -> Iterator[Row]:
    """Summary numbers of a run's reports.

    Each metric overall and by subset, then the measurements of the requests.
    """
    for file in run.files["reports"].values():
        document = _report(source, file)
        dataset = str(document.get("dataset_name") or file.stem)
        for position, metric in enumerate(
            as_list(document.get("metrics") or [], f"{file}, metrics")
        ):
            place, name = (
                f"metrics[{position}]",
                _metric_name(as_object(metric, f"{file}, metrics[{position}]")),
            )
            yield _number(source, run, file, place, (dataset, name, metric.get("score"), None))
            for category in metric.get("categories") or []:
                for subset in category.get("subsets") or []:
                    task = f"{dataset}_{subset.get('name')}"
                    yield _number(
                        source,
                        run,
                        file,
                        f"{place}, subset {subset.get('name')}",
                        (task, name, subset.get("score"), None),
                    )
        for name, value in stated_settings(document.get("perf_metrics") or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield _number(
                    source, run, file, f"perf_metrics.{name}", (dataset, *_perf(name, value))
                )


def _perf(name: str, value: float) -> tuple[str, float, str | None]:
    words = [
        f"p{word[:-1]}" if word.endswith("%") else word
        for word in name.removeprefix("summary.").split(".")
    ]
    unit = (
        "s"
        if {"latency", "ttft", "tpot"} & set(words)
        else "tokens"
        if "tokens" in words[-2:][0]
        else None
    )
    return "_".join(words), value, unit


def _number(
    source: ImportInput, run: Run, file: Path, place: str, fact: tuple[str, str, Any, str | None]
) -> Row:
    task, name, value, unit = fact
    row = source.row("aggregate", file, place)
    row.text("model_variant", file.parent.name)
    row.text("task", task)
    condition, sampling = settings_of(run, task)
    row.condition(condition)
    row.json("sampling", sampling)
    row.text("metric_name", name)
    row.number("metric_value", value)
    row.text("metric_unit", unit)
    return row
