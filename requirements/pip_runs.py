"""Runs pip, tells how far it is, and puts into words why it failed.

Lives here: one pip command with its progress, its log and the kind of its failure. Not here: what
is installed and in which order (install.py) and where PyTorch comes from (pytorch.py). Standard
library only: this runs before anything is installed.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SILENCE_SECONDS = 15.0  # so long without a line from pip, and we say that it still works

ABSENT, NETWORK, DISK, PERMISSION, BUILD, OTHER = (
    "absent",
    "network",
    "disk",
    "permission",
    "build",
    "other",
)

_NO_MATCH = r"No matching distribution found|Could not find a version|is not a supported wheel"

# (kind, what pip's log says, what to do), the most telling first. A network failure goes before
# "absent": pip skips an index that it cannot reach and then says that nothing matches.
_SIGNS: tuple[tuple[str, str, str], ...] = (
    (
        DISK,
        r"No space left on device|Errno 28|Disk quota exceeded",
        "Free space there, or name another disk with VENV= and TMPDIR=.",
    ),
    (
        NETWORK,
        r"ProxyError|Cannot connect to proxy|Tunnel connection failed|407 (?:Client Error|Proxy)",
        (
            "The proxy refuses or cannot be reached: check HTTPS_PROXY, HTTP_PROXY and pip's"
            " setting `proxy`."
        ),
    ),
    (
        NETWORK,
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError|\[SSL: ",
        (
            "The certificate is not trusted: where a proxy has its own, name it with"
            " PIP_CERT=/path/to/bundle.pem."
        ),
    ),
    (
        NETWORK,
        r"40[13] Client Error",
        "The index wants a login or forbids it: check its address and pip's credentials.",
    ),
    (
        NETWORK,
        r"5\d\d (?:Server Error|error responses)|429 (?:Client Error|error responses)",
        "The index has a fault of its own at the moment: try again later.",
    ),
    (
        NETWORK,
        r"NameResolutionError|Name or service not known|Temporary failure in name"
        r" resolution|getaddrinfo failed|Network is unreachable"
        r"|No route to host|NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Read timed"
        r" out|Connection refused|ConnectionResetError"
        r"|Connection reset|RemoteDisconnected|IncompleteRead|IncompleteDownload|ProtocolError|Max"
        r" retries exceeded|ChunkedEncodingError",
        (
            "The network does not reach it: check the connection, a firewall or a proxy"
            " (HTTPS_PROXY), then run the same command again."
        ),
    ),
    (
        NETWORK,
        r"DO NOT MATCH THE HASHES",
        "A download is damaged: `pip cache purge`, then run the same command again.",
    ),
    (
        PERMISSION,
        r"Permission denied|Errno 13|Read-only file system|Errno 30",
        "That place cannot be written by this user.",
    ),
    (
        BUILD,
        r"subprocess-exited-with-error|metadata-generation-failed|Failed building wheel",
        "A source package could not be built here.",
    ),
    (ABSENT, _NO_MATCH, ""),
    (
        ABSENT,
        # What pip says instead of "No matching distribution" when it has constraints for that
        # package, whether they forbid it or not.
        r"Cannot install .* conflicting dependencies|ResolutionImpossible",
        (
            "pip has constraints of its own (`pip config list`, PIP_CONSTRAINT): see whether they"
            " forbid this version."
        ),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """How a pip command ended.

    Attributes:
        ok: whether it succeeded.
        kind: one of the kinds above; empty when it succeeded.
        said: the line of pip's that tells it.
        remedy: what to do; may be empty.
        tail: pip's last lines.
    """

    ok: bool
    kind: str = ""
    said: str = ""
    remedy: str = ""
    tail: str = ""


def judge(log: str, tail: str = "") -> Outcome:
    """The kind of a failure, from pip's log."""
    if "Ignoring indexes:" in log and re.search(_NO_MATCH, log):
        return Outcome(
            False,
            ABSENT,
            "pip is configured to ask no index (no-index), and what it may look at has no match",
            "",
            tail,
        )
    for kind, pattern, remedy in _SIGNS:
        # The first line that says so: those after it are consequences. A retry may have succeeded,
        # so it proves nothing.
        line = next(
            (
                text
                for text in log.splitlines()
                if "Retrying (" not in text and re.search(pattern, text)
            ),
            None,
        )
        if line is not None:
            return Outcome(False, kind, _tidy(line), remedy, tail)
    errors = [text for text in log.splitlines() if "ERROR" in text] or tail.strip().splitlines()
    return Outcome(False, OTHER, _tidy(errors[-1]) if errors else "pip said nothing", "", tail)


def hide_password(address: str) -> str:
    """A text with the login of every address in it left out."""
    return re.sub(r"(://)[^/@\s]+@", r"\1****@", address)


def _tidy(line: str) -> str:
    line = hide_password(line)
    line = re.sub(r"^\d{4}-\d\d-\d\dT[\d:,]+\s+", "", line).strip()
    line = re.sub(
        r"^(?:ERROR|WARNING): ?|HTTPS?ConnectionPool\([^)]*\): |<pip\.[^>]*>: | - skipping$",
        "",
        line,
    )
    return line if len(line) <= 300 else line[:297] + "..."


def pip(
    python: str,
    *arguments: str,
    say: Callable[[str], None] = lambda line: None,
    total: int = 0,
    keep_open: tuple[int, ...] = (),
) -> Outcome:
    """Runs ``python -m pip ARGUMENTS``.

    Args:
        python: the Python of the environment.
        arguments: of pip.
        say: receives a line whenever there is something to tell.
        total: how many packages are asked for; 0 to count none.
        keep_open: file descriptors that pip inherits: a lock among them lasts as long as pip, also
            when this process is killed.
    """
    with tempfile.TemporaryDirectory(prefix="isocost-pip-") as scratch:
        log = Path(scratch) / "pip.log"
        command = [
            python,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--log",
            str(log),
            *arguments,
            "--progress-bar",
            "off",
        ]
        # pip translates nothing, but what it quotes (paths, errors of the system) may be anything.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=keep_open,
            # pip before 23.1 builds a source package in a way of its own, with other metadata,
            # unless told the standard one.
            env={**os.environ, "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "PIP_USE_PEP517": "1"},
        )
        tail = _follow(process, say, total)
        if process.wait() == 0:
            return Outcome(True)
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return judge(text + "\n" + "".join(tail), "".join(tail))


def _follow(process: subprocess.Popen[str], say: Callable[[str], None], total: int) -> list[str]:
    tail: list[str] = []
    seen, shown, started, doing = 0, 0, time.monotonic(), "asking the package index"
    for line in _lines(process):
        if line is None:
            say(f"  still {doing} ({time.monotonic() - started:.0f} s)")
            continue
        tail = [*tail[-30:], line]
        if re.match(r"(?:Collecting|Processing|Requirement already satisfied:) ", line):
            seen += 1
            doing = (
                f"fetching, {min(seen, total)} of {total} packages done" if total else "fetching"
            )
            if total and seen * 10 // total > shown:
                shown = seen * 10 // total
                say(f"  {min(seen, total):>3} of {total} packages fetched")
        elif size := re.match(r"\s+Downloading (\S+?)-\S+ \((\d{2,}(?:\.\d+)? [MG]B)\)", line):
            doing = f"fetching {size[1]} ({size[2]})"
        elif line.startswith("Installing collected"):
            doing = "unpacking"
            say("  unpacking" + (" them (a minute or two)" if total else ""))
        elif "cache has been disabled" in line or "Cache entry deserialization failed" in line:
            say(
                "  note: pip's cache cannot be used (its folder is not writable or damaged): every"
                " run downloads again"
            )
        elif "Retrying (" in line:
            why = re.search(r"\[Errno -?\d+\] ([^'\")]+)|([A-Z]\w+Error)", line)
            say(
                f"  the network fails, pip tries again ({why[1] or why[2]})"
                if why
                else "  the network fails, pip tries again"
            )
    return tail


def _lines(process: subprocess.Popen[str]) -> Iterator[str | None]:
    """The lines of a process; None whenever it was silent for long."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=SILENCE_SECONDS)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line
