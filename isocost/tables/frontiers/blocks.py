"""From outcome frames to the matrices that the frontier package works on.

Lives here: which outcomes of a task may be compared draw by draw, which are left out and why, their
matrices of values and costs, and the shared draws. Not here: the reading of the matrices
(``isocost.tables.outcomes.problem_rows``), means over tasks
(``isocost.tables.frontiers.task_means``), frontiers and tables
(``isocost.tables.frontiers.frontiers``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import polars as pl

from isocost.axes.registry import by_outcome_column
from isocost.errors import IsocostError
from isocost.frontier import Replicates, resample_counts, strip_replicates
from isocost.hashing import canonical_json
from isocost.memory import Workspace
from isocost.tables.configurations import chain_name, configuration_names, shared_settings
from isocost.tables.outcomes.problem_rows import Matrix, ProblemRows, Stacked, strips

IDENTITY = (
    "outcome_id",
    "model_variant",
    "prompt",
    "point_id",
    "configuration",
    "strategy",
    "strategy_kind",
    "budget",
    "parameters",
)
KINDS = {"policy": ("policy",), "oracle": ("policy", "oracle")}


@dataclass(frozen=True)
class Block:
    """Outcomes of one task on one set of problems.

    Attributes:
        task: task name, or that of a mean over tasks.
        tasks: the task, or those that the mean is over.
        kind: frontier_kind that the outcomes were chosen for.
        outcomes: identity columns, settings and member_outcome_ids, one row per outcome, in order
            of outcome_id.
        values: expected correctness, outcomes x problems; read when opened.
        costs: expected cost per axis, outcomes x problems; NaN where unknown. Read when opened.
        weights: weight of each problem in a mean, summing to 1.
        counts: draws x problems, how often (how heavily) each draw takes each problem.
        clusters: label per problem, or None where each stands alone.
        n_units: units that were resampled.
        seed: seed of the draws.
        n_outcomes: outcomes before exclusions.
        n_unknown_accuracy: left out because a value is undefined.
        n_other_problems: left out because they were judged on other problems.
        n_other_kind: left out because they are of another kind; None where that was not counted.
        strata: for a mean over tasks the columns of each task, its clusters and whether it could be
            resampled; empty otherwise.
    """

    task: str
    tasks: tuple[str, ...]
    kind: str
    outcomes: pl.DataFrame
    values: Matrix | Stacked
    costs: dict[str, Matrix] | dict[str, Stacked]
    weights: np.ndarray
    counts: np.ndarray
    clusters: np.ndarray | None
    n_units: int
    seed: int
    n_outcomes: int
    n_unknown_accuracy: int
    n_other_problems: int
    n_other_kind: int | None
    strata: tuple[tuple[slice, np.ndarray | None, bool], ...] = ()

    @property
    def workspace(self) -> Workspace:
        """Where its matrices are kept while they are open."""
        return self.values.workspace

    @property
    def has_uncertainty(self) -> bool:
        """False where there is nothing to resample, in one of the tasks at least.

        Uncertainty is then unknown, not zero.
        """
        if not all(is_resampled for _, _, is_resampled in self.strata):
            return False
        return bool((self.counts != self.counts[:1]).any())


@contextmanager
def known_replicates(
    block: Block, axis: str, confidence: float | None = None
) -> Iterator[tuple[np.ndarray, Replicates]]:
    """Outcomes with a known cost on every problem, and the means of these costs per draw.

    Released at the end.

    Args:
        block: the outcomes.
        axis: the cost.
        confidence: level of the intervals of the means; none if None.
    """
    size, known = block.costs[axis].shape, []

    def finite() -> Iterator[np.ndarray]:
        for rows, some in strips(costs, size[1]):
            is_known = np.isfinite(some).all(axis=1)
            known.append(rows.start + np.flatnonzero(is_known))
            yield some[is_known]

    with block.workspace.means((size[0], len(block.counts))) as room:
        with block.costs[axis].open() as costs:
            found = strip_replicates(
                finite(), size[0], block.counts, block.weights, room=room, confidence=confidence
            )
        yield np.concatenate(known), found


def cost_axes(outcomes: pl.DataFrame, problems: pl.DataFrame | ProblemRows) -> list[str]:
    """The columns of the registered cost axes that both frames carry, in alphabetical order."""
    return sorted(
        name
        for name in by_outcome_column()
        if name in outcomes.columns and name in problems.columns
    )


def cost_unit(cost_axis: str) -> str:
    """Unit of a cost axis by its column in out_strategy_outcomes."""
    if cost_axis not in by_outcome_column():
        raise IsocostError(
            f"there is no cost axis {cost_axis!r}",
            remedy="Register it in isocost/axes; see docs/extending/cost-axis.md.",
        )
    return by_outcome_column()[cost_axis].unit


def task_blocks(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    axes: list[str],
    *,
    draws: int,
    seed: int,
    clusters: pl.DataFrame | None,
    places: pl.DataFrame | None = None,
) -> list[Block]:
    """One block per kind and task with an outcome to show.

    Policies first, then by the task's name.

    Oracles get a block only in tasks that have one: elsewhere it would repeat the policies.
    ``places`` are those of all outcomes in ``problems``, if already known.
    """
    clusters_of, source = cluster_labels(clusters), ProblemRows.of(problems)
    places = source.places(outcomes["outcome_id"]) if places is None else places
    blocks = []
    for kind, members in KINDS.items():
        for task in outcomes["task"].unique().sort():
            whole = outcomes.filter(pl.col("task") == task)
            mine = whole.filter(pl.col("strategy_kind").is_in(members)).sort("outcome_id")
            held = places.join(
                mine.select("outcome_id"), on="outcome_id", how="semi", maintain_order="left"
            )
            if held.is_empty() or kind not in mine["strategy_kind"].to_list():
                continue
            block = _task_block(
                task,
                kind,
                mine,
                source,
                held,
                axes,
                draws,
                seed,
                clusters_of,
                whole.height - mine.height,
            )
            blocks += [block] if block is not None else []
    return blocks


def _task_block(
    task: str,
    kind: str,
    mine: pl.DataFrame,
    source: ProblemRows,
    held: pl.DataFrame,
    axes: list[str],
    draws: int,
    seed: int,
    clusters_of: dict[str, str],
    n_other_kind: int,
) -> Block | None:
    known = held.filter(~pl.col("is_unknown"))
    unknown = mine.height - known.height
    if known.is_empty():
        return None
    # The problem set of most outcomes is used.
    leading = known.group_by("problem_set").agg(
        pl.len().alias("outcomes"), pl.col("size").first(), pl.col("outcome_id").min()
    )
    chosen = leading.sort(["outcomes", "size", "outcome_id"], descending=[True, True, False]).row(
        0, named=True
    )
    kept = known.filter(pl.col("problem_set") == chosen["problem_set"])
    matrix = {name: Matrix(source, name, kept, chosen["size"]) for name in ("accuracy", *axes)}
    labels = _clusters(
        source.problems(kept["piece"][0], kept["start"][0], chosen["size"]), clusters_of
    )
    own_seed = task_seed(seed, task)
    n_units = chosen["size"] if labels is None else len(set(labels))
    # A single unit cannot be resampled: every draw is the sample itself, and the tables then show
    # no uncertainty at all.
    single = np.ones((draws, chosen["size"]), dtype=np.uint16)
    counts = (
        resample_counts(chosen["size"], draws, own_seed, clusters=labels) if n_units > 1 else single
    )
    return Block(
        task=task,
        tasks=(task,),
        kind=kind,
        outcomes=_identity(mine.join(kept, on="outcome_id", how="semi", maintain_order="left")),
        values=matrix.pop("accuracy"),
        costs=matrix,
        weights=np.full(chosen["size"], 1 / chosen["size"]),
        counts=counts,
        clusters=labels,
        n_units=n_units,
        seed=own_seed,
        n_outcomes=mine.height,
        n_unknown_accuracy=unknown,
        n_other_problems=known.height - kept.height,
        n_other_kind=n_other_kind,
    )


def cluster_labels(clusters: pl.DataFrame | None) -> dict[str, str]:
    """The cluster of each problem that has one.

    If several sessions name different ones, the first by session name.
    """
    if clusters is None:
        return {}
    named = (
        clusters.select("problem_id", "cluster_id").drop_nulls().sort("problem_id", "cluster_id")
    )
    return dict(named.unique("problem_id", keep="first", maintain_order=True).iter_rows())


def task_seed(seed: int, task: str) -> int:
    """A separate seed for every task, so that draws of different tasks are independent."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{task}".encode()).digest()[:4], "big")


def _clusters(problem_ids: list[str], clusters_of: dict[str, str]) -> np.ndarray | None:
    """Labels if at least two problems share one; a problem without a cluster is independent."""
    labels = [clusters_of.get(problem) or f"problem {problem}" for problem in problem_ids]
    return np.array(labels) if len(set(labels)) < len(labels) else None


def _identity(outcomes: pl.DataFrame) -> pl.DataFrame:
    columns = [
        pl.col(name) if name in outcomes.columns else pl.lit(None, pl.String).alias(name)
        for name in (*IDENTITY, "settings")
    ]
    return outcomes.select(*columns).with_columns(
        pl.col("budget").cast(pl.Float64), pl.concat_list("outcome_id").alias("member_outcome_ids")
    )


def with_configuration(outcomes: pl.DataFrame, points: pl.DataFrame | None) -> pl.DataFrame:
    """Add ``configuration``, unique within the task, and ``settings``.

    ``settings`` matches the configuration across tasks.

    Args:
        outcomes: out_strategy_outcomes.
        points: core_points; without it, only model and prompt of a point are known.
    """
    columns = [
        name
        for name in ("point_id", "point_ids", "task", "model_variant", "prompt")
        if name in outcomes.columns
    ]
    known = outcomes.select(columns).unique("point_id", keep="first", maintain_order=True)
    if points is None:
        points = known
    elif "task" not in points.columns:
        points = points.join(
            known.select("point_id", "task"), on="point_id", how="inner", maintain_order="left"
        )
    names, shared = configuration_names(points), shared_settings(points)
    rows = []
    for row in known.iter_rows(named=True):
        members = row.get("point_ids") or [row["point_id"]]
        plain = {
            name: row[name] for name in ("model_variant", "prompt") if row.get(name) is not None
        }
        name = chain_name(members, names) or " · ".join(map(str, plain.values())) or "–"
        rows.append(
            (
                row["point_id"],
                name,
                canonical_json([shared.get(member, plain) for member in members]),
            )
        )
    added = pl.DataFrame(
        rows,
        schema={"point_id": pl.String, "configuration": pl.String, "settings": pl.String},
        orient="row",
    )
    return outcomes.drop("configuration", "settings", strict=False).join(
        added, on="point_id", how="left", maintain_order="left"
    )
