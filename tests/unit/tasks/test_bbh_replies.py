"""BIG-Bench Hard's replies of code-davinci-002, as its repository has them, are graded as there.

The file holds the ends of up to four right and four wrong replies of each subset (MIT licence,
suzgunmirac/BIG-Bench-Hard). Which are right follows from the text after "the answer is": by that
rule the accuracy of each subset is the one that the repository states.
"""

from __future__ import annotations

import json
from pathlib import Path

from isocost.tasks import grade_text

REPLIES = Path(__file__).with_name("bbh_replies.jsonl")


def test_every_reply_is_graded_as_published():
    rows = [json.loads(line) for line in REPLIES.read_text("utf-8").splitlines()]
    assert len({row["subset"] for row in rows}) == 27
    wrong = [
        row
        for row in rows
        if grade_text("exact", row["reference"], row["reply"], "stop").correct is not row["right"]
    ]
    assert wrong == []
