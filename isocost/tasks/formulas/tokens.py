r"""Split a normalised formula into tokens.

Lives here: numbers with their grouping, commands, runs of letters, texts and signs. Not here: what
they mean together (``reader``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from isocost.tasks.formulas.text import THIN
from isocost.tasks.formulas.trees import Unreadable

MAX_TOKENS = 600


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a formula.

    Its kind ("num", "cmd", "run", "text", "op", "end"), its text, its value, and whether a gap
    precedes it.
    """

    kind: str
    text: str
    value: Fraction | None = None
    gap: bool = False

    @property
    def number(self) -> Fraction:
        """The value of a number."""
        assert self.value is not None, f"{self.text!r} is not a number"
        return self.value


_GROUPS = (
    rf"[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[1-9][0-9]{{0,2}}(?:[{THIN}"
    r" ][0-9]{3})+(?![0-9/])|[0-9]{1,3}(?:'[0-9]{3})+(?![0-9])"
)
_TOKEN = re.compile(
    rf"""(?P<gap>[ {THIN}]+)
    |(?P<repeat>(?P<rw>[0-9]*)\.(?P<rf>[0-9]*)\\overline\ ?(?:\{{(?P<rr>[0-9]+)\}}|(?P<rr1>[0-9])))
    |(?P<num>(?:(?P<grouped>{_GROUPS})|[0-9]+)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{{1,6}}(?![A-Za-z0-9]))?|\.[0-9]+|[0-9]+\.(?![0-9]))
    |\\text\{{(?P<text>[^{{}}]*)\}}
    |\\(?P<begin>begin|end)\ *\{{(?P<env>[A-Za-z]+)\*?\}}
    |\\mathbb\ *(?:\{{(?P<space>[A-Z])\}}|(?P<space1>[A-Z]))
    |\\\\(?P<row>(?:\[[^\]]*\])?)
    |\\(?P<cmd>[A-Za-z]+)
    |(?P<brace>\\[{{}}|])
    |(?P<run>[^\W\d_]+)
    |(?P<op>\*\*|<=|>=|!=|:=|==|[-+*/^_()\[\]{{}}|<>=,;:!%&'])""",
    re.VERBOSE,
)
_TURNED = {
    "**": "^",
    "<=": r"\le",
    ">=": r"\ge",
    "!=": r"\ne",
    ":=": "=",
    "==": "=",
    "<": "<",
    ">": ">",
}


def tokens_of(surface: str) -> list[Token]:
    """All tokens, followed by an "end" token.

    Raises:
        Unreadable: a character that belongs to no token, or too many tokens.
    """
    found: list[Token] = []
    position, gap, depth = 0, False, 0
    while position < len(surface):
        match = _TOKEN.match(surface, position)
        if match is None or len(found) > MAX_TOKENS:
            raise Unreadable(f"at {surface[position : position + 20]!r}")
        position = match.end()
        if match["gap"]:
            gap = True
            continue
        if match["grouped"] and depth and "," in match["grouped"] and ",0" not in match["grouped"]:
            position = match.start() + match["grouped"].index(
                ","
            )  # (100,200) is a pair; (1,000) is a thousand
            token = Token(
                "num",
                surface[match.start() : position],
                Fraction(surface[match.start() : position]),
                gap,
            )
        else:
            token = _token(match, gap)
        depth += (token.text in ("(", "[", r"\{")) - (token.text in (")", "]", r"\}") and depth > 0)
        found.append(token)
        gap = False
    return [*found, Token("end", "", None, gap)]


def _token(match: re.Match[str], gap: bool) -> Token:
    if match["repeat"]:
        return Token(
            "num", match[0], _repeating(match["rw"], match["rf"], match["rr"] or match["rr1"]), gap
        )
    if match["num"]:
        plain = re.sub(rf"[,' {THIN}]", "", match["num"])
        exponent = re.search(r"[eE]([-+]?[0-9]+)$", plain)
        if len(plain) > 5000 or (exponent and abs(int(exponent[1])) > 5000):
            raise Unreadable("a number too long")
        return Token("num", match["num"], Fraction(plain), gap)
    if match["text"] is not None:
        return Token("text", match["text"], None, gap)
    if match["begin"]:
        return Token("cmd", f"{match['begin']}:{match['env']}", None, gap)
    if match["space"] or match["space1"]:
        return Token("cmd", f"space:{match['space'] or match['space1']}", None, gap)
    if match["row"] is not None:
        return Token("op", r"\\", None, gap)
    if match["cmd"]:
        return (
            Token("op", "\\" + match["cmd"], None, gap)
            if match["cmd"] in _SIGNS
            else Token("cmd", match["cmd"], None, gap)
        )
    if match["brace"]:
        return Token("op", "|" if match["brace"] == r"\|" else match["brace"], None, gap)
    if match["run"]:
        return Token("run", match["run"], None, gap)
    return Token("op", _TURNED.get(match["op"], match["op"]), None, gap)


_SIGNS = {"le", "ge", "ne", "cdot", "times", "in", "cup", "cap", "setminus", "approx", "deg", "langle", "rangle", "lfloor", "rfloor"} | {
    "lceil", "rceil", "pm", "mp"
}  # fmt: skip


def _repeating(whole: str, fixed: str, repeated: str) -> Fraction:
    shift = 10 ** len(fixed)
    return (
        Fraction(int(whole or 0))
        + (Fraction(int(fixed or 0)) + Fraction(int(repeated), 10 ** len(repeated) - 1)) / shift
    )
