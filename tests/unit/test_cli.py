"""The command line: keys of imported sources, exit codes, and one line instead of a stack trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from isocost import cli
from isocost.build import refresh
from isocost.cli import main, source_id
from isocost.publish.facts import gather
from isocost.publish.sections import header
from isocost.publish.terminal import accounting_line
from isocost.store import Store

pytestmark = pytest.mark.slow

PROVENANCE = [
    "--model",
    "m",
    "--task",
    "t",
    "--task-version",
    "1",
    "--prompt",
    "p",
    "--sampling",
    "default",
]


def counts(path: Path, correct: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"id": "a", "c": correct, "n": 4}) + "\n", encoding="utf-8")
    return path


def bring(store: Store, path: Path, *more: str) -> int:
    return main(["--data", str(store.root), "import", "counts", str(path), *PROVENANCE, *more])


def test_files_of_one_name_in_two_folders_are_two_sources(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, counts(tmp_path / "one" / "results.jsonl", 1)) == 0
    assert bring(store, counts(tmp_path / "two" / "results.jsonl", 2)) == 0
    found = refresh.known_sources(store)
    assert len(found) == 2
    assert [
        refresh.raw_rows(store, "raw_imports", key)["counts_correct"].sum() for key in found
    ] in ([1, 2], [2, 1])


def test_the_same_path_and_the_same_name_supersede_and_say_so(tmp_path: Path, capsys) -> None:
    store, path = Store(tmp_path / "data"), tmp_path / "results.jsonl"
    assert bring(store, counts(path, 1)) == 0
    assert "takes the place" not in capsys.readouterr().out
    assert bring(store, counts(path, 2)) == 0
    assert "replaces im-" in capsys.readouterr().out
    assert len(refresh.known_sources(store)) == 1
    assert source_id(tmp_path / "a", "mine") == source_id(tmp_path / "b", "mine") == "import-mine"


def test_names_that_have_no_letter_in_common_with_a_key_stay_apart() -> None:
    assert len({source_id(Path("x"), name) for name in ("опыт", "проба", "実験", "x")}) == 4
    assert source_id(Path("x"), "n" * 70 + "1") != source_id(Path("x"), "n" * 70 + "2")


def test_an_unknown_verifier_is_refused_before_anything_is_imported(tmp_path: Path, capsys) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, counts(tmp_path / "c.jsonl"), "--verifier", "numerik") == 2
    assert "numeric" in capsys.readouterr().err
    assert not store.root.exists()


def test_a_source_whose_import_was_set_aside_is_reported_and_fixed_by_importing_again(
    tmp_path: Path, capsys
) -> None:
    store, path = Store(tmp_path / "data"), counts(tmp_path / "c.jsonl")
    assert bring(store, path) == 0
    part = next(store.lake.rglob("part-*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    assert main(["bank", "verify", str(store.lake)]) == 1
    assert "checksum" in capsys.readouterr().out
    assert main(["bank", "verify", str(store.lake), "--repair"]) == 0
    assert "set aside" in capsys.readouterr().out
    assert main(["--data", str(store.root), "refresh"]) == 3
    assert "Import its source again under the same name" in capsys.readouterr().err
    assert bring(store, path) == 0
    assert main(["bank", "verify", str(store.lake)]) == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_source_whose_note_is_broken_is_left_out_and_fixed_by_importing_again(
    tmp_path: Path, capsys, content: bytes
) -> None:
    store, path = Store(tmp_path / "data"), counts(tmp_path / "c.jsonl")
    assert bring(store, path) == 0
    note = next(store.lake.rglob("*.source"))
    note.write_bytes(content)
    assert main(["--data", str(store.root), "refresh"]) == 3
    errors = capsys.readouterr().err
    assert str(note) in errors and "Import its file or folder again" in errors
    assert bring(store, path) == 0
    assert refresh.raw_rows(store, "raw_imports", source_id(path)).height == 1


def test_the_bank_of_the_data_root_is_proven_without_naming_its_lake(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, counts(tmp_path / "c.jsonl")) == 0
    assert main(["--data", str(store.root), "bank", "verify"]) == 0
    monkeypatch.setenv("ISOCOST_DATA", str(store.root))
    assert main(["bank", "verify", "--repair"]) == 0
    assert capsys.readouterr().out.count(": no faults\n") == 2


def test_a_broken_manifest_of_an_import_is_one_fault_and_no_stack_trace(
    tmp_path: Path, capsys
) -> None:
    store, path = Store(tmp_path / "data"), counts(tmp_path / "c.jsonl")
    assert bring(store, path) == 0
    next(store.lake.rglob("raw/imports/*/*/manifest.json")).write_text("{", encoding="utf-8")
    assert main(["bank", "verify", str(store.lake)]) == 1
    assert "manifest" in capsys.readouterr().out
    assert main(["--data", str(store.root), "refresh"]) == 3
    assert (
        "set aside" in (errors := capsys.readouterr().err)
        and "Import its source again" in errors
        and "Traceback" not in errors
    )
    assert main(["bank", "verify", str(store.lake)]) == 0
    assert bring(store, path) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (PermissionError(13, "Permission denied", "/x/y"), 1)],
)
def test_interrupts_and_storage_are_one_line_with_their_own_exit_code(
    tmp_path, monkeypatch, capsys, error, code
) -> None:
    (tmp_path / "lake").mkdir()

    def fail(_arguments: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_refresh", fail)
    assert main(["--data", str(tmp_path), "refresh"]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_what_an_import_does_not_say_is_unknown_and_not_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, counts(tmp_path / "c.jsonl", 3)) == 0
    refresh.derive(store, "summary")
    summary = store.read("out_point_summary").row(0, named=True)
    assert (summary["samples_valid"], summary["samples_correct"], summary["accuracy"]) == (
        4,
        3,
        0.75,
    )
    names = (
        "samples_truncated",
        "truncated_ratio",
        "samples_without_answer",
        "unanswered_ratio",
        "output_tokens_sum",
    )
    assert [summary[name] for name in names] == [None] * 5
    assert store.read("core_sessions")["samples_truncated"].to_list() == [None]
    line = accounting_line(gather(store))
    assert "generated tokens unknown" in line and "an unknown number of these ended" in line
    assert "generated tokens unknown" in header(gather(store))


def test_a_data_root_that_is_a_file_is_one_error_everywhere(tmp_path: Path, capsys) -> None:
    root = tmp_path / "file"
    root.touch()
    for arguments in (
        ["refresh"],
        ["import", "counts", str(counts(tmp_path / "c.jsonl")), *PROVENANCE],
    ):
        assert main(["--data", str(root), *arguments]) == 2
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1 and str(root) in errors[0] and ".tmp" not in errors[0]
    assert root.read_bytes() == b""


def test_a_comparison_before_anything_is_derived_says_what_to_do(tmp_path: Path, capsys) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, counts(tmp_path / "c.jsonl")) == 0
    capsys.readouterr()
    assert main(["--data", str(store.root), "compare", "oc-1", "oc-2"]) == 2
    errors = capsys.readouterr().err
    assert f"{store.root}: nothing is derived yet" in errors and "isocost refresh" in errors


def test_an_import_separates_valid_samples_from_invalid_ones(tmp_path: Path, capsys) -> None:
    store, path = Store(tmp_path / "data"), tmp_path / "t.csv"
    assert bring(store, counts(tmp_path / "c.jsonl")) == 0
    assert (
        "imported: 1 records, 4 samples in core, all valid, known as counts of 1 problems, source"
        in capsys.readouterr().out
    )
    path.write_text("id,k,ok\na,0,true\na,1,\nb,0,false\nb,0,true\n", encoding="utf-8")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("columns: {problem: id, sample_index: k, correct: ok}", encoding="utf-8")
    arguments = [
        "--data",
        str(store.root),
        "import",
        "generic",
        str(path),
        "--mapping",
        str(mapping),
        *PROVENANCE,
    ]
    for status in ("imported", "already"):
        assert main(arguments) == 0
        output = capsys.readouterr().out
        assert (
            f"{status}: 4 records, 4 samples in core, 2 valid and 2 invalid (duplicate in source: 1, not judged: 1)"
            in output
        )


def commands() -> list[str]:
    """Every command that the parser knows, so that a new one is tried, too."""
    (chosen,) = (
        action
        for action in cli._parser()._actions
        if action.dest == "command" or getattr(action, "choices", None)
    )
    return sorted(chosen.choices)


REST = {
    "compare": ["oc-1", "oc-2"],
    "forget": ["import-x"],
    "bank": ["verify"],
    "export": ["every_eval_ever", "out", "--organization", "someone"],
    "plan": ["s.yaml"],
    "import": ["counts", "c.jsonl"],
}
MAKES = {"plan", "import", "meter"}
ASKS_NOTHING = {"doctor", "tasks"}  # look at the machine and the hub, not at a data root


@pytest.mark.parametrize(
    "command", [name for name in commands() if name not in MAKES | ASKS_NOTHING]
)
@pytest.mark.parametrize("kind", ["missing", "foreign", "file"])
def test_a_data_root_that_is_none_is_refused_by_its_path_and_nothing_is_made(
    tmp_path: Path, capsys, command: str, kind: str
) -> None:
    root = tmp_path / "date"
    if kind == "foreign":
        (root / "photos").mkdir(parents=True)
    elif kind == "file":
        root.touch()
    (tmp_path / "data" / "lake").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    assert main(["--data", str(root), command, *REST.get(command, [])]) == 2
    printed = capsys.readouterr()
    assert (
        printed.err.startswith(f"error: {root}: ")
        and f"Did you mean {tmp_path / 'data'}?" in printed.err
    )
    assert printed.out == "" and sorted(tmp_path.rglob("*")) == before


def test_a_refresh_of_a_bank_that_was_never_filled_says_so(tmp_path: Path, capsys) -> None:
    (tmp_path / "data" / "lake").mkdir(parents=True)
    assert main(["--data", str(tmp_path / "data"), "refresh"]) == 0
    assert "nothing is banked under" in capsys.readouterr().out


def test_the_package_runs_as_the_command(repo: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "isocost", "--help"],
        cwd=repo,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("usage: isocost")


def test_a_broken_card_file_is_reported_before_anything_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, counts(tmp_path / "c.jsonl")) == 0
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    (store.root / "cards").mkdir()
    (store.root / "cards" / "models.yaml").write_text("models: [\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["--data", str(store.root), "refresh"]) == 2
    printed = capsys.readouterr()
    assert (
        "models.yaml" in printed.err
        and printed.out.startswith("memory: ")
        and printed.out.count("\n") == 1
    )
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_command_of_another_checkout_says_whose_code_runs(
    tmp_path: Path, repo: Path, capsys, monkeypatch
) -> None:
    """An environment that was made for one checkout, used in another.

    What runs is reported, on stderr and once.
    """
    (tmp_path / "isocost").mkdir()
    for name in ("pyproject.toml", "isocost/cli.py"):
        (tmp_path / name).touch()
    (tmp_path / "data" / "lake").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    for place in (tmp_path, tmp_path / "docs"):
        monkeypatch.chdir(place)
        assert main(["--data", str(tmp_path / "data"), "refresh"]) == 0
        assert capsys.readouterr().err == f"note: {cli.checkout_beside(tmp_path)}\n"
    assert f"the code in {repo}" in str(cli.checkout_beside(tmp_path)) and str(tmp_path) in str(
        cli.checkout_beside(tmp_path)
    )
    for place in (repo, repo / "docs", tmp_path.parent):
        assert cli.checkout_beside(place) is None


def test_the_payload_runs_the_code_of_whoever_starts_it(tmp_path: Path, repo: Path) -> None:
    """Also from a working folder that is another checkout, with an environment that holds a third
    one.
    """
    from assets.raw import _same_code

    (tmp_path / "isocost").mkdir()
    (tmp_path / "isocost" / "__init__.py").write_text(
        "raise SystemExit('the wrong checkout')", encoding="utf-8"
    )
    code = [sys.executable, "-P", "-c", "import isocost; print(isocost.__file__)"]
    done = subprocess.run(
        code,
        cwd=tmp_path,
        env={"PYTHONPATH": _same_code()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(repo / "isocost" / "__init__.py"), done.stderr
