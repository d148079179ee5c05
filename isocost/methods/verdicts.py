"""What a verification says, as a number from 0 (wrong) to 1 (right).

Lives here: the verdict in a text, and the one in the probabilities of yes and no. Not here: calls
that ask for verdicts (the methods), their sums over a sample (``isocost.tables``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_VERDICT = re.compile(r"\b(yes|no|true|false|correct|incorrect)\b", re.IGNORECASE)
_MEANING = {"yes": 1.0, "true": 1.0, "correct": 1.0, "no": 0.0, "false": 0.0, "incorrect": 0.0}


def read_verdict(text: str | None) -> float | None:
    """The last yes, no, true, false, correct or incorrect of a verification's text, as 1 or 0.

    None if there is none.

    "not correct" is no: a verifier that ends with it means no.
    """
    found = list(_VERDICT.finditer(text or ""))
    if not found:
        return None
    last = found[-1]
    value = _MEANING[last.group().lower()]
    is_denied = bool(re.search(r"\bnot\s+$", (text or "")[: last.start()], re.IGNORECASE))
    return 1.0 - value if is_denied else value


def choice_verdict(logprobs: Sequence[float | None] | None) -> float | None:
    """P(yes) / (P(yes) + P(no)) from ln p of yes and of no.

    A choice that is not among the most likely tokens (None) is less likely than the other one and
    counts as impossible.

    Returns:
        None if both are unknown or impossible, or if there are not two choices.
    """
    if logprobs is None or len(logprobs) != 2:
        return None
    yes, no = (-math.inf if value is None else float(value) for value in logprobs)
    best = max(yes, no)
    if not math.isfinite(best):
        return None
    weights = math.exp(yes - best), math.exp(no - best)
    return weights[0] / sum(weights)
