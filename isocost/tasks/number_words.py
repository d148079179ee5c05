"""Numbers in English words.

Lives here: parsing "minus five", "one hundred and twenty-three", "two and a half million", "three
quarters", "three point one". Not here: digits (``numbers``).
"""

from __future__ import annotations

import re
from fractions import Fraction

_NAMES = (
    (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        " fifteen sixteen seventeen eighteen nineteen"
    ),
    "twenty thirty forty fifty sixty seventy eighty ninety",
)
_UNITS, _TENS = (names.split() for names in _NAMES)
_SMALL = {word: index for index, word in enumerate(_UNITS)} | {
    word: 20 + 10 * index for index, word in enumerate(_TENS)
}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ONE_PART = {
    "half": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "hundredth": 100,
    "thousandth": 1000,
    "twelfth": 12,
}
_PARTS = _ONE_PART | {
    ("halves" if word == "half" else f"{word}s"): value for word, value in _ONE_PART.items()
}
_EACH = {"dozen": 12}
_KNOWN = "|".join(sorted({*_SMALL, *_LARGE, *_PARTS, *_EACH, "hundred"}, key=len, reverse=True))
_SEQUENCE = re.compile(
    rf"\b(?:(?:minus|negative)\s+)?(?:an?\s+(?=hundred|thousand|million|billion|trillion|dozen|half|third|quarter))?(?:{_KNOWN})"
    rf"(?:(?:\s+and\s+(?:an?\s+)?|(?:(?<=thousand)|(?<=illion)),\s+(?:and\s+)?|\s*[-\u2010\u2011]\s*|\s+"
    rf"|(?<=half)\s+an?\s+(?=dozen|million|billion))(?:{_KNOWN}))*"
    rf"(?:\s+point(?:\s+(?:{'|'.join(_UNITS[:10])}))+)?\b(?!\s+of\s+(?:the|these|them|those|us)\b)",
    re.IGNORECASE,
)


def find_words(text: str) -> list[str]:
    """Every number in words, as written, in order."""
    return [match[0] for match in _SEQUENCE.finditer(text)]


def value_of_words(text: str) -> Fraction | None:
    """The value of a text that consists of one number in words; None otherwise."""
    words = re.sub(
        r"(?:(?<=thousand)|(?<=illion)),|[-\u2010\u2011\s]+", " ", text.strip().casefold()
    ).split()
    negative = words[:1] in (["minus"], ["negative"])
    value = _read(words[negative:])
    return None if value is None else -value if negative else value


def _read(words: list[str]) -> Fraction | None:
    if not words:
        return None
    if "point" in words:
        return _decimal(words)
    if words[-1] in _PARTS:
        return _with_part(words[:-1], _PARTS[words[-1]])
    scale = {**_EACH, **_LARGE}.get(words[-1])
    if scale is not None and "half" in words[:-1]:  # half a dozen, two and a half million
        count = _read(
            [
                word
                for index, word in enumerate(words[:-1])
                if not (word in ("a", "an") and words[index - 1 : index] == ["half"])
            ]
        )
        return None if count is None else count * scale
    if words[-1] in _EACH:
        count = Fraction(1) if words[:-1] in ([], ["a"]) else _whole(words[:-1])
        return None if count is None else count * _EACH[words[-1]]
    return _whole(words)


def _decimal(words: list[str]) -> Fraction | None:
    """Words with a decimal point: "three point one four"."""
    split = words.index("point")
    whole = _whole(words[:split]) if split else Fraction(0)
    digits = [_SMALL.get(word, 10) for word in words[split + 1 :]]
    if whole is None or not digits or max(digits) > 9:
        return None
    return whole + Fraction(int("".join(map(str, digits))), 10 ** len(digits))


def _with_part(words: list[str], part: int) -> Fraction | None:
    """Words that end in a fraction: "two and a half", "three quarters", "a third"."""
    if "and" in words:
        split = len(words) - 1 - words[::-1].index("and")
        whole, count = _whole(words[:split]), _count(words[split + 1 :])
        return (
            None
            if whole is None or count is None or count >= part
            else whole + Fraction(count, part)
        )
    count = _count(words)
    return None if count is None else Fraction(count, part)


def _count(words: list[str]) -> int | None:
    if words in ([], ["a"], ["an"]):
        return 1
    value = _whole(words)
    return None if value is None else int(value)


def _whole(words: list[str]) -> Fraction | None:
    words = [word for index, word in enumerate(words) if word != "and" or index == 0]
    if words[:1] in (["a"], ["an"]):
        words = ["one", *words[1:]]
    total = block = 0
    last, largest = "", 10**15
    for word in words:
        if word in _SMALL:
            value = _SMALL[word]
            if last == "small" or (last == "tens" and not 0 < value < 10):
                return None
            block, last = block + value, "tens" if value >= 20 else "small"
        elif word == "hundred" and last in ("", "small") and block < 100:
            block, last = (block or 1) * 100, "hundred"
        elif word in _LARGE and _LARGE[word] < largest and (block or not total):
            total, block, largest, last = (
                total + (block or 1) * _LARGE[word],
                0,
                _LARGE[word],
                "large",
            )
        else:
            return None
    return Fraction(total + block) if words else None
