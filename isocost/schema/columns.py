"""Columns that several tables share, each defined once.

Lives here: columns with the same name, type, meaning and unit in more than one table. Not here: the
tables (``isocost.schema.tables``) and columns that follow from the cost axes
(``isocost.schema.axis_columns``).
"""

from __future__ import annotations

from isocost.schema.model import Column

ACCURACY = Column(
    "accuracy",
    "float64",
    "Mean over problems of the share of correct samples.",
    unit="ratio",
    nullable=False,
)
ACCURACY_HIGH = Column(
    "accuracy_high", "float64", "Upper end of the accuracy's interval.", unit="ratio"
)
ACCURACY_LOW = Column(
    "accuracy_low", "float64", "Lower end of the accuracy's interval.", unit="ratio"
)
ATTEMPT = Column(
    "attempt", "int32", "Number of the run among the session's runs, from 1.", nullable=False
)
BUDGET = Column("budget", "float64", "Budget of the strategy, in the strategy's own unit.")
CALL_ID = Column("call_id", "string", "sample_id and call_index joined by a colon.", nullable=False)
CALL_INDEX = Column(
    "call_index", "int32", "Number of the call inside its sample, from 0.", nullable=False
)
CLUSTER_ID = Column(
    "cluster_id",
    "string",
    "Shared by problems with a common passage or template; NULL if problems are independent.",
)
CONFIDENCE = Column(
    "confidence", "float64", "Level of the intervals.", unit="ratio", nullable=False
)
COST = Column(
    "cost", "float64", "Mean over problems of the expected cost, in cost_unit.", nullable=False
)
COST_UNIT = Column(
    "cost_unit", "string", "Unit of every cost of the row, per problem.", nullable=False
)
DEVICE = Column("device", "string", "Device the model ran on.")
IMPORTER = Column("source", "string", "Name of the importer.", nullable=False)
INVALID_COUNTS = Column(
    "invalid_counts",
    "json",
    "Invalid samples by reason code; a sample with two reasons counts under both.",
    nullable=False,
)
MAX_NUM_SEQS = Column("max_num_seqs", "int32", "Largest batch.", unit="sequences")
MODEL_VARIANT = Column(
    "model_variant",
    "string",
    "Model variant name; with partners, their names after a + each.",
    nullable=False,
)
MODEL_VARIANT_OF_SOURCE = Column(
    "model_variant", "string", "Model variant name; NULL if a source has several."
)
MODEL_VARIANT_OR_NULL = Column("model_variant", "string", "Model variant name.")
NO_P_VALUE_REASON = Column(
    "undefined_reason", "string", "Why there is no p-value; NULL if there is one."
)
NUM_PREEMPTIONS = Column(
    "num_preemptions", "int32", "Times that the scheduler preempted and restarted the call."
)
N_PROBLEMS = Column("n_problems", "int32", "Problems.", unit="problems", nullable=False)
OUTCOME_ID = Column("outcome_id", "string", "Key of out_strategy_outcomes.", nullable=False)
PARENT_CALL_ID = Column(
    "parent_call_id", "string", "Call whose output this call's prompt contains; NULL for the first."
)
PARTNER = Column(
    "partner",
    "string",
    "Alias of the partner that made it; NULL if the point's own model did.",
)
POINT_ID = Column("point_id", "string", "Measured configuration.", nullable=False)
PROBLEM_ID = Column("problem_id", "string", "Problem.", nullable=False)
PROMPT = Column("prompt", "string", "Prompt name.")
PROMPT_OF_SOURCE = Column(
    "prompt", "string", "Prompt name; NULL if an imported source does not state it."
)
SAMPLES_INVALID = Column(
    "samples_invalid", "int64", "Of these, invalid.", unit="samples", nullable=False
)
SAMPLES_VALID = Column("samples_valid", "int64", "Of these, valid.", unit="samples", nullable=False)
SAMPLE_ID = Column("sample_id", "string", "Sample the call belongs to.", nullable=False)
SEED = Column("seed", "int64", "Seed of these draws.", nullable=False)
SESSION_ID = Column("session_id", "string", "Engine session or imported source.", nullable=False)
SOURCE = Column(
    "source",
    "string",
    'How it came here: "generated", or the name of the importer.',
    nullable=False,
)
TASK = Column("task", "string", "Task name.", nullable=False)
