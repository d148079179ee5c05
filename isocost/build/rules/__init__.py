"""The derived tables, how each group is computed, and in which pieces.

Lives here: one function per group of derived tables that reads its inputs, calls the builders in
``isocost.tables`` and returns their frames; and ``PARTS``, which declares for each what it writes,
what it reads and the granularity of its pieces. Not here: how a table is computed, and which pieces
are built when (``isocost.build.refresh``).

To add a table: a module of this package with its own tuple ``PARTS`` is discovered automatically
(docs/extending/table.md). A function gets ``Rows``: its ``read(table)`` gives the rows of one point
(``per="point"``), one task (``"task"``), one session (``"session"``) or all rows (``"all"``), and
it must use nothing else, because only what it reads determines whether its piece is rebuilt.
Options such as draws are constants of the code, and any change of the code builds everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from isocost import sql
from isocost.bank.reader import read_raw
from isocost.build.slices import Rows
from isocost.errors import IsocostError
from isocost.intake import card_book
from isocost.intake.settings import replay_options
from isocost.registry import modules_of
from isocost.schema.frames import empty
from isocost.schema.registry import table
from isocost.schema.runs import Runs
from isocost.store import Store

if TYPE_CHECKING:
    from isocost.tables.outcomes.problem_rows import ProblemRows

Frames = dict[str, pl.DataFrame]
# A table that may be too large to be held comes in runs.
Tables = Mapping[str, pl.DataFrame | Runs]

# Bootstrap draws of problems: a probability of 0.5 has a standard error of 0.016 from the draws,
# far below that from the problems.
FRONTIER_DRAWS = 1000


def derive_strategies(rows: Rows | Store) -> Frames:
    """Replay every registered strategy over all valid samples of single points.

    With the requested settings of their tasks.
    """
    from isocost.tables.outcomes.outcomes import build_outcomes

    asked = partial(replay_options, rows.root)
    outcomes, problems = build_outcomes(
        rows.read("core_samples"), counts=rows.read("core_counts"), only="points", asked=asked
    )
    return {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems}


def derive_chains(rows: Rows | Store) -> Frames:
    """Replay cascades and routers on chains of points of one task."""
    from isocost.strategies import ChainStrategy, find_strategies
    from isocost.tables.outcomes.banks import columns_read
    from isocost.tables.outcomes.outcomes import build_outcomes

    # Lists are most of the bank, and hardly any strategy reads one.
    lists = {
        name
        for chain in find_strategies()
        if isinstance(chain, ChainStrategy)
        for name in chain.reads_lists
    }
    samples = rows.read("core_samples", columns=columns_read(lists))
    outcomes, problems = build_outcomes(samples, counts=rows.read("core_counts"), only="chains")
    return {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems}


def derive_frontiers(rows: Rows | Store) -> Tables:
    """Frontiers with one bootstrap over problems shared by all outcomes of a task."""
    from isocost.tables.frontiers.frontiers import frontier_frames

    points, problems = rows.read("core_points"), rows.read("core_problems", columns=_CLUSTERS)
    found = frontier_frames(
        *_outcomes_by_piece(rows), draws=FRONTIER_DRAWS, points=points, clusters=problems
    )
    return _in_runs(rows, (*_FRONTIERS, "out_comparisons"), found)


def derive_frontiers_over_tasks(rows: Rows | Store) -> Tables:
    """The same of means over tasks, and which tasks are in which."""
    from isocost.tables.frontiers.frontiers import frontier_frames

    points, problems = rows.read("core_points"), rows.read("core_problems", columns=_CLUSTERS)
    found = frontier_frames(
        *_outcomes_by_piece(rows),
        draws=FRONTIER_DRAWS,
        points=points,
        clusters=problems,
        only_over_tasks=True,
    )
    return _in_runs(
        rows,
        (*_FRONTIERS, "out_task_means"),
        ((name, _rounded(name, frame)) for name, frame in found),
    )


def _in_runs(
    rows: Rows | Store, names: Sequence[str], found: Iterable[tuple[str, pl.DataFrame]]
) -> Tables:
    """Rows of some tables as they arrive, large tables spilled.

    Those of a table that takes more than a sixteenth of the memory.
    """
    memory = rows.memory if isinstance(rows, Rows) else None
    runs = {
        name: Runs(
            name,
            memory=None if memory is None else memory // 16,
            folder=rows.root / "out" / ".aside",
        )
        for name in names
    }
    for name, frame in found:
        if name in runs:
            runs[name].add(frame)
    return {name: each if each.is_laid_aside else each.whole() for name, each in runs.items()}


def _rounded(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers to 12 digits.

    Means over tasks are matrix products, whose last bits hang on the number of threads.
    """
    keys = table(name).keys
    floats = [
        column
        for column, dtype in frame.schema.items()
        if dtype == pl.Float64 and column not in keys
    ]
    return frame.with_columns(pl.col(floats).round_sig_figs(12))


def derive_coverage(rows: Rows | Store) -> Frames:
    """pass@k with its bands, pairwise differences, and intervals of single-sample accuracy."""
    from isocost.tables.coverage.accuracy_intervals import build_accuracy_intervals
    from isocost.tables.coverage.bands import build_coverage_bands
    from isocost.tables.tallies import COLUMNS

    samples = rows.read("core_samples", columns=COLUMNS)
    counts, problems = rows.read("core_counts"), rows.read("core_problems", columns=_CLUSTERS)
    bands = build_coverage_bands(samples, counts=counts, clusters=problems)
    return {
        **bands,
        "out_accuracy_intervals": build_accuracy_intervals(
            samples, counts=counts, clusters=problems
        ),
    }


def derive_curves(rows: Rows | Store) -> Frames:
    """Curves with their fits, targets and anytime measures.

    The draws are those of the task, whichever of its curves are fitted.
    """
    from isocost.tables.scaling.scaling import build_scaling

    return build_scaling(*_outcomes(rows), clusters=rows.read("core_problems", columns=_CLUSTERS))


def derive_scaling(rows: Rows | Store) -> Frames:
    """The same of chains of points.

    Elasticities and compute-optimal allocation, which compare the points of a task.
    """
    from isocost.tables.scaling.allocation import build_compute_optimal
    from isocost.tables.scaling.anytime import build_effort_frontier, build_token_elasticity
    from isocost.tables.scaling.scaling import build_scaling
    from isocost.tables.tallies import COLUMNS

    outcomes, problems = _outcomes_by_piece(rows)
    wanted = (
        *COLUMNS,
        "sample_index",
        "answer_class",
        "output_tokens",
        "flops",
        "latency_s",
        "finish_reason",
    )
    samples, counts = rows.read("core_samples", columns=wanted), rows.read("core_counts")
    clusters = rows.read("core_problems", columns=_CLUSTERS)
    chains = outcomes.filter(pl.col("point_ids").list.len() > 1)
    frames = build_scaling(chains, problems, clusters=clusters)
    frames["out_token_elasticity"] = build_token_elasticity(outcomes, problems, clusters=clusters)
    frames["out_effort_frontier"] = build_effort_frontier(samples, counts=counts)
    frames["out_compute_optimal"] = build_compute_optimal(samples, counts=counts)
    return frames


def derive_costs(rows: Rows | Store) -> Frames:
    """Cost of pass, intelligence per watt and joule: what compares the points of a task."""
    from isocost.tables.costs.costs import AXES, build_cost_of_pass
    from isocost.tables.costs.efficiency import build_intelligence_per_watt
    from isocost.tables.tallies import COLUMNS

    run = ("sample_id", "session_id", "run_id", "attempt", "sample_index")
    wanted = dict.fromkeys(
        (*COLUMNS, *run, *AXES, "latency_s", "energy_method", "energy_unknown_reason")
    )
    samples, counts = rows.read("core_samples", columns=tuple(wanted)), rows.read("core_counts")
    return {
        "out_cost_of_pass": build_cost_of_pass(samples, card_book(rows), counts=counts),
        "out_intelligence_per_watt": build_intelligence_per_watt(
            samples, rows.read("core_energy_attribution"), counts=counts
        ),
    }


def derive_session_costs(rows: Rows | Store) -> Frames:
    """Runtime models and request efficiency: what describes one session."""
    from isocost.tables.costs.efficiency import build_request_efficiency
    from isocost.tables.costs.runtimes import build_runtime_models

    samples, sessions = rows.read("core_samples"), rows.read("core_sessions")
    return {
        "out_runtime_models": build_runtime_models(samples, sessions, card_book(rows)),
        "out_request_efficiency": build_request_efficiency(
            samples, sessions, rows.read("core_points"), card_book(rows)
        ),
    }


def derive_items(rows: Rows | Store) -> Frames:
    """Item statistics, reproducibility and regressions: what compares the points of a task."""
    from isocost.tables.items.items import build_item_statistics
    from isocost.tables.items.reruns import METRICS, build_regressions, build_reproducibility
    from isocost.tables.tallies import COLUMNS

    more = (
        "sample_id",
        "session_id",
        "sample_index",
        "answer",
        "output_tokens",
        "completion_hash",
        "energy_method",
        *METRICS,
    )
    samples = rows.read(
        "core_samples",
        columns=tuple(dict.fromkeys(name for name in (*COLUMNS, *more) if name != "accuracy")),
    )
    points, sessions = rows.read("core_points"), rows.read("core_sessions")
    counts = rows.read("core_counts")
    return {
        "out_item_statistics": build_item_statistics(samples, counts=counts),
        "out_reproducibility": build_reproducibility(
            samples, points, sessions, _greedy_tokens(rows, points)
        ),
        "out_regressions": build_regressions(samples, points, sessions, counts=counts),
    }


def derive_responses(rows: Rows | Store) -> Frames:
    """Response features.

    Correct against wrong responses of one point. Texts are most of the bank, so each is read once.
    """
    from isocost.tables.items.responses import build_response_features

    wanted = ("sample_id", "session_id", "call_index", "is_used", "output_text")
    samples = rows.read("core_samples")
    used = (
        rows.read("core_calls", columns=wanted)
        .filter(pl.col("is_used"))
        # For a sample in two sessions, the text of the copy that counts.
        .join(samples.select("sample_id", "session_id"), on=["sample_id", "session_id"], how="semi")
        .sort("sample_id", "call_index")
    )
    texts = used.unique("sample_id", keep="last", maintain_order=True)
    texts = texts.select("sample_id", "output_text")
    return {"out_response_features": build_response_features(samples, texts)}


def _greedy_tokens(rows: Rows | Store, points: pl.DataFrame) -> pl.DataFrame:
    """Token ids of the samples of greedy points, for the divergence index.

    Only those parts of the bank are opened.

    The bank is not a separate input of the piece: core_samples has the hash of every sample's
    tokens.
    """
    wanted = ("sample_id", "output_token_ids", "token_logprobs")
    greedy = points.filter((pl.col("temperature") == 0) & (pl.col("source") == "generated"))
    frames = [
        read_raw(
            rows.lake,
            "raw_generations",
            str(key[0]),
            point_ids=part["point_id"].to_list(),
            columns=[*wanted, "is_warmup"],
        )
        for key, part in greedy.sort("session_id", "point_id").group_by(
            "session_id", maintain_order=True
        )
    ]
    found = pl.concat(frames) if frames else empty("raw_generations").select(*wanted, "is_warmup")
    return (
        found.filter(~pl.col("is_warmup"))
        .select(wanted)
        .unique("sample_id", keep="last", maintain_order=True)
    )


def derive_summary(rows: Rows | Store) -> Frames:
    """The tables that are one SQL file each, run task by task.

    Each configuration gets the name that no other of its task has.
    """
    from isocost.tables.configurations import configuration_names

    files, names = sql.sql_files("out"), configuration_names(rows.read("core_points"))
    wanted: dict[str, set[str]] = {}
    for path in files:
        for name in sql.tables_of(path):
            wanted.setdefault(name, set()).update(sql.columns_of(path, name))
    parts = []
    for some in rows.by_points("core_samples") if isinstance(rows, Rows) else [rows]:
        with sql.over(
            {name: some.read(name, columns=sorted(columns)) for name, columns in wanted.items()}
        ) as connection:
            parts.append({path.stem: sql.run_file(connection, path) for path in files})
    frames = {name: pl.concat([part[name] for part in parts]) for name in parts[0]}
    named = pl.col("point_id").replace_strict(names, default=None, return_dtype=pl.String)
    return {name: frame.with_columns(configuration=named) for name, frame in frames.items()}


_CLUSTERS = ("problem_id", "cluster_id")


def _outcomes(rows: Rows | Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows.read("out_strategy_outcomes"), rows.read("out_strategy_problems")


def _outcomes_by_piece(rows: Rows | Store) -> tuple[pl.DataFrame, ProblemRows]:
    """The same with the problems read when they are needed.

    There may be millions of rows of them.
    """
    from isocost.memory import Workspace
    from isocost.tables.outcomes.problem_rows import ProblemRows

    memory = rows.memory if isinstance(rows, Rows) else None
    # A quarter for matrices of outcomes and problems; those of outcomes and draws, of which several
    # are needed, take the rest.
    workspace = Workspace(
        None if memory is None else memory // 4, rows.root / "out" / ".aside", memory
    )
    nothing = empty("out_strategy_problems")
    # A root with only power logs and summary numbers has no outcomes, and no pieces of them.
    readers = rows.readers("out_strategy_problems") or (nothing.select,)
    return rows.read("out_strategy_outcomes"), ProblemRows(
        readers, tuple(nothing.columns), workspace
    )


@dataclass(frozen=True)
class Part:
    """One computation, run once for each of its pieces.

    Attributes:
        step: the group of tables it belongs to.
        per: the granularity of a piece: ``point``, ``task``, ``session`` or ``all``.
        tables: what it returns.
        reads: what it reads.
        build: the function.
        uses_cards: whether cards of models, devices or prices are an input.
        uses_replay_settings: whether the replay settings of its task (``isocost.intake.settings``)
            are an input.
    """

    step: str
    per: str
    tables: tuple[str, ...]
    reads: tuple[str, ...]
    build: Callable[[Rows], Tables]
    uses_cards: bool = False
    uses_replay_settings: bool = False

    @property
    def name(self) -> str:
        """Of the folder of its records."""
        return f"{self.step}-{self.per}"


_SAMPLES = ("core_samples", "core_counts")
_STRATEGIES = ("out_strategy_outcomes", "out_strategy_problems")
_FRONTIERS = (
    "out_frontier_points",
    "out_frontiers",
    "out_frontier_attainment",
    "out_joint_frontier_points",
    "out_joint_frontiers",
)

_CURVES = ("out_scaling_fits", "out_scaling_points", "out_compute_targets", "out_anytime")

# In the order in which they build on each other.
_BUILT_IN = (
    Part(
        "strategies", "point", _STRATEGIES, _SAMPLES, derive_strategies, uses_replay_settings=True
    ),
    Part("strategies", "task", _STRATEGIES, _SAMPLES, derive_chains),
    Part(
        "frontiers",
        "task",
        (*_FRONTIERS, "out_comparisons"),
        (*_STRATEGIES, "core_points", "core_problems"),
        derive_frontiers,
    ),
    Part(
        "frontiers",
        "all",
        (*_FRONTIERS, "out_task_means"),
        (*_STRATEGIES, "core_points", "core_problems"),
        derive_frontiers_over_tasks,
    ),
    Part(
        "coverage",
        "task",
        ("out_coverage_bands", "out_coverage_differences", "out_accuracy_intervals"),
        (*_SAMPLES, "core_problems"),
        derive_coverage,
    ),
    Part("scaling", "point", _CURVES, (*_STRATEGIES, "core_problems"), derive_curves),
    Part(
        "scaling",
        "task",
        (
            *_CURVES,
            "out_token_elasticity",
            "out_effort_frontier",
            "out_compute_optimal",
        ),
        (*_STRATEGIES, *_SAMPLES, "core_problems"),
        derive_scaling,
    ),
    Part(
        "costs",
        "task",
        ("out_cost_of_pass", "out_intelligence_per_watt"),
        (*_SAMPLES, "core_energy_attribution"),
        derive_costs,
        uses_cards=True,
    ),
    Part(
        "costs",
        "session",
        ("out_request_efficiency", "out_runtime_models"),
        ("core_samples", "core_sessions", "core_points"),
        derive_session_costs,
        uses_cards=True,
    ),
    Part(
        "items",
        "task",
        ("out_item_statistics", "out_reproducibility", "out_regressions"),
        (*_SAMPLES, "core_points", "core_sessions"),
        derive_items,
    ),
    Part(
        "items",
        "point",
        ("out_response_features",),
        ("core_samples", "core_calls"),
        derive_responses,
    ),
    Part("summary", "task", ("out_point_summary",), (*_SAMPLES, "core_points"), derive_summary),
)


def _in_order(known: Sequence[Part], found: Iterable[Part]) -> tuple[Part, ...]:
    """The built-in steps in order, then discovered ones, each after the steps that it reads.

    Raises:
        IsocostError: a table has two origins that write the same pieces, or none.
    """
    ordered, waiting = list(known), list(found)
    for part in waiting:
        for other in (*known, *waiting):
            if other is not part and other.name == part.name:
                raise IsocostError(
                    f"two parts of {part.name!r}",
                    where=part.build.__module__,
                    remedy="Give the step a unique name",
                )
    while waiting:
        made = {table for part in ordered for table in part.tables}
        ready = [p for p in waiting if all(t in made or not t.startswith("out_") for t in p.reads)]
        if not ready:
            names = sorted({t for p in waiting for t in p.reads if t.startswith("out_")} - made)
            raise IsocostError(
                f"reads tables that nothing makes before it: {', '.join(names)}",
                where=waiting[0].build.__module__,
                remedy="Correct `reads`; parts must not wait for each other",
            )
        ordered += ready
        waiting = [part for part in waiting if part not in ready]
    return tuple(ordered)


PARTS = _in_order(
    _BUILT_IN,
    [part for module in modules_of(__name__) for part in getattr(module, "PARTS", ())],
)
# Tables of each step, in order.
STEPS: dict[str, tuple[str, ...]] = {
    step: tuple(
        dict.fromkeys(table for part in PARTS if part.step == step for table in part.tables)
    )
    for step in dict.fromkeys(part.step for part in PARTS)
}
