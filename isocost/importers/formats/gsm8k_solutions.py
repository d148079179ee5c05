"""OpenAI's published GSM8K solutions: four models' answers with OpenAI's own verdicts."""

from __future__ import annotations

from collections.abc import Iterator

from isocost.errors import IsocostError
from isocost.hashing import text_hash
from isocost.importers.base import Conventions, Importer, ImportInput, register
from isocost.importers.reading import as_object, iter_json_lines
from isocost.importers.row import Row

_PROBLEM_KEYS = {"question", "ground_truth"}


@register
class Gsm8kSolutions(Importer):
    """``example_model_solutions.jsonl`` of grade-school-math.

    One line per problem, one key per model.
    """

    name = "gsm8k_solutions"
    title = "example_model_solutions.jsonl of openai/grade-school-math"
    marks = (frozenset({"question", "ground_truth"}),)
    conventions = Conventions(
        notes=(
            (
                "The *_verification models are the best of 100 samples by a verifier, not single"
                " samples; only the chosen one is published."
            ),
        ),
    )

    def records(self, source: ImportInput) -> Iterator[Row]:
        """One sample per problem and model."""
        path = source.files[0]
        for number, value in iter_json_lines(path):
            if not {"question", "ground_truth"} <= value.keys():
                raise IsocostError(
                    "has no question with its ground_truth", where=f"{path}, line {number}"
                )
            models = [key for key in value if key not in _PROBLEM_KEYS]
            for model in models:
                row = source.row("sample", path, f"line {number}, {model}")
                solution = as_object(value[model], row.where)
                row.text("model_variant", model)
                row.text("task", "gsm8k")
                row.text("problem_text", value["question"])
                row.text("problem_source_id", text_hash(row.values["problem_text"]))
                row.text("reference", value["ground_truth"])
                row.text("output_text", solution["solution"])
                row.flag("label_correct", solution["is_correct"])
                row.text("label_name", "is_correct")
                row.integer("sample_index", 0)
                yield row
            if not models:
                raise source.row("sample", path, f"line {number}").fail(
                    "models",
                    "no model answered",
                    "A line has question, ground_truth and one key per model",
                )
