"""What the gate refuses is not used in derived tables and is reported, by name, whichever door is used."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

import isocost.build.curate
from isocost.build import refresh
from isocost.cli import main
from isocost.errors import PartialError
from isocost.intake import ImportedSource
from isocost.store import Store

pytestmark = pytest.mark.slow

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 1},
}
MAPPING = "columns: {problem: id, output: text, correct: ok, sample_index: k, output_tokens: n}\n"


def two_sources(folder: Path) -> Store:
    store, mapping = Store(folder / "data"), folder / "m.yaml"
    mapping.write_text(MAPPING)
    for name in ("bad", "good"):
        path = folder / f"{name}.jsonl"
        rows = [
            {"id": f"q{q}", "text": f"{name} {q} {k}", "ok": k < q, "k": k, "n": 5 + k}
            for q in range(3)
            for k in range(3)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        refresh.bring_in(
            store,
            f"import-{name}",
            format="generic",
            path=path,
            provenance={**KNOWN, "model": name},
            mapping=mapping,
        )
    return store


def breaking(monkeypatch: pytest.MonkeyPatch, table: str, change: pl.Expr) -> None:
    """Another builder with a defect: one source's table comes out wrong."""
    built = isocost.build.curate._core_of_import

    def wrong(source: ImportedSource):
        frames = built(source)
        return (
            {**frames, table: frames[table].with_columns(change)}
            if source.key == "import-bad"
            else frames
        )

    monkeypatch.setattr(isocost.build.curate, "_core_of_import", wrong)


ONE = pl.int_range(pl.len()) == 4
NEGATIVE = pl.when(ONE).then(pl.lit(-7, pl.Int64)).otherwise("output_tokens").alias("output_tokens")


def test_a_refused_row_is_kept_feeds_nothing_and_is_reported_again(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    store = two_sources(tmp_path)
    breaking(monkeypatch, "core_samples", NEGATIVE)
    assert main(["--data", str(store.root), "refresh"]) == 3
    errors = capsys.readouterr().err
    assert (
        errors.startswith("partial: ")
        and "import-bad: rule costs_are_not_negative refuses 1 row of core_samples" in errors
    )
    (row,) = store.read("core_samples").filter(~pl.col("is_valid")).iter_rows(named=True)
    assert (row["output_tokens"], row["invalid_reasons"]) == (
        -7,
        ["costs_are_not_negative"],
    ) and row["sample_id"] in errors
    outcomes = store.read("out_strategy_outcomes").filter(
        (pl.col("strategy") == "pass_at_k") & (pl.col("budget") == 1)
    )
    by_model = dict(outcomes.select("model_variant", "output_tokens_per_problem").iter_rows())
    assert by_model["good"] == pytest.approx(6.0) and by_model["bad"] == pytest.approx(
        (6 + (5 + 7) / 2 + 6) / 3
    )
    summary = store.read("out_point_summary")
    assert dict(summary.select("model_variant", "samples_valid").iter_rows()) == {
        "bad": 8,
        "good": 9,
    }
    with duckdb.connect(str(store.warehouse), read_only=True) as connection:
        query = "SELECT source_key, table_name, rule, severity, n_failing, keys FROM core_checks WHERE NOT is_passed AND severity = 'critical'"
        assert connection.execute(query).fetchall() == [
            (
                "import-bad",
                "core_samples",
                "costs_are_not_negative",
                "critical",
                1,
                [row["sample_id"]],
            )
        ]
        broken = "SELECT table_name, check_name FROM _checks WHERE NOT is_passed"  # the row is still there to be seen
        assert connection.execute(broken).fetchall() == [("core_samples", "costs_are_not_negative")]
    page = store.report.read_text(encoding="utf-8")
    assert (
        "Validity rules" in page
        and "costs are not negative" in page
        and "not used in derived tables" in page
    )
    assert (
        main(["--data", str(store.root), "refresh"]) == 3
    )  # nothing is built again, and it is said again
    assert "import-bad: rule costs_are_not_negative" in capsys.readouterr().err
    for path in (store.lake / "raw").rglob("*.parquet"):  # proven, and not graded again
        os.utime(path)
    assert main(["--data", str(store.root), "refresh"]) == 3
    assert "import-bad: rule costs_are_not_negative" in capsys.readouterr().err


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_what_is_said_of_a_source_that_was_left_out_goes_with_the_source(
    tmp_path: Path, monkeypatch, is_forgotten: bool
) -> None:
    store = two_sources(tmp_path)
    for name in refresh.CORE_OF_SESSION:
        store.path(name, "import-bad").unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        breaking(patch, "core_samples", pl.lit(None, pl.Boolean).alias("is_valid"))
        assert main(["--data", str(store.root), "refresh", "--all"]) == 3
    assert not store.path("core_samples", "import-bad").exists()
    assert "source_can_be_curated" in set(store.read("core_checks", "import-bad")["rule"])
    if is_forgotten:
        refresh.forget(store, "import-bad")
    else:
        store.session_file("import-bad").with_suffix(".source").unlink()
        for folder in (store.lake / "raw" / "imports").glob("*bad*"):
            shutil.rmtree(folder)
    assert main(["--data", str(store.root), "refresh"]) == 0
    assert set(store.read("core_checks")["source_key"]) == {"import-good"}


def test_both_doors_make_the_same_tables_of_the_same_fault(tmp_path: Path, monkeypatch) -> None:
    import dagster as dg

    from assets.resources import StoreResource
    from pipelines.build import build_defs

    breaking(monkeypatch, "core_samples", NEGATIVE)
    stores = [
        two_sources(tmp_path / door)
        for door in ("line", "dagster")
        if not (tmp_path / door).mkdir()
    ]
    with pytest.raises(PartialError, match="rejected rows of 1 source,"):
        list(refresh.everything(stores[0]))
    defs = build_defs(resource_overrides={"store": StoreResource(root=str(stores[1].root))})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("session", ["import-bad", "import-good"])
        span = {
            "dagster/asset_partition_range_start": "import-bad",
            "dagster/asset_partition_range_end": "import-good",
        }
        done = defs.resolve_job_def("refresh").execute_in_process(
            instance=instance, tags=span, raise_on_error=False
        )
    assert done.success
    failed = {
        (c.asset_key.to_user_string(), c.check_name): c
        for c in done.get_asset_check_evaluations()
        if not c.passed
    }
    assert failed.keys() == {("core_samples", "costs_are_not_negative")}
    assert failed["core_samples", "costs_are_not_negative"].severity is dg.AssetCheckSeverity.ERROR
    assert "import-bad" in failed["core_samples", "costs_are_not_negative"].description
    for name in stores[0].stored_tables():
        assert stores[0].read(name).equals(stores[1].read(name)), name


def test_a_table_that_breaks_its_definition_leaves_out_its_session_by_name(
    tmp_path: Path, monkeypatch
) -> None:
    store = two_sources(tmp_path)
    breaking(monkeypatch, "core_sessions", pl.lit(float("nan")).alias("started_unix_s"))
    with pytest.raises(
        PartialError,
        match=r"1 of 2 sources could not be read.*\n?.*import-bad: column started_unix_s is NaN",
    ):
        list(refresh.everything(store))
    assert store.read("core_samples")["model_variant"].unique().to_list() == ["good"]
    reported = store.read("core_checks", "import-bad")
    assert reported.sort("rule")["rule"].to_list() == ["schema", "source_can_be_curated"]
    assert reported.filter(pl.col("rule") == "schema")["table_name"].to_list() == ["core_sessions"]
