"""Model-written code: off unless asked for, and shut in when it is on."""

from __future__ import annotations

import pytest

from isocost.tasks import grade_text
from isocost.tasks.isolation import SWITCH, Limits, run_isolated
from isocost.tasks.registry import verifier_of

pytestmark = pytest.mark.slow

LIMITS = Limits(cpu_s=1, wall_s=5.0)


@pytest.fixture(scope="module")
def isolation():
    found = run_isolated("x = 1", LIMITS)
    if found.status == "isolation_unavailable":
        pytest.skip("this machine gives no isolation for code: no network namespace, no Landlock, or an interpreter only root can read")
    assert found.status == "passed"


def test_nothing_runs_unless_it_is_switched_on(monkeypatch, tmp_path):
    monkeypatch.delenv(SWITCH, raising=False)
    found = grade_text("code", "assert f() == 1", "```python\ndef f():\n    return 1\n```")
    assert (found.parse_status, found.correct, found.reason) == ("error", None, "code_execution_off")


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("assert 1 + 1 == 2", "passed"),
        ("assert 1 + 1 == 3", "failed"),
        ("import sys; sys.exit(0)", "failed"),
        ("import os; os._exit(0)", "failed"),
        ("while True: pass", "timeout"),
        ("x = bytearray(10**9)", "memory"),
        ("import socket; socket.create_connection(('127.0.0.1', 22), 1)", "failed"),
        ("import os; os.fork()", "failed"),
        ("open('big', 'wb').write(bytes(10**7))", "failed"),
        ("open('small', 'w').write('1')", "passed"),
        ("import os; assert 'TOKEN' not in os.environ and 'HOME' not in os.environ", "passed"),
    ],
)
def test_code_is_limited(isolation, source, status):
    assert run_isolated(source, LIMITS).status == status


def test_files_outside_are_safe(isolation, tmp_path):
    tmp_path.chmod(0o777)
    target = tmp_path / "written"
    assert run_isolated(f"open({str(target)!r}, 'w').write('1')", LIMITS).status == "failed"
    assert not target.exists()


def test_a_program_is_judged_by_its_tests(isolation, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    text = "Here it is:\n```python\ndef double(x):\n    return 2 * x\n```\nDone."
    assert grade_text("code", "assert double(2) == 4", text).correct is True
    assert grade_text("code", "assert double(2) == 5", text).correct is False
    assert grade_text("code", "assert double(2) == 4", text.replace("```\nDone.", ""), "length").reason == "length"
    assert grade_text("code", "assert double(2) == 4", "def double(x): return x + x").correct is True


def test_tests_must_be_python():
    code = verifier_of("code")
    assert code.check_reference("assert f()") is None
    assert "not Python" in code.check_reference("assert (")
