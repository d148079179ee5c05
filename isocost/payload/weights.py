"""Fetching a session's models from the Hub before its engine starts.

Lives here: the step itself and what is said about it. Not here: the hub and its cache
(``isocost.hub``), nor which commit a session names (``isocost.intake.hub_models``).
"""

from __future__ import annotations

from isocost.capabilities import capabilities_of
from isocost.engines.adapter_folder import FILES, AdapterFolder
from isocost.errors import IsocostError
from isocost.hub import HubFault, Repository, model_files, repository_at
from isocost.payload.progress import Reporter
from isocost.sweep import Adapter, adapter_folder, hub_repository
from isocost.sweep.models import EngineConfig

_MIB = 2**20


def fetch_weights(engine: EngineConfig, reporter: Reporter) -> None:
    """Fetch what an engine loads of a model on the Hub; finished files are kept.

    Does nothing for a local folder, or for an engine that loads no model.

    A LoRA adapter is fetched, too, and a local one must be the one that was planned.

    Raises:
        IsocostError: it cannot be fetched, or the adapter has changed; names the model.
    """
    loads_model = capabilities_of(engine.engine).loads_model
    if engine.model.adapter is not None and loads_model:
        _fetch_adapter(engine.model.adapter, f"model {engine.model.name}")
    repository = hub_repository(engine.model)
    if repository is None or not loads_model:
        return
    try:
        _fetch(repository, engine, reporter)
    except HubFault as fault:
        raise IsocostError(
            fault.what, where=f"model {engine.model.name}", remedy=fault.remedy
        ) from None


def _fetch_adapter(adapter: Adapter, where: str) -> None:
    if adapter.commit is not None:
        try:
            repository_at("model", adapter.path, adapter.commit).fetch_all(FILES)
        except HubFault as fault:
            raise IsocostError(fault.what, where=where, remedy=fault.remedy) from None
        return
    folder = AdapterFolder(adapter_folder(adapter), where)
    folder.check()
    if adapter.sha256 is not None and folder.sha256() != adapter.sha256:
        raise IsocostError(
            f"the files of the adapter {folder.path} differ from those that were planned",
            where=where,
            remedy="Plan the sweep again for the new adapter, or restore the old one.",
        )


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
