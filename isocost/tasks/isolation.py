"""Runs code that a model wrote, shut in.

Lives here: one child process per run, with limits on processor time, memory, files and processes, in a fresh user and network namespace
(so that it has no network at all), an empty folder and an empty environment; a root caller becomes "nobody" first. Not here: what is run
and how it is judged (verifiers/code.py).

It is off unless the person who runs it sets ISOCOST_RUN_CODE=1. What it does not do: hide files that everybody on this machine may read,
or hold off somebody who breaks the kernel. For code that may be hostile use a virtual machine around the whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SWITCH = "ISOCOST_RUN_CODE"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use."""

    cpu_s: int = 5
    wall_s: float = 15.0
    memory_bytes: int = 512 * 2**20
    file_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: "passed", "failed", "timeout", "memory", or "isolation_unavailable" (nothing was run)."""

    status: str
    detail: str = ""


# Runs in the child, before the code. Standard library only, and no import of this project: -I -S keeps the environment out.
_LAUNCHER = r"""
import ctypes, os, resource, sys
cpu, memory, file_bytes = (int(word) for word in sys.argv[1:4])
libc = ctypes.CDLL(None, use_errno=True)
source = sys.stdin.buffer.read()

def refuse(why):
    os.write(2, b"isolation_unavailable " + why)
    os._exit(97)

def keep_files(folder):
    # Landlock, rights of its first version: 1 write a file, 4 to 12 remove and make files and folders.
    rights = (1 << 1) | sum(1 << bit for bit in range(4, 13))
    handled = ctypes.c_uint64(rights)
    rules = libc.syscall(444, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    class Beneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]
    where = os.open(folder, os.O_PATH)
    rule = Beneath(rights, where)
    if libc.syscall(445, rules, 1, ctypes.byref(rule), 0) != 0 or libc.syscall(446, rules, 0) != 0:
        return False
    os.close(where)
    os.close(rules)
    return True

USER, NET, IPC = 0x10000000, 0x40000000, 0x08000000
is_root = os.geteuid() == 0
if libc.unshare((0 if is_root else USER) | NET | IPC) != 0:
    refuse(b"no network namespace")
if is_root:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
if not keep_files(os.getcwd()) and not is_root:
    refuse(b"files cannot be protected")
try:
    import collections, functools, heapq, itertools, json, math, random, re, string, typing
except ImportError:
    refuse(b"the standard library cannot be read")
for kind, value in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file_bytes),
                    (resource.RLIMIT_NOFILE, 32), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0)):
    resource.setrlimit(kind, (value, value))
sys.argv = ["answer"]
sys.stdin = open(os.devnull)

def passed(token=os.environ.pop("TOKEN").encode(), write=os.write, leave=os._exit):
    write(2, b"\nisocost-passed:" + token)
    leave(0)

exec(compile(source, "answer.py", "exec"), {"__name__": "__main__"})
sys.stdout.flush()
passed()
"""


def is_enabled() -> bool:
    """Whether the person running this has allowed model-written code to run."""
    return os.environ.get(SWITCH) == "1"


def run_isolated(source: str, limits: Limits | None = None) -> Outcome:
    """Runs Python source to its end.

    Args:
        source: the program: the answer followed by its tests.
        limits: what it may use.

    Returns:
        "passed" only when it ran to its last line: a program that leaves early (sys.exit, os._exit) has failed, whatever its exit status.
    """
    limits = limits or Limits()
    folder = tempfile.mkdtemp(prefix="isocost-code-")
    token = os.urandom(16).hex()
    try:
        Path(folder).chmod(0o777)
        process = subprocess.Popen(
            [_interpreter(), "-I", "-S", "-c", _LAUNCHER, str(limits.cpu_s), str(limits.memory_bytes), str(limits.file_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={"TOKEN": token, "PYTHONHASHSEED": "0"},
            start_new_session=True,
            close_fds=True,
        )
        try:
            _, errors = process.communicate(source.encode("utf-8", "backslashreplace"), timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            return Outcome("timeout")
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return _outcome(process.returncode, errors[-4000:].decode("utf-8", "replace"), token)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _interpreter() -> str:
    """This interpreter; for root whose interpreter "nobody" cannot read, the system's when it is of the same version."""
    folders = Path(os.__file__).resolve().parents
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o005 == 0o005 for folder in folders):
        return sys.executable
    other = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    return str(other) if other.exists() else sys.executable


def _outcome(status: int, errors: str, token: str) -> Outcome:
    if status == 0 and errors.endswith(f"isocost-passed:{token}"):
        return Outcome("passed")
    if status == 97 and "isolation_unavailable" in errors:
        return Outcome("isolation_unavailable")
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome("timeout")
    if "MemoryError" in errors:
        return Outcome("memory")
    return Outcome("failed", errors.strip().splitlines()[-1][:200] if errors.strip() else f"exit status {status}")
