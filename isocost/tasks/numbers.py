"""Numbers as models write them.

Lives here: finding numbers in a text, and one spelling for each value (exact rationals, never
floats). Not here: which of several numbers is the answer (verifiers/numeric.py), number words
(``number_words``), formulas (``formulas``).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MAX_DIGITS = 400
"""Longer numbers, and larger exponents, are never answers; without a limit a text could require
gigabytes ("1e999999999").
"""

SCALES = {
    "hundred": 2,
    "thousand": 3,
    "k": 3,
    "million": 6,
    "billion": 9,
    "trillion": 12,
    "mil": 3,
    "millionen": 6,
    "millones": 6,
}

_SIGN = r"(?:(?<![0-9A-Za-z_)\]}.])[-+][ ]?(?=[$€£¥₹0-9.]))?"
# Groups of three with the same separator: 1,234,567; 1 234; 1'234; 1_234; or Indian grouping:
# 12,34,567.
_GROUPED = (
    r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])|[0-9]{1,3}(?:'[0-9]{3})+(?![0-9])"
    r"|[0-9]{1,3}(?:_[0-9]{3})+(?![0-9_])|[1-9][0-9]{0,2}(?:[ ][0-9]{3})+(?![0-9/])"
)
# A decimal comma, if no other reading is possible: 3,5 and 0,125 and 1.234,5 and 1 234,56, not
# 1,234. Points are thousands separators if there are several (1.234.567) or a comma follows; 1.234
# alone is a bit over one. In brackets, or next to another comma, it is a list.
_COMMA_DECIMAL = (
    r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}(?:,[0-9]+)?(?![0-9]|[.,][0-9])|[1-9][0-9]{0,2}(?:\.[0-9]{3}),(?:[0-9]{1,2}|[0-9]{4,})(?![0-9]|[.,][0-9])"
    r"|[1-9][0-9]{0,2}(?:[ ][0-9]{3})+,(?:[0-9]{1,2}|[0-9]{4,})(?![0-9]|[.,][0-9])"
    r"|(?<![(\[{,0-9])(?:[0-9]+,[0-9]{1,2}|0,[0-9]+)(?![0-9]|[.,/:][0-9]|\s*[)\]}])"
)
_MIXED = r"(?P<whole>[0-9]+)[ ]+(?P<top>[0-9]+)/(?P<bottom>[0-9]+)(?![0-9/.])"
_BODY = rf"(?:(?:{_GROUPED}|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_TIMES = (
    r"[ ]?(?:x|×|\*|\\times|\\cdot|·)[ ]?10[ ]?(?:\^|\*\*)["
    r" ]?[{(]?(?P<ten>[-+]?[0-9]{1,9})[})]?(?![0-9A-Za-z])"
)
_POWER = (
    r"(?:\^|\*\*)[ ]?(?:\{[ ]?(?P<power>[-+]?[0-9]{1,9})["
    r" ]?\}|(?P<power2>[-+]?[0-9]{1,9}))(?![0-9.A-Za-z^{!])"
)
_EXPONENT = r"[eE](?P<e>[-+]?[0-9]{1,9})(?![A-Za-z0-9])"
_SCALE = r"[ ]?(?P<scale>(?:hundred|thousand|million|billion|trillion|millionen|millones)\b|k\b)"
NUMBER = re.compile(
    rf"(?<![A-Za-z_0-9.])(?P<sign>{_SIGN})(?:(?P<currency>[$€£¥₹])[ ]?)?(?P<inner>-(?=[0-9.]))?"
    rf"(?:{_MIXED}|(?P<body>(?P<comma>(?=[0-9]+(?:[."
    rf" ][0-9]{{3}})*[,.][0-9])(?:{_COMMA_DECIMAL}))|{_BODY})"
    rf"(?:{_TIMES}|{_POWER}|{_EXPONENT})?(?:/(?P<den>[0-9]+)(?![0-9/]))?)(?:{_SCALE})?",
    re.IGNORECASE,
)
_OVER = re.compile(r"\A([-+]?[0-9]+) over ([0-9]+)\Z")
_LATEX_FRACTION = re.compile(
    r"(?P<before>[0-9])?["
    r" ]?\\[dtc]?frac\s*(?:\{\s*(?P<a>[-+]?[0-9]+)\s*\}|(?P<a1>[0-9]))\s*(?:\{\s*(?P<b>[0-9]+)\s*\}|(?P<b1>[0-9]))"
)
_LATEX_NOISE = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|mbox|textit)\s*\{([^{}]*)\}|\\[!;:]|\\(?=[$%&#])|\\(?:left|right|displaystyle)(?![a-z])"
)
_MINUS = re.compile(r"(?<![0-9)] )\b(?:minus|negative) (?=[$€£]?\.?[0-9])", re.IGNORECASE)
_THIN = re.compile(
    r"(?<=[0-9])(?:\\,|\\ |\\;|\\:|\\!|~|[\u00a0\u2002-\u200a\u202f])(?=[0-9]{3}(?![0-9]))"
)
_FRACTIONS = {
    c: unicodedata.normalize("NFKC", c).replace("\u2044", "/") for c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
}
_FRACTION_SIGN = re.compile("([0-9])?[ ]?([" + "".join(_FRACTIONS) + "])")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_DIGIT = re.compile(r"(?![0-9])\d|[٫٬]")
"""Digits of other scripts (Arabic, Bengali, Devanagari), and the Arabic marks between digits."""
_BETWEEN = re.compile(r"(?<=[0-9]) x (?=[0-9$])")
_UNDERLINED = re.compile(r"(?<![A-Za-z0-9_])(_{1,2})([^_\n]{1,200})\1(?![A-Za-z0-9_])")
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "tenth": 10}
_AND_A_PART = re.compile(
    rf"([0-9]+) and (?:([0-9]+/[0-9]+)(?![0-9/])|(?:a|an|one) ({'|'.join(_PARTS)})\b)",
    re.IGNORECASE,
)


def tidy(text: str) -> str:
    """Normalise minus signs, fractions, superscripts, thin spaces and LaTeX spellings.

    Numbers can then be found.
    """
    if not text.isascii():
        text = text.replace("−", "-").replace("–", "-").replace("’", "'").replace("\u2044", "/")
        text = _FRACTION_SIGN.sub(lambda m: (f"{m[1]} " if m[1] else "") + _FRACTIONS[m[2]], text)
        text = _RAISED.sub(lambda m: f"^{{{m[0].translate(_SUPERSCRIPT)}}}", text)
        text = _THIN.sub(" ", text).replace("\u00a0", " ")
        text = _DIGIT.sub(_digit, unicodedata.normalize("NFKC", text))
    if " x " in text:
        text = _BETWEEN.sub(" × ", text)
    if "_" in text:
        text = _UNDERLINED.sub(r"\2", text)
    if " and a" in text or " and one " in text or (" and " in text and "/" in text):
        text = _AND_A_PART.sub(_with_part, text)
    if "inus " in text or "egative " in text:
        text = _MINUS.sub("-", text)
    if "\\" in text or "{,}" in text or "~" in text:
        text = _THIN.sub(" ", text.replace("{,}", ",")).replace("\\,", " ")
        text = _LATEX_FRACTION.sub(_fraction, text)
        text = _LATEX_NOISE.sub(lambda match: match[1] or "", text)
    return text


def _digit(match: re.Match[str]) -> str:
    return {"٫": ".", "٬": ","}.get(match[0]) or str(unicodedata.decimal(match[0]))


def _with_part(match: re.Match[str]) -> str:
    if match.string[match.start() - 1 : match.start()] in (".", ",", "/"):
        return match[0]
    return f"{match[1]} " + (match[2] or f"1/{_PARTS[match[3].casefold()]}")


def _fraction(match: re.Match[str]) -> str:
    before = f"{match['before']} " if match["before"] else ""
    return f"{before}{match['a'] or match['a1']}/{match['b'] or match['b1']}"


def has_decimal_comma(text: str) -> bool:
    """Whether a text is one number only if its comma is a decimal comma.

    "3,5" may also be a list.
    """
    match = NUMBER.fullmatch(tidy(text).strip())
    return match is not None and bool(match["comma"]) and "," in match["comma"]


def value_of(text: str) -> Fraction | None:
    """The exact value of a text that is a single number; None otherwise.

    Supported: thousands separators (1,000; 1 000; 1'000; 10{,}000; 1_000; 1.234.567), a decimal
    comma if nothing else can be meant (3,5; 1.234,5; 1,234 is over a thousand), a currency sign
    before it, a percent sign after it (ignored: 25% is 25), fractions (also "3 over 4"), mixed
    numbers with a proper fraction (2 2/3, 3½, 3 and a half), digits of other scripts, powers
    (10^6), 1.5e3, 1.5 x 10^3, and the words hundred to trillion after it. Also None for a division
    by zero, more than MAX_DIGITS digits, or a larger exponent.
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    text = tidy(text).strip().removesuffix(".").removesuffix("%").rstrip("€£¥₹ ")
    if " over " in text:
        text = _OVER.sub(r"\1/\2", text)
    match = NUMBER.fullmatch(text)
    return None if match is None else value_in(match)


def value_in(match: re.Match[str]) -> Fraction | None:
    """The exact value of a match of NUMBER.

    None if it has no value (division by zero, too long, improper mixed fraction).
    """
    value = _mixed(match) if match["whole"] else _plain(match)
    if value is None:
        return None
    if match["scale"]:
        value *= 10 ** SCALES[match["scale"].casefold()]
    negative = match["sign"].startswith("-") != bool(match["inner"])
    return -value if negative else value


def _mixed(match: re.Match[str]) -> Fraction | None:
    whole, top, bottom = (match[name] for name in ("whole", "top", "bottom"))
    if max(map(len, (whole, top, bottom))) > MAX_DIGITS or not 0 < int(top) < int(bottom):
        return None
    return int(whole) + Fraction(int(top), int(bottom))


def _plain(match: re.Match[str]) -> Fraction | None:
    body = match["body"]
    if match["comma"]:
        body = body.replace(".", "").replace(",", ".")
    body = re.sub(r"[, '_]", "", body)
    value = _decimal(
        body + (f"e{match['e']}" if match["e"] else f"e{match['ten']}" if match["ten"] else "")
    )
    power = match["power"] or match["power2"]
    if value is not None and power:
        value = _power(value, int(power))
    if value is None or not match["den"]:
        return value
    bottom = _decimal(match["den"])
    return value / bottom if bottom else None


def _power(value: Fraction, exponent: int) -> Fraction | None:
    size = max(abs(value.numerator), value.denominator).bit_length()
    if size * abs(exponent) > 4 * MAX_DIGITS or (not value and exponent <= 0):
        return None
    return value**exponent


def _decimal(text: str) -> Fraction | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
        return None
    return Fraction(value)


def spell(value: Fraction) -> str:
    """One spelling for each value.

    An integer, otherwise a terminating decimal, otherwise a reduced fraction. "-0" is "0".
    """
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
