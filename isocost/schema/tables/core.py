"""Core tables: graded samples and their context.

Lives here: core_samples, core_calls, core_points, core_problems, core_sessions. Not here: the cards
of models, devices and prices, and how the tables are computed (``isocost.tables``).
"""

from __future__ import annotations

from isocost.axes.registry import all_axes, core_fields, verification_fields
from isocost.schema import columns
from isocost.schema.axis_columns import axis_columns, reasoned_columns
from isocost.schema.model import Column, Table

FINISH = (
    "Why generation ended: stop, length (the token budget), content_filter (the service withheld "
    "the rest), refusal (the model declined), abort, error, or the engine's own value; NULL if a "
    "source does not state it."
)

_SHARES = (
    Column("prompt_tokens", "int64", "Tokens of the prompt; summed over calls.", unit="tokens"),
    Column("output_tokens", "int64", "Tokens generated; summed over calls.", unit="tokens"),
    Column(
        "cached_tokens",
        "int64",
        "Prompt tokens taken from the prefix cache; summed over calls.",
        unit="tokens",
    ),
    Column(
        "logprob_sum",
        "float64",
        "Sum over generated tokens of ln p, before temperature and truncation of the distribution.",
        unit="nats",
    ),
)

_TIMES = (
    Column(
        "queue_s",
        "float64",
        "From taken by the engine to first scheduled; summed over calls.",
        unit="s",
    ),
    Column(
        "prefill_s", "float64", "From first scheduled to first token; summed over calls.", unit="s"
    ),
    Column("decode_s", "float64", "From first token to last token; summed over calls.", unit="s"),
    Column(
        "latency_s",
        "float64",
        "prefill_s + decode_s: time in the engine without queueing, in the batch it ran in. For"
        " imported rows the source's own latency.",
        unit="s",
    ),
)

SAMPLES = Table(
    name="core_samples",
    grain="one sample: one attempt of one point at one problem",
    keys=("sample_id",),
    order=(
        "task",
        "model_variant",
        "prompt",
        "point_id",
        "problem_id",
        "sample_index",
        "sample_id",
    ),
    warnings=(
        (
            "Use rows with is_valid; the others are kept so that nothing is lost unseen, and say"
            " why in invalid_reasons."
        ),
        (
            "A truncated sample without an answer has parse_status no_answer and is not correct;"
            " correct is NULL only for ungraded samples."
        ),
        (
            "answer_class numbers are equal only within one task, one problem and one session's"
            " curation; compare answer across sessions."
        ),
        (
            "latency_s was measured together with the other requests of the batch; it is not a "
            "single-stream latency."
        ),
    ),
    columns=(
        Column(
            "sample_id",
            "string",
            "point_id, problem_id and number of the attempt joined by colons; of an imported sample"
            " the number is RUN#NUMBER, a hash of the other tool's run and the number within it.",
            nullable=False,
        ),
        columns.POINT_ID,
        columns.PROBLEM_ID,
        Column(
            "sample_index",
            "int32",
            "Number of the attempt at the problem under the point, from 0; several imported sources"
            " number theirs apart.",
            nullable=False,
        ),
        Column(
            "session_id",
            "string",
            "Engine session or imported source the sample comes from.",
            nullable=False,
        ),
        Column("run_id", "string", "Run of the session, or import, that made the row."),
        Column("attempt", "int32", "Number of that run among the session's runs, from 1."),
        columns.TASK,
        columns.MODEL_VARIANT,
        columns.PROMPT_OF_SOURCE,
        Column(
            "source",
            "string",
            'How the row came here: "generated", or the name of the importer.',
            nullable=False,
        ),
        Column(
            "is_valid",
            "bool",
            "Whether the sample may be used: true if and only if invalid_reasons is empty.",
            nullable=False,
        ),
        Column(
            "invalid_reasons",
            "list[string]",
            "Codes of the sample's faults, sorted; empty if there are none.",
            nullable=False,
        ),
        Column(
            "correct",
            "bool",
            "Whether the answer is right; also false if there is no answer; NULL if it was not "
            "graded.",
        ),
        Column(
            "score",
            "float64",
            "Grade from 0 to 1; equals correct for verifiers without partial credit.",
            unit="ratio",
        ),
        Column("answer", "string", "Canonical answer; NULL when none was found."),
        Column(
            "answer_class",
            "int32",
            "Class of equal answers, dense from 0 per task and problem; NULL if parse_status is"
            " not parsed.",
        ),
        Column(
            "parse_status",
            "string",
            "parsed: an answer was found and graded; no_answer: none was found; error: it could "
            "not be graded.",
            nullable=False,
            allowed=("parsed", "no_answer", "error"),
        ),
        Column(
            "grade_reason",
            "string",
            "Why there is no answer or no verdict: empty, no_match, length, content_filter, "
            "refusal, timeout, and so on; NULL otherwise.",
        ),
        Column("finish_reason", "string", FINISH),
        Column(
            "is_truncated",
            "bool",
            "Whether the token budget ended the text (finish_reason length); NULL if unknown.",
        ),
        *_SHARES,
        Column("logprob_mean", "float64", "logprob_sum / output_tokens.", unit="nats"),
        Column(
            "entropy_mean_low",
            "float64",
            "Lower bound of the mean token entropy: sum of H_top - r ln r over output_tokens.",
            unit="nats",
        ),
        Column(
            "entropy_mean_high",
            "float64",
            "Upper bound of the mean token entropy: sum of H_top - r ln(r / (V - K)) over"
            " output_tokens.",
            unit="nats",
        ),
        Column(
            "self_certainty_low",
            "float64",
            "Lower bound of mean self-certainty (Kang et al. 2025), KL from uniform to the token"
            " distribution.",
            unit="nats",
        ),
        Column(
            "confidence_mean",
            "float64",
            "Mean token confidence C = -(1/K) sum over the top K of ln p (DeepConf); NULL when not"
            " banked.",
            unit="nats",
        ),
        Column(
            "confidence_tail",
            "float64",
            "Mean C of the last window of tokens (DeepConf); NULL when not banked.",
            unit="nats",
        ),
        Column(
            "confidence_lowest_group",
            "float64",
            "Lowest mean C of any window of tokens (DeepConf); NULL when not banked.",
            unit="nats",
        ),
        Column(
            "confidence_record_tokens",
            "list[int32]",
            "Tokens generated when the mean C of the last confidence_window tokens reached a new "
            "low (DeepConf): where a threshold stops the trace. Empty for a trace shorter"
            " than the window; NULL when not banked.",
            unit="tokens",
        ),
        Column(
            "confidence_record_values",
            "list[float32]",
            "The window means at those tokens, falling; NULL when not banked.",
            unit="nats",
        ),
        Column(
            "external_score",
            "float64",
            "Score of an external verifier or reward model on its own scale; higher is better.",
        ),
        Column(
            "verdicts",
            "list[float64]",
            "Verdict of each verification of the answer, in order: 1 yes, 0 no, or the "
            "probability of yes; NULL inside for neither; NULL if there was no verification. From"
            " calls with role verify, or imported.",
        ),
        *axis_columns(verification_fields()),
        *_TIMES,
        Column(
            "ttft_s",
            "float64",
            "Time to first token: queue_s + prefill_s of a sample of one call; for imported rows "
            "the source's own value, measured at its client.",
            unit="s",
        ),
        Column(
            "inter_token_s",
            "float64",
            "Mean time between two generated tokens: decode_s / (output_tokens - n_calls); for"
            " imported rows (latency - ttft) / (tokens - 1), or the source's own value if one of "
            "these is unknown.",
            unit="s",
        ),
        *axis_columns(core_fields()),
        Column(
            "costs_unknown_reasons",
            "list[string]",
            f"column: reason for each of {', '.join(reasoned_columns())}, ttft_s, inter_token_s"
            " that is NULL, and for each token count, time or log-probability of an imported row"
            " that cannot be and was left NULL or repaired.",
        ),
        Column(
            "completion_hash",
            "string",
            "First 16 hexadecimal digits of the SHA-256 of the token ids (of the text if there "
            "are none).",
        ),
        columns.CLUSTER_ID,
        Column(
            "label_correct",
            "bool",
            "Verdict of an imported source; NULL if there is none. Never mixed with correct.",
        ),
        Column(
            "machine",
            "string",
            "Machine of the sample: accelerators and their number, processor and cores, or a "
            "server's address; for imports the hardware that the source states, otherwise its "
            "run. Times and joules from different machines are never averaged.",
        ),
        Column(
            "n_calls",
            "int32",
            "Engine calls that made the answer; verifications are not counted.",
            nullable=False,
        ),
        Column(
            "shared_id",
            "string",
            "sample_id in core_calls of the calls that it shares with other questions about its"
            " context; NULL without shared calls.",
        ),
        Column(
            "n_context_questions",
            "int32",
            "Questions of the task about its context. The costs of a shared call are divided by"
            " this, and its tokens dealt out to them; NULL without shared calls.",
            unit="problems",
        ),
    ),
)

_OF_SAMPLE = {column.name: column for column in SAMPLES.columns}

ANSWERS = Table(
    name="core_answers",
    grain="one answer that a sample of a method with several calls gave or could have given",
    keys=("sample_id", "answer_index"),
    order=("task", "model_variant", "prompt", "point_id", "sample_id", "answer_index"),
    warnings=(
        (
            "Answers at smaller budgets are not samples of their own: core_samples has one row per "
            "sample, with its last answer."
        ),
        (
            "Tokens, times and costs are of the calls that the answer needed; of a call that it "
            "needed only the beginning of, of that beginning."
        ),
    ),
    columns=(
        _OF_SAMPLE["sample_id"],
        Column(
            "answer_index", "int32", "Number of the answer in its sample, from 0.", nullable=False
        ),
        columns.POINT_ID,
        columns.PROBLEM_ID,
        *(_OF_SAMPLE[name] for name in ("sample_index", "session_id", "run_id", "attempt", "task")),
        columns.MODEL_VARIANT,
        columns.PROMPT_OF_SOURCE,
        Column("method", "string", "Method that made the sample.", nullable=False),
        Column("is_final", "bool", "Whether the method returned with it.", nullable=False),
        Column("budget", "float64", "What was spent, in budget_unit; NULL without one."),
        Column("budget_unit", "string", "Unit of the budget, e.g. rounds; NULL without one."),
        Column("output_text", "string", "Text that was graded; NULL if there is no answer."),
        *(
            _OF_SAMPLE[name]
            for name in (
                "is_valid",
                "invalid_reasons",
                "correct",
                "score",
                "answer",
                "answer_class",
                "parse_status",
                "grade_reason",
                "finish_reason",
                "is_truncated",
                "prompt_tokens",
                "output_tokens",
                "cached_tokens",
                "queue_s",
                "prefill_s",
                "decode_s",
                "latency_s",
            )
        ),
        *axis_columns(field for axis in all_axes().values() for field in axis.fields),
        _OF_SAMPLE["costs_unknown_reasons"],
        columns.CLUSTER_ID,
        _OF_SAMPLE["machine"],
        _OF_SAMPLE["n_calls"],
        _OF_SAMPLE["shared_id"],
        _OF_SAMPLE["n_context_questions"],
    ),
)

CALLS = Table(
    name="core_calls",
    grain="one engine call of one attempt, warm-up and failed ones included",
    keys=("call_id", "attempt"),
    order=("session_id", "call_id", "attempt"),
    warnings=(
        (
            "Only rows with is_used belong to core_samples; the others are warm-up, failed or"
            " superseded, as not_used_reason says."
        ),
    ),
    columns=(
        columns.CALL_ID,
        columns.SAMPLE_ID,
        columns.PARENT_CALL_ID,
        columns.POINT_ID,
        columns.PROBLEM_ID,
        columns.SESSION_ID,
        Column("run_id", "string", "Run of the session, or import, that made the row."),
        Column(
            "attempt",
            "int32",
            "Number of that run among the session's runs, from 1.",
            nullable=False,
        ),
        Column(
            "sample_index",
            "int32",
            "Number of the attempt at the problem under the point; NULL for warm-up.",
        ),
        columns.CALL_INDEX,
        Column(
            "role",
            "string",
            "Purpose of the call: solve, verify for a call that grades the answer, or another role "
            "of the point's method.",
            nullable=False,
        ),
        columns.PARTNER,
        Column(
            "wave",
            "int32",
            "Calls of a sample with the same number ran at the same time; NULL in banks older than"
            " methods and of imports.",
        ),
        Column(
            "is_used", "bool", "Whether the call is part of a row of core_samples.", nullable=False
        ),
        Column(
            "not_used_reason",
            "string",
            "Why it is not: warmup, superseded (another attempt of the same sample is used), "
            "unfinished (the sample's method has not returned), or not_needed (the method's last "
            "answer did without it); NULL if it is.",
            allowed=("warmup", "superseded", "unfinished", "not_needed"),
        ),
        Column("output_text", "string", "Generated text, without the reasoning in reasoning_text."),
        Column(
            "reasoning_text",
            "string",
            "Reasoning that a reasoning parser or the server separated; NULL if none was.",
        ),
        Column(
            "reasoning_tokens",
            "int64",
            "Of output_tokens, those of the reasoning; NULL if none was separated, or if unknown.",
            unit="tokens",
        ),
        Column("finish_reason", "string", FINISH),
        Column("error", "string", "What went wrong; NULL when nothing did."),
        Column(
            "seed",
            "int64",
            "Seed of the request; NULL if the engine's own random stream was used.",
        ),
        Column("prompt_hash", "string", "Hash of the messages sent."),
        *_SHARES,
        *_TIMES,
        *axis_columns(
            field for axis in all_axes().values() if axis.is_of_calls for field in axis.fields
        ),
        columns.NUM_PREEMPTIONS,
    ),
)

POINTS = Table(
    name="core_points",
    grain="one point as measured in one session",
    keys=("point_id", "session_id"),
    warnings=(
        (
            "A point that two sweeps share has one row for each session: a join on point_id alone "
            "duplicates samples, and samples_missing summed over sessions counts samples that "
            "another session banked. One row per point: out_point_summary; with all settings: the "
            "view points."
        ),
    ),
    columns=(
        Column("point_id", "string", "Hash of the fully expanded configuration.", nullable=False),
        columns.SESSION_ID,
        Column("sweep", "string", "Sweep that requested it; NULL for imports."),
        columns.SOURCE,
        Column(
            "method",
            "string",
            "How a sample is made: sample (one call), or the name of a method of several calls.",
            nullable=False,
        ),
        Column(
            "method_parameters",
            "json",
            "Every parameter of the method, canonical JSON; NULL in tables older than methods.",
        ),
        columns.TASK,
        Column("task_source", "string", "Registered source of the problems."),
        Column("task_dataset", "string", "Data set of that source."),
        Column("task_config", "json", "Settings of the source, canonical JSON."),
        Column("task_seed", "int64", "Seed of the problems."),
        Column("verifier", "string", "Registered verifier."),
        Column(
            "verifier_options",
            "json",
            "Options of the verifier that its verdicts depend on, canonical JSON; NULL for none.",
        ),
        Column(
            "condition",
            "json",
            "Settings other than sampling that an imported source states about the point; NULL "
            "for generated points.",
        ),
        Column("n_problems", "int32", "Problems asked.", unit="problems"),
        columns.MODEL_VARIANT,
        Column("model_path", "string", "Path of the weights, as given in the sweep."),
        Column(
            "model_revision",
            "string",
            "Revision of the weights: the commit of a model on the Hub, otherwise as given.",
        ),
        Column(
            "model_card",
            "string",
            "Card that FLOPs and memory traffic are computed from; NULL if none is named.",
        ),
        Column(
            "model_settings",
            "json",
            "Arguments of the model's chat template, its reasoning parser and its LoRA adapter, as"
            " far as it has them, canonical JSON; NULL without any.",
        ),
        Column("dtype", "string", "Number format of weights and activations."),
        Column("quantization", "string", "Quantization method; NULL for none."),
        columns.PROMPT,
        Column("prompt_system", "string", "System text; NULL for none."),
        Column("prompt_template", "string", "Template with {question} where the problem goes."),
        Column(
            "prompt_stop",
            "json",
            "Texts that end the answer, a JSON list; NULL without any.",
        ),
        Column(
            "is_chat",
            "bool",
            "Whether the model's chat template is applied to the prompt; false if the model "
            "continues its plain text, NULL if an imported source does not say.",
        ),
        Column("temperature", "float64", "Sampling temperature; 0 is greedy."),
        Column("top_p", "float64", "Nucleus sampling share.", unit="ratio"),
        Column("top_k", "int32", "Tokens kept; 0 keeps all.", unit="tokens"),
        Column(
            "min_p", "float64", "Smallest probability kept, relative to the largest.", unit="ratio"
        ),
        Column("max_tokens", "int32", "Token budget per sample.", unit="tokens"),
        Column("seed", "int64", "Sampling seed of the point."),
        Column("engine", "string", "Engine."),
        Column("engine_seed", "int64", "Seed of the engine."),
        Column("max_model_len", "int32", "Context length.", unit="tokens"),
        Column("kv_cache_bytes", "int64", "Memory requested for keys and values.", unit="bytes"),
        columns.MAX_NUM_SEQS,
        Column("max_num_batched_tokens", "int32", "Most tokens of one step.", unit="tokens"),
        Column(
            "block_size",
            "int32",
            "Tokens of a key-value block; NULL for the engine's own choice.",
            unit="tokens",
        ),
        Column("has_prefix_caching", "bool", "Whether shared prefixes are computed once."),
        Column("is_eager", "bool", "Whether compilation and graph capture are off."),
        Column("engine_options", "json", "Further engine settings, canonical JSON."),
        Column(
            "partners",
            "json",
            "Model and engine settings of each partner that the method calls, by alias, canonical "
            "JSON; NULL without partners.",
        ),
        Column(
            "samples_planned_per_problem",
            "int32",
            "Samples requested per problem.",
            unit="samples",
        ),
        Column(
            "samples_planned", "int64", "n_problems * samples_planned_per_problem.", unit="samples"
        ),
        Column("samples_banked", "int64", "Rows of core_samples.", unit="samples", nullable=False),
        columns.SAMPLES_VALID,
        Column(
            "samples_missing",
            "int64",
            "Planned samples that this session did not bank.",
            unit="samples",
        ),
    ),
)

PROBLEMS = Table(
    name="core_problems",
    grain="one problem as used in one session",
    keys=("problem_id", "session_id"),
    warnings=(
        (
            "A problem used in several sessions has one row for each: a join on problem_id alone "
            "duplicates rows. View: problems."
        ),
    ),
    columns=(
        Column(
            "problem_id",
            "string",
            "Task and content hash of question, reference and verifier.",
            nullable=False,
        ),
        columns.SESSION_ID,
        columns.TASK,
        columns.SOURCE,
        Column(
            "question",
            "string",
            "The question, without the prompt's framing; NULL if an imported source does not "
            "contain it.",
        ),
        Column(
            "reference",
            "string",
            "The correct answer as the verifier reads it; NULL if an imported source does not "
            "contain it.",
        ),
        Column(
            "verifier", "string", "Registered verifier; NULL if imported labels are the verdicts."
        ),
        Column(
            "verifier_options",
            "json",
            "Options of the verifier that its verdicts depend on, canonical JSON; NULL for none.",
        ),
        columns.CLUSTER_ID,
        Column("metadata", "json", "Where the problem came from, canonical JSON."),
        Column("n_samples", "int64", "Rows of core_samples.", unit="samples", nullable=False),
        Column("n_valid", "int64", "Of these, valid.", unit="samples", nullable=False),
        Column(
            "n_correct", "int64", "Valid rows that are correct.", unit="samples", nullable=False
        ),
        Column(
            "n_answer_classes",
            "int32",
            "Classes of equal answers among all rows.",
            unit="classes",
            nullable=False,
        ),
    ),
)

SESSIONS = Table(
    name="core_sessions",
    grain="one run of one session",
    keys=("session_id", "run_id", "attempt"),
    order=("session_id", "attempt", "run_id"),
    warnings=(
        "Throughput is measured inside the window: warm-up before it is left out and counted.",
        "The resolved engine configuration is what ran; core_points has what was requested.",
    ),
    columns=(
        columns.SESSION_ID,
        Column(
            "run_id", "string", "One execution of it; the import id for imports.", nullable=False
        ),
        columns.ATTEMPT,
        Column("sweep", "string", "Sweep; NULL for imports."),
        columns.SOURCE,
        Column("engine", "string", "Engine."),
        Column("model_variant", "string", "Model variant name; NULL if an import has several."),
        Column(
            "status",
            "string",
            "How the run ended: finished, stopped, failed, died, running; imported for imports.",
            nullable=False,
        ),
        Column(
            "is_valid",
            "bool",
            "Whether the run ended normally and produced usable samples: true if and only if "
            "invalid_reasons is empty.",
            nullable=False,
        ),
        Column(
            "invalid_reasons",
            "list[string]",
            "Codes of faults of the run as a whole, sorted; empty if there are none.",
            nullable=False,
        ),
        Column("error", "string", "Error message of a failed run."),
        Column("started_unix_s", "float64", "Wall clock at start.", unit="s"),
        Column("ended_unix_s", "float64", "Wall clock at the end.", unit="s"),
        Column("engine_start_s", "float64", "Seconds until the engine was ready.", unit="s"),
        Column(
            "window_s",
            "float64",
            "Length of the measured window: from the first request after warm-up to the last"
            " result.",
            unit="s",
        ),
        columns.DEVICE,
        Column(
            "device_count",
            "int32",
            "Number of devices of the engine, from its resolved configuration; NULL if unknown.",
            unit="devices",
        ),
        Column(
            "decoding_s",
            "float64",
            "Seconds in which at least one sequence decoded in the session's own engine, warm-up "
            "left out.",
            unit="s",
        ),
        Column(
            "decode_batch_mean",
            "float64",
            "Sum of decode_s over decoding_s: sequences decoding at once in the session's own "
            "engine, on average.",
            unit="sequences",
        ),
        Column("isocost_version", "string", "Version of this project."),
        Column("engine_version", "string", "Version of the engine."),
        Column("versions", "json", "Versions of everything that mattered, canonical JSON."),
        Column(
            "resolved_engine",
            "json",
            "Engine configuration as the engine resolved it, canonical JSON.",
        ),
        Column(
            "energy_j",
            "float64",
            "Energy of the window; NULL if no power source was read.",
            unit="J",
        ),
        Column("energy_method", "string", "Power source of energy_j; NULL with it."),
        Column("energy_unknown_reason", "string", "Why energy_j is NULL; NULL if it is known."),
        Column(
            "rows_total",
            "int64",
            "Rows of raw_generations of this run.",
            unit="rows",
            nullable=False,
        ),
        Column("rows_warmup", "int64", "Of these, warm-up.", unit="rows", nullable=False),
        Column(
            "rows_superseded",
            "int64",
            "Of these, samples replaced by another attempt.",
            unit="rows",
            nullable=False,
        ),
        Column(
            "samples_total",
            "int64",
            "Rows of core_samples from this run.",
            unit="samples",
            nullable=False,
        ),
        columns.SAMPLES_VALID,
        columns.SAMPLES_INVALID,
        columns.INVALID_COUNTS,
        Column(
            "samples_truncated",
            "int64",
            "Samples that the token budget ended; NULL if an imported source does not state it.",
            unit="samples",
        ),
        Column("prompt_tokens", "int64", "Prompt tokens of all samples.", unit="tokens"),
        Column("output_tokens", "int64", "Generated tokens of all samples.", unit="tokens"),
        Column("output_tokens_per_s", "float64", "output_tokens / window_s.", unit="tokens/s"),
    ),
)

TABLES = (ANSWERS, SAMPLES, CALLS, POINTS, PROBLEMS, SESSIONS)
