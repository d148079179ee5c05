"""What the header of an Inspect log states of its run.

Lives here: provenance, the settings that enter the identity and those that do not, the scorers that
a log names. Not here: samples (``inspect_ai_samples``) and the reading of logs (``inspect_ai``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocost.hashing import text_hash
from isocost.importers.reading import as_list, as_object
from isocost.importers.settings import brief_settings, stated_settings, without_addresses

_CLIENT = {
    "max_retries": "how often a failed request is asked again",
    "timeout": "how long to wait for a request",
    "attempt_timeout": "how long to wait for a request",
    "max_connections": "how many requests are in flight",
    "adaptive_connections": "how many requests are in flight",
    "batch": "when requests are sent",
    "cache": "where answers are kept",
    "cache_prompt": "prompt retention by the provider",
    "extra_headers": "who asks; a secret is kept nowhere",
}
"""Settings in a generation's configuration that are of the client, not of the draw."""

HARMLESS = {
    "created": "when it was measured",
    "eval_id": "names the run, not its contents",
    "eval_set_id": "names the run, not its contents",
    "run_id": "names the run, not its contents",
    "task_id": "names the run, not its contents",
    "task_display_name": "how the task is printed",
    "task_registry_name": "the task's name once more",
    "task_attribs": "labels of the task",
    "task_args_passed": "task_args once more, without the defaults",
    "solver": "the plan's steps once more",
    "solver_args_passed": "solver_args once more, without the defaults",
    "tags": "labels of the run",
    "metadata": "notes of the run",
    "viewer": "how the log is shown",
    "metrics": "aggregation of the scores",
    "dataset.location": "path of the dataset; questions and references are compared individually",
    "dataset.samples": "number of questions; they are distinguished individually",
    "dataset.sample_ids": "selection of questions; they are distinguished individually",
    "dataset.shuffled": "the order of the questions",
    "model_base_url": "where the model was asked, not which one answered",
    "model_roles.*.base_url": "where the model was asked, not which one answered",
    "config.limit": "number of questions; they are distinguished individually",
    "config.sample_id": "selection of questions; they are distinguished individually",
    "config.sample_shuffle": "the order of the questions",
    "config.epochs": "number of repetitions: every answer is a sample",
    "config.epochs_reducer": "how the log computes one score of all epochs",
    "config.notification": "notification",
    "config.fail_on_error": "when the run gives up",
    "config.continue_on_fail": "when the run gives up",
    "config.retry_on_error": "how often a failed sample is asked again",
    "config.max_*": "how much runs at the same time",
    "config.sandbox_cleanup": "cleanup",
    "config.sandbox_prebuilt": "who builds the sandbox",
    "config.log_*": "logging",
    "config.score_display": "display",
    "config.acp_server": "who may look on",
    # As Inspect itself has it: an eval set takes logs of other versions of the code for the same
    # task.
    "revision": (
        "of the code; the task's version, its questions, references, prompts and graders enter one"
        " by one"
    ),
    "packages": (
        "of the code; the task's version, its questions, references, prompts and graders enter one"
        " by one"
    ),
    "model_args.*api_key*": "who asks; a secret is kept nowhere",
    "model_args.*auth_token*": "who asks; a secret is kept nowhere",
    "model_args.token": "who asks; a secret is kept nowhere",
    "model_args.hf_token": "who asks; a secret is kept nowhere",
    "model_args.cache_dir": "where files are kept",
    "model_args.download_dir": "where files are kept",
    "model_args.gpu_memory_utilization": "how much memory is set aside",
    "model_args.port": "where the model is asked",
    "model_args.seed": "another seed is another draw of the same configuration",
    "options.*.base_url": "where the grader was asked, not which one answered",
    **{
        f"{place}.{name}": reason
        for place in ("model_roles.*.config", "options.*.config")
        for name, reason in _CLIENT.items()
    },
}
_COLUMNS = ("task", "task_version", "model", "model_generate_config", "scorers")


@dataclass(frozen=True, slots=True)
class Log:
    """The settings that a log states about its run.

    Attributes:
        provenance: model_variant, task, task_version, prompt, prompt_hash; None for what is not
            stated.
        sampling: how answers are drawn; None if left to the provider's defaults.
        condition: settings of the identity.
        scorers: names of scores that its samples should have.
        grading: scorer -> its own settings, such as the model that grades.
    """

    provenance: dict[str, Any]
    sampling: dict[str, Any] | None
    condition: dict[str, Any]
    scorers: tuple[str, ...] = ()
    grading: dict[str, dict[str, Any]] = field(default_factory=dict)

    def settings(self, score: str | None, reducer: str | None = None) -> dict[str, Any]:
        """All settings for one score: those of the run, the scorer and its arguments."""
        if score is None:
            return self.condition
        scorer = score if score in self.grading else score.partition(".")[0]
        told = {f"scorer.{key}": value for key, value in self.grading.get(scorer, {}).items()}
        return {**self.condition, "scorer": score, "reducer": reducer, **told}


def log_of(header: dict[str, Any], file: Path) -> Log:
    """What the header of a log states."""
    run = as_object(header.get("eval"), f"{file}, eval")
    plan = as_object(header.get("plan") or {}, f"{file}, plan")
    config = {
        **as_object(run.get("model_generate_config") or {}, f"{file}, eval.model_generate_config"),
        **as_object(plan.get("config") or {}, f"{file}, plan.config"),
    }
    drawn = {
        key: value for key, value in config.items() if key not in _CLIENT and value is not None
    }
    steps = as_list(plan.get("steps") or [], f"{file}, plan.steps")
    named = [step for step in steps if isinstance(step, dict)]
    template = [{key: step.get(key) for key in ("solver", "params")} for step in named]
    provenance = {
        "model_variant": run.get("model"),
        "task": run.get("task"),
        "task_version": run.get("task_version"),
        "prompt": (
            f"inspect:{'+'.join(str(step.get('solver')) for step in named)}" if steps else None
        ),
        "prompt_hash": text_hash(without_addresses(repr(template))) if steps else None,
    }
    stated = {key: value for key, value in run.items() if key not in _COLUMNS}
    condition = brief_settings(stated_settings(stated, HARMLESS))
    # An empty configuration means the provider's defaults, which are not in the log.
    return Log(provenance, drawn or None, condition, tuple(_scores(header, run)), _grading(run))


def _scores(header: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    """Names of the scores that a sample should have.

    Those in the results; before there are results, the scorers.
    """
    results = header.get("results")
    results = results if isinstance(results, dict) else {}
    listed = results.get("scores")
    if listed is None and isinstance(results.get("scorer"), dict):
        listed = [results["scorer"]]  # logs of version 1
    found = [entry for entry in listed or [] if isinstance(entry, dict) and entry.get("name")]
    for entry in found:
        name, scorer = str(entry["name"]), str(entry.get("scorer") or entry["name"])
        yield name if name == scorer else f"{scorer}.{name}"
    if not found:
        yield from (
            str(entry["name"])
            for entry in run.get("scorers") or []
            if isinstance(entry, dict) and entry.get("name")
        )


def _grading(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for entry in run.get("scorers") or []:
        if isinstance(entry, dict) and isinstance(entry.get("options"), dict):
            settings = brief_settings(stated_settings({"options": entry["options"]}, HARMLESS))
            found[str(entry.get("name"))] = {
                name.removeprefix("options."): value for name, value in settings.items()
            }
    return found
