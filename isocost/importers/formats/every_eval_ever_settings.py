"""The contents of an every_eval_ever aggregate: provenance, and identity settings or not.

Not here: instances, results and the joining of files (``every_eval_ever``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocost.importers.row import Row
from isocost.importers.settings import brief_settings, stated_settings

HARMLESS = {
    "source_data.samples_number": "number of samples; they are distinguished individually",
    "source_data.sample_ids": "selection of samples; they are distinguished individually",
    "source_data.url": "path of the dataset; questions and references are compared individually",
    "model_info.developer": "who made the model, not which one it is",
    "metric_config.evaluation_description": "words about the metric",
    "metric_config.metric_name": "the metric; named on each row",
    "metric_config.metric_id": "the metric; named on each row",
    "metric_config.metric_kind": "words about the metric",
    "metric_config.metric_unit": "words about the metric",
    "metric_config.lower_is_better": "read as the direction of the score",
    "metric_config.score_type": "read as the kind of the score",
    "metric_config.level_names": "words about the metric",
    "metric_config.level_metadata": "words about the metric",
    "metric_config.has_unknown_level": "words about the metric",
    "metric_config.min_score": "words about the metric",
    "metric_config.max_score": "words about the metric",
}
"""Publisher and time of the document itself (source_metadata, timestamps) are not settings and are
ignored.
"""

_DRAWN = ("temperature", "top_p", "top_k", "max_tokens")


@dataclass(frozen=True, slots=True)
class Run:
    """An aggregate file."""

    file: Path
    document: dict[str, Any]
    _known: dict[tuple[str, str], tuple[dict[str, Any] | None, Facts]] = field(default_factory=dict)

    def said_of(self, value: dict[str, Any]) -> tuple[dict[str, Any] | None, Facts]:
        """The result that an instance belongs to, and its data."""
        key = (str(value.get("evaluation_result_id")), str(value.get("evaluation_name")))
        if key not in self._known:
            result = self.result_of(value)
            self._known[key] = (result, facts_of(self, result))
        return self._known[key]

    @property
    def library(self) -> str:
        """The tool whose results were converted."""
        library = self.document.get("eval_library")
        name = str(library.get("name", "")) if isinstance(library, dict) else ""
        return name.strip().lower().replace("-", "_").replace(" ", "_")

    def result_of(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """The result that an instance belongs to.

        None if its name is ambiguous.
        """
        results = [
            item for item in self.document.get("evaluation_results") or [] if isinstance(item, dict)
        ]
        wanted = value.get("evaluation_result_id")
        named = [
            item
            for item in results
            if wanted is not None and item.get("evaluation_result_id") == wanted
        ]
        named = named or [
            item for item in results if item.get("evaluation_name") == value.get("evaluation_name")
        ]
        return named[0] if len(named) == 1 else _common(named)


def _common(results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The common values of several results with one name, except the metric (unknown)."""
    parts = ("generation_config", "source_data")
    shared = {
        part: results[0].get(part)
        for part in parts
        if results and all(item.get(part) == results[0].get(part) for item in results)
    }
    return shared or None


@dataclass(frozen=True, slots=True)
class Facts:
    """Provenance and settings of one result."""

    sampling: dict[str, Any]
    prompt: Any = None
    task_version: Any = None
    condition: dict[str, Any] = field(default_factory=dict)

    def put(self, row: Row, own: dict[str, Any]) -> None:
        """Fill a row; the instance's own values take precedence."""
        row.json("sampling", self.sampling)
        row.text("prompt", own.get("prompt", self.prompt))
        row.text("task_version", own.get("task_version", self.task_version))
        row.condition(self.condition)


def facts_of(run: Run | None, result: dict[str, Any] | None) -> Facts:
    """What an aggregate states of one of its results."""
    result, document = result or {}, run.document if run else {}
    config = result.get("generation_config") or {}
    arguments, details = config.get("generation_args") or {}, config.get("additional_details") or {}
    model = document.get("model_info") or {}
    engine = model.get("inference_engine") or {}
    used = {"prompt_name", "task_version"} | (
        {"prompt_template"} if not details.get("prompt_name") else set()
    )
    stated = {
        "model_info": {
            key: value
            for key, value in model.items()
            if key not in ("id", "inference_platform", "inference_engine")
            and not (key == "name" and _is_last(value, model.get("id")))
        },
        "provider": model.get("inference_platform"),
        "engine": engine.get("name") if isinstance(engine, dict) else engine,
        "engine_version": engine.get("version") if isinstance(engine, dict) else None,
        "eval_library": document.get("eval_library"),
        "source_data": result.get("source_data"),
        "metric_config": result.get("metric_config"),
        "generation_args": {
            key: value for key, value in arguments.items() if key not in (*_DRAWN, *used)
        },
        "generation_details": {key: value for key, value in details.items() if key not in used},
    }
    return Facts(
        {key: arguments[key] for key in _DRAWN if arguments.get(key) is not None},
        details.get("prompt_name") or arguments.get("prompt_template"),
        details.get("task_version"),
        brief_settings(stated_settings(stated, HARMLESS)),
    )


def _is_last(name: Any, identity: Any) -> bool:
    """Whether a name adds nothing to the id: m for org/m."""
    return name == identity or str(identity).endswith(f"/{name}")
