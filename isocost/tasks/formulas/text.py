r"""Normalise a formula: one spelling for LaTeX, Unicode and plain-text variants.

Lives here: rewriting that changes no meaning (\dfrac, \left, π, ½, spacing). Not here: reading
(``tokens``, ``reader``).
"""

from __future__ import annotations

import re
import unicodedata

THIN = "\u2009"
"""Stands for every spacing command: it may group digits (10\\,000) and means nothing elsewhere."""

_SIGNS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": "/",
    "∕": "/", "⁄": "/", "π": r"\pi ", "∞": r"\infty ",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "±": r"\pm ",
    "∓": r"\mp ", "°": r"^{\circ}", "∪": r"\cup ",
    "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "∖": r"\setminus ", "√": r"\sqrt ",
    "≈": r"\approx ", "∼": r"\sim ", "θ": r"\theta ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "λ": r"\lambda ",
    "μ": r"\mu ", "φ": r"\phi ", "ω": r"\omega ",
    "σ": r"\sigma ", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℝ": r"\mathbb{R}",
    "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "⟨": r"\langle ",
    "⟩": r"\rangle ", "’": "'", "“": '"', "”": '"', "，": ",", "：": ":", "（": "(", "）": ")",
    "。": ".", "€": r"\euro ", "£": r"\pounds ",
    "¥": r"\yen ", "₹": r"\rupee ", "∧": r"\wedge ", "→": r"\to ", "⇒": r"\Rightarrow ",
    "∛": r"\sqrt[3] ", "…": r"\ldots ",
}  # fmt: skip
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ⁽⁾", "0123456789-+n()")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+")
_FRACTIONS = {c: unicodedata.normalize("NFKC", c).split("\u2044") for c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"}
_COMMANDS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom",
    "leq": "le", "leqslant": "le",
    "geq": "ge",
    "geqslant": "ge", "neq": "ne", "varnothing": "emptyset", "lbrace": "{", "rbrace": "}",
    "lbrack": "[", "rbrack": "]", "lt": "<",
    "gt": ">",
    "vert": "|", "lvert": "|", "rvert": "|", "ast": "cdot", "bullet": "cdot", "div": "/",
    "colon": ":", "degree": "^{\\circ}",
    "bigcup": "cup",
    "bigcap": "cap", "varphi": "phi", "varepsilon": "epsilon", "lor": "text{or}",
    "land": "text{and}", "vee": "text{or}", "simeq": "approx",
    "lbracket": "[", "dots": "ldots", "cdots": "ldots", "sim": "approx",
}  # fmt: skip
_DROPPED = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big|bigg|Bigg|biggl|biggr|displaystyle|textstyle|limits|nolimits|mathstrut|boldsymbol|bm|mathbf|"
    r"mathit|mathsf|mathcal|vec|hat|rm|bf|it)(?![A-Za-z])\.?"
)
_THOUSANDS = re.compile(r"(?<=\d),\\! ?(?=\d{3}(?!\d))")
"""How the MATH data set sets a comma between thousands: 10,\\!080."""
_SPACE = re.compile(
    r"(?<!\\)\\(?:[,;:!]|quad|qquad|thinspace|space|enspace|hspace\{[^}]*\})(?![A-Za-z])|(?<!\\)\\"
    r" |~|[\u00a0\u2002-\u200a\u202f]"
)
_TEXT = re.compile(
    r"\\(?:text|textrm|textbf|textit|textsf|texttt|mbox|hbox|emph|mathrm|operatorname)\*?\s*\{([^{}]*)\}"
)
_UPRIGHT = re.compile(r"\\(?:mathrm|operatorname|mathbf)\*?\s*\{\s*((?![mgshlLd])[A-Za-z])\s*\}")


# Plain TeX puts these between its operands: {3 \over 4}, {n \choose k}.
_INFIX = re.compile(
    r"(?:\{|\A)((?:[^{}\\]|\\(?!(?:over|choose)(?![A-Za-z])).|\{[^{}]*\})+?)\\(over|choose)(?![A-Za-z])((?:[^{}]|\{[^{}]*\})+)(?:\}|\Z)"
)
_INFIX_NAMES = {"over": "frac", "choose": "binom"}
_OLD_FONT = re.compile(r"\{\\(?:rm|bf|it)(?![A-Za-z])\s*([^{}]*)\}")
_ARRAY = re.compile(r"[\[(]\s*\\begin\{array\}\s*\{[lcr ]+\}(.*?)\\end\{array\}\s*[\])]", re.DOTALL)
_ARTICLE = re.compile(r"\A(?:\\text\{)?\s*(?:an?|the)\s+(?=[^\W\d_]{3})", re.IGNORECASE)


_UNIT_LETTERS = frozenset("mgshlLd")


def unwrapped(text: str) -> str:
    r"""A formula without surrounding markup.

    Dollars, \( \), \[ \], an outer \boxed{}, and a final period.
    """
    text = text.strip()
    for _ in range(6):
        before = text
        for opening, closing in (
            ("$$", "$$"),
            ("$", "$"),
            (r"\(", r"\)"),
            (r"\[", r"\]"),
            ("**", "**"),
            ("`", "`"),
            (r"\boxed{", "}"),
        ):
            inner = text[len(opening) : -len(closing)]
            if (
                len(text) > len(opening) + len(closing)
                and text.startswith(opening)
                and text.endswith(closing)
            ):
                if opening[0] == "$" and "$" in inner:
                    continue
                if opening == r"\boxed{" and _unbalanced(inner):
                    continue
                text = inner.strip()
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1].rstrip()
            if re.search(r"\b[A-Za-z]\.[A-Za-z]$", text):
                text += "."  # 10:15 a.m.
        if text == before:
            return text
    return text


def _unbalanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return True
    return depth != 0


def surface(text: str) -> str:
    """Normalised spelling of a formula; parsing and comparison start from it."""
    text = unwrapped(text)
    if not text.isascii():
        text = _unicode(text)
    text = text.replace("{,}", ",").replace("{.}", ".").replace("\\\n", "\\\\ ")
    text = _THOUSANDS.sub(",", text)
    text = _SPACE.sub(THIN, text)
    if r"{\rm" in text or r"{\bf" in text or r"{\it" in text:
        text = _OLD_FONT.sub(r"\\text{\1}", text)
    text = _DROPPED.sub("", text)
    text = re.sub(r"\\([A-Za-z]+)", _command, text)
    if r"\over" in text or r"\choose" in text:
        text = _INFIX.sub(
            lambda match: f"\\{_INFIX_NAMES[match[2]]}{{{match[1].strip()}}}{{{match[3].strip()}}}",
            text,
        )
    if r"\begin{array}" in text:
        text = _ARRAY.sub(r"\\begin{matrix}\1\\end{matrix}", text)
    text = _UPRIGHT.sub(r" \1 ", text)
    text = _TEXT.sub(lambda match: _text(match[1]), text)
    text = (
        text.replace(r"\$", r"\dollar ")
        .replace("$", r"\dollar ")
        .replace(r"\%", "%")
        .replace(r"\#", "#")
        .replace(r"\&", "&")
    )
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", r"\\deg ", text)
    return re.sub(r"[ \t\r\n]+", " ", text).strip()


def _command(match: re.Match[str]) -> str:
    name = _COMMANDS.get(match[1])
    if name is None:
        return match[0]
    if name in ("{", "}"):
        return "\\" + name
    return f"\\{name}" if name[0].isalpha() else name + " "


def _text(content: str) -> str:
    r"""Text within a formula.

    Anything but a word is part of the formula: \text{13}, \text{(C)}, the number of \text{3
    apples}.
    """
    inner = content.replace(THIN, " ").strip()
    letters = re.sub(r"[\W\d_]", "", inner)
    if not letters or (
        len(letters) == 1 and letters not in _UNIT_LETTERS and not re.search(r"[A-Za-z]\.", inner)
    ):
        return f" {inner} "
    counted = re.fullmatch(r"(-?[0-9][0-9.,]*)\s+([A-Za-z][A-Za-z ]*)", inner)
    return (
        rf" {counted[1]} \text{{{counted[2]}}}"
        if counted
        else rf"\text{{{content.replace(THIN, ' ')}}}"
    )


def _unicode(text: str) -> str:
    text = re.sub(
        "([0-9]?) ?([" + "".join(_FRACTIONS) + "])",
        lambda m: m[1] + rf"\frac{{{_FRACTIONS[m[2]][0]}}}{{{_FRACTIONS[m[2]][1]}}}",
        text,
    )
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ⁽⁾]+", lambda m: "^{" + m[0].translate(_RAISED) + "}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉₋₊]+", lambda m: "_{" + m[0].translate(_LOWERED) + "}", text)
    return unicodedata.normalize("NFKC", _SIGN.sub(lambda m: _SIGNS[m[0]], _SPACE.sub(THIN, text)))


def wording(text: str) -> str:
    """A text as words, if it is not a formula.

    Without LaTeX and spaces, and ignoring case if it has words of several letters.
    """
    text = surface(text)
    text = _ARTICLE.sub(lambda match: r"\text{" if match[0].startswith("\\") else "", text)
    words = text.casefold() == "no" or bool(
        re.search(r"\\text\{|[^\W\d_]{3}", re.sub(r"\\(?!text)[A-Za-z]+", "", text))
    )
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    text = re.sub(rf"(?<=[0-9])[\s{THIN}]+(?=[0-9])", "|", text)  # "4 10/3" is not 410/3
    text = re.sub(rf"[\s{THIN}]+|\\dollar ?", "", text).strip('.,;:?"`')
    text = re.sub(r"\{(\w)\}", r"\1", text)
    if words:
        text = re.sub(r"(?<=[^\W\d_]{2})[!*']+$", "", text)
    text = re.sub(r"\b([ap])\.m\.?", r"\1m", text, flags=re.IGNORECASE)
    return text.casefold() if words else text
