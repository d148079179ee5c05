"""Runs in imports.

Further runs are further samples, one run given twice is one, and the order of the imports changes
nothing.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest

from isocost import intake
from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports, sealed_imports, set_aside_imports, stored
from isocost.publish.export_every_eval_ever import export_every_eval_ever
from isocost.seals import checksum
from isocost.store import Store
from isocost.tables.core.imports import build_imported_core, imported_texts

pytestmark = pytest.mark.slow

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 0},
}
MAPPING = {"columns": {"problem": "id", "sample_index": "k", "output": "text", "correct": "ok"}}


def table(path: Path, *rights: bool, word: str = "x") -> Path:
    """One problem's attempts, numbered from 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": "a", "k": k, "text": f"{word}{k}", "ok": right} for k, right in enumerate(rights)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def bring(store: Store, key: str, path: Path, **more):
    mapping = path.parent / "mapping.yaml"
    mapping.write_text(json.dumps(MAPPING), encoding="utf-8")
    options = {"format": "generic", "provenance": KNOWN, "mapping": mapping} | more
    report = intake.bring_in(store, key, path=path, **options)
    refresh.curate_session(store, key)
    return report


def log(folder: Path, name: str, task_id: str, values: list[str | None], **more) -> Path:
    """An Inspect log with one sample a problem; None is a sample that failed."""
    document = files.inspect_log() | more
    document["eval"] = {**document["eval"], "task_id": task_id}
    pattern = document["samples"][0]
    document["samples"] = [
        {**pattern, "id": i, "epoch": 1}
        | ({"error": {"message": "boom"}, "scores": None} if value is None else _scored(value))
        for i, value in enumerate(values, 1)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _scored(value: str) -> dict:
    return {"scores": {"match": {"value": value, "answer": "Yes"}}}


def core_of(
    path: Path, lake: Path, name: str = "inspect_ai", **more
) -> tuple[pl.DataFrame, pl.DataFrame]:
    report = import_path(name, path, lake, **more)
    raw = read_imports(lake, import_ids=[report.import_id]).collect()
    return raw, build_imported_core(raw)["core_samples"]


def test_two_logs_of_one_task_in_a_folder_keep_all_their_samples(tmp_path):
    log(tmp_path / "in", "a.json", "one", ["C", "C", "I"])
    log(tmp_path / "in", "b.json", "two", ["I", "I", "I"])
    raw, samples = core_of(tmp_path / "in", tmp_path / "lake")
    assert samples["is_valid"].all() and samples.height == 6 and samples["point_id"].n_unique() == 1
    # Further samples of the same configuration: numbered on, run after run.
    assert (
        samples.sort("problem_id", "sample_index")
        .group_by("problem_id")
        .agg("sample_index")["sample_index"]
        .to_list()
        == [[0, 1]] * 3
    )
    assert samples["sample_id"].n_unique() == 6 and samples["correct"].sum() == 2
    texts = imported_texts(raw)
    assert set(texts["sample_id"]) == set(samples["sample_id"])


def test_what_nobody_knows_is_not_pooled_over_the_logs_of_a_folder(tmp_path):
    for name in ("one", "two"):
        path = log(
            tmp_path / "in",
            f"{name}.json",
            name,
            ["C", "C", "I"] if name == "one" else ["C", "I", "I"],
        )
        document = json.loads(path.read_text())
        document["eval"]["model_generate_config"] = {}
        path.write_text(json.dumps(document))
    _, samples = core_of(tmp_path / "in", tmp_path / "lake", unknown={"sampling"})
    accuracy = (
        samples.group_by("point_id").agg(pl.col("correct").mean())["correct"].sort().to_list()
    )
    assert accuracy == pytest.approx([1 / 3, 2 / 3]) and samples["is_valid"].all()


def test_a_retried_log_is_the_same_run_and_its_failed_samples_give_way(tmp_path):
    log(tmp_path / "in", "1-first.json", "one", ["C", None, None], status="error")
    log(tmp_path / "in", "2-retry.json", "one", ["C", "I", "C"])
    _, samples = core_of(tmp_path / "in", tmp_path / "lake")
    valid = samples.filter("is_valid").sort("problem_id")
    assert (
        valid.height == 3 and valid["correct"].sum() == 2 and valid["sample_index"].n_unique() <= 2
    )
    reasons = samples.filter(~pl.col("is_valid"))["invalid_reasons"].to_list()
    assert len(reasons) == 3 and all("duplicate_in_source" in codes for codes in reasons)


def test_one_log_as_archive_and_as_json_counts_once(tmp_path):
    log(tmp_path / "in", "log.json", "one", ["C", "I"])
    document = json.loads((tmp_path / "in" / "log.json").read_text())
    samples = document.pop("samples")
    with zipfile.ZipFile(tmp_path / "in" / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(document))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    _, samples = core_of(tmp_path / "in", tmp_path / "lake")
    assert (
        samples.height == 4
        and samples["is_valid"].sum() == 2
        and samples.filter("is_valid")["correct"].sum() == 1
    )


def test_a_second_run_is_more_samples_whatever_the_order_and_in_one_folder_or_two(tmp_path):
    first, second = (
        table(tmp_path / "1" / "a.jsonl", True, False),
        table(tmp_path / "2" / "b.jsonl", True, True, word="y"),
    )
    seen = []
    for order in ((first, second), (second, first)):
        store = Store(tmp_path / f"data{len(seen)}")
        for path in order:
            bring(store, f"import-{path.stem}", path)
        samples = store.read("core_samples")
        assert (
            samples.height == 4
            and samples["correct"].sum() == 3
            and samples["point_id"].n_unique() == 1
        )
        assert intake.clashes(store, "import-a") == [] == intake.clashes(store, "import-b")
        outcomes, _ = refresh.derive_strategies(store).values()
        seen.append((samples, outcomes))
    assert seen[0][0].equals(seen[1][0]) and seen[0][1].equals(seen[1][1])
    assert outcomes.filter(strategy="pass_at_k", budget=1)["accuracy"].item() == pytest.approx(0.75)
    assert outcomes["n_samples"].max() == 4


def test_the_same_file_given_with_another_one_counts_once(tmp_path):
    folder = tmp_path / "both"
    log(folder, "a.json", "one", ["C", "I"])
    lone = shutil.copy(folder / "a.json", tmp_path / "lone.json")
    log(folder, "b.json", "two", ["C", "C"])
    store = Store(tmp_path / "data")
    for key, path in (("import-folder", folder), ("import-lone", Path(lone))):
        intake.bring_in(store, key, format="inspect_ai", path=path, provenance={})
        refresh.curate_session(store, key)
    samples = store.read("core_samples")
    assert samples.height == 4 and samples["correct"].sum() == 3
    assert intake.clashes(store, "import-lone") == []


def test_a_corrected_state_of_a_run_under_another_name_is_reported(tmp_path):
    store = Store(tmp_path / "data")
    for key, values in (("import-one", ["C", "I"]), ("import-two", ["C", "C"])):
        path = log(tmp_path / key, "a.json", "one", values)
        intake.bring_in(store, key, format="inspect_ai", path=path, provenance={})
        refresh.curate_session(store, key)
    (message,) = intake.clashes(store, "import-two")
    assert message.startswith(
        "1 samples of the same run have other results in import-one; only those of import-one count"
    )
    assert store.read("core_samples").height == 2


def test_greedy_runs_of_lm_eval_with_the_same_words_are_two_runs(tmp_path):
    folder = files.lm_eval(tmp_path / "in")
    for path in list(folder.iterdir()):
        shutil.copy(path, folder / path.name.replace("2026-01-21", "2026-01-22"))
    raw, samples = core_of(folder, tmp_path / "lake", "lm_eval")
    assert raw.filter(record_kind="sample")["source_run"].n_unique() == 2
    assert samples.group_by("point_id", "problem_id").len()["len"].to_list() == [4] * 4
    assert (
        not samples["invalid_reasons"]
        .explode(empty_as_null=False)
        .is_in(["duplicate_in_source"])
        .any()
    )


def test_repeats_of_a_vllm_sweep_are_one_configuration(tmp_path):
    base = tmp_path / "sweep" / "SERVE-a-BENCH-b"
    base.mkdir(parents=True)
    for index in (0, 1):
        (base / f"run={index}.json").write_text(
            json.dumps(files.vllm_result(run_number=index, date=f"2026-{index}", **files.DETAIL))
        )
    raw, samples = core_of(
        tmp_path / "sweep",
        tmp_path / "lake",
        "vllm_bench",
        unknown=files.ALL_UNKNOWN - {"model"},
        provenance={},
    )
    assert raw["condition"].n_unique() == 1 and raw["source_run"].n_unique() == 2
    assert samples["sample_id"].n_unique() == 6
    assert (
        not samples["invalid_reasons"]
        .explode(empty_as_null=False)
        .is_in(["duplicate_in_source"])
        .any()
    )


def test_yaml_files_of_single_problems_are_one_run(tmp_path):
    first = files.large_language_monkeys(tmp_path / "in")
    shutil.copy(first, tmp_path / "in" / "problem_8.yaml")
    _, samples = core_of(
        tmp_path / "in", tmp_path / "lake", "large_language_monkeys", unknown=files.ALL_UNKNOWN
    )
    assert samples["point_id"].n_unique() == 1 and samples.height == 4 and samples["is_valid"].all()


def test_unknown_for_what_the_source_says_changes_nothing_and_is_reported(tmp_path):
    path, lake = files.inspect_ai(tmp_path), tmp_path / "lake"
    first = import_path("inspect_ai", path, lake)
    again = import_path("inspect_ai", path, lake, unknown={"model", "sampling"})
    assert (again.status, again.import_id) == ("already", first.import_id) and first.warnings == ()
    assert again.warnings == (
        "the source itself states model, sampling: its values are used, and --unknown has no effect on them",
    )
    other = import_path("inspect_ai", path, tmp_path / "other", unknown={"model"})
    assert other.import_id == first.import_id and "states model:" in other.warnings[0]
    row = read_imports(tmp_path / "other").collect().row(0, named=True)
    assert (
        row["model_variant"] == "m"
        and sealed_imports(tmp_path / "other")[0].manifest["unknown"] == []
    )


def test_saying_again_what_the_source_says_makes_no_other_import(tmp_path):
    path, lake = files.inspect_ai(tmp_path), tmp_path / "lake"
    first = import_path("inspect_ai", path, lake)
    again = import_path("inspect_ai", path, lake, provenance={"model": "m"})
    assert (again.status, again.import_id) == ("already", first.import_id)
    assert len(sealed_imports(lake, include_superseded=True)) == 1


def without_sampling() -> dict:
    return {
        "eval": {
            key: value
            for key, value in files.inspect_log()["eval"].items()
            if key != "model_generate_config"
        }
    }


def test_sampling_that_is_given_is_for_the_logs_that_state_none(tmp_path):
    log(tmp_path / "in", "a.json", "one", ["C", "C"])
    log(tmp_path / "in", "b.json", "two", ["I"], **without_sampling())
    raw, _ = core_of(
        tmp_path / "in", tmp_path / "lake", provenance={"sampling": {"temperature": 0.5}}
    )
    stated = dict(
        raw.filter(record_kind="sample")
        .group_by("source_file")
        .agg(pl.col("sampling").unique().first())
        .iter_rows()
    )
    assert stated == {"a.json": '{"temperature":1.0}', "b.json": '{"temperature":0.5}'}
    report = import_path(
        "inspect_ai",
        tmp_path / "in",
        tmp_path / "other",
        provenance={"sampling": {"temperature": 0.5}},
    )
    (stated,) = report.warnings
    assert stated.startswith(
        "1 of 2 files state another sampling than '{\"temperature\":0.5}', first a.json: theirs counts there, yours in the 1 "
    )
    agreed = import_path(
        "inspect_ai",
        tmp_path / "in",
        tmp_path / "third",
        provenance={"sampling": {"temperature": 1.0}},
    )
    assert agreed.warnings == ()


def test_what_every_log_states_otherwise_is_still_a_contradiction(tmp_path):
    log(tmp_path / "in", "a.json", "one", ["C"])
    log(tmp_path / "in", "b.json", "two", ["I"])
    with pytest.raises(
        IsocostError,
        match=r"a\.json, .*sampling: the source states .*1\.0.* you gave .*0\.5.*Leave sampling out",
    ):
        import_path(
            "inspect_ai",
            tmp_path / "in",
            tmp_path / "lake",
            provenance={"sampling": {"temperature": 0.5}},
        )
    with pytest.raises(IsocostError, match="you gave 'other'"):
        import_path("inspect_ai", tmp_path / "in", tmp_path / "lake", provenance={"model": "other"})
    assert sealed_imports(tmp_path / "lake") == []


def test_unknown_in_the_fast_way_of_the_generic_importer(tmp_path):
    path, lake = files.generic(tmp_path), tmp_path / "lake"
    first = files.import_sample("generic", path, lake, unknown=files.ALL_UNKNOWN - {"model"})
    again = files.import_sample("generic", path, lake)
    assert again.status == "already" and again.import_id == first.import_id
    assert "source itself states model" in again.warnings[0] and sealed_imports(lake)[0].manifest[
        "unsaid"
    ] == sorted({"task", "task_version", "prompt", "sampling"})


def test_parts_of_before_the_column_of_runs_are_read(tmp_path, monkeypatch):
    path, lake = table(tmp_path / "a.jsonl", True, False), tmp_path / "lake"
    import_path("generic", path, lake, mapping=MAPPING, provenance=KNOWN)
    part = next(lake.rglob("part-*.parquet"))
    pl.read_parquet(part).drop("source_run").write_parquet(part)
    manifest = part.with_name("manifest.json")
    reported = json.loads(manifest.read_bytes())
    reported["parts"][0]["sha256"] = checksum(part)
    del reported["sha256"]  # as it was before manifests had a seal
    manifest.write_text(json.dumps(reported), encoding="utf-8")
    raw = read_imports(lake).collect()
    assert raw["source_run"].null_count() == 2
    assert build_imported_core(raw)["core_samples"]["sample_id"].n_unique() == 2


def two_sources(store: Store, folder: Path):
    bring(store, "import-good", table(folder / "1" / "a.jsonl", True, False))
    report = bring(store, "import-bad", table(folder / "2" / "b.jsonl", True, True, word="y"))
    return (
        stored.imports_root(store.lake)
        / f"source={report.source_slug}"
        / f"import={report.import_id}"
    )


def test_a_source_that_was_set_aside_does_not_stop_the_others(tmp_path, capsys):
    from isocost.cli import main

    store = Store(tmp_path / "data")
    part = two_sources(store, tmp_path) / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    assert set_aside_imports(store.lake)
    assert main(["--data", str(store.root), "refresh"]) == 3
    printed = capsys.readouterr()
    assert (
        "1 of 2 sources could not be read and are in no table" in printed.err
        and "import-bad" in printed.err
    )
    assert "import-bad LEFT OUT" in printed.out and "Traceback" not in printed.err
    assert store.read("core_samples").height == 2 and set(
        store.read("out_strategy_outcomes")["n_samples"]
    ) == {2}
    assert store.warehouse.exists()


@pytest.mark.parametrize("harm", ["torn", "gone", "manifest"])
def test_a_damaged_source_is_left_out_until_it_is_imported_again(tmp_path, monkeypatch, harm):
    monkeypatch.setattr(refresh, "_published", lambda *_, **__: iter(()))
    monkeypatch.setattr(refresh, "STEPS", {})
    store = Store(tmp_path / "data")
    home = two_sources(store, tmp_path)
    part = home / "part-00000.parquet"
    if harm == "manifest":
        (home / "manifest.json").write_text("{")
    elif harm == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:100])
    if harm == "gone":  # nothing says that it is meant to be gone: refused, and the tables stay
        with pytest.raises(
            IsocostError,
            match=r"1 source has fewer rows.*nothing was published(.|\n)*import-bad: 0 of 2 rows",
        ):
            list(refresh.everything(store))
        assert store.read("core_samples").height == 4
        set_aside_imports(store.lake)
        with pytest.raises(IsocostError, match="1 of 2 sources"):
            list(refresh.everything(store))
    else:
        with pytest.raises(IsocostError, match=r"1 of 2 sources(.|\n)*import-bad(.|\n)*set aside"):
            list(refresh.everything(store))
        assert set_aside_imports(store.lake) == []  # it was already
    assert store.read("core_samples").height == 2
    bring(store, "import-bad", tmp_path / "2" / "b.jsonl")
    list(refresh.everything(store))
    assert store.read("core_samples").height == 4


def test_the_same_run_as_two_configurations_is_reported(tmp_path):
    store = Store(tmp_path / "data")
    bring(store, "import-a", table(tmp_path / "1" / "t.jsonl", True, False))
    bring(
        store,
        "import-b",
        table(tmp_path / "2" / "t.jsonl", True, False),
        provenance=KNOWN | {"sampling": {"temperature": 1}},
    )
    bring(store, "import-c", table(tmp_path / "3" / "t.jsonl", True, False, True))
    (message,) = intake.clashes(store, "import-b")
    assert "2 samples of the same run are in import-a as another configuration" in message
    assert intake.clashes(store, "import-c") == []


def test_a_damaged_source_is_named_with_its_remedy(tmp_path):
    store = Store(tmp_path / "data")
    report = bring(store, "import-bad", table(tmp_path / "b.jsonl", True))
    shutil.rmtree(stored.imports_root(store.lake) / f"source={report.source_slug}")
    with pytest.raises(IsocostError, match=r"no longer in the lake.*under the same name"):
        intake.raw_rows(store, "raw_imports", "import-bad")


def test_verdicts_without_answers_have_the_policy_of_one_sample_and_no_vote(tmp_path):
    store = Store(tmp_path / "data")
    intake.bring_in(
        store, "import-a", format="counts", path=files.counts(tmp_path), provenance=KNOWN
    )
    refresh.curate_session(store, "import-a")
    outcomes, _ = refresh.derive_strategies(store).values()
    (row,) = outcomes.filter(
        pl.col("strategy_kind") == "policy", pl.col("accuracy").is_not_null()
    ).iter_rows(named=True)
    assert (row["strategy"], row["budget"], row["accuracy"], row["n_problems"]) == (
        "one_sample",
        1,
        0.125,
        2,
    )
    vote = outcomes.filter(strategy="majority_at_k", budget=1).row(0, named=True)
    assert vote["accuracy"] is None and vote["undefined_reasons"] == ["answers_not_banked:2"]


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_column_of_the_table_may_name_the_run(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    rows = [{"id": "a", "k": 0, "text": "x", "ok": True, "seed": seed} for seed in (1, 2, None)]
    if ending == ".csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mapping = {"columns": {**MAPPING["columns"], "run": "seed"}}
    report = import_path("generic", path, tmp_path / "lake", mapping=mapping, provenance=KNOWN)
    raw = (
        read_imports(tmp_path / "lake", import_ids=[report.import_id])
        .collect()
        .sort("record_index")
    )
    assert raw["source_run"].to_list()[:2] == ["1", "2"] and raw["source_run"][2].startswith(
        "sha256:"
    )
    samples = build_imported_core(raw)["core_samples"]
    assert samples["is_valid"].all() and sorted(samples["sample_index"]) == [0, 1, 2]


def test_an_export_of_pooled_runs_comes_back_whole(tmp_path):
    store = Store(tmp_path / "data")
    for name, rights in (("a", (True, False)), ("b", (True, True))):
        bring(store, f"import-{name}", table(tmp_path / name / f"{name}.jsonl", *rights, word=name))
    frames = [store.read(name) for name in ("core_samples", "core_points", "core_problems")]
    export_every_eval_ever(*frames, tmp_path / "out", organization="a lab", retrieved_unix_s=1.7e9)
    _, samples = core_of(
        tmp_path / "out", tmp_path / "lake", "every_eval_ever", unknown=files.ALL_UNKNOWN
    )
    assert (
        samples["is_valid"].all()
        and sorted(samples["sample_index"]) == [0, 1, 2, 3]
        and samples["correct"].sum() == 3
    )
