"""Environments of other projects, apart from ours: made once under ``.cache`` with pip.

Lives here: `its_hub_python`, `lm_eval_python`. Not here: what is run in them (``its_hub_client``,
``lm_eval_client``).
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from isocost.engines.prepare import model_cache
from isocost.errors import IsocostError

ITS_HUB = "its_hub[lm]==1.2.0"
LM_EVAL = "lm-eval==0.4.13"
_MOST_S = 300


def its_hub_python() -> Path:
    """The Python of an environment with its_hub.

    Raises:
        IsocostError: pip cannot install it, for example without a network.
    """
    return _python(ITS_HUB, "its_hub-1.2.0")


def lm_eval_python() -> Path:
    """The Python of an environment with lm-eval on top of all that is installed here.

    Raises:
        IsocostError: pip cannot install it, for example without a network.
    """
    here = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    return _python(LM_EVAL, "lm_eval-0.4.13", beneath=sorted(here))


def _python(requirement: str, name: str, beneath: list[str] | None = None) -> Path:
    """The Python of an environment, which is made if there is none.

    Args:
        requirement: what pip installs.
        name: name of its folder.
        beneath: folders whose packages it has, too.
    """
    folder = model_cache().parent / f"{name}-py{sys.version_info.major}{sys.version_info.minor}"
    python, is_whole = folder / "bin" / "python", folder / "is_whole"
    if is_whole.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    if beneath:
        for packages in (folder / "lib").glob("python*/site-packages"):
            (packages / "beneath.pth").write_text("\n".join(beneath) + "\n", encoding="utf-8")
    try:
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--no-compile", "--retries", "1", requirement],
            check=True,
            capture_output=True,
            text=True,
            timeout=_MOST_S,
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        package = requirement.partition("=")[0].partition("[")[0]
        raise IsocostError(
            f"{package} cannot be installed: {said[-1] if said else error}",
            where=str(folder),
            remedy="Connect to a package index, and repeat.",
        ) from None
    is_whole.touch()
    return python
