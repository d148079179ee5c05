"""From what is banked to what people read, step by step, without an orchestrator.

Lives here: planning a sweep into session files, bringing in an import, and one function per group of derived tables that reads its
inputs from the store, calls the builders in ``isocost.tables`` and writes what they return. The Dagster assets call these one by one;
``isocost refresh`` calls them in order. Not here: how a table is computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl

from isocost import sql
from isocost.bank.importers import ImportReport, import_path, read_imports, sealed_imports
from isocost.bank.reader import read_manifests, read_raw
from isocost.errors import IsocostError
from isocost.preflight import preflight
from isocost.schema.frames import empty
from isocost.store import IMPORT_PREFIX, Store
from isocost.sweep import Session, plan_sessions, read_session
from isocost.tasks import verifier_names

Frames = dict[str, pl.DataFrame]

CORE_OF_SESSION = (
    "core_calls",
    "core_energy_windows",
    "core_label_agreement",
    "core_points",
    "core_problems",
    "core_samples",
    "core_sessions",
)
# Bootstrap draws of problems: a probability of 0.5 has a standard error of 0.016 from the draws, far below that from the problems.
FRONTIER_DRAWS = 1000
CARDS = ("core_devices", "core_models", "core_prices")


def plan_sweep(store: Store, path: Path) -> list[str]:
    """Validates a sweep file and writes what each of its sessions has to do.

    What is asked for is what the sweep files of this session's name say now, as they were planned last: a mended typing error is gone,
    two files of one name add up. A point that none of them asks for any more stays known if anything of it is banked, and gets no
    more samples than one a problem. Nothing is generated here.

    Args:
        store: where session files go.
        path: the sweep file.

    Returns:
        The ids of its sessions, in the order in which they should run.

    Raises:
        IsocostError: the sweep file is at fault; file, key and remedy are in the message, and nothing was written.
    """
    planned = plan_sessions(preflight(path))
    book = card_book(store)
    for card in {model.card for model in (session.engine.model for session in planned) if model.card is not None}:
        book.model(card)  # refuses an unknown card now, not after the measurement
    for session in planned:
        asked = _asked(store, session, path)
        _write_session(store, _merged(store, session, asked))
        _write_text(_asked_file(store, session.session_id), json.dumps(asked, indent=1, sort_keys=True))
    return [session.session_id for session in planned]


def _asked_file(store: Store, session_id: str) -> Path:
    return store.session_file(session_id).with_suffix(".asked")


def _asked(store: Store, session: Session, path: Path) -> dict[str, dict[str, int]]:
    """Samples a problem by sweep file and point: what each file that is still there asked for when it was planned last."""
    found: dict[str, dict[str, int]] = {}
    told = _asked_file(store, session.session_id)
    if told.exists():
        try:
            found = {name: dict(points) for name, points in json.loads(told.read_text(encoding="utf-8")).items() if Path(name).exists()}
        except (ValueError, AttributeError, TypeError) as error:
            raise IsocostError(f"cannot be read: {error}", where=str(told), remedy="Remove it and plan the sweep again") from error
    found[str(path.resolve())] = {planned.point.point_id: planned.samples_per_problem for planned in session.points}
    return found


def _merged(store: Store, session: Session, asked: Mapping[str, Mapping[str, int]]) -> Session:
    path = store.session_file(session.session_id)
    before = {planned.point.point_id: planned for planned in read_session(path).points} if path.exists() else {}
    known = before | {planned.point.point_id: planned for planned in session.points}
    wanted: dict[str, int] = {}
    for samples in asked.values():
        for point_id, number in samples.items():
            wanted[point_id] = max(number, wanted.get(point_id, 0))
    banked = _banked_points(store, session.session_id) if before.keys() - wanted.keys() else set()
    points = [
        planned.model_copy(update={"samples_per_problem": wanted.get(point_id, 1)})
        for point_id, planned in known.items()
        if point_id in wanted or point_id in banked
    ]
    return session.model_copy(update={"points": tuple(points)})


def _banked_points(store: Store, session_id: str) -> set[str]:
    return {point_id for manifest in read_manifests(store.lake, session_id) for part in manifest.parts for point_id in part.points}


def _write_session(store: Store, session: Session) -> None:
    path = store.session_file(session.session_id)
    text = session.model_dump_json(indent=1)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    _write_text(path, text)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise IsocostError(f"could not be written: {error.strerror}", where=str(path), remedy="Mend the folder and run again") from error
    finally:
        with suppress(OSError):  # what could not be written need not be removed
            temporary.unlink(missing_ok=True)


def bring_in(
    store: Store,
    session_id: str,
    *,
    format: str,
    path: Path,
    provenance: Mapping[str, Any],
    unknown: Set[str] = frozenset(),
    mapping: Path | None = None,
    verifier: str | None = None,
) -> ImportReport:
    """Imports another tool's results as the source ``session_id``.

    Args:
        store: where the lake lies.
        session_id: the source's key; starts with ``import-``.
        format: name of an importer.
        path: file or folder.
        provenance: what the source does not hold: model, task, task_version, prompt, sampling.
        unknown: names of provenance that nobody knows.
        mapping: mapping file of the generic importer.
        verifier: verifier that judges every text; the source's own labels judge where None.

    Raises:
        IsocostError: a wrong key, bad input, or the same content is another source already; nothing was imported then.
    """
    if not session_id.startswith(IMPORT_PREFIX):
        raise IsocostError(f"{session_id!r} cannot name an imported source", remedy=f"Use a key that starts with {IMPORT_PREFIX}")
    if verifier is not None and verifier not in verifier_names():
        raise IsocostError(f"no verifier is called {verifier!r}", remedy=f"Use one of {', '.join(verifier_names())}; nothing was imported")
    source = store.session_file(session_id).with_suffix(".source")
    report = import_path(format, path, store.lake, provenance=provenance, unknown=unknown, mapping=mapping, name=session_id)
    if report.status == "already":
        _refuse_twin(store, session_id, report, path)
    told = {"import_id": report.import_id, "source_slug": report.source_slug, "format": report.format, "verifier": verifier}
    _write_text(source, json.dumps(told, indent=1))
    return report


def _refuse_twin(store: Store, session_id: str, report: ImportReport, path: Path) -> None:
    """Refuses content that another source holds: one measurement under two names would be superseded under one of them only."""
    held = {key: _source(store, key)["import_id"] for key in known_sources(store) if key.startswith(IMPORT_PREFIX)}
    others = [key for key, import_id in held.items() if import_id == report.import_id and key != session_id]
    if others and held.get(session_id) != report.import_id:
        raise IsocostError(
            f"the same content with the same provenance lies here already, as source {others[0]}; nothing was imported",
            where=f"{path} as {session_id}",
            remedy=f"Use {others[0]}, which is in every table; under that name it can also be corrected or judged by another verifier",
        )


def curate_session(store: Store, session_id: str) -> Frames:
    """Builds and writes the core tables of one session or imported source.

    Raises:
        IsocostError: nothing is banked under this id, or what is banked is damaged.
    """
    frames = _core_of_import(store, session_id) if session_id.startswith(IMPORT_PREFIX) else _core_of_session(store, session_id)
    written = {name: frames.get(name, empty(name)) for name in CORE_OF_SESSION}
    for name, frame in written.items():
        store.write(frame, name, session_id)
    return written


def clashes(store: Store, session_id: str) -> list[str]:
    """What to tell about an imported source whose samples stand under the same ids as other samples of another source.

    Two runs with the same provenance are one configuration, and a sample of it is kept once (``Store.read``): of runs that differ in
    nothing they say, only the first source counts. One sentence for each such source; none for a session of an engine.
    """
    own = store.path("core_samples", session_id)
    if not session_id.startswith(IMPORT_PREFIX) or not own.exists():
        return []
    what = ("sample_id", "correct", "answer", "completion_hash", "output_tokens")
    mine, told = pl.read_parquet(own, columns=what, hive_partitioning=False), []
    for path in store.files("core_samples"):
        other = path.stem.removeprefix("session=")
        if path == own or not other.startswith(IMPORT_PREFIX):
            continue
        theirs = pl.read_parquet(path, columns=what, hive_partitioning=False).join(mine, on="sample_id", how="semi")
        n = theirs.height - theirs.join(mine, on=what, how="semi", nulls_equal=True).height
        if n:
            first = min(path, own).stem.removeprefix("session=")
            told.append(
                f"{n} samples have other results in {other} under the same model, task, prompt and sampling; only those of {first} count. "
                "Import both runs as one folder, or import one of them again with what tells them apart, such as a seed in sampling"
            )
    return told


def _core_of_session(store: Store, session_id: str) -> Frames:
    from isocost.tables.core import build_core
    from isocost.tables.energy import build_run_energy
    from isocost.tables.energy_windows import build_energy_windows, idle_stretches, source_reasons

    path = store.session_file(session_id)
    if not path.exists():
        raise IsocostError("was never planned here", where=f"session {session_id}", remedy="Plan its sweep: `isocost plan SWEEP.yaml`")
    session, manifests = read_session(path), read_manifests(store.lake, session_id)
    calls, telemetry = raw_rows(store, "raw_generations", session_id), raw_rows(store, "raw_telemetry", session_id)
    batch = {session_id: session.engine.max_num_seqs}
    told = {"idle": idle_stretches(manifests), "reasons": source_reasons(manifests)}
    windows = build_energy_windows(calls, telemetry, max_num_seqs=batch, **told)
    core = build_core(calls, [session], manifests, flops=_flops(store), energy=build_run_energy(windows, manifests))
    return {**core, "core_energy_windows": windows}


def card_book(store: Store):
    """The packaged cards and those under ``cards/`` of the data root, which win."""
    from isocost.costs import load_book

    own = store.root / "cards"
    return load_book(own) if own.is_dir() else load_book()


def _flops(store: Store):
    from isocost.costs import forward_flops

    book = card_book(store)
    return lambda card, prompt, output, cached: forward_flops(book.model(card), prompt, output, cached_tokens=np.minimum(cached, prompt))


def _core_of_import(store: Store, session_id: str) -> Frames:
    from isocost.tables.imports import build_imported_core

    told = _source(store, session_id)
    return build_imported_core(raw_rows(store, "raw_imports", session_id), verifier=told.get("verifier"))


def known_sources(store: Store) -> list[str]:
    """Every session and imported source of the store, sorted."""
    sources = [path.stem for path in (store.lake / "sessions").glob("*.source")]
    return sorted({*store.session_ids(), *sources})


def raw_rows(store: Store, table_name: str, session_id: str) -> pl.DataFrame:
    """The rows of a raw table that one session or imported source holds."""
    if session_id.startswith(IMPORT_PREFIX):
        if table_name != "raw_imports":
            return empty(table_name)
        import_id = _source(store, session_id)["import_id"]
        # Also one that another name's corrected file has superseded: this source still says that it is what counts here.
        if all(item.import_id != import_id for item in sealed_imports(store.lake, include_superseded=True)):
            remedy = "Import it again under the same name; the sealed parts lie in raw/quarantine if they were set aside"
            raise IsocostError(f"its import {import_id} is no longer in the lake", where=f"source {session_id}", remedy=remedy)
        return read_imports(store.lake, import_ids=[import_id], include_superseded=True).collect()
    return empty(table_name) if table_name == "raw_imports" else read_raw(store.lake, table_name, session_id)


def _source(store: Store, session_id: str) -> dict[str, Any]:
    """What an import wrote down about itself."""
    path = store.session_file(session_id).with_suffix(".source")
    if not path.exists():
        remedy = "Use `isocost import`, or materialize raw_imports"
        raise IsocostError("was never imported here", where=f"source {session_id}", remedy=remedy)
    return json.loads(path.read_text(encoding="utf-8"))


def write_cards(store: Store) -> Frames:
    """Writes the packaged cards as tables."""
    from isocost.tables.costs import build_cards

    return _written(store, build_cards(card_book(store)))


def derive_strategies(store: Store) -> Frames:
    """Replays every registered strategy over all valid samples."""
    from isocost.tables.outcomes import build_outcomes

    outcomes, problems = build_outcomes(store.read("core_samples"))
    return _written(store, {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems})


def derive_frontiers(store: Store) -> Frames:
    """Frontiers with one bootstrap over problems shared by all outcomes of a task."""
    from isocost.tables.frontiers import build_frontiers

    points, problems = store.read("core_points"), store.read("core_problems")
    return _written(store, build_frontiers(*_outcomes(store), draws=FRONTIER_DRAWS, points=points, clusters=problems))


def derive_scaling(store: Store) -> Frames:
    """Curves, their fits and targets, anytime measures, elasticities and compute-optimal allocation."""
    from isocost.tables.allocation import build_compute_optimal
    from isocost.tables.anytime import build_effort_frontier, build_token_elasticity
    from isocost.tables.scaling import build_scaling

    outcomes, problems = _outcomes(store)
    clusters, samples = store.read("core_problems"), store.read("core_samples")
    frames = build_scaling(outcomes, problems, clusters=clusters)
    frames["out_token_elasticity"] = build_token_elasticity(outcomes, problems, clusters=clusters)
    frames["out_effort_frontier"] = build_effort_frontier(samples)
    frames["out_compute_optimal"] = build_compute_optimal(samples)
    return _written(store, frames)


def derive_costs(store: Store) -> Frames:
    """Runtime models, cost of pass, intelligence per watt and joule, request efficiency."""
    from isocost.tables.costs import build_cost_tables

    return _written(store, build_cost_tables(*(store.read(f"core_{name}") for name in ("samples", "sessions", "points")), card_book(store)))


def derive_items(store: Store) -> Frames:
    """Item statistics, response features, reproducibility and regressions."""
    from isocost.tables.items import build_item_statistics
    from isocost.tables.reruns import build_regressions, build_reproducibility
    from isocost.tables.responses import build_response_features

    samples, points, sessions = (store.read(name) for name in ("core_samples", "core_points", "core_sessions"))
    texts = (
        store.read("core_calls")
        .filter(pl.col("is_used"))
        .sort("sample_id", "call_index")
        .unique("sample_id", keep="last", maintain_order=True)
    )
    frames = {
        "out_item_statistics": build_item_statistics(samples),
        "out_response_features": build_response_features(samples, texts.select("sample_id", "output_text")),
        "out_reproducibility": build_reproducibility(samples, points, sessions, _greedy_tokens(store, points)),
        "out_regressions": build_regressions(samples, points, sessions),
    }
    return _written(store, frames)


def _greedy_tokens(store: Store, points: pl.DataFrame) -> pl.DataFrame:
    """Token ids of the samples of greedy points: what the divergence index compares. Only those parts of the bank are opened."""
    wanted = ("sample_id", "output_token_ids")
    greedy = points.filter((pl.col("temperature") == 0) & ~pl.col("session_id").str.starts_with("im-"))
    frames = [
        read_raw(store.lake, "raw_generations", str(key[0]), point_ids=part["point_id"].to_list(), columns=[*wanted, "is_warmup"])
        for key, part in greedy.sort("session_id", "point_id").group_by("session_id", maintain_order=True)
    ]
    rows = pl.concat(frames) if frames else empty("raw_generations").select(*wanted, "is_warmup")
    return rows.filter(~pl.col("is_warmup")).select(wanted).unique("sample_id", keep="last", maintain_order=True)


def derive_summary(store: Store) -> Frames:
    """The tables that are one SQL file each."""
    with sql.session(store) as connection:
        frames = {path.stem: sql.run_file(connection, path) for path in sql.sql_files("out")}
    return _written(store, frames)


def _outcomes(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    return store.read("out_strategy_outcomes"), store.read("out_strategy_problems")


def _written(store: Store, frames: Frames) -> Frames:
    for name, frame in frames.items():
        store.write(frame, name)
    return frames


# The groups of derived tables in the order in which they build on each other: tables, and the step that writes them.
STEPS: dict[str, tuple[tuple[str, ...], Callable[[Store], Frames]]] = {
    "strategies": (("out_strategy_outcomes", "out_strategy_problems"), derive_strategies),
    "frontiers": (("out_frontier_points", "out_frontiers", "out_frontier_attainment", "out_comparisons"), derive_frontiers),
    "scaling": (
        (
            "out_scaling_fits",
            "out_scaling_points",
            "out_compute_targets",
            "out_anytime",
            "out_token_elasticity",
            "out_effort_frontier",
            "out_compute_optimal",
        ),
        derive_scaling,
    ),
    "costs": (("out_cost_of_pass", "out_intelligence_per_watt", "out_request_efficiency", "out_runtime_models"), derive_costs),
    "items": (("out_item_statistics", "out_response_features", "out_reproducibility", "out_regressions"), derive_items),
    "summary": (("out_point_summary",), derive_summary),
}


def everything(store: Store) -> Iterator[tuple[str, int]]:
    """Rebuilds every derived table of every session from what is banked, then publishes; yields each step with its rows."""
    for session_id in known_sources(store):
        yield session_id, sum(frame.height for frame in curate_session(store, session_id).values())
    yield "cards", sum(frame.height for frame in write_cards(store).values())
    for name, (_, step) in STEPS.items():
        yield name, sum(frame.height for frame in step(store).values())
    yield "warehouse", publish_warehouse(store).rows
    yield "exports", sum(publish_exports(store).rows.values())
    publish_report(store)


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
