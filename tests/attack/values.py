"""Values that no field should hold, and documents with one of them in a place."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from typing import Any

_DEEP = "[" * 10_000 + "]" * 10_000

# As text that is spliced into JSON: some of it no JSON library writes.
HOSTILE = (
    "1e308", "-1e308", "1e-320", str(2**62), str(-(2**62)), str(2**63), str(10**30), "-1", "-0.0", "0", "0.5", "1e12", "NaN", "Infinity",
    "-Infinity", "9" * 5000, "-" + "9" * 5000, "0." + "9" * 5000, "1e999999999", "null", "true", "false", '""', '" "', '"x"', '"NaN"', '"1e308"',
    '"-1"', '"1,5"', '"' + "9" * 5000 + '"', '"\\ud800"', '"\\u0000"', '"a\\u0000b"', '"\\u202e"', '"' + "x" * 100_000 + '"', '"200000-01-01T00:00:00Z"',
    '"0000-00-00"', '"2024-13-45"', '"1e400 W"', '"../../../etc/passwd"', '"/dev/zero"', '"{{7*7}}"', '"=1+1"', "[]", "{}", "[null]", "[[[]]]", _DEEP,
    '{"a": ' * 3000 + "1" + "}" * 3000, "[" + "0," * 50_000 + "0]", '{"": null}', '{"__class__": "x"}', "253402300800", "1e18", "-62135596801",
)  # fmt: skip

_MARK = "@@a place of the attack@@"


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of all leaves and of every list and mapping in a document."""
    if path:
        yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield from places(item, (*path, key))


def without(value: Any, path: tuple) -> Any:
    """A copy without what lies at a path."""
    copy = json.loads(json.dumps(value))
    home = copy
    for key in path[:-1]:
        home = home[key]
    del home[path[-1]]
    return copy


def spliced(value: Any, path: tuple, hostile: str) -> str:
    """A document as JSON text with a hostile value at a path."""
    copy = json.loads(json.dumps(value))
    home = copy
    for key in path[:-1]:
        home = home[key]
    home[path[-1]] = _MARK
    return json.dumps(copy).replace(json.dumps(_MARK), hostile)


def record_of(value: Any, path: tuple) -> tuple | None:
    """The path of the record that a place belongs to: the outermost member of a list of several mappings."""
    here = value
    for depth, key in enumerate(path):
        if (
            isinstance(here, list)
            and len(here) > 1
            and all(isinstance(item, dict) for item in here)
        ):
            return path[: depth + 1]
        here = here[key]
    return None


def cell(text: str, hostile: str, dice: random.Random) -> str:
    """A table of commas with a hostile value in one of its cells."""
    rows = list(csv.reader(io.StringIO(text)))
    filled = [n for n, row in enumerate(rows) if n and row] or [0]
    row = rows[dice.choice(filled)]
    row[dice.randrange(len(row))] = hostile.strip('"')
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def word(text: str, hostile: str, dice: random.Random) -> str:
    """Other text with a hostile value in the place of one word."""
    lines = text.split("\n")
    n = dice.choice([n for n, line in enumerate(lines) if line.strip()])
    words = lines[n].split(" ")
    words[dice.choice([i for i, one in enumerate(words) if one])] = hostile.strip('"')
    lines[n] = " ".join(words)
    return "\n".join(lines)
