"""The contents of a HELM run folder: provenance, and settings of the identity or not.

Not here: completions, statistics and the reading of folders (``helm``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.hashing import canonical_json, text_hash
from isocost.importers.reading import as_object, load_json
from isocost.importers.settings import brief_settings, stated_settings

HARMLESS = {
    "groups": "lists that contain the run",
    "metric_specs": "metrics of the answers; the metric with the verdict is named on each row",
    "adapter_spec.max_eval_instances": ("number of instances; they are distinguished individually"),
    "adapter_spec.eval_splits": "which instances are asked; each one's split enters",
    "adapter_spec.num_train_trials": "number of repetitions: every answer is a sample",
    "adapter_spec.num_trials": "number of repetitions: every answer is a sample",
    "adapter_spec.random": "another seed is another draw of the same configuration",
}
_PROMPT = frozenset(
    {
        "method",
        "global_prefix",
        "global_suffix",
        "instructions",
        "input_prefix",
        "input_suffix",
        "reference_prefix",
        "reference_suffix",
    }
    | {
        "chain_of_thought_prefix",
        "chain_of_thought_suffix",
        "output_prefix",
        "output_suffix",
        "instance_prefix",
        "substitutions",
    }
    | {"max_train_instances", "reference_prefix_characters", "sample_train"}
)
_SAMPLING = ("temperature", "max_tokens", "num_outputs", "stop_sequences")
_DRAWN = {"top_p": 1, "top_k_per_token": 1, "presence_penalty": 0, "frequency_penalty": 0}
# Defaults of HELM's classes; older versions, which lack a field, behave as its default does.
_DEFAULTS: dict[str, Any] = {
    "adapter_spec.multi_label": False,
    "data_augmenter_spec.should_augment_train_instances": False,
    "data_augmenter_spec.should_include_original_train": False,
    "data_augmenter_spec.should_skip_unchanged_train": False,
    "data_augmenter_spec.should_augment_eval_instances": False,
    "data_augmenter_spec.should_include_original_eval": False,
    "data_augmenter_spec.should_skip_unchanged_eval": False,
    "data_augmenter_spec.seeds_per_instance": 1,
}


@dataclass(frozen=True, slots=True)
class Run:
    """What a run_spec.json states.

    Attributes:
        provenance: model_variant, task, prompt, prompt_hash; HELM has no versions of tasks.
        sampling: how answers are drawn.
        condition: settings of the identity.
    """

    provenance: dict[str, Any]
    sampling: dict[str, Any]
    condition: dict[str, Any]


def run_of(file: Path) -> Run:
    """What a run_spec.json states of its run."""
    spec = as_object(load_json(file), str(file))
    adapter = as_object(spec.get("adapter_spec"), f"{file}, adapter_spec")
    head, _, arguments = str(spec["name"]).partition(":")
    kept = ",".join(
        part
        for part in arguments.split(",")
        if part and not part.startswith(("model=", "model_deployment="))
    )
    template = {key: adapter[key] for key in _PROMPT if adapter.get(key) is not None}
    mapped = {*_PROMPT, *_SAMPLING, "model", "model_deployment"}
    stated = {
        **{key: value for key, value in spec.items() if key not in ("name", "adapter_spec")},
        "adapter_spec": {key: value for key, value in adapter.items() if key not in mapped},
        "provider": adapter.get("model_deployment"),
    }
    settings = stated_settings(stated, HARMLESS)
    condition = {
        name: value
        for name, value in settings.items()
        if name not in _DEFAULTS or value != _DEFAULTS[name]
    }
    return Run(
        {
            "model_variant": adapter.get("model"),
            "task": f"{head}:{kept}" if kept else head,
            "prompt": f"helm:{adapter.get('method')}",
            "prompt_hash": text_hash(canonical_json(template)),
        },
        {key: adapter[key] for key in _SAMPLING if adapter.get(key) is not None},
        brief_settings(condition),
    )


def drawn_by_request(request: Any) -> dict[str, Any]:
    """Sampling parameters that are only in a request, if they differ from HELM's defaults."""
    asked = request if isinstance(request, dict) else {}
    return {
        key: asked[key]
        for key, usual in _DRAWN.items()
        if asked.get(key) is not None and asked[key] != usual
    }
