"""What distinguishes measured configurations: their settings and shortest unique names.

Lives here: the settings of a point as one mapping, names for tables, report and terminal, and the
key that matches a configuration across tasks. Not here: the identity of a point (``isocost.sweep``,
``isocost.importers``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

# In the order in which a reader would name them; any other setting of core_points follows.
_TELLING = (
    "prompt",
    "model_variant",
    "max_tokens",
    "temperature",
    "quantization",
    "dtype",
    "top_p",
    "top_k",
    "min_p",
    "model_revision",
    "method",
    "engine",
    "seed",
)
# Columns that describe a row or count something and are not settings.
_COUNTS = (
    "samples_planned_per_problem",
    "samples_planned",
    "samples_banked",
    "samples_valid",
    "samples_missing",
)
_NO_SETTINGS = frozenset(
    (
        "point_id",
        "point_ids",
        "session_id",
        "sweep",
        "source",
        "task",
        "model_card",
        "configuration",
        *_COUNTS,
    )
)
_JSON = frozenset(
    {"task_config", "engine_options", "method_parameters", "partners", "model_settings"}
)
_PREFIX = {"method_parameters": "method.", "partners": "partners."}
_SPELT = {
    "max_tokens": "{} tokens",
    "temperature": "T {}",
    "top_p": "top-p {}",
    "top_k": "top-k {}",
    "min_p": "min-p {}",
    "seed": "seed {}",
    "n_problems": "{} problems",
    "engine_seed": "engine seed {}",
    "model_revision": "revision {}",
}
# For an import a count, not a setting: part of a name only if nothing else distinguishes it.
_LAST = "n_problems"
_BARE = frozenset({"prompt", "model_variant", "quantization", "dtype", "engine", "method"})
# What a mean over tasks must not mix, if a source states it; other conditions count if a task has
# several values of them.
_STRICT = ("hardware", "provider", "engine", "method")
# The same configuration has the same values of these in every task.
CONFIGURATION = (
    *(
        "model_variant",
        "model_revision",
        "prompt",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
    ),
    *("dtype", "quantization", "engine", "method"),
)
_LONGEST = 40

Settings = dict[str, Any]


def point_settings(points: pl.DataFrame) -> dict[str, Settings]:
    """All settings of each point by point_id.

    JSON columns expanded into dotted names, NULL values left out.

    Args:
        points: core_points; for a point in several sessions, the first row counts.
    """
    columns = [name for name in points.columns if name not in _NO_SETTINGS or name == "point_id"]
    once = points.select(columns).unique("point_id", keep="first", maintain_order=True)
    found: dict[str, Settings] = {}
    for row in once.iter_rows(named=True):
        settings: Settings = {}
        for name, value in row.items():
            if name in _JSON:
                settings |= _opened(name, value)
            elif name != "point_id" and value is not None:
                settings[name] = value
        found[row["point_id"]] = settings
    return found


def _opened(name: str, text: str | None) -> Settings:
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return {name: text}
    return (
        {
            f"{_PREFIX.get(name, '')}{key.removeprefix('condition.')}": leaf
            for key, leaf in _leaves(value)
        }
        if isinstance(value, dict)
        else {}
    )


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{above}{key}.")
        elif inner is not None:
            yield f"{above}{key}", inner


def shortest_names(settings: Mapping[str, Settings], always: Collection[str]) -> dict[str, str]:
    """The shortest unique name of each, in the order of the mapping.

    Args:
        settings: settings by id; all of one task.
        always: settings in every name; others are added only if names would otherwise be shared.
    """
    ids = list(settings)
    chosen = [name for name in _TELLING if name in always]
    names = _spelt_all(settings, chosen)
    for name in _candidates(settings.values(), chosen):
        if len(set(names)) == len(ids):
            break
        longer = _spelt_all(settings, [*chosen, name])
        if len(set(longer)) > len(set(names)):
            chosen, names = [*chosen, name], longer
    shared = {name for name, n in Counter(names).items() if n > 1}
    if shared:
        ends = _endings([point for point, name in zip(ids, names, strict=True) if name in shared])
        names = [
            f"{name} · {ends[point]}" if point in ends else name
            for point, name in zip(ids, names, strict=True)
        ]
    return dict(zip(ids, names, strict=True))


def _candidates(settings: Collection[Settings], chosen: Sequence[str]) -> list[str]:
    known = {name for each in settings for name in each}
    ordered = (
        [name for name in _TELLING if name in known] + sorted(known - {*_TELLING, _LAST}) + [_LAST]
    )
    return [name for name in ordered if name not in chosen]


def _spelt_all(settings: Mapping[str, Settings], chosen: Sequence[str]) -> list[str]:
    return [
        " · ".join(_spelt(name, each[name]) for name in chosen if name in each) or "–"
        for each in settings.values()
    ]


def _spelt(name: str, value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else " ".join(str(value).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if name in _BARE:
        return text
    return _SPELT[name].format(text) if name in _SPELT else f"{name.rsplit('.', 1)[-1]} {text}"


def _endings(ids: Sequence[str]) -> dict[str, str]:
    """The shortest endings that make all ids unique, at least six characters."""
    for length in range(6, max(map(len, ids))):
        ends = [point[-length:] for point in ids]
        if len(set(ends)) == len(ids):
            return dict(zip(ids, ends, strict=True))
    return {point: point for point in ids}


def configuration_names(
    points: pl.DataFrame, *, always: Collection[str] = ("model_variant", "prompt")
) -> dict[str, str]:
    """Names by point_id that distinguish the measured configurations of one task.

    Args:
        points: core_points of any number of tasks.
        always: settings in every name.
    """
    settings = point_settings(points)
    names: dict[str, str] = {}
    for _, mine in points.group_by("task", maintain_order=True):
        ids = mine["point_id"].unique(maintain_order=True).to_list()
        names |= shortest_names({point: settings[point] for point in ids}, always)
    return names


def chain_name(point_ids: Iterable[str], names: Mapping[str, str]) -> str | None:
    """The name of a chain of points, in the order in which they are used.

    None if one is unknown.
    """
    found = [names.get(point) for point in point_ids]
    return None if not found or None in found else " → ".join(str(name) for name in found)


def shared_settings(points: pl.DataFrame) -> dict[str, Settings]:
    """For each point, the values that identify its configuration across tasks.

    Always model, prompt, sampling, token budget, number format, engine and method, and the machine
    if it is stated; other settings of a source only if one task has several values of them, because
    they distinguish configurations of that task (a task's own number of examples does not).
    """
    settings = point_settings(points)
    tasks = dict(
        points.select("point_id", "task")
        .unique("point_id", keep="first", maintain_order=True)
        .iter_rows()
    )
    own = set(points.columns) - _NO_SETTINGS - _JSON
    values: dict[tuple[str, str], set[str]] = {}
    members = Counter(tasks.values())
    stated: Counter[tuple[str, str]] = Counter()
    for point, each in settings.items():
        for name, value in each.items():
            if name not in own:
                values.setdefault((tasks[point], name), set()).add(repr(value))
                stated[tasks[point], name] += 1
    telling = {
        key[1] for key, found in values.items() if len(found) > 1 or stated[key] < members[key[0]]
    }
    wanted = {*CONFIGURATION, *telling} | {
        name for _, name in values if name.split(".")[0] in _STRICT
    }
    return {
        point: {name: value for name, value in each.items() if name in wanted}
        for point, each in settings.items()
    }
