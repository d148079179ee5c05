"""Tables of judges: what each said, how far it agrees with gold labels, and its ability.

Lives here: core_judgements, out_judge_agreement, out_judge_abilities. Not here: how they are
computed (``isocost.tables.core.judged``, ``isocost.tables.judges``) and the verdicts themselves,
which are in core_samples.
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

_JUDGE = Column("judge", "string", "Name of the judge, or its model.", nullable=False)

JUDGEMENTS = Table(
    name="core_judgements",
    grain="one question to one judge about one answer, in one order of reference and answer",
    keys=("session_id", "problem_id", "answer_hash", "judge", "answer_order"),
    warnings=(
        "Equal answers to a problem are judged once, however many samples gave them: n_samples.",
        (
            "Costs of judging are in no cost axis. Sum them over rows without is_repeat; another"
            " session that has the same answers pays nothing and has the same numbers."
        ),
    ),
    columns=(
        columns.SESSION_ID,
        columns.PROBLEM_ID,
        columns.TASK,
        columns.CLUSTER_ID,
        Column("answer_hash", "string", "Hash of the judged answer.", nullable=False),
        _JUDGE,
        Column(
            "answer_order",
            "string",
            "Which comes first in the rubric's {pair}; as_written if the rubric has none.",
            nullable=False,
            allowed=("as_written", "reference_first", "answer_first"),
        ),
        Column("role", "string", "Role of the call.", nullable=False, allowed=("judge",)),
        Column("model", "string", "Model of the judge.", nullable=False),
        Column(
            "judgement_key",
            "string",
            "Key in the bank of judgements: hash of the request.",
            nullable=False,
        ),
        Column(
            "n_samples",
            "int64",
            "Samples, and answers at smaller budgets, with this answer.",
            unit="samples",
            nullable=False,
        ),
        Column("verdict_correct", "bool", "What the judge said; NULL without a verdict."),
        Column("verdict_score", "float64", "Its score, from 0 to 1.", unit="ratio"),
        Column(
            "no_verdict_reason",
            "string",
            "Why there is no verdict: judge_unreadable, judge_away, judge_refused or"
            " judge_key_missing.",
        ),
        Column("failure", "string", "Why the judge did not answer, in words."),
        Column("output_text", "string", "The judge's reply."),
        Column("prompt_tokens", "int64", "Tokens of the request.", unit="tokens"),
        Column(
            "cached_tokens", "int64", "Of these, served from the server's cache.", unit="tokens"
        ),
        Column("output_tokens", "int64", "Generated tokens.", unit="tokens"),
        Column("latency_s", "float64", "Time until the reply was whole.", unit="s"),
        Column("num_retries", "int32", "Attempts that failed before."),
        Column("cost_usd", "float64", "Price of the call by the judge's price card.", unit="USD"),
        Column("cost_usd_unknown_reason", "string", "Why the price is unknown."),
        Column(
            "is_repeat",
            "bool",
            "Whether a row before it in this session has the same judgement and bears its cost.",
            nullable=False,
        ),
        Column("gold_correct", "bool", "Gold label of the answer; NULL without one."),
        Column(
            "gold_source",
            "string",
            "label: of the imported source; verifier: of the verifier under gold.",
            allowed=("label", "verifier"),
        ),
        Column("no_gold_reason", "string", "Why there is no gold label."),
    ),
)


def _rate(name: str, meaning: str) -> tuple[Column, Column, Column]:
    return (
        Column(name, "float64", meaning, unit="ratio"),
        Column(f"{name}_low", "float64", f"Lower end of the interval of {name}.", unit="ratio"),
        Column(f"{name}_high", "float64", f"Upper end of the interval of {name}.", unit="ratio"),
    )


JUDGE_AGREEMENT = Table(
    name="out_judge_agreement",
    grain="one judge of one task, or the majority of its judges",
    keys=("task", "judge"),
    warnings=(
        "Answers weigh the same, however many samples gave them.",
        (
            "A high accuracy with a low kappa says that most answers are alike, not that the judge"
            " is good (chance agreement)."
        ),
        (
            "Intervals come from problems. Rates are Wilson's at the effective number of answers;"
            " kappa, inflation and order_bias are t intervals of the jackknife over problems."
        ),
    ),
    columns=(
        columns.TASK,
        _JUDGE,
        Column(
            "n_answers", "int64", "Different answers asked about.", unit="answers", nullable=False
        ),
        Column("n_verdicts", "int64", "Of these, with a verdict.", unit="answers", nullable=False),
        Column("n_gold", "int64", "Of these, with a gold label.", unit="answers", nullable=False),
        Column(
            "n_gold_correct",
            "int64",
            "Of these, correct by the gold label.",
            unit="answers",
            nullable=False,
        ),
        Column("n_problems", "int32", "Problems of n_gold.", unit="problems", nullable=False),
        Column("n_true_positive", "int64", "Correct to both.", unit="answers", nullable=False),
        Column(
            "n_false_positive",
            "int64",
            "Correct to the judge, wrong by the gold label.",
            unit="answers",
            nullable=False,
        ),
        Column(
            "n_false_negative",
            "int64",
            "Wrong to the judge, correct by the gold label.",
            unit="answers",
            nullable=False,
        ),
        Column("n_true_negative", "int64", "Wrong to both.", unit="answers", nullable=False),
        *_rate("accuracy", "Share of n_gold with the verdict of the gold label."),
        *_rate("false_positive_rate", "Share of wrong answers that the judge calls correct."),
        *_rate("false_negative_rate", "Share of correct answers that the judge calls wrong."),
        *_rate("kappa", "Cohen's kappa: agreement beyond that of chance."),
        *_rate("inflation", "Share correct to the judge minus share correct by the gold label."),
        Column(
            "n_both_orders",
            "int64",
            "Answers with a verdict in both orders.",
            unit="answers",
            nullable=False,
        ),
        *_rate("order_consistency", "Share of n_both_orders with the same verdict in both."),
        *_rate(
            "order_bias",
            "Position bias: share correct with the answer first minus share correct with the"
            " reference first.",
        ),
        columns.CONFIDENCE,
        Column("undefined_reason", "string", "Why agreement is unknown; NULL if it is known."),
        Column(
            "n_judgements",
            "int64",
            "Judgements that were asked for; equal ones of several sessions count once.",
            unit="judgements",
        ),
        Column(
            "prompt_tokens",
            "int64",
            "Tokens of their requests; NULL if one is unknown.",
            unit="tokens",
        ),
        Column(
            "output_tokens",
            "int64",
            "Tokens that they generated; NULL if one is unknown.",
            unit="tokens",
        ),
        Column("cost_usd", "float64", "Price of all of them; NULL if one is unknown.", unit="USD"),
        Column("cost_usd_unknown_reason", "string", "Why the price is unknown."),
    ),
)

JUDGE_ABILITIES = Table(
    name="out_judge_abilities",
    grain="one of several judges of one task",
    keys=("task", "judge"),
    warnings=(
        (
            "A Bradley-Terry model of duels: an answer is a duel of two judges if one agrees with"
            " the gold label and the other does not. The abilities of a task have the mean 0; a"
            " difference of 1 is odds of e to win a duel."
        ),
        "Answers on which two judges agree say nothing about which of them is better.",
    ),
    columns=(
        columns.TASK,
        _JUDGE,
        Column("ability", "float64", "Log-odds ability, maximum likelihood."),
        Column("ability_low", "float64", "Lower end of its interval."),
        Column("ability_high", "float64", "Upper end of its interval."),
        Column(
            "n_won", "int64", "Duels that it won, against all others.", unit="duels", nullable=False
        ),
        Column("n_lost", "int64", "Duels that it lost.", unit="duels", nullable=False),
        columns.N_PROBLEMS,
        columns.CONFIDENCE,
        Column("undefined_reason", "string", "Why there is no ability; NULL if there is one."),
    ),
)

TABLES = (JUDGEMENTS, JUDGE_AGREEMENT, JUDGE_ABILITIES)
