"""Fetching a session's models from the Hub before its engine starts.

Lives here: the step itself and what is said about it. Not here: the hub and its cache
(``isocost.hub``), nor which commit a session names (``isocost.intake.hub_models``).
"""

from __future__ import annotations

from isocost.capabilities import capabilities_of
from isocost.errors import IsocostError
from isocost.hub import HubFault, Repository, model_files
from isocost.payload.progress import Reporter
from isocost.sweep import hub_repository
from isocost.sweep.models import EngineConfig

_MIB = 2**20


def fetch_weights(engine: EngineConfig, reporter: Reporter) -> None:
    """Fetch what an engine loads of a model on the Hub; finished files are kept.

    Does nothing for a local folder, or for an engine that loads no model.

    Raises:
        IsocostError: it cannot be fetched; names the model.
    """
    repository = hub_repository(engine.model)
    if repository is None or not capabilities_of(engine.engine).loads_model:
        return
    try:
        _fetch(repository, engine, reporter)
    except HubFault as fault:
        raise IsocostError(
            fault.what, where=f"model {engine.model.name}", remedy=fault.remedy
        ) from None


def _fetch(repository: Repository, engine: EngineConfig, reporter: Reporter) -> None:
    with_weights = engine.options.get("load_format") != "dummy"
    files = model_files(repository.sizes(), with_weights=with_weights)
    missing = [name for name in files if not (repository.folder / name).exists()]
    if not missing:
        return
    size = sum(files[name] for name in missing) / _MIB
    reporter.say(
        f"fetching {repository.name} at {repository.commit[:12]}: {len(missing)} files,"
        f" {size:,.0f} MiB, into {repository.place.cache}"
    )
    repository.fetch_all(files)
