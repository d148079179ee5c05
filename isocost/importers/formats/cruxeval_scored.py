"""CRUXEval's scored samples: ten generations per problem with their verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, register
from isocost.importers.reading import as_list, as_object, load_json
from isocost.importers.row import Row

_NAME = re.compile(
    r"sample_scored_(?P<model>.+)_temp(?P<temperature>[\d.]+)_(?P<side>input|output)"
)


@register
class CruxevalScored(Importer):
    """``sample_scored_<model>_temp<t>_<input|output>.json`` of facebookresearch/cruxeval."""

    name = "cruxeval_scored"
    title = (
        "sample_scored_*.json of facebookresearch/cruxeval (raw_generations and"
        " raw_scored_generations)"
    )
    marks = (frozenset({"raw_generations", "raw_scored_generations"}),)
    conventions = Conventions(
        units={"metric_value": "pass_at_k, percent -> ratio"},
        notes=("Model, temperature and side come from the file's name where it has them.",),
    )

    def stated_by_place(self, file: Path) -> str:
        """Model, temperature and side."""
        named = _NAME.search(file.stem)
        return named[0] if named else ""

    def records(self, source: ImportInput) -> Iterator[Row]:
        """One sample a generation, then the file's own pass@k as aggregates."""
        path = source.files[0]
        document = as_object(load_json(path), str(path))
        texts = as_object(document["raw_generations"], f"{path}, raw_generations")
        verdicts = as_object(document["raw_scored_generations"], f"{path}, raw_scored_generations")
        if set(texts) != set(verdicts):
            lone = sorted(set(texts) ^ set(verdicts))[0]
            raise IsocostError(
                "is in only one of raw_generations and raw_scored_generations",
                where=f"{path}, {lone}",
            )
        named = _NAME.search(path.stem)
        for problem in sorted(verdicts, key=_natural):
            scored = as_list(verdicts[problem], f"{path}, raw_scored_generations.{problem}")
            written = as_list(texts[problem], f"{path}, raw_generations.{problem}")
            if len(scored) != len(written):
                raise IsocostError(
                    f"has {len(written)} generations and {len(scored)} verdicts",
                    where=f"{path}, {problem}",
                )
            for index, (text, verdict) in enumerate(zip(written, scored, strict=True)):
                row = self._named_row(source, "sample", f"{problem}[{index}]", named)
                row.text("problem_source_id", problem)
                row.integer("sample_index", index)
                row.text("output_text", text)
                row.text("answer", text)
                row.flag("label_correct", verdict)
                row.text("label_name", "raw_scored_generations")
                yield row
        for key in sorted(key for key in document if key.startswith("pass_at_")):
            row = self._named_row(source, "aggregate", key, named)
            row.text("metric_name", key)
            row.number("metric_value", document[key], unit="percent", low=0.0, high=1.0)
            row.text("metric_unit", "ratio")
            yield row

    def _named_row(
        self, source: ImportInput, kind: str, place: str, named: re.Match[str] | None
    ) -> Row:
        row = source.row(kind, source.files[0], place)
        if named:
            row.text("model_variant", named["model"])
            row.text("task", f"cruxeval-{named['side'][0]}")
            row.json("sampling", {"temperature": float(named["temperature"])})
        return row


def _natural(name: str) -> tuple[str, int, str]:
    digits = re.search(r"\d{1,18}$", name)
    return (name[: digits.start()], int(digits[0]), name) if digits else (name, -1, name)
