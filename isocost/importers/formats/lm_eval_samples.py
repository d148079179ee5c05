"""One line of an lm-evaluation-harness samples file: a document under one filter.

With all its answers and one verdict.

Lives here: the shapes of requests and answers, which answer the verdict belongs to, which of
several metrics provides it. Not here: the contents of the results file (``lm_eval_settings``) and
the finding and
joining of files (``lm_eval``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.hashing import text_hash
from isocost.importers.base import ImportInput
from isocost.importers.formats.lm_eval_settings import Task
from isocost.importers.metric_names import samples_of
from isocost.importers.reading import as_list
from isocost.importers.row import Row

# The verdict of a task with several metrics, by default: the first of these that it has.
_PREFERRED = ("exact_match", "acc", "acc_norm", "pass@1", "math_verify", "prompt_level_strict_acc")
# Numbers of a document that are not verdicts: likelihoods, perplexities, lengths, counts, times.
_NO_VERDICT = re.compile(
    r"perplexity|bits_per_byte|likelihood|loglik|log_?prob|brier|bypass|(^|_)(ll|nll|len|length|count|counts|words|chars|bytes|tokens|time|"
    r"latency|seconds)($|_)|^num_|_num$",
    re.IGNORECASE,
)
_QUESTIONS = (
    "question",
    "problem",
    "query",
    "ctx",
    "goal",
    "sentence",
    "input",
    "prompt",
    "instruction",
)


def document_rows(
    source: ImportInput,
    file: Path,
    number: int,
    value: dict[str, Any],
    task: Task,
    no_answers: frozenset[str],
) -> Iterator[Row]:
    """A row for every answer of a document.

    Args:
        source: what is read.
        file: the samples file.
        number: the line.
        value: its object, with its filter's name.
        task: the task's settings in the results file.
        no_answers: words that mean that nothing was found.
    """
    where = f"{file}, line {number}"
    answers, asked = _answers(value, where), source.options.get("metric")
    document = _Document(
        value, task, _metric(value, task, asked, where), len(answers), no_answers | task.no_answers
    )
    for index, answer in enumerate(answers or [None]):
        row = source.row("sample", file, f"line {number}")
        put_task(row, task, value["filter"], asked)
        if task.sampling is None:
            row.json("sampling", _request_sampling(value))
        _put_problem(row, value)
        row.text("output_text", answer)
        if len(answers) > 1:
            row.integer("sample_index", index)
        extra = {
            key: value[key] for key in ("doc_hash", "prompt_hash", "target_hash") if key in value
        }
        extra["metrics"] = {name: value.get(name) for name in _names(value)}
        if answer is None:
            extra["resps"] = value.get("resps")
        _put_verdict(row, document, index, extra)
        row.json("extra", extra)
        yield row


@dataclass(frozen=True, slots=True)
class _Document:
    """A line and the inputs of its verdict.

    The metric that provides it, the number of texts (0 if nothing was generated).
    """

    value: dict[str, Any]
    task: Task
    judge: str | None
    repeats: int
    no_answers: frozenset[str]


def put_task(row: Row, task: Task, filter_name: str | None, metric: str | None = None) -> None:
    """Provenance and settings of a task under one filter."""
    for column, value in task.provenance.items():
        row.text(column, value)
    row.json("sampling", task.sampling)
    row.condition(task.settings(filter_name, metric))


def _answers(value: dict[str, Any], where: str) -> list[str]:
    """The generated texts of a document.

    All repeats of its one request; none for log-likelihood requests and for several requests.
    """
    requests = as_list(value.get("resps"), f"{where}, resps")
    if len(requests) != 1:
        return []
    repeats = requests[0] if isinstance(requests[0], list) else [requests[0]]
    return repeats if all(isinstance(item, str) for item in repeats) else []


def _requests(value: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Prompt and continuation (or generation arguments) of each request, in order."""
    arguments = value.get("arguments")
    if isinstance(
        arguments, dict
    ):  # gen_args_0: {arg_0, arg_1}; gen_args_10 comes after gen_args_9
        found = []
        while isinstance(one := arguments.get(f"gen_args_{len(found)}"), dict):
            found.append((one.get("arg_0"), one.get("arg_1")))
        return found
    listed = arguments if isinstance(arguments, list) else []
    return [
        (one[0] if one else None, one[1] if len(one) > 1 else None)
        for one in listed
        if isinstance(one, list)
    ]


def _request_sampling(value: dict[str, Any]) -> dict[str, Any] | None:
    last = next((second for _, second in _requests(value)), None)
    return last if isinstance(last, dict) else None


def _put_problem(row: Row, value: dict[str, Any]) -> None:
    """The problem.

    Its number and its document, which is the same under every prompt; the prompt is not.
    """
    document = value.get("doc")
    known = (
        text_hash(json.dumps(document, sort_keys=True), 12) if isinstance(document, dict) else None
    )
    row.text("problem_source_id", value["doc_id"])
    if known is not None:
        row.text("problem_source_id", f"{row.values['problem_source_id']}:{known}")
    question = (
        next((document[name] for name in _QUESTIONS if document.get(name)), None)
        if isinstance(document, dict)
        else None
    )
    prompt = next((first for first, _ in _requests(value)), None)
    row.whole("problem_text", question if question is not None else prompt)
    row.whole("reference", value.get("target"))


def _names(value: dict[str, Any]) -> list[str]:
    return [name for name in value.get("metrics") or [] if isinstance(name, str)]


def _metric(value: dict[str, Any], task: Task, asked: str | None, where: str) -> str | None:
    """The metric that provides the verdict.

    The requested one, otherwise the first that can be a verdict; a lower-is-better one only if
    there is no other.
    """
    names = _names(value)
    if asked is not None:
        if asked not in names:
            raise IsocostError(
                f"has no metric {asked!r}",
                where=where,
                remedy=f"Its metrics are {', '.join(names) or 'none'}",
            )
        return asked
    verdicts = [name for name in names if not _NO_VERDICT.search(name)]
    judging = [name for name in verdicts if samples_of(name) == 1] or verdicts
    rising = [name for name in judging if not task.falls(name)]
    return next(
        (name for name in _PREFERRED if name in rising), next(iter(rising or judging), None)
    )


def _put_verdict(row: Row, document: _Document, index: int, extra: dict[str, Any]) -> None:
    value, repeats, judge = document.value, document.repeats, document.judge
    score, filtered = value.get(judge) if judge else None, value.get("filtered_resps")
    first = filtered[0] if isinstance(filtered, list) and filtered else filtered
    several = first if repeats > 0 and isinstance(first, list) else None
    each = several is not None and len(several) == repeats
    if several is not None and each:
        row.extracted(several[index], document.no_answers)
        if (
            isinstance(score, list)
            and len(score) == repeats
            and all(_is_number(one) for one in score)
        ):
            _label(row, document, score[index])  # a verdict for each repeat
            return
    covers = (
        repeats
        if each
        else (
            min(len(several), repeats)
            if several is not None
            else document.task.covered(value["filter"], max(repeats, 1))
        )
    )
    if covers > 1:
        row.null("label_correct", f"verdict_covers_{covers}_samples")
        extra["group"] = {"label": score, "label_name": judge, "answer": first, "covers": covers}
    elif index > 0:
        row.null("label_correct", "verdict_is_of_the_first_repeat")
    elif _is_number(score):
        if not repeats:
            _put_choice(row, document, extra)
        elif not each:
            row.extracted(first, document.no_answers)
        _label(row, document, score)
    elif _names(value):
        row.null(
            "label_correct", "no_metric_is_a_verdict" if judge is None else "metric_is_no_number"
        )


def _label(row: Row, document: _Document, score: Any) -> None:
    falls = document.task.falls(document.judge or "")
    row.label(
        float(score) if isinstance(score, bool) else score,
        document.judge,
        higher_is_better=not falls,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _put_choice(row: Row, document: _Document, extra: dict[str, Any]) -> None:
    """The option that a model chose by its log-likelihoods.

    Nothing if the file does not determine it.
    """
    value, judge = document.value, document.judge
    asked, likelihoods = _requests(value), _likelihoods(value.get("filtered_resps"))
    if likelihoods is None or len(likelihoods) != len(asked) or len(asked) < 2:
        return
    if "acc_mutual_info" in _names(value) and len(asked) % 2 == 0:
        # The second half are the same choices after an empty prompt.
        asked, likelihoods = asked[: len(asked) // 2], likelihoods[: len(asked) // 2]
    choices = [str(second).removeprefix(document.task.target_delimiter) for _, second in asked]
    sizes: Sequence[float] = [1.0] * len(choices)
    if judge == "acc_norm":
        sizes = [float(len(choice)) for choice in choices]
    elif judge == "acc_bytes":
        sizes = [float(len(choice.encode("utf-8", "replace"))) for choice in choices]
    if judge not in ("acc", "acc_norm", "acc_bytes") or 0.0 in sizes:
        return
    scaled = [likelihood / size for likelihood, size in zip(likelihoods, sizes, strict=True)]
    chosen = scaled.index(max(scaled))
    target = _index(value.get("target"), choices)
    extra["chosen_index"] = chosen
    if target is not None and (target == chosen) != (value.get(judge) in (1, 1.0, True)):
        row.null("answer", "likelihoods_contradict_the_verdict")
        return
    # If the options are in the prompt, their continuations are equal: the number identifies the
    # option.
    row.text("answer", choices[chosen] if len(set(choices)) == len(choices) else str(chosen))


def _likelihoods(filtered: Any) -> list[float] | None:
    """The log-likelihood of each request, a pair with whether it is greedy in lm-eval."""
    try:
        found = [
            float(one[0])
            for one in filtered
            if isinstance(one, list) and len(one) == 2 and str(one[1]).lower() in ("true", "false")
        ]
        return found if len(found) == len(filtered) and not any(map(math.isnan, found)) else None
    except (TypeError, ValueError):
        return None


def _index(target: Any, choices: list[str]) -> int | None:
    if isinstance(target, int) and not isinstance(target, bool):
        return target
    if isinstance(target, str):
        return (
            choices.index(target)
            if target in choices
            else int(target)
            if target.strip().isdecimal()
            else None
        )
    return None
