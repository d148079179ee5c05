"""The sandbox: a bubblewrap command and a seccomp filter.

Lives here: what an isolated process can see and request from the kernel, and whether this machine
supports that. Not here: what runs inside (``answerer``, ``judge``) and what passes between
(``__init__``).

Every sandbox has its own namespaces for users, processes, mounts, network, IPC and host name, no
capabilities, a private root that contains the standard library and no user files, one small
writable folder in memory, and a filter on system calls. bubblewrap sets up namespaces and mounts,
libseccomp the filter.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import errno
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

HERE = Path(__file__).resolve().parent
_NOBODY = 65534
_FOLDER_BYTES = 16 << 20
# System calls that no graded program needs: other processes, namespaces, mounts, keys, kernel
# interfaces with a history of vulnerabilities.
_REFUSED = (
    "acct", "add_key", "bpf", "clone3", "execveat", "fanotify_init", "fsconfig", "fsmount",
    "fsopen", "fspick", "init_module",
    "finit_module", "delete_module", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioperm", "iopl", "kcmp", "kexec_file_load",
    "kexec_load", "keyctl", "lookup_dcookie", "mbind", "memfd_create", "memfd_secret",
    "migrate_pages", "mount", "mount_setattr",
    "move_mount", "move_pages", "mq_open", "msgget", "name_to_handle_at", "nfsservctl",
    "open_by_handle_at", "open_tree",
    "perf_event_open", "personality", "pidfd_getfd", "pidfd_open", "pivot_root", "process_madvise",
    "process_vm_readv",
    "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key", "semget", "setns",
    "settimeofday", "shmget", "socket", "swapoff",
    "swapon", "sysfs", "syslog", "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vhangup",
    "chroot", "mknod", "mknodat",
)  # fmt: skip
_NO_CHILDREN = ("clone", "fork", "vfork")


class _Owner(TypedDict, total=False):
    user: int
    group: int
    extra_groups: tuple[int, ...]


class RoomOptions(_Owner):
    """Options of ``Popen`` for a sandbox."""

    pass_fds: tuple[int, ...]
    env: dict[str, str]
    cwd: str
    start_new_session: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement of the sandbox that this machine lacks.

    Attributes:
        what: what is missing, in words.
        remedy: what to do about it.
    """

    what: str
    remedy: str


@functools.cache
def missing() -> tuple[Missing, ...]:
    """What this machine lacks; empty if sandboxes can be built."""
    found = []
    if shutil.which("bwrap") is None:
        found.append(
            Missing(
                "bubblewrap (the command bwrap) is not installed",
                "Install it: apt install bubblewrap",
            )
        )
    if ctypes.util.find_library("seccomp") is None:
        found.append(Missing("libseccomp is not installed", "Install it: apt install libseccomp2"))
    if found:
        return tuple(found)
    told = _trial()
    return (
        Missing(
            f"a sandbox cannot be built here: {told}",
            "Allow unprivileged user namespaces, or run outside the container",
        ),
    ) * bool(told)


def _trial() -> str:
    """Build a sandbox that does nothing; return the reason for a failure, or an empty text."""
    with room_command("answerer", (1, 1 << 29, 1 << 20)) as (command, options):
        trial = [*command[: command.index("--") + 1], interpreter(), "-I", "-S", "-c", "print(7)"]
        try:
            done = subprocess.run(
                trial, check=False, capture_output=True, text=True, timeout=30, **options
            )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)[:200]
    return (
        ""
        if done.stdout == "7\n"
        else (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:200]
    )


def interpreter() -> str:
    """The interpreter without its virtual environment."""
    return str(Path(sys.executable).resolve())


@contextlib.contextmanager
def room_command(
    program: str, limits: tuple[int, int, int]
) -> Iterator[tuple[list[str], RoomOptions]]:
    """The command that runs one of this folder's programs in a sandbox, with ``Popen`` options.

    Args:
        program: "answerer" or "judge"; an answerer may not start processes or threads.
        limits: processor seconds, bytes of address space, bytes of a file.

    Yields:
        command, options.
    """
    with tempfile.TemporaryFile() as handle:
        handle.write(_filter(program == "answerer"))
        handle.seek(0)
        command = [str(shutil.which("bwrap")), *_walls(), "--seccomp", str(handle.fileno()), "--"]
        command += [interpreter(), "-I", "-S", "-B", f"/isolation/{program}.py", *map(str, limits)]
        yield (
            command,
            {
                "pass_fds": (handle.fileno(),),
                "env": {},
                "cwd": "/",
                "start_new_session": True,
                **_owner(),
            },
        )


def _walls() -> list[str]:
    names = ("user", "ipc", "pid", "net", "uts")
    words = [f"--unshare-{name}" for name in names] + [
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    ]
    words += [
        "--setenv",
        "PYTHONHASHSEED",
        "0",
        "--uid",
        str(_NOBODY),
        "--gid",
        str(_NOBODY),
        "--hostname",
        "room",
        "--cap-drop",
        "ALL",
    ]
    prefix = Path(sys.base_prefix).resolve()
    shown = [
        Path("/usr/lib"),
        Path("/usr/lib64"),
        Path("/usr/lib32"),
        prefix if prefix != Path("/usr") else Path(interpreter()),
    ]
    for folder in (Path("/lib"), Path("/lib64"), Path("/lib32")):
        if folder.is_symlink():
            words += ["--symlink", str(folder.readlink()), str(folder)]
        else:
            shown.append(folder)
    for path in map(str, filter(Path.exists, shown)):
        words += ["--ro-bind", path, path]
    words += [
        "--ro-bind",
        str(HERE),
        "/isolation",
        "--dev-bind",
        "/dev/null",
        "/dev/null",
        "--dev-bind",
        "/dev/urandom",
        "/dev/urandom",
    ]
    return [
        *words,
        "--size",
        str(_FOLDER_BYTES),
        "--tmpfs",
        "/tmp",
        "--remount-ro",
        "/",
        "--chdir",
        "/tmp",
    ]


def _owner() -> _Owner:
    """The user of the sandbox; for root, another user if that user can read the interpreter.

    Inside, every user is nobody.
    """
    if os.geteuid() != 0:
        return {}
    needed = [
        path
        for start in (Path(interpreter()), Path(sys.base_prefix).resolve(), HERE)
        for path in (start, *start.parents)
    ]
    if all(path.stat().st_mode & 0o005 == 0o005 for path in needed):
        return {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()}
    return {}


@functools.cache
def _filter(is_answer: bool) -> bytes:
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in (*_REFUSED, *(_NO_CHILDREN if is_answer else ())):
        # A call unknown to this machine's libseccomp is not available under another name either.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS if name == "clone3" else errno.EPERM), name)
    with tempfile.TemporaryFile() as handle:
        rules.export_bpf(handle)
        handle.seek(0)
        return handle.read()
