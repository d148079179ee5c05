"""From what is banked to what people read, step by step, without an orchestrator.

Lives here: planning a sweep into session files, and one function per group of derived tables that reads its inputs from the
store, calls the builders in ``isocost.tables`` and writes what they return. The Dagster assets call these one by one; ``isocost
refresh`` calls them in order. Not here: how a table is computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import polars as pl

from isocost import sql
from isocost.bank.reader import read_manifests, read_raw
from isocost.costs.flops import sample_flops
from isocost.errors import IsocostError
from isocost.schema.registry import all_tables
from isocost.store import IMPORT_PREFIX, SHARED, Store
from isocost.sweep import load_sweep, plan_sessions
from isocost.sweep.models import Session
from isocost.tables import core, costs, frontiers, imports, items, outcomes, scaling

Frames = dict[str, pl.DataFrame]

STRATEGIES = ("out_strategy_outcomes", "out_strategy_problems")
