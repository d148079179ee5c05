"""Replies drawn from a seed, each with a verdict that is known because of how it was made.

Lives here: kinds of answers and of replies. A kind is a class of explanation: the reason for
differences between graders is next to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random

_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
)
WORDS = _NAMES.split()


@dataclass(frozen=True, slots=True)
class Row:
    """A reply.

    Which verifier it is for, its reference, its text, whether it is right, and its kind.
    """

    kind: str
    verifier: str
    reference: str
    text: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of texts.

    Name, verifier, what makes graders differ on it, and how one is drawn (reference, answer or
    whole text, right).
    """

    name: str
    verifier: str
    why: str
    draw: Callable[[Random], tuple[str, str, bool]]
    is_whole: bool = False


def _marked(random: Random, answer: str, *, plain: bool) -> str:
    forms = [
        rf"Adding them up gives \boxed{{{answer}}}.",
        rf"Therefore the answer is $\boxed{{{answer}}}$.",
    ]
    if plain:
        forms += [
            f"The answer is {answer}.",
            f"**Answer:** {answer}",
            f"We compute it step by step.\n#### {answer}",
        ]
    return random.choice(forms)


def _integers(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 900)
    right = random.random() < 0.6
    return str(value), str(value if right else value + random.choice([-1, 1, 10])), right


def _thousands(random: Random) -> tuple[str, str, bool]:
    value = random.randint(1_000, 9_999_999)
    mark = random.choice([",", "{,}", r"\,", " "])
    right = random.random() < 0.7
    return (
        (str(value) if right else str(value)[:-3].rstrip("0") or "1"),
        f"{value:,}".replace(",", mark),
        right,
    )


def _mixed(random: Random) -> tuple[str, str, bool]:
    whole, bottom = random.randint(2, 30), random.randint(3, 12)
    top = random.randint(1, bottom - 1)
    value = whole + Fraction(top, bottom)
    right = random.random() < 0.6
    reference = (
        value
        if right
        else (
            Fraction(whole * 10 + top, bottom)
            if random.random() < 0.5
            else Fraction(whole * top, bottom)
        )
    )
    spelled = random.choice([rf"{whole}\frac{{{top}}}{{{bottom}}}", f"{whole} {top}/{bottom}"])
    return (
        rf"\frac{{{reference.numerator}}}{{{reference.denominator}}}",
        spelled,
        reference == value,
    )


def _fractions(random: Random) -> tuple[str, str, bool]:
    value = Fraction(random.randint(1, 40), random.choice([2, 4, 5, 8, 10, 20, 25]))
    spelled = random.choice(
        [
            rf"\dfrac{{{value.numerator}}}{{{value.denominator}}}",
            f"{float(value)}",
            f"{value.numerator}/{value.denominator}",
        ]
    )
    right = random.random() < 0.6
    reference = value if right else value + Fraction(1, 40)
    return rf"\frac{{{reference.numerator}}}{{{reference.denominator}}}", spelled, right


def _rounded(random: Random) -> tuple[str, str, bool]:
    value = Fraction(random.randint(1, 30), random.choice([3, 7, 9, 11]))
    if value.denominator == 1:
        value += Fraction(1, 3)
    return (
        rf"\frac{{{value.numerator}}}{{{value.denominator}}}",
        f"{float(value):.{random.randint(2, 6)}f}",
        False,
    )


def _percent(random: Random) -> tuple[str, str, bool]:
    share = random.choice([5, 12, 20, 25, 37, 40, 50, 75, 80])
    value = Fraction(share, 100)
    right = random.random() < 0.6
    return (
        rf"\frac{{{value.numerator}}}{{{value.denominator}}}",
        rf"{share if right else share + 1}\%",
        right,
    )


def _number_words(random: Random) -> tuple[str, str, bool]:
    value = random.randint(1, 19)
    right = random.random() < 0.6
    return str(value if right else value + 1), WORDS[value], right


def _large_words(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 900)
    scale, word = random.choice([(10**3, "thousand"), (10**6, "million")])
    right = random.random() < 0.6
    return str(value * scale) if right else str(value), f"{value} {word}", right


def _powers(random: Random) -> tuple[str, str, bool]:
    exponent = random.randint(2, 9)
    right = random.random() < 0.6
    return (
        (str(10**exponent) if right else "10"),
        random.choice([f"10^{exponent}", f"10^{{{exponent}}}"]),
        right,
    )


def _tiny(random: Random) -> tuple[str, str, bool]:
    exponent = random.randint(18, 120)
    form = random.choice([r"\frac{1}{2^{%d}}", "2^{-%d}", r"1.6\times 10^{-%d}"])
    right = random.random() < 0.3
    return form % exponent, form % (exponent if right else exponent + 1), right


def _large(random: Random) -> tuple[str, str, bool]:
    size = random.randint(60, 150)
    form = random.choice(["%d!", "3^{%d}"])
    right = random.random() < 0.3
    return form % size, form % (size if right else size + 1), right


def _surds(random: Random) -> tuple[str, str, bool]:
    factor, root = random.randint(2, 9), random.choice([2, 3, 5, 7, 13])
    right = random.random() < 0.6
    return rf"{factor}\sqrt{{{root}}}", rf"\sqrt{{{factor**2 * root + (0 if right else 1)}}}", right


def _euler(random: Random) -> tuple[str, str, bool]:
    number = random.randint(1, 9)
    right = random.random() < 0.4
    return (
        rf"{number} - \frac{{1}}{{\mathrm{{e}}}}",
        rf"{number} {'-' if right else '+'} \frac{{1}}{{\mathrm{{e}}}}",
        right,
    )


def _algebra(random: Random) -> tuple[str, str, bool]:
    a, b = random.randint(1, 9), random.randint(1, 9)
    right = random.random() < 0.6
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b if right else b + 1})", right


def _names(random: Random) -> tuple[str, str, bool]:
    value = random.randint(-20, 20)
    right = random.random() < 0.6
    return (
        (f"x={value}", str(value if right else value + 1), right)
        if random.random() < 0.5
        else (str(value), f"x = {value if right else value + 1}", right)
    )


def _brackets(random: Random) -> tuple[str, str, bool]:
    low = random.randint(-9, 5)
    high = low + random.randint(1, 9)
    forms = [f"({low},{high})", f"[{low},{high}]", f"({low},{high}]", rf"\{{{low},{high}\}}"]
    first = random.choice(forms)
    right = random.random() < 0.4
    return (
        first,
        first if right else random.choice([form for form in forms if form != first]),
        right,
    )


def _inequalities(random: Random) -> tuple[str, str, bool]:
    low = random.randint(-9, 5)
    high = low + random.randint(1, 9)
    right = random.random() < 0.5
    sign = r"\le" if right else "<"
    return f"({low},{high}]", f"{low} < x {sign} {high}", right


def _lists(random: Random) -> tuple[str, str, bool]:
    values = random.sample(range(1, 30), 3)
    other = random.sample(values, 3)
    right = random.random() < 0.5
    if not right:
        other[random.randrange(3)] += 31
    return ", ".join(map(str, values)), ", ".join(map(str, other)), right


def _units(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 99)
    unit = random.choice([r"\text{ cm}", r"\text{ dollars}", r"^\circ", r"\text{ miles}"])
    right = random.random() < 0.6
    return str(value), f"{value if right else value + 1}{unit}", right


def _times(random: Random) -> tuple[str, str, bool]:
    hour, minute = random.randint(1, 12), random.choice([0, 10, 15, 30, 45])
    right = random.random() < 0.4
    return f"{hour}:{minute:02d}", f"{hour}:{minute if right else (minute + 5) % 60:02d}", right


def _words(random: Random) -> tuple[str, str, bool]:
    words = ["even", "odd", "east", "west", "Monday", "Friday", "red", "blue"]
    first = random.choice(words)
    right = random.random() < 0.5
    second = first if right else random.choice([word for word in words if word != first])
    return rf"\text{{{first}}}", random.choice([second, rf"\text{{{second}}}"]), right


def _several(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 99)
    return (
        str(value),
        (
            f"The answer is {value} {random.choice(['or', 'to', 'and'])}"
            f" {value + random.randint(1, 5)}."
        ),
        False,
    )


def _part(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 99)
    return (
        str(value),
        random.choice(
            [
                f"The answer is {value}x.",
                rf"The answer is ${value}\sqrt{{2}}$.",
                rf"\boxed{{{value}\pi}}",
            ]
        ),
        False,
    )


def _open_thought(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 99)
    return (
        str(value),
        f"<think>First I try {value + 1}. So the answer is {value}. But wait, let me check",
        False,
    )


def _thought(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 99)
    right = random.random() < 0.5
    said = value if right else value + 1
    return (
        str(value),
        f"<think>Maybe the answer is \\boxed{{{2 * value + 1 - said}}}? No.</think>\nIt is {said}.",
        right,
    )


def _run_on(random: Random) -> tuple[str, str, bool]:
    value, other = random.randint(2, 99), random.randint(100, 199)
    right = random.random() < 0.6
    first, second = (value, other) if right else (other, value)
    form = random.choice(["#### {}", "The answer is {}.", r"\boxed{{{}}}"])
    return (
        str(value),
        (
            f"{form.format(first)}\n\nQuestion: Tom buys 7 pens. How many are left?\nAnswer:"
            f" {form.format(second)}"
        ),
        right,
    )


def _unmarked(random: Random) -> tuple[str, str, bool]:
    value = random.randint(2, 99)
    right = random.random() < 0.6
    return (
        str(value),
        f"There are 12 eggs a day. After 5 days she has {value if right else value + 1} eggs left.",
        right,
    )


def _continued(random: Random) -> tuple[str, str, bool]:
    value = random.randint(20, 99)
    right = random.random() < 0.6
    said = value if right else value + 1
    return (
        str(value),
        (
            f"The answer is {said} because 3 of the {said + 3} are gone.\nAll"
            f" {random.randint(2, 9)} steps are checked."
        ),
        right,
    )


KINDS = (
    Kind(
        "integers",
        "numeric",
        "plain integers behind a usual mark; a grader differs where it asks for its own mark",
        _integers,
    ),
    Kind(
        "thousands marks",
        "numeric",
        "1,000 and 1 000 read to the end, or up to the mark",
        _thousands,
    ),
    Kind(
        "mixed numbers", "symbolic", "3 1/2 is 7/2; read as a product or as 31/2 elsewhere", _mixed
    ),
    Kind(
        "fractions",
        "symbolic",
        "one rational number in two spellings, or two that differ by 1/40",
        _fractions,
    ),
    Kind(
        "rounded decimals",
        "symbolic",
        "0.33 is not 1/3 exactly; others allow for rounding",
        _rounded,
    ),
    Kind("per cent", "symbolic", "50% is 1/2", _percent),
    Kind("number words", "numeric", "seven is 7", _number_words),
    Kind("scale words", "numeric", "2 million is 2000000", _large_words),
    Kind("powers", "numeric", "10^6 is 1000000, not 10", _powers),
    Kind(
        "tiny numbers",
        "symbolic",
        "different, although nearly equal in floats or relative to 1",
        _tiny,
    ),
    Kind("large numbers", "symbolic", "exact beyond floats", _large),
    Kind("surds", "symbolic", "a root rewritten", _surds),
    Kind(
        "sign before e", "symbolic", "\\mathrm{e} read as the number e, all of the sum read", _euler
    ),
    Kind("algebra", "symbolic", "a product multiplied out", _algebra),
    Kind("names", "symbolic", "x = 5 is 5", _names),
    Kind("brackets", "symbolic", "pairs, intervals and sets of the same two numbers", _brackets),
    Kind("inequalities", "symbolic", "1 < x <= 2 is the interval (1,2]", _inequalities),
    Kind("lists", "symbolic", "the order of a list does not count, each of its items does", _lists),
    Kind("units", "symbolic", "a unit where the reference has none", _units),
    Kind("clock times", "symbolic", "12:30 is not 12:45", _times),
    Kind("words", "symbolic", "a text answer, compared as a text", _words),
    Kind("several numbers", "numeric", '"3 or 5" is not 3', _several, True),
    Kind("part of a formula", "numeric", "4x is not 4", _part, True),
    Kind(
        "unfinished thought",
        "numeric",
        "a thought that did not end gives no answer",
        _open_thought,
        True,
    ),
    Kind("finished thought", "numeric", "what was only thought is not said", _thought, True),
    Kind("run-on", "numeric", "an invented next question has an answer, too", _run_on, True),
    Kind("no mark", "numeric", "the last number of a finished text", _unmarked, True),
    Kind(
        "numbers behind the answer",
        "numeric",
        "the marked number counts, not the last one",
        _continued,
        True,
    ),
)


def draw(count: int, seed: int) -> list[Row]:
    """`count` rows, kinds in turn."""
    random = Random(seed)
    rows = []
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        reference, answer, is_right = kind.draw(random)
        text = (
            answer if kind.is_whole else _marked(random, answer, plain=kind.verifier == "numeric")
        )
        rows.append(Row(kind.name, kind.verifier, reference, text, is_right))
    return rows
