"""Tables of cards and of derived costs.

Lives here: core_models, core_devices, core_prices, core_energy_windows, core_energy_attribution,
core_speculation, out_runtime_models, out_cost_of_pass, out_intelligence_per_watt,
out_request_efficiency. How they are computed: ``isocost.tables.costs``.
"""

from __future__ import annotations

from isocost.axes.registry import all_axes
from isocost.schema import columns
from isocost.schema.model import Column, Table

_SOURCE = Column("card_source", "string", "Where the card's numbers come from.", nullable=False)
_TASK = columns.TASK
_POINT = columns.POINT_ID
_SESSION = columns.SESSION_ID
_MODEL = columns.MODEL_VARIANT_OF_SOURCE
_ENERGY_UNKNOWN = Column(
    "energy_unknown_reason", "string", "Why energy is NULL; NULL if it is known."
)

MODELS = Table(
    name="core_models",
    grain="one model card",
    keys=("model_card",),
    columns=(
        Column(
            "model_card",
            "string",
            "Name of the card; core_points.model_card refers to it.",
            nullable=False,
        ),
        _SOURCE,
        Column(
            "parameters_total",
            "int64",
            "All weights, tied embeddings counted once.",
            unit="weights",
            nullable=False,
        ),
        Column(
            "parameters_active",
            "int64",
            "Weights one token uses: all in a dense model, else everything outside the experts plus"
            " the chosen experts.",
            unit="weights",
            nullable=False,
        ),
        Column(
            "parameters_body",
            "int64",
            "parameters_active less both embedding tables.",
            unit="weights",
            nullable=False,
        ),
        Column(
            "parameters_experts",
            "int64",
            "Weights in all routed experts; 0 in a dense model.",
            unit="weights",
            nullable=False,
        ),
        Column("layers", "int32", "Transformer blocks.", nullable=False),
        Column("hidden_size", "int32", "Width of the residual stream.", nullable=False),
        Column("query_heads", "int32", "Query heads of a layer.", nullable=False),
        Column("kv_heads", "int32", "Key and value heads of a layer.", nullable=False),
        Column("head_size", "int32", "Elements of a head.", nullable=False),
        Column("vocabulary", "int32", "Rows of the output projection.", nullable=False),
        Column(
            "is_embedding_tied",
            "bool",
            "Whether the output projection is the input embedding table.",
            nullable=False,
        ),
        Column("experts_total", "int32", "Routed experts of a layer; NULL in a dense model."),
        Column("experts_active", "int32", "Routed experts per token; NULL for a dense model."),
        Column("layers_windowed", "int32", "Layers with windowed attention.", nullable=False),
        Column(
            "window_tokens",
            "int32",
            "Positions such a layer attends to; NULL without such layers.",
            unit="tokens",
        ),
        Column(
            "bytes_per_weight",
            "float64",
            "Mean bytes of a stored weight.",
            unit="bytes/weight",
            nullable=False,
        ),
        Column(
            "bytes_per_kv_element",
            "float64",
            "Bytes of a stored key or value element.",
            unit="bytes/element",
            nullable=False,
        ),
        Column(
            "kv_bytes_per_token",
            "float64",
            "2 * layers * kv_heads * head_size * bytes_per_kv_element.",
            unit="bytes/token",
            nullable=False,
        ),
    ),
)

DEVICES = Table(
    name="core_devices",
    grain="one device card",
    keys=("device_card",),
    warnings=("Peaks are dense: half of the figure with sparsity that data sheets print first.",),
    columns=(
        Column("device_card", "string", "Name of the card.", nullable=False),
        _SOURCE,
        Column(
            "aliases",
            "list[string]",
            "Names under which drivers report the device.",
            nullable=False,
        ),
        Column(
            "peak_flops_per_s", "json", "Dense peak by number format in FLOP/s; NULL = unknown."
        ),
        Column(
            "bandwidth_bytes_per_s",
            "float64",
            "Peak memory bandwidth; NULL = unknown.",
            unit="bytes/s",
        ),
        Column("memory_bytes", "float64", "Device memory; NULL = unknown.", unit="bytes"),
        Column("power_limit_w", "float64", "Default board power limit; NULL = unknown.", unit="W"),
        Column(
            "intensity_bfloat16",
            "float64",
            "Dense bfloat16 peak over bandwidth: where arithmetic and traffic take equally long;"
            " NULL = unknown.",
            unit="FLOP/byte",
        ),
    ),
)

PRICES = Table(
    name="core_prices",
    grain="one price card",
    keys=("price_card",),
    warnings=(
        (
            "Prices are of their date; token prices and device-hour prices are not comparable"
            " without a measured runtime."
        ),
    ),
    columns=(
        Column("price_card", "string", "Name of the card.", nullable=False),
        _SOURCE,
        Column("as_of", "string", "Date of the price, YYYY-MM-DD.", nullable=False),
        Column(
            "input_usd_per_million_tokens",
            "float64",
            "Uncached prompt tokens; NULL = not sold by the token.",
            unit="USD/million tokens",
        ),
        Column(
            "cached_input_usd_per_million_tokens",
            "float64",
            "Cached prompt tokens; NULL = charged like other prompt tokens, or not sold by the"
            " token.",
            unit="USD/million tokens",
        ),
        Column(
            "output_usd_per_million_tokens",
            "float64",
            "Generated tokens; NULL = not sold by the token.",
            unit="USD/million tokens",
        ),
        Column(
            "usd_per_device_hour",
            "float64",
            "One device for an hour; NULL = not sold by the hour.",
            unit="USD/hour",
        ),
        Column(
            "device_card",
            "string",
            "Device priced by the hour; NULL = not sold by the hour, or not stated.",
        ),
        Column(
            "priced_model",
            "string",
            "Model priced by the token, as named in sweeps; NULL = not sold by the token, or not "
            "stated.",
        ),
        Column(
            "provider",
            "string",
            "Host name of the service whose price it is; NULL = of any service or machine.",
        ),
    ),
)

ENERGY_WINDOWS = Table(
    name="core_energy_windows",
    grain=(
        "one window of one run: the measured window, the steady state in it, or the window of an"
        " imported power log"
    ),
    keys=("session_id", "run_id", "window_kind"),
    warnings=(
        (
            "energy_j is gross and NULL whenever a validity code speaks against it; counter_j and"
            " integral_j are kept for inspection only."
        ),
        (
            "Energy per token at batch 1 and in steady state differ by an order of magnitude:"
            " compare only like window_kind and max_num_seqs."
        ),
    ),
    columns=(
        _SESSION,
        Column(
            "run_id",
            "string",
            "Run of the session; IMPORT:RUN for an import with windows of several runs.",
            nullable=False,
        ),
        Column(
            "window_kind",
            "string",
            "measured: first scheduling to last token, warm-up excluded; steady: from the first"
            " token of the max_num_seqs-th request to the end of the (n - max_num_seqs - 1)-th, the"
            " ML.ENERGY rule. For an import: as stated by the source, otherwise first request to "
            "last; log: all of a power log without requests.",
            nullable=False,
            allowed=("measured", "steady", "log"),
        ),
        Column(
            "start_s",
            "float64",
            "Start of the window, monotonic clock; for an import Unix time, NULL if unknown.",
            unit="s",
        ),
        Column("stop_s", "float64", "End of the window, on the same clock.", unit="s"),
        Column(
            "window_s",
            "float64",
            "stop_s - start_s; of an import the length that the source states.",
            unit="s",
        ),
        Column(
            "requests_measured",
            "int64",
            "Requests the window is about.",
            unit="requests",
            nullable=False,
        ),
        Column(
            "requests_warmup",
            "int64",
            "Warm-up requests left out.",
            unit="requests",
            nullable=False,
        ),
        Column(
            "requests_drain",
            "int64",
            "Requests that ended after the window.",
            unit="requests",
            nullable=False,
        ),
        columns.MAX_NUM_SEQS,
        Column(
            "energy_source",
            "string",
            "Power source; none if nothing was sampled; for imports as declared by the importer,"
            " such as wall_power_trapezoid.",
            nullable=False,
        ),
        Column(
            "energy_measure",
            "string",
            "counter or integral; stated if an imported source gives the joules themselves; NULL "
            "if energy is unknown.",
            allowed=("counter", "integral", "stated"),
        ),
        Column("energy_j", "float64", "Gross energy of the window; NULL while unknown.", unit="J"),
        Column(
            "energy_net_j",
            "float64",
            "energy_j - idle_power_w * window_s; NULL without an idle baseline.",
            unit="J",
        ),
        Column(
            "idle_power_w",
            "float64",
            "Median power with the model loaded and no requests, summed over devices.",
            unit="W",
        ),
        Column("counter_j", "float64", "Energy by the devices' counters, used or not.", unit="J"),
        Column("integral_j", "float64", "Energy by integrated power, used or not.", unit="J"),
        Column("counter_to_integral_ratio", "float64", "counter_j / integral_j.", unit="ratio"),
        Column("power_mean_w", "float64", "energy_j / window_s.", unit="W"),
        Column(
            "power_samples",
            "int64",
            "Power samples inside the window.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "power_gap_s",
            "float64",
            "Longest time between two power samples that touches the window.",
            unit="s",
        ),
        Column(
            "is_energy_valid",
            "bool",
            "Whether energy_j may be used: true if and only if invalid_reasons is empty.",
            nullable=False,
        ),
        Column(
            "invalid_reasons",
            "list[string]",
            "Codes of faults, sorted; empty if there are none.",
            nullable=False,
        ),
        _ENERGY_UNKNOWN,
        Column(
            "output_tokens_in_window",
            "float64",
            "Tokens emitted inside, evenly spaced between first and last token.",
            unit="tokens",
        ),
        Column(
            "output_tokens_per_s", "float64", "output_tokens_in_window / window_s.", unit="tokens/s"
        ),
        Column(
            "energy_j_per_output_token",
            "float64",
            "energy_j / output_tokens_in_window.",
            unit="J/token",
        ),
        Column(
            "fitted_j_per_prompt_token",
            "float64",
            "Energy of prefilling a token, by the model fitted to slices.",
            unit="J/token",
        ),
        Column(
            "fitted_j_per_output_token",
            "float64",
            "Energy of decoding a token, by the same model.",
            unit="J/token",
        ),
        Column(
            "fitted_j_per_position",
            "float64",
            "Energy of attending to one cached position in one decode step, by the same model.",
            unit="J/position",
        ),
        Column(
            "fitted_static_w",
            "float64",
            "Power whatever the requests, by the same model.",
            unit="W",
        ),
        Column(
            "fit_slices",
            "int32",
            "Equal slices of the window that the model was fitted to.",
            unit="slices",
        ),
        Column(
            "fit_error_ratio",
            "float64",
            "Median over them of |fitted - measured| / measured.",
            unit="ratio",
        ),
        Column("fit_unknown_reason", "string", "Why there is no such model; NULL if there is one."),
    ),
)

ENERGY_ATTRIBUTION = Table(
    name="core_energy_attribution",
    grain="one engine call under one rule that shares the energy of its run's measured window",
    keys=("session_id", "call_id", "attempt", "attribution"),
    warnings=(
        (
            "The rules share the same joules: never add up rows of two rules. None is the truth;"
            " each charges others (docs/guides/energy.md)."
        ),
        (
            "What is known of one run and rule adds up to energy_j of its measured window in"
            " core_energy_windows, failed calls included."
        ),
        "A run with unknown energy has no rows; core_sessions has the reason.",
    ),
    columns=(
        Column("call_id", "string", "Call; not of the warm-up.", nullable=False),
        columns.ATTEMPT,
        columns.SAMPLE_ID,
        _SESSION,
        Column("run_id", "string", "Run of the session.", nullable=False),
        Column(
            "attribution",
            "string",
            "output_token_share: by generated tokens; time_share: at each moment equally among the"
            " calls in the engine; model_share: by fitted energy of prompt tokens, generated tokens"
            " and attended positions, static power by time.",
            nullable=False,
            allowed=("output_token_share", "time_share", "model_share"),
        ),
        Column(
            "is_default", "bool", "Whether core_samples carries this rule's joules.", nullable=False
        ),
        Column(
            "energy_j",
            "float64",
            "The call's share; NULL if the rule cannot be applied.",
            unit="J",
        ),
        Column("energy_method", "string", "Power source and rule; NULL with energy_j."),
        _ENERGY_UNKNOWN,
    ),
)

SPECULATION = Table(
    name="core_speculation",
    grain="one run of an engine that decodes speculatively",
    keys=("session_id", "run_id"),
    warnings=(
        (
            "tokens_per_step needs no model; acceptance and values derived from it assume that "
            "every drafted token is accepted with the same probability."
        ),
        (
            "speedup_ratio is relative to plain steps of the same run and batch, including "
            "drafting; unknown if every step drafts."
        ),
    ),
    columns=(
        _SESSION,
        Column("run_id", "string", "Run of the session.", nullable=False),
        Column("steps", "int64", "Steps outside warm-up.", unit="steps", nullable=False),
        Column(
            "drafts",
            "int64",
            "Drafts verified in them, one a sequence and step.",
            unit="drafts",
            nullable=False,
        ),
        Column("draft_tokens", "int64", "Tokens drafted.", unit="tokens", nullable=False),
        Column(
            "accepted_draft_tokens", "int64", "Of these, accepted.", unit="tokens", nullable=False
        ),
        Column(
            "draft_tokens_per_draft",
            "float64",
            "draft_tokens / drafts (gamma).",
            unit="tokens/draft",
        ),
        Column(
            "even_drafts",
            "int64",
            "Drafts in steps whose drafts were of one length; acceptance rests on them.",
            unit="drafts",
        ),
        Column(
            "acceptance_ratio",
            "float64",
            "Maximum-likelihood probability that a drafted token is accepted: accepted / "
            "(accepted +"
            " drafts not accepted whole); even_drafts.",
            unit="ratio",
        ),
        Column(
            "accepted_ratio",
            "float64",
            "accepted_draft_tokens / draft_tokens, which is not the acceptance.",
            unit="ratio",
        ),
        Column(
            "tokens_per_step",
            "float64",
            "1 + accepted_draft_tokens / drafts: of one sequence.",
            unit="tokens/step",
        ),
        Column(
            "tokens_per_step_modelled",
            "float64",
            "(1 - a^(gamma + 1)) / (1 - a) with a = acceptance_ratio (Leviathan et al. 2023), mean"
            " over even_drafts.",
            unit="tokens/step",
        ),
        Column(
            "goodput_tokens_per_s",
            "float64",
            "Tokens that drafting steps made, over their seconds.",
            unit="tokens/s",
        ),
        Column(
            "target_efficiency_ratio",
            "float64",
            "Seconds of a plain step over those of a drafting step at the same number of running"
            " requests, drafting included (MoESD).",
            unit="ratio",
        ),
        Column(
            "speedup_ratio", "float64", "tokens_per_step * target_efficiency_ratio.", unit="ratio"
        ),
        Column("unknown_reason", "string", "Why a value is NULL; NULL if all are known."),
    ),
)

RUNTIME_MODELS = Table(
    name="out_runtime_models",
    grain="one fitted runtime model of a model variant in a session",
    keys=("session_id", "model_variant", "method"),
    warnings=(
        (
            "Runtimes were measured together with the other requests of the batch: T(p, o) "
            "applies to the session's load, not to a single request."
        ),
        "Nothing outside the ranges of tokens that were measured is supported.",
    ),
    columns=(
        _SESSION,
        columns.MODEL_VARIANT,
        Column(
            "method",
            "string",
            "fitted: all samples; fitted_denoised: per (prompt, output) length the 10 % quantile of"
            " repeated samples first; helm_look_up: the fitted F looked up as in HELM, p / key * "
            "F(key) at the next key, for comparison with its figures (a sawtooth).",
            nullable=False,
            allowed=("fitted", "fitted_denoised", "helm_look_up"),
        ),
        columns.DEVICE,
        Column(
            "fit_rows", "int64", "Rows fitted; after denoising fewer than samples.", unit="rows"
        ),
        Column(
            "overhead_s",
            "float64",
            "F(0): seconds of a request regardless of its length.",
            unit="s",
        ),
        Column(
            "seconds_per_prompt_token",
            "float64",
            "(F(longest prompt) - F(0)) / longest prompt.",
            unit="s/token",
        ),
        Column(
            "seconds_per_output_token",
            "float64",
            "g of T(p, o) = F(p) + g (o - 1).",
            unit="s/token",
        ),
        Column(
            "curve",
            "json",
            'F: {"prompt_tokens": [...], "seconds": [...]}, straight between the points, never'
            " decreasing.",
        ),
        Column("prompt_tokens_min", "int64", "Shortest prompt measured.", unit="tokens"),
        Column("prompt_tokens_max", "int64", "Longest prompt measured.", unit="tokens"),
        Column("output_tokens_min", "int64", "Shortest output measured.", unit="tokens"),
        Column("output_tokens_max", "int64", "Longest output measured.", unit="tokens"),
        Column(
            "fit_error_ratio",
            "float64",
            "Median of |fitted - measured| / measured on the rows fitted.",
            unit="ratio",
        ),
        Column(
            "held_out_error_ratio",
            "float64",
            "The same on every fifth row (by sample_id), fitted on the other rows.",
            unit="ratio",
        ),
        Column(
            "idealized_s_per_sample",
            "float64",
            "Mean of T(p, o) over the samples measured.",
            unit="s/sample",
        ),
        Column(
            "device_count",
            "int32",
            "Devices of the engine, by its resolved configuration.",
            unit="devices",
        ),
        Column(
            "idealized_device_s_per_sample",
            "float64",
            "idealized_s_per_sample * device_count.",
            unit="s/sample",
        ),
        Column(
            "price_card",
            "string",
            "The price card that sells hours of the device; NULL if there is none or several.",
        ),
        Column(
            "idealized_usd_per_sample",
            "float64",
            "idealized_device_s_per_sample * price of a device-second.",
            unit="USD/sample",
        ),
        Column("unknown_reason", "string", "Why there is no model; NULL if there is one."),
        Column(
            "price_unknown_reason",
            "string",
            "Why device time or dollars are NULL although there is a model.",
        ),
    ),
)

COST_OF_PASS = Table(
    name="out_cost_of_pass",
    grain="task x cost axis x estimator x point",
    keys=("task", "cost_axis", "estimator", "point_id"),
    warnings=(
        "Assumes retries until a free, perfect verifier accepts: a lower bound without one.",
        (
            "plug_in is infinite if a problem was never solved, and its minimum over points is "
            "biased low; smoothed is finite and biased low."
        ),
        "Over the problems that every point of the task attempted.",
    ),
    columns=(
        _TASK,
        Column(
            "cost_axis",
            "string",
            "What an attempt costs.",
            nullable=False,
            allowed=tuple(axis.column for axis in all_axes().values() if axis.is_cost_of_pass),
        ),
        Column(
            "estimator",
            "string",
            "Per problem: plug_in = mean cost * n / c, as published; smoothed = mean cost * (n + 1)"
            " / (c + 1).",
            nullable=False,
            allowed=("plug_in", "smoothed"),
        ),
        _POINT,
        columns.MODEL_VARIANT_OF_SOURCE,
        Column("n_problems", "int32", "Problems compared.", unit="problems"),
        Column(
            "problems_solved",
            "int32",
            "Of these, solved at least once by the point.",
            unit="problems",
        ),
        Column(
            "problems_unsolved_by_all", "int32", "Of these, solved by no point.", unit="problems"
        ),
        Column("attempt_cost", "float64", "Mean cost of an attempt, in the axis' unit."),
        Column(
            "cost_of_pass",
            "float64",
            "Mean over problems of the point's own cost per correct answer; NULL if infinite.",
        ),
        Column(
            "cost_of_pass_low",
            "float64",
            "2.5th percentile of cost_of_pass over resampled problems.",
        ),
        Column("cost_of_pass_high", "float64", "97.5th percentile."),
        Column(
            "cost_per_correct",
            "float64",
            "Total cost over number of correct answers; NULL if none is correct.",
        ),
        Column(
            "cost_per_correct_low",
            "float64",
            "2.5th percentile of cost_per_correct over resampled problems, both totals together.",
        ),
        Column("cost_per_correct_high", "float64", "97.5th percentile; NULL if infinite."),
        Column(
            "frontier_value",
            "float64",
            "V: mean over problems of the lowest cost of any point or the human; NULL if infinite.",
        ),
        Column(
            "frontier_value_low",
            "float64",
            "2.5th percentile of frontier_value over resampled problems.",
        ),
        Column("frontier_value_high", "float64", "97.5th percentile."),
        Column(
            "interval_draws",
            "int32",
            "Bootstrap draws of problems, shared by all points of a task; NULL without.",
            unit="draws",
        ),
        Column(
            "frontier_value_solved", "float64", "The same over the problems that some point solved."
        ),
        Column(
            "frontier_share_ratio",
            "float64",
            "Share of the solved problems on which the point is cheapest; ties shared.",
            unit="ratio",
        ),
        Column(
            "essentialness_ratio",
            "float64",
            "(V without the point - V) / V without it; NULL if V is infinite.",
            unit="ratio",
        ),
        Column(
            "human_baseline_usd",
            "float64",
            "Cost of an expert per problem; NULL for axes other than cost_usd or if unknown.",
            unit="USD",
        ),
        Column("gain_usd", "float64", "human_baseline_usd - frontier_value.", unit="USD"),
        Column(
            "energy_method", "string", "Method of the joules on the axis energy_j; NULL on others."
        ),
        Column("unknown_reason", "string", "Why values are NULL; NULL if all are known."),
    ),
)

INTELLIGENCE = Table(
    name="out_intelligence_per_watt",
    grain="task x point x energy basis",
    keys=("task", "point_id", "energy_basis"),
    warnings=(
        (
            "Joules from different methods are never pooled: one row each. Attributed joules "
            "depend on"
            " the attribution rule: each rule has a row."
        ),
        (
            "intelligence_per_joule divides by the mean energy of a query, not by the total (some"
            " tools do; the two are n apart)."
        ),
        (
            "coverage_ratio is what an oracle router would achieve: an upper bound for the set of"
            " points, not one model's accuracy."
        ),
    ),
    columns=(
        _TASK,
        _POINT,
        Column(
            "energy_basis",
            "string",
            "The energy_method of the rows; none if their energy is unknown.",
            nullable=False,
        ),
        columns.MODEL_VARIANT_OF_SOURCE,
        Column(
            "samples_measured",
            "int64",
            "Graded valid samples of this basis.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "accuracy_of_samples",
            "float64",
            "Mean of correct over them; every sample alike.",
            unit="ratio",
        ),
        Column("energy_j_per_query", "float64", "Mean energy per sample.", unit="J/query"),
        Column(
            "query_power_mean_w", "float64", "Mean over samples of energy_j / latency_s.", unit="W"
        ),
        Column(
            "query_power_pooled_w", "float64", "Sum of energy_j over sum of latency_s.", unit="W"
        ),
        Column(
            "intelligence_per_joule",
            "float64",
            "accuracy_of_samples / energy_j_per_query.",
            unit="1/J",
        ),
        Column(
            "intelligence_per_watt_mean",
            "float64",
            "accuracy_of_samples / query_power_mean_w.",
            unit="1/W",
        ),
        Column(
            "intelligence_per_watt_pooled",
            "float64",
            "accuracy_of_samples / query_power_pooled_w.",
            unit="1/W",
        ),
        Column(
            "energy_j_per_correct",
            "float64",
            "Total energy over correct answers, that of wrong ones included.",
            unit="J/answer",
        ),
        Column(
            "energy_j_per_correct_low",
            "float64",
            "2.5th percentile over resampled problems, both totals together.",
            unit="J/answer",
        ),
        Column(
            "energy_j_per_correct_high",
            "float64",
            "97.5th percentile; NULL if infinite.",
            unit="J/answer",
        ),
        Column(
            "coverage_ratio",
            "float64",
            "Mean over the task's problems of the best point's share of correct samples: what an "
            "oracle router over all points achieves.",
            unit="ratio",
        ),
        _ENERGY_UNKNOWN,
    ),
)

REQUESTS = Table(
    name="out_request_efficiency",
    grain="point in a session",
    keys=("session_id", "point_id"),
    warnings=(
        (
            "Throughput is the session's, shared by its points: requests/s is the rate of "
            "requests of this point's length that it would serve."
        ),
        "Compare only sessions of the same device count, batch and context regime.",
    ),
    columns=(
        _SESSION,
        _POINT,
        _TASK,
        _MODEL,
        columns.DEVICE,
        Column("samples_measured", "int64", "Valid samples.", unit="samples", nullable=False),
        Column(
            "accuracy_of_samples",
            "float64",
            "Mean of correct over graded ones; every sample alike.",
            unit="ratio",
        ),
        Column("prompt_tokens_per_sample", "float64", "Mean prompt tokens.", unit="tokens/sample"),
        Column(
            "output_tokens_per_sample", "float64", "Mean generated tokens.", unit="tokens/sample"
        ),
        Column(
            "output_tokens_per_s",
            "float64",
            "The session's tokens over its measured windows.",
            unit="tokens/s",
        ),
        Column(
            "requests_per_s",
            "float64",
            "output_tokens_per_s / output_tokens_per_sample.",
            unit="requests/s",
        ),
        Column(
            "correct_per_s", "float64", "requests_per_s * accuracy_of_samples.", unit="answers/s"
        ),
        Column(
            "engine_s_per_correct",
            "float64",
            "1 / correct_per_s: engine time per correct answer.",
            unit="s/answer",
        ),
        Column(
            "device_count",
            "int32",
            "Devices of the engine, by its resolved configuration.",
            unit="devices",
        ),
        Column(
            "device_s_per_correct",
            "float64",
            "device_count * engine_s_per_correct.",
            unit="s/answer",
        ),
        Column(
            "price_card",
            "string",
            "The price card that sells hours of the device; NULL if there is none or several.",
        ),
        Column(
            "device_usd_per_sample",
            "float64",
            "device_count / requests_per_s * price of a device-second.",
            unit="USD/sample",
        ),
        Column(
            "device_usd_per_correct",
            "float64",
            "device_s_per_correct * price of a device-second.",
            unit="USD/answer",
        ),
        Column("first_token_p50_s", "float64", "Median of queue_s + prefill_s.", unit="s"),
        Column("first_token_p95_s", "float64", "95th percentile of queue_s + prefill_s.", unit="s"),
        Column("prefill_p50_s", "float64", "Median of prefill_s.", unit="s"),
        Column("latency_p50_s", "float64", "Median of latency_s.", unit="s"),
        Column("latency_p95_s", "float64", "95th percentile of latency_s.", unit="s"),
        Column(
            "output_token_mean_s",
            "float64",
            "Sum of decode_s over sum of output_tokens - 1.",
            unit="s",
        ),
        Column("flops_per_s", "float64", "requests_per_s * mean FLOPs per request.", unit="FLOP/s"),
        Column(
            "mfu_ratio",
            "float64",
            "flops_per_s over the device's dense peak; NULL without card.",
            unit="ratio",
        ),
        Column(
            "decode_batch_mean",
            "float64",
            "Sequences decoding at once while any is, over the session's runs (core_sessions).",
            unit="sequences",
        ),
        Column(
            "mbu_ratio",
            "float64",
            "Bytes of weights (once per step of decode_batch_mean sequences) and KV cache read per"
            " second in which any sequence decoded, over bandwidth; session-wide; NULL without"
            " card.",
            unit="ratio",
        ),
        Column(
            "roofline_s_per_sample",
            "float64",
            "Mean minimum latency per sample at batch 1 by the roofline, modelled.",
            unit="s/sample",
        ),
        Column(
            "energy_cap_j_per_sample",
            "float64",
            "device_count / requests_per_s * the device card's power limit: maximum energy that a "
            "sample can have used, modelled.",
            unit="J/sample",
        ),
        Column(
            "roofline_latency_ratio",
            "float64",
            "Least latency at batch 1 by the roofline over measured, summed.",
            unit="ratio",
        ),
        Column(
            "energy_j_per_sample",
            "float64",
            "Mean energy per sample; NULL if any is unknown or methods differ.",
            unit="J/sample",
        ),
        Column("energy_method", "string", "Method of that energy; NULL with it."),
        _ENERGY_UNKNOWN,
        Column(
            "unknown_reason",
            "string",
            "Why throughput or utilisation is NULL; NULL if all is known.",
        ),
    ),
)

TABLES = (
    MODELS,
    DEVICES,
    PRICES,
    ENERGY_WINDOWS,
    ENERGY_ATTRIBUTION,
    SPECULATION,
    RUNTIME_MODELS,
    COST_OF_PASS,
    INTELLIGENCE,
    REQUESTS,
)
