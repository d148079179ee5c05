"""Problems from GSM8K's own JSONL files.

Their lines are {"question", "answer"} with "#### 18" at the end of the answer. Lives here: the
field names of that format. Not here: the file itself; `dataset` is its path.
"""

from __future__ import annotations

from isocost.tasks.registry import register_source
from isocost.tasks.sources.jsonl import JsonLines


@register_source
class Gsm8k(JsonLines):
    """The source "gsm8k": like "jsonl", with that data set's field names."""

    name = "gsm8k"
    fields = {"question": "question", "reference": "answer", "cluster": None}  # noqa: RUF012  (read-only by convention of the base class)
