"""Means over tasks: which sets of tasks, which configurations, and why a task is in none.

Lives here: sets of tasks that share configurations, the block of each, and out_task_means. Not
here: the blocks of single tasks (``isocost.tables.frontiers.blocks``) and the frontiers drawn from
both (``isocost.tables.frontiers.frontiers``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.hashing import sha256_hex
from isocost.schema.frames import empty
from isocost.schema.tables.frontiers import MACRO_TASK, mean_name
from isocost.tables.configurations import shortest_names
from isocost.tables.frontiers.blocks import IDENTITY, KINDS, Block
from isocost.tables.outcomes.problem_rows import Stacked

# A set of tasks costs as much as a task; nested sets differ by only a few configurations.
MOST_MEANS = 4
# Configurations of a task that are examined to find the nearest.
_MOST_NEAR = 64
_KEY = ("model_variant", "prompt", "strategy", "strategy_kind", "budget", "parameters", "settings")
_Key = tuple[Any, ...]
"""Values of the columns ``_KEY``, or of some of them."""
_TOLD = ("model_variant", "prompt", "settings")


@dataclass(frozen=True)
class _Set:
    """Tasks that share outcomes.

    Positions of their blocks, and the keys that each of them has exactly once.
    """

    members: tuple[int, ...]
    keys: tuple[_Key, ...]


def task_means(blocks: Sequence[Block], axes: Sequence[str]) -> tuple[list[Block], pl.DataFrame]:
    """The means over tasks of each kind, and the means that each task is part of.

    An outcome is part of a mean over the tasks that have its model, prompt, settings, strategy and
    budget exactly once. The mean named "(macro)" is over the largest such set of tasks; others,
    over fewer tasks that share more, are named by their tasks.

    Args:
        blocks: of single tasks, all kinds.
        axes: cost axes that every block has.

    Returns:
        Blocks of the means, and rows of out_task_means.
    """
    by_kind = {kind: [block for block in blocks if block.kind == kind] for kind in KINDS}
    chosen = {kind: _sets(mine) for kind, mine in by_kind.items()}
    first = next(
        (_tasks(by_kind[kind], found[0][0]) for kind, found in chosen.items() if found[0]), ()
    )
    means, told = [], []
    for kind, mine in by_kind.items():
        sets, holders = chosen[kind]
        named = [(mean_name(_tasks(mine, each), first), each) for each in sets]
        means += [
            _mean(name, [mine[place] for place in each.members], each.keys, axes)
            for name, each in named
        ]
        told += [_told(place, mine, holders, named) for place in range(len(mine))]
    schema = empty("out_task_means").schema
    return means, (
        pl.DataFrame(told, schema=schema, orient="row") if told else empty("out_task_means")
    )


def _tasks(blocks: Sequence[Block], chosen: _Set) -> tuple[str, ...]:
    return tuple(blocks[place].task for place in chosen.members)


def _sets(blocks: Sequence[Block]) -> tuple[list[_Set], dict[_Key, tuple[int, ...]]]:
    """The sets of tasks for means, the largest first.

    And where each key occurs exactly once.
    """
    holders: dict[_Key, list[int]] = {}
    for place, block in enumerate(blocks):
        once = block.outcomes.select(_KEY).filter(~pl.struct(_KEY).is_duplicated())
        for key in once.iter_rows():
            holders.setdefault(key, []).append(place)
    held = {key: tuple(places) for key, places in holders.items()}
    members = {places for places in held.values() if len(places) > 1}
    found = [
        _Set(
            places,
            tuple(
                sorted(
                    (key for key, theirs in held.items() if set(places) <= set(theirs)), key=repr
                )
            ),
        )
        for places in members
    ]
    # The largest set of tasks first; then those that share most, and if that is equal by name of
    # their tasks.
    found.sort(key=lambda each: (-len(each.members), -len(each.keys), each.members))
    rest = sorted(found[1:], key=lambda each: (-len(each.members) * len(each.keys), each.members))
    return [*found[:1], *rest[: MOST_MEANS - 1]], held


def _mean(name: str, blocks: Sequence[Block], keys: Sequence[_Key], axes: Sequence[str]) -> Block:
    """The block of one mean.

    Every task weighs the same, and its problems are resampled by themselves.
    """
    wanted = pl.DataFrame(list(keys), schema=blocks[0].outcomes.select(_KEY).schema, orient="row")
    joined = wanted
    for number, block in enumerate(blocks):
        mine = block.outcomes.with_row_index("row").select(
            *_KEY, pl.col("row").alias(f"row_{number}"), pl.col("outcome_id").alias(f"id_{number}")
        )
        joined = joined.join(mine, on=list(_KEY), how="inner", nulls_equal=True)
    ids = [f"id_{number}" for number in range(len(blocks))]
    hashes = [
        "mo-" + hashlib.sha256("\n".join(row).encode()).hexdigest()[:16]
        for row in joined.select(ids).iter_rows()
    ]
    joined = joined.with_columns(
        pl.Series("outcome_id", hashes), pl.concat_list(ids).alias("member_outcome_ids")
    ).sort("outcome_id")
    joined = joined.join(
        _names(joined), on=list(_TOLD), how="left", nulls_equal=True, maintain_order="left"
    )
    rows = [joined[f"row_{number}"].to_numpy() for number in range(len(blocks))]
    everywhere = pl.concat([block.outcomes.select(_KEY) for block in blocks]).unique().height
    share = 1 / len(blocks)
    ends = np.cumsum([0, *(len(block.weights) for block in blocks)]).tolist()
    return Block(
        task=name,
        tasks=tuple(block.task for block in blocks),
        kind=blocks[0].kind,
        outcomes=joined.with_columns(pl.lit(None, pl.String).alias("point_id")).select(
            *IDENTITY, "settings", "member_outcome_ids"
        ),
        values=Stacked(tuple((block.values, row) for block, row in zip(blocks, rows, strict=True))),
        costs={
            axis: Stacked(tuple((b.costs[axis], row) for b, row in zip(blocks, rows, strict=True)))
            for axis in axes
        },
        weights=np.concatenate([block.weights * share for block in blocks]),
        counts=np.concatenate(
            [
                b.counts / b.counts.sum(axis=1, keepdims=True, dtype=np.float64) * share
                for b in blocks
            ],
            axis=1,
        ),
        clusters=None,
        n_units=sum(block.n_units for block in blocks),
        seed=blocks[0].seed,
        n_outcomes=everywhere,
        n_unknown_accuracy=0,
        n_other_problems=everywhere - joined.height,
        n_other_kind=None,
        strata=tuple(
            (slice(start, stop), block.clusters, block.has_uncertainty)
            for block, start, stop in zip(blocks, ends, ends[1:], strict=False)
        ),
    )


def _names(outcomes: pl.DataFrame) -> pl.DataFrame:
    """A name for each configuration of a mean, which has no point of its own.

    It joins points of several tasks.
    """
    told = outcomes.select(_TOLD).unique().sort(_TOLD, nulls_last=True)
    members = {
        (row, place): (
            each
            | {
                name: value
                for name, value in zip(_TOLD, row, strict=True)
                if name != "settings" and value and alone
            }
        )
        for row in told.iter_rows()
        for steps in [json.loads(row[2] or "[{}]")]
        for alone in [len(steps) == 1]
        for place, each in enumerate(steps)
    }
    distinct = {json.dumps(each, sort_keys=True): each for each in members.values()}
    names = shortest_names(distinct, ("model_variant", "prompt"))
    spelt: dict[_Key, list[str]] = {}
    for (row, _), each in members.items():
        spelt.setdefault(row, []).append(names[json.dumps(each, sort_keys=True)])
    schema = {**told.schema, "configuration": pl.String}
    return pl.DataFrame(
        [(*row, " → ".join(parts)) for row, parts in spelt.items()], schema=schema, orient="row"
    )


def _told(
    place: int,
    blocks: Sequence[Block],
    held: dict[_Key, tuple[int, ...]],
    named: Sequence[tuple[str, _Set]],
) -> dict[str, object]:
    """One row of out_task_means."""
    block = blocks[place]
    mine = [name for name, each in named if place in each.members]
    keys = list(block.outcomes.select(_KEY).iter_rows())
    shared = sum(1 for key in keys if len(held.get(key, ())) > 1 and place in held[key])
    reason = None
    if MACRO_TASK not in mine:
        reason = _reason(block, [other for other in blocks if other is not block], shared)
    return {
        "frontier_kind": block.kind,
        "task": block.task,
        "n_outcomes": block.outcomes.height,
        "n_shared": shared,
        "means": mine,
        "left_out_reason": reason,
    }


def _reason(block: Block, others: Sequence[Block], shared: int) -> str:
    """Why a task is not in the mean over the largest set of tasks."""
    if not others:
        return "it is the only task"
    if shared:
        return (
            "its shared configurations are in other means: none was measured in all tasks of this"
            " one"
        )
    own, nearest = _settings(block), []
    for other in others:
        for name, theirs in _settings(other).items():
            nearest += [
                (len(_unlike(mine, theirs)), other.task, name, _unlike(mine, theirs))
                for mine in own.values()
            ]
    apart, task, _, names = min(nearest, key=lambda each: each[:3])
    if apart:
        more = "" if apart <= 4 else f" and {apart - 4} more"
        return (
            f"none of its configurations was measured in another task; the nearest, in {task},"
            f" differs in {', '.join(names[:4])}{more}"
        )
    if _repeats(block) or any(other.task == task and _repeats(other) for other in others):
        return (
            f"configurations of it and {task} agree, but several of one task have the same"
            " settings, so that none is the one to join"
        )
    return (
        f"one of its configurations was also measured in {task}, but no strategy was replayed at "
        f"the same budget in both"
    )


def _settings(block: Block) -> dict[str, dict[str, Any]]:
    """Settings of a block's configurations, with the model and prompt that every outcome names."""
    found = {}
    for model, prompt, text in (
        block.outcomes.select(_TOLD)
        .unique()
        .sort(_TOLD, nulls_last=True)
        .head(_MOST_NEAR)
        .iter_rows()
    ):
        steps = json.loads(text or "[{}]")
        named = {
            name: value
            for name, value in (("model_variant", model), ("prompt", prompt))
            if value is not None
        }
        if len(steps) == 1 or block.outcomes["settings"].n_unique() == 1:
            found[sha256_hex([named, steps])] = {**steps[0], **named}
    return found or {"": {}}


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _repeats(block: Block) -> bool:
    return bool(block.outcomes.select(pl.struct(_KEY).is_duplicated().any()).item())
