"""Checks of a sweep's partners that need only the file.

Lives here: a partner's engine exists and has what it must be told, it can do what the methods need
of it, and some method calls it. Not here: their expansion (isocost.sweep.expand), model folders and
machine (isocost.sweep.limits).
"""

from __future__ import annotations

from isocost.capabilities import ENGINES, capabilities_of
from isocost.errors import IsocostError
from isocost.methods import check_engine, method_of
from isocost.sweep.expand import engine_configs, partner_config, partners_of
from isocost.sweep.models import EngineConfig
from isocost.sweep.spec import SweepSpec


def check_partners(spec: SweepSpec) -> None:
    """Refuse partners that are missing, cannot do what is needed, or are called by no method.

    Raises:
        IsocostError: with the position in the sweep file.
    """
    called = [partners_of(spec, index) for index in range(len(spec.grid.method))]
    for alias in spec.partners:
        if not any(alias in aliases for aliases in called):
            raise IsocostError(
                f"no method of the sweep calls the partner {alias!r}",
                where=spec.source.where("partners", alias),
                remedy="Name it in a method's parameters under grid.method, or remove it.",
            )
        named = spec.partners[alias].engine.engine or spec.engine.engine
        if named not in ENGINES.names():
            raise IsocostError(
                f"no engine is called {named!r}",
                where=spec.source.where("partners", alias, "engine", "engine"),
                remedy=ENGINES.remedy(named),
            )
        for config in engine_configs(spec):
            _check_settings(spec, alias, partner_config(spec, alias, config))
    for index, entry in enumerate(spec.grid.method):
        where = spec.source.where("grid", "method", index)
        method = method_of(entry.name, entry.parameters, where=where)
        for alias in called[index]:
            named = spec.partners[alias].engine.engine or spec.engine.engine
            check_engine(method, named, where, partner=alias)


def _check_settings(spec: SweepSpec, alias: str, config: EngineConfig) -> None:
    """What a partner that loads a model must be told, and budgets that fit its context."""
    budgets = [*spec.grid.max_tokens, *(b for p in spec.prompts for b in p.max_tokens or ())]
    if config.max_model_len is not None and max(budgets) >= config.max_model_len:
        raise IsocostError(
            f"{max(budgets)} generated tokens leave no room for a prompt in a context of "
            f"{config.max_model_len}",
            where=spec.source.where("partners", alias, "engine", "max_model_len"),
            remedy="Raise it, or lower max_tokens.",
        )
    if not capabilities_of(config.engine).loads_model:
        return
    if config.model.dtype is None:
        raise _missing(spec, alias, "model", "dtype", config.engine)
    for key in ("max_model_len", "kv_cache_bytes"):
        if getattr(config, key) is None:
            raise _missing(spec, alias, "engine", key, config.engine)
    if config.max_num_batched_tokens < config.max_num_seqs:
        raise IsocostError(
            f"max_num_batched_tokens {config.max_num_batched_tokens} is below max_num_seqs "
            f"{config.max_num_seqs}: each running sequence needs one token per step",
            where=spec.source.where("partners", alias, "engine", "max_num_batched_tokens"),
            remedy="Raise max_num_batched_tokens or lower max_num_seqs.",
        )


def _missing(spec: SweepSpec, alias: str, part: str, key: str, engine: str) -> IsocostError:
    return IsocostError(
        f"key {key} is missing",
        where=spec.source.where("partners", alias, part, key),
        remedy=f"Add it: engine {engine} loads the model.",
    )
