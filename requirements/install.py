"""Makes the virtual environment of Isocost and fills it from the lock of its Python, telling how
far it is.

Run by ``make`` with a Python that find_python.sh chose; standard library only. It can be killed at
any moment and run again: what is whole stays, what is half is installed again. ``--no-deps`` on
purpose: the locks are complete, and the resolver would add the CUDA builds of torchvision and its
kin, which break next to the CPU build of PyTorch.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytorch
from pip_runs import Outcome, pip

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
STAMP = ".isocost-installed"
LOCK_FILE = ".isocost-lock"
VENV_BYTES = 4_600_000_000
DOWNLOAD_BYTES = 1_200_000_000  # wheels lie in TMPDIR until they are unpacked


class Stop(Exception):
    """Ends the installation with a message for the person at the terminal."""


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


def lock_of(version: tuple[int, int]) -> Path:
    """The lock of a Python version."""
    return HERE / f"cpu-{version[0]}.{version[1]}.lock"


def pins(lock: Path) -> dict[str, str]:
    """Name (normalised) and version of every package of a lock."""
    lines = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return {normalised(name): version for name, version in lines}


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_platform(system: str, machine: str, libc: tuple[str, str]) -> None:
    """Stops where the locked wheels cannot run.

    Raises:
        Stop: another system, another processor, or a C library without or before manylinux_2_31.
    """
    if (system, machine) != ("Linux", "x86_64"):
        raise Stop(
            f"The packages that Isocost pins are for Linux on x86-64; this is {system} on"
            f" {machine}."
        )
    name, version = libc
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if name != "glibc" or numbers < (2, 31):
        raise Stop(
            "The packages that Isocost pins need glibc 2.31 or newer; this is"
            f" {f'{name} {version}' if name else 'another C library'}."
        )


def digest(lock: Path) -> str:
    """What the stamp of a finished installation holds.

    It changes with the pins and with the project's entry points.
    """
    return hashlib.sha256(lock.read_bytes() + (PROJECT / "pyproject.toml").read_bytes()).hexdigest()


def version_in(venv: Path) -> tuple[int, int] | None:
    """The Python version of an environment, from its pyvenv.cfg; None when there is none."""
    try:
        found = re.search(
            r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)",
            (venv / "pyvenv.cfg").read_text(),
            flags=re.MULTILINE,
        )
    except OSError:
        return None
    return (int(found[1]), int(found[2])) if found else None


def is_current(venv: Path, named: str) -> bool:
    """Whether nothing is to do.

    Finished with these pins, and no other version was asked for by name.
    """
    version = version_in(venv)
    try:
        return (
            version is not None
            and (not named or version == sys.version_info[:2])
            and (venv / STAMP).read_text().strip() == digest(lock_of(version))
        )
    except OSError:
        return False


def works(venv: Path) -> bool:
    """Whether an environment has a Python that starts and a pip."""
    try:
        return (
            subprocess.run([python_of(venv), "-c", "import pip"], capture_output=True).returncode
            == 0
        )
    except OSError:
        return False


def add_pip(venv: Path) -> bool:
    """Gives pip to an environment that was made without it, or was being made when it was killed.

    False when that fails.
    """
    try:
        return subprocess.run(
            [python_of(venv), "-m", "ensurepip"], capture_output=True
        ).returncode == 0 and works(venv)
    except OSError:
        return False


def python_of(venv: Path) -> str:
    """The Python of an environment."""
    return str(venv / "bin" / "python")


def site_packages(venv: Path, version: tuple[int, int]) -> Path:
    """Where an environment's packages lie."""
    return venv / "lib" / f"python{version[0]}.{version[1]}" / "site-packages"


def make_venv(venv: Path, named: str) -> tuple[int, int]:
    """Makes the environment, or keeps the one that works.

    Returns:
        Its Python version.

    Raises:
        Stop: the folder holds something else, or an environment of another Python than the one
            named, or it cannot be made.
    """
    wanted, found = sys.version_info[:2], version_in(venv)
    inside = [path for path in venv.iterdir() if path.name != LOCK_FILE]
    if found is None and any(path.is_file() for top in inside for path in (top, *top.rglob("*"))):
        raise Stop(
            f"{venv} exists and is not a virtual environment: name another folder with VENV="
        )
    if found is not None and (works(venv) or add_pip(venv)):
        if named and found != wanted:
            asked, there = (".".join(map(str, version)) for version in (wanted, found))
            raise Stop(
                f"{venv} holds Python {there}, and Python {asked} was named: remove it (rm -r"
                f" {venv}), or name another with VENV="
            )
        if lock_of(found).exists():
            return found
    if inside:
        say(f"{venv} is unfinished or its Python is gone: making it again")
    for path in inside:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(venv)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if made.returncode:
        raise Stop(
            f"The virtual environment could not be made:\n{(made.stdout + made.stderr).strip()}"
        )
    return wanted


def remove_half_installed(site: Path) -> list[str]:
    """Removes the record of every package whose files are not all there, so that pip installs it
    again.

    A killed pip leaves files without a record, which it overwrites, or a record without the files,
    which it takes for installed.

    Returns:
        What was removed.
    """
    removed = []
    for info in sorted(site.glob("*.dist-info")):
        if not _is_whole(site, info):
            shutil.rmtree(info)
            removed.append(info.name.removesuffix(".dist-info"))
    for left in site.glob("~*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return removed


def _is_whole(site: Path, info: Path) -> bool:
    if not (info / "INSTALLER").is_file():  # pip writes it after the files
        return False
    try:
        with (info / "RECORD").open(newline="", encoding="utf-8") as handle:
            return all(
                (site / row[0]).stat().st_size == int(row[2])
                for row in csv.reader(handle)
                if len(row) == 3 and row[2]
            )
    except (OSError, ValueError):
        return False


def installed(site: Path) -> dict[str, str]:
    """Name (normalised) and version of every installed package, however it was built."""
    found = (
        re.fullmatch(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info", path.name)
        for path in site.glob("*-info")
    )
    return {normalised(match[1]): match[2] for match in found if match}


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def check_space(venv: Path) -> None:
    """Stops before anything is fetched when it would not fit.

    Raises:
        Stop: too little space for the environment or for the downloads on their way.
    """
    needs = {venv: max(VENV_BYTES - size(venv), 0)}
    scratch = Path(tempfile.gettempdir())
    # What is there already is not fetched again.
    download = DOWNLOAD_BYTES * needs[venv] // VENV_BYTES
    if scratch.stat().st_dev == venv.stat().st_dev:
        needs[venv] += download
    else:
        needs[scratch] = download
    for folder, need in needs.items():
        free = shutil.disk_usage(folder).free
        if free < need:
            remedy = (
                "name another disk with VENV="
                if folder == venv
                else "name another folder with TMPDIR="
            )
            raise Stop(
                f"{folder} has {free / 1e9:.1f} GB free, the installation needs {need / 1e9:.1f}"
                f" GB: free some, or {remedy}"
            )


def install(venv: Path, version: tuple[int, int], keep_open: tuple[int, ...]) -> None:
    """Installs PyTorch, then the lock, then this checkout.

    Raises:
        Stop: a step failed.
    """
    lock, python, site = lock_of(version), python_of(venv), site_packages(venv, version)
    wanted = pins(lock)
    for name in remove_half_installed(site):
        say(f"  {name} was only half there: installing it again")
    have = installed(site)
    missing = [name for name, pin in wanted.items() if have.get(name, "").split("+")[0] != pin]
    if missing:
        check_space(venv)
        say(
            f"Installing {len(missing)} of {len(wanted)} packages into {venv} (Python"
            f" {version[0]}.{version[1]})"
        )
        say(f"  {VENV_BYTES / 1e9:.1f} GB on disk in the end, 1.2 GB to fetch; some minutes")
    try:
        pytorch.install(
            python,
            wanted["torch"],
            pins(HERE / "cuda-libraries.lock"),
            have=have,
            room=lambda: shutil.disk_usage(venv).free + size(venv),
            say=say,
            keep_open=keep_open,
        )
    except pytorch.NoPyTorch as none:
        raise Stop(str(none)) from none
    if missing:
        say("The other packages")
        done = pip(
            python,
            "install",
            "--no-deps",
            "-r",
            str(lock),
            say=say,
            total=len(wanted),
            keep_open=keep_open,
        )
        _stop_unless(done, f"pip could not install {lock.name}")
    done = pip(python, "install", "--no-deps", "-e", str(PROJECT), say=say, keep_open=keep_open)
    _stop_unless(done, "pip could not install this checkout")
    have = installed(site)
    if wrong := [
        f"{name} {have.get(name, 'missing')}"
        for name, pin in wanted.items()
        if have.get(name, "").split("+")[0] != pin
    ]:
        raise Stop(
            f"pip says it is done, but these are not at the version of {lock.name}:"
            f" {', '.join(wrong)}"
        )
    loaded = subprocess.run(
        [python, "-c", "import torch"], capture_output=True, encoding="utf-8", errors="replace"
    )
    if loaded.returncode:
        raise Stop(f"PyTorch is installed but does not load:\n{loaded.stderr.strip()[-2000:]}")


def _stop_unless(done: Outcome, what: str) -> None:
    if not done.ok:
        print(done.tail, file=sys.stderr)
        told = [
            f"{what}: {done.said}",
            done.remedy,
            "What is installed stays; pip's last lines are above.",
        ]
        raise Stop("\n".join(filter(None, told)))


def main(argv: list[str] | None = None) -> int:
    """Command line.

    0 when the environment is ready, 1 when it could not be made, 3 when ``--check`` finds it not
    ready.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True, help="the virtual environment")
    parser.add_argument("--named", default="", help="the Python that was asked for by name, if any")
    parser.add_argument(
        "--check", action="store_true", help="only say whether the environment is ready"
    )
    arguments = parser.parse_args(argv)
    venv: Path = arguments.venv
    if arguments.check:
        return 0 if is_current(venv, arguments.named) else 3
    if is_current(venv, arguments.named) and works(venv):
        return 0
    try:
        check_platform(platform.system(), platform.machine(), platform.libc_ver())
        try:
            venv.mkdir(parents=True, exist_ok=True)
            handle = os.open(venv / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Stop(
                f"{venv} cannot be written: {error.strerror}. Name another folder with VENV="
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"Another installation into {venv} is under way: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
            if is_current(venv, arguments.named) and works(venv):
                return 0
        version = make_venv(venv, arguments.named)
        install(venv, version, (handle,))
        fresh = venv / f"{STAMP}.new"
        fresh.write_text(digest(lock_of(version)) + "\n")
        fresh.replace(venv / STAMP)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
