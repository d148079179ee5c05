"""Numbers as models write them.

Lives here: finding numbers in a text, and one spelling for each value (exact rationals, never floats). Not here: which of several numbers
is the answer (verifiers/numeric.py).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MAX_DIGITS = 400
"""Longer numbers, and exponents beyond it, are no answers to any problem; without a limit a text could ask for gigabytes
("1e999999999").
"""

_SIGN = r"(?:(?<![0-9A-Za-z_)\]}.])[-+])?"
_BODY = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_NUMBER = re.compile(rf"(?<![A-Za-z_0-9.]){_SIGN}(?:[$€£][ ]?)?(?:{_BODY})(?:[eE][-+]?[0-9]+(?![A-Za-z0-9]))?(?:/(?:[0-9]+)(?![0-9/]))?")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([-+]?[0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
_LATEX_NOISE = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}|\\[,;!:]|\\\$|\\%")
_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_WORD = re.compile(r"\b(" + "|".join(_WORDS) + r")\b", re.IGNORECASE)


def tidy(text: str) -> str:
    """Minus signs and LaTeX spellings made plain, so that numbers can be found."""
    text = text.replace("−", "-").replace("–", "-").replace("\u00a0", " ").replace("{,}", ",")
    text = _LATEX_FRACTION.sub(r"\1/\2", text)
    return _LATEX_NOISE.sub(lambda match: match[1] or "", text)


def find_numbers(text: str) -> list[str]:
    """Every number of a text as written, in order.

    A minus counts as a sign only where no operand stands before it: "5-3" holds 5 and 3.
    """
    return [match[0] for match in _NUMBER.finditer(tidy(text))]


def find_words(text: str) -> list[str]:
    """Number words from zero to twenty, as digits, in order."""
    return [str(_WORDS.index(match[0].lower())) for match in _WORD.finditer(text)]


def value_of(text: str) -> Fraction | None:
    """The exact value of one number; None when it is none, divides by zero, or has more than MAX_DIGITS digits or a larger exponent."""
    text = tidy(text).strip().removesuffix(".").removesuffix("%") if len(text) <= 4 * MAX_DIGITS else ""
    if not _NUMBER.fullmatch(text):
        return None
    numerator, _, denominator = re.sub(r"[$€£, +]", "", text).partition("/")
    top, bottom = _decimal(numerator), _decimal(denominator) if denominator else Fraction(1)
    return None if top is None or not bottom else top / bottom


def _decimal(text: str) -> Fraction | None:
    if not re.fullmatch(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]-?[0-9]{1,9})?", text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
        return None
    return Fraction(value)


def spell(value: Fraction) -> str:
    """One spelling for each value: an integer, else a terminating decimal, else a reduced fraction. "-0" is "0"."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
