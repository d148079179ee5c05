"""Which samples of a bank are complete.

Lives here: `Found`, which collects the rows of verified parts and says which samples they complete.
Not here: verification of parts (``parts``), which samples are wanted (``resume``).

A sample of the method `sample` is complete with its only call. Any other sample is complete once
its method has returned, which its final row of raw_answers says, as long as every call that the
method had made is there, also those that it shares with other samples.
"""

from __future__ import annotations

import polars as pl

DONE_SCHEMA = {"point_id": pl.String(), "problem_id": pl.String(), "sample_index": pl.Int32()}
JUDGED = {
    "raw_generations": (
        "point_id",
        "problem_id",
        "sample_id",
        "sample_index",
        "call_index",
        "attempt",
        "method",
        "finish_reason",
        "is_warmup",
    ),
    "raw_answers": (
        "point_id",
        "problem_id",
        "sample_id",
        "sample_index",
        "is_final",
        "finish_reason",
        "call_attempts",
        "shared_id",
        "n_shared_calls",
    ),
}
"""The columns that `Found.add` needs of each table."""
SAMPLE = "sample"
_CALL = ["sample_id", "call_index", "attempt"]


def judged_columns(table: str) -> tuple[str, ...]:
    """The columns that `Found.add` needs of a table; none of tables that complete nothing."""
    return JUDGED.get(table, ())


def made_calls(final: pl.DataFrame) -> pl.DataFrame:
    """The calls that samples were made of, under the ids under which they are banked.

    Args:
        final: final rows of raw_answers, numbered by the column ``answer``.

    Returns:
        Columns answer, sample_id, call_index and attempt; the first calls of a sample that shares
        them have the ``shared_id`` as sample_id.
    """
    columns = ("answer", "sample_id", "shared_id", "n_shared_calls")
    made = final.select(*columns, pl.col("call_attempts").alias("attempt")).explode("attempt")
    index = pl.int_range(pl.len(), dtype=pl.Int32).over("answer").alias("call_index")
    is_shared = (pl.col("call_index") < pl.col("n_shared_calls")).fill_null(False)
    holder = pl.when(is_shared).then("shared_id").otherwise("sample_id").alias("sample_id")
    return made.with_columns(index).select("answer", holder, "call_index", "attempt")


class Found:
    """Rows of one session's verified parts."""

    def __init__(self) -> None:
        """Nothing is found yet."""
        self._samples: list[pl.DataFrame] = []
        self._calls: list[pl.DataFrame] = []
        self._answers: list[pl.DataFrame] = []

    def add(self, table: str, rows: pl.DataFrame) -> None:
        """Take the rows of a part, with `judged_columns`."""
        if table == "raw_generations":
            good = rows.filter(~pl.col("is_warmup"), pl.col("finish_reason") != "error")
            is_sample = pl.col("method").fill_null(SAMPLE) == SAMPLE
            self._samples.append(good.filter(is_sample).select(*DONE_SCHEMA))
            self._calls.append(good.filter(~is_sample).select(_CALL))
        elif table == "raw_answers":
            final = rows.filter(pl.col("is_final"), pl.col("finish_reason") != "error")
            self._answers.append(
                final.select(
                    *DONE_SCHEMA,
                    "sample_id",
                    "call_attempts",
                    "shared_id",
                    "n_shared_calls",
                )
            )

    def complete(self) -> pl.DataFrame:
        """Complete samples; columns of `DONE_SCHEMA`."""
        empty = pl.DataFrame(schema=DONE_SCHEMA)
        return pl.concat([empty, *self._samples, *self._returned()])

    def _returned(self) -> list[pl.DataFrame]:
        """Samples of methods that have returned, all of whose calls are there."""
        answers = [frame for frame in self._answers if frame.height]
        if not answers:
            return []
        final = pl.concat(answers).with_row_index("answer")
        calls = (
            pl.concat(self._calls).unique()
            if self._calls
            else pl.DataFrame(
                schema={"sample_id": pl.String, "call_index": pl.Int32, "attempt": pl.Int32}
            )
        )
        made = made_calls(final)
        lost = made.filter(pl.col("attempt").is_not_null()).join(calls, on=_CALL, how="anti")
        whole = final.filter(~pl.col("answer").is_in(lost["answer"].unique().implode()))
        return [whole.select(*DONE_SCHEMA)]
