"""The single number that a piece of prose gives.

Lives here: which number is meant in "40 + 2 = 42 apples", "between 17 and 19, so 18" or "$x = 5$",
and when none is: a list, a range, a clock time or a formula contains numbers but is not a number.
Not here: markers of answers (``extract``), parsing of numbers (``numbers``).
"""

from __future__ import annotations

import re
from fractions import Fraction

from isocost.tasks.formulas import trees, units
from isocost.tasks.formulas.reader import read
from isocost.tasks.formulas.trees import Tree
from isocost.tasks.number_words import find_words, value_of_words
from isocost.tasks.numbers import NUMBER, spell, tidy, value_in, value_of

DOLLARS = re.compile(
    r"(?<!\\)\$\$((?:[^$\\]|\\[\s\S]){1,1000})\$\$|(?<!\\)\$((?:[^$\n\\]|\\[^\n]){1,1000})\$|"
    r"\\\((.{1,1000}?)\\\)|\\\[(.{1,1000}?)\\\]",
    re.DOTALL,
)
_NOISE = " \t\r\n*_`\"'“”.:;,!?$"
_LEAD = re.compile(
    r"(?:(?:about|approximately|approx\.?|roughly|around|exactly|only|just|simply|equal to|equals|a"
    r" total of|total of|the number|number|"
    r"therefore|thus|≈|~|\\approx|=|:|indeed|clearly|to"
    r" be)\s*|[\s*_`\"'“(\[{]|\\\(|\\\[|\$(?![0-9]))*",
    re.IGNORECASE,
)
_SO = re.compile(
    r"\b(?:so|thus|therefore|hence|gives|giving|makes|making|get|getting|which"
    r" is|totalling|totaling|total of|leaves|namely)\b",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"\b(?:between|more than|less than|greater than|fewer than|from)\s*$", re.IGNORECASE
)
_JOIN = r"(?:,|;|/|&|\bor\b|\band\b|\bto\b|\bund\b|\boder\b|\bet\b|\bou\b|\by\b|\bo\b)"
_NEXT = r"[($]*(?:\\\$)?[-+]?\s?[0-9]"
_LISTED = re.compile(rf"\s*{_JOIN}\s*(?:{_JOIN}\s*)?{_NEXT}", re.IGNORECASE)
_LISTED_WITH_UNIT = re.compile(
    rf"\s*[^\W\d_]+(?:\s[^\W\d_]+)?\s*(?:,\s*)?(?:and|or|to)\s+{_NEXT}", re.IGNORECASE
)
_SHARE = re.compile(
    r"\s*(?:(?:out of|in every)\s*[0-9]|or (?:more|less|fewer|so)\b)", re.IGNORECASE
)
_TWO_UNITS = re.compile(
    r"\s*(?:h|hours?|hrs?|minutes?|mins?|feet|foot|ft|pounds?|lbs?|days?|weeks?|dollars?|years?)\s*(?:,|and)?\s*[0-9]",
    re.IGNORECASE,
)
_COMPUTED = re.compile(
    r"\s*(?:[-+*/×÷·^]|\\times|\\cdot|\\div|\\pm|±|<|>|≤|≥|\\le|\\ge)\s*[0-9({\\$]"
)
_EXPRESSION = re.compile(r"[-0-9.,()\s+*/×÷·^{}$]+|\\times|\\cdot|\\div|\\left|\\right")
_WORD = re.compile(r"(?<![\\A-Za-z])(?!sin|cos|tan|log|exp)[A-Za-z]{3}")
_ORDINAL = {"st", "nd", "rd", "th"}
_LETTER_UNITS = {
    "m",
    "g",
    "s",
    "h",
    "l",
    "L",
    "k",
    "K",
    "C",
    "F",
    "W",
    "V",
    "A",
    "N",
    "J",
    "B",
    "p",
}
_MORE_UNITS = (
    "Pa kPa MPa hPa Hz kHz MHz GHz kB KB MB GB TB KiB MiB GiB kb Mb Gb bit bits byte bytes Wh kWh"
    " MWh mAh Ah eV keV MeV mol mmol kJ MJ kN kW MW GW mA mV kV mW dB ppm bps kbps Mbps Gbps rpm ms"
    " ns µs μs nm µm μm ha kcal cal psi bar atm Ω kΩ ohm ohms T mT µC μC pF nF µF μF mH cc dm dl cl"
    " cL dL unit units sq"
)
_SYMBOLS = _LETTER_UNITS | units.KNOWN | set(_MORE_UNITS.split())
"""Units as symbols: after a number they are not variables, unlike in a formula."""
_LONGEST_QUANTITY = 80
_UNIT = r"[^\W\d_]+(?:\^\{?-?[0-9]\}?)?"
_QUANTITY = re.compile(
    rf"(?P<number>[^A-Za-z]*[0-9.](?:e[-+]?[0-9]+)?)(?P<unit> ?{_UNIT}(?: ?[·⋅*/] ?{_UNIT}|"
    rf" {_UNIT})*)"
)
_LATEX_UNITS = re.compile(
    r"(?<=[0-9}]) ?\\[dt]?frac\{([A-Za-z]+(?:\^\{?[0-9]\}?)?)\}\{([A-Za-z]+(?:\^\{?[0-9]\}?)?)\}\Z"
)
_POWER_OF_UNIT = re.compile(rf"(?<=[0-9]) ?(?:{_UNIT} ?[·⋅*/ ] ?)*[^\W\d_]+\^\{{?-?\Z")
_DENIED = re.compile(
    r"(?:\bnot|n['’]t|\brather than|\binstead of|\bnicht|\bpas|\bне|不是)(?: (?:be|equal"
    r" to|equal|just|exactly|simply|the))?[ $*]*\Z",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"(?<=[0-9%])(?: +\([^()]*\)| *（[^（）]*）)[ .。]*\Z")
_FEW_WORDS = 6
_FIRST_LINE = re.compile(
    r"\A\s*(?P<first>[^\n]{1,60})\n\s*[*_#]*"
    r"(?:explanation|reason|because|here(?:'s|"
    r" is)|justification|step|why|working|solution|proof|details)",
    re.IGNORECASE,
)
_MAY_FOLLOW = re.compile(
    r"\\(?:text|mathrm|%|\$|,|;|!|"
    r" |\)|\]|quad|qquad|degree|circ|mbox|\\|end|hspace|approx|boxed|n)|\^\s*\{?\s*\\circ|°|%|\}|\)|\]"
)
_BEFORE = re.compile(
    r"(?:±|\\pm|\\sqrt|sqrt|√|\^|_|\\log|\\ln|\\sin|\\cos|\\tan|[0-9]\s*[:.])\s*[({\[]?\s*\Z|[0-9],\Z"
)


def number_of_tree(tree: Tree | None) -> Fraction | None:
    """The number that a formula gives, without its name and unit.

    Percentages stay as they are (25% is 25). None for any other formula.
    """
    while tree is not None and tree[0] in ("named", "unit", "percent"):
        tree = tree[2] if tree[0] == "named" else tree[1]
    return tree[1] if tree is not None and tree[0] == "num" else None


def number_in(text: str, *, is_bare: bool) -> str | None:
    """The number in a marked answer.

    Args:
        text: the text inside or after the marker.
        is_bare: whether the marker encloses its answer (box, tag, "####"), so that the text is only
            the answer.

    Returns:
        The number in a spelling that ``value_of`` reads; the text itself if it contains numbers, or
        is bare, but is not one number; None for prose without a number.
    """
    plain = text.rstrip(_NOISE).lstrip(_NOISE.replace(".", "").replace("$", ""))
    is_factorial = (is_bare or DOLLARS.fullmatch(text.rstrip(" .")) is not None) and text.rstrip(
        " .$"
    ).endswith("!")
    if not is_bare and text.rstrip(" .。")[-1:] in (")", "）"):
        plain = (
            _COMMENT.sub("", text).strip(_NOISE.replace(".", "").replace("$", "")).rstrip(_NOISE)
        )
    if plain[:1] == "[" and plain[-1:] == "]" and value_of(plain[1:-1]) is not None:
        plain = plain[1:-1]
    value = value_of(plain) if plain and not is_factorial else None
    if value is not None:
        return _spelled(value, plain)
    number = _before_unit(plain)
    if number is not None:
        return number
    if is_range(plain):
        return plain
    two = units.compound(tidy(plain))
    if two is not None:
        return spell(two[0] / 100) if two[1] == "¢" else plain
    tree = read(text.strip(" \t\r\n*_`\"'"))
    if tree is not None and trees.contains(tree, "sym") and _WORD.search(plain):
        tree = None  # letters of words, not factors
    value = number_of_tree(tree)
    if value is not None:
        return _spelled(value, plain)
    if tree is not None and tree[0] != "sym" and re.search(r"[0-9]", plain):
        side = (
            re.split(r"=|\\approx|≈", text)[-1]
            if tree[0] == "rel" and set(tree[2]) == {"="}
            else ""
        )
        value = number_of_tree(read(side)) if side else None
        return plain if value is None else _spelled(value, side)
    found = _in_prose(tidy(text))
    if found is None:
        words = [value_of_words(words) for words in find_words(text)]
        if words and words[0] is not None:
            return spell(words[0])
        return plain if is_bare else None
    return found


def _before_unit(plain: str) -> str | None:
    """The number of a quantity with a symbolic unit.

    42 m^2, 1.6e-19 C, 42GB, 9.8 m/s^2.
    """
    if len(plain) > _LONGEST_QUANTITY:
        return None
    plain = tidy(plain)
    quantity = _QUANTITY.fullmatch(_LATEX_UNITS.sub(r" \1/\2", plain) if "frac" in plain else plain)
    if quantity is None:
        return None
    names = re.findall(r"[^\W\d_]+", quantity["unit"])
    if not (all(name in _SYMBOLS for name in names) or (len(names) == 1 and names[0] in _ORDINAL)):
        return None
    value = value_of(quantity["number"])
    return None if value is None else _spelled(value, quantity["number"])


def is_range(text: str) -> bool:
    """Whether a text is "17-19" or "17 - 19": a range rather than a difference."""
    return bool(
        re.fullmatch(r"[0-9][0-9.,]*\s*(?:-|–|—|−|\bto\b|--)\s*[0-9][0-9.,]*\D{0,20}", tidy(text))
    )


def _spelled(value: Fraction, text: str) -> str:
    size = max(value.numerator.bit_length(), value.denominator.bit_length())
    return spell(value) if size < 1300 else text


def _in_prose(text: str) -> str | None:
    sides = re.split(r"=|\\approx|≈", text)
    for side in (sides[-1], text) if len(sides) > 1 else (text,):
        lead = _LEAD.match(side)
        start = lead.end() if lead else 0
        match = NUMBER.match(side, start) or (NUMBER.match(side, start - 1) if start else None)
        if match is None:
            so = [found.end() for found in _SO.finditer(side)]
            match = NUMBER.search(side, so[-1]) if so else None
        if match is None:
            match = NUMBER.search(side)
        if match is not None:
            return _checked(side, match)
    return None


def _checked(text: str, match: re.Match[str]) -> str:
    """A number of a text as found.

    The surrounding text if the number is only part of something else.
    """
    before, after = text[: match.start()], text[match.end() :]
    whole = text.strip(_NOISE)
    if _RANGE.search(before) or _BEFORE.search(before):
        return whole
    if _COMPUTED.match(after):
        return _computed(text, match, whole)
    if (
        _LISTED.match(after)
        or _LISTED_WITH_UNIT.match(after)
        or _SHARE.match(after)
        or _TWO_UNITS.match(after)
        or is_attached(after)
    ):
        return whole
    value = value_in(match)
    return whole if value is None else _spelled(value, match[0])


def _computed(text: str, match: re.Match[str], whole: str) -> str:
    """A calculation that was not carried out: 6 * 7."""
    end = match.start()
    while found := _EXPRESSION.match(text, end):
        end = found.end()
    calculation = text[match.start() : end].strip(" .,$")
    if is_range(calculation) or (
        re.match(r"\s*[A-Za-z\\]", text[end:]) is not None and text[end - 1 : end] in "+-*/^("
    ):
        return whole
    value = number_of_tree(read(calculation))
    return whole if value is None else _spelled(value, calculation)


def is_attached(after: str) -> bool:
    r"""Whether the text after a number makes it part of something else.

    5x, 4\sqrt{2}, 12:30, 1.2.3.
    """
    if re.match(r"[.,:/'][0-9]|_|\(|!", after):
        return True
    letters = re.match(r"[^\W\d_]+", after)
    if letters:
        word = letters[0]
        if not word.isascii():
            return False
        return not (
            word.casefold() in _ORDINAL
            or word in _LETTER_UNITS
            or units.unit_of(word) in units.KNOWN
            or word in units.KNOWN
            or len(word) > 3
        )
    rest = after.lstrip(" ")
    return rest[:1] in ("\\", "^", "π", "√") and not _MAY_FOLLOW.match(rest)


def last_number(text: str) -> str | None:
    """The last number of an unmarked text.

    The surrounding formula or word if it is only part of that. None without numbers.
    """
    short = text.strip(_NOISE.replace("$", "").replace(".", "")) if len(text) < 60 else ""
    if short and short[-1] != "!" and (value := value_of(short)) is not None:
        return _spelled(value, short)
    first = _FIRST_LINE.match(text)
    if (
        first
        and value_of(first["first"].strip(_NOISE.replace("$", "").replace(".", ""))) is not None
    ):
        return number_in(first["first"], is_bare=False)  # the answer, then the reason
    formulas = list(DOLLARS.finditer(text))
    if formulas and not re.search(r"[0-9]", re.sub(r"\s", "", text[formulas[-1].end() :])):
        inner = next(group for group in formulas[-1].groups() if group)
        if re.search(r"[0-9]", inner):
            return number_in(inner, is_bare=True)
    words = text
    text = tidy(text)
    matches = list(NUMBER.finditer(text))
    if not matches:
        return _in_few_words(words)
    said = (
        match
        for match in reversed(matches)
        if not (
            _DENIED.search(text, max(match.start() - 24, 0), match.start())
            or _is_power_of_unit(text[: match.start()][-40:])
        )
    )
    match = next(said, None)
    if match is None:
        return None
    before, after = text[: match.start()][-20:], text[match.end() :][:20]
    value = value_in(match)
    if value is None or _BEFORE.search(before) or is_attached(after):
        start = max(text.rfind(" ", 0, match.start()), text.rfind("\n", 0, match.start())) + 1
        end = re.search(r"\s|\Z", text[match.end() :])
        return text[start : match.end() + (end.start() if end else 0)].strip(_NOISE)
    return _spelled(value, match[0])


def _is_power_of_unit(before: str) -> bool:
    """Whether a number follows "42 m^" or "9.8 m/s^"."""
    if not before.endswith(("^", "^{", "^-", "^{-")):
        return False
    found = _POWER_OF_UNIT.search(before)
    return found is not None and all(
        name in _SYMBOLS for name in re.findall(r"[^\W\d_]+", found[0])
    )


def _in_few_words(text: str) -> str | None:
    """The number of a reply that consists of little more than number words.

    "Eleven.", "Forty-two apples".
    """
    if len(text) > 200 or len(text.split()) > _FEW_WORDS:
        return None
    found = find_words(text)
    value = (
        value_of_words(found[0])
        if len(found) == 1 and text.strip(_NOISE).startswith(found[0])
        else None
    )
    return None if value is None else spell(value)
