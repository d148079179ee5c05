"""Raw tables that the payload writes: one row per call, per engine step and per answer.

Not here: raw_telemetry (``telemetry``) and raw_imports (``imports``).
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

_MONOTONIC = (
    "; monotonic clock of the engine's host, comparable with other _s columns of the same run only"
)

_IDS = (
    Column("session_id", "string", "Engine session that made the row.", nullable=False),
    Column("run_id", "string", "Run of the session that made the row.", nullable=False),
    Column(
        "attempt",
        "int32",
        "Number of that run among the runs of the session, from 1.",
        nullable=False,
    ),
)

_SAMPLE = (
    Column(
        "sample_id",
        "string",
        "point_id, problem_id and sample_index joined by colons.",
        nullable=False,
    ),
    columns.POINT_ID,
    Column("problem_id", "string", "Problem of the sample.", nullable=False),
    *_IDS,
)

GENERATIONS = Table(
    name="raw_generations",
    grain="one engine call; a sample of the method `sample` is one call",
    keys=("call_id", "attempt"),
    warnings=(
        (
            "Rows with is_warmup and rows whose finish_reason is error are not samples; a sample "
            "that ended in an error has a later attempt."
        ),
        (
            "arrival_unix_s is wall clock, the other times are monotonic: never subtract one from"
            " the other; the manifest has the anchors."
        ),
        "Log-probabilities are raw: before temperature, top-k and top-p.",
        (
            "finish_reason is content_filter if the service withheld the rest of the text, and "
            "refusal if the model declined in a field of its own, which is then output_text."
        ),
    ),
    columns=(
        columns.CALL_ID,
        *_SAMPLE,
        Column(
            "sample_index",
            "int32",
            "Number of the attempt at the problem under the point, from 0; NULL for warm-up.",
        ),
        columns.CALL_INDEX,
        columns.PARENT_CALL_ID,
        Column("role", "string", "What the call is for, e.g. solve.", nullable=False),
        Column(
            "method",
            "string",
            "Method that made the call; NULL in banks older than methods, which is `sample`.",
        ),
        Column(
            "wave",
            "int32",
            "Calls of a sample with the same number ran at the same time, from 0; each waited for "
            "all of the wave before. Of a client: one more than the highest wave that had ended"
            " when the call began. NULL in banks older than methods, which is 0.",
        ),
        Column(
            "request_hash",
            "string",
            "First 16 hexadecimal digits of the SHA-256 of everything that a method asked; equal"
            " for choices of one request of a client. NULL for the method `sample`.",
        ),
        columns.PARTNER,
        columns.TASK,
        columns.MODEL_VARIANT,
        Column("prompt_name", "string", "Prompt name.", nullable=False),
        Column(
            "prompt_hash",
            "string",
            "First 16 hexadecimal digits of the SHA-256 of the messages' canonical JSON.",
            nullable=False,
        ),
        Column(
            "seed",
            "int64",
            "Seed of this request; NULL if the engine's own random stream was used (its seed is"
            " in the manifest).",
        ),
        Column(
            "output_text",
            "string",
            "Generated text without special tokens, and without the reasoning in reasoning_text.",
        ),
        Column(
            "reasoning_text",
            "string",
            "Reasoning that a reasoning parser or the server separated from the text; NULL if none "
            "was separated, and in older banks.",
        ),
        Column(
            "output_token_ids",
            "list[int32]",
            "Generated tokens; NULL if the engine does not report them.",
        ),
        Column(
            "finish_reason",
            "string",
            "Why generation ended: stop, length, abort, error, repetition, content_filter, "
            "refusal.",
            nullable=False,
        ),
        Column(
            "stop_reason",
            "string",
            "Stop string or stop token id that ended it; NULL for the end-of-sequence token.",
        ),
        Column(
            "error",
            "string",
            "What went wrong, or which value could not be true and is NULL; NULL when nothing did.",
        ),
        Column("prompt_tokens", "int64", "Tokens of the prompt.", unit="tokens"),
        Column("output_tokens", "int64", "Tokens generated and kept.", unit="tokens"),
        Column(
            "reasoning_tokens",
            "int64",
            "Of output_tokens, those of the reasoning; with the engine vllm including its markers, "
            "otherwise as the server counts them. NULL if no reasoning was separated, if it is "
            "unknown, and in older banks.",
            unit="tokens",
        ),
        Column(
            "cached_tokens", "int64", "Prompt tokens taken from the prefix cache.", unit="tokens"
        ),
        Column(
            "logprob_sum", "float64", "Sum over tokens of ln p of the generated token.", unit="nats"
        ),
        Column(
            "logprob_top1_mean",
            "float64",
            "Mean over tokens of ln p of the most likely token.",
            unit="nats",
        ),
        Column(
            "tail_mass_sum",
            "float64",
            "Sum over tokens of r = 1 - sum of the top-K probabilities.",
            unit="probability",
        ),
        Column(
            "entropy_low_sum",
            "float64",
            "Sum over tokens of the lower entropy bound H_top - r ln r.",
            unit="nats",
        ),
        Column(
            "entropy_high_sum",
            "float64",
            "Sum over tokens of the upper entropy bound H_top - r ln(r / (V - K)).",
            unit="nats",
        ),
        Column(
            "self_certainty_low_sum",
            "float64",
            "Sum over tokens of the lower bound of self-certainty, -(1/V) [sum of top ln p + (V -"
            " K) ln(r / (V - K))] - ln V.",
            unit="nats",
        ),
        Column(
            "confidence_sum",
            "float64",
            "Sum over tokens of C = -(1/K) sum over the top K of ln p (DeepConf).",
            unit="nats",
        ),
        Column(
            "confidence_tail",
            "float64",
            "Mean C of the last confidence_window tokens; of all when there are fewer.",
            unit="nats",
        ),
        Column(
            "confidence_lowest_group",
            "float64",
            "Lowest mean C of any confidence_window consecutive tokens.",
            unit="nats",
        ),
        Column(
            "confidence_bottom_tenth",
            "float64",
            "Mean of the lowest tenth (at least one) of those window means.",
            unit="nats",
        ),
        Column("confidence_window", "int32", "Tokens of the sliding window.", unit="tokens"),
        Column(
            "logprobs_k",
            "int32",
            "Top log-probabilities per token that the statistics were made from; 0: of the sampled"
            " token only.",
        ),
        Column("token_logprobs", "list[float32]", "ln p of each generated token.", unit="nats"),
        Column(
            "token_confidences",
            "list[float32]",
            "C of each token, for cutting a trace early in replay.",
            unit="nats",
        ),
        Column(
            "choice_logprobs",
            "list[float64]",
            "ln p of the first token of each answer that the call had to choose from, before the "
            "choice was restricted to them; NULL for other calls.",
            unit="nats",
        ),
        Column(
            "step_scores",
            "list[float64]",
            "Score of each step of a solution that the call had to score, from 0 to 1; NULL for "
            "other calls.",
        ),
        Column("arrival_unix_s", "float64", "When the request was made, wall clock.", unit="s"),
        Column(
            "queued_s", "float64", "When the engine accepted the request" + _MONOTONIC, unit="s"
        ),
        Column("scheduled_s", "float64", "When it was first scheduled" + _MONOTONIC, unit="s"),
        Column("first_token_s", "float64", "When its first token was there" + _MONOTONIC, unit="s"),
        Column("last_token_s", "float64", "When its last token was there" + _MONOTONIC, unit="s"),
        columns.NUM_PREEMPTIONS,
        Column(
            "num_retries",
            "int32",
            "Times the request was sent again because the server was away or its answer broke off;"
            " NULL for an engine without a server.",
        ),
        Column(
            "is_warmup",
            "bool",
            "Whether the call only warmed the engine up; counted, otherwise left out.",
            nullable=False,
        ),
        Column(
            "completion_hash",
            "string",
            "First 16 hexadecimal digits of the SHA-256 of the token ids, else of the text.",
        ),
    ),
)

STEPS = Table(
    name="raw_steps",
    grain="one step of the engine's loop",
    keys=("session_id", "run_id", "step_index"),
    warnings=("Only engines with our own step loop write it (vllm).",),
    columns=(
        *_IDS,
        Column("step_index", "int64", "Number of the step in its run, from 0.", nullable=False),
        Column(
            "partner",
            "string",
            "Alias of the partner whose engine made the step; NULL for the session's own engine.",
        ),
        Column(
            "end_s",
            "float64",
            "When the step's results were there" + _MONOTONIC,
            unit="s",
            nullable=False,
        ),
        Column("step_s", "float64", "Seconds spent in the step.", unit="s", nullable=False),
        Column(
            "running_requests", "int32", "Requests being generated after the step.", unit="requests"
        ),
        Column(
            "waiting_requests",
            "int32",
            "Requests waiting for a place after the step.",
            unit="requests",
        ),
        Column(
            "kv_cache_usage_ratio",
            "float64",
            "Share of KV blocks held by requests after the step.",
            unit="ratio",
        ),
        Column(
            "prompt_tokens",
            "int64",
            "Prompt tokens computed for requests whose first token came in the step.",
            unit="tokens",
        ),
        Column(
            "cached_tokens",
            "int64",
            "Prompt tokens of those requests taken from the prefix cache.",
            unit="tokens",
        ),
        Column("output_tokens", "int64", "Tokens generated in the step.", unit="tokens"),
        Column("preemptions", "int32", "Requests preempted in the step."),
        Column(
            "prefix_queries_tokens",
            "int64",
            "Prompt tokens looked up in the prefix cache in the step.",
            unit="tokens",
        ),
        Column("prefix_hits_tokens", "int64", "Of these, found.", unit="tokens"),
        Column(
            "drafts",
            "int64",
            "Sequences with drafted tokens that the step verified; NULL if there were none.",
            unit="drafts",
        ),
        Column(
            "draft_tokens", "int64", "Drafted tokens verified; NULL with drafts.", unit="tokens"
        ),
        Column(
            "accepted_draft_tokens", "int64", "Of these, accepted; NULL with drafts.", unit="tokens"
        ),
        Column(
            "fully_accepted_drafts",
            "int32",
            "Fully accepted drafts; NULL with drafts, and if drafts of the step differ in length.",
            unit="drafts",
        ),
        Column("is_warmup", "bool", "Whether the step belongs to the warm-up.", nullable=False),
        Column(
            "is_drain",
            "bool",
            "Whether no request was left to be added: the batch was running empty.",
            nullable=False,
        ),
    ),
)

ANSWERS = Table(
    name="raw_answers",
    grain="one answer that a sample of a method with several calls gave or could have given",
    keys=("sample_id", "answer_index", "attempt"),
    warnings=(
        (
            "The row with is_final says that the method has returned: only then the sample is "
            "complete. The rows before it are answers at smaller budgets."
        ),
        "Samples of the method `sample` have no rows here: their only call is their answer.",
    ),
    columns=(
        *_SAMPLE,
        Column(
            "sample_index",
            "int32",
            "Number of the attempt at the problem under the point, from 0.",
            nullable=False,
        ),
        columns.TASK,
        Column("method", "string", "Method that made the sample.", nullable=False),
        Column(
            "answer_index", "int32", "Number of the answer in its sample, from 0.", nullable=False
        ),
        Column("is_final", "bool", "Whether the method returned with it.", nullable=False),
        Column("budget", "float64", "What was spent, in budget_unit; NULL without one."),
        Column("budget_unit", "string", "Unit of the budget, e.g. rounds; NULL without one."),
        Column("answer_text", "string", "Text to be graded; NULL if there is no answer."),
        Column(
            "finish_reason",
            "string",
            "Why the text ended (stop, length, repetition, content_filter, refusal), or why the "
            "method did not return: call_limit, token_limit, context_limit, time_limit; error: "
            "the sample failed and is missing.",
            nullable=False,
        ),
        Column("error", "string", "What went wrong; NULL when nothing did."),
        Column(
            "answer_call_index", "int32", "Call that holds the answer; NULL if there is no answer."
        ),
        Column(
            "call_attempts",
            "list[int32]",
            "Attempt that made each call of the sample until then, by call_index; NULL inside for a"
            " call of a client that failed, without which the client went on.",
            nullable=False,
        ),
        Column(
            "used_calls",
            "list[int32]",
            "call_index of the calls that the answer needed, in order.",
            nullable=False,
        ),
        Column(
            "used_tokens",
            "list[int32]",
            "Generated tokens that it needed of each of them; NULL inside: all.",
            unit="tokens",
            nullable=False,
        ),
        Column(
            "shared_id",
            "string",
            "sample_id under which the first calls are banked, which all questions about a context"
            " share; NULL without shared calls.",
        ),
        Column("n_shared_calls", "int32", "How many these are; NULL without shared calls."),
    ),
)

TABLES = (GENERATIONS, STEPS, ANSWERS)
