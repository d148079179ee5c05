"""Tasks: problems, prompts, answers and verdicts.

Lives here: task sources (sources/), prompt rendering, answer extraction, verifiers (verifiers/),
grading and answer classes. Not here: which tasks a sweep measures (isocost.sweep), the engine that
answers them (isocost.engines), the tables (isocost.tables).
"""

from isocost.tasks.grading import (
    answer_classes,
    answer_of,
    grade,
    grade_text,
    reference_fault,
    same_answer,
)
from isocost.tasks.load import check_task, load_problems, resolved_config
from isocost.tasks.model import Grade, Problem, TaskMistake, make_problem
from isocost.tasks.prompts import (
    missing_field,
    names_field,
    prompt_hash,
    render_messages,
    unsuited,
)
from isocost.tasks.registry import (
    check_access,
    check_import,
    check_options,
    source_names,
    verifier_names,
    verifier_of,
)

__all__ = [
    "Grade",
    "Problem",
    "TaskMistake",
    "answer_classes",
    "answer_of",
    "check_access",
    "check_import",
    "check_options",
    "check_task",
    "grade",
    "grade_text",
    "load_problems",
    "make_problem",
    "missing_field",
    "names_field",
    "prompt_hash",
    "reference_fault",
    "render_messages",
    "resolved_config",
    "same_answer",
    "source_names",
    "unsuited",
    "verifier_names",
    "verifier_of",
]
