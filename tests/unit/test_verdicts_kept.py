"""Verdicts that took long are kept, so that a judgement that was killed goes on where it stood."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from isocost import progress
from isocost.tables.core import verdicts
from isocost.tables.core.grades import grade_samples
from isocost.tables.core.verdicts import Verdicts
from isocost.tasks import Grade, make_problem

PROBLEM = make_problem("t", "What is 2 + 2?", "4", "numeric")


def frame(texts: list[str | None], finish: str | None = "stop") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "problem_id": [PROBLEM.problem_id] * len(texts),
            "output_text": texts,
            "finish_reason": [finish] * len(texts),
        }
    )


@pytest.fixture
def at_once(monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "EVERY_S", 0.0)
    monkeypatch.setattr(verdicts, "_EVERY_SHARE", 0.0)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    found: list[str] = []
    grade = verdicts.grade

    def counted(problem, text, finish) -> Grade:
        found.append(text)
        return grade(problem, text, finish)

    monkeypatch.setattr(verdicts, "grade", counted)
    return found


@pytest.mark.usefixtures("at_once")
def test_what_was_judged_is_not_judged_again_and_gives_the_same(
    tmp_path: Path, asked: list[str]
) -> None:
    texts = ["The answer is 4", "The answer is 5", "4.0", "", "no number", "e\u0301", "\u00e9"]
    known = {PROBLEM.problem_id: PROBLEM}
    plain = grade_samples(frame(texts), known)
    asked.clear()
    first = grade_samples(frame(texts), known, kept=tmp_path / "s")
    assert asked == texts
    asked.clear()
    again = grade_samples(frame([*texts, "new 4"]), known, kept=tmp_path / "s")
    assert asked == ["new 4"]
    assert_frame_equal(plain, first)
    assert_frame_equal(plain, again.head(len(texts)))
    assert (
        len(list((tmp_path / "s").rglob("piece-*.parquet"))) == 1
    )  # the pieces of the run became one


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("change", ["text", "finish", "reference", "question", "verifier", "code"])
def test_a_verdict_counts_for_nothing_else(
    tmp_path: Path, asked: list[str], monkeypatch, change: str
) -> None:
    first = Verdicts(tmp_path)
    first.grade(PROBLEM, "4 or so", "stop")
    first.close()
    text = "4 or so " if change == "text" else "4 or so"
    other = {
        "reference": make_problem("t", PROBLEM.question, "5", "numeric"),
        "question": make_problem("t", "Else?", "4", "numeric"),
        "verifier": make_problem("t", PROBLEM.question, "4", "exact"),
    }.get(change, PROBLEM)
    if change == "code":
        monkeypatch.setattr(verdicts, "judging_fingerprint", lambda: "other")
    asked.clear()
    second = Verdicts(tmp_path)
    second.grade(other, text, "length" if change == "finish" else "stop")
    assert asked == [text]
    second.close()
    if change == "code":
        assert [path.name for path in tmp_path.iterdir()] == [
            "other"
        ]  # verdicts of other code are of no use


@pytest.mark.usefixtures("at_once")
def test_what_could_not_be_judged_is_tried_again_and_a_damaged_piece_is_found_again(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(verdicts, "grade", lambda *_: Grade("error", "x", None, None, "timeout"))
    first = Verdicts(tmp_path)
    first.grade(PROBLEM, "x", "stop")
    first.close()
    assert not list(tmp_path.rglob("*.parquet"))
    monkeypatch.undo()
    monkeypatch.setattr(verdicts, "EVERY_S", 0.0)
    second = Verdicts(tmp_path)
    assert second.grade(PROBLEM, "4", "stop").correct
    (piece,) = tmp_path.rglob("*.parquet")
    piece.write_bytes(b"PAR1 not")
    assert Verdicts(tmp_path).grade(PROBLEM, "4", "stop").correct


def test_quick_judging_writes_and_says_nothing(tmp_path: Path, capsys) -> None:
    grade_samples(frame(["4", "5"]), {PROBLEM.problem_id: PROBLEM}, kept=tmp_path / "s")
    assert not (tmp_path / "s").exists() and capsys.readouterr().err == ""


def test_long_work_says_how_far_it_is(monkeypatch, capsys) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Progress("grading texts with code", 4_000) as tell:
        for done in range(1, 41):
            now[0] += 1.0
            tell(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "grading texts with code: 2 of 4,000 (0%), about 67 min left"
    assert len(lines) == 3


_SLOW = """
import sys, time
from pathlib import Path
from isocost.tables.core import verdicts
from isocost.tasks.verifiers.numeric import Numeric
verdicts.EVERY_S = 0.1
judge, log = Numeric.judge, Path(sys.argv[2])
def slow(problem, answer):
    time.sleep(0.02)
    with log.open("a") as handle:
        handle.write(answer + "\\n")
    return judge(Numeric(), problem, answer)
Numeric.judge = lambda self, problem, answer: slow(problem, answer)
from isocost.cli import main
sys.exit(main(["--data", sys.argv[1], "import", "generic", sys.argv[3], "--mapping", sys.argv[4], "--verifier", "numeric", "--task", "t",
    "--task-version", "1", "--model", "m", "--prompt", "p", "--sampling", "{}", "--name", "slow"]))
"""


@pytest.mark.slow
def test_an_import_that_was_killed_while_it_judged_goes_on(tmp_path: Path) -> None:
    table, mapping, log = tmp_path / "t.jsonl", tmp_path / "m.yaml", tmp_path / "log"
    # A problem each, so that every judgement is one of a text and none is of a class.
    table.write_text(
        "".join(
            json.dumps({"id": f"q{i}", "out": f"The answer is {i}", "gold": str(i)}) + "\n"
            for i in range(120)
        )
    )
    mapping.write_text("columns: {problem: id, output: out, reference: gold}\n")
    command = [
        sys.executable,
        "-c",
        _SLOW,
        str(tmp_path / "data"),
        str(log),
        str(table),
        str(mapping),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    first = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "data").rglob("piece-*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = len(log.read_text().splitlines())
    kept = sum(
        pl.read_parquet(path).height for path in (tmp_path / "data").rglob("piece-*.parquet")
    )
    assert 0 < kept <= before < 120
    log.write_text("")
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    judged = set(log.read_text().splitlines())
    assert len(judged) == 120 - kept
    assert "120 samples in core, all valid" in done.stdout
