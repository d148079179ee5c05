"""Units after a number.

Lives here: one spelling for each unit, and the exact factors between units of the same kind. Not
here: the position of a unit in a formula (``reader``).
"""

from __future__ import annotations

import re
from fractions import Fraction

_SPELLINGS = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre",
    "km": "kilometer kilometre", "in": "inch inches",
    "ft": "foot feet", "yd": "yard", "mi": "mile", "mg": "milligram", "g": "gram gramme",
    "kg": "kilogram kilo kilogramme", "oz": "ounce",
    "lb": "pound lbs", "ml": "milliliter millilitre mL", "l": "liter litre L",
    "s": "second sec secs", "min": "minute mins",
    "h": "hour hr hrs", "d": "day", "wk": "week", "yr": "year", "$": "dollar usd dollars bucks",
    "¢": "cent",
    "€": "euro eur", "£": "gbp quid",
    "¥": "yen jpy", "₹": "rupee inr", "deg": "degree degrees", "rad": "radian", "mph": "mph",
    "kmh": "kmh kph", "degC": "degC celsius",
    "degF": "degF fahrenheit", "%": "percent percentage pct",
}  # fmt: skip
_ONE = {
    word: unit
    for unit, words in _SPELLINGS.items()
    for word in [unit, *words.split(), *(f"{w}s" for w in words.split())]
}
KNOWN = frozenset(word for word in _ONE if len(word) > 1)
"""Units that need no \\text around them.

Those of two letters and more. A single letter in a formula is a variable.
"""

_FACTORS = {
    "length": {"mm": "1/1000", "cm": "1/100", "m": "1", "km": "1000"},
    "foot": {"in": "1/12", "ft": "1", "yd": "3", "mi": "5280"},
    "mass": {"mg": "1/1000", "g": "1", "kg": "1000"},
    "pound": {"oz": "1/16", "lb": "1"},
    "volume": {"ml": "1/1000", "l": "1"},
    "time": {"s": "1", "min": "60", "h": "3600", "d": "86400", "wk": "604800"},
    "money": {"¢": "1/100", "$": "1"},
}
_KIND = {
    unit: (kind, Fraction(factor))
    for kind, units in _FACTORS.items()
    for unit, factor in units.items()
}
_FEW = re.compile(
    r"(?:(?P<whole>\d+)\s*(?P<u>h|hours?|hrs?|feet|foot|ft|min|mins|minutes?|dollars?)\s*(?:,?\s*and\s+)?)(?P<part>\d+)\s*(?P<v>[a-z]*)\Z"
)
_NEXT = {"h": "min", "ft": "in", "min": "s", "$": "¢"}


def unit_of(words: str) -> str:
    """Canonical spelling of a unit.

    Names and plurals become symbols; an unknown unit keeps its words without a plural s.
    """
    words = re.sub(r"\bper\b", "/", words.strip().strip(".").strip())
    pieces = re.findall(r"[^\W\d_]+\.?|[$¢€£¥₹%/^]|\d+|-", words)
    return "".join(_one(piece.rstrip(".")) for piece in pieces if piece not in ("^", "of", "the"))


def _one(word: str) -> str:
    found = _ONE.get(word) or _ONE.get(word.casefold())
    if found:
        return found
    word = word.casefold()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def factor(first: str, second: str) -> Fraction | None:
    """The size of the first unit in the second; None for units of different kinds."""
    if first == second:
        return Fraction(1)
    one, two = _KIND.get(first), _KIND.get(second)
    return one[1] / two[1] if one and two and one[0] == two[0] else None


def compound(text: str) -> tuple[Fraction, str] | None:
    """A quantity in two units ("2 h 30", "5 feet 3 inches"), converted to the smaller one.

    None for any other text.
    """
    match = _FEW.match(text.strip().casefold())
    if not match:
        return None
    large = _one(match["u"])
    small = _one(match["v"]) if match["v"] else _NEXT[large]
    scale = factor(large, small)
    if small != _NEXT[large] or scale is None:
        return None
    return int(match["whole"]) * scale + int(match["part"]), small
