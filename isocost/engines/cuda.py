"""Whether vLLM's CUDA build can find an NVIDIA driver, known without importing vLLM or torch.

Lives here: `missing_driver` and the message for people. Not here: what the boards are like
(``isocost.telemetry.boards``).
"""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress

from isocost.errors import IsocostError


def is_cuda_build() -> bool:
    """Whether the installed vLLM is the CUDA build: plain, or with a local version like "+cu130".

    Read from the package metadata. Builds for other hardware carry its name: "+cpu", "+rocm700".
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        local = importlib.metadata.version("vllm").partition("+")[2]
        return not local or local.startswith("cu")
    return False


def missing_driver() -> str | None:
    """Why no NVIDIA GPU can be used; None if the driver lists one."""
    from isocost.telemetry import Unavailable, installed_boards

    try:
        installed_boards()
    except Unavailable as error:
        return str(error)
    return None


def check_driver(model: str) -> None:
    """Reject a machine without a driver, before an engine is started that would look for one.

    Raises:
        IsocostError: says what is missing.
    """
    if (why := missing_driver()) is not None:
        raise IsocostError(
            f"vLLM's CUDA build finds no NVIDIA GPU: {why}",
            where=f"model {model}",
            remedy=(
                "Run the session on a machine with an NVIDIA driver, or install the extra `cpu` "
                "of isocost in place of `gpu`."
            ),
        )
