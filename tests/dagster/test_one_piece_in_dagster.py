"""A piece that cannot be built fails its check by name; its group and all that follows are built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from assets import out
from assets.resources import StoreResource
from isocost.build import derive, refresh, rules
from isocost.build.slices import Rows
from isocost.errors import PartialError
from isocost.store import Store
from pipelines import run

KNOWN = {"model": "m", "task_version": "1", "prompt": "p", "sampling": "default"}


class Panic(BaseException):
    """As libraries with a foreign core raise it."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "data")
    for task in ("adding", "counting"):
        source = tmp_path / f"{task}.jsonl"
        source.write_text(json.dumps({"id": "a", "c": 1, "n": 2}) + "\n", encoding="utf-8")
        known = {**KNOWN, "task": task}
        refresh.bring_in(found, f"import-{task}", format="counts", path=source, provenance=known)
        refresh.curate_session(found, f"import-{task}")
    return found


def built(store: Store) -> dg.ExecuteInProcessResult:
    group = next(group for group in out.GROUPS if group.op.name == "coverage")
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"store": StoreResource(root=str(store.root))}
        return dg.materialize([group], resources=resources, instance=instance, raise_on_error=False)


def test_a_piece_that_fails_is_named_and_the_group_is_built(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(rows: Rows) -> rules.Tables:
        if rows.task == "adding":
            raise Panic("odd")
        return rules.coverage.derive_coverage(rows)

    with monkeypatch.context() as patch:
        mine = (replace(p, build=odd) if p.name == "coverage-task" else p for p in rules.RULES)
        patch.setattr(derive, "RULES", tuple(mine))
        done = built(store)
    assert done.success
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.blocking) == (out.EVERY_PIECE, False, False)
    assert list(check.metadata["left_out"].value) == ["coverage of task adding"]
    assert "Panic: odd" in str(check.description) and run._is_fault(check)
    assert set(store.read("out_accuracy_intervals")["task"]) == {"counting"}
    (check,) = built(store).get_asset_check_evaluations()
    assert check.passed and not run._is_fault(check)
    assert set(store.read("out_accuracy_intervals")["task"]) == {"adding", "counting"}


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([], 0),
        ([(False, dg.AssetCheckSeverity.WARN), (True, dg.AssetCheckSeverity.ERROR)], 0),
        ([(False, dg.AssetCheckSeverity.ERROR)], PartialError.exit_code),
    ],
)
def test_a_sweep_of_which_something_is_missing_ends_with_the_status_of_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checks: list, code: int
) -> None:
    found = [SimpleNamespace(passed=passed, severity=severity) for passed, severity in checks]
    done = SimpleNamespace(success=True, get_asset_check_evaluations=lambda: found)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(run.refresh, "plan_sweep", lambda *_: ["session"])
    monkeypatch.setattr(run, "_run_session", lambda *_, **__: done)
    monkeypatch.setattr("isocost.publish.terminal.show", lambda *_, **__: None)
    assert run.main([str(tmp_path / "sweep.yaml")]) == code
