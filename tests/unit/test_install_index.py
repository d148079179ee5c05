"""The installer as a whole, against a package index on loopback.

Where PyTorch is found, what each place said, going on after kill -9.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
VERSION = "{}.{}".format(*sys.version_info[:2])
CPU, ORDINARY, CUDA, OTHER = (
    ("torch", "2.13.0+cpu"),
    ("torch", "2.13.0"),
    ("nvidia-thing", "1.0"),
    ("plain", "3.1"),
)
BACKEND = """
import zipfile

def build_editable(folder, *_):
    name = "isocost-0.1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("isocost-0.1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: isocost\\nVersion: 0.1\\n")
        wheel.writestr("isocost-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("isocost-0.1.dist-info/RECORD", "")
    return name

def get_requires_for_build_editable(*_):
    return []
"""


def write_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module."""
    module, tag = name.replace("-", "_"), f"cp{VERSION.replace('.', '')}-none-linux_x86_64"
    path, info = folder / f"{module}-{version}-{tag}.whl", f"{module}-{version}.dist-info"
    members = {
        f"{module}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    rows = []
    for member, text in members.items():
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        )
        rows.append(f"{member},sha256={digest},{len(text)}")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in members.items():
            wheel.writestr(member, text)
        wheel.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return path


class Index:
    """A package index (PEP 503) on loopback."""

    def __init__(self, folder: Path, *wheels: tuple[str, str]):
        self.folder = folder
        folder.mkdir(parents=True)
        for name, version in wheels:
            write_wheel(folder, name, version)
        self.asked: list[str] = []
        self.status = 200
        self.stalls = threading.Event()  # while set, a wheel never ends
        index = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                index.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/simple"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        parts = request.path.strip("/").split("/")
        body, kind = b"", "text/html"
        status = self.status
        if status == 200 and parts[0] == "simple":
            module = parts[1].replace("-", "_")
            found = [path.name for path in self.folder.glob(f"{module}-*.whl")]
            body = "".join(
                f'<a href="/files/{name.replace("+", "%2B")}">{name}</a>' for name in found
            ).encode()
            status = 200 if found else 404
        elif status == 200:
            body, kind = (
                (self.folder / parts[1].replace("%2B", "+")).read_bytes(),
                "application/octet-stream",
            )
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        with contextlib.suppress(OSError):  # a client that was killed
            if kind != "text/html" and self.stalls.is_set():
                request.wfile.write(body[:100])
                request.wfile.flush()
                body = body[100:]
                while self.stalls.is_set():
                    time.sleep(0.05)
            request.wfile.write(body)


class Machine:
    """A checkout with the real installer, a small lock, and nothing configured but an index."""

    def __init__(self, folder: Path):
        self.project = folder / "a checkout"
        self.folder = folder
        (self.project / "requirements").mkdir(parents=True)
        for name in ("install.py", "pip_runs.py", "pytorch.py", "find_python.sh", "setup.sh"):
            shutil.copy(REQUIREMENTS / name, self.project / "requirements")
        self.lock = self.project / "requirements" / f"cpu-{VERSION}.lock"
        self.lock.write_text("--only-binary=:all:\nplain==3.1\ntorch==2.13.0\n")
        (self.project / "requirements" / "cuda-libraries.lock").write_text("nvidia-thing==1.0\n")
        (self.project / "backend.py").write_text(BACKEND)
        (self.project / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "isocost"\nversion = "0.1"\n'
        )
        self.venv = self.project / ".venv"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("PIP_", "ISOCOST_", "PYTHONPATH"))
        }
        self.environment |= {
            "PIP_CONFIG_FILE": os.devnull,
            "HOME": str(folder / "home"),
            "PIP_RETRIES": "0",
            "LC_ALL": "C",
            "NO_PROXY": "*",
        }

    def use(self, ordinary: Index | str, torch: Index | str, **more: str) -> Machine:
        self.environment["PIP_INDEX_URL"] = ordinary if isinstance(ordinary, str) else ordinary.url
        self.environment["ISOCOST_TORCH_INDEX"] = torch if isinstance(torch, str) else torch.url
        self.environment |= more
        return self

    @property
    def command(self) -> list[str]:
        return ["sh", "requirements/setup.sh", ".venv", sys.executable]

    def install(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command,
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def imported(self, module: str) -> str:
        command = [
            str(self.venv / "bin" / "python"),
            "-c",
            f"import {module}; print({module}.__version__)",
        ]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def empty_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but pip: making one takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def machine(tmp_path: Path, empty_venv: Path) -> Machine:
    made = Machine(tmp_path)
    shutil.copytree(empty_venv, made.venv, symlinks=True)
    return made


@pytest.fixture
def index(tmp_path: Path) -> Iterator[object]:
    made: list[Index] = []

    def make(*wheels: tuple[str, str]) -> Index:
        made.append(Index(tmp_path / f"index-{len(made)}", *wheels))
        return made[-1]

    yield make
    for each in made:
        each.stalls.clear()
        each.server.shutdown()
        each.server.server_close()


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


def test_the_cpu_build_comes_from_pytorchs_index_and_a_second_run_asks_nobody(
    tmp_path: Path, index
) -> None:
    machine = Machine(tmp_path)  # from nothing
    ordinary, torch = index(ORDINARY, CUDA, OTHER), index(CPU)
    done = machine.use(ordinary, torch).install()
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.imported("torch") == "2.13.0+cpu"
    assert machine.imported("plain") == "3.1"
    assert not any("nvidia" in path for path in ordinary.asked)
    ordinary.asked.clear()
    torch.asked.clear()
    again = machine.install()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert ordinary.asked == torch.asked == []
    machine.lock.write_text(machine.lock.read_text() + "nvidia-thing==1.0\n")
    assert machine.install().returncode == 0  # a changed lock is followed
    assert machine.imported("nvidia_thing") == "1.0"
    assert machine.imported("torch") == "2.13.0+cpu"


def test_a_configured_folder_with_the_cpu_build_is_enough(
    machine: Machine, index, tmp_path: Path
) -> None:
    write_wheel(tmp_path / "wheels", *CPU)
    torch = index()
    done = machine.use(
        index(ORDINARY, OTHER), torch, PIP_FIND_LINKS=str(tmp_path / "wheels")
    ).install()
    assert done.returncode == 0, done.stderr
    assert machine.imported("torch") == "2.13.0+cpu"
    assert torch.asked == []


@pytest.mark.parametrize("why", ["not there", "unreachable"])
def test_the_ordinary_build_and_its_libraries_come_last(machine: Machine, index, why: str) -> None:
    torch = index(("torch", "2.12.0+cpu")) if why == "not there" else closed_port()
    done = machine.use(index(ORDINARY, CUDA, OTHER), torch).install()
    assert done.returncode == 0, done.stderr
    assert machine.imported("torch") == "2.13.0"
    assert machine.imported("nvidia_thing") == "1.0"
    assert ("not there" if why == "not there" else "could not be asked") in done.stdout


def test_when_nobody_has_it_each_place_is_named_with_what_it_said(machine: Machine, index) -> None:
    done = machine.use(index(OTHER), index(("torch", "2.12.0+cpu"))).install()
    assert done.returncode == 1
    assert done.stderr.count("not there:") == 3
    assert "2.12.0+cpu" in done.stderr  # what the index has instead
    assert "could not be asked" not in done.stderr
    assert "ISOCOST_TORCH_INDEX" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("status", "remedy"), [(403, "login"), (503, "try again later")])
def test_an_index_that_fails_is_distinguished_from_one_that_lacks_it(
    machine: Machine, index, status: int, remedy: str
) -> None:
    torch = index(CPU)
    torch.status = status
    done = machine.use(index(OTHER), torch).install()
    assert done.returncode == 1
    assert done.stderr.count("not there:") == 2
    assert done.stderr.count("could not be asked:") == 1
    assert remedy in done.stderr


def test_without_a_network_it_says_so(machine: Machine) -> None:
    done = machine.use(closed_port(), closed_port()).install()
    assert done.returncode == 1
    assert done.stderr.count("could not be asked:") == 3
    assert "check the connection" in done.stderr


def test_a_proxy_that_is_not_there_is_named(machine: Machine) -> None:
    proxy = closed_port().removesuffix("/simple")
    machine.use(
        "https://index.invalid/simple",
        "https://torch.invalid",
        NO_PROXY="",
        HTTPS_PROXY=proxy,
        https_proxy=proxy,
    )
    done = machine.install()
    assert done.returncode == 1
    assert "HTTPS_PROXY" in done.stderr


def test_pip_without_an_index_is_understood(machine: Machine, index) -> None:
    done = machine.use(index(CPU, OTHER), index(CPU), PIP_NO_INDEX="1").install()
    assert done.returncode == 1
    assert "no-index" in done.stderr


def test_killed_while_fetching_it_goes_on(machine: Machine, index) -> None:
    ordinary = index(OTHER)
    machine.use(ordinary, index(CPU))
    ordinary.stalls.set()
    process = subprocess.Popen(
        machine.command,
        cwd=machine.project,
        env=machine.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not any(path.startswith("/files/plain") for path in ordinary.asked):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    ordinary.stalls.clear()
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "Installing 1 of 2 packages" in done.stdout  # PyTorch was there already
    assert machine.imported("plain") == "3.1"


def test_killed_while_making_the_environment_it_goes_on(tmp_path: Path, index) -> None:
    machine = Machine(tmp_path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(machine.venv)], check=True)
    done = machine.use(index(OTHER), index(CPU)).install()
    assert done.returncode == 0, done.stderr


def test_a_half_package_is_installed_again_and_so_is_everything_when_python_is_gone(
    machine: Machine, index
) -> None:
    assert machine.use(index(OTHER), index(CPU)).install().returncode == 0
    site = machine.venv / "lib" / f"python{VERSION}" / "site-packages"
    (site / "plain" / "__init__.py").write_text("")
    (machine.venv / ".isocost-installed").unlink()
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "plain-3.1 was only half there" in done.stdout
    assert machine.imported("plain") == "3.1"
    for link in (machine.venv / "bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python")
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "making it again" in done.stdout
    assert machine.imported("torch") == "2.13.0+cpu"


def test_two_at_once_wait_for_each_other(machine: Machine, index) -> None:
    ordinary = index(OTHER)
    machine.use(ordinary, index(CPU))
    ordinary.stalls.set()
    start = dict(
        cwd=machine.project,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = subprocess.Popen(machine.command, **start)
    while not any(path.startswith("/files/plain") for path in ordinary.asked):
        assert first.poll() is None
        time.sleep(0.05)
    second = subprocess.Popen(machine.command, **start)
    assert second.stdout.readline().startswith("Another installation")
    ordinary.stalls.clear()
    assert first.communicate(timeout=60) and second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert sum(path.startswith("/files/plain") for path in ordinary.asked) == 1
