"""Large Language Monkeys.

One YAML file per problem, or JSON rows of many problems, with thousands of samples each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, files_under, register
from isocost.importers.reading import as_list, as_object, iter_json_lines, load_json, load_yaml
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings

_SETTINGS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "num_few_shot",
    "revision",
    "quantization",
    "dtype",
    "engine",
    "hardware",
)
_KEPT = ("theorem_name", "orig_dset_split", "orig_dset_idx", "test_cases")


@register
class LargeLanguageMonkeys(Importer):
    """Samples of Large Language Monkeys as YAML, JSON or JSON Lines.

    ``{prompt, question, samples, gt_answer | test_cases | theorem_name, is_corrects}``.
    """

    name = "large_language_monkeys"
    version = 3
    title = "Large Language Monkeys: YAML files or JSON rows with samples and is_corrects"
    marks = (
        frozenset({"samples", "is_corrects"}),
        frozenset({"samples", "gt_answer"}),
    )
    conventions = Conventions(
        notes=(
            "Without is_corrects the samples have no label.",
            "The source has no token counts and no times.",
        )
    )

    def files(self, path: Path) -> list[Path]:
        """The file, or every YAML, JSON and JSON Lines file of a folder."""
        return files_under(path, ("*.yaml", "*.yml", "*.json", "*.jsonl"), "problem with samples")

    def stated_by_place(self, file: Path) -> str:
        """The name of a problem's own file, which identifies a problem without a number."""
        return file.stem if file.suffix in (".yaml", ".yml") else ""

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Every sample of every problem, in order."""
        empty: list[str] = []
        for file in source.files:
            source.at = str(file)
            source.is_one_run = file.suffix in (".yaml", ".yml")  # one file per problem
            for place, problem in _problems(file):
                yield from _samples(source, file, place, problem)
                if not problem["samples"]:
                    empty.append(
                        f"{source.relative(file)}, {place}" if place else source.relative(file)
                    )
        if empty:
            source.warnings.append(
                f"{len(empty)} problems have an empty list of samples and are not in any mean; "
                f"the first: {empty[0]}"
            )


def _problems(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if file.suffix in (".yaml", ".yml"):
        yield "", as_object(load_yaml(file), str(file))
    elif file.suffix == ".jsonl":
        for number, value in iter_json_lines(file, limit=256 << 20):
            yield f"line {number}", value
    else:
        document = load_json(file)
        if isinstance(document, list):
            for index, value in enumerate(document):
                yield f"[{index}]", as_object(value, f"{file}, [{index}]")
        else:
            yield "", as_object(document, str(file))


def _samples(source: ImportInput, file: Path, place: str, problem: dict[str, Any]) -> Iterator[Row]:
    where = f"{file}, {place}" if place else str(file)
    if "samples" not in problem:
        raise IsocostError(
            "has no samples",
            where=where,
            remedy="A problem has samples, a list of texts, and is_corrects, a list of the same "
            "length",
        )
    samples = as_list(problem["samples"], f"{where}, samples")
    verdicts = problem.get("is_corrects")
    if verdicts is not None and len(as_list(verdicts, f"{where}, is_corrects")) != len(samples):
        raise IsocostError(
            f"has {len(samples)} samples and {len(verdicts)} verdicts",
            where=where,
            remedy="Evaluate the samples again",
        )
    identity = problem.get("theorem_name", problem.get("orig_dset_idx"))
    if (
        identity is not None
        and "theorem_name" not in problem
        and problem.get("orig_dset_split") is not None
    ):
        identity = (  # a train problem and a test problem may have one number
            f"{problem['orig_dset_split']}-{identity}"
        )
    if identity is None:
        identity = f"{file.stem}{place}" if place else file.stem
    for index, text in enumerate(samples):
        row = source.row(
            "sample", file, f"{place}.samples[{index}]" if place else f"samples[{index}]"
        )
        row.text("model_variant", problem.get("model"))
        row.condition(
            stated_settings(
                {key: problem.get(key) for key in _SETTINGS}, LargeLanguageMonkeys.harmless
            )
        )
        row.text("problem_source_id", identity)
        row.text("problem_text", problem.get("question", problem.get("prompt")))
        row.whole("reference", problem.get("gt_answer"))
        row.integer("sample_index", index)
        row.text("output_text", text)
        if verdicts is not None:
            row.flag("label_correct", verdicts[index])
            row.text("label_name", "is_corrects")
        row.json(
            "extra", {key: problem[key] for key in _KEPT if key in problem} if index == 0 else None
        )
        yield row
