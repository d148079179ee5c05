"""Identity is what the source states: two runs that differ in a stated setting are two points, and
repeats match in question and reference.

What each format states lies in ``identities/``, one module a format: NAME of the importer; STATED
and HARMLESS, name of a setting to two of its values; OPTIONS for ``import_path``; and
``write(folder, settings)``, which writes one run whose file states the settings and returns its
file or folder. A format of single files sets FOLDERS to False.
"""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import shutil
from pathlib import Path
from types import ModuleType

import identities
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports, registered
from isocost.importers.settings import arguments_of, given_settings, stated_settings
from isocost.tables.core.imports import build_imported_core

pytestmark = pytest.mark.slow  # hundreds of small imports or banks

FORMATS = [
    importlib.import_module(f"identities.{info.name}")
    for info in pkgutil.iter_modules(identities.__path__)
]


def label(value: object) -> str | None:
    return value.NAME if isinstance(value, ModuleType) else str(value)


def runs(module: ModuleType, folder: Path, name: str, values: tuple) -> list[Path]:
    written = []
    for number, value in enumerate(values):
        home = folder / name / f"run{number}"
        home.mkdir(parents=True)
        written.append(module.write(home, {name: value}))
    return written


def points(module: ModuleType, lake: Path, *paths: Path) -> dict[Path, set[str]]:
    """Points of everything that is not a summary number, by the path that was imported.

    Settings of the numbers where there is nothing else.
    """
    # Files of equal content are one import.
    imports = {
        path: import_path(module.NAME, path, lake, name=str(path), **module.OPTIONS).import_id
        for path in paths
    }
    found: dict[str, set[str]] = {import_id: set() for import_id in imports.values()}
    frame = read_imports(lake).collect()
    core = build_imported_core(frame)
    for name in ("core_samples", "core_counts"):
        for point_id, import_id in core[name].select("point_id", "session_id").iter_rows():
            found[import_id].add(point_id)
    assert set(core["core_points"]["point_id"]) == set().union(*found.values())
    if not any(found.values()):
        for model, condition, import_id in frame.select(
            "model_variant", "condition", "import_id"
        ).iter_rows():
            found[import_id].add(f"{model}: {condition}")
    return {path: found[import_id] for path, import_id in imports.items()}


def points_of_runs(
    module: ModuleType, folder: Path, values: dict[str, tuple]
) -> dict[str, list[set[str]]]:
    """Points of the two runs of every setting, each imported alone.

    As a folder they have the same points.
    """
    written = {name: runs(module, folder / "runs", name, pair) for name, pair in values.items()}
    found = points(module, folder / "alone", *(path for pair in written.values() for path in pair))
    if getattr(module, "FOLDERS", True):
        (together,) = points(module, folder / "together", folder / "runs").values()
        assert together == set().union(*found.values())
    return {name: [found[path] for path in pair] for name, pair in written.items()}


def stating(kind: str) -> list[ModuleType]:
    return [module for module in FORMATS if getattr(module, kind)]


@pytest.mark.parametrize("module", stating("STATED"), ids=label)
def test_a_stated_setting_keeps_two_points_apart(module: ModuleType, tmp_path: Path) -> None:
    found = points_of_runs(module, tmp_path, module.STATED)
    assert {name: [len(run) for run in pair] for name, pair in found.items()} == {
        name: [1, 1] for name in module.STATED
    }
    assert [name for name, (first, second) in found.items() if first == second] == []


@pytest.mark.parametrize("module", stating("HARMLESS"), ids=label)
def test_a_harmless_setting_does_not(module: ModuleType, tmp_path: Path) -> None:
    found = points_of_runs(module, tmp_path, module.HARMLESS)
    assert [name for name, (first, second) in found.items() if first != second] == []
    assert {len(run) for pair in found.values() for run in pair} == {1}


def test_every_format_says_what_it_states() -> None:
    assert {module.NAME for module in FORMATS} == set(registered())


PLACES = (
    "copy{suffix}",
    "SERVE--max_num_seqs-8-/run=1{suffix}",
    "sample_scored_other_temp0.3_output{suffix}",
    "sample_scored_another_temp0.5_input{suffix}",
    "samples_other_2026-01-02T03-04-05.000000{suffix}",
    "results_2026-01-02T03-04-05.000000{suffix}",
    "other/deep/copy{suffix}",
)
STATING = ("model_variant", "task", "condition", "sampling", "problem_source_id", "source_run")


@pytest.mark.parametrize("module", FORMATS, ids=label)
def test_what_a_place_states_is_content_and_what_it_does_not_is_none(
    module: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    written = module.write(tmp_path / "runs", {})
    originals = [written] if written.is_file() else [p for p in written.rglob("*") if p.is_file()]
    for number, original in enumerate(originals):
        found = {}
        for place in PLACES:
            path = tmp_path / f"{number}-{len(found)}" / place.format(suffix=original.suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(original, path)
            lake = tmp_path / f"lake-{number}-{PLACES.index(place)}"
            try:
                made = import_path(module.NAME, path, lake, name="x", **module.OPTIONS)
            except IsocostError:  # a file or name that the format does not take alone
                continue
            found[place] = (made.import_id, read_imports(lake).collect().select(STATING).rows())
        for first, second in itertools.combinations(found.values(), 2):
            assert (first[0] == second[0]) == (first[1] == second[1])


def test_a_problem_known_by_its_file_name_is_not_a_copy_of_another(tmp_path: Path) -> None:
    module = next(module for module in FORMATS if module.NAME == "large_language_monkeys")
    problem = {"question": "q", "gt_answer": "4", "samples": ["4"], "is_corrects": [True]}
    for name in ("1.yaml", "2.yaml"):
        (tmp_path / name).write_text(json.dumps(problem | module.STANDARD))
        import_path(module.NAME, tmp_path / name, tmp_path / "lake", **module.OPTIONS)
    found = read_imports(tmp_path / "lake").collect()["problem_source_id"]
    assert sorted(found) == ["1", "2"]


def test_requests_on_machines_that_nobody_names_are_no_repeats(tmp_path: Path) -> None:
    module = next(module for module in FORMATS if module.NAME == "llmperf")
    written = runs(module, tmp_path / "runs", "x", (1, 2))
    apart = set().union(*points(module, tmp_path / "a", *written).values())
    (together,) = points(module, tmp_path / "b", tmp_path / "runs").values()
    assert len(apart) == 2 and together == apart
    for number, path in enumerate(written):
        import_path(
            "llmperf",
            path,
            tmp_path / "c",
            name=str(number),
            condition=["hardware=H100"],
            **module.OPTIONS,
        )
    samples = build_imported_core(read_imports(tmp_path / "c").collect())["core_samples"]
    assert samples["point_id"].n_unique() == 1 and samples["machine"].to_list() == ["H100", "H100"]


COLUMNS = {
    "problem": "id",
    "problem_text": "q",
    "reference": "ref",
    "output": "text",
    "correct": "ok",
}
KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 1},
}


@pytest.mark.parametrize("verifier", [None, "exact"])
@pytest.mark.parametrize("column", ["q", "ref"])
def test_another_question_or_reference_is_another_problem(
    tmp_path: Path, column: str, verifier: str | None
) -> None:
    rows = [{"id": "1", "q": "1+1?", "ref": "2", "text": "2", "ok": True}] * 2
    rows[1] = rows[1] | {column: "3"}
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_path("generic", path, tmp_path / "lake", mapping={"columns": COLUMNS}, provenance=KNOWN)
    samples = build_imported_core(read_imports(tmp_path / "lake").collect(), verifier=verifier)[
        "core_samples"
    ]
    assert samples["problem_id"].n_unique() == 2


def test_a_given_condition_enters_the_point_on_both_ways_through_the_generic_importer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        json.dumps({"id": "1", "q": "1+1?", "ref": "2", "text": "2", "ok": True}) + "\n"
    )
    found = set()
    for condition in ([], ["hardware=A"], ["hardware=B"], ['{"hardware": "B"}']):
        lake = tmp_path / f"lake{len(found)}{condition}"
        import_path(
            "generic",
            path,
            lake,
            mapping={"columns": COLUMNS},
            provenance=KNOWN,
            condition=condition,
        )
        found |= set(build_imported_core(read_imports(lake).collect())["core_samples"]["point_id"])
    assert len(found) == 3


NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
LEAVES = st.one_of(
    st.integers(), st.booleans(), st.text("xyz ", min_size=1), st.lists(st.integers(), min_size=1)
)
NESTED = st.recursive(
    LEAVES, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=6
)


@given(st.dictionaries(NAMES, NESTED, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_every_leaf_is_a_setting_but_for_the_harmless(stated: dict, data: st.DataObject) -> None:
    found = stated_settings(stated)
    assert all(not isinstance(value, dict) for value in found.values())
    if not found:
        return
    name = data.draw(st.sampled_from(sorted(found)))
    left = stated_settings(stated, {name: "it is only a name"})
    assert left == {key: value for key, value in found.items() if key != name}


@given(st.dictionaries(NAMES, st.text("abc/.-1", min_size=1), min_size=1))
def test_arguments_come_back_from_their_text(arguments: dict[str, str]) -> None:
    assert (
        arguments_of(",".join(f"{name}={value}" for name, value in arguments.items())) == arguments
    )


def test_arguments_with_commas_in_brackets_and_without_names() -> None:
    assert arguments_of("a=[1,2],b='x,y',c=d=e") == {"a": "[1,2]", "b": "'x,y'", "c": "d=e"}
    assert arguments_of("just words, no names") == {"arguments": "just words, no names"}
    assert arguments_of(None) == arguments_of("") == {}


@pytest.mark.parametrize("stated", ["", "hardware", "=x", "hardware=", "{broken"])
def test_a_condition_that_says_nothing_is_refused(stated: str) -> None:
    with pytest.raises(IsocostError, match="condition"):
        given_settings([stated])


def test_a_condition_with_two_values_is_refused() -> None:
    with pytest.raises(IsocostError, match="hardware"):
        given_settings(["hardware=A", "hardware=B"])
    assert given_settings(["hardware=A", '{"engine": {"name": "vllm"}}']) == {
        "hardware": "A",
        "engine.name": "vllm",
    }


def test_times_of_unlike_machines_are_not_averaged_and_accuracy_is(tmp_path: Path) -> None:
    from isocost.tables.outcomes.banks import needed, task_banks

    rows = [{"id": "1", "q": "1+1?", "ref": "2", "text": "2", "ok": True, "s": 1.0}]
    mapping = {"columns": COLUMNS | {"latency": "s"}, "latency_meaning": "end to end"}
    for number, value in enumerate((1.0, 9.0)):
        path = tmp_path / f"t{number}.jsonl"
        path.write_text("".join(json.dumps(row | {"s": value}) + "\n" for row in rows))
        import_path(
            "generic", path, tmp_path / "lake", name=str(number), mapping=mapping, provenance=KNOWN
        )
    samples = build_imported_core(read_imports(tmp_path / "lake").collect())["core_samples"]
    assert samples["point_id"].n_unique() == 1 and samples["machine"].n_unique() == 2
    ((bank, facts),) = task_banks(needed(samples))
    assert bank.sizes.tolist() == [2] and not bank.known("latency_s")
    assert "different machines" in facts.reasons["latency_s"]
    alone = samples.with_columns(pl.lit("H100").alias("machine"))
    ((bank, _),) = task_banks(needed(alone))
    assert bank.known("latency_s")
