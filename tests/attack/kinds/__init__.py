"""The kinds of attack, one module each: ``TARGETS``, ``SHARE`` of the tries, ``WHAT`` in words, and ``attempt(ground, target, dice, place)``.

``attempt`` returns a result and a detail, or raises ``Broken`` or ``Impossible``. ``LIMIT_S`` is how long a try may take before its
process is killed as hanging; ``SAMPLE`` how many tries ``make test`` draws.
"""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = (
    "bits",
    "kills",
    "disks",
    "importer_values",
    "server_answers",
    "yaml_files",
    "escapes",
    "orchestrator",
)


def kind(name: str) -> ModuleType:
    """The module of a kind."""
    return importlib.import_module(f"tests.attack.kinds.{name}")
