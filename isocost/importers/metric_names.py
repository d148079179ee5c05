"""What a metric's name implies: the number of samples it covers, and its direction.

Used if the source does not state it.

Lives here: names. Not here: a source's own statements on its metrics (each format's module), the
conversion of labels (``row``).
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
