"""Find the answer in a chat model's reply.

Lives here: the markers of answers (a box, a tag, "####", "answer:" in common languages), and
helpers for lines and spelling. Not here: reasoning and invented next questions, which are removed
before (``thoughts``, ``run_on``), nor what an answer of a certain kind looks like (the verifiers).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

MAX_TEXT = 200_000
"""Characters looked at, from the end.

Answers are at the end, and a text of megabytes must not take minutes.
"""

MAX_LINE = 2000
"""Characters examined after a marker."""
_EMPTY = " \t\r*_`\"'.:：$"
_TAG = re.compile(r"<(?:(/)?(?:answer|final_answer)>|\|(?:begin|(end))_of_box\|>)", re.IGNORECASE)
_HASHES = re.compile(r"(?<!#)####[ \t]*([^\s#][^\n]*)")
_HEADING = re.compile(r"[*_]*[^\W\d_]{2,}")
_BRACE = re.compile(r"\\f?boxed\s*\{|[{}]")
_JOINED = re.compile(
    r"[ \t$.]*(?:\\\)|\\\])?(?:,[ \t]*(?:and|or)?|\band|\bor|;)[ \t$]*(?:\\\(|\\\[)?", re.IGNORECASE
)
_BOX_BARE = re.compile(r"\\f?boxed\s*([0-9]+(?:\.[0-9]+)?|[A-Za-z])(?![A-Za-z])")

# Words for "answer" and "result", and words that link them to the answer, by script.
_WORDS = (
    "answer|answers|result|correct option|right option|best option|correct choice|best choice|right"
    " choice|my choice|final choice|chosen option|correct"
    " letter|antwort|ergebnis|lösung|réponse|reponse|résultat|respuesta|resultado|respuesta"
    " final|risposta|risultato|resposta|antwoord|odpowiedź|odpowiedz|wynik|odpověď|svar|svaret|vastaus|cevap|yanıt|sonuç|răspuns|răspunsul|válasz|jawaban|ответ|результат|відповідь|отговор|одговор|απάντηση|đáp"
    " án|câu trả lời|correcte|opción correcta|opção correta|option correcte|richtige"
    " option|richtige antwort"
)
_LINKS = (
    "is|are|was|would be|should be|must be|will"
    " be|equals|ist|lautet|wäre|est|es|è|é|jest|to|är|er|on|adalah|является|is equal to|is"
    " therefore|is thus|is hence|is simply|is indeed|is clearly|is just|is exactly|is option|is"
    " choice|là|είναι"
)
_FAR = (
    "答案|最终答案|正确答案|正确选项|正确的选项|正确的答案|選項|选项|结果|回答|答|答え|正解|解答|정답|답변|답|"
    "उत्तर|الإجابة الصحيحة|الاجابة الصحيحة|"
    "الجواب الصحيح|"
    "الإجابة|الجواب|"
    "الاجابة|اجابة|جواب|פתרון|תשובה|คำตอบ|உத்தரம்|উত্তর"
)
_FAR_LINKS = "应该是|應該是|选择|选|選|就是|是|为|為|は|が|이|은|는|है|هي|هو|היא|คือ|হল"
_LETTER_MARK = r"^[ \t]{0,10}\*{0,2}(?:A|R|Ans|Sol)\*{0,2}[:：][ \t*_]{0,10}"
_ALL_NEAR, _ALL_FAR = _WORDS.split("|"), _FAR.split("|")
# "this answer is the best one" is about an answer; it does not give one.
_SPOKEN_OF = re.compile(
    r"(?:\b(?:this|that|your|every|each|an|no|whose|which|previous|above|wrong|incorrect|other|first))["
    r" \t]+\Z",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)
def _pattern(near: tuple[str, ...], far: tuple[str, ...]) -> re.Pattern[str]:
    """The phrase markers, limited to words that occur in the text.

    Searching for all of them everywhere would take most of the grading time.
    """
    found = [_LETTER_MARK]
    if near:
        found.append(
            rf"(?<![\w])(?:{'|'.join(near)})(?![\w])["
            r" \t*_`\"'’]{0,10}(?:\((?:letter|number|option)\)[ \t*_]{0,4})?"
            r"(?:(?:correct[ae]?|finale?|esatta|certa|corretta|correta|exacte?|đúng|cuối cùng)["
            r" \t]+|to (?:the|this|that|your) (?:\w+ )?"
            r"(?:question|problem|puzzle|riddle)[ \t]+)?"
            rf"(?:(?:{_LINKS})(?![\w-])[ \t*_]{{0,10}}[:：]?|[:：=]|[ \t]+(?:[:：→⇒]|[-=]>|[-–—]["
            r" \t]))[ \t*_]{0,10}"
        )
    if far:
        found.append(
            rf"(?:{'|'.join(far)})[ \t*_]{{0,10}}(?:(?:{_FAR_LINKS})[ \t]*[:：]?|[:：=])["
            r" \t*_]{0,10}"
        )
    return re.compile("|".join(found), re.IGNORECASE | re.MULTILINE)


def _phrases(text: str) -> list[re.Match[str]]:
    lower = text.lower()
    far = () if text.isascii() else tuple(word for word in _ALL_FAR if word in text)
    near = tuple(sorted((word for word in _ALL_NEAR if word in lower), key=len, reverse=True))
    return list(_pattern(near, far).finditer(text))


# "The answer is not A" states what the answer is not.
_DENIED = re.compile(
    r"(?:not|never|n't|neither|nicht|kein\w*|pas|no es|não|non è|не|不是|并非)\b(?![ \t]+only)",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"(?:correct|right|wrong|incorrect|obvious|clear|simple|straightforward|unique|as"
    r" follows|shown|given|found|obtained|computed|"
    r"calculated|derived|determined|based|because|in the form|of the form|expressed|written)\b",
    re.IGNORECASE,
)
"""Continuations of "the answer is" that do not give an answer."""

# "Wait, I forgot two. So 7.": the text after a phrase may retract it; only a conclusion after that
# does.
_TAKEN_BACK = re.compile(
    r"(?:(?:\A|[.!?\n,;—–-])[ \t]*(?:but |oh,? |no,? |hmm,? )*(?:wait|hold"
    r" on|actually|oops|correction|scratch that)\b"
    r"|\b(?:this|that|it)(?:'s|’s| is| was) (?:wrong|incorrect|not right|a mistake)\b|\bI made an?"
    r" (?:\w+ )?(?:mistake|error)\b)",
    re.IGNORECASE,
)
_SHORT = 30
_REGRETS = (
    "wait",
    "hold on",
    "actually",
    "oops",
    "correction",
    "scratch",
    "wrong",
    "incorrect",
    "not right",
    "mistake",
    "error",
)
"""Everything that _TAKEN_BACK finds contains one of these."""
_CONCLUDED = re.compile(
    r"(?:(?:\A|[.!?:;,\n])[ \t]*(?:so|thus|therefore|hence)\b,?|\b(?:it|that)(?:'s|’s| is| should"
    r" be| must be| gives| makes)"
    r"|\bshould be)["
    r" \t]+(?!(?:it|this|that|we|you|yes|our|my|not|right|fine)\b|n't|indeed|correct|wrong|incorrect|a"
    r" mistake|because)"
    r"(?P<conclusion>[^\n.]{1,80})[.!]?\s*\Z",
    re.IGNORECASE,
)

MarkKind = Literal["box", "tag", "hashes", "phrase"]


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer that the text itself marks, and the kind of marker."""

    text: str
    kind: MarkKind


def tail(text: str) -> str:
    """The part of a text that is searched: at most MAX_TEXT characters from the end."""
    return text[-MAX_TEXT:]


def tagged(text: str) -> str | None:
    """The content of the last complete <answer>...</answer> or <|begin_of_box|>...<|end_of_box|>.

    None if there is none.
    """
    start: int | None = None
    last: str | None = None
    searched = tail(text)
    if "<" not in searched:
        return None
    for match in _TAG.finditer(searched):
        if not (match[1] or match[2]):
            start = match.end()
        elif start is not None:
            last, start = searched[start : match.start()].strip() or last, None
    return last


def boxed(text: str) -> str | None:
    r"""The content of the last complete \boxed{...} or \fbox{...}, with matched braces.

    Boxes joined to it by "and" are included. None if there is no box.
    """
    searched = tail(text)
    if "box" not in searched:
        return None
    opened: list[tuple[int, int] | None] = []
    joined: list[str] = []  # the last box, and boxes joined to it: \boxed{3} and \boxed{5}
    end = 0
    for match in _BRACE.finditer(searched):
        if match[0] != "}":
            opened.append((match.start(), match.end()) if len(match[0]) > 1 else None)
        elif opened and (start := opened.pop()) is not None:
            content = searched[start[1] : match.start()].strip()
            if content:
                joined = (
                    [*joined, content]
                    if joined and start[0] >= end and _JOINED.fullmatch(searched, end, start[0])
                    else [content]
                )
                end = match.end()
    if not joined and (bare := list(_BOX_BARE.finditer(searched))):
        joined = [bare[-1][1]]
    return ", ".join(dict.fromkeys(joined)) or None


def find_marked(text: str, *, may_deny: bool = False) -> Marked | None:
    """The answer that a text marks: by box, <answer> tag, "####", "answer:" or "answer is".

    Kinds are tried in this order; within a kind, the last match counts. The last kind gives the
    rest of its line, or the next line if nothing follows the marker. "The answer is not A" and
    "this answer is right" are not markers; in "the answer is 5. Wait, ... So 7.", 7 counts.

    Args:
        text: a reply without its reasoning.
        may_deny: whether "the answer is not ..." is also a marker: if answers are words, "not
            plausible" is one.
    """
    box = boxed(text)
    if box:
        return Marked(box, "box")
    tag = tagged(text)
    if tag:
        inner = find_marked(tag, may_deny=may_deny) if len(tag) > 40 else None
        return inner or Marked(tag, "tag")
    searched = tail(text)
    for match in reversed(list(_HASHES.finditer(searched)) if "####" in searched else []):
        # A level-four heading has words, and content below it.
        if match[1].strip(_EMPTY) and not (
            _HEADING.match(match[1]) and searched[match.end() :].strip()
        ):
            return Marked(match[1].strip(), "hashes")
    for match in reversed(_phrases(searched)):
        found = _after(searched, match, may_deny)
        if found is not None:
            return Marked(found, "phrase")
    return None


def _after(searched: str, match: re.Match[str], may_deny: bool) -> str | None:
    if _SPOKEN_OF.search(searched, max(match.start() - 20, 0), match.start()):
        return None
    rest = searched[match.end() : match.end() + MAX_LINE]
    line, _, after = rest.partition("\n")
    corrected = _corrected(rest)
    if corrected is not None:
        return corrected
    if _DENIED.match(line) and not may_deny:
        return None
    if _TALK.match(line):
        if not line.rstrip().endswith((":", "：")):
            return None
        line = ""
    lines = [line, *(piece for piece in after.split("\n")[:6] if piece.strip(" \t\\[]$"))]
    for piece in lines[:2]:
        if piece.strip(_EMPTY):
            return piece.strip()
    return None


def _corrected(rest: str) -> str | None:
    """The conclusion by which a text retracts an answer and gives another one.

    None if it does not.
    """
    lower = rest.lower()
    back = _TAKEN_BACK.search(rest) if any(word in lower for word in _REGRETS) else None
    if back is None:
        return None
    if (
        back[0].lower().endswith("correction")
        and (line := rest[back.end() :].partition("\n")[0].strip(" :,.*"))
        and len(line) <= _SHORT
    ):
        return line
    concluded = _CONCLUDED.search(rest, back.end())
    return None if concluded is None else concluded["conclusion"].strip()


def marked(text: str, *, may_deny: bool = False) -> str | None:
    """The text of ``find_marked``; None without a marker."""
    found = find_marked(text, may_deny=may_deny)
    return None if found is None else found.text


def last_line(text: str) -> str | None:
    """The last non-empty line; None for a blank text."""
    lines = [line.strip() for line in tail(text).splitlines() if line.strip()]
    return lines[-1] if lines else None


def plain(text: str) -> str:
    """NFKC, case-folded, single spaces, without surrounding markdown, quotes and punctuation."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return text.strip(" *_`\"'“”‘’.,;:!?。！？，、")
