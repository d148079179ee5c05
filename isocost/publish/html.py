"""Small pieces of HTML: text is escaped, tables have aligned numbers.

Lives here: markup. Not here: the content of a page (``report``, ``sections``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

# A long name may break after these; none of them occurs in an escaped character.
_MARKS = re.compile(r"[_,:=/](?=\w)")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: shown as it is, escaped.
        is_number: aligned right.
        wraps: may be broken into lines.
        markup: HTML before the text, already safe.
        is_problem: needs attention.
    """

    text: str
    is_number: bool = False
    wraps: bool = False
    markup: str = ""
    is_problem: bool = False


def number(text: str) -> Cell:
    """A cell aligned right."""
    return Cell(text, is_number=True)


def long(text: str) -> Cell:
    """A cell of running text."""
    return Cell(text, wraps=True)


def breakable(text: str) -> str:
    """Escaped text that may break after punctuation inside long names before inside a word."""
    return _MARKS.sub(r"\g<0><wbr>", escape(text))


def tag(name: str, text: str, **attributes: str) -> str:
    """One element around escaped text."""
    return element(name, escape(text), **attributes)


def element(name: str, inner: str, **attributes: str) -> str:
    """One element around markup; ``class_`` and ``data_x`` become ``class`` and ``data-x``."""
    spelt = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{spelt}>{inner}</{name}>"


def table(
    head: Sequence[str | Cell],
    rows: Iterable[Sequence[Cell | str]],
    *,
    name: str,
    marked: frozenset[int] = frozenset(),
) -> str:
    """A table whose rows become blocks on a phone, each value under its column heading.

    Args:
        head: heads of the columns.
        rows: cells.
        name: description for screen readers.
        marked: positions of highlighted rows.
    """
    # Once per table and not once per cell: the style sheet passes the column heading to each cell.
    heads = ";".join(
        f"--h{place}:{_quoted(cell if isinstance(cell, str) else cell.text)}"
        for place, cell in enumerate(head, start=1)
    )
    opening = (
        f'<div class=scroll role=region aria-label="{escape(name)}"><table'
        f' style="{escape(heads)}"><thead><tr>'
    )
    lines = [opening, *(_cell("th", cell) for cell in head), "</tr></thead><tbody>"]
    for place, row in enumerate(rows):
        lines.append(
            f"<tr{' class=knee' if place in marked else ''}>"
            + "".join(_cell("td", cell) for cell in row)
            + "</tr>"
        )
    return "".join([*lines, "</tbody></table></div>"])


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms with their explanations."""
    return "<dl>" + "".join(f"{tag('dt', term)}{tag('dd', text)}" for term, text in pairs) + "</dl>"


def share_bar(ratio: float | None) -> str:
    """A small bar for a ratio; nothing if it is unknown."""
    if ratio is None:
        return ""
    return f'<span class=bar aria-hidden=true><i style="width:{100 * ratio:.0f}%"></i></span>'


def _quoted(text: str) -> str:
    """A text as a string of CSS."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ") + "'"


def _cell(name: str, cell: Cell | str) -> str:
    if isinstance(cell, str):
        cell = Cell(cell)
    kind = " ".join(
        word
        for word, on in (("n", cell.is_number), ("wrap", cell.wraps), ("problem", cell.is_problem))
        if on
    )
    text = breakable(cell.text) if cell.wraps else escape(cell.text)
    return (
        f"<{name}{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{cell.markup}{text}</{name}>"
    )
