"""HELM run folders.

Traps: a cached answer carries the run time of another day; the HuggingFace client reports 0.0 for
every log-probability at temperature 0; variances are population variances; None-valued keys are
left out; with several completions, HELM grades the one with the highest log-probability; if each
option is a separate request, one verdict is for all these requests together.

Lives here: completions, statistics, the reading of folders. Not here: the contents of a
run_spec.json
(``helm_settings``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.hashing import canonical_json
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.formats.helm_settings import HARMLESS, Run, drawn_by_request, run_of
from isocost.importers.reading import as_list, as_object, load_json
from isocost.importers.row import Row
from isocost.importers.usage import covers_several

_NAMES = ("run_spec.json", "scenario_state.json", "per_instance_stats.json", "stats.json")
# HELM does not store which metric is the scenario's main one: the first of these that an instance
# has is its verdict.
_VERDICTS = (
    "exact_match",
    "quasi_exact_match",
    "math_equiv_chain_of_thought",
    "math_equiv",
    "final_number_exact_match",
    "chain_of_thought_correctness",
    "ifeval_strict_accuracy",
    "code_eval_acc",
    "pass",
)
_UNITS = {
    "inference_runtime": "s",
    "inference_denoised_runtime": "s",
    "inference_idealized_runtime": "s",
    "training_energy_cost": "kWh",
}


@register
class Helm(Importer):
    """A run folder, or a folder of run folders.

    With run_spec, scenario_state, per_instance_stats and stats.
    """

    name = "helm"
    title = (
        "HELM run folders: run_spec.json, scenario_state.json, per_instance_stats.json, stats.json"
    )
    version = 3
    harmless = HARMLESS
    takes_metric = True
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
        latency_meaning=(
            "request_time of the request as HELM's client measured it; NULL for cached answers"
        ),
        notes=(
            (
                "Verdict: the first of exact_match, quasi_exact_match, math_equiv* ... that the"
                " instance has; all others are in extra."
            ),
            (
                "Several completions of one request have one verdict, for the likeliest of them: "
                "it is kept in extra.group."
            ),
            (
                "Where each option is asked on its own (multiple_choice_separate), all requests of"
                " an instance are one sample."
            ),
            "variance and stddev in extra are population values, as HELM computes them.",
        ),
    )

    def files(self, path: Path) -> list[Path]:
        """Every file of every run folder."""
        if not path.is_dir():
            raise IsocostError(
                "is not a folder",
                where=str(path),
                remedy="Give HELM's run folder, which contains run_spec.json",
            )
        found = files_under(path, _NAMES, "HELM run (run_spec.json)")
        runs = {file.parent for file in found if file.name == "run_spec.json"}
        if not runs:
            raise IsocostError(
                "contains no run_spec.json",
                where=str(path),
                remedy="Give HELM's run folder, which contains run_spec.json",
            )
        return [file for file in found if file.parent in runs or file.name != "stats.json"]

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Completions of every run, then its statistics."""
        folders = sorted({file.parent for file in source.files})
        for folder in folders:
            files = {file.name: file for file in source.files if file.parent == folder}
            if "run_spec.json" not in files:
                source.warnings.append(
                    f"{folder.name}: no run_spec.json next to {', '.join(sorted(files))}: left out"
                )
                continue
            source.run = source.file_run(files.get("scenario_state.json", files["run_spec.json"]))
            run = run_of(files["run_spec.json"])
            stats = _instance_stats(files.get("per_instance_stats.json"))
            if "scenario_state.json" in files:
                yield from _samples(
                    source, files["scenario_state.json"], run, stats, self.no_answers
                )
            if "stats.json" in files:
                yield from _aggregates(source, files["stats.json"], run)


def _put_run(row: Row, run: Run, **context: Any) -> None:
    for column, value in run.provenance.items():
        row.text(column, value)
    row.json("sampling", run.sampling)
    row.condition({**run.condition, **{key: value for key, value in context.items() if value}})


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
        found[
            _key(entry["instance_id"], entry.get("perturbation"), entry.get("train_trial_index", 0))
        ] = values
    return found


@dataclass(slots=True)
class _Attempt:
    """HELM's unit of grading.

    The requests of an instance in one trial, and their numbers.
    """

    key: tuple[str, str, str]
    states: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def is_by_option(self) -> bool:
        """Whether each option was asked on its own, so that all requests are one answer."""
        return self.states[0][1].get("reference_index") is not None


def _samples(
    source: ImportInput,
    file: Path,
    run: Run,
    stats: dict[Any, dict[str, Any]],
    no_answers: frozenset[str],
) -> Iterator[Row]:
    attempts: dict[tuple[str, str, str], _Attempt] = {}
    for position, state in enumerate(
        as_list(
            as_object(load_json(file), str(file)).get("request_states"), f"{file}, request_states"
        )
    ):
        place = f"request_states[{position}]"
        state = as_object(state, f"{file}, {place}")
        instance = as_object(state["instance"], f"{file}, {place}, instance")
        own = instance.get("id")
        key = _key(
            place if own is None else own,
            instance.get("perturbation"),
            state.get("train_trial_index", 0),
        )
        attempt = attempts.setdefault(key, _Attempt(key, values=stats.get(key, {})))
        attempt.states.append((place, state))
    numbers: Counter[tuple[str, str]] = Counter()
    for attempt in attempts.values():
        rows = (
            [_by_option(source, file, run, attempt)]
            if attempt.is_by_option
            else _completions(source, file, run, attempt, no_answers)
        )
        for row in rows:
            # Trials, requests and completions of an instance are numbered on.
            row.integer("sample_index", numbers[attempt.key[:2]])
            numbers[attempt.key[:2]] += 1
            yield row


def _row(source: ImportInput, file: Path, place: str, run: Run, state: dict[str, Any]) -> Row:
    instance = state["instance"]
    row = source.row("sample", file, place)
    _put_run(row, run, perturbation=instance.get("perturbation"), split=instance.get("split"))
    if more := drawn_by_request(state.get("request")):
        row.json("sampling", {**run.sampling, **more})
    row.text("problem_source_id", instance.get("id"))
    row.whole("problem_text", (instance.get("input") or {}).get("text"))
    right = [
        reference["output"]["text"]
        for reference in instance.get("references") or []
        if "correct" in (reference.get("tags") or [])
    ]
    row.whole("reference", right[0] if len(right) == 1 else right or None)
    return row


def _completions(
    source: ImportInput, file: Path, run: Run, attempt: _Attempt, no_answers: frozenset[str]
) -> Iterator[Row]:
    every = [
        (
            place,
            state,
            as_list(
                (state.get("result") or {}).get("completions") or [],
                f"{file}, {place}, completions",
            ),
        )
        for place, state in attempt.states
    ]
    judged = sum(max(len(completions), 1) for _, _, completions in every)
    for place, state, completions in every:
        for index, completion in enumerate(completions or [None]):
            row = _row(
                source, file, place if index == 0 else f"{place}.completions[{index}]", run, state
            )
            _put_result(row, state, completion, len(completions), no_answers)
            _put_stats(row, attempt, judged, source.options.get("metric"))
            yield row


def _by_option(source: ImportInput, file: Path, run: Run, attempt: _Attempt) -> Row:
    """One row for the requests of all options: the option that HELM took, and its verdict."""
    place, state = attempt.states[0]
    row = _row(source, file, place, run, state)
    requests = len(attempt.states)
    results = [(state.get("result") or {}) for _, state in attempt.states]
    failed = next((result for result in results if not result.get("success", True)), None)
    if failed is not None:
        row.text("error", failed.get("error") or "success is false")
    row.null("latency_s", f"time_is_of_{requests}_requests")
    chosen = attempt.values.get("predicted_index")
    references = state["instance"].get("references") or []
    if isinstance(chosen, int | float) and chosen == int(chosen) and 0 <= chosen < len(references):
        row.text("answer", references[int(chosen)]["output"]["text"])
    _put_stats(row, attempt, 1, source.options.get("metric"), requests)
    return row


def _put_result(
    row: Row,
    state: dict[str, Any],
    completion: dict[str, Any] | None,
    completions: int,
    no_answers: frozenset[str],
) -> None:
    result = state.get("result") or {}
    if not result.get("success", True):
        row.text("error", result.get("error") or "success is false")
    if completion is not None:
        row.text("output_text", completion.get("text"))
        mapping, text = state.get("output_mapping"), str(completion.get("text") or "").strip()
        if isinstance(mapping, dict):
            row.extracted(mapping.get(text, text), no_answers)
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
        covers_several(row, completions, "latency_s")
    elif (result.get("batch_size") or 1) > 1:
        row.null("latency_s", "one_time_for_a_batch")
    else:
        row.seconds("latency_s", result.get("request_time"))
        row.number("started_unix_s", result.get("request_datetime"), low=0.0)


def _put_stats(
    row: Row, attempt: _Attempt, judged: int, asked: str | None, requests: int = 1
) -> None:
    """Assign tokens and verdict of an attempt, if the attempt is one sample."""
    values = attempt.values
    tokens = {"prompt_tokens": "num_prompt_tokens", "output_tokens": "num_output_tokens"}
    counts = {column: values.get(name) for column, name in tokens.items()}
    if counts["output_tokens"] is None:
        counts["output_tokens"] = values.get("num_completion_tokens")
    for column, value in counts.items():
        if value is not None and requests > 1:
            row.null(column, f"usage_is_a_mean_of_{requests}_requests")
        elif value is not None and judged > 1:
            covers_several(row, judged, column)
        else:
            row.integer(column, value)
    if asked is not None and values and asked not in values:
        raise IsocostError(
            f"has no metric {asked!r}",
            where=row.where,
            remedy=f"Its metrics are {', '.join(sorted(values))}",
        )
    name = next(
        (name for name in ((asked,) if asked else _VERDICTS) if values.get(name) is not None), None
    )
    if asked:
        row.condition({"metric": asked})
    extra: dict[str, Any] = {
        "per_instance_stats": {
            key: value for key, value in sorted(values.items()) if value is not None
        }
    }
    if name and judged > 1:
        row.null("label_correct", f"verdict_covers_{judged}_samples")
        extra["group"] = {"label": values[name], "label_name": name, "covers": judged}
    elif name:
        row.label(values[name], name)
    row.json("extra", extra if values else None)


def _aggregates(source: ImportInput, file: Path, run: Run) -> Iterator[Row]:
    for position, stat in enumerate(as_list(load_json(file), str(file))):
        name = as_object(stat.get("name"), f"{file}, [{position}].name")
        row = source.row("aggregate", file, f"[{position}]")
        _put_run(row, run, **{key: value for key, value in name.items() if key != "name"})
        row.text("metric_name", name["name"])
        unit = _UNITS.get(str(name["name"]))
        row.number("metric_value", stat.get("mean"), unit=unit)
        if unit:
            row.text("metric_unit", {"kWh": "J"}.get(unit, unit))
        row.json(
            "extra",
            {
                **{key: value for key, value in stat.items() if key not in ("name", "mean")},
                "variance_kind": "population",
            },
        )
        yield row
