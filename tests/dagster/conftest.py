"""Helpers of all tests are importable.

The small server, sessions written in a line, samples of every import format.
"""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
for folder in (_TESTS, _TESTS / "unit" / "payload", _TESTS / "unit" / "importers"):
    sys.path.insert(0, str(folder))
