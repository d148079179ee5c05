"""Tables about single problems, single responses and repeated measurements.

Lives here: out_item_statistics, out_response_features, out_reproducibility, out_regressions. Not
here: how they are computed (``isocost.tables.items.items``, ``isocost.tables.items.responses``,
``isocost.tables.items.reruns``).
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

_POINT = (
    columns.TASK,
    columns.MODEL_VARIANT_OR_NULL,
    columns.PROMPT_OF_SOURCE,
)

ITEM_STATISTICS = Table(
    name="out_item_statistics",
    grain="one problem of one task",
    keys=("task", "problem_id"),
    warnings=(
        (
            "Subjects are measured configurations with all problems; those of one model are "
            "similar and carry less information."
        ),
        "A flag is a reason to read the problem, not a verdict on it.",
        (
            "The subset was chosen on one half of the subjects and checked on the other; "
            "subset_split states whether the halves share models."
        ),
    ),
    columns=(
        columns.TASK,
        columns.PROBLEM_ID,
        Column(
            "n_subjects",
            "int32",
            "Configurations with all problems of the task.",
            unit="configurations",
            nullable=False,
        ),
        Column(
            "n_models",
            "int32",
            "Different model variants among them.",
            unit="models",
            nullable=False,
        ),
        Column(
            "n_samples",
            "int64",
            "Valid graded samples of these configurations at this problem.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "solved_ratio",
            "float64",
            "Difficulty: mean over subjects of the share of correct samples; high is easy.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "point_biserial",
            "float64",
            "Correlation of the problem with the subjects' total score; NULL if one does not vary.",
        ),
        Column(
            "rest_correlation",
            "float64",
            "Correlation with the total of the other problems; negative means better subjects do"
            " worse. NULL with undefined_reason.",
        ),
        Column(
            "rest_correlation_p_negative",
            "float64",
            "One-sided p-value of a correlation below 0, Benjamini-Hochberg over the task.",
            unit="ratio",
        ),
        Column(
            "undefined_reason",
            "string",
            "Why the correlations are NULL; NULL if they are known.",
        ),
        Column(
            "irt_discrimination",
            "float64",
            "Slope a of the 2PL model P = 1 / (1 + exp(-a (theta - b))); NULL with irt_reason.",
        ),
        Column(
            "irt_difficulty",
            "float64",
            "Difficulty b of the 2PL model, abilities N(0, 1); NULL with irt_reason.",
        ),
        Column(
            "irt_information",
            "float64",
            "Mean over subjects of a^2 P (1 - P) at their ability; NULL with irt_reason.",
        ),
        Column("irt_reason", "string", "Why there is no 2PL fit; NULL if there is."),
        Column(
            "task_kr20",
            "float64",
            "Reliability of the task's total score: KR-20 (alpha for fractions); NULL if totals"
            " do not vary.",
            unit="ratio",
        ),
        Column(
            "task_discrimination_ratio",
            "float64",
            "Task: mean information at the subjects' abilities / sum of a^2 / 4; NULL without a 2PL"
            " fit.",
            unit="ratio",
        ),
        Column(
            "n_blind_samples",
            "int64",
            "Valid graded samples under a blind prompt, which hides the question's essence.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "blind_solved_ratio",
            "float64",
            "Share of correct among them; NULL without any.",
            unit="ratio",
        ),
        Column(
            "blind_p_value",
            "float64",
            "One-sided binomial p-value against guessing, Benjamini-Hochberg over the task; NULL"
            " without chance.",
            unit="ratio",
        ),
        Column(
            "is_blind_solvable",
            "bool",
            "blind_p_value below 0.05, or, without a known guessing rate, most models solve it "
            "blind; NULL if untested.",
        ),
        Column(
            "consensus_answer",
            "string",
            "Most frequent answer over all models; NULL if there are no answers.",
        ),
        Column("consensus_ratio", "float64", "Share of the answers that give it.", unit="ratio"),
        Column("is_label_suspect", "bool", "Whether suspect_reasons is not empty.", nullable=False),
        Column(
            "suspect_reasons",
            "list[string]",
            "negative_discrimination: rest correlation at most -0.2 and its p below 0.05;"
            " consensus_wrong: at least half of all answers, by two models or more, agree on an"
            " answer that was graded wrong.",
            nullable=False,
        ),
        Column(
            "is_in_subset",
            "bool",
            "Chosen for the discriminative subset of the task; NULL with subset_reason.",
        ),
        Column(
            "subset_kendall_tau",
            "float64",
            "Task: rank correlation of held-out subjects on subset and whole.",
        ),
        Column(
            "subset_largest_difference",
            "float64",
            "Task: largest difference between their accuracies on subset and whole.",
            unit="ratio",
        ),
        Column(
            "subset_speed_up",
            "float64",
            "Task: cost of all problems / cost of the subset, in subset_cost.",
            unit="times",
        ),
        Column(
            "subset_cost",
            "string",
            "What the speed-up was measured in.",
            allowed=("output_tokens", "problems"),
        ),
        Column(
            "subset_split",
            "string",
            "How subjects were split in halves: by model, or by configuration if there are too "
            "few models.",
            allowed=("models", "configurations"),
        ),
        Column("subset_reason", "string", "Why there is no subset; NULL if there is."),
    ),
)

RESPONSE_FEATURES = Table(
    name="out_response_features",
    grain="one feature of the responses of one point",
    keys=("point_id", "feature"),
    order=("task", "model_variant", "prompt", "point_id", "feature"),
    warnings=(
        (
            "Association, not cause. pooled_correlation mixes easy and hard problems; the within_"
            " columns compare inside one problem."
        ),
        "Word lists are English and count words, not intentions; feature_meaning has the lists.",
    ),
    columns=(
        *_POINT,
        columns.POINT_ID,
        Column("feature", "string", "Feature of a response.", nullable=False),
        Column("feature_meaning", "string", "How it is counted.", nullable=False),
        Column(
            "n_samples",
            "int64",
            "Valid graded samples whose feature is known.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "n_unknown",
            "int64",
            "Valid graded samples whose feature is unknown, left out.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "n_correct", "int64", "Correct ones among n_samples.", unit="samples", nullable=False
        ),
        Column(
            "mean_correct", "float64", "Mean of the feature over correct samples; NULL without any."
        ),
        Column(
            "mean_wrong", "float64", "Mean of the feature over wrong samples; NULL without any."
        ),
        Column(
            "pooled_correlation",
            "float64",
            "Point-biserial correlation over all samples; NULL if one side does not vary.",
        ),
        Column(
            "n_mixed_problems",
            "int32",
            "Problems with correct and wrong samples.",
            unit="problems",
            nullable=False,
        ),
        Column(
            "within_difference",
            "float64",
            "Mean over mixed problems of mean(correct) - mean(wrong); NULL without any.",
        ),
        Column(
            "within_difference_low",
            "float64",
            "Lower end of its 95 % t interval; NULL with fewer than two mixed problems.",
        ),
        Column(
            "within_difference_high",
            "float64",
            "Upper end of its 95 % t interval; NULL with fewer than two mixed problems.",
        ),
        Column(
            "within_auc",
            "float64",
            "Mean over mixed problems of P(correct > wrong) + P(equal) / 2; 0.5 means no relation.",
            unit="ratio",
        ),
        Column(
            "p_value",
            "float64",
            "Paired t test of within_difference over problems; NULL if undefined.",
            unit="ratio",
        ),
        Column(
            "p_value_bh",
            "float64",
            "Benjamini and Hochberg's adjusted p-value over the features of the point.",
            unit="ratio",
        ),
    ),
)

REPRODUCIBILITY = Table(
    name="out_reproducibility",
    grain="one group of greedy runs that differ in one respect",
    keys=("group_id",),
    order=("task", "model", "prompt", "varied", "group_id"),
    warnings=(
        (
            "Only greedy points (temperature 0) take part. Divergence needs token ids; without them"
            " only hashes are compared."
        ),
        (
            "A problem that never diverges is censored: it is not part of the divergence index; "
            "diverging_ratio is the share of the others."
        ),
    ),
    columns=(
        Column(
            "group_id",
            "string",
            "Hash of task, model, prompt, the varying setting and the fixed settings.",
            nullable=False,
        ),
        columns.TASK,
        Column(
            "model",
            "string",
            "Weights: path and revision, or the variant's name if the path is unknown.",
            nullable=False,
        ),
        columns.PROMPT,
        Column(
            "varied",
            "string",
            "What differs between the runs: batch (max_num_seqs, max_num_batched_tokens), dtype,"
            " engine_version, device, repeat (nothing), or any (all of these).",
            nullable=False,
            allowed=("batch", "dtype", "engine_version", "device", "repeat", "any"),
        ),
        Column(
            "varied_values",
            "list[string]",
            "The compared values, one per run; indices of sample ids for repeats.",
            nullable=False,
        ),
        Column("fixed", "json", "What all runs share, canonical JSON.", nullable=False),
        Column(
            "n_runs", "int32", "Runs compared, one for each value.", unit="runs", nullable=False
        ),
        Column(
            "n_problems",
            "int32",
            "Problems that all runs answered.",
            unit="problems",
            nullable=False,
        ),
        Column("accuracy_min", "float64", "Lowest accuracy of any run.", unit="ratio"),
        Column("accuracy_max", "float64", "Highest accuracy of any run.", unit="ratio"),
        Column(
            "accuracy_std",
            "float64",
            "Std@Acc: sample standard deviation (n - 1) of accuracy over runs; NULL if ungraded.",
            unit="ratio",
        ),
        Column(
            "output_tokens_std",
            "float64",
            "Avg_Std@Output_Length: mean over problems of the sample standard deviation over runs.",
            unit="tokens",
        ),
        Column(
            "n_diverging",
            "int32",
            "Problems with differing responses; NULL if unknown.",
            unit="problems",
        ),
        Column("diverging_ratio", "float64", "n_diverging / n_problems.", unit="ratio"),
        Column(
            "divergence_index_min",
            "int64",
            "Smallest divergence index (first differing token, from 0) of a diverging problem.",
            unit="tokens",
        ),
        Column(
            "divergence_index_median", "float64", "Median over diverging problems.", unit="tokens"
        ),
        Column(
            "divergence_index_mean",
            "float64",
            "Div_Index: mean over diverging problems.",
            unit="tokens",
        ),
        Column(
            "top1_probability_std",
            "float64",
            "Avg_Std@top1_prob: standard deviation (n - 1) over runs of the generated token's"
            " probability, mean over positions before divergence, then over problems; NULL "
            "without banked log-probabilities or if all diverge at once.",
            unit="ratio",
        ),
        Column(
            "divergence_method",
            "string",
            "What the responses were compared by; NULL if unknown.",
            allowed=("token_ids", "completion_hash"),
        ),
    ),
)

REGRESSIONS = Table(
    name="out_regressions",
    grain=(
        "one metric of a later measurement against the first measurement of the same configuration"
    ),
    keys=("task", "candidate_point_id", "candidate_session_id", "metric"),
    order=(
        "task",
        "model_variant",
        "prompt",
        "candidate_point_id",
        "candidate_session_id",
        "metric",
    ),
    warnings=(
        (
            "The same configuration means task, model variant, prompt and sampling; other changes "
            "are in changed."
        ),
        (
            "Latency and energy move with batch and machine: read changed before calling it a"
            " regression of the model."
        ),
        "No difference shown is not no difference: read the interval.",
    ),
    columns=(
        *_POINT,
        Column(
            "metric",
            "string",
            "What is compared.",
            nullable=False,
            allowed=("accuracy", "output_tokens", "latency_s", "energy_j"),
        ),
        Column(
            "metric_unit", "string", "Unit of means and difference, per sample.", nullable=False
        ),
        Column("baseline_point_id", "string", "Point of the first measurement.", nullable=False),
        Column(
            "baseline_session_id",
            "string",
            "Session of the first measurement: earliest start, then id.",
            nullable=False,
        ),
        Column("candidate_point_id", "string", "Point of the later measurement.", nullable=False),
        Column(
            "candidate_session_id", "string", "Session of the later measurement.", nullable=False
        ),
        Column(
            "changed",
            "json",
            "Engine settings and versions that differ: {name: [baseline, candidate]}, canonical"
            " JSON.",
            nullable=False,
        ),
        Column(
            "n_problems", "int32", "Problems that both measured.", unit="problems", nullable=False
        ),
        Column(
            "baseline_mean",
            "float64",
            "Mean over these problems, in metric_unit; NULL if unknown.",
        ),
        Column(
            "candidate_mean",
            "float64",
            "Mean over these problems, in metric_unit; NULL if unknown.",
        ),
        Column("difference", "float64", "candidate_mean - baseline_mean, in metric_unit."),
        Column("difference_low", "float64", "Lower end of its 95 % paired t interval."),
        Column("difference_high", "float64", "Upper end of its 95 % paired t interval."),
        Column(
            "p_value",
            "float64",
            "Two-sided paired t test over problems; NULL with undefined_reason.",
            unit="ratio",
        ),
        Column(
            "p_value_bh",
            "float64",
            "Benjamini and Hochberg's adjusted p-value over all rows of the task.",
            unit="ratio",
        ),
        columns.NO_P_VALUE_REASON,
        Column(
            "verdict",
            "string",
            "worse or better: p_value_bh below 0.05 in that direction (accuracy up is better, costs"
            " up are worse); else no_difference_shown; unknown without a p-value.",
            nullable=False,
            allowed=("worse", "better", "no_difference_shown", "unknown"),
        ),
    ),
)

TABLES = (ITEM_STATISTICS, RESPONSE_FEATURES, REPRODUCIBILITY, REGRESSIONS)
