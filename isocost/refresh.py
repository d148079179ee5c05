"""From what is banked to what people read, step by step, without an orchestrator; nothing that still fits is built again.

Lives here: one function per group of derived tables that reads its inputs, calls the builders in ``isocost.tables`` and returns their
frames; which pieces each is computed in; and ``derive``, which builds the pieces that no longer fit and writes them. The Dagster assets
call the steps one by one; ``isocost refresh`` calls them in order. Not here: how a table is computed, planning and importing
(``isocost.intake``), core tables (``isocost.curate``), records and checksums (``isocost.pieces``). What others call is named here, too.

To add a table: define it in ``isocost.schema.tables``, return its frame from one of the functions below, and name it in ``tables`` of that
function's ``Part``; what the function reads stands in ``reads``. A function gets ``Rows``: its ``read(table)`` gives the rows of one point
(``per="point"``), one task (``"task"``), one session (``"session"``) or all rows (``"all"``), and it must use nothing else, for only what
it reads decides whether its piece is built again. Options such as draws are constants of the code, and any change of the code builds
everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from isocost import sql
from isocost.bank.reader import read_raw
from isocost.curate import (
    CARDS,
    CORE_OF_SESSION,
    Curated,
    Held,
    cards_fingerprint,
    curate_session,
    forget_vanished,
    held_by_sessions,
    leave_out,
    write_cards,
)
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.intake import bring_in, card_book, clashes, known_sources, plan_sweep, raw_rows
from isocost.pieces import Ledger, Rows, code_fingerprint, point_piece, task_piece
from isocost.schema.frames import empty
from isocost.store import WHOLE, Store

__all__ = [
    "CARDS",
    "CORE_OF_SESSION",
    "Curated",
    "bring_in",
    "card_book",
    "clashes",
    "curate_session",
    "known_sources",
    "plan_sweep",
    "raw_rows",
    "write_cards",
]

Frames = dict[str, pl.DataFrame]

# Bootstrap draws of problems: a probability of 0.5 has a standard error of 0.016 from the draws, far below that from the problems.
FRONTIER_DRAWS = 1000


def derive_strategies(rows: Rows | Store) -> Frames:
    """Replays every registered strategy over all valid samples of single points."""
    from isocost.tables.outcomes import build_outcomes

    outcomes, problems = build_outcomes(rows.read("core_samples"), only="points")
    return {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems}


def derive_chains(rows: Rows | Store) -> Frames:
    """Replays cascades and routers on chains of points of one task."""
    from isocost.tables.outcomes import build_outcomes

    outcomes, problems = build_outcomes(rows.read("core_samples"), only="chains")
    return {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems}


def derive_frontiers(rows: Rows | Store) -> Frames:
    """Frontiers with one bootstrap over problems shared by all outcomes of a task."""
    from isocost.tables.frontiers import build_frontiers

    points, problems = rows.read("core_points"), rows.read("core_problems")
    return build_frontiers(*_outcomes(rows), draws=FRONTIER_DRAWS, points=points, clusters=problems)


def derive_frontiers_over_tasks(rows: Rows | Store) -> Frames:
    """The same of the mean over all tasks."""
    from isocost.tables.frontiers import build_frontiers

    points, problems = rows.read("core_points"), rows.read("core_problems")
    found = build_frontiers(*_outcomes(rows), draws=FRONTIER_DRAWS, points=points, clusters=problems, only_over_tasks=True)
    return {name: frame for name, frame in found.items() if name != "out_comparisons"}


def derive_coverage(rows: Rows | Store) -> Frames:
    """pass@k with its bands, the difference of every two curves, and the accuracy of one sample with every interval."""
    from isocost.tables.accuracy_intervals import build_accuracy_intervals
    from isocost.tables.coverage_bands import build_coverage_bands

    samples, problems = rows.read("core_samples"), rows.read("core_problems")
    bands = build_coverage_bands(samples, clusters=problems)
    return {**bands, "out_accuracy_intervals": build_accuracy_intervals(samples, clusters=problems)}


def derive_curves(rows: Rows | Store) -> Frames:
    """Curves with their fits, targets and anytime measures. The draws are those of the task, whichever of its curves are fitted."""
    from isocost.tables.scaling import build_scaling

    return build_scaling(*_outcomes(rows), clusters=rows.read("core_problems"))


def derive_scaling(rows: Rows | Store) -> Frames:
    """The same of chains of points; elasticities and compute-optimal allocation, which compare the points of a task."""
    from isocost.tables.allocation import build_compute_optimal
    from isocost.tables.anytime import build_effort_frontier, build_token_elasticity
    from isocost.tables.scaling import build_scaling

    outcomes, problems = _outcomes(rows)
    clusters, samples = rows.read("core_problems"), rows.read("core_samples")
    chains = outcomes.filter(pl.col("point_ids").list.len() > 1)
    frames = build_scaling(chains, problems.join(chains, on="outcome_id", how="semi", maintain_order="left"), clusters=clusters)
    frames["out_token_elasticity"] = build_token_elasticity(outcomes, problems, clusters=clusters)
    frames["out_effort_frontier"] = build_effort_frontier(samples)
    frames["out_compute_optimal"] = build_compute_optimal(samples)
    return frames


def derive_costs(rows: Rows | Store) -> Frames:
    """Cost of pass, intelligence per watt and joule: what compares the points of a task."""
    from isocost.tables.cost_efficiency import build_intelligence_per_watt
    from isocost.tables.costs import build_cost_of_pass

    samples = rows.read("core_samples")
    return {
        "out_cost_of_pass": build_cost_of_pass(samples, card_book(rows)),
        "out_intelligence_per_watt": build_intelligence_per_watt(samples, rows.read("core_energy_attribution")),
    }


def derive_session_costs(rows: Rows | Store) -> Frames:
    """Runtime models and request efficiency: what describes one session."""
    from isocost.tables.cost_efficiency import build_request_efficiency
    from isocost.tables.runtimes import build_runtime_models

    samples, sessions = rows.read("core_samples"), rows.read("core_sessions")
    return {
        "out_runtime_models": build_runtime_models(samples, sessions, card_book(rows)),
        "out_request_efficiency": build_request_efficiency(samples, sessions, rows.read("core_points"), card_book(rows)),
    }


def derive_items(rows: Rows | Store) -> Frames:
    """Item statistics, response features, reproducibility and regressions."""
    from isocost.tables.items import build_item_statistics
    from isocost.tables.reruns import build_regressions, build_reproducibility
    from isocost.tables.responses import build_response_features

    samples, points, sessions = (rows.read(name) for name in ("core_samples", "core_points", "core_sessions"))
    used = rows.read("core_calls").filter(pl.col("is_used")).sort("sample_id", "call_index")
    texts = used.unique("sample_id", keep="last", maintain_order=True)
    return {
        "out_item_statistics": build_item_statistics(samples),
        "out_response_features": build_response_features(samples, texts.select("sample_id", "output_text")),
        "out_reproducibility": build_reproducibility(samples, points, sessions, _greedy_tokens(rows, points)),
        "out_regressions": build_regressions(samples, points, sessions),
    }


def _greedy_tokens(rows: Rows | Store, points: pl.DataFrame) -> pl.DataFrame:
    """Token ids of the samples of greedy points: what the divergence index compares. Only those parts of the bank are opened.

    The bank is no input of the piece's own: core_samples has the hash of every sample's tokens.
    """
    wanted = ("sample_id", "output_token_ids", "token_logprobs")
    greedy = points.filter((pl.col("temperature") == 0) & ~pl.col("session_id").str.starts_with("im-"))
    frames = [
        read_raw(rows.lake, "raw_generations", str(key[0]), point_ids=part["point_id"].to_list(), columns=[*wanted, "is_warmup"])
        for key, part in greedy.sort("session_id", "point_id").group_by("session_id", maintain_order=True)
    ]
    found = pl.concat(frames) if frames else empty("raw_generations").select(*wanted, "is_warmup")
    return found.filter(~pl.col("is_warmup")).select(wanted).unique("sample_id", keep="last", maintain_order=True)


def derive_summary(rows: Rows | Store) -> Frames:
    """The tables that are one SQL file each, run task by task."""
    files = sql.sql_files("out")
    with sql.over({name: rows.read(name) for path in files for name in sql.tables_of(path)}) as connection:
        return {path.stem: sql.run_file(connection, path) for path in files}


def _outcomes(rows: Rows | Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows.read("out_strategy_outcomes"), rows.read("out_strategy_problems")


@dataclass(frozen=True)
class Part:
    """One computation, made once for each of its pieces.

    Attributes:
        step: the group of tables it belongs to.
        per: what a piece is about: ``point``, ``task``, ``session`` or ``all``.
        tables: what it returns.
        reads: what it reads.
        build: the function.
        uses_cards: whether cards of models, devices or prices are an input.
    """

    step: str
    per: str
    tables: tuple[str, ...]
    reads: tuple[str, ...]
    build: Callable[[Rows], Frames]
    uses_cards: bool = False

    @property
    def name(self) -> str:
        """Of the folder of its records."""
        return f"{self.step}-{self.per}"


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
PARTS = (
    Part("strategies", "point", _STRATEGIES, ("core_samples",), derive_strategies),
    Part("strategies", "task", _STRATEGIES, ("core_samples",), derive_chains),
    Part("frontiers", "task", (*_FRONTIERS, "out_comparisons"), (*_STRATEGIES, "core_points", "core_problems"), derive_frontiers),
    Part("frontiers", "all", _FRONTIERS, (*_STRATEGIES, "core_points", "core_problems"), derive_frontiers_over_tasks),
    Part(
        "coverage",
        "task",
        ("out_coverage_bands", "out_coverage_differences", "out_accuracy_intervals"),
        ("core_samples", "core_problems"),
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
        (*_STRATEGIES, "core_samples", "core_problems"),
        derive_scaling,
    ),
    Part(
        "costs",
        "task",
        ("out_cost_of_pass", "out_intelligence_per_watt"),
        ("core_samples", "core_energy_attribution"),
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
        ("out_item_statistics", "out_response_features", "out_reproducibility", "out_regressions"),
        ("core_samples", "core_points", "core_sessions", "core_calls"),
        derive_items,
    ),
    Part("summary", "task", ("out_point_summary",), ("core_samples",), derive_summary),
)
# Tables of each step, in order.
STEPS: dict[str, tuple[str, ...]] = {
    step: tuple(dict.fromkeys(table for part in PARTS if part.step == step for table in part.tables))
    for step in dict.fromkeys(part.step for part in PARTS)
}


@dataclass(frozen=True)
class Derived:
    """What became of one step.

    Attributes:
        name: of the step.
        rows: rows by table, reused ones included.
        built: pieces that were computed.
        reused: pieces that stood already.
        unit: what a piece is, in words.
    """

    name: str
    rows: dict[str, int]
    built: int
    reused: int
    unit: str = "pieces"


def derive(store: Store, step: str, *, force: bool = False, ledger: Ledger | None = None) -> Derived:
    """Builds the pieces of one step that do not fit their inputs any more, and removes those that have none.

    Args:
        store: the tables.
        step: a key of ``STEPS``.
        force: build all of them.
        ledger: records that were opened already.

    Raises:
        IsocostError: an input is damaged, or a file cannot be written; pieces that were finished stay.
    """
    ledger = ledger or Ledger(store)
    held = held_by_sessions(store, ledger)
    rows, counts = dict.fromkeys(STEPS[step], 0), {True: 0, False: 0}
    wanted: dict[str, set[str]] = {table: set() for table in STEPS[step]}
    for part in (part for part in PARTS if part.step == step):
        pieces = _pieces(store, part.per, held)
        for name, slice_ in pieces.items():
            fingerprint = _fingerprint(part, name, slice_, ledger)
            record = None if force else ledger.find("out", part.name, name)
            is_reused = record is not None and record.fingerprint == fingerprint
            if record is None or not is_reused:
                record = ledger.write("out", part.name, name, fingerprint, _built(part, slice_))
            counts[is_reused] += 1
            for table, n in record.rows.items():
                rows[table] += n
                wanted[table].add(name)
        for gone in set(ledger.pieces("out", part.name)) - set(pieces):
            ledger.drop("out", part.name, gone, ())
    _remove_strays(store, wanted)
    return Derived(step, rows, counts[False], counts[True])


def _pieces(store: Store, per: str, held: Mapping[str, Held]) -> dict[str, Rows]:
    """Every piece of a kind by name, with what it may read."""
    if per == "all":
        return {WHOLE: Rows(store, per, tuple(held))}
    if per == "session":
        found = {}
        for session_id, mine in held.items():
            earlier = tuple(other for other, theirs in held.items() if other < session_id and theirs.all_points & mine.all_points)
            found[session_id] = Rows(store, per, (session_id,), shadows=earlier)
        return found
    holders: dict[str, dict[str, list[str]]] = {}
    for session_id, mine in held.items():
        for task, points in mine.points.items():
            for point in points:
                holders.setdefault(task, {}).setdefault(point, []).append(session_id)
    if per == "task":
        return {
            task_piece(task): Rows(store, per, tuple(sorted({s for known in points.values() for s in known})), task, tuple(sorted(points)))
            for task, points in sorted(holders.items())
        }
    return {
        point_piece(point): Rows(store, per, tuple(sessions), task, (point,))
        for task, points in sorted(holders.items())
        for point, sessions in sorted(points.items())
    }


def _fingerprint(part: Part, piece: str, rows: Rows, ledger: Ledger) -> str:
    files = sorted({path for table in part.reads for path in rows.files(table)})
    inputs = [[path.relative_to(rows.store.root).as_posix(), ledger.sum_of(path)] for path in files]
    cards = cards_fingerprint(rows.store) if part.uses_cards else ""
    return sha256_hex({"part": part.name, "piece": piece, "inputs": inputs, "cards": cards, "code": code_fingerprint()})


def _built(part: Part, rows: Rows) -> Frames:
    frames = part.build(replace(rows, allowed=part.reads))
    if set(frames) != set(part.tables):
        unlike = sorted(set(frames) ^ set(part.tables))
        raise IsocostError(
            f"returns other tables than it says: {', '.join(unlike)}",
            where=f"isocost.refresh.{part.build.__name__}",
            remedy="Name every table that it returns in its Part of isocost.refresh.PARTS",
        )
    return {name: frames[name] for name in part.tables}


def _remove_strays(store: Store, wanted: dict[str, set[str]]) -> None:
    """Removes pieces of what is there no more, and whole tables that an earlier version wrote."""
    for table, names in wanted.items():
        for path in store.files(table):
            if path.stem not in names:
                path.unlink(missing_ok=True)
        (store.root / "out" / f"{table}.parquet").unlink(missing_ok=True)


def everything(store: Store, *, force: bool = False) -> Iterator[Derived]:
    """Brings every derived table up to date with what is banked, then publishes; yields each step when it is done.

    A session or source whose bank is damaged does not stop the others: it is left out of every table.

    Args:
        store: the data root.
        force: build every piece, whether it fits or not.

    Raises:
        IsocostError: at the end, when all the rest is published: what was left out, and why.
    """
    ledger, left_out, counts, rows = Ledger(store), [], {True: 0, False: 0}, 0
    for session_id in forget_vanished(store, ledger):
        yield Derived(f"{session_id} gone", {}, 0, 0)
    sources = known_sources(store)
    for session_id in sources:
        try:
            done = curate_session(store, session_id, force=force, ledger=ledger)
        except IsocostError as error:
            leave_out(store, session_id, ledger)
            left_out.append(IsocostError(f"{session_id}: {error.what}", where=error.where, remedy=error.remedy))
            yield Derived(f"{session_id} LEFT OUT", {}, 0, 0)
            continue
        counts[done.is_reused] += 1
        rows += sum(done.rows.values())
        if not done.is_reused:
            yield Derived(session_id, done.rows, 1, 0)
    yield Derived("core", {"core": rows}, counts[False], counts[True], "sessions")
    cards = write_cards(store, force=force, ledger=ledger)
    yield Derived("cards", cards.rows, int(not cards.is_reused), int(cards.is_reused))
    for step in STEPS:
        yield derive(store, step, force=force, ledger=ledger)
    yield from _published(store, ledger, force=force)
    if left_out:
        raise IsocostError(
            f"{len(left_out)} of {len(sources)} sources could not be read and are in no table; the rest is published",
            remedy="\n".join(f"  {error}" for error in left_out),
        )


def _published(store: Store, ledger: Ledger, *, force: bool) -> Iterator[Derived]:
    """Publishes, unless what is published was made from these very files and lies there as it was written."""
    inputs = [[path.as_posix(), ledger.sum_of(path)] for name in store.stored_tables() for path in store.files(name)]
    fingerprint = sha256_hex({"inputs": inputs, "code": code_fingerprint()})
    known = None if force else ledger.find("out", "published", WHOLE)
    if known is not None and known.fingerprint == fingerprint:
        yield from (Derived(name, {name: rows}, 0, 1, "publication") for name, rows in known.rows.items())
        return
    ledger.drop("out", "published", WHOLE, ())
    # Three readers of the same files that wait for none of the others; Polars and DuckDB leave the interpreter free meanwhile.
    with ThreadPoolExecutor(max_workers=3) as pool:
        warehouse, exports, page = (pool.submit(publish, store) for publish in (publish_warehouse, publish_exports, publish_report))
        rows = {"warehouse": warehouse.result().rows}
        yield Derived("warehouse", rows, 0, 0)
        tables = exports.result().rows
        yield Derived("exports", tables, 0, 0)
        written = [store.warehouse, page.result(), *sorted(store.exports / f"{name}.parquet" for name in tables)]
    if not warehouse.result().failures and not exports.result().failures:
        ledger.note("out", "published", WHOLE, fingerprint, written, rows | {"exports": sum(tables.values())})


def publish_warehouse(store: Store):
    """Builds the warehouse with the outcome of every SQL check in it."""
    from isocost.publish.warehouse import build_warehouse, run_checks

    return build_warehouse(store, checks=run_checks(store))


def publish_exports(store: Store):
    """Writes the Parquet exports."""
    from isocost.publish.exports import write_exports

    return write_exports(store)


def publish_report(store: Store) -> Path:
    """Writes the report's page."""
    from isocost.publish.report import write_report

    return write_report(store)
