"""Fills a virtual environment from a lock file, telling how far it is.

Run by ``make``; needs only the standard library and the environment's pip. ``--no-deps`` on purpose: the lock is complete, and
the resolver would add the CUDA builds of torchvision and its kin, which break next to the CPU build of PyTorch.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

TORCH_HELP = """
PyTorch's CPU build ({pin}) was not found in the places that pip is configured to look in.
It is not on the Python package index. Do one of these, then run the same command again:
  - take the index for "Pip" and "CPU" that PyTorch's own "Start locally" page prints:
      export PIP_EXTRA_INDEX_URL=<that index>
  - or put the wheel into a folder:
      export PIP_FIND_LINKS=<that folder>
"""


def pip(python: str, *arguments: str) -> list[str]:
    """A pip command in the environment of ``python``."""
    return [python, "-m", "pip", "--disable-pip-version-check", *arguments]


def check_torch(python: str, pins: list[str]) -> None:
    """Stops with instructions when PyTorch's CPU wheel cannot be had."""
    pin = next((p for p in pins if p.startswith("torch==")), None)
    if pin is None or subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0:
        return
    found = subprocess.run(pip(python, "install", "-q", "--dry-run", "--no-deps", pin), capture_output=True, text=True)
    if found.returncode:
        print(TORCH_HELP.format(pin=pin), file=sys.stderr)
        print(found.stderr.strip().splitlines()[-1] if found.stderr.strip() else "", file=sys.stderr)
        raise SystemExit(1)


def install(python: str, lock: Path, total: int) -> None:
    """Installs every pin, printing one line that counts up."""
    command = pip(python, "install", "--no-deps", "--progress-bar", "off", "-r", str(lock))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    kept, seen, shown = [], 0, -1
    for line in process.stdout or ():
        kept = [*kept[-30:], line]
        name = re.match(r"(?:Collecting|Processing|Requirement already satisfied:) ([^\s=<>@]+)", line)
        if name:
            seen += 1
            if seen * 20 // total != shown:
                shown = seen * 20 // total
                print(f"  {min(seen, total):>3} of {total} packages fetched", flush=True)
        elif line.startswith("Installing collected"):
            print("  installing them (about a minute)", flush=True)
    if process.wait():
        print("".join(kept), file=sys.stderr)
        raise SystemExit(f"pip could not install {lock}; its last lines are above")


def main() -> None:
    """``install.py PYTHON LOCK PROJECT STAMP``."""
    python, lock, project, stamp = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    pins = [line.split(" ")[0] for line in lock.read_text().splitlines() if line and not line.startswith(("#", " "))]
    check_torch(python, pins)
    print(f"Installing {len(pins)} pinned packages into {stamp.parent} (3.5 GB on disk, a few minutes)", flush=True)
    install(python, lock, len(pins))
    subprocess.run(pip(python, "install", "-q", "--no-deps", "-e", project), check=True, stderr=subprocess.DEVNULL)
    stamp.write_text(hashlib.sha256(lock.read_bytes()).hexdigest() + "\n")


if __name__ == "__main__":
    main()
