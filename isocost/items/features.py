"""Features of a response that may go with its correctness.

Lives here: word lists and the Polars expressions that count them, the within-problem AUC. Not here:
the join with samples and the tests (isocost.tables). The lists are English; a count means that a
word occurs, not that the model hedged.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from isocost.errors import IsocostError

# Short lists of unambiguous words; each feature is a rate per 100 words, so that length does not
# determine it.
HEDGES = (
    "maybe",
    "perhaps",
    "possibly",
    "probably",
    "likely",
    "might",
    "could be",
    "seems",
    "appears",
    "not sure",
    "i think",
    "i guess",
)
THINKING = (
    "wait",
    "hmm",
    "actually",
    "alternatively",
    "let me check",
    "let me verify",
    "double-check",
    "on second thought",
    "mistake",
)
DISCOURSE = (
    "therefore",
    "thus",
    "hence",
    "because",
    "since",
    "however",
    "so that",
    "first",
    "second",
    "then",
    "finally",
    "in conclusion",
)

FEATURES = {
    "characters": "Characters of the response.",
    "words": "Runs of letters, digits and apostrophes.",
    "sentences": "Runs of sentence-ending punctuation.",
    "digits_ratio": "Share of characters that are digits.",
    "hedges_per_100_words": "Hedging words per 100 words: " + ", ".join(HEDGES) + ".",
    "thinking_per_100_words": "Words of second thoughts per 100 words: "
    + ", ".join(THINKING)
    + ".",
    "discourse_per_100_words": "Discourse markers per 100 words: " + ", ".join(DISCOURSE) + ".",
}


def feature_expressions(column: str = "output_text") -> list[pl.Expr]:
    """Polars expressions for every feature in `FEATURES` of a text column.

    NULL text gives NULL, rates are NULL without words.
    """
    text = pl.col(column)
    words = text.str.count_matches(r"[\p{L}\p{N}']+").cast(pl.Float64)
    length = text.str.len_chars().cast(pl.Float64)

    def rate(vocabulary: tuple[str, ...]) -> pl.Expr:
        pattern = r"(?i)\b(?:" + "|".join(vocabulary) + r")\b"
        return pl.when(words > 0).then(100 * text.str.count_matches(pattern) / words)

    return [
        length.alias("characters"),
        words.alias("words"),
        text.str.count_matches(r"[.!?]+").cast(pl.Float64).alias("sentences"),
        pl.when(length > 0).then(text.str.count_matches(r"\p{Nd}") / length).alias("digits_ratio"),
        rate(HEDGES).alias("hedges_per_100_words"),
        rate(THINKING).alias("thinking_per_100_words"),
        rate(DISCOURSE).alias("discourse_per_100_words"),
    ]


def within_problem_auc(values: ArrayLike, correct: ArrayLike, problems: ArrayLike) -> float:
    """Probability that a correct response has a larger value than a wrong one of the same problem.

    Ties count half.

    Problems have equal weight; those without both kinds are ignored. Difficulty cannot drive it,
    as it would a pooled AUC.

    Args:
        values: one per sample.
        correct: truth per sample.
        problems: label per sample.

    Returns:
        The mean over mixed problems; NaN without any.
    """
    x, right = np.asarray(values, dtype=np.float64), np.asarray(correct, dtype=bool)
    label = np.unique(np.asarray(problems), return_inverse=True)[1].reshape(-1)
    if not len(x) == len(right) == len(label):
        raise IsocostError(
            "values, correct and problems differ in length", remedy="Give one of each per sample."
        )
    if len(x) == 0:
        return float("nan")
    # Mann-Whitney by ranks inside each problem: ties take the mean of their ranks.
    order = np.lexsort((x, label))
    sizes = np.bincount(label)
    position = np.arange(len(x)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    tie = np.concatenate([[0], np.cumsum((np.diff(x[order]) != 0) | (np.diff(label[order]) != 0))])
    rank = np.empty(len(x))
    rank[order] = (np.bincount(tie, weights=position) / np.bincount(tie))[tie] + 1
    good = np.bincount(label, weights=right)
    bad = sizes - good
    mixed = (good > 0) & (bad > 0)
    if not mixed.any():
        return float("nan")
    wins = np.bincount(label, weights=rank * right) - good * (good + 1) / 2
    return float((wins[mixed] / (good[mixed] * bad[mixed])).mean())
