"""HELM run folders.

Traps: a cached answer carries the run time of another day; the HuggingFace client reports 0.0 for every log-probability at
temperature 0; variances are population variances; None-valued keys are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.bank.importers.base import Conventions, Importer, Source, files_under, register
from isocost.bank.importers.reading import as_list, as_object, load_json
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError
from isocost.hashing import canonical_json, text_hash

_NAMES = ("run_spec.json", "scenario_state.json", "per_instance_stats.json", "stats.json")
# HELM does not store which metric is the scenario's main one: the first of these that an instance has is its verdict.
_VERDICTS = (
    "exact_match",
    "quasi_exact_match",
    "math_equiv_chain_of_thought",
    "math_equiv",
    "final_number_exact_match",
    "chain_of_thought_correctness",
)
_UNITS = {"inference_runtime": "s", "inference_denoised_runtime": "s", "inference_idealized_runtime": "s", "training_energy_cost": "kWh"}
_PROMPT_KEYS = (
    "method",
    "global_prefix",
    "global_suffix",
    "instructions",
    "input_prefix",
    "input_suffix",
    "reference_prefix",
    "reference_suffix",
    "chain_of_thought_prefix",
    "chain_of_thought_suffix",
    "output_prefix",
    "output_suffix",
    "instance_prefix",
    "substitutions",
    "max_train_instances",
)


@register
class Helm(Importer):
    """A run folder (run_spec, scenario_state, per_instance_stats, stats), or a folder of run folders."""

    name = "helm"
    title = "HELM run folders: run_spec.json, scenario_state.json, per_instance_stats.json, stats.json"
    marks = (
        frozenset({"adapter_spec"}),
        frozenset({"request_states"}),
        frozenset({"instance_id", "train_trial_index"}),
    )
    names = ("run_spec.json", "scenario_state.json")
    conventions = Conventions(
        units={
            "latency_s": "result.request_time, s",
            "metric_value": "stats.json mean; *_runtime in s",
            "logprob_sum": "completion.logprob, nats",
        },
        latency_meaning="request_time of the request as HELM's client measured it; NULL for cached answers",
        notes=(
            "Verdict: the first of exact_match, quasi_exact_match, math_equiv* ... that the instance has; all others are in extra.",
            "variance and stddev in extra are population values, as HELM computes them.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """Every file of every run folder."""
        if not path.is_dir():
            raise IsocostError("is no folder", where=str(path), remedy="Give HELM's run folder, the one that holds run_spec.json")
        found = files_under(path, _NAMES, "HELM run (run_spec.json)")
        runs = {file.parent for file in found if file.name == "run_spec.json"}
        if not runs:
            raise IsocostError("holds no run_spec.json", where=str(path), remedy="Give HELM's run folder, the one that holds run_spec.json")
        return [file for file in found if file.parent in runs]

    def records(self, source: Source) -> Iterator[Row]:
        """Completions of every run, then its statistics."""
        for run in sorted({file.parent for file in source.files}):
            files = {file.name: file for file in source.files if file.parent == run}
            source.run = source.file_run(files.get("scenario_state.json", files["run_spec.json"]))
            facts = _facts(files["run_spec.json"])
            stats = _instance_stats(files.get("per_instance_stats.json"))
            if "scenario_state.json" in files:
                yield from _completions(source, files["scenario_state.json"], facts, stats)
            if "stats.json" in files:
                yield from _aggregates(source, files["stats.json"], facts)


def _facts(file: Path) -> dict[str, Any]:
    spec = as_object(load_json(file), str(file))
    adapter = as_object(spec.get("adapter_spec"), f"{file}, adapter_spec")
    head, _, arguments = str(spec["name"]).partition(":")
    kept = ",".join(part for part in arguments.split(",") if part and not part.startswith(("model=", "model_deployment=")))
    template = {key: adapter.get(key) for key in _PROMPT_KEYS}
    sampling = {
        key: adapter.get(key) for key in ("temperature", "max_tokens", "num_outputs", "stop_sequences") if adapter.get(key) is not None
    }
    return {
        "model_variant": adapter.get("model"),
        "task": f"{head}:{kept}" if kept else head,
        "prompt": f"helm:{adapter.get('method')}",
        "prompt_hash": text_hash(canonical_json(template)),
        "sampling": sampling,
    }


def _put_facts(row: Row, facts: dict[str, Any]) -> None:
    for column in ("model_variant", "task", "prompt", "prompt_hash"):
        row.text(column, facts[column])
    row.json("sampling", facts["sampling"])


def _key(instance_id: Any, perturbation: Any, trial: Any) -> tuple[str, str, str]:
    return str(instance_id), canonical_json(perturbation) if perturbation else "", str(trial)


def _instance_stats(file: Path | None) -> dict[tuple[str, str, str], dict[str, Any]]:
    if file is None:
        return {}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in as_list(load_json(file), str(file)):
        entry = as_object(entry, str(file))
        values = {}
        for stat in as_list(entry["stats"], f"{file}, {entry.get('instance_id')}"):
            values[stat["name"]["name"]] = stat.get("mean")
        found[_key(entry["instance_id"], entry.get("perturbation"), entry.get("train_trial_index", 0))] = values
    return found


def _completions(source: Source, file: Path, facts: dict[str, Any], stats: dict[Any, dict[str, Any]]) -> Iterator[Row]:
    states = as_list(as_object(load_json(file), str(file)).get("request_states"), f"{file}, request_states")
    for position, state in enumerate(states):
        place = f"request_states[{position}]"
        state = as_object(state, f"{file}, {place}")
        instance = as_object(state["instance"], f"{file}, {place}, instance")
        values = stats.get(_key(instance.get("id"), instance.get("perturbation"), state.get("train_trial_index", 0)), {})
        result = state.get("result") or {}
        completions = as_list(result.get("completions") or [], f"{file}, {place}, completions")
        for index, completion in enumerate(completions or [None]):
            row = source.row("sample", file, place if index == 0 else f"{place}.completions[{index}]")
            _put_facts(row, facts)
            condition = {
                key: value for key, value in (("perturbation", instance.get("perturbation")), ("split", instance.get("split"))) if value
            }
            row.json("condition", condition)
            _put_instance(row, state, instance)
            row.integer("sample_index", int(state.get("train_trial_index", 0)) * max(len(completions), 1) + index)
            _put_result(row, state, result, completion, len(completions))
            _put_stats(row, values, len(completions))
            yield row


def _put_instance(row: Row, state: dict[str, Any], instance: dict[str, Any]) -> None:
    identity = str(instance.get("id"))
    if state.get("reference_index") is not None:
        identity += f"#reference{state['reference_index']}"
    row.text("problem_source_id", identity)
    row.whole("problem_text", (instance.get("input") or {}).get("text"))
    right = [reference["output"]["text"] for reference in instance.get("references") or [] if "correct" in (reference.get("tags") or [])]
    row.whole("reference", right[0] if len(right) == 1 else right or None)


def _put_result(row: Row, state: dict[str, Any], result: dict[str, Any], completion: dict[str, Any] | None, completions: int) -> None:
    if not result.get("success", True):
        row.text("error", result.get("error") or "success is false")
    if completion is not None:
        row.text("output_text", completion.get("text"))
        mapping = state.get("output_mapping")
        text = str(completion.get("text") or "").strip()
        row.text("answer", mapping.get(text, text) if isinstance(mapping, dict) else None)
        reason = completion.get("finish_reason")
        row.text("finish_reason", reason.get("reason") if isinstance(reason, dict) else reason)
        tokens = completion.get("tokens") or []
        if tokens and all(token.get("logprob") == 0 for token in tokens):
            row.null("logprob_sum", "all_token_logprobs_are_zero")
        else:
            row.number("logprob_sum", completion.get("logprob"))
    if result.get("cached"):
        row.null("latency_s", "cached_answer_keeps_an_old_time")
    elif completions > 1:
        row.null("latency_s", "one_time_for_several_completions")
    elif (result.get("batch_size") or 1) > 1:
        row.null("latency_s", "one_time_for_a_batch")
    else:
        row.seconds("latency_s", result.get("request_time"))
        row.number("started_unix_s", result.get("request_datetime"), low=0.0)


def _put_stats(row: Row, values: dict[str, Any], completions: int) -> None:
    row.integer("prompt_tokens", values.get("num_prompt_tokens"))
    if completions <= 1:
        row.integer("output_tokens", values.get("num_output_tokens", values.get("num_completion_tokens")))
    name = next((name for name in _VERDICTS if values.get(name) is not None), None)
    if name and completions > 1:
        row.null("label_correct", "one_verdict_for_several_completions")
    elif name:
        row.label(values[name], name)
    row.json(
        "extra", {"per_instance_stats": {key: value for key, value in sorted(values.items()) if value is not None}} if values else None
    )


def _aggregates(source: Source, file: Path, facts: dict[str, Any]) -> Iterator[Row]:
    for position, stat in enumerate(as_list(load_json(file), str(file))):
        name = as_object(stat.get("name"), f"{file}, [{position}].name")
        row = source.row("aggregate", file, f"[{position}]")
        _put_facts(row, facts)
        row.text("metric_name", name["name"])
        row.json("condition", {key: value for key, value in name.items() if key != "name"})
        unit = _UNITS.get(str(name["name"]))
        row.number("metric_value", stat.get("mean"), unit=unit)
        if unit:
            row.text("metric_unit", {"kWh": "J"}.get(unit, unit))
        row.json("extra", {**{key: value for key, value in stat.items() if key not in ("name", "mean")}, "variance_kind": "population"})
        yield row
