"""Tasks of lm-evaluation-harness: `dataset: gsm8k_cot` is its task of that name.

Lives here: the settings of the source, and what a document becomes. `config` has lm-eval's own
options: `num_fewshot`, `apply_chat_template`, `fewshot_as_multiturn`, `system_instruction`,
`include_path`; `filter` and `metric` choose what scores, `max_gen_toks` replaces the task's own
length. Not here: lm-eval itself (``isocost.tasks.harness``), scoring (the verifier ``lm_eval``).
"""

from __future__ import annotations

from typing import Any

from isocost.tasks.harness import finding
from isocost.tasks.harness.asking import OPTIONS, Asked, first_asked, loaded, settings_of
from isocost.tasks.harness.scoring import scorer
from isocost.tasks.model import Problem, TaskLike, TaskMistake, make_problem
from isocost.tasks.registry import register_source
from isocost.tasks.sourcing import check_flags, check_known, check_texts, first_distinct

_SCORED = ("filter", "metric")
_KEYS = (*OPTIONS, *_SCORED, "max_gen_toks")
_RESOLVED = ("lm_eval", "version", "commit", "requests")


@register_source
class LmEval:
    """The source "lm_eval"."""

    name = "lm_eval"

    def resolve(self, task: TaskLike) -> dict[str, Any]:
        """The settings with versions, shots, filter, metric and length, and a hash of it all."""
        self._check_settings(task)
        if task.config.get("requests"):
            return dict(task.config)
        settings = settings_of(task.dataset, task.config)
        asked, own = first_asked(settings, task.n_problems), loaded(settings)
        chosen = scorer(settings, task.config.get("filter"), task.config.get("metric"))
        stated = own.task.get_config("metadata") or {}
        commit = own.commit()
        return {
            **task.config,
            "num_fewshot": own.task.get_config("num_fewshot"),
            "filter": chosen.filter,
            "metric": chosen.metric,
            "max_gen_toks": task.config.get("max_gen_toks", asked[0].most_tokens),
            "lm_eval": finding.version(),
            "version": str(stated.get("version", own.task.VERSION)),
            "requests": own.fingerprint(list(asked)),
            **({} if commit is None else {"commit": commit}),
        }

    def check(self, task: TaskLike) -> None:
        """Check settings and name, and that the task's answers are generated."""
        self._check_settings(task)
        finding.entry(task.dataset, task.config.get("include_path"))

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first different documents in the data set's order, as lm-eval asks them."""
        self.check(task)
        settings = settings_of(task.dataset, task.config)
        asked = first_asked(settings, task.n_problems)
        self._check_unchanged(task, loaded(settings).fingerprint(list(asked)))
        return first_distinct(
            task,
            (self._problem(task, one) for one in asked),
            named=f"task {task.dataset} of lm-eval",
            if_none="Name another task.",
        )

    def _problem(self, task: TaskLike, asked: Asked) -> Problem:
        problem = make_problem(
            task.name,
            asked.question,
            asked.target,
            task.verifier,
            metadata={
                "source": self.name,
                "dataset": task.dataset,
                "config": task.config,
                "row": f"document {asked.doc_id}",
                "doc_id": asked.doc_id,
                "document": asked.digest,
            },
            fields={"prompt": asked.prompt, "document": asked.digest},
            stop=asked.stop,
            messages=asked.messages,
        )
        return problem

    def _check_settings(self, task: TaskLike) -> None:
        config = task.config
        check_known(task, _KEYS, resolved=_RESOLVED)
        check_texts(config, ("include_path", "system_instruction", *_SCORED))
        check_flags(config, "apply_chat_template", "fewshot_as_multiturn")
        for key, least in (("num_fewshot", 0), ("max_gen_toks", 1)):
            if key in config and (type(config[key]) is not int or config[key] < least):
                raise TaskMistake(
                    f"must be a whole number from {least}",
                    remedy="Correct the number, or remove it for the task's own.",
                    key=("config", key),
                )
        if "fewshot_as_multiturn" in config and not config.get("apply_chat_template"):
            raise TaskMistake(
                "shots are turns only in a chat",
                remedy="Add apply_chat_template: true, or remove fewshot_as_multiturn.",
                key=("config", "fewshot_as_multiturn"),
            )

    def _check_unchanged(self, task: TaskLike, requests: str) -> None:
        planned = task.config.get("lm_eval")
        if planned is not None and planned != finding.version():
            raise TaskMistake(
                f"task {task.name} was planned with lm-eval {planned}; {finding.version()} is"
                " installed",
                remedy=f"Plan the sweep again, or install lm-eval {planned}.",
                key=("config", "lm_eval"),
            )
        if task.config.get("requests", requests) != requests:
            raise TaskMistake(
                f"the documents, prompts or scoring of task {task.dataset} are not those that were"
                " planned",
                remedy="Plan the sweep again, or restore the data set and the task's YAML file.",
                key=("config", "requests"),
            )
