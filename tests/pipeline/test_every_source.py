"""One data root with a session of every engine and an import of every format.

A refresh brings all of them up to date, by either door.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import polars as pl
import pytest
import yaml
from fake_openai import serving
from importer_samples import ALL_UNKNOWN, GENERIC_MAPPING, SAMPLES
from pipeline_place import Place

from assets.resources import StoreResource
from benchmarks.same_bytes import digests, unlike
from isocost.build import refresh
from isocost.capabilities import capabilities_of, engine_names
from isocost.cli import main
from isocost.importers import registered
from isocost.intake import source_key
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.store import Store
from isocost.sweep import read_session
from pipelines.build import build_defs

pytestmark = pytest.mark.pipeline


class Root(NamedTuple):
    store: Store
    sessions: dict[str, str]
    imports: list[str]


def measured(
    store: Store, folder: Path, vllm_sweep: Path, engine: str, options: dict | None = None
) -> str:
    """Plans the sweep of the vLLM session for another engine, and banks it.

    With options for an engine that loads no model.
    """
    sweep = yaml.safe_load(vllm_sweep.read_text())
    sweep["sweep"] = f"by-{engine.replace('_', '-')}"
    sweep["engine"]["engine"] = engine
    sweep["samples_per_problem"] = 4
    if options is not None:
        sweep["engine"] = {"engine": engine, "max_num_seqs": 4, "options": options}
        sweep["models"] = [{"name": "tiny-llama", "path": "adder"}]
    path = folder / f"{engine}.yaml"
    path.write_text(json.dumps(sweep))
    (session_id,) = refresh.plan_sweep(store, path)
    with Reporter() as reporter:
        outcome = generate(
            read_session(store.session_file(session_id)),
            str(store.lake),
            reporter=reporter,
            stop=Stop(),
        )
    assert (outcome.status, outcome.missing) == ("finished", 0)
    return session_id


@pytest.fixture(scope="module")
def root(built: tuple[Place, str], tmp_path_factory: pytest.TempPathFactory) -> Root:
    place, folder = built[0], tmp_path_factory.mktemp("every")
    store = Store(folder / "data")
    shutil.copytree(place.store.lake, store.lake)
    (recorded,) = store.session_ids()
    sessions = {"vllm": recorded}
    replayed = {"bank": str(place.store.lake), "session": recorded, "speed": 0}
    sessions["replay"] = measured(store, folder, place.sweep, "replay", replayed)
    with serving() as server:
        sessions["openai"] = measured(
            store, folder, place.sweep, "openai", {"base_url": server.url}
        )
    sessions["vllm_serve"] = measured(store, folder, place.sweep, "vllm_serve")
    mapping = folder / "mapping.json"
    mapping.write_text(json.dumps(GENERIC_MAPPING))
    for name in registered():
        path = SAMPLES[name](folder / name)
        given = {"mapping": mapping} if name == "generic" else {}
        refresh.bring_in(
            store,
            source_key(name),
            format=name,
            path=path,
            provenance={},
            unknown=ALL_UNKNOWN,
            **given,
        )
    return Root(store, sessions, [source_key(name) for name in registered()])


def test_the_root_holds_every_engine_and_every_format(root: Root) -> None:
    assert (
        sorted(root.sessions) == [e for e in engine_names() if capabilities_of(e).generates]
        and len(root.imports) == len(registered()) >= 16
    )


@pytest.fixture(scope="module")
def published(root: Root) -> tuple[Root, dg.ExecuteInProcessResult]:
    """The root after the job ``refresh`` over all sources, and what the job said."""
    keys = sorted([*root.sessions.values(), *root.imports])
    defs = build_defs(resource_overrides={"store": StoreResource(root=str(root.store.root))})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("session", keys)
        span = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        }
        done = defs.resolve_job_def("refresh").execute_in_process(
            instance=instance, tags=span, raise_on_error=False
        )
    return root, done


def test_the_job_publishes_all_of_them(
    published: tuple[Root, dg.ExecuteInProcessResult],
) -> None:
    root, done = published
    store, keys = root.store, {*root.sessions.values(), *root.imports}
    failed = [
        check
        for check in done.get_asset_check_evaluations()
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    ]
    assert done.success and failed == []
    # Sessions of engines break no rule, not even as a warning; an invented file of a format may
    # be full of failures. That a model of random weights does not stop by itself is true of it,
    # whichever engine runs it.
    listed = [
        part
        for check in done.get_asset_check_evaluations()
        if not check.passed
        for part in str(check.description).split("; ")
    ]
    listed = [part for part in listed if "most_answers_end_by_themselves" not in part]
    assert [part for part in listed if any(key in part for key in root.sessions.values())] == []
    curated = {path.stem.removeprefix("session=") for path in store.files("core_sessions")}
    assert curated == keys
    assert set(store.read("core_sessions")["source"]) == {"generated", *registered()}
    banked = dict(
        store.read("core_samples")
        .filter(pl.col("source") == "generated")
        .group_by("session_id")
        .len()
        .rows()
    )
    assert set(banked) == set(root.sessions.values())
    assert all(store.files(table) for table in ("out_strategy_outcomes", "out_frontier_points"))
    assert store.warehouse.exists() and store.report.exists()
    assert "tiny-llama" in store.report.read_text(encoding="utf-8")


def test_the_command_makes_what_is_missing_as_the_job_did(
    published: tuple[Root, dg.ExecuteInProcessResult], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = published
    before = digests(root.store.root)
    for key in (root.sessions["vllm_serve"], root.imports[0]):
        root.store.path("core_samples", key).unlink()
    root.store.path("out_frontiers").unlink()
    root.store.warehouse.unlink()
    assert main(["--data", str(root.store.root), "refresh"]) == 0, capsys.readouterr().err
    assert unlike(before, digests(root.store.root)) == []
