"""What a results file of lm-evaluation-harness states about one of its tasks.

Lives here: provenance, the settings that enter the identity and those that do not, what each
filter's verdict covers, which way each metric points. Not here: samples (``lm_eval_samples``) and
the finding and joining of files (``lm_eval``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isocost.hashing import canonical_json, text_hash
from isocost.importers.metric_names import falls
from isocost.importers.reading import as_object
from isocost.importers.settings import (
    arguments_of,
    brief,
    brief_settings,
    stated_settings,
    without_addresses,
)

HARMLESS = {
    "date": "when it was measured",
    "start_time": "when it was measured",
    "end_time": "when it was measured",
    "total_evaluation_time_seconds": "how long the whole run took",
    "git_hash": "of the repository that the run was started in; lm_eval_version names the harness",
    "upper_git_hash": "of the folder above the one that the run was started in",
    "task_hashes": "selection of documents; problems are distinguished individually",
    "model_name_sanitized": "the model's name once more",
    "model_source": "the model class once more",
    "pretty_env_info": "a text about the machine; its accelerators and its PyTorch enter",
    "config.batch_size": "how many prompts are computed at once",
    "config.batch_sizes": "how many prompts are computed at once",
    "config.use_cache": "where answers are kept",
    "config.no_cache": "where answers are kept",
    "config.limit": "number of documents; problems are distinguished individually",
    "config.bootstrap_iters": "how the error of the mean is computed",
    "config.random_seed": "another seed is another draw of the same configuration",
    "config.numpy_seed": "another seed is another draw of the same configuration",
    "config.torch_seed": "another seed is another draw of the same configuration",
    "model_args.batch_size": "how many prompts are computed at once",
    "model_args.max_batch_size": "how many prompts are computed at once",
    "model_args.num_concurrent": "how many requests are in flight",
    "model_args.max_retries": "how often a failed request is asked again",
    "model_args.timeout": "how long to wait for a request",
    "model_args.seed": "another seed is another draw of the same configuration",
    "model_args.base_url": "where the model was asked, not which one answered",
    "model_args.cache_dir": "where files are kept",
    "model_args.download_dir": "where files are kept",
    "model_args.offload_folder": "where files are kept",
    "model_args.gpu_memory_utilization": "how much memory is set aside",
    "model_args.swap_space": "how much memory is set aside",
    "model_args.max_memory_per_gpu": "how much memory is set aside",
    "model_args.max_cpu_memory": "how much memory is set aside",
    "model_args.*api_key*": "who asks; a secret is kept nowhere",
    "model_args.*auth_token*": "who asks; a secret is kept nowhere",
    "model_args.token": "who asks; a secret is kept nowhere",
    "model_args.hf_token": "who asks; a secret is kept nowhere",
    "task.task": "the task's name once more",
    "task.task_alias": "how the task is printed",
    "task.tag": "lists that contain the task",
    "task.group": "lists that contain the task",
    "task.group_alias": "lists that contain the task",
    "task.repeats": "number of repetitions: every answer is a sample",
    "task.num_fewshot": "n-shot once more",
    "task.metadata.version": "the task's version once more",
    "task.metadata.num_fewshot": "n-shot once more",
    "task.should_decontaminate": "a second score",
    "task.doc_to_decontamination_query": "a second score",
    "task.unsafe_code": "a permission, without which the task does not run",
}

# Settings that shape the prompt are in its hash, not individually in the condition.
_PROMPT = (
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "doc_to_image",
    "doc_to_audio",
    "process_docs",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_split",
    "fewshot_config",
    "gen_prefix",
    "use_prompt",
)
_PROMPT_OF_RUN = (
    "system_instruction",
    "system_instruction_sha",
    "chat_template",
    "chat_template_sha",
    "fewshot_as_multiturn",
)
# Other contents of a results file.
_NO_SETTINGS = frozenset(
    {
        "results",
        "groups",
        "group_subtasks",
        "configs",
        "versions",
        "n-shot",
        "higher_is_better",
        "n-samples",
        "samples",
        "model_name",
    }
    | {"config", *_PROMPT_OF_RUN}
)
_NO_CONFIG = frozenset(
    {"model", "model_args", "gen_kwargs", "num_fewshot", "fewshot_seed", "device"}
)
_NAMES = ("peft", "delta", "pretrained", "model", "path", "engine")
# Filters that keep one answer apart from the others: the verdict is of the first, which take_first
# leaves.
_ONE_BY_ONE = re.compile(
    r"regex.*|.*regex|remove_whitespace|lowercase|uppercase|map|take_first|strip.*|format_span|uniq",
    re.IGNORECASE,
)
_OF_GROUP = re.compile(r"maj(ority)?([@_ -]|$)|vote|pass[@_-]|consensus|cons@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of one run.

    Attributes:
        provenance: model_variant, task, task_version, prompt, prompt_hash; None for what is not
            stated.
        sampling: how answers are drawn; None where it is not stated.
        condition: settings of the identity.
        steps: filter name -> the names of its functions, in order.
        no_answers: values by which the filters report that they found nothing.
        rises: metric -> whether higher is better; None if not stated.
        target_delimiter: the text between a prompt and a choice.
    """

    provenance: dict[str, Any]
    sampling: dict[str, Any] | None = None
    condition: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    no_answers: frozenset[str] = frozenset()
    rises: dict[str, bool | None] = field(default_factory=dict)
    target_delimiter: str = " "
    _settings: dict[tuple[str | None, str | None], dict[str, Any]] = field(default_factory=dict)

    def settings(self, filter_name: str | None, metric: str | None = None) -> dict[str, Any]:
        """All settings under one filter.

        Those of the task, the filter's name, its functions if the file states them; a requested
        metric.
        """
        key = (filter_name, metric)
        if key not in self._settings:
            steps = [
                step
                for step in self.steps.get(filter_name or "", [])
                if step != {"function": "take_first"}
            ]
            own = {
                "filter": filter_name,
                "filter_steps": brief(steps) if steps else None,
                "metric": metric,
            }
            self._settings[key] = {
                **self.condition,
                **{name: value for name, value in own.items() if value is not None},
            }
        return self._settings[key]

    def covered(self, name: str, repeats: int) -> int:
        """Answers that the one verdict under a filter is of.

        1 for the first one, else so many together.
        """
        functions = [str(step.get("function")) for step in self.steps.get(name, [])]
        if repeats == 1 or (
            functions and all(_ONE_BY_ONE.fullmatch(function) for function in functions)
        ):
            return 1
        if not functions and not _OF_GROUP.search(name):
            return 1  # lm-eval's own filter, where a task names none, is take_first
        first = next(
            (
                step.get("k")
                for step in self.steps.get(name, [])
                if step.get("function") == "take_first_k"
            ),
            None,
        )
        return min(first, repeats) if isinstance(first, int) and first > 0 else repeats

    def falls(self, metric: str) -> bool:
        """Whether a metric falls as the model gets better."""
        said = self.rises.get(metric)
        return not said if said is not None else falls(metric)


def task_of(document: dict[str, Any], name: str, where: str) -> Task:
    """What a results file states of one of its tasks, or of a group of them."""
    if not document:
        return Task({"task": name})
    config = as_object(_of(document, "configs", name, where) or {}, f"{where}, configs.{name}")
    members = (
        []
        if config
        else [
            member
            for member in _members(document, name)
            if isinstance(document.get("configs", {}).get(member), dict)
        ]
    )
    if members:
        return _group(document, name, [task_of(document, member, where) for member in members])
    run = as_object(document.get("config") or {}, f"{where}, config")
    arguments = arguments_of(run.get("model_args"))
    model = document.get("model_name") or next(
        (arguments[key] for key in _NAMES if arguments.get(key)), None
    )
    is_old = "configs" not in document
    # In lm-eval 0.3 config.model is a class of the harness, which may be called as a model is; its
    # version 0 means: never versioned.
    model = model if model or is_old else run.get("model")
    version = _of(document, "versions", name, where)
    shots = run.get("num_fewshot") if is_old else _of(document, "n-shot", name, where)
    sampling = config.get("generation_kwargs")
    if sampling is None and config.get("output_type"):
        sampling = {"method": config["output_type"]}  # log-likelihoods: nothing is drawn
    said = config or (is_old and shots is not None)
    provenance = {
        "task": name,
        "model_variant": model,
        "task_version": None if is_old and version == 0 else version,
        "prompt": f"lm_eval:{name}:{shots}-shot" if said else None,
        "prompt_hash": _prompt_hash(document, config, shots) if config else None,
    }
    steps = _filters(config)
    return Task(
        provenance,
        sampling if isinstance(sampling, dict) else None,
        _condition(document, run, arguments, model, config, sampling),
        steps,
        frozenset(
            _word(step["fallback"])
            for every in steps.values()
            for step in every
            if step.get("fallback")
        ),
        _rises(document, config, name),
        str(config.get("target_delimiter", " ")),
    )


def _of(document: dict[str, Any], part: str, name: str, where: str) -> Any:
    return as_object(document.get(part) or {}, f"{where}, {part}").get(name)


def _members(document: dict[str, Any], name: str, depth: int = 0) -> list[str]:
    """Tasks of a group, at whatever depth."""
    below = (document.get("group_subtasks") or {}).get(name) or []
    if not isinstance(below, list) or depth > 20:
        return []
    return [
        task
        for member in below
        if isinstance(member, str)
        for task in (_members(document, member, depth + 1) or [member])
    ]


def _group(document: dict[str, Any], name: str, members: list[Task]) -> Task:
    """A group has the common values of its tasks.

    Where they differ, a hash represents all of them.
    """
    versions = {
        str(member.provenance["task"]): member.provenance["task_version"] for member in members
    }
    own = (document.get("versions") or {}).get(name)
    common = _common([str(value) for value in versions.values()])
    conditions = [member.condition for member in members]
    shared = {
        key: value
        for key, value in conditions[0].items()
        if all(other.get(key) == value for other in conditions)
    }
    differing = [
        {key: value for key, value in condition.items() if key not in shared}
        for condition in conditions
    ]
    if any(differing):
        shared["of_its_tasks"] = brief(differing)
    samplings = [member.sampling for member in members]
    drawn = _common(
        [None if sampling is None else canonical_json(sampling) for sampling in samplings]
    )
    provenance = {
        "task": name,
        "model_variant": members[0].provenance["model_variant"],
        "task_version": own
        if own is not None
        else common or f"sha256:{text_hash(canonical_json(versions))}",
        "prompt": f"lm_eval:{name}:{(document.get('n-shot') or {}).get(name, 'mixed')}-shot",
        "prompt_hash": text_hash(
            canonical_json([member.provenance["prompt_hash"] for member in members])
        ),
    }
    sampling = samplings[0] if drawn is not None else {"of_its_tasks": brief(samplings)}
    return Task(provenance, sampling, shared, rises=_rises(document, {}, name))


def _common(values: list[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _condition(
    document: dict[str, Any],
    run: dict[str, Any],
    arguments: dict[str, Any],
    model: Any,
    config: dict[str, Any],
    sampling: Any,
) -> dict[str, Any]:
    drawn = (
        {key: str(value) for key, value in sampling.items()} if isinstance(sampling, dict) else {}
    )
    asked = {
        key: value
        for key, value in arguments_of(run.get("gen_kwargs")).items()
        if drawn.get(key) != str(value)
    }
    known = {key: str(value) for key, value in arguments.items()}
    rest = {
        key: value
        for key, value in config.items()
        if key not in (*_PROMPT, "generation_kwargs", "filter_list")
    }
    metadata = rest.get("metadata")
    if isinstance(
        metadata, dict
    ):  # the model's arguments once more, and what else the run passed to the task
        rest["metadata"] = {
            key: value for key, value in metadata.items() if known.get(key) != str(value)
        }
    stated = {
        **{key: value for key, value in document.items() if key not in _NO_SETTINGS},
        "engine": run.get("model"),
        "model_args": {key: value for key, value in arguments.items() if value != model},
        "config": {key: value for key, value in run.items() if key not in _NO_CONFIG},
        "gen_kwargs": asked,
        "device": str(run["device"]).partition(":")[0] if run.get("device") else None,
        "task": rest,
        **_machine(document.get("pretty_env_info")),
    }
    return brief_settings(stated_settings(stated, HARMLESS))


def _machine(text: Any) -> dict[str, str]:
    """Accelerators (or else the processor) and PyTorch of ``torch.utils.collect_env``."""
    if not isinstance(text, str):
        return {}
    found = {}
    names = re.findall(r"^GPU \d+: (.+?)(?: \(UUID.*)?\s*$", text, re.MULTILINE)
    processor = re.search(r"^Model name:\s*(.+?)\s*$", text, re.MULTILINE)
    if names:
        found["hardware"] = ", ".join(
            f"{names.count(name)}x {name}" for name in dict.fromkeys(names)
        )
    elif processor:
        found["hardware"] = processor[1]
    if version := re.search(r"^PyTorch version:\s*(\S+)\s*$", text, re.MULTILINE):
        found["torch_version"] = version[1]
    return {key: value for key, value in found.items() if value != "N/A"}


def _prompt_hash(document: dict[str, Any], config: dict[str, Any], shots: Any) -> str:
    template = {key: config[key] for key in _PROMPT if config.get(key) is not None}
    template |= {key: document[key] for key in _PROMPT_OF_RUN if document.get(key) is not None}
    if shots:
        # Which examples are shown hangs on it; where none are shown, nothing does.
        template["fewshot_seed"] = (document.get("config") or {}).get("fewshot_seed")
    return text_hash(without_addresses(repr(sorted({**template, "shots": shots}.items()))))


def _filters(config: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for entry in config.get("filter_list") or []:
        if isinstance(entry, dict) and isinstance(entry.get("filter"), list):
            found[str(entry.get("name"))] = [
                step for step in entry["filter"] if isinstance(step, dict)
            ]
    return found


def _word(fallback: Any) -> str:
    return (
        (fallback if isinstance(fallback, str) else json.dumps(fallback, separators=(",", ":")))
        .strip()
        .casefold()
    )


def _rises(document: dict[str, Any], config: dict[str, Any], name: str) -> dict[str, bool | None]:
    listed = config.get("metric_list")
    found = {
        str(entry.get("metric")): entry.get("higher_is_better")
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
    }
    stated = (document.get("higher_is_better") or {}).get(name)
    merged = {**found, **(stated if isinstance(stated, Mapping) else {})}
    return {str(key): value if isinstance(value, bool) else None for key, value in merged.items()}
