"""One record of another tool's file on its way into ``raw_imports``.

Lives here: ``Row``, which checks and converts one value at a time and notes why a value became
NULL. Not here: reading of files (``reading``) and writing of parts (``sealing``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from functools import cache
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.metric_names import falls, samples_of
from isocost.importers.reading import kind_of
from isocost.importers.units import to_base
from isocost.schema.registry import table

NO_ANSWER = "no_answer"
"""Why an answer is NULL if its source states that the text contains none."""

REPLACED, INVALIDATED = "replaced", "invalidated"
"""Why a record of a source does not count although nothing failed.

A later one replaced it, or its author withdrew it.
"""
SCORE_NOISE = 1e-9
"""A score this close to 0 or 1 is 0 or 1: means of floats end close to them."""
NOT_IN_RANGE = "not_in_range"
"""Why a number out of its column's range is NULL: the record and its other values are kept."""
MOST_NUMBER = 1e30
"""No quantity of a record comes near it, and sums over any number of records stay far from the
largest float.
"""
MOST_COUNT = 10**12
"""More tokens or attempts than plausible; sums over millions of records fit 64 bits."""
MOST_INDEX = 10**7
"""More attempts at one problem than anybody makes.

Numbers of many runs, put one after another, fit 32 bits.
"""
_TRUE = {"true", "t", "1", "1.0", "yes", "y", "c", "correct", "pass", "passed"}
_FALSE = {"false", "f", "0", "0.0", "no", "n", "i", "incorrect", "fail", "failed"}


@cache
def columns() -> tuple[str, ...]:
    """Column names of ``raw_imports`` in stored order."""
    return tuple(column.name for column in table("raw_imports").columns)


class Row:
    """Values of one record by column name, with the reasons for what is NULL.

    Every method that takes a value raises ``IsocostError`` with file, position and column if the
    value has a different kind than the column, which means that the wrong column was mapped.
    Placeholders for "unknown", and numbers out of the column's range, become NULL and are noted in
    ``null_reasons``.

    Attributes:
        values: column -> value; columns not named are NULL.
        reasons: ``column:reason`` texts.
        where: file and place, for messages.
        group: a verdict on several samples; None if there is none.
    """

    __slots__ = ("group", "reasons", "values", "where")

    def __init__(self, kind: str, source_file: str, place: str | None, where: str) -> None:
        """Start a record of ``kind`` (see the table's vocabulary)."""
        self.values: dict[str, Any] = {
            "record_kind": kind,
            "source_file": _encodable(source_file),
            "source_place": _encodable(place),
        }
        self.reasons: list[str] = []
        self.where = where
        self.group: dict[str, Any] | None = None

    def fail(self, column: str, what: str, remedy: str = "") -> IsocostError:
        """An error about one column of this record."""
        return IsocostError(what, where=f"{self.where}, {column}", remedy=remedy)

    def null(self, column: str, reason: str) -> None:
        """Leave a column NULL with a reason."""
        self.values.pop(column, None)
        self.reasons.append(f"{column}:{reason}")

    def text(self, column: str, value: Any) -> None:
        """Text; numbers are written out, an empty id is kept as it is."""
        if value is None:
            return
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = _number_text(value)
        if not isinstance(value, str):
            raise self.fail(column, f"text was expected, not {kind_of(value)}")
        clean = _encodable(value)
        if clean != value:
            self.reasons.append(f"{column}:lone_surrogate_replaced")
        self.values[column] = clean

    def whole(self, column: str, value: Any) -> None:
        """Text as it is, anything else as JSON text."""
        if value is None or isinstance(value, str):
            self.text(column, value)
        else:
            self.json(column, value)

    def json(self, column: str, value: Any) -> None:
        """Canonical JSON text.

        NaN and infinities inside become null with a reason. NULL for None and for an empty object.
        """
        if column == "extra" and self.group is not None:
            value = {"group": self.group, **(value or {})}
        if value is None or value == {}:
            return
        clean, lost = _finite(value)
        if lost:
            self.reasons.append(f"{column}:not_finite_inside")
        try:
            text = json.dumps(
                clean, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise self.fail(column, f"cannot be written as JSON: {error}") from None
        self.text(column, text)

    def condition(self, settings: Mapping[str, Any]) -> None:
        """Add settings to the row's condition, which is part of the point's identity.

        Raises:
            IsocostError: a setting already has a different value.
        """
        before = self.values.get("condition")
        found = json.loads(before) if before else {}
        for name, value in settings.items():
            if value is not None and found.setdefault(name, value) != value:
                raise self.fail(
                    "condition",
                    f"{name} is {found[name]!r} here, but {value!r} was given",
                    "Leave out what the source says",
                )
        self.json("condition", found)

    def extracted(self, value: Any, no_answers: Set[str]) -> None:
        """The answer as the source extracted it.

        A word that means "none was found" leaves it NULL with the reason ``no_answer``.
        """
        if value is None:
            return
        self.whole("answer", value)
        if self.values["answer"].strip().casefold() in no_answers:
            self.null("answer", NO_ANSWER)

    def replaced(self, why: str, code: str = REPLACED) -> None:
        """Mark a record that does not count; it keeps no verdict.

        A later one replaced it or its author withdrew it.

        Args:
            why: the text for the user.
            code: ``REPLACED`` or ``INVALIDATED``.
        """
        self.text("error", why)
        self.reasons.append(f"record:{code}")
        for column in ("label_correct", "label_score", "answer"):
            self.values.pop(column, None)

    def number(
        self,
        column: str,
        value: Any,
        *,
        unit: str | None = None,
        low: float | None = None,
        high: float | None = None,
        sentinel: float | None = None,
    ) -> None:
        """Store a float, converted from ``unit``.

        Args:
            column: its column.
            value: number, number as text, or None.
            unit: the source's unit; None for no conversion.
            low: minimum value; a smaller one becomes NULL, as does one beyond ``MOST_NUMBER``.
            high: maximum value.
            sentinel: the source's placeholder for "unknown".
        """
        parsed = self._parse(column, value, sentinel)
        if parsed is None:
            return
        converted = to_base(parsed, unit, self.where)[0] if unit else parsed
        if not math.isfinite(converted):
            self.null(column, "not_finite")
            return
        if high is not None and high < converted <= high + SCORE_NOISE:
            converted = high  # a share that floats carried beyond its end
        if (
            (low is not None and converted < low)
            or converted > (MOST_NUMBER if high is None else high)
            or converted < -MOST_NUMBER
        ):
            self.null(column, NOT_IN_RANGE)
            return
        self.values[column] = converted

    def seconds(self, column: str, value: Any, unit: str = "s") -> None:
        """A duration, not negative; -1 means unknown."""
        self.number(column, value, unit=unit, low=0.0, sentinel=-1.0)

    def integer(
        self,
        column: str,
        value: Any,
        *,
        low: int = 0,
        sentinel: int | None = -1,
        is_needed: bool = False,
    ) -> None:
        """An integer from ``low`` to the column's largest.

        A float must be whole. One outside becomes NULL, or is an error where needed.
        """
        if isinstance(value, int) and not isinstance(value, bool):
            parsed: float | int | None = (
                None if sentinel is not None and value == sentinel else value
            )
            if parsed is None:
                self.null(column, f"sentinel_{sentinel}")
                return
        else:
            parsed = self._parse(column, value, sentinel)
        if parsed is None:
            return
        if parsed != int(parsed):
            raise self.fail(column, f"{parsed!r} is not a whole number")
        most = MOST_INDEX if column == "sample_index" else MOST_COUNT
        if low <= parsed <= most:
            self.values[column] = int(parsed)
        elif is_needed:
            raise self.fail(column, f"{_number_text(parsed)[:40]} is outside {low} to {most}")
        else:
            self.null(column, NOT_IN_RANGE)

    def flag(self, column: str, value: Any) -> None:
        """True or false, also as 1 and 0 or the usual words; NaN and empty text are unknown."""
        if value is None or isinstance(value, bool):
            if value is not None:
                self.values[column] = value
            return
        if isinstance(value, float) and math.isnan(value):
            self.null(column, "not_finite")
            return
        word = str(value).strip().lower()
        if word in _TRUE or word in _FALSE:
            self.values[column] = word in _TRUE
        elif word:
            raise self.fail(
                column,
                f"{str(value)[:60]!r} is neither true nor false",
                "Use true and false, or 1 and 0",
            )

    def flags(self, column: str, value: Any) -> None:
        """A list, or JSON text of one.

        True, false or their words as 1 and 0, a number in 0..1 as it is, null for no verdict.
        """
        if value is None or value == "":
            return
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise self.fail(
                    column,
                    f"{value[:60]!r} is not a JSON list",
                    "Write [true, false, null], or numbers in 0..1",
                ) from None
        if not isinstance(value, list):
            raise self.fail(column, f"a list was expected, not {kind_of(value)}")
        self.values[column] = [self._verdict(column, one) for one in value]

    def _verdict(self, column: str, one: Any) -> float | None:
        if one is None or (isinstance(one, float) and math.isnan(one)):
            return None
        word = str(one).strip().lower()
        if isinstance(one, bool) or word in _TRUE or word in _FALSE:
            return float(word in _TRUE)
        if isinstance(one, int | float):
            if 0 <= one <= 1:
                return float(one)
            self.reasons.append(f"{column}:{NOT_IN_RANGE}")
            return None
        raise self.fail(
            column, f"{word[:60]!r} is not a verdict", "Write true, false, null or a number in 0..1"
        )

    def label(
        self, value: Any, name: str | None = None, *, higher_is_better: bool | None = None
    ) -> None:
        """A score as a verdict: 1 is correct, 0 is wrong, in between only the score is known.

        A metric named after several samples (``pass@4``) is not the verdict of any of them;
        ``extra.group`` keeps it.

        Args:
            value: the score.
            name: metric or scorer that it comes from.
            higher_is_better: False for a lower-is-better metric, which is not a verdict. None if
                not stated, so that its name decides.
        """
        self.text("label_name", name)
        if (covers := samples_of(self.values.get("label_name"))) > 1:
            self.null("label_correct", f"verdict_covers_{covers}_samples")
            self.group = {"label": value, "label_name": name, "covers": covers}
            self.json("extra", {})
            return
        if falls(name) if higher_is_better is None else not higher_is_better:
            self.null("label_score", "lower_is_better")
            self.values.pop("label_correct", None)
            return
        self.number("label_score", value, low=None)
        score = self.values.get("label_score")
        if score is None:
            return
        if (end := nearest_end(score)) is not None:
            self.values["label_score"] = score = end
        if not 0.0 <= score <= 1.0:
            self.null("label_score", "outside_0_to_1")
            self.values.pop("label_correct", None)
        elif score in (0.0, 1.0):
            self.values["label_correct"] = score == 1.0

    def _parse(self, column: str, value: Any, sentinel: float | None) -> float | None:
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.fail(column, f"a number was expected, not {kind_of(value)}")
        try:
            parsed = float(value)
        except ValueError:
            raise self.fail(
                column,
                f"{str(value)[:60]!r} is not a number",
                "Use digits, without units or separators",
            ) from None
        except OverflowError:
            self.null(column, NOT_IN_RANGE)
            return None
        if isinstance(value, str) and "_" in value:
            raise self.fail(
                column, f"{value[:60]!r} is not a number", "Use digits, without units or separators"
            )
        if not math.isfinite(parsed):
            self.null(column, "not_finite")
            return None
        if sentinel is not None and parsed == sentinel:
            self.null(column, f"sentinel_{sentinel:g}")
            return None
        return parsed


def nearest_end(score: float) -> float | None:
    """0 or 1 where a score differs from it by the noise of sums of floats only.

    None for every other score.
    """
    return next((end for end in (0.0, 1.0) if abs(score - end) <= SCORE_NOISE), None)


def _number_text(value: float) -> str:
    try:
        return (
            str(int(value))
            if isinstance(value, float) and value.is_integer() and abs(value) < 2**53
            else str(value)
        )
    except ValueError:  # more than 4,300 digits
        return f"{value:e}" if isinstance(value, float) else hex(value)


def _encodable(text: str | None) -> str | None:
    if text is None or text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _finite(value: Any) -> tuple[Any, bool]:
    if isinstance(value, float):
        return (value, False) if math.isfinite(value) else (None, True)
    if isinstance(value, dict):
        pairs = {str(key): _finite(item) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, any(
            lost for _, lost in pairs.values()
        )
    if isinstance(value, list | tuple):
        items = [_finite(item) for item in value]
        return [item for item, _ in items], any(lost for _, lost in items)
    return value, False
