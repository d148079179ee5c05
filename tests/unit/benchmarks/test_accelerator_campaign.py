"""The campaign: a part that fails or takes too long does not stop the others, and a second call does
what is left.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.accelerator import results
from benchmarks.accelerator.campaign import campaign, main, read_state, run
from benchmarks.accelerator.parts import Part, parts_of, write_parts
from benchmarks.accelerator.unpack import join
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow  # every part is a process
COUNT = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); f.close()"


def part(name: str, *command: str, share_s: float = 30, least_s: float = 0, writes=()) -> Part:
    return Part(name, command, share_s=share_s, least_s=least_s, writes=tuple(writes))


def kit(folder: Path, *parts: Part) -> Path:
    for name in ("cache", "data/lake"):
        (folder / name).mkdir(parents=True)
    write_parts(folder / "parts.json", parts)
    return folder


def counting(name: str) -> Part:
    return part(name, "-c", COUNT, "{out}/" + name, writes=[name])


def statuses(records) -> dict[str, str]:
    return {record.name: record.status for record in records}


def test_a_part_that_fails_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    place = kit(
        tmp_path / "kit",
        counting("first"),
        part("broken", "-c", "raise SystemExit('the fan is off')"),
        part("silent", "-c", "pass", writes=["table.csv"]),
        counting("last"),
    )
    listed: list[str] = []
    records = campaign(place, tmp_path / "out", command="typed", say=listed.append)
    wanted = {"first": "done", "broken": "failed", "silent": "failed", "last": "done"}
    assert statuses(records) == wanted
    assert records[1].reason == "exit code 1: the fan is off"
    assert records[2].reason == "table.csv was not written: it printed nothing"
    assert any(line.startswith("broken: failed") and "the fan is off" in line for line in listed)
    join(tmp_path / "out", tmp_path / "home")
    assert (tmp_path / "home/work/command.txt").read_text() == "typed"
    kept = {
        r["name"]: r["status"]
        for r in json.loads((tmp_path / "home/work/campaign.json").read_text())
    }
    assert kept == wanted


def test_the_second_call_does_what_is_left(tmp_path: Path) -> None:
    flag = tmp_path / "repaired"
    later = part("later", "-c", f"import pathlib; assert pathlib.Path({str(flag)!r}).exists()")
    place = kit(tmp_path / "kit", counting("once"), later)
    assert statuses(campaign(place, tmp_path / "out", say=lambda _: None))["later"] == "failed"
    flag.touch()
    listed: list[str] = []
    records = campaign(place, tmp_path / "out", say=listed.append)
    assert statuses(records) == {"once": "done", "later": "done"}
    assert (place / "work/once").read_text() == "x" and listed[0] == "once: done in an earlier call"


def test_a_part_that_exceeds_its_share_is_asked_to_seal_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "def seal(*_):\n"
        "    open(sys.argv[1] + '.sealed', 'w').close()\n"
        "    raise SystemExit(143)\n"
        "signal.signal(signal.SIGTERM, seal)\n"
        "time.sleep(60)\n"
    )
    slow = part("slow", "-c", script, "{out}/pid", share_s=3)
    place = kit(tmp_path / "kit", slow, counting("next"))
    start = time.monotonic()
    records = campaign(place, tmp_path / "out", say=lambda _: None)
    assert time.monotonic() - start < 20
    assert statuses(records) == {"slow": "stopped", "next": "done"}
    assert "its share of 3 s was used up" in records[0].reason
    assert (place / "work/pid.sealed").exists()
    assert not is_running(int((place / "work/pid").read_text()))


def is_running(pid: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True


def test_a_part_is_not_started_without_time_and_a_later_call_starts_it(tmp_path: Path) -> None:
    big = part("big", "-c", "pass", least_s=500)
    place = kit(tmp_path / "kit", big, counting("small"))
    records = campaign(place, tmp_path / "out", budget_s=100, say=lambda _: None)
    assert statuses(records) == {"big": "not started", "small": "done"}
    assert "it needs 500" in records[0].reason
    records = campaign(place, tmp_path / "out", budget_s=1000, say=lambda _: None)
    assert statuses(records) == {"big": "done", "small": "done"}


def test_single_parts_and_a_name_that_is_none(tmp_path: Path) -> None:
    place = kit(tmp_path / "kit", counting("one"), counting("two"))
    assert statuses(campaign(place, tmp_path / "out", only=["tw"], say=lambda _: None)) == {
        "two": "done"
    }
    assert set(read_state(place)) == {"two"}
    with pytest.raises(IsocostError, match="no part begins with three"):
        campaign(place, tmp_path / "out", only=["three"])


def test_what_the_payload_says_is_the_reason(tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'w').write('no driver'); sys.exit(2)"
    place = kit(tmp_path / "kit")
    (place / "work/logs").mkdir(parents=True)
    assert run(part("p", "-c", script, "{out}/error.txt"), place, 30) == ("failed", "no driver")


def test_exit_codes_say_whether_parts_are_left(tmp_path: Path, capsys) -> None:
    place = kit(tmp_path / "kit", counting("one"), part("bad", "-c", "raise SystemExit(1)"))
    words = ["--kit", str(place), "--out", str(tmp_path / "out")]
    assert main(words) == 3
    assert "1 of 2 parts are done" in capsys.readouterr().out
    assert main([*words, "--only", "one"]) == 0
    (place / "parts.json").write_text("[")
    assert main(words) == 2 and "parts.json: cannot be read" in capsys.readouterr().err


def test_results_are_few_and_too_many_are_reported(tmp_path: Path, monkeypatch) -> None:
    place = kit(tmp_path / "kit", counting("one"))
    campaign(place, tmp_path / "out", say=lambda _: None)
    files = list((tmp_path / "out").iterdir())
    assert len(files) <= results.MOST_FILES and all(f.stat().st_size < 16 * 10**6 for f in files)
    monkeypatch.setattr(results, "PIECE_BYTES", 20)
    with pytest.raises(IsocostError, match="7 can be brought home"):
        results.pack_results(place, tmp_path / "out")


def test_parts_are_in_order_and_the_rehearsal_has_no_comparison() -> None:
    sessions = [("gpu-lengths", "c"), ("other", "d"), ("gpu-quickstart", "a"), ("gpu-formats", "b")]
    names = [p.name for p in parts_of(sessions, cpu=False)]
    assert names == ["environment", "gpu-tests", "a", "b", "c", "d", "overhead"]
    assert [p.name for p in parts_of(sessions[:1], cpu=True)] == ["environment", "gpu-tests", "c"]
