"""The sweeps of a kit, planned before it travels: a mistake in one is found here, not there.

Lives here: `plan`. Not here: the parts that run the planned sessions (`parts`), which the machine
reads with fewer packages than planning takes.
"""

from __future__ import annotations

from pathlib import Path

from isocost.errors import IsocostError
from isocost.intake.plan import plan_sweep
from isocost.store import Store
from isocost.sweep import read_session

SWEEPS = Path(__file__).parent / "sweeps"


def plan(folder: Path, root: Path) -> list[tuple[str, str]]:
    """Plan every sweep of a folder into a data root; sweep and id of each session.

    Raises:
        IsocostError: there is no sweep, or one is at fault; the message names the file and the key.
    """
    store, planned = Store(root), []
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise IsocostError(
            "has no sweep files (*.yaml)", where=str(folder), remedy="Name another with --sweeps."
        )
    for file in files:
        for session_id in plan_sweep(store, file):
            session = read_session(store.session_file(session_id))
            planned.append((session.sweep, session_id))
    return planned
