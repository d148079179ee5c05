"""One sample of an Inspect log: an epoch of a question, with its completions and its scores.

Lives here: texts and their attachments, which completion a score belongs to, what a score's value
means. Not here: the contents of the header (``inspect_ai_settings``) and the reading of logs
(``inspect_ai``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from isocost.importers.base import ImportInput
from isocost.importers.formats.inspect_ai_settings import Log
from isocost.importers.reading import as_list, as_object
from isocost.importers.row import INVALIDATED, NO_ANSWER, Row
from isocost.importers.usage import covers_several, put_usage

# As inspect_ai.scorer.value_to_float reads them.
_WORDS = {"c": 1.0, "i": 0.0, "p": 0.5, "n": 0.0, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
_ATTACHMENT = re.compile(r"(?:attachment|tc)://([0-9a-f]{16,64}|\d+)")
# Scorers that come with Inspect: they score output.completion, which is the first of several
# completions.
_OF_THE_FIRST = frozenset(
    {"match", "includes", "answer", "choice", "pattern", "exact", "f1", "math"}
)
_KEPT = (
    "total_time",
    "working_time",
    "error_retries",
    "model_usage",
    "limit",
    "uuid",
    "metadata",
    "choices",
    "turn_count",
)


def sample_rows(
    source: ImportInput,
    file: Any,
    place: str,
    sample: dict[str, Any],
    log: Log,
    no_answers: Set[str],
) -> Iterator[Row]:
    """A row for every completion and score of a sample.

    A missing score that its log has also gets a row.

    Args:
        source: what is read.
        file: the log.
        place: position of the sample in it.
        sample: the sample.
        log: the contents of the header.
        no_answers: words that mean that no answer was found.
    """
    where = f"{file}, {place}"
    scores = _scores(sample, log, where)
    output = as_object(sample.get("output") or {}, f"{where}, output")
    choices = as_list(output.get("choices") or [], f"{where}, output.choices")
    for name in sorted(scores) or [None]:
        for index, choice in enumerate(choices or [None]):
            row = source.row("sample", file, place)
            put_log(row, log, name)
            extra = {key: sample[key] for key in _KEPT if sample.get(key) not in (None, [], {})}
            _put_sample(row, sample, output, len(choices))
            row.integer(
                "sample_index", (int(sample.get("epoch", 1)) - 1) * max(len(choices), 1) + index
            )
            if choice is not None:
                _put_choice(row, as_object(choice, f"{where}, output.choices[{index}]"), sample)
            score = None if name is None else scores[name]
            if name is not None and score is not None:
                _put_score(row, name, score, (index, len(choices)), no_answers, extra)
            if taken_back := sample.get("invalidation"):
                row.replaced(_why(taken_back), INVALIDATED)
            row.json("extra", extra)
            yield row


def put_log(row: Row, log: Log, score: str | None, reducer: str | None = None) -> None:
    """Provenance and settings of a log under one score."""
    for column, value in log.provenance.items():
        row.text(column, value)
    row.json("sampling", log.sampling)
    row.condition(log.settings(score, reducer))


def _scores(sample: dict[str, Any], log: Log, where: str) -> dict[str, dict[str, Any] | None]:
    """Scores by name.

    Each value of a score with several values is a separate score, and a missing one is None.
    """
    found = sample.get("scores") or {}
    if "score" in sample and not found:
        found = {next(iter(log.scorers), "score"): sample["score"]}  # logs of version 1
    scores: dict[str, dict[str, Any] | None] = {}
    for name, score in as_object(found, f"{where}, scores").items():
        if score is None:
            continue
        score = as_object(score, f"{where}, scores.{name}")
        value = score.get("value")
        parts = (
            value
            if isinstance(value, dict)
            else {str(i): one for i, one in enumerate(value)}
            if isinstance(value, list)
            else None
        )
        if parts is None:
            scores[name] = score
        for part, one in (parts or {}).items():
            scores[f"{name}.{part}"] = {**score, "value": one}
    have = {name.partition(".")[0] for name in scores} | set(scores)
    return scores | {
        name: None
        for name in log.scorers
        if name not in have and name.partition(".")[0] not in have
    }


def _put_sample(row: Row, sample: dict[str, Any], output: dict[str, Any], completions: int) -> None:
    attachments = _attachments(sample)
    row.text("problem_source_id", sample["id"])
    question = _message_text(sample.get("input"), attachments)
    options = sample.get("choices")
    if isinstance(question, str) and isinstance(options, list) and options:
        # The options are part of the question: in another order they are another one.
        lettered = (
            f"{chr(65 + i) if i < 26 else i + 1}) {_resolved(option, attachments)}"
            for i, option in enumerate(options)
        )
        question = "\n".join([question, "", *lettered])
    row.whole("problem_text", question)
    target = sample.get("target")
    row.whole(
        "reference",
        (
            [_resolved(one, attachments) for one in target]
            if isinstance(target, list)
            else _resolved(target, attachments)
        ),
    )
    put_usage(
        row,
        as_object(output.get("usage") or {}, f"{row.where}, output.usage"),
        completions=completions,
    )
    if completions > 1 and output.get("time") is not None:
        covers_several(row, completions, "latency_s")
    elif _is_cached(sample):
        row.null("latency_s", "cached_answer_keeps_an_old_time")
    else:
        row.seconds("latency_s", output.get("time"))
    error = sample.get("error") or output.get("error")
    row.text("error", error.get("message") if isinstance(error, dict) else error)


def _put_choice(row: Row, choice: dict[str, Any], sample: dict[str, Any]) -> None:
    message = as_object(choice.get("message") or {}, f"{row.where}, message")
    row.text("output_text", _content_text(message.get("content"), _attachments(sample)))
    row.text("finish_reason", choice.get("stop_reason"))
    row.number("logprob_sum", _logprob_sum(choice.get("logprobs")))


def _put_score(
    row: Row,
    name: str,
    score: dict[str, Any],
    place: tuple[int, int],
    no_answers: Set[str],
    extra: dict[str, Any],
) -> None:
    index, completions = place
    value, is_number = _number_of(score.get("value"))
    scorer = name.rpartition("/")[2].partition(".")[0]
    of_the_first = scorer in _OF_THE_FIRST or scorer.startswith("model_graded")
    row.text("label_name", name)
    if completions > 1 and not of_the_first:
        row.null("label_correct", f"verdict_covers_{completions}_samples")
        extra["group"] = {
            "label": score.get("value"),
            "label_name": name,
            "answer": score.get("answer"),
            "covers": completions,
        }
        return
    if index > 0:
        row.null("label_correct", "verdict_is_of_the_first_completion")
        return
    if score.get("value") == "N":
        row.null("answer", NO_ANSWER)  # so the scorer says it
    else:
        row.extracted(score.get("answer"), no_answers)
    if not is_number:
        row.null("label_score", "score_is_text")
    elif value is not None:
        row.label(value, name)


def _number_of(value: Any) -> tuple[Any, bool]:
    """A score's value as a number; a text that is not a number has none."""
    if isinstance(value, bool):
        return float(value), True
    if not isinstance(value, str):
        return value, not isinstance(value, dict | list)
    if value in ("C", "I", "P", "N") or value.lower() in ("yes", "no", "true", "false"):
        return _WORDS[value.lower()], True
    try:
        return float(value), True
    except ValueError:
        return None, False


def _is_cached(sample: dict[str, Any]) -> bool:
    """Whether the last call of the model was answered from Inspect's own cache."""
    events = sample.get("events")
    calls = [
        event
        for event in (events if isinstance(events, list) else [])
        if isinstance(event, dict) and event.get("event") == "model"
    ]
    return bool(calls) and calls[-1].get("cache") == "read"


def _why(invalidation: Any) -> str:
    told = invalidation if isinstance(invalidation, Mapping) else {}
    return (
        f"invalidated by {str(told.get('author') or 'somebody')[:60]}:"
        f" {str(told.get('reason') or 'no reason given')[:200]}"
    )


def _attachments(sample: dict[str, Any]) -> dict[str, Any]:
    found = sample.get("attachments")
    if not found and isinstance(sample.get("transcript"), dict):
        found = sample["transcript"].get("content")  # logs of 2024
    return found if isinstance(found, dict) else {}


def _message_text(value: Any, attachments: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        texts = [
            _content_text(item.get("content"), attachments)
            for item in value
            if isinstance(item, dict)
        ]
        return "\n\n".join(text for text in texts if text)
    return _resolved(value, attachments)


def _content_text(content: Any, attachments: Mapping[str, Any]) -> Any:
    if isinstance(content, list):
        parts = [
            part.get("text", "")
            for part in content
            if isinstance(part, dict) and part.get("type") == "text"
        ]
        return "".join(str(_resolved(part, attachments)) for part in parts)
    return _resolved(content, attachments)


def _resolved(value: Any, attachments: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and (match := _ATTACHMENT.fullmatch(value)):
        return attachments.get(match[1], value)
    return value


def _logprob_sum(logprobs: Any) -> float | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return sum(float(token["logprob"]) for token in content) if content else None
