"""The verifier "multiple_choice": the answer is one letter, A to Z.

Lives here: which letter of a text is the choice. Not here: the texts of the choices; a reference is
a letter.

The marked answer is decisive. If it names no option, or two, there is no choice, and no earlier
text is used instead.
"""

from __future__ import annotations

import re
from functools import lru_cache

from isocost.tasks import extract
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.registry import register_verifier

ALL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WRAPPERS = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|boxed|textit|operatorname)\b|[{}$*`_]|\\[()\[\]]"
)
_NOT = re.compile(
    r"\b(?:not|rather than|instead"
    r" of|unlike|isn't|never)\s+(?:(?:option|choice|answer)\s+)?[(\[\"']*[A-Za-z][)\]\"']*(?![\w])",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"[\W_]*(?:(?:option|choice|answer|letter)\s*)?[\W_]*([A-Za-z])[\W_]*", re.IGNORECASE
)
_FIRST = re.compile(
    r"[\s\"'“:]*(?:(?:option|choice|letter|optie|opción|opcion|选项|選項)\s*)?(?P<open>[(\[（]?)\s*(?P<letter>[A-Za-z])(?![A-Za-z0-9'’])(?P<close>[)\].:）、]?)",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"[)\].:\s]*(?:,|/|&|\+|\bor\b|\band\b|\bund\b|\boder\b|\bet\b|\bou\b|\by\b|\bo\b|和|或|、"
    r")[\s]*(?:(?:or|and|option|choice)\s+)*[(\[（]?([A-Z])(?![A-Za-z0-9'’])",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"(?:both\s+|either\s+)?[(\[]?[A-Z][)\].]?(?:\s*(?:,|/|&|\+|or|and)\s*(?:(?:or|and)\s+)?(?:option\s+)?[(\[]?[A-Z][)\].]?)+[.!]?",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[(\[（]\s*([A-Za-z])\s*[)\]）]")
_CAPITAL = re.compile(r"(?<![A-Za-z0-9'’-])([A-Z])(?![A-Za-z0-9'’])(?!\s*[-=+<>])")
_VERB = r"(?:is|was|because|since|as|and|or|with|for|but|in|which|would|seems|fits|matches)\b"
_OPTION_WORDS = "option|choice|alternativa|opción|opção|opzione|вариант"
_SAID = re.compile(
    rf"(?:\b(?:{_OPTION_WORDS}|letter|guess|probably|definitely|certainly|likely|choose|chose|choosing|select|selected|pick|"
    r"(?:I'd|I would|I'll|I) say|go with|going with|(?:it|that|this)(?: is|'s| must be| should be|"
    r" would be)|"
    r"must"
    r" be|therefore|thus|so|hence|answer|cevap|yanıt|antwoord|svar|antwort|respuesta|réponse|risposta|resposta|jawaban|ответ|"
    r"wähle|elijo|choisis|correct(?=:))\b[\"']?\s*[:,-]?\s*(?:it"
    r" is\s+|it's\s+|is\s+|option\s+|choice\s+)?|"
    rf"\b(?:{_OPTION_WORDS}|one|fits)[^\n.,;:!?]{{0,30}}\s(?:is|es|é|è|est)\s+|"
    r"(?:选择|选|選擇|選|选项|選項|故选)\s*)"
    r"[(\[*\"'（]*(?P<after>[A-Z])(?![A-Za-z0-9'’])[)\]*\"'）]*"
    r"|(?<![A-Za-z])[(\[*\"']*(?P<before>[A-Z])[)\]*\"']*\s+"
    r"(?:is|seems|must be|appears to be|would be|seems to be|looks)\s+(?:clearly\s+|obviously\s+)?"
    r"(?:the\s+)?(?:most\s+)?(?:correct|right|best|true|answer|accurate|appropriate|plausible|likely|suitable|fitting)"
    r"|(?<![A-Za-z])[(\[*\"']*(?P<fits>[A-Z])[)\]*\"']*\s+(?:fits|matches|works|suits)\s+(?:the\s+)?best",
    re.IGNORECASE,
)
_REJECTED = re.compile(
    r"\s*[)\]*]*\s*(?:is|are|was|can be|seems|would be|looks)\s+(?:also\s+|clearly\s+)?"
    r"(?:not|wrong|incorrect|false|ruled|eliminated|excluded|impossible)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\bnot|n['’]t|\bnever|\bcannot|\bdoubt)\s+(?:(?:think|believe|say|sure|that|if|whether)\s+){0,3}\Z",
    re.IGNORECASE,
)
_A_FIRST = re.compile(r"\W*A\s*[:：]")
_FULL_WIDTH = {
    0xFEE0 + code: code for code in (*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1))
}
_LOOKALIKES = str.maketrans("АВСЕНІЈКМОРЅТХΑΒΕΗΙΚΜΝΟΡΤΧ", "ABCEHIJKMOPSTXABEHIKMNOPTX")
# Alone: "В 1990 году" is Russian for "in 1990", and "С другой стороны" starts a sentence.
_LOOKALIKE = re.compile(
    "(?<![\\w])[" + "".join(map(chr, _LOOKALIKES)) + "](?![\\w'’])(?!\\s+[0-9а-яёα-ω])"
)
_LABEL = re.compile(r"^[ \t]*[(\[*]*([A-Z])[)\].:]", re.MULTILINE)
_OPTION = re.compile(r"(?:^|\s)[(\[]?([A-Z])[)\].:](?=\s|\S)")


@lru_cache(maxsize=20_000)
def options_in(question: str) -> frozenset[str]:
    """The letters that a question offers.

    A, B, ... as labels in this order; every letter if it shows none.
    """
    best = ""
    for labels in (
        _BRACKETED.findall(question),
        _LABEL.findall(question),
        _OPTION.findall(question),
    ):
        run = ""
        for letter in labels:
            if letter == chr(ord("A") + len(run)):
                run += letter
        best = max(best, run, key=len)
    return frozenset(best) if len(best) >= 2 else ALL


def latin(text: str) -> str:
    """Full-width letters, and isolated Cyrillic or Greek lookalikes, as Latin letters."""
    if text.isascii():
        return text
    return _LOOKALIKE.sub(
        lambda match: chr(_LOOKALIKES[ord(match[0])]), text.translate(_FULL_WIDTH)
    )


@register_verifier
class MultipleChoice:
    """A marked letter counts first.

    Then a text that is only a letter or starts with one ("B) Paris"); then the last statement.
    """

    name = "multiple_choice"

    def check_reference(self, reference: str) -> str | None:
        """A reference is one letter, with or without brackets."""
        return (
            None
            if re.fullmatch(r"[\W_]*[A-Za-z][\W_]*", reference)
            else f"{reference[:60]!r} is not one letter from A to Z"
        )

    def extract(self, text: str, truncated: bool) -> str | None:
        """The chosen letter as written, out of all letters."""
        return self._choice(text, truncated, ALL)

    def extract_for(self, problem: Problem, text: str, truncated: bool) -> str | None:
        """The chosen letter, out of those that the problem offers.

        These are metadata `n_options`, otherwise the labels in its question.
        """
        number = problem.metadata.get("n_options")
        options = (
            frozenset(sorted(ALL)[:number])
            if isinstance(number, int) and number > 0
            else options_in(problem.question)
        )
        return self._choice(
            text, truncated, options if self.canonical(problem.reference) in options else ALL
        )

    def canonical(self, answer: str) -> str:
        """The capital letter."""
        return re.sub(r"[\W_]", "", answer).upper()

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """The same letter."""
        if self.check_reference(problem.reference) is not None:
            return Verdict(None, None, "bad_reference")
        correct = answer == self.canonical(problem.reference)
        return Verdict(correct, float(correct))

    def equivalent(self, first: str, second: str) -> bool:
        """Different letters differ."""
        return False

    def _choice(self, text: str, truncated: bool, options: frozenset[str]) -> str | None:
        text = latin(text)
        marked = extract.find_marked(text)
        searched = extract.tail(text)
        if marked is not None:
            named = _named(marked.text, options)
            names_any = _CAPITAL.search(marked.text) or _BRACKETED.search(marked.text)
            if named is None and not names_any and _A_FIRST.match(searched) and "A" in options:
                return "A"  # "A: Paris" starts with a label; "A: (B)" with the marker of an answer
            if named is not None or truncated:
                return named
            after = searched.rpartition(marked.text)[2]
            return _said(after, options)
        if truncated:
            return None
        if _is_several(searched, options):
            return None
        return (
            _alone(searched, options) or _said(searched, options) or _bracketed(searched, options)
        )


_NONE = re.compile(
    r"[\W_]*(?:none|neither|nothing|no (?:option|choice|answer|correct)|all of|both|cannot)\b",
    re.IGNORECASE,
)


def _named(segment: str, options: frozenset[str]) -> str | None:
    """The single option that a marked answer names; None for none or several."""
    segment = _NOT.sub(" ", _WRAPPERS.sub(" ", segment)).strip()
    if _NONE.match(segment):
        return None
    whole = _WHOLE.fullmatch(segment)
    if whole:
        return whole[1] if whole[1].upper() in options else None
    first = _FIRST.match(segment)
    while first and segment[first.end() :].lstrip(" )]").startswith("?"):
        segment = segment[first.end() :].lstrip(" )]?")
        first = _FIRST.match(segment)
    if first and _is_name(first, segment, options):
        more = _MORE.match(segment, first.end())
        if (
            more
            and more[1].upper() in options
            and (more[1].isupper() or first["open"])
            and more[1].upper() != first["letter"].upper()
        ):
            return None
        return first["letter"]
    for pattern in (_BRACKETED, _CAPITAL):
        letters = {
            m[1].upper()
            for m in pattern.finditer(segment)
            if m[1].upper() in options and not _is_article(m, segment)
        }
        if letters:
            return letters.pop() if len(letters) == 1 else None
    return None


def _is_name(match: re.Match[str], segment: str, options: frozenset[str]) -> bool:
    """Whether the letter at the start of a segment names an option.

    "a big one" and "I think" do not.
    """
    letter = match["letter"]
    if letter.upper() not in options:
        return False
    if (
        match["open"]
        or match["close"]
        or re.match(r"\W*(?:option|choice|letter|选项)", segment, re.IGNORECASE)
    ):
        return True
    rest = segment[match.end() :]
    if not letter.isupper():
        return not rest.strip()
    return (
        letter not in "AI"
        or not re.match(r"\s+[a-z]", rest)
        or bool(re.match(rf"\s+{_VERB}", rest))
    )


def _is_article(match: re.Match[str], segment: str) -> bool:
    return (
        match[1] in "AI"
        and match[0] == match[1]
        and bool(re.match(rf"\s+(?!{_VERB})[a-z]", segment[match.end() :]))
    )


def _alone(text: str, options: frozenset[str]) -> str | None:
    """The letter of a text that is only a letter, or has one alone in its first or last line.

    Also a letter that labels the start of the text.
    """
    lines = [
        _NOT.sub(" ", _WRAPPERS.sub(" ", line)).strip()
        for line in text.strip().splitlines()
        if line.strip()
    ]
    if not lines:
        return None
    found = [
        match[1]
        for line in (lines[-1], lines[0])
        if (match := re.fullmatch(r"[\W_]*([A-Za-z])[\W_]*", line)) and match[1].upper() in options
    ]
    if found:
        return found[0]
    labels = {match[1] for line in lines if (match := _LABEL.match(line))}
    first = _FIRST.match(lines[0])
    if first and _REJECTED.match(lines[0], first.end()):
        return None
    if (
        first
        and first["letter"].upper() in options
        and re.match(
            r",\s*(?:because|since|as|for)\b|\s+(?:because|since)\b", lines[0][first.end() :]
        )
    ):
        return first["letter"]
    if (
        first
        and first["letter"].isupper()
        and re.match(r"\s+[-–—]\s+\S", lines[0][first.end() :])
        and len(labels) < 2
    ):
        return first["letter"] if first["letter"] in options - {"I"} else None
    is_list = len(labels) > 1 and min(labels) == "A" == lines[0].lstrip("([*")[:1]
    if (
        not is_list
        and first
        and first["close"]
        and first["letter"].upper() in options
        and re.match(r"\s|$", lines[0][first.end() :])
    ):
        return first["letter"]
    return None


def _is_several(text: str, options: frozenset[str]) -> bool:
    """Whether a short reply consists of two options: "(A) and (C)", "A, B"."""
    if len(text) > 200:
        return False
    return (
        bool(re.fullmatch(_SEVERAL, _WRAPPERS.sub(" ", text).strip()))
        and len(set(_CAPITAL.findall(text)) & options) > 1
    )


def _said(text: str, options: frozenset[str]) -> str | None:
    """The letter of the last "option B", "it is B" or "B is correct"."""
    found = []
    for match in _SAID.finditer(text):
        letter = match["after"] or match["before"] or match["fits"]
        if (
            match["after"]
            and letter.islower()
            and re.search(r"(?:option|choice)\s*\Z", text[: match.start("after")], re.IGNORECASE)
        ):
            letter = (
                letter.upper()
                if re.match(r"[)\]*\"'）]*\s*(?:[.,!]|\Z)", text[match.end("after") :])
                else letter
            )
        if _DENIED.search(text, max(match.start() - 30, 0), match.start()):
            continue
        if not letter.isupper() or letter not in options:
            continue
        rest = text[match.end("after") :] if match["after"] else ""
        if match["after"] and (
            _REJECTED.match(rest)
            or (
                letter in "AI"
                and re.match(r"\s+[a-z]", rest)
                and not re.match(rf"\s+{_VERB}", rest)
            )
        ):
            continue
        found.append(letter)
    return found[-1] if found else None


def _bracketed(text: str, options: frozenset[str]) -> str | None:
    found = [
        m[1]
        for m in _BRACKETED.finditer(text)
        if m[1].isupper() and m[1] in options and not _REJECTED.match(text, m.end())
    ]
    return found[-1] if found else None
