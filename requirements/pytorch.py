"""Where PyTorch comes from: the CPU build wherever it is, else the ordinary build.

The CPU build (local version ``+cpu``) is not on the ordinary package index. It is looked for where
pip is configured to look, then on PyTorch's own index, which is named here and nowhere else in the
project. The ordinary build, with the CUDA libraries without which it does not import, comes last:
it needs no GPU, only space.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from pip_runs import ABSENT, DISK, NETWORK, Outcome, hide_password, pip

INDEX_VARIABLE = "ISOCOST_TORCH_INDEX"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Of the whole environment with the ordinary build, and what is fetched on the way.
ORDINARY_BYTES = 8_800_000_000


@dataclass(frozen=True)
class Source:
    """A place that may have PyTorch.

    Attributes:
        name: in words.
        arguments: what pip is asked to install from there.
        bytes_needed: for the whole environment, downloads included; 0 when no more than is checked
            already.
    """

    name: str
    arguments: tuple[str, ...]
    bytes_needed: int = 0


class NoPyTorch(Exception):
    """No source had it; the message says what each one said."""


def sources(version: str, cuda: dict[str, str]) -> list[Source]:
    """The places, in the order in which they are asked."""
    index = os.environ.get(INDEX_VARIABLE) or CPU_INDEX
    cpu = f"torch=={version}+cpu"
    return [
        Source("the places that pip is configured to look in (CPU build)", (cpu,)),
        # Few retries: there is one more place, and the first one told already whether there is a
        # network at all.
        Source(
            f"PyTorch's index {hide_password(index)} (CPU build)",
            ("--retries", "2", "--index-url", index, cpu),
        ),
        Source(
            "the ordinary build with CUDA libraries",
            (f"torch=={version}", *(f"{n}=={v}" for n, v in cuda.items())),
            ORDINARY_BYTES,
        ),
    ]


def install(
    python: str,
    version: str,
    cuda: dict[str, str],
    *,
    have: dict[str, str],
    room: Callable[[], int],
    say: Callable[[str], None],
    keep_open: tuple[int, ...] = (),
) -> None:
    """Installs PyTorch from the first source that has it.

    Args:
        python: the Python of the environment.
        version: without a local label.
        cuda: pins of the libraries that the ordinary build needs.
        have: what is installed already, local labels included.
        room: bytes that the environment may fill, what it fills already included.
        say: receives progress.
        keep_open: see `pip_runs.pip`.

    Raises:
        NoPyTorch: no source had it.
    """
    found = have.get("torch")
    if found == f"{version}+cpu" or (
        found == version and all(have.get(name) == pin for name, pin in cuda.items())
    ):
        return
    asked = sources(version, cuda)
    if found == version:  # begun with the ordinary build: go on with it
        asked = asked[-1:]
    said: list[tuple[Source, str, str]] = []
    for source in asked:
        say(f"PyTorch {version}: {source.name}")
        if source.bytes_needed and (space := room()) < source.bytes_needed:
            need = (
                f"needs {source.bytes_needed / 1e9:.1f} GB of disk in all, there are"
                f" {space / 1e9:.1f} GB"
            )
            said.append((source, need, "Free space, or name another disk with VENV= and TMPDIR=."))
            continue
        done = pip(
            python,
            "install",
            "--no-deps",
            "--only-binary",
            ":all:",
            *source.arguments,
            say=say,
            keep_open=keep_open,
        )
        if done.ok:
            return
        said.append((source, _told(done), done.remedy))
        say(f"  {said[-1][1]}")
        if done.kind == DISK:
            break
    raise NoPyTorch(_message(version, said))


def _told(done: Outcome) -> str:
    if done.kind == ABSENT:
        return f"not there: {done.said}"
    if done.kind == NETWORK:
        return f"could not be asked: {done.said}"
    return done.said


def _message(version: str, said: list[tuple[Source, str, str]]) -> str:
    lines = [f"PyTorch {version} could not be installed. Tried, in this order:"]
    for source, told, _ in said:
        lines += [f"  - {source.name}", f"      {told}"]
    remedies = list(dict.fromkeys(remedy for _, _, remedy in said if remedy))
    lines += ["What to do:", *(f"  - {remedy}" for remedy in remedies)]
    lines += [
        f"  - a mirror of PyTorch's index: export {INDEX_VARIABLE}=<its address>",
        "  - a folder with the wheel: export PIP_FIND_LINKS=<that folder>",
        "Then run the same command again: what is installed stays.",
    ]
    return "\n".join(lines)
