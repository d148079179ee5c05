"""Environments of other projects, apart from ours: made once under ``.cache`` with pip.

Lives here: `its_hub_python`. Not here: what is run in them (``its_hub_client``).
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from isocost.engines.prepare import model_cache
from isocost.errors import IsocostError

ITS_HUB = "its_hub[lm]==1.2.0"
_MOST_S = 300


def its_hub_python() -> Path:
    """The Python of an environment with its_hub.

    Raises:
        IsocostError: pip cannot install it, for example without a network.
    """
    folder = (
        model_cache().parent / f"its_hub-1.2.0-py{sys.version_info.major}{sys.version_info.minor}"
    )
    python, is_whole = folder / "bin" / "python", folder / "is_whole"
    if is_whole.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    try:
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--retries", "1", ITS_HUB],
            check=True,
            capture_output=True,
            text=True,
            timeout=_MOST_S,
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise IsocostError(
            f"its_hub cannot be installed: {said[-1] if said else error}",
            where=str(folder),
            remedy="Connect to a package index, and repeat.",
        ) from None
    is_whole.touch()
    return python
