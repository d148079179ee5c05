"""The set-up of a new machine.

Which Python, which build of PyTorch, what is said when it fails, and going on after a kill.
"""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REPO = Path(__file__).resolve().parents[2]
REQUIREMENTS = REPO / "requirements"


@pytest.fixture(scope="module", autouse=True)
def _on_path():
    sys.path.insert(0, str(REQUIREMENTS))
    yield
    sys.path.remove(str(REQUIREMENTS))


@pytest.fixture(scope="module")
def install(_on_path):
    return importlib.import_module("install")


@pytest.fixture(scope="module")
def pip_runs(_on_path):
    return importlib.import_module("pip_runs")


# --- the locks
# -------------------------------------------------------------------------------------------------------------------------

VERSIONS = ("3.11", "3.12", "3.13")


def test_there_is_a_lock_for_each_python_and_the_project_says_so(install) -> None:
    assert sorted(path.name for path in REQUIREMENTS.glob("cpu-*.lock")) == [
        f"cpu-{version}.lock" for version in VERSIONS
    ]
    project = (REPO / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11"' in project
    for version in VERSIONS:
        assert f"Python :: {version}" in project


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lock_pins_every_direct_dependency(install, version: str) -> None:
    import tomllib

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["cpu"], *extras["ui"], *extras["dev"]]
    pinned = install.pins(REQUIREMENTS / f"cpu-{version}.lock")
    from packaging.requirements import Requirement

    for text in asked:
        need = Requirement(text)
        assert need.specifier.contains(pinned[install.normalised(need.name)]), text


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lock_names_no_build_of_pytorch_and_no_cuda(install, version: str) -> None:
    pinned = install.pins(REQUIREMENTS / f"cpu-{version}.lock")
    assert "+" not in pinned["torch"]
    assert [name for name in pinned if name.startswith(("nvidia-", "cuda-"))] == ["nvidia-ml-py"]
    assert not pinned.keys() & install.pins(REQUIREMENTS / "cuda-libraries.lock").keys()


def test_the_running_environment_has_what_its_lock_asks_for(install) -> None:
    """`pip check` for a lock that is installed without resolving.

    Nothing that a package requires is missing but what is left out.
    """
    from importlib.metadata import distributions

    from packaging.requirements import Requirement

    pinned = install.pins(install.lock_of(sys.version_info[:2]))
    text = (REQUIREMENTS / "overrides.txt").read_text()
    left_out = {
        install.normalised(line.split(";")[0])
        for line in text.splitlines()
        if "never" in line and not line.startswith("#")
    }
    found = {install.normalised(d.metadata["Name"]): d for d in distributions()}
    missing = set()
    for name in pinned.keys() & found.keys():
        for required in map(Requirement, found[name].requires or ()):
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                missing.add(install.normalised(required.name))
    assert missing - pinned.keys() - left_out - {"isocost"} == set()


# --- where it runs
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (("Darwin", "arm64", ("", "")), "Darwin on arm64"),
        (("Linux", "aarch64", ("glibc", "2.36")), "Linux on aarch64"),
        (("Linux", "x86_64", ("", "")), "another C library"),
        (("Linux", "x86_64", ("glibc", "2.28")), "glibc 2.28"),
    ],
)
def test_a_machine_without_wheels_is_reported(install, place, says: str) -> None:
    with pytest.raises(install.Stop, match=says):
        install.check_platform(*place)


@pytest.mark.parametrize("libc", ["2.31", "2.36", "2.100"])
def test_other_linux_machines_are_let_in(install, libc: str) -> None:
    install.check_platform("Linux", "x86_64", ("glibc", libc))


def test_too_little_space_is_reported_before_anything_is_fetched(
    install, tmp_path: Path, monkeypatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        install.shutil, "disk_usage", lambda folder: usage._replace(free=2_000_000_000)
    )
    with pytest.raises(install.Stop, match=r"has 2\.0 GB free, the installation needs .* VENV="):
        install.check_space(tmp_path)
    monkeypatch.setattr(
        install.shutil, "disk_usage", lambda folder: usage._replace(free=20_000_000_000)
    )
    install.check_space(tmp_path)


# --- which Python
# ----------------------------------------------------------------------------------------------------------------------


slow = pytest.mark.slow  # each starts several Pythons


@pytest.fixture
def finder(tmp_path: Path):
    """find_python.sh on a PATH of stand-ins, with locks of the given versions."""
    here, programs = tmp_path / "a place" / "requirements", tmp_path / "programs"
    here.mkdir(parents=True)
    programs.mkdir()
    shutil.copy(REQUIREMENTS / "find_python.sh", here)
    for tool in ("sh", "dirname", "sort", "tr"):
        (programs / tool).symlink_to(shutil.which(tool))

    def find(
        stand_ins: dict[str, str], *arguments: str, versions: tuple[str, ...] = VERSIONS
    ) -> subprocess.CompletedProcess[str]:
        for version in versions:
            (here / f"cpu-{version}.lock").touch()
        for name, body in stand_ins.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        command = ["sh", str(here / "find_python.sh"), *arguments]
        return subprocess.run(
            command, env={"PATH": str(programs), "LC_ALL": "C"}, capture_output=True, text=True
        )

    return find


def a_python(version: tuple[int, int], before: str = "") -> str:
    """A program that behaves as a Python of another version."""
    pretend = f"import sys; sys.version_info = {(*version, 1)!r}; {before or 'pass'}; exec(sys.argv.pop(1))"
    return f'exec {sys.executable} -c "{pretend}" "$2" "$3"'


@slow
def test_python3_is_taken_when_it_fits(finder) -> None:
    done = finder({"python3": a_python((3, 12)), "python3.11": "exit 1"})
    assert (done.returncode, done.stdout.strip()) == (0, sys.executable)


@slow
@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_another_name_is_found_when_python3_does_not_fit(finder, version: tuple[int, int]) -> None:
    name = "python{}.{}".format(*version)
    # python3 is too old; a shim of a version manager fails.
    others = {
        f"python3.{minor}": "echo 'command not found' >&2; exit 127" for minor in (11, 12, 13)
    }
    done = finder({"python3": a_python((3, 9)), **others, name: a_python(version)})
    assert done.returncode == 0, done.stderr


@slow
@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_none_that_fits_is_reported_with_what_was_seen(finder, version: tuple[int, int]) -> None:
    done = finder({"python3": a_python(version)})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "3.11 3.12 3.13" in done.stderr
    assert "python3: it is Python {}.{}".format(*version) in done.stderr
    assert "make PYTHON=" in done.stderr


@slow
def test_no_python_at_all_is_reported(finder) -> None:
    done = finder({})
    assert done.returncode == 1
    assert "no python3 on the PATH" in done.stderr


@slow
def test_a_missing_venv_module_names_debians_package(finder) -> None:
    done = finder({"python3": a_python((3, 12), before="sys.modules['ensurepip'] = None")})
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr


@slow
def test_a_free_threaded_build_does_not_fit(finder) -> None:
    fake = "import sysconfig; sysconfig.get_config_var = lambda name: 1"
    done = finder({"python3": a_python((3, 13), before=fake)})
    assert done.returncode == 1
    assert "free-threaded" in done.stderr


@slow
def test_a_python_named_by_the_user_wins_and_is_judged_alone(finder) -> None:
    stand_ins = {"python3": a_python((3, 11)), "mine": a_python((3, 10))}
    done = finder(stand_ins, "mine")
    assert done.returncode == 1
    assert "mine: it is Python 3.10" in done.stderr
    assert finder({"mine": a_python((3, 13)), "python3": "exit 1"}, "mine").returncode == 0
    assert "nothing: there is no such program" in finder({}, "nothing").stderr


# --- what pip's failures mean
# ----------------------------------------------------------------------------------------------------------

ABSENT = "ERROR: No matching distribution found for torch==2.13.0+cpu"
RETRY = "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)': /torch/"


def skipped(why: str) -> str:
    """What pip writes about an index that it cannot read, and the last line that follows from it."""
    return f"2026-01-02T03:04:05,678 Could not fetch URL https://index.example/torch/: {why} - skipping\n{ABSENT}"


@pytest.mark.parametrize(
    ("log", "kind", "remedy"),
    [
        (ABSENT, "absent", ""),
        (
            skipped("404 Client Error: Not Found for url: https://index.example/torch/"),
            "absent",
            "",
        ),
        (f"{RETRY}\n{ABSENT}", "absent", ""),
        (
            skipped(
                "connection error: Max retries exceeded (Caused by NewConnectionError('refused'))"
            ),
            "network",
            "connection",
        ),
        (
            skipped("connection error: (Caused by NameResolutionError('x'))"),
            "network",
            "connection",
        ),
        (
            skipped("connection error: (Caused by ProxyError('Cannot connect to proxy.'))"),
            "network",
            "proxy",
        ),
        (
            skipped(
                "There was a problem confirming the ssl certificate: CERTIFICATE_VERIFY_FAILED"
            ),
            "network",
            "PIP_CERT",
        ),
        (skipped("403 Client Error: Forbidden"), "network", "login"),
        (skipped("too many 503 error responses"), "network", "later"),
        (
            "ERROR: Cannot install torch==2.13.0 because these package versions have conflicting dependencies.",
            "absent",
            "PIP_CONSTRAINT",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE",
            "network",
            "cache purge",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk",
            "TMPDIR=",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
            "permission",
            "cannot be written",
        ),
        ("error: subprocess-exited-with-error", "build", "source package"),
        ("ERROR: something new", "other", ""),
        ("", "other", ""),
    ],
)
def test_a_failure_of_pip_is_put_into_words(pip_runs, log: str, kind: str, remedy: str) -> None:
    found = pip_runs.judge(log)
    assert (found.ok, found.kind) == (False, kind)
    assert remedy in found.remedy
    assert found.said


def test_the_inner_parts_of_pip_are_not_shown(pip_runs) -> None:
    pool = "HTTPSConnectionPool(host='index.example', port=443): Max retries exceeded with url: /torch/ (Caused by "
    cause = "NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7fb6>: Failed: [Errno -2] Name not known'))"
    assert pip_runs.judge(skipped(f"connection error: {pool}{cause}")).said == (
        "Could not fetch URL https://index.example/torch/: connection error: Max retries exceeded with url: /torch/ "
        "(Caused by NewConnectionError('Failed: [Errno -2] Name not known'))"
    )


def test_a_password_in_an_address_is_not_shown(pip_runs) -> None:
    found = pip_runs.judge(
        "ERROR: 401 Client Error: Unauthorized for url: https://me:secret@index.example/simple/torch/"
    )
    assert "secret" not in found.said
    assert "index.example" in found.said


# --- going on after a kill
# -------------------------------------------------------------------------------------------------------------


def a_package(site: Path, name: str, files: dict[str, str]) -> Path:
    """A package as pip leaves it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    rows = []
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
        rows.append(f'"{path}",sha256=x,{len(text)}')
    (info / "INSTALLER").write_text("pip\n")
    (info / "METADATA").write_text("x")
    (info / "RECORD").write_text(
        "\n".join(
            [
                *rows,
                f"{name}/__pycache__/a.pyc,,",
                f"{info.name}/METADATA,sha256=x,1",
                f"{info.name}/RECORD,,",
            ]
        )
    )
    return info


FILES = st.dictionaries(
    st.sampled_from(["p/a.py", "p/b, c.py", "p/d/e.so", "../../../bin/tool"]),
    st.text("ab", min_size=1),
    min_size=1,
)
HARMS = st.sampled_from(
    ["nothing", "no file", "short file", "no record", "no installer", "empty record row"]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=FILES, harm=HARMS, data=st.data())
def test_only_half_installed_packages_lose_their_record(
    install, tmp_path_factory, files, harm: str, data
) -> None:
    site = tmp_path_factory.mktemp("venv") / "lib" / "python3.11" / "site-packages"
    info = a_package(site, "p", files)
    whole = a_package(site, "whole", {"whole/a.py": "abc"})
    chosen = site / data.draw(st.sampled_from(sorted(files)))
    if harm == "no file":
        chosen.unlink()
    elif harm == "short file":
        chosen.write_text("")
    elif harm == "no record":
        (info / "RECORD").unlink()
    elif harm == "no installer":
        (info / "INSTALLER").unlink()
    elif harm == "empty record row":
        (info / "RECORD").write_text("p/a.py,sha256=x,many")
    removed = install.remove_half_installed(site)
    assert removed == ([] if harm == "nothing" else ["p-1.0"])
    assert info.exists() == (harm == "nothing")
    assert whole.exists()


def test_what_pip_left_while_removing_goes_too(install, tmp_path: Path) -> None:
    (tmp_path / "~umpy").mkdir()
    (tmp_path / "numpy").mkdir()
    install.remove_half_installed(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["numpy"]


def test_a_folder_of_something_else_is_never_emptied(install, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("x")
    with pytest.raises(install.Stop, match="not a virtual environment"):
        install.make_venv(tmp_path, "")
    assert (tmp_path / "papers" / "thesis.tex").exists()


def test_an_environment_of_another_python_is_not_replaced_behind_ones_back(
    install, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "pyvenv.cfg").write_text(
        "version = 3.12.7\n" if sys.version_info[:2] != (3, 12) else "version = 3.11.7\n"
    )
    monkeypatch.setattr(install, "works", lambda venv: True)
    with pytest.raises(install.Stop, match="was named: remove it"):
        install.make_venv(tmp_path, "/usr/bin/python3")
    assert install.make_venv(tmp_path, "") in {
        (3, 11),
        (3, 12),
    }  # not named: the environment that works stays


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_reported(install, tmp_path: Path, capsys) -> None:
    tmp_path.chmod(0o555)
    assert install.main(["--venv", str(tmp_path / "venv")]) == 1
    assert os.strerror(errno.EACCES) in capsys.readouterr().err
