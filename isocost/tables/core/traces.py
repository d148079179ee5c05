"""The token confidences and verification calls kept in the core tables.

Lives here: records of the running window minimum by sample, and the verdicts and sums over a
sample's verifications. Not here: the records' definition (``isocost.strategies.records``), how a
verdict is read (``isocost.methods.verdicts``), which calls make a sample (core.py).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from isocost.axes.registry import all_axes
from isocost.methods.verdicts import choice_verdict, read_verdict
from isocost.strategies.records import confidence_records

VERIFY = "verify"
"""Role of a call that grades an answer: not part of the answer, nor of its cost."""

_SUMS = {
    axis.verification.name: axis.column
    for axis in all_axes().values()
    if axis.verification is not None
}
RECORDS = ("confidence_record_tokens", "confidence_record_values")


def with_records(samples: pl.DataFrame) -> pl.DataFrame:
    """Add the record columns from token_confidences and confidence_window, which go.

    A sample of several calls has none: its tokens are not one trace.
    """
    traces = samples["token_confidences"]
    lengths = traces.list.len().fill_null(0).to_numpy()
    flat = traces.filter(lengths > 0).explode().cast(pl.Float64).fill_null(float("nan")).to_numpy()
    ends = np.cumsum(lengths)
    tokens: list[list[int] | None] = []
    values: list[list[float] | None] = []
    for is_banked, end, length, window, calls in zip(
        traces.is_not_null(),
        ends,
        lengths,
        samples["confidence_window"],
        samples["n_calls"],
        strict=True,
    ):
        trace = flat[end - length : end]
        if not is_banked or window is None or calls != 1 or not np.isfinite(trace).all():
            tokens.append(None)
            values.append(None)
            continue
        at, low = confidence_records(trace, window)
        tokens.append(at.tolist())
        values.append(low.tolist())
    added = (
        pl.Series(RECORDS[0], tokens, pl.List(pl.Int32)),
        pl.Series(RECORDS[1], values, pl.List(pl.Float32)),
    )
    return samples.drop("token_confidences", "confidence_window").with_columns(*added)


def verifications(calls: pl.DataFrame) -> pl.DataFrame:
    """One row per sample with verification calls: verdicts in call order, and their total cost.

    The verdict of a verification that had to choose between yes and no (`choice_logprobs`, yes
    first) is the probability of yes; of others it is read from the text. A verification that failed
    or says neither yes nor no is a NULL among the verdicts; a cost that one call lacks is NULL.
    """
    judged = calls.filter("is_used", pl.col("role") == VERIFY).sort("sample_id", "call_index")
    failed = pl.col("finish_reason").is_in(["error", "abort"]).fill_null(False)
    verdicts = [
        read_verdict(text) if choices is None else choice_verdict(choices)
        for text, choices in judged.select("output_text", "choice_logprobs").iter_rows()
    ]
    return (
        judged.with_columns(pl.Series("verdict", verdicts, pl.Float64))
        .with_columns(pl.when(~failed).then(pl.col("verdict")).alias("verdict"))
        .group_by("sample_id", maintain_order=True)
        .agg(
            pl.col("verdict").alias("verdicts"),
            *(
                pl.when(pl.col(own).null_count() == 0).then(pl.col(own).sum()).alias(name)
                for name, own in _SUMS.items()
            ),
        )
    )
