"""What the name of a metric says where the source says nothing else: how many samples it is of, and
which way it points.

Lives here: names. Not here: what a source states of its metrics (each format's module), what a
label becomes (``row``).
"""

from __future__ import annotations

import re

_OF_SEVERAL = re.compile(
    r"(?<![a-z])(?:g[-_]?pass|pass|maj|majority|majority_vote|cons|consensus|vote|avg|average|mean|best|worst)"
    r"[ _-]?(?:@|\^|_?at_|_?of_|_hat_)[ _-]?(\d+)",
    re.IGNORECASE,
)
_FALLING = re.compile(
    r"perplexity|bits_per_byte|brier|bypass"
    r"|(?<![a-z])(?:ppl|bpb|wer|cer|ter|mae|mse|rmse|mape|ece|nll|(?:log|hamming|cross_?entropy)_?loss|edit_distance|levenshtein"
    r"|(?:word_|character_|char_)?error_rate|calibration_error|hallucination_rate|(?<!non[_-])(?<!non)toxicity)(?![a-z])",
    re.IGNORECASE,
)


def samples_of(name: str | None) -> int:
    """How many samples a metric of this name is of.

    4 for ``pass@4``, ``maj@4``, ``pass^4`` and their like, else 1.
    """
    found = _OF_SEVERAL.search(name or "")
    return max(int(found[1][:9]), 1) if found else 1


def falls(name: str | None) -> bool:
    """Whether a metric of this name falls as the model gets better.

    Errors, losses, perplexities, toxicity.
    """
    return bool(_FALLING.search(name or ""))
