"""Models that a sweep names by their id on the Hub: their commits and cards.

Lives here: resolving revisions before a sweep is expanded, and counting cards from configurations.
Not here: fetching weights (``isocost.payload.weights``), how weights are counted
(``isocost.costs.hf_config``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from isocost import atomic
from isocost.capabilities import capabilities_of
from isocost.costs.book import CARDS_VERSION
from isocost.costs.hf_config import model_card_from_hf_config
from isocost.costs.model_cards import ModelCard
from isocost.engines.adapter_folder import FILES, AdapterFolder
from isocost.errors import IsocostError
from isocost.hub import HubFault, Repository, resolve
from isocost.plain_files import load_plain
from isocost.sweep import ModelVariant, SweepSpec, hub_repository, is_hub_id, model_folder
from isocost.sweep.models import counted_card_name
from isocost.sweep.source import Key
from isocost.sweep.spec import AdapterEntry, ModelEntry, VariantEntry, WeightsEntry

CARDS = Path("cards") / "hub"
"""Folder of counted cards under a data root; the user's own cards override them."""
_CONFIG = "config.json"


def resolved_models(spec: SweepSpec) -> SweepSpec:
    """The sweep with the commit of every model on the Hub, and a card counted from it.

    Models in folders, and those of engines that load none, stay as they are.

    Raises:
        IsocostError: there is no such repository or revision, it is gated, or the hub cannot be
            reached; with the position in the sweep file.
    """
    for index, entry in enumerate(spec.models):
        _refuse_commit(spec, ("models", index), entry)
        for number, variant in enumerate(entry.variants):
            _refuse_commit(spec, ("models", index, "variants", number), variant)
    for alias, partner in spec.partners.items():
        _refuse_commit(spec, ("partners", alias, "model"), partner.model)
    changes: dict[str, Any] = {}
    if capabilities_of(spec.engine.engine).loads_model:
        changes["models"] = tuple(
            _entry(spec, index, entry) for index, entry in enumerate(spec.models)
        )
    changes["partners"] = {
        alias: partner.model_copy(
            update={
                "model": partner.model.model_copy(
                    update=_resolved(spec, ("partners", alias, "model"), partner.model)
                )
            }
        )
        if capabilities_of(partner.engine.engine or spec.engine.engine).loads_model
        else partner
        for alias, partner in spec.partners.items()
    }
    return spec.model_copy(update=changes)


def _refuse_commit(spec: SweepSpec, key: Key, stated: WeightsEntry | VariantEntry) -> None:
    adapter = stated.adapter
    for name in ("sha256", "parameters"):
        if adapter is not None and getattr(adapter, name) is not None:
            raise IsocostError(
                f"{name} is read from the adapter",
                where=spec.source.where(*key, "adapter", name),
                remedy="Remove it.",
            )
    for place, named in ((key, stated), ((*key, "adapter"), adapter)):
        if named is not None and named.commit is not None:
            raise IsocostError(
                "the commit is what the revision is resolved to",
                where=spec.source.where(*place, "commit"),
                remedy="Give a commit under revision.",
            )


def _entry(spec: SweepSpec, index: int, entry: ModelEntry) -> ModelEntry:
    key: Key = ("models", index)
    if not entry.variants:
        return entry.model_copy(update=_resolved(spec, key, entry))
    variants = []
    for number, (variant, weights) in enumerate(zip(entry.variants, entry.weights(), strict=True)):
        is_named_here = {"path", "revision"} & variant.model_fields_set
        place = (*key, "variants", number) if is_named_here else key
        variants.append(variant.model_copy(update=_resolved(spec, place, weights)))
    return entry.model_copy(update={"variants": tuple(variants)})


def _resolved(spec: SweepSpec, key: Key, entry: WeightsEntry) -> dict[str, Any]:
    """What the names of a model mean: its commit, a card if it states none, and its adapter."""
    adapter = (
        {} if entry.adapter is None else {"adapter": _resolved_adapter(spec, key, entry.adapter)}
    )
    if not is_hub_id(entry.path):
        return adapter
    try:
        repository = resolve("model", entry.path, entry.revision)
        counted = _counted(repository, entry.dtype, entry.quantization)
    except HubFault as fault:
        named = "revision" if fault.about == "revision" else "path"
        hint = f" Or give an existing folder: {entry.path} is none." if named == "path" else ""
        raise IsocostError(
            fault.what, where=spec.source.where(*key, named), remedy=f"{fault.remedy}{hint}"
        ) from None
    card = entry.card or (None if counted is None else counted.name)
    return {"commit": repository.commit, "card": card, **adapter}


def _resolved_adapter(spec: SweepSpec, key: Key, entry: AdapterEntry) -> AdapterEntry:
    """An adapter with its commit, or the hash of its content, and the number of its weights.

    Raises:
        IsocostError: there is none, or it is of another kind than vLLM applies.
    """
    where = spec.source.where(*key, "adapter")
    if not is_hub_id(entry.path):
        if entry.revision is not None:
            raise IsocostError(
                f"a revision is stated, and {entry.path} is a folder",
                where=where,
                remedy="Remove the revision: the folder's content counts.",
            )
        folder = AdapterFolder(model_folder(entry.path), where)
        folder.check()
        return entry.model_copy(
            update={"sha256": folder.sha256(), "parameters": folder.parameters()}
        )
    try:
        repository = resolve("model", entry.path, entry.revision)
        lacking = next((name for name in FILES if name not in repository.sizes()), None)
        if lacking is not None:
            raise IsocostError(
                f"{entry.path} has no {lacking}",
                where=where,
                remedy="Give a repository with a LoRA adapter in PEFT's format.",
            )
        folder = AdapterFolder(repository.fetch_all(FILES), where)
    except HubFault as fault:
        raise IsocostError(fault.what, where=where, remedy=fault.remedy) from None
    folder.check()
    return entry.model_copy(update={"commit": repository.commit, "parameters": folder.parameters()})


def _counted(
    repository: Repository, dtype: str | None, quantization: str | None
) -> ModelCard | None:
    """The card of a model, from its configuration; None if its weights cannot be counted.

    Raises:
        HubFault: the configuration cannot be fetched.
    """
    if _CONFIG not in repository.sizes():  # reported where models are checked
        return None
    folder = repository.fetch(_CONFIG).parent
    if quantization is not None:
        return None
    stated = None if dtype in (None, "auto") else dtype
    name = counted_card_name({"path": repository.name, "commit": repository.commit})
    if stated is not None:
        name += f"-{stated}"
    try:
        return model_card_from_hf_config(folder, name=name, dtype=stated)
    except IsocostError:  # an unknown family or number format: FLOPs need a card by hand
        return None


def keep_cards(root: Path, models: Iterable[ModelVariant]) -> None:
    """Write the counted cards of models to the data root, beside those that are there.

    Raises:
        IsocostError: a card's configuration cannot be read, or the file cannot be written.
    """
    cards = {}
    for model in models:
        repository = hub_repository(model)
        if repository is None or not (model.card or "").startswith(
            counted_card_name(model.model_dump())
        ):
            continue
        card = _counted(repository, model.dtype, model.quantization)
        if card is not None:
            cards[card.name] = card.model_dump(mode="json", exclude_defaults=True)
    place = root / CARDS / "models.yaml"
    known = _known(place)
    if not cards.keys() <= known.keys():
        listed = list({**known, **cards}.values())
        content = {"cards_version": CARDS_VERSION, "models": listed}
        atomic.write_text(place, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _known(place: Path) -> dict[str, dict[str, Any]]:
    if not place.is_file():
        return {}
    content = load_plain(place, what="file of cards (YAML)")
    listed = content.get("models") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(card, dict) for card in listed):
        raise IsocostError(
            "is not a file of cards",
            where=str(place),
            remedy="Remove it; planning writes it again.",
        )
    return {str(card.get("name")): card for card in listed}
