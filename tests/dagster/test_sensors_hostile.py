"""One bad sidecar or sweep file stops itself alone, is named, and is found out at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from assets.resources import StoreResource
from isocost.cli import source_id
from isocost.store import Store
from pipelines import sensors

GOOD = "format: generic\npath: good.csv\nmapping: m.yaml\n"
SIDECARS = {
    "no date": "format: generic\npath: good.csv\nprovenance: {task_version: 2024-13-45}\n",
    "digits": f"format: generic\npath: {'9' * 5000}\n",
    "keys of several types": "format: generic\npath: good.csv\n1: 2\nfoo: 3\n",
    "nul": 'format: generic\npath: "a\\0b"\n',
    "deep": "[" * 3000,
    "system": "format: generic\npath: /proc\n",
    "root": "format: generic\npath: /\n",
    "device": "format: generic\npath: /dev/zero\n",
    "list": "- 1\n",
    "list as key": "? [a]\n: 1\nformat: x\npath: y\n",
    "long": f"format: generic\npath: {'a' * 5000}\n",
    "loop": "format: generic\npath: loop\n",
    "pipe": "format: generic\npath: pipe\n",
    "pipe in a folder": "format: generic\npath: pipes\n",
    "wrong kind": "format: generic\npath: good.csv\nverifier: [1]\n",
}


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "inbox"
    (folder / "pipes").mkdir(parents=True)
    (folder / "good.csv").write_text("a,b\n1,2\n")
    (folder / "agood.import.yaml").write_text(GOOD)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipes" / "p")
    monkeypatch.setenv("ISOCOST_INBOX", str(folder))
    monkeypatch.setenv("ISOCOST_SWEEPS", str(tmp_path / "sweeps"))
    return folder


def tick(sensor: dg.SensorDefinition, **resources: object) -> tuple[dg.SensorResult, float]:
    begun = time.process_time()
    with dg.DagsterInstance.ephemeral() as instance:
        found = sensor(dg.build_sensor_context(instance=instance, resources=resources))
    return found, time.process_time() - begun


@pytest.mark.parametrize("name", SIDECARS)
def test_a_bad_sidecar_is_named_and_holds_up_no_other(inbox: Path, name: str) -> None:
    (inbox / "bad.import.yaml").write_text(SIDECARS[name])
    found, seconds = tick(sensors.inbox)
    assert [request.partition_key for request in found.run_requests] == ["import-agood"]
    (message,) = {request.tags[sensors.AT_FAULT_TAG] for request in found.run_requests}
    assert "bad.import.yaml" in message and seconds < 2


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling", "loop"])
def test_what_is_no_file_where_a_sidecar_or_sweep_is_expected(
    inbox: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "sweeps").mkdir()
    for path in (inbox / "bad.import.yaml", tmp_path / "sweeps" / "bad.yaml"):
        make = {
            "fifo": os.mkfifo,
            "folder": os.mkdir,
            "dangling": lambda p: p.symlink_to("/nowhere"),
            "loop": lambda p: p.symlink_to(p),
        }
        make[kind](path)
    found, _ = tick(sensors.inbox)
    assert "bad.import.yaml" in found.run_requests[0].tags[sensors.AT_FAULT_TAG]
    skipped, _ = tick(sensors.sweep_folder, store=StoreResource(root=str(tmp_path / "data")))
    assert "bad.yaml" in str(
        skipped.skip_reason if isinstance(skipped, dg.SensorResult) else skipped.skip_message
    )


def test_names_that_fold_to_one_readable_key_are_sources_of_their_own(inbox: Path) -> None:
    names = ("same one", "same-one", "Same_One", "same.one", "SAME ONE", "same--one")
    for name in names:
        (inbox / f"{name}.import.yaml").write_text(GOOD)
    found, _ = tick(sensors.inbox)
    keys = {request.partition_key for request in found.run_requests} - {"import-agood"}
    assert len(keys) == len(names) and "import-same-one" in keys
    assert keys == {source_id(Path("x"), name) for name in names}


@pytest.fixture
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A folder of sweep files that are planned without being read, and what was planned."""
    folder, planned = tmp_path / "sweeps", []
    folder.mkdir()
    monkeypatch.setenv("ISOCOST_SWEEPS", str(folder))
    sensors._planned.clear()

    def plan(store: Store, path: Path) -> list[str]:
        planned.append(path.stem)
        if "bad" in path.read_text():
            raise ValueError("unexpected error")
        session = store.session_file(path.stem)
        session.parent.mkdir(parents=True, exist_ok=True)
        if not session.exists():
            session.write_text("{}")
        return [path.stem]

    monkeypatch.setattr(sensors.refresh, "plan_sweep", plan)
    return folder, planned


def test_what_was_planned_is_not_planned_again_with_every_tick(
    tmp_path: Path, sweeps: tuple[Path, list[str]]
) -> None:
    (folder, planned), root = sweeps, tmp_path / "data"
    for number in range(500):
        (folder / f"s{number}.yaml").write_text("bad" if number % 50 == 0 else "sound")
    resource = StoreResource(root=str(root))

    def again() -> dg.SensorResult:
        planned.clear()
        return tick(sensors.sweep_folder, store=resource)[0]

    first = again()
    assert len(first.run_requests) == 490 and len(planned) == 500
    reported = first.run_requests[0].tags[sensors.AT_FAULT_TAG]
    assert "s0.yaml" in reported and "unexpected error" in reported
    assert len(again().run_requests) == 490 and len(planned) == 10  # a bad one may be sound now
    (folder / "s7.yaml").write_text("sound, and other")
    (root / "lake" / "sessions" / "s9.json").unlink()
    again()
    assert {"s7", "s9"} <= set(planned) and len(planned) == 12
    (folder / "s11.yaml").unlink()
    again()
    assert len(planned) == 499


def test_a_tick_that_takes_too_long_goes_on_with_the_next(
    tmp_path: Path, sweeps: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder, _), resource = sweeps, StoreResource(root=str(tmp_path / "data"))
    for number in range(5):
        (folder / f"s{number}.yaml").write_text("sound")
    clock = iter(range(1000))
    monkeypatch.setattr(sensors, "MOST_TICK_SECONDS", 2.5)
    monkeypatch.setattr(sensors.time, "monotonic", lambda: next(clock))
    first = tick(sensors.sweep_folder, store=resource)[0]
    assert len(first.run_requests) == 2
    assert "3 sweep files are examined" in first.run_requests[0].tags[sensors.AT_FAULT_TAG]


def test_a_tick_names_some_of_many_mistakes(tmp_path: Path, sweeps: tuple[Path, list[str]]) -> None:
    folder, _ = sweeps
    for number in range(50):
        (folder / f"s{number}.yaml").write_text("bad")
    found, _ = tick(sensors.sweep_folder, store=StoreResource(root=str(tmp_path / "data")))
    assert found.skip_message.count("ValueError") == sensors.MOST_REPORTED
    assert "and 30 more" in found.skip_message
