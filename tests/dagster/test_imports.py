"""The import job from a file to the published tables, in process, and the two folder sensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import duckdb
import polars as pl
import pytest

from assets.raw import ImportConfig
from assets.resources import StoreResource
from isocost.store import Store
from pipelines.build import build_defs
from pipelines.sensors import AT_FAULT_TAG, inbox, sweep_folder

KNOWN = {
    "model": "borrowed",
    "task": "sums",
    "task_version": "1",
    "prompt": "direct",
    "sampling": '{"temperature": 1.0}',
}
CARDS = {
    "core_devices",
    "core_models",
    "core_prices",
}  # the job writes them beside the import; they come from the package
COUNTS = [("a", 3, 4), ("b", 1, 4), ("c", 0, 4), ("d", 4, 4)]
MAPPING = """
columns:
  problem: question
  sample_index: k
  answer: said
  correct: {column: graded, true: ["yes"], false: ["no"]}
  output_tokens: tokens
"""
SWEEP = """sweep: {sweep}
models: {{name: m, path: "cache:small", dtype: float32}}
engine: {{max_model_len: {length}, kv_cache_bytes: 64 MiB}}
tasks:
  - {{name: t, source: reasoning_gym, dataset: letter_counting, config: {{max_words: 5}}, n_problems: 2, verifier: numeric}}
prompts: {{name: p, template: "{{question}}"}}
grid: {{temperature: 1.0, max_tokens: 8}}
samples_per_problem: {samples}
"""


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def counts_file(folder: Path) -> Path:
    return lines(folder / "counts.jsonl", [{"id": name, "c": c, "n": n} for name, c, n in COUNTS])


def answers_file(folder: Path) -> Path:
    """Five answers to each of four problems.

    The first ``right`` of them are right and all the same.
    """
    rows = [
        {
            "question": name,
            "k": k,
            "said": "4" if k < right else str(10 + k % 2),
            "graded": "yes" if k < right else "no",
            "tokens": 10 + k,
        }
        for name, right in (("a", 5), ("b", 3), ("c", 1), ("d", 0))
        for k in range(5)
    ]
    return lines(folder / "answers.jsonl", rows)


def bring_in(
    defs: dg.Definitions, instance: dg.DagsterInstance, key: str, config: ImportConfig
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("session", [key])
    run_config = dg.RunConfig(ops={"raw_imports": config})
    return defs.resolve_job_def("bring_in").execute_in_process(
        instance=instance, partition_key=key, run_config=run_config, raise_on_error=False
    )


def why(done: dg.ExecuteInProcessResult) -> str:
    """What the failed steps said, causes included."""
    listed = []
    for event in done.all_events:
        error = event.step_failure_data.error if event.is_step_failure else None
        while error:
            listed.append(error.message)
            error = error.cause
    return "\n".join(listed)


def stored(root: Path) -> set[str]:
    """Folders that hold files, apart from the records of what was built."""
    files = (
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file() and path.name != ".pieces.lock"
    )
    return {path.parent.name for path in files if "_made" not in path.parts}


def defs_at(root: Path) -> dg.Definitions:
    return build_defs(resource_overrides={"store": StoreResource(root=str(root))})


class Brought(NamedTuple):
    store: Store
    done: dict[str, dg.ExecuteInProcessResult]
    defs: dg.Definitions
    instance: dg.DagsterInstance


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    """Counts first, then answers with tokens, each all the way to the published tables."""
    folder = tmp_path_factory.mktemp("imports")
    mapping = folder / "mapping.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    counts = ImportConfig(
        format="counts", path=str(counts_file(folder)), provenance={**KNOWN, "prompt": "counted"}
    )
    answers = ImportConfig(
        format="generic", path=str(answers_file(folder)), provenance=KNOWN, mapping=str(mapping)
    )
    defs = defs_at(folder / "data")
    with dg.DagsterInstance.ephemeral() as instance:
        done = {
            key: bring_in(defs, instance, key, config)
            for key, config in (("import-counts", counts), ("import-answers", answers))
        }
        yield Brought(Store(folder / "data"), done, defs, instance)


def test_both_runs_succeed_and_every_check_holds(brought) -> None:
    for key, done in brought.done.items():
        assert done.success, f"{key}: {why(done)}"
        failed = [
            f"{c.asset_key.to_user_string()}/{c.check_name}: {c.description}"
            for c in done.get_asset_check_evaluations()
            if not c.passed
        ]
        assert failed == []


def test_counts_stay_counts(brought) -> None:
    store, done = brought.store, brought.done
    counts = store.read("core_counts", "import-counts")
    assert sorted(counts.select("n_correct", "n_samples").rows()) == sorted(
        (c, n) for _, c, n in COUNTS
    )
    assert (
        counts["source"].unique().to_list() == ["counts"]
        and store.read("core_samples", "import-counts").is_empty()
    )
    (event,) = done["import-counts"].asset_materializations_for_node("raw_imports")
    assert event.metadata["dagster/row_count"].value == len(COUNTS)
    assert event.metadata["status"].value == "imported"


def test_outcomes_of_both_sources_are_what_the_counts_say(brought) -> None:
    outcomes = brought.store.read("out_strategy_outcomes")
    first = outcomes.filter((pl.col("strategy") == "pass_at_k") & (pl.col("budget") == 1))
    by_prompt = dict(first.select("prompt", "accuracy").rows())
    assert by_prompt == pytest.approx(
        {"counted": (3 / 4 + 1 / 4 + 0 + 1) / 4, "direct": (1 + 3 / 5 + 1 / 5 + 0) / 4}
    )
    tokens = dict(first.select("prompt", "output_tokens_per_problem").rows())
    assert tokens["counted"] is None and tokens["direct"] == pytest.approx(12)
    votes = outcomes.filter(
        (pl.col("strategy") == "majority_at_k") & (pl.col("n_problems_undefined") == 0)
    )
    assert votes["prompt"].unique().to_list() == ["direct"]  # counts know no answers to vote on
    (majority,) = votes.filter(pl.col("budget") == 5)["accuracy"].to_list()
    assert majority == pytest.approx(2 / 4)  # of five answers the right one leads on a and b only


def test_warehouse_exports_and_report_are_published(brought) -> None:
    store = brought.store
    with duckdb.connect(str(store.warehouse), read_only=True) as connection:
        rows = connection.execute(
            "SELECT source, count(*) FROM core_samples GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        counted = connection.execute(
            "SELECT source, sum(n_samples) FROM core_counts GROUP BY ALL"
        ).fetchall()
    assert (rows, counted) == ([("generic", 20)], [("counts", 16)])
    assert pl.read_parquet(store.exports / "core_samples.parquet").height == 20
    page = store.report.read_text(encoding="utf-8")
    assert "sums" in page and "36 valid samples" in page


def test_a_refresh_over_all_sources_in_one_run_gives_the_same_tables(brought) -> None:
    before = {
        name: brought.store.read(name)
        for name in ("core_samples", "out_strategy_outcomes", "out_frontier_points")
    }
    first, last = brought.done
    span = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }  # as nightly_refresh asks for
    job = brought.defs.resolve_job_def("refresh")
    done = job.execute_in_process(instance=brought.instance, tags=span, raise_on_error=False)
    assert done.success, why(done)
    curated = [
        m
        for m in done.asset_materializations_for_node("core_session")
        if m.asset_key == dg.AssetKey("core_samples")
    ]
    rows = {
        session: brought.store.read("core_samples", session).height for session in (first, last)
    }
    assert {event.partition: event.metadata["dagster/row_count"].value for event in curated} == rows
    assert all(event.metadata["is_unchanged"].value for event in curated)
    strategies = done.asset_materializations_for_node("strategies")[0].metadata
    assert (strategies["pieces_built"].value, strategies["pieces_unchanged"].value) == (
        0,
        3,
    )  # two points, one task
    assert all(brought.store.read(name).equals(frame) for name, frame in before.items())


def test_a_damaged_source_is_left_out_and_named_and_the_others_go_on(tmp_path: Path) -> None:
    store, keys = Store(tmp_path / "data"), ("import-one", "import-two")
    defs = defs_at(store.root)
    with dg.DagsterInstance.ephemeral() as instance:
        for key, path in zip(keys, (counts_file(tmp_path), answers_file(tmp_path)), strict=True):
            config = ImportConfig(format="counts", path=str(path), provenance=KNOWN)
            if key == keys[1]:
                mapping = tmp_path / "mapping.yaml"
                mapping.write_text(MAPPING, encoding="utf-8")
                config = ImportConfig(
                    format="generic",
                    path=str(path),
                    mapping=str(mapping),
                    provenance=KNOWN | {"prompt": "other"},
                )
            done = bring_in(defs, instance, key, config)
            assert done.success, why(done)
        import_id = json.loads(store.session_file(keys[0]).with_suffix(".source").read_text())[
            "import_id"
        ]
        (part,) = (path for path in store.lake.rglob("*.parquet") if import_id in str(path))
        part.write_bytes(part.read_bytes()[:-100])
        span = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[1],
        }
        done = defs.resolve_job_def("refresh").execute_in_process(
            instance=instance, tags=span, raise_on_error=False
        )
    assert done.success, why(done)
    failed = [check for check in done.get_asset_check_evaluations() if not check.passed]
    assert [check.check_name for check in failed] == ["every_bank_is_readable"]
    assert failed[0].metadata["left_out"].value.keys() == {keys[0]} and import_id in str(
        failed[0].metadata["left_out"].value
    )
    assert store.read("core_samples").equals(store.read("core_samples", keys[1]))
    assert store.read("out_strategy_outcomes")["prompt"].unique().to_list() == ["other"]


def test_a_bad_file_fails_the_run_with_the_importers_words_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    path = lines(tmp_path / "counts.jsonl", [{"id": "a", "c": 5, "n": 4}])
    store = Store(tmp_path / "data")
    with dg.DagsterInstance.ephemeral() as instance:
        config = ImportConfig(format="counts", path=str(path), provenance=KNOWN)
        done = bring_in(defs_at(store.root), instance, "import-bad", config)
        assert not done.success
        assert "counts.jsonl, line 1" in why(done) and "5 correct of 4 cannot be" in why(done)
        assert instance.get_materialized_partitions(dg.AssetKey("raw_imports")) == set()
    assert stored(store.root) == CARDS


def test_a_key_of_an_engine_session_is_refused(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        config = ImportConfig(format="counts", path=str(counts_file(tmp_path)), provenance=KNOWN)
        done = bring_in(defs_at(tmp_path / "data"), instance, "quickstart-0123456789", config)
    assert not done.success and "Use a key that starts with import-" in why(done)
    assert stored(tmp_path / "data") == CARDS


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both watched folders, empty, and a model that can be planned with but not run."""
    for variable, name in (("ISOCOST_SWEEPS", "sweeps"), ("ISOCOST_INBOX", "inbox")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "cache" / "models" / "small"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    for name in ("model.safetensors", "tokenizer.json"):
        (model / name).touch()
    return tmp_path


def tick(
    sensor: dg.SensorDefinition,
    place: Path,
    instance: dg.DagsterInstance,
    cursor: str | None = None,
) -> dg.SensorResult:
    """One evaluation, after which the instance has the partitions that it asked for."""
    resources = (
        {"store": StoreResource(root=str(place / "data"))} if sensor.required_resource_keys else {}
    )
    found = sensor(dg.build_sensor_context(instance=instance, resources=resources, cursor=cursor))
    if isinstance(found, dg.SkipReason):
        return dg.SensorResult(skip_reason=found)
    for request in found.dynamic_partitions_requests:
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    assert {request.partition_key for request in found.run_requests} <= set(
        instance.get_dynamic_partitions("session")
    )
    return found


def words_of(data: dg.SensorResult) -> str:
    return data.skip_reason.skip_message if data.skip_reason else ""


def test_a_new_sweep_file_registers_its_sessions_and_asks_for_one_run_each(place: Path) -> None:
    file = place / "sweeps" / "one.yaml"
    file.write_text(SWEEP.format(sweep="one", length=128, samples=2))
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(sweep_folder, place, instance)
        planned = Store(place / "data").session_ids()
        assert len(planned) == 1 and [r.partition_key for r in first.run_requests] == planned
        assert instance.get_dynamic_partitions("session") == planned
        assert first.run_requests[0].tags["isocost/sweep_file"] == "one.yaml"
        again = tick(sweep_folder, place, instance)
        assert [r.run_key for r in again.run_requests] == [r.run_key for r in first.run_requests]
        file.write_text(SWEEP.format(sweep="one", length=128, samples=3))
        more = tick(sweep_folder, place, instance)
        assert [r.partition_key for r in more.run_requests] == planned
        assert more.run_requests[0].run_key != first.run_requests[0].run_key


def test_a_broken_sweep_file_is_reported_and_does_not_hold_up_the_others(place: Path) -> None:
    folder = place / "sweeps"
    with dg.DagsterInstance.ephemeral() as instance:
        assert f"no sweep file in {folder}" in words_of(tick(sweep_folder, place, instance))
        (folder / "a-broken.yaml").write_text("sweep: [")
        (folder / "b-lost.yaml").symlink_to(folder / "nowhere.yaml")
        (folder / "c-wrong.yaml").write_text(SWEEP.format(sweep="wrong", length=128, samples=0))
        (folder / "d-folder.yaml").mkdir()
        reported = words_of(tick(sweep_folder, place, instance))
        assert all(
            name in reported
            for name in ("a-broken.yaml", "b-lost.yaml", "c-wrong.yaml", "d-folder.yaml")
        )
        (folder / "e-good.yaml").write_text(SWEEP.format(sweep="good", length=64, samples=2))
        data = tick(sweep_folder, place, instance)
        # Beside a good file, too: on the run that is requested, and as the message of every tick
        # after it.
        assert [r.partition_key for r in data.run_requests] == Store(place / "data").session_ids()
        assert len(data.run_requests) == 1
        assert "a-broken.yaml" in data.run_requests[0].tags[AT_FAULT_TAG]
        after = tick(sweep_folder, place, instance, data.cursor)
        assert not after.run_requests and all(
            name in words_of(after) for name in ("a-broken.yaml", "c-wrong.yaml")
        )
        (folder / "e-good.yaml").write_text(SWEEP.format(sweep="good", length=64, samples=3))
        assert len(tick(sweep_folder, place, instance, data.cursor).run_requests) == 1
        for name in ("a-broken", "b-lost", "c-wrong"):
            (folder / f"{name}.yaml").unlink()
        (folder / "d-folder.yaml").rmdir()
        fixed = tick(sweep_folder, place, instance, data.cursor)
        assert AT_FAULT_TAG not in fixed.run_requests[0].tags
        assert "nothing has changed" in words_of(tick(sweep_folder, place, instance, fixed.cursor))


def sidecar(place: Path, name: str, text: str) -> Path:
    path = place / "inbox" / f"{name}.import.yaml"
    path.write_text(text, encoding="utf-8")
    return path


SIDECAR = "format: counts\npath: counts.jsonl\nprovenance: {model: m, task: sums, task_version: '1', prompt: p, sampling: '{}'}\n"


def test_a_sidecar_asks_for_an_import_that_runs(place: Path) -> None:
    counts_file(place / "inbox")
    sidecar(place, "My results", SIDECAR)
    with dg.DagsterInstance.ephemeral() as instance:
        (request,) = tick(inbox, place, instance).run_requests
        assert request.partition_key.startswith("import-my-results")
        assert instance.get_dynamic_partitions("session") == [request.partition_key]
        (again,) = tick(inbox, place, instance).run_requests
        assert again.run_key == request.run_key
        job = defs_at(place / "data").resolve_job_def("bring_in")
        raw = [dg.AssetKey("raw_imports")]
        done = job.execute_in_process(
            instance=instance,
            partition_key=request.partition_key,
            run_config=request.run_config,
            asset_selection=raw,
        )
        assert done.success
        lines(place / "inbox" / "counts.jsonl", [{"id": "a", "c": 1, "n": 4}])
        (changed,) = tick(inbox, place, instance).run_requests
        assert changed.partition_key == request.partition_key and changed.run_key != request.run_key


def test_a_broken_sidecar_is_reported_and_does_not_hold_up_the_others(place: Path) -> None:
    counts_file(place / "inbox")
    sidecar(place, "a", "format: [")
    sidecar(place, "b", "format: counts\n")
    sidecar(place, "c", SIDECAR.replace("counts.jsonl", "nowhere.jsonl"))
    sidecar(place, "d", SIDECAR + "colour: red\n")
    sidecar(place, "e", SIDECAR.replace("{model: m", "[model").replace("'{}'}", "x]"))
    with dg.DagsterInstance.ephemeral() as instance:
        reported = words_of(tick(inbox, place, instance))
        assert all(f"{name}.import.yaml" in reported for name in "abcde"), reported
        sidecar(place, "good", SIDECAR)
        data = tick(inbox, place, instance)
        (request,) = data.run_requests
        assert "a.import.yaml" in request.tags[AT_FAULT_TAG]
        assert "e.import.yaml" in words_of(tick(inbox, place, instance, data.cursor))
    assert request.partition_key.startswith("import-good")
