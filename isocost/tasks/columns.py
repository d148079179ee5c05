"""From a row of a data set to a problem, by the names of its columns.

Lives here: which columns are the question, the reference, the choices and so on, how choices get
their letters and their order, and what a value has to be. Not here: where the rows come from
(``isocost.hub``), nor what a prompt looks like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from isocost.hashing import sha256_hex
from isocost.registry import did_you_mean
from isocost.tasks.model import TaskMistake

ROLES = ("question", "reference", "choices", "cluster", "context", "tests")
_SEVERAL = ("choices", "tests")
"""Roles that may name a list of columns."""
_TAKEN = ("stem", "prompt")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
REFERENCE_FORMS = ("letter", "index", "text", "label")


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of a problem as they are shown.

    Attributes:
        texts: in the order shown.
        order: for each, its position among the source's choices, from 0.
        letter: the letter of the correct one.
    """

    texts: tuple[str, ...]
    order: tuple[int, ...]
    letter: str

    @property
    def lettered(self) -> str:
        """One line for each: "A. text"."""
        return lettered(self.texts, "{letter}. {text}")


def lettered(texts: Sequence[str], form: str) -> str:
    """Choices one below the other, each as `form` says with {letter} and {text}."""
    return "\n".join(
        form.replace("{letter}", letter).replace("{text}", text)
        for letter, text in zip(ascii_uppercase, texts, strict=False)
    )


def check_columns(columns: Any) -> None:
    """Check the setting `columns` of a task.

    Raises:
        TaskMistake: it is not a mapping from fields to columns, or lacks the question or the
            reference.
    """
    key = ("config", "columns")
    if not isinstance(columns, dict) or not columns:
        raise TaskMistake(
            "the columns are not named",
            remedy="Write for example `columns: {question: question, reference: answer}`.",
            key=key,
        )
    for name, value in columns.items():
        if not _NAME.fullmatch(str(name)) or name in _TAKEN:
            raise TaskMistake(
                f"{name!r} cannot be the name of a field",
                remedy=(
                    "A name is lower case letters, digits and _, and is none of"
                    f" {', '.join(_TAKEN)}."
                ),
                key=(*key, str(name)),
            )
        is_list = isinstance(value, list) and name in _SEVERAL and value
        if not all(isinstance(v, str) and v for v in (value if is_list else [value])):
            several = " or a list of columns" if name in _SEVERAL else ""
            raise TaskMistake(
                f"{name} must be the name of a column{several}",
                remedy="Give a text; quote it if it contains special characters.",
                key=(*key, str(name)),
            )
    if "question" not in columns or not {"reference", "tests"} & set(columns):
        near = [name for name in columns if name not in ROLES]
        raise TaskMistake(
            "columns must name the question, and the reference or the tests",
            remedy=(
                f"Fields with a meaning are {', '.join(ROLES)}."
                + (f" Given: {', '.join(near)}." if near else "")
            ),
            key=key,
        )
    if {"reference", "tests"} <= set(columns):
        raise TaskMistake(
            "the tests are the reference; both are named",
            remedy="Name one of them.",
            key=(*key, "tests"),
        )


def top_columns(columns: Mapping[str, Any], known: Sequence[str], where: str) -> list[str]:
    """The columns of a file that fields are read from.

    Args:
        columns: the setting `columns`.
        known: the file's columns.
        where: the file, for messages.

    Raises:
        TaskMistake: the file lacks one; names the nearest.
    """
    found = []
    for field, value in columns.items():
        for column in value if isinstance(value, list) else [value]:
            top = column if column in known else column.split(".")[0]
            if top not in known:
                raise TaskMistake(
                    f"there is no column {column} ({field})",
                    where=where,
                    remedy=did_you_mean(column, known, kind="columns"),
                    key=("config", "columns", field),
                )
            if top not in found:
                found.append(top)
    return found


def value_of(row: Mapping[str, Any], column: str) -> Any:
    """A column's value; "choices.text" is the part `text` of the column `choices`."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def text_of(
    row: Mapping[str, Any],
    field: str,
    column: str,
    where: str,
    *,
    may_be_empty: bool = False,
    stripped: bool = False,
) -> str:
    """A column's value as text.

    Args:
        row: the row.
        field: the field that it becomes.
        column: the column.
        where: file and row, for messages.
        may_be_empty: whether an empty text is a value.
        stripped: whether to remove surrounding white space.

    Raises:
        TaskMistake: it is missing, empty, or neither text nor number.
    """
    value = value_of(row, column)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str) or (is_number and math.isfinite(value)):
        text = str(value).strip() if stripped else str(value)
        if may_be_empty or text.strip():
            return text
    what = "is missing" if value is None else "is empty" if value == "" else None
    raise TaskMistake(
        f"column {column} ({field}) {what or f'is {_shown(value)}, neither text nor number'}",
        where=where,
        remedy="Name another column, or other rows with subset, split or files.",
        key=("config", "columns", field),
    )


def choices_of(
    row: Mapping[str, Any],
    columns: Mapping[str, Any],
    where: str,
    *,
    form: str | None,
    shuffle: str | None,
) -> Choices:
    """The choices of a row, and which one the reference names.

    Args:
        row: the row.
        columns: the setting `columns`.
        where: file and row, for messages.
        form: how the reference names its choice, one of `REFERENCE_FORMS`; judged by the value if
            None: a whole number is a position from 0, a text is a label of the source's own, a
            letter, or the text of a choice.
        shuffle: what the order is drawn from; the source's order if None.

    Raises:
        TaskMistake: fewer than two or more than 26 choices, or a reference that names none of them
            or several.
    """
    texts, labels = _choice_texts(row, columns["choices"], where)
    correct = _correct(row, columns, texts, labels, where, form)
    order = list(range(len(texts)))
    if shuffle is not None:
        order.sort(key=lambda index: sha256_hex([shuffle, index]))
    return Choices(
        tuple(texts[index] for index in order), tuple(order), ascii_uppercase[order.index(correct)]
    )


def _choice_texts(
    row: Mapping[str, Any], named: Any, where: str
) -> tuple[list[str], list[str] | None]:
    key = ("config", "columns", "choices")
    labels = None
    if isinstance(named, list):
        texts = [text_of(row, "choices", column, where, stripped=True) for column in named]
    else:
        value = value_of(row, named)
        if isinstance(value, Mapping) and {"text", "label"} <= set(value):
            labels, value = [str(label) for label in value["label"]], value["text"]
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TaskMistake(
                f"column {named} (choices) is {_shown(value)}, not a list of texts",
                where=where,
                remedy="Name a column of lists, or a list of columns with one choice each.",
                key=key,
            )
        texts = [text_of({"choice": v}, "choices", "choice", where, stripped=True) for v in value]
    if not 2 <= len(texts) <= len(ascii_uppercase) or (labels and len(labels) != len(texts)):
        raise TaskMistake(
            f"there are {len(texts)} choices; a problem has 2 to {len(ascii_uppercase)}",
            where=where,
            remedy="Name the column of the choices.",
            key=key,
        )
    return texts, labels


def _correct(
    row: Mapping[str, Any],
    columns: Mapping[str, Any],
    texts: list[str],
    labels: list[str] | None,
    where: str,
    form: str | None,
) -> int:
    """The position of the correct choice."""
    column = columns["reference"]
    if isinstance(columns["choices"], list) and column in columns["choices"]:
        return int(columns["choices"].index(column))
    value = value_of(row, column)
    text = text_of(row, "reference", column, where, stripped=True)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    meanings = {
        "index": {int(text)} if re.fullmatch(r"\d{1,3}", text) else set(),
        "label": {i for i, label in enumerate(labels or ()) if label == text},
        "letter": {ascii_uppercase.index(text)} if re.fullmatch("[A-Z]", text) else set(),
        "text": {i for i, choice in enumerate(texts) if choice == text},
    }
    wanted = (
        (form,)
        if form
        else ("index",)
        if is_whole
        else ("label",)
        if labels
        else ("letter", "text")
    )
    found = {i for name in wanted for i in meanings[name] if i < len(texts)}
    if len(found) == 1:
        return found.pop()
    what = "names several" if found else "names none"
    raise TaskMistake(
        f"the reference {text[:60]!r} {what} of the {len(texts)} choices"
        f" (read as {' or '.join(str(name) for name in wanted)})",
        where=where,
        remedy=f"Set config.reference_is to one of {', '.join(REFERENCE_FORMS)}.",
        key=("config", "columns", "reference"),
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
