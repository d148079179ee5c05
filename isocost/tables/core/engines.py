"""Which engine made a call: the session's own, or that of a partner.

Lives here: what a manifest says of each engine, and which runs had several. Not
here: costs (``call_costs``), windows and attribution of energy (``isocost.tables.energy``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from isocost.capabilities import capabilities_of, engine_names
from isocost.hashing import canonical_json

SEVERAL_ENGINES = "several_engines_measured_together"
"""Why the energy of a call is unknown if its run had engines of partners."""

Run = tuple[str, str]
Place = tuple[str, str, str | None]
"""Session, run, and the partner whose engine it is; None for the session's own."""


def device_count(info: Mapping[str, Any]) -> int | None:
    """Number of devices that an engine used; None if it does not report it.

    For older runs it follows from the resolved configuration (tensor x pipeline x data parallel).

    Args:
        info: a manifest's info, or the engine's resolved configuration.
    """
    devices = (info.get("engine") or {}).get("devices")
    if isinstance(devices, int):
        return devices
    sizes: dict[str, int] = {}

    def walk(value: object) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if name in (
                    "tensor_parallel_size",
                    "pipeline_parallel_size",
                    "data_parallel_size",
                ) and isinstance(inner, int):
                    sizes[name] = inner
                walk(inner)

    walk(info.get("engine", info))
    return int(np.prod(list(sizes.values()))) if "tensor_parallel_size" in sizes else None


def device_of(info: Mapping[str, Any]) -> str | None:
    """Model of the accelerator as named by its power source, which device cards use.

    Otherwise the engine's own name for it.
    """
    boards = ((info.get("telemetry") or {}).get("description") or {}).get("devices") or []
    stated = (info.get("engine") or {}).get("device")
    engine = stated if stated is None or isinstance(stated, str) else canonical_json(stated)
    return (
        str(boards[0]["name"]) if engine == "cuda" and boards and boards[0].get("name") else engine
    )


def with_partner(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the column partner, which older banks lack."""
    if "partner" in rows.columns:
        return rows
    return rows.with_columns(pl.lit(None, pl.String).alias("partner"))


def info_of(info: Mapping[str, Any], partner: str | None) -> Mapping[str, Any]:
    """A manifest's info with the description of a partner's engine in place of the session's own.

    Empty if the manifest does not describe it.
    """
    if partner is None:
        return info
    return {**info, "engine": (info.get("partners") or {}).get(partner) or {}}


def partners_of(info: Mapping[str, Any]) -> list[str | None]:
    """None, for the session's own engine, and the partners that a manifest describes."""
    return [None, *(info.get("partners") or {})]


def together(info: Mapping[str, Any], partner: str | None) -> list[str | None]:
    """The engines that use the devices of an engine: all that compute on this machine, or itself.

    Args:
        info: of a manifest.
        partner: the engine.
    """
    if not _computes_here(info_of(info, partner)):
        return [partner]
    return [other for other in partners_of(info) if _computes_here(info_of(info, other))]


def _computes_here(info: Mapping[str, Any]) -> bool:
    name = (info.get("engine") or {}).get("engine")
    return name in engine_names() and capabilities_of(name).computes_here


def runs_of_several(calls: pl.DataFrame, manifests: Iterable[Any]) -> set[Run]:
    """Runs with engines of partners, whose power was measured together with the session's own.

    Also where a partner is a server: it may compute on the same machine. Which joule was whose is
    unknown.

    Args:
        calls: session_id, run_id and, unless the bank is older, partner.
        manifests: of the runs; a run that was killed may have none.
    """
    found = {
        (str(_get(m, "session_id")), str(_get(m, "run_id")))
        for m in manifests
        if (_get(m, "info") or {}).get("partners")
    }
    made = with_partner(calls).filter(pl.col("partner").is_not_null())
    return found | set(made.select("session_id", "run_id").unique().iter_rows())


def _get(manifest: Any, name: str) -> Any:
    return manifest.get(name) if isinstance(manifest, Mapping) else getattr(manifest, name, None)
