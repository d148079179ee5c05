"""The verifier "symbolic": the answer is a formula, compared by meaning.

Lives here: finding the formula, its canonical spelling and the verdict. Not here: parsing and
comparing formulas (isocost.tasks.formulas), plain numbers in prose (verifier "numeric" is
stricter).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from isocost.hashing import text_hash
from isocost.tasks import closeness, extract, judging, prose
from isocost.tasks.closeness import SymbolicSettings
from isocost.tasks.formulas import sameness
from isocost.tasks.formulas.reader import MAX_FORMULA, read
from isocost.tasks.formulas.text import THIN, surface, wording
from isocost.tasks.formulas.trees import Tree, contains
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.number_words import value_of_words
from isocost.tasks.numbers import spell, value_of
from isocost.tasks.registry import register_verifier

_ENDS = re.compile(
    r"\.\s|\.$|\s*[,;(]?\s*\b(?:because|since|where|when|which|as|for|so|after|by|in"
    r" total|per|if|not)\b|\s\(|\n",
    re.IGNORECASE,
)
_SPAN = (
    r"(?:(?<!\\)\$\$(?:[^$\\]|\\[\s\S]){1,1000}\$\$|(?<!\\)\$(?:[^$\n\\]|\\[^\n]){1,1000}\$"
    r"|\\\(.{1,1000}?\\\)|\\\[.{1,1000}?\\\])"
)
_JOINED = re.compile(rf"{_SPAN}(?:(?:,?\s*(?:and|or)\s+|\s*[,;]\s*){_SPAN})+", re.DOTALL)
_FEW_WORDS = re.compile(r"[*_\"'`(]*[^\W\d_][^\d\n=\\^]{0,39}", re.DOTALL)
"""A reply of one or a few words, without a marker: "Yes.", "Tuesday", "no solution"."""
_REFUSAL = re.compile(
    r"n['’]t\b|\b(?:not|cannot|sorry|unknown|unclear|unsure|unable|know|answer|help|n/a|i|you|it|is|are|the|we|let|to)\b|(?:\w+\W+){3}\w",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"\A\s*\\text\{[^{}]*\b(?:answer|result|solution)s?(?: (?:is|are))?:?\s*\}:?(?=\s*\S)",
    re.IGNORECASE,
)
_WORDS_BEFORE = re.compile(
    r"((?!the\b)[^\W\d_]+(?: [^\W\d_]+){0,2}),? (?:because|since|not|as|and not|rather than)\b",
    re.IGNORECASE,
)
"""An answer in words, followed by a reason."""
_ROWS = re.compile(
    r"\\begin\{(?:aligned|align\*?|gathered|split|eqnarray\*?)\}(.*)\\end\{", re.DOTALL
)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")


@lru_cache(maxsize=200_000)
def _same(first: str, second: str) -> bool:
    one, two = read(first), read(second)
    if (one is None) != (two is None):
        return False
    if one is not None and two is not None and sameness.same(one, two):
        return True
    return wording(first) == wording(second) != ""


@register_verifier
class Symbolic:
    """A marked answer counts first.

    Then, in a finished text, the last formula between dollars, then the last number.
    """

    name = "symbolic"
    merges = True
    settings = SymbolicSettings

    def __init__(self, options: SymbolicSettings | None = None) -> None:
        """Compare exactly, unless the options say otherwise."""
        self.options = options or SymbolicSettings()
        # Nearness is not transitive: answers within the tolerance of each other stay different.
        exact = {"relative_tolerance": 0.0, "absolute_tolerance": 0.0, "in_interval": False}
        self._classes = self.options.model_copy(update=exact)

    def check_reference(self, reference: str) -> str | None:
        """A reference is a formula or words; its value must be computable."""
        formula = self.canonical(self._strip(reference))
        if self.options.in_interval and closeness.interval_of(formula) is None:
            return f"{reference[:60]!r} is not an interval such as [1, 2)"
        if not formula:
            return "it is empty"
        if len(formula) > MAX_FORMULA:
            return f"it has more than {MAX_FORMULA:,} characters"
        tree = read(formula)
        if tree is not None and contains(tree, "big"):
            return f"{reference[:60]!r} is too large a number to be compared"
        return None

    def extract(self, text: str, truncated: bool) -> str | None:
        """The formula of the marked answer; otherwise the last one in a finished text."""
        marked = extract.find_marked(text)
        if marked is not None:
            return (
                self._strip(marked.text)
                if marked.kind != "phrase"
                else self._in_phrase(marked.text)
            )
        if truncated:
            return None
        searched = extract.tail(text)
        found = _formulas(searched)
        if found:
            several = [
                match
                for match in _JOINED.finditer(searched)
                if found[-1] in match[0][-len(found[-1]) - 4 :]
            ]
            listed = ", ".join(_formulas(several[-1][0])) if several else ""
            return listed if listed and _is_one_name(listed) else self._strip(_last_side(found[-1]))
        if _FEW_WORDS.fullmatch(searched.strip()) and not _REFUSAL.search(searched):
            return searched.strip()
        line = extract.last_line(text) or ""
        if len(line) <= MAX_FORMULA and re.search(r"\\[a-z]+|[=^]", line):
            whole = read(self._strip(line))
            if whole is not None and (
                whole[0] == "list" or (whole[0] == "named" and whole[2][0] == "list")
            ):
                return self._strip(line)
            side = self._strip(line.split("=")[-1])
            if read(side) is not None:
                return side
        return prose.last_number(searched)

    def canonical(self, answer: str) -> str:
        """A number in canonical spelling; otherwise the formula in normalised form."""
        tree = read(answer)
        value = tree[1] if tree is not None and tree[0] == "num" else None
        if tree is None:
            value = value_of_words(_TEXT.sub(r"\1", surface(answer)).strip(" ."))
        if (
            value is not None
            and max(value.numerator.bit_length(), value.denominator.bit_length()) < 1300
        ):
            return spell(value)
        shown = (
            surface(answer)
            .replace(THIN, " ")
            .replace(r"\dollar ", r"\$")
            .replace(r"\deg ", r"^{\circ}")
            .replace(r"\deg", r"^{\circ}")
            .strip(" .*")
        )
        return (
            shown
            if len(shown) <= MAX_FORMULA
            else f"{shown[: MAX_FORMULA + 1]}...{text_hash(shown)}"
        )

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Compare with the reference.

        An answer that cannot be compared is wrong; a reference that cannot be computed gives no
        verdict.
        """
        gold = self.canonical(self._strip(problem.reference))
        if self.options != SymbolicSettings():
            return self._by_options(problem, gold, answer)
        if gold == answer != "":
            return Verdict(True, 1.0)
        if self.check_reference(problem.reference) is not None:
            return Verdict(None, None, "bad_reference")
        if len(answer) > MAX_FORMULA:
            return Verdict(False, 0.0, "too_long")
        try:
            correct = _same(gold, answer)
        except sameness.ValueFailed as failed:
            return self._failed(gold, failed)
        if correct or read(answer) is not None:
            tree = read(answer)
            return Verdict(
                correct,
                float(correct),
                (
                    "not_comparable"
                    if not correct and tree is not None and contains(tree, "big")
                    else None
                ),
            )
        return Verdict(False, 0.0, None if read(gold) is None else "not_comparable")

    def _by_options(self, problem: Problem, gold: str, answer: str) -> Verdict:
        if self.check_reference(problem.reference) is not None:
            return Verdict(None, None, "bad_reference")
        if len(answer) > MAX_FORMULA:
            return Verdict(False, 0.0, "too_long")
        found, reference = read(answer), read(gold)
        try:
            if self.options.in_interval:
                value, interval = _real(found), closeness.interval_of(gold)
                correct = bool(
                    interval and value is not None and closeness.is_within(value, interval)
                )
            elif found is None or reference is None:
                correct = _same(gold, answer)
            else:
                correct = closeness.same_formulas(self.options, found, reference)
        except sameness.ValueFailed as failed:
            return self._failed(gold, failed)
        return Verdict(correct, float(correct))

    def equivalent(self, first: str, second: str) -> bool:
        """Equality as in ``formulas.sameness``; answers that cannot be compared differ."""
        if max(len(first), len(second)) > MAX_FORMULA:
            return False
        one, two = sorted((first, second))
        try:
            if self._classes == SymbolicSettings():
                return _same(one, two)
            trees = read(one), read(two)
            return (
                _same(one, two)
                if trees[0] is None or trees[1] is None
                else closeness.same_formulas(self._classes, trees[0], trees[1])
            )
        except sameness.ValueFailed:
            return False

    def bucket(self, answer: str) -> str | None:
        """The value of a rational number, or the words of a text that is not a formula.

        Other values of these kinds are never equal to it.
        """
        tree = read(answer)
        if tree is None:
            return "words " + wording(answer)
        return "number " + answer if tree[0] == "num" else None

    def _failed(self, gold: str, failed: sameness.ValueFailed) -> Verdict:
        reason = failed.failure.reason
        is_ours = any(part == failed.tree for part in sameness.parts(read(gold)))
        if is_ours or not judging.is_working():
            return Verdict(None, None, f"reference_{reason}" if is_ours else "judge_unavailable")
        return Verdict(False, 0.0, "judge_timeout" if reason == "timeout" else "not_comparable")

    def _in_phrase(self, text: str) -> str:
        """The formula after "the answer is".

        Between dollars, or as much of the phrase as can be parsed.
        """
        lead = re.match(r"[\s*_`\"'“:]*", text)
        rest = text[lead.end() if lead else 0 :]
        span = prose.DOLLARS.match(rest)
        if span:
            first = next(group for group in span.groups() if group)
            tail = rest[span.end() :]
            several = _JOINED.match(rest)
            if (
                several
                and len(found := _formulas(several[0])) > 1
                and read(listed := ", ".join(found)) is not None
            ):
                return listed
            # "$5$ cm" continues; "$5$ because $x = 2$" does not.
            joined = self._strip(first + tail.split(".")[0].split(",")[0])
            return (
                joined
                if re.match(r"\s*[a-zA-Z%°\\]", tail)
                and not prose.DOLLARS.search(tail)
                and read(joined) is not None
                else self._strip(first)
            )
        for end in [len(rest), *(match.start() for match in _ENDS.finditer(rest))]:
            piece = self._strip(rest[:end])
            if piece and (read(piece) is not None or value_of_words(piece) is not None):
                return piece
        found = _formulas(rest)
        if found:
            return self._strip(found[-1])
        words = _WORDS_BEFORE.match(rest)
        if words:
            return words[1]
        number = prose.number_in(rest, is_bare=False)
        if number is not None and value_of(number) is not None:
            return number
        return self._strip(rest)

    def _strip(self, text: str) -> str:
        text = _LEAD.sub("", text)
        found = _formulas(text)
        inner = extract.boxed(text)
        if inner is None and len(found) == 1:
            span = prose.DOLLARS.search(text)
            whole = text.strip(" .*_`")
            # A formula in dollars followed by a unit stays whole: "$5$ cm".
            inner = (
                found[0]
                if span and (span[0] == whole or read(self._undollared(text)) is None)
                else self._undollared(text)
            )
        if inner is None and len(found) > 1:
            inner = (
                self._undollared(text) if read(self._undollared(text)) is not None else found[-1]
            )
        return (inner if inner is not None else text).strip().strip("*_`").rstrip(".").strip()

    def _undollared(self, text: str) -> str:
        return prose.DOLLARS.sub(
            lambda match: f" {next(group for group in match.groups() if group)} ", text
        )


def _real(tree: Tree | None) -> Fraction | None:
    while tree is not None and tree[0] == "named":
        tree = tree[2]
    return None if tree is None else sameness.real_value(tree)


def _is_one_name(listed: str) -> bool:
    """Whether formulas are several values of one name ("x = 2", "x = 3").

    Otherwise they are steps towards the last one ("a = 3", "b = 12").
    """
    tree = read(listed)
    return tree is not None and not (
        tree[0] == "list" and any(item[0] == "named" for item in tree[1])
    )


def _last_side(formula: str) -> str:
    """The last side of a derivation in several rows; other formulas unchanged."""
    rows = _ROWS.search(formula)
    if rows is None:
        return formula
    row = re.sub(r"\\\\\s*\Z", "", rows[1].strip()).split(r"\\")[-1]
    return row.replace("&", " ").split("=")[-1]


def _formulas(text: str) -> list[str]:
    return [next(group for group in match if group) for match in prose.DOLLARS.findall(text)]
