"""A session from file to sealed parts, driven by the replay engine and by engines that misbehave."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys

import polars as pl
import pytest
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.capabilities import ENGINES
from isocost.engines.protocol import Completion
from isocost.engines.replay import ReplayEngine
from isocost.errors import IsocostError
from isocost.generate import main
from isocost.payload.loop import Stop
from isocost.payload.progress import Progress, Reporter, duration
from isocost.payload.session import RunFailed
from isocost.payload.work import derived_seed
from isocost.schema.frames import faults

pytestmark = pytest.mark.slow


def samples_of(lake, **filters) -> pl.DataFrame:
    return read_raw(lake, "raw_generations").filter(~pl.col("is_warmup"), **filters)


def test_every_sample_is_generated_once_with_what_the_engine_reported(lake, recorded, run):
    session = sessions.session(options={"bank": recorded, "speed": 0})
    outcome = run(session)
    assert (outcome.status, outcome.generated, outcome.missing, outcome.errors) == (
        "finished",
        24,
        0,
        0,
    )
    rows = samples_of(lake)
    assert faults(rows, "raw_generations") == []
    assert rows["sample_id"].n_unique() == rows.height == 24
    assert set(rows["point_id"]) == {p.point.point_id for p in session.points}
    first = rows.filter(pl.col("sample_index") == 2).row(0, named=True)
    assert (
        first["output_text"].startswith("sample 2 of What is")
        and first["logprob_sum"] == -2.5
        and first["output_tokens"] == 3
    )
    assert (
        first["queued_s"] <= first["scheduled_s"] <= first["last_token_s"] and first["seed"] is None
    )
    (manifest,) = read_manifests(lake)
    assert (
        manifest.status == "finished"
        and manifest.info["counts"]["samples"] == 24
        and manifest.info["engine_seed"] == 0
    )
    assert (
        manifest.info["counts"]["output_tokens"] == 72
        and manifest.info["telemetry"]["unknown_reason"]
    )
    clocks = manifest.info["clock_start"], manifest.info["clock_end"]
    assert clocks[1]["monotonic_s"] >= clocks[0]["monotonic_s"] and clocks[0]["unix_s"] > 1e9
    window = manifest.info["window"]
    assert (
        window["warmup_start_s"] <= window["start_s"] <= window["drain_start_s"] <= window["end_s"]
    )


def test_a_second_run_generates_nothing_and_leaves_no_manifest(lake, recorded, run, capsys):
    session = sessions.session(options={"bank": recorded, "speed": 0})
    run(session)
    assert run(session).status == "complete" and len(read_manifests(lake)) == 1
    assert "all 24 samples are banked" in capsys.readouterr().out


def test_more_samples_are_added_to_a_finished_point_with_another_engine_seed(lake, recorded, run):
    options = {"bank": recorded, "speed": 0}
    run(sessions.session(options=options, samples=2))
    before = samples_of(lake)
    outcome = run(sessions.session(options=options, samples=5))
    assert outcome.generated == 24 and samples_of(lake).height == 40
    assert samples_of(lake, attempt=1).equals(before)
    assert sorted(samples_of(lake, attempt=2)["sample_index"].unique()) == [2, 3, 4]
    seeds = [m.info["engine_seed"] for m in read_manifests(lake)]
    assert seeds == [0, derived_seed(0, "test-0123456789", 2)] and seeds[1] != 0


def test_a_point_of_two_sweeps_is_generated_once(lake, recorded, run):
    options = {"bank": recorded, "speed": 0}
    run(sessions.session(options=options, samples=2))
    outcome = run(sessions.session(options=options, samples=3, session_id="other-0123456789"))
    assert outcome.generated == 8 and verify_bank(lake).faults == ()
    assert read_manifests(lake, "other-0123456789")[0].info["engine_seed"] != 0


def test_max_samples_bounds_one_run(lake, recorded, run):
    session = sessions.session(options={"bank": recorded, "speed": 0})
    assert run(session, max_samples=7).missing == 17
    assert run(session, max_samples=100).missing == 0


def test_warm_up_is_banked_apart_and_counted(lake, recorded, run):
    run(sessions.session(options={"bank": recorded, "speed": 0}, warmup_requests=3))
    rows = read_raw(lake, "raw_generations")
    warm = rows.filter("is_warmup")
    assert warm.height == 3 and rows.height == 27 and warm["sample_index"].null_count() == 3
    assert read_manifests(lake)[0].info["warmup"]["samples"] == 3


def test_points_can_be_kept_apart(lake, recorded, run):
    run(sessions.session(options={"bank": recorded, "speed": 0, "isolate_points": True}))
    spans = (
        samples_of(lake)
        .group_by("point_id")
        .agg(pl.col("queued_s").min(), pl.col("last_token_s").max())
        .sort("queued_s")
    )
    assert spans["last_token_s"][0] <= spans["queued_s"][1]


class Failing(ReplayEngine):
    """Gives errors for one problem, or dies after some steps."""

    name = "openai"
    die_after = 0
    fail_index = -1

    def step(self):
        type(self).die_after -= 1
        if type(self).die_after == 0:
            raise IsocostError("the engine ran out of memory", remedy="Lower kv_cache_bytes.")
        done = super().step()
        wrong = f":{self.fail_index}:0"
        return [
            Completion(
                request_id=c.request_id,
                text=None,
                token_ids=None,
                finish_reason="error",
                error="boom",
            )
            if c.request_id.endswith(wrong)
            else c
            for c in done
        ]


@pytest.fixture
def failing(monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": Failing})
    monkeypatch.setattr(Failing, "die_after", 0)
    monkeypatch.setattr(Failing, "fail_index", -1)
    return Failing


def test_an_engine_that_dies_leaves_what_was_finished_and_the_next_run_does_the_rest(
    lake, recorded, run, failing
):
    failing.die_after = 4
    session = sessions.session("openai", options={"bank": recorded, "speed": 0}, part_rows=100)
    with pytest.raises(RunFailed, match="out of memory"):
        run(session)
    (manifest,) = read_manifests(lake)
    assert manifest.status == "failed" and "out of memory" in manifest.info["error"]
    banked = samples_of(lake).height
    assert 0 < banked < 24 and verify_bank(lake).faults == ()
    assert run(session).generated == 24 - banked


def test_a_request_that_errs_is_banked_as_error_and_asked_again(lake, recorded, run, failing):
    failing.fail_index = 1
    session = sessions.session("openai", options={"bank": recorded, "speed": 0})
    outcome = run(session)
    assert (outcome.generated, outcome.errors, outcome.missing, outcome.first_error) == (
        16,
        8,
        8,
        "boom",
    )
    assert samples_of(lake, finish_reason="error")["error"].to_list() == ["boom"] * 8
    failing.fail_index = -1
    assert (
        run(session).generated == 8
        and verify_bank(lake).samples == 24
        and verify_bank(lake).faults == ()
    )


def test_a_stop_signal_seals_what_is_finished(lake, tmp_path, run):
    slow = tmp_path / "slow"
    sessions.record(sessions.session(session_id="recorded-0123456789"), slow, seconds=0.2)
    stop = Stop()
    with stop.listening():
        signal.setitimer(signal.ITIMER_REAL, 0.35)
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
        outcome = run(sessions.session(options={"bank": str(slow)}), stop=stop)
    assert outcome.status == "stopped" and 0 < outcome.generated < 24
    assert (
        samples_of(lake).height == outcome.generated and read_manifests(lake)[0].status == "stopped"
    )


def test_a_signal_while_the_engine_starts_ends_the_start_and_the_next_run_has_all_to_do(
    lake, recorded, run, monkeypatch
):
    def start(_engine):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the start went on after the signal")

    wanted = sessions.session(options={"bank": recorded, "speed": 0})
    with monkeypatch.context() as patch:
        patch.setattr(ReplayEngine, "start", start)
        with Stop().listening() as stop:
            outcome = run(wanted, stop=stop)
    assert (outcome.status, outcome.generated, outcome.missing) == ("stopped", 0, 24)
    assert read_manifests(lake)[0].status == "stopped"
    assert run(wanted).generated == 24 and verify_bank(lake).faults == ()


def test_an_interrupt_that_comes_twice_at_once_is_one_and_a_later_one_ends_the_process():
    with Stop().listening() as stop:
        signal.raise_signal(signal.SIGINT)  # to the process group
        signal.raise_signal(signal.SIGINT)  # forwarded by the orchestrator
        assert stop.signal_number == signal.SIGINT
    code = (
        "import signal; from isocost.payload.loop import Stop; Stop.SAME_WISH_S = 0.0\n"
        "with Stop().listening(): signal.raise_signal(signal.SIGINT); signal.raise_signal(signal.SIGINT); print('still here')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGINT and "still here" not in ended.stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_tokens": 256}, "max_tokens 256 leaves no room"),
        ({"options": {"bank": "x", "sped": 1}}, "no option 'sped'"),
        ({"options": {}}, "needs a bank"),
        ({"options": {"bank": "x", "in_flight": 0}}, "positive whole number"),
        ({"options": {"bank": "x", "isolate_points": 1}}, "true or false"),
        ({"options": {"bank": "/nowhere"}}, "is not a lake"),
        ({"options": {"bank": "RECORDED"}, "samples": 7}, "no sample 6"),
        ({"options": {"bank": "RECORDED", "point": "pt-none"}}, "no samples to replay"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_two_and_touches_nothing(
    lake, recorded, tmp_path, capsys, changes, said
):
    options = {
        k: recorded if v == "RECORDED" else v
        for k, v in changes.get("options", {"bank": recorded, "speed": 0}).items()
    }
    file = tmp_path / "session.json"
    file.write_text(sessions.session(**(changes | {"options": options})).model_dump_json())
    code = main(["--session", str(file), "--lake", str(lake)])
    captured = capsys.readouterr()
    assert said in captured.err and len(captured.err.strip().splitlines()) == 1
    assert code == (1 if "sample 6" in said else 2)
    if code == 2:
        assert not (lake / "raw/manifests").exists() and not (lake / "raw/generations").exists()


def test_the_command_line_runs_a_session_and_says_how_it_goes(lake, recorded, tmp_path, capsys):
    file = tmp_path / "session.json"
    file.write_text(sessions.session(options={"bank": recorded, "speed": 0}).model_dump_json())
    assert (
        main(
            ["--session", str(file), "--lake", str(lake), "--run-id", "mine", "--max-samples", "4"]
        )
        == 0
    )
    assert "samples 4 of 4, " in capsys.readouterr().out
    assert main(["--session", str(file), "--lake", str(lake), "--max-samples", "9"]) == 0
    assert "samples 9 of 9 (4 already banked), " in capsys.readouterr().out
    assert read_manifests(lake)[0].run_id == "mine"
    assert main(["--session", str(tmp_path / "none.json"), "--lake", str(lake)]) == 2
    file.write_text(json.dumps({"session_schema": 1}))
    assert main(["--session", str(file), "--lake", str(lake)]) == 2
    assert str(file) in capsys.readouterr().err


def test_progress_says_done_of_how_many_rate_and_time_left():
    now = [0.0]
    out = io.StringIO()
    progress = Progress(Reporter(stream=out), 10, banked=2, every_s=5, clock=lambda: now[0])
    progress.tick()
    assert out.getvalue() == ""
    for _ in range(4):
        now[0] += 2.5
        progress.add(20)
    progress.tick()
    assert out.getvalue() == "samples 4 of 10 (2 already banked), 8 tokens/s, 15 s left\n"
    assert progress.as_dict()["left_s"] == 15
    assert [duration(s) for s in (59.4, 130, 11_100)] == ["59 s", "2 min 10 s", "3 h 5 min"]


def test_derived_seeds_differ_and_stay():
    assert (
        derived_seed(0, "a") == derived_seed(0, "a") != derived_seed(0, "b")
        and 0 <= derived_seed(5, 1) < 2**31
    )
