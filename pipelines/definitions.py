"""The code location that ``workspace.yaml`` names."""

from __future__ import annotations

from pipelines.build import build_defs

defs = build_defs()
