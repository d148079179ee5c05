"""Gather what a bare, offline machine with an NVIDIA GPU lacks, in pieces that one call can carry.

    python -m benchmarks.accelerator.pack --out FOLDER --python 3.12 --torch 2.11 --have LIST

Lives here: what goes into a kit, and the calls that bring it over. Not here: which wheels that are
(`wheels`), the parts (`parts`), the pieces (`pieces`).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from benchmarks.accelerator import unpack
from benchmarks.accelerator.index import Index, Release
from benchmarks.accelerator.machine import Machine, described, this_machine
from benchmarks.accelerator.parts import PARTS, parts_of, write_parts
from benchmarks.accelerator.pieces import write_pieces
from benchmarks.accelerator.planning import SWEEPS, plan
from benchmarks.accelerator.wheels import cuda_of, fitting_vllm, lacking
from isocost.engines.prepare import prepare
from isocost.errors import IsocostError
from isocost.sweep.paths import cache_root

REPO = Path(__file__).resolve().parents[2]
PIECE_MB = 60
# What generating and sampling import; tables are built at home.
PAYLOAD = (
    "fsspec",
    "numpy",
    "nvidia-ml-py",
    "polars",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "reasoning-gym",
    "scipy",
)
MODULES = (
    "torch",
    "numpy",
    "polars",
    "pyarrow",
    "pydantic",
    "yaml",
    "reasoning_gym",
    "pynvml",
    "vllm",
)
_CODE = ("isocost", "benchmarks", "tests/gpu", "pyproject.toml")
_MODELS = {False: ("smollm2-135m-instruct", "smollm2-135m-instruct-int8"), True: ()}
_TINY = "tiny-random-llama"

Say = Callable[[str], None]


def own_requirements() -> tuple[list[str], Requirement]:
    """Isocost's requirements for generating, and its requirement for CUDA vLLM."""
    found = [Requirement(r) for r in importlib.metadata.requires("isocost") or ()]
    plain = [str(r) for r in found if r.name in PAYLOAD and not r.marker]
    (vllm,) = (r for r in found if r.name == "vllm")
    return plain, vllm


def wheels_for(
    machine: Machine, folder: Path, *, leave_out: Sequence[str], say: Say
) -> list[Release]:
    """Fetch the wheels that a machine with a GPU lacks.

    Raises:
        IsocostError: its torch is unknown, no vLLM fits it, or the index lacks something.
    """
    if machine.torch is None:
        raise IsocostError(
            "the machine's torch is unknown",
            where="--torch",
            remedy="Give it, such as --torch 2.11.",
        )
    index = Index(machine.python, folder / "built")
    plain, vllm = own_requirements()
    found = fitting_vllm(machine, index, vllm.specifier)
    say(f"vLLM {found.version} is the newest that fits torch {machine.torch}")
    releases = lacking([*plain, f"vllm=={found.version}"], machine, index, leave_out)
    say(f"the machine lacks {len(releases)} packages: {', '.join(r.name for r in releases)}")
    if index.only_source:
        names = ", ".join(f"{r.name} {r.version.partition('+')[0]}" for r in index.only_source)
        say(f"left out, because the index has only source to compile: {names}")
    index.download(releases, folder)
    there = {_wheel_start(wheel) for wheel in folder.glob("*.whl")}
    if lost := [r.name for r in releases if _file_start(r) not in there]:
        raise IsocostError(
            f"the wheels of {', '.join(lost)} were not fetched",
            where=str(folder),
            remedy="Run the same command again.",
        )
    _check_cuda(machine, folder, say)
    return releases


def _check_cuda(machine: Machine, folder: Path, say: Say) -> None:
    for wheel in folder.glob("vllm-*.whl"):
        built = cuda_of(wheel)
        if built is None or machine.cuda is None:
            say(f"vLLM's wheel is built for CUDA {built or 'unknown'}, torch's is unknown")
        elif built != machine.cuda:
            raise IsocostError(
                f"it is built for CUDA {built}, the machine's torch for CUDA {machine.cuda}",
                where=wheel.name,
                remedy="Carry a vLLM for the same CUDA, or torch as well.",
            )
        else:
            say(f"vLLM's wheel and the machine's torch are both built for CUDA {built}")


def pack(
    out: Path,
    machine: Machine,
    *,
    cpu: bool = False,
    sweeps: Path | None = None,
    piece_mb: int = PIECE_MB,
    leave_out: Sequence[str] = (),
    say: Say = print,
) -> dict[str, Any]:
    """Make a kit: pieces, their manifest, and the file that unpacks them.

    Args:
        out: where they go; wheels that are there already are not fetched again.
        machine: the machine that the kit is for.
        cpu: rehearse without a GPU: a small model, vLLM's CPU build of this environment.
        sweeps: folder of sweep files; the kit's own if None.
        piece_mb: maximum size of a piece (10^6 bytes).
        leave_out: distributions never to carry.
        say: receives progress.

    Returns:
        The manifest.

    Raises:
        IsocostError: a sweep is at fault, or something cannot be fetched.
    """
    pieces, wheels = out / "pieces", out / "wheels"
    for folder in (pieces, wheels):
        folder.mkdir(parents=True, exist_ok=True)
    models = _MODELS[cpu] or (_TINY,)
    for name in models:
        prepare(name, say=say)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        root = Path(scratch) / "data"
        planned = plan(sweeps or SWEEPS / ("cpu" if cpu else "gpu"), root)
        write_parts(Path(scratch) / PARTS, parts_of(planned, cpu=cpu))
        releases = [] if cpu else wheels_for(machine, wheels, leave_out=leave_out, say=say)
        wanted = {_file_start(r) for r in releases}
        members = {f"{unpack.SOURCE}/{name}": REPO / name for name in _CODE}
        members |= {f"cache/models/{name}": cache_root() / "models" / name for name in models}
        members |= {"data": root, PARTS: Path(scratch) / PARTS}
        members |= {
            f"{unpack.WHEELS}/{wheel.name}": wheel
            for wheel in sorted(wheels.glob("*.whl"))
            if _wheel_start(wheel) in wanted
        }
        facts = {
            "modules": list(MODULES),
            "python": machine.python,
            "torch": machine.torch,
            "wheels": [asdict(r) for r in releases],
        }
        listed = write_pieces(
            members, pieces, stem="kit", piece_bytes=piece_mb * 10**6, facts=facts
        )
    shutil.copyfile(unpack.__file__, pieces / "unpack.py")
    return {**facts, "pieces": listed}


def _file_start(release: Release) -> tuple[str, str]:
    """How the name of a release's wheel begins."""
    return release.name.lower().replace("-", "_").replace(".", "_"), release.version


def _wheel_start(wheel: Path) -> tuple[str, str]:
    name, version, *_ = wheel.name.lower().split("-")
    return name.replace(".", "_"), version


def calls(pieces: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """One line per call: what it carries, and what is run there."""
    lines = []
    for number, piece in enumerate(pieces, start=1):
        carried = f"{folder}/unpack.py, {folder}/{unpack.MANIFEST} and {folder}/{piece['name']}"
        lines += [
            f"call {number} of {len(pieces)} carries {carried}",
            "    python3 unpack.py . --into /tmp/kit",
        ]
    last = "PYTHONPATH=/tmp/kit/source:/tmp/kit/site python3 -m benchmarks.accelerator.campaign"
    return [
        *lines,
        "then, as often as parts are left, and bring the folder RESULTS home:",
        f"    {last} --kit /tmp/kit --out RESULTS",
        "and at home:",
        "    .venv/bin/python -m benchmarks.accelerator.bring_back RESULTS --data data-accelerator",
    ]


def main(argv: list[str] | None = None) -> int:
    """Make a kit for a machine with an NVIDIA GPU, and print the calls that bring it over."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator.pack", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the kit")
    parser.add_argument("--python", default="3.12", help="the machine's Python (%(default)s)")
    parser.add_argument("--torch", help="its torch, such as 2.11, if --have does not say")
    parser.add_argument("--have", type=Path, metavar="LIST", help="what `pip list` prints there")
    parser.add_argument(
        "--piece-mb", type=int, default=PIECE_MB, help="what one call carries (%(default)s MB)"
    )
    parser.add_argument(
        "--leave-out", nargs="+", default=[], metavar="NAME", help="packages never to carry"
    )
    parser.add_argument("--sweeps", type=Path, help="folder of sweeps (default: the kit's own)")
    parser.add_argument("--cpu", action="store_true", help="rehearse here, without a GPU")
    arguments = parser.parse_args(argv)
    try:
        if arguments.piece_mb < 1:
            raise IsocostError("must be at least 1", where="--piece-mb")
        machine = (
            this_machine()
            if arguments.cpu
            else described(arguments.python, arguments.torch, arguments.have)
        )
        made = pack(
            arguments.out.resolve(),
            machine,
            cpu=arguments.cpu,
            sweeps=arguments.sweeps,
            piece_mb=arguments.piece_mb,
            leave_out=arguments.leave_out,
            say=lambda line: print(line, flush=True),
        )
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    size = sum(piece["bytes"] for piece in made["pieces"])
    print(f"{len(made['pieces'])} pieces, {size / 1e6:.1f} MB")
    print("\n".join(calls(made["pieces"], arguments.out / "pieces")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
