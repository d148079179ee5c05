"""A real vLLM engine through the Dagster job, to the tables, the warehouse and the report."""

from __future__ import annotations

import dagster as dg
import duckdb
import polars as pl
import pytest
from pipeline_place import MAX_TOKENS, POINTS, PROBLEMS, SAMPLES, Killed, Place, sample_counts
from vllm_bank import check_bank

from isocost.bank.reader import read_raw
from isocost.schema.frames import faults
from isocost.schema.registry import all_tables

pytestmark = pytest.mark.pipeline


def test_every_sample_is_banked_once_and_graded(built: tuple[Place, str]) -> None:
    place, _ = built
    (session_id,) = place.store.session_ids()
    counts = sample_counts(place.store, session_id)
    assert counts.height == POINTS * PROBLEMS * SAMPLES
    assert counts["len"].unique().to_list() == [1]
    samples = place.store.read("core_samples")
    assert samples.height == counts.height
    assert samples["is_valid"].all()
    assert samples["correct"].null_count() == 0
    assert (samples["output_tokens"] <= MAX_TOKENS).all()


def test_every_table_holds_its_definition(built: tuple[Place, str]) -> None:
    place, _ = built
    derived = [name for name, table in all_tables().items() if table.layer != "raw"]
    missing = [name for name in derived if not place.store.files(name)]
    assert missing == []
    broken = {
        name: faults(pl.read_parquet(path, hive_partitioning=False), name)
        for name in derived
        for path in place.store.files(name)
    }
    assert {name: found for name, found in broken.items() if found} == {}


def test_energy_is_unknown_with_its_reason_where_nothing_measures_it(
    built: tuple[Place, str],
) -> None:
    samples = built[0].store.read("core_samples")
    unknown = samples.filter(pl.col("energy_j").is_null())
    assert unknown["energy_unknown_reason"].null_count() == 0
    outcomes = built[0].store.read("out_strategy_outcomes")
    if unknown.height == samples.height:
        assert outcomes["energy_j_per_problem"].null_count() == outcomes.height


def test_pass_at_one_is_the_share_of_correct_samples(built: tuple[Place, str]) -> None:
    place, _ = built
    samples = place.store.read("core_samples")
    outcomes = place.store.read("out_strategy_outcomes").filter(
        (pl.col("strategy") == "pass_at_k") & (pl.col("budget") == 1)
    )
    expected = samples.group_by("point_id").agg(pl.col("correct").mean().alias("share"))
    joined = outcomes.join(expected, on="point_id")
    assert joined.height == 2
    assert (joined["accuracy"] - joined["share"]).abs().max() < 1e-12


def test_warehouse_has_the_same_rows_as_the_store(built: tuple[Place, str]) -> None:
    place, _ = built
    connection = duckdb.connect(str(place.store.warehouse), read_only=True)
    try:
        for name in place.store.stored_tables():
            count = connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0]
            assert count == place.store.read(name).height, name
    finally:
        connection.close()


def test_report_opens_without_a_network(built: tuple[Place, str]) -> None:
    page = built[0].store.report.read_text(encoding="utf-8")
    assert "sums" in page
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('href="https://', 'href="http') or "<link" not in page


def test_the_terminal_names_the_three_places(built: tuple[Place, str]) -> None:
    text = built[1]
    assert "warehouse.duckdb" in text
    assert "index.html" in text
    assert "make ui" in text or "127.0.0.1" in text


def test_a_second_run_generates_nothing(built: tuple[Place, str]) -> None:
    place, _ = built
    (session_id,) = place.store.session_ids()
    before = sample_counts(place.store, session_id).height
    parts = sorted((place.store.lake / "raw" / "generations").glob("*/*.parquet"))
    place.run()
    assert sorted((place.store.lake / "raw" / "generations").glob("*/*.parquet")) == parts
    assert sample_counts(place.store, session_id).height == before


def test_dagster_knows_runs_partitions_and_checks(
    built: tuple[Place, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = built
    (session_id,) = place.store.session_ids()
    with dg.DagsterInstance.from_config(str(place.folder / "dagster")) as instance:
        assert instance.get_dynamic_partitions("session") == [session_id]
        assert session_id in instance.get_materialized_partitions(dg.AssetKey("core_samples"))
        latest = instance.get_latest_materialization_event(dg.AssetKey("out_frontier_points"))
        assert latest is not None
        metadata = latest.asset_materialization.metadata
        assert metadata["dagster/row_count"].value > 0
        assert "data:image/svg+xml;base64," in metadata["figure"].value


def test_killed_in_the_middle_of_generation_it_resumes_exactly(
    killed: Killed, built: tuple[Place, str]
) -> None:
    samples = POINTS * PROBLEMS * SAMPLES
    assert 0 < killed.calls.filter(~pl.col("is_warmup")).height < samples
    assert killed.losses == ()
    rows = read_raw(built[0].store.lake, "raw_generations")
    sealed = killed.calls.join(rows, on=["call_id", "attempt"], how="semi")
    assert sealed.height == killed.calls.height
    check_bank(built[0].store.lake, samples=samples, max_tokens=MAX_TOKENS, warmup=1)
