"""The tables of imports: what other tools measured, as they wrote it, in this project's units.

Lives here: ``raw_imports`` and ``core_label_agreement``. Not here: the importers (``isocost.bank.importers``) and the way into the core
tables (``isocost.tables.imports``).
"""

from __future__ import annotations

from isocost.schema.model import Column, Table

RECORD_KINDS = ("sample", "request", "counts", "aggregate", "telemetry")

_IDENTITY = (
    Column("import_id", "string", "One import: hash of format, importer version, content and given provenance.", nullable=False),
    Column("record_index", "int64", "Position of the record in the import, from 0, in the order of the source files.", nullable=False),
    Column("source", "string", "Name of the importer that read the record.", nullable=False),
    Column(
        "record_kind",
        "string",
        "What the record is: sample = one attempt at one problem; request = one request of a load generator, never graded; "
        "counts = correct of total for one problem; aggregate = one summary number; telemetry = one reading of a device.",
        nullable=False,
        allowed=RECORD_KINDS,
    ),
    Column("source_file", "string", "File of the record, relative to the imported path.", nullable=False),
    Column("source_place", "string", "Place in the file: line, row, zip member or JSON path."),
    Column(
        "source_run",
        "string",
        "Run of the other tool that made the record: the run's own id, else a hash of the run's file; "
        "NULL where the source is one run in several files.",
    ),
)

_PROVENANCE = (
    Column("model_variant", "string", "Model as the source or the importing person names it; NULL where accepted as unknown."),
    Column("task", "string", "Task as the source or the importing person names it; NULL where accepted as unknown."),
    Column("task_version", "string", "Version of the task; NULL where accepted as unknown."),
    Column("prompt", "string", "Name of the prompt; NULL where accepted as unknown."),
    Column("prompt_hash", "string", "Hash of the prompt template, where the source holds one."),
    Column("sampling", "json", "Sampling parameters as canonical JSON; NULL where accepted as unknown."),
    Column(
        "condition", "json", "Settings that vary inside one source and make separate points: filter, scorer, request rate, concurrency."
    ),
)

_PROBLEM = (
    Column("problem_source_id", "string", "The source's own id of the problem."),
    Column("problem_text", "string", "The question as the source holds it."),
    Column("reference", "string", "The right answer as the source holds it; JSON text where there are several."),
    Column("cluster_id", "string", "Problems sharing a passage or a source, for clustered intervals."),
    Column("sample_index", "int32", "Which attempt at the problem, from 0; NULL where the source does not number its attempts."),
)

_OUTCOME = (
    Column("output_text", "string", "What the model answered, whole."),
    Column("answer", "string", "The answer as the source extracted it."),
    Column("label_correct", "bool", "The source's own verdict; NULL where it has none or none for this attempt."),
    Column("label_score", "float64", "The source's own score, 0..1.", unit="ratio"),
    Column("label_name", "string", "Metric or scorer that the label comes from."),
    Column("verifier_score", "float64", "Score of an external verifier or reward model, on that model's own scale; higher is better."),
    Column("counts_correct", "int64", "Correct attempts c of a counts record.", unit="samples"),
    Column("counts_total", "int64", "All attempts n of a counts record.", unit="samples"),
    Column("finish_reason", "string", "Why generation ended, in the source's word."),
    Column("error", "string", "Error text of a failed request or sample."),
)

_COST = (
    Column("prompt_tokens", "int64", "Tokens of the prompt as the source counts them.", unit="tokens"),
    Column("output_tokens", "int64", "Generated tokens as the source counts them, reasoning included.", unit="tokens"),
    Column("reasoning_tokens", "int64", "Generated tokens spent on reasoning, a part of output_tokens.", unit="tokens"),
    Column("cached_tokens", "int64", "Prompt tokens served from a cache.", unit="tokens"),
    Column("logprob_sum", "float64", "Sum of the log-probabilities of the generated tokens.", unit="nats"),
    Column("queue_s", "float64", "Wait before the request was worked on.", unit="s"),
    Column("ttft_s", "float64", "From sending the request to the first token.", unit="s"),
    Column("inter_token_s", "float64", "Mean gap between generated tokens of the record.", unit="s"),
    Column("latency_s", "float64", "Duration of the record; latency_meaning says of what.", unit="s"),
    Column("latency_meaning", "string", "What latency_s covers in this source."),
    Column("started_unix_s", "float64", "Wall-clock start, Unix time; NULL where the source's clock has no epoch.", unit="s"),
    Column("ended_unix_s", "float64", "Wall-clock end, Unix time; NULL where the source's clock has no epoch.", unit="s"),
    Column("energy_j", "float64", "Energy of the record.", unit="J"),
    Column("energy_method", "string", "How energy_j came about; unlike methods are never pooled."),
    Column("energy_unknown_reason", "string", "Why energy_j is NULL."),
    Column("cost_usd", "float64", "Price of the record in US dollars.", unit="USD"),
)

_OTHER = (
    Column("power_w", "float64", "Power reading of a telemetry record.", unit="W"),
    Column("device", "string", "Device of a telemetry record."),
    Column("metric_name", "string", "Name of the summary number of an aggregate record."),
    Column("metric_value", "float64", "Value of the summary number, in metric_unit."),
    Column(
        "metric_unit", "string", "Unit of metric_value after conversion to s, J, W, USD, tokens or ratio; NULL where the source has none."
    ),
    Column("null_reasons", "list[string]", "column:reason for every value the source had in a form that means unknown.", nullable=False),
    Column("extra", "json", "What else the source holds about the record, with the source's names and units."),
)

RAW_IMPORTS = Table(
    name="raw_imports",
    grain="one record of another tool's file",
    columns=(*_IDENTITY, *_PROVENANCE, *_PROBLEM, *_OUTCOME, *_COST, *_OTHER),
    keys=("import_id", "record_index"),
    warnings=(
        "latency_s and energy_j mean what latency_meaning and energy_method say; group by both before comparing sources.",
        "A corrected file supersedes an earlier one and both stay; isocost.bank.importers.read_imports leaves the earlier out.",
    ),
)

LABEL_AGREEMENT = Table(
    name="core_label_agreement",
    grain="one task and model of one import: our verdicts against the source's",
    keys=("session_id", "task", "model_variant"),
    warnings=("Where n_judged is 0 the import was judged by its labels: nothing was compared.",),
    columns=(
        Column("session_id", "string", "The import.", nullable=False),
        Column("task", "string", "Task name.", nullable=False),
        Column("model_variant", "string", "Model variant name.", nullable=False),
        Column("n_labelled", "int64", "Samples with a label of the source.", unit="samples", nullable=False),
        Column("n_judged", "int64", "Of these, judged by our verifier too.", unit="samples", nullable=False),
        Column("n_agree", "int64", "Of these, with the same verdict.", unit="samples", nullable=False),
        Column("n_only_ours_correct", "int64", "Correct to our verifier, wrong to the source.", unit="samples", nullable=False),
        Column("n_only_label_correct", "int64", "Correct to the source, wrong to our verifier.", unit="samples", nullable=False),
    ),
)

TABLES = (RAW_IMPORTS, LABEL_AGREEMENT)
