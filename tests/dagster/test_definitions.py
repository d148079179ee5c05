"""The code location.

Loads with nothing set, has the assets, jobs, schedules, sensors and checks that people rely on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from isocost.gates.queries import core_checks, names
from isocost.schema.registry import all_tables


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    from pipelines.build import build_defs

    return build_defs()


def test_validates_with_an_empty_environment(repo: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=repo,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_loading_imports_no_engine(repo: Path) -> None:
    code = "import pipelines.definitions, sys; print([m for m in ('vllm','torch','great_expectations','transformers') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_every_table_is_an_asset_with_its_columns(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    by_name = {key.to_user_string(): graph.get(key) for key in graph.materializable_asset_keys}
    missing = [name for name in all_tables() if name not in by_name]
    assert missing == []
    for name, table in all_tables().items():
        schema = by_name[name].metadata["dagster/column_schema"]
        schema = getattr(schema, "schema", schema)
        assert [c.name for c in schema.columns] == [c.name for c in table.columns]
        assert by_name[name].group_name == table.layer


def test_every_core_and_out_table_has_a_blocking_schema_check(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name, table in all_tables().items():
        if table.layer == "raw":
            continue
        checks = [key for key in graph.asset_check_keys if key.asset_key == dg.AssetKey(name)]
        assert "schema" in {key.name for key in checks}, name
        assert all(graph.get(key).blocking for key in checks if key.name == "schema"), name


def test_what_the_gate_has_refused_holds_up_nothing(definitions: dg.Definitions) -> None:
    """Rows that a rule refuses feed no derived table, so that no check of the gate has to stop a
    run.
    """
    graph = definitions.resolve_asset_graph()
    for name in ("core_samples", "core_sessions"):
        for check in ("expectations", "gate"):
            assert not graph.get(dg.AssetCheckKey(dg.AssetKey(name), check)).blocking
    for path in core_checks():
        table, rule = names(path)
        assert not graph.get(dg.AssetCheckKey(dg.AssetKey(table), rule)).blocking


def test_jobs_schedules_and_sensors(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {"sweep", "refresh", "bring_in", "derive_and_publish"} <= {
        j.name for j in repository.get_all_jobs()
    }
    assert [s.name for s in repository.schedule_defs] == ["nightly_refresh"]
    assert {"sweep_folder", "inbox_folder", "refresh_on_new_core"} <= {
        s.name for s in repository.sensor_defs
    }


def test_every_sensor_and_schedule_says_what_it_watches(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    stated = {
        d.name: d.description or "" for d in (*repository.sensor_defs, *repository.schedule_defs)
    }
    assert "sweeps" in stated["sweep_folder"] and "$ISOCOST_SWEEPS" in stated["sweep_folder"]
    assert "inbox" in stated["inbox_folder"] and ".import.yaml" in stated["inbox_folder"]
    assert (
        "core tables" in stated["refresh_on_new_core"] and "03:00 UTC" in stated["nightly_refresh"]
    )
    assert all(len(words) > 60 for words in stated.values())


def test_measurements_share_one_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.get(dg.AssetKey("raw_generations")).pools == {"measurement"}


def test_the_nightly_refresh_covers_all_sessions_in_one_run(tmp_path: Path) -> None:
    from pipelines.schedules import nightly_refresh

    with dg.DagsterInstance.local_temp(
        str(tmp_path)
    ) as instance:  # a schedule's context takes no instance in memory
        skipped = nightly_refresh.evaluate_tick(dg.build_schedule_context(instance=instance))
        assert skipped.run_requests == []
        assert "no session" in (skipped.skip_message or "")
        instance.add_dynamic_partitions("session", ["a", "b", "c"])
        (request,) = nightly_refresh.evaluate_tick(
            dg.build_schedule_context(instance=instance)
        ).run_requests
        assert request.tags["dagster/asset_partition_range_start"] == "a"
        assert request.tags["dagster/asset_partition_range_end"] == "c"
