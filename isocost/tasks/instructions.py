"""Instructions that a rule can check in a reply: those of IFEval that need no language model.

Lives here: one rule per instruction, under IFEval's names and with its parameters (Zhou et al.
2023, arXiv:2311.07911), and the reference that lists instructions. Not here: extracting replies and
verdicts (the verifier "instructions"), the data set (the ready-made task "ifeval"). Not covered
are the instructions for which IFEval loads a language detector or a trained tokenizer: the language
of a reply, texts all in capital or small letters, numbers of sentences and of capitalised words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rule = Callable[[str, Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """An instruction: the parameters it needs, and whether a reply follows it.

    Attributes:
        needs: names of its parameters.
        rule: of the reply and the parameters.
    """

    needs: tuple[str, ...]
    rule: Rule


def _compared(count: int, relation: str, threshold: float) -> bool:
    return count < threshold if relation == "less than" else count >= threshold


def _has_keywords(reply: str, given: Mapping[str, Any]) -> bool:
    return all(re.search(word, reply, re.IGNORECASE) for word in given["keywords"])


def _has_keyword_often(reply: str, given: Mapping[str, Any]) -> bool:
    found = len(re.findall(given["keyword"], reply, re.IGNORECASE))
    return _compared(found, given["relation"], given["frequency"])


def _avoids_words(reply: str, given: Mapping[str, Any]) -> bool:
    words = given["forbidden_words"]
    return not any(re.search(rf"\b{word}\b", reply, re.IGNORECASE) for word in words)


def _has_letter_often(reply: str, given: Mapping[str, Any]) -> bool:
    found = reply.lower().count(str(given["letter"]).lower())
    return _compared(found, given["let_relation"], given["let_frequency"])


def _has_paragraphs(reply: str, given: Mapping[str, Any]) -> bool:
    """Paragraphs between dividers of three asterisks; only the outer ones may be empty."""
    filled = [bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", reply)]
    return all(filled[1:-1]) and sum(filled) == given["num_paragraphs"]


def _has_words(reply: str, given: Mapping[str, Any]) -> bool:
    return _compared(len(re.findall(r"\w+", reply)), given["relation"], given["num_words"])


def _begins_paragraph(reply: str, given: Mapping[str, Any]) -> bool:
    """The first word of a paragraph between blank lines.

    The number of filled paragraphs limits the position among all of them, as in IFEval.
    """
    parts = reply.split("\n\n")
    filled = sum(bool(part.strip()) for part in parts)
    position = given["nth_paragraph"]
    if position > filled or not (words := parts[position - 1].split()):
        return False
    word = re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'))[0].lower()
    return filled == given["num_paragraphs"] and word == str(given["first_word"]).lower()


def _has_placeholders(reply: str, given: Mapping[str, Any]) -> bool:
    return len(re.findall(r"\[.*?\]", reply)) >= given["num_placeholders"]


_POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}


def _has_postscript(reply: str, given: Mapping[str, Any]) -> bool:
    marker = given["postscript_marker"]
    return bool(re.search(_POSTSCRIPTS.get(marker, str(marker).lower()), reply.lower()))


def _has_bullets(reply: str, given: Mapping[str, Any]) -> bool:
    stars = re.findall(r"^\s*\*[^\*].*$", reply, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", reply, re.MULTILINE)
    return len(stars) + len(dashes) == given["num_bullets"]


_CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _is_constrained(reply: str, given: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return any(option in reply for option in _CONSTRAINED)


def _has_highlights(reply: str, given: Mapping[str, Any]) -> bool:
    """Text between single asterisks counts once, between double ones once more."""
    single = (part.strip("*") for part in re.findall(r"\*[^\n\*]*\*", reply))
    double = (part[2:-2] for part in re.findall(r"\*\*[^\n\*]*\*\*", reply))
    found = sum(bool(part.strip()) for parts in (single, double) for part in parts)
    return found >= given["num_highlights"]


def _has_sections(reply: str, given: Mapping[str, Any]) -> bool:
    parts = re.split(rf"\s?{given['section_spliter']}\s?\d+\s?", reply)
    return len(parts) - 1 >= given["num_sections"]


_FENCES = ("```json", "```Json", "```JSON", "```")


def _is_json(reply: str, given: Mapping[str, Any]) -> bool:  # noqa: ARG001
    text = reply.strip()
    for fence in _FENCES:
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _has_title(reply: str, given: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return any(part.lstrip("<").rstrip(">").strip() for part in re.findall(r"<<[^\n]+>>", reply))


def _has_two_replies(reply: str, given: Mapping[str, Any]) -> bool:  # noqa: ARG001
    parts = [part.strip() for part in reply.split("******")]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def _repeats_prompt(reply: str, given: Mapping[str, Any]) -> bool:
    return reply.strip().lower().startswith(str(given["prompt_to_repeat"]).strip().lower())


def _ends_with(reply: str, given: Mapping[str, Any]) -> bool:
    ending = str(given["end_phrase"]).strip().lower()
    return reply.strip().strip('"').lower().endswith(ending)


def _is_quoted(reply: str, given: Mapping[str, Any]) -> bool:  # noqa: ARG001
    text = reply.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _has_no_comma(reply: str, given: Mapping[str, Any]) -> bool:  # noqa: ARG001
    return "," not in reply


CHECKS: dict[str, Check] = {
    "keywords:existence": Check(("keywords",), _has_keywords),
    "keywords:frequency": Check(("keyword", "frequency", "relation"), _has_keyword_often),
    "keywords:forbidden_words": Check(("forbidden_words",), _avoids_words),
    "keywords:letter_frequency": Check(
        ("letter", "let_frequency", "let_relation"), _has_letter_often
    ),
    "length_constraints:number_paragraphs": Check(("num_paragraphs",), _has_paragraphs),
    "length_constraints:number_words": Check(("num_words", "relation"), _has_words),
    "length_constraints:nth_paragraph_first_word": Check(
        ("num_paragraphs", "nth_paragraph", "first_word"), _begins_paragraph
    ),
    "detectable_content:number_placeholders": Check(("num_placeholders",), _has_placeholders),
    "detectable_content:postscript": Check(("postscript_marker",), _has_postscript),
    "detectable_format:number_bullet_lists": Check(("num_bullets",), _has_bullets),
    "detectable_format:constrained_response": Check((), _is_constrained),
    "detectable_format:number_highlighted_sections": Check(("num_highlights",), _has_highlights),
    "detectable_format:multiple_sections": Check(
        ("section_spliter", "num_sections"), _has_sections
    ),
    "detectable_format:json_format": Check((), _is_json),
    "detectable_format:title": Check((), _has_title),
    "combination:two_responses": Check((), _has_two_replies),
    "combination:repeat_prompt": Check(("prompt_to_repeat",), _repeats_prompt),
    "startend:end_checker": Check(("end_phrase",), _ends_with),
    "startend:quotation": Check((), _is_quoted),
    "punctuation:no_comma": Check((), _has_no_comma),
}
_NUMBERS = {
    "frequency", "let_frequency", "num_paragraphs", "nth_paragraph", "num_words",
    "num_placeholders", "num_bullets", "num_highlights", "num_sections",
}  # fmt: skip
_LISTS = {"keywords", "forbidden_words"}
_PATTERNS = {"keywords", "keyword", "forbidden_words", "section_spliter"}


def reference_of(names: Sequence[str], parameters: Sequence[Mapping[str, Any]]) -> str:
    """The reference that lists instructions: canonical JSON, without parameters that are None.

    Args:
        names: names of the instructions.
        parameters: those of each instruction.
    """
    listed = []
    for name, given in zip(names, parameters, strict=True):
        known = {key: given[key] for key in sorted(given) if given[key] is not None}
        listed.append({"instruction": name, **known})
    return json.dumps(listed, ensure_ascii=False)


def instructions_of(reference: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and parameters of each instruction of a reference.

    Raises:
        ValueError: the reference lists no instructions, or one that cannot be checked, with what is
            wrong.
    """
    try:
        listed = json.loads(reference)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(listed, list) or not listed:
        raise ValueError("it is not a list of instructions")
    return [_instruction(entry) for entry in listed]


def _instruction(entry: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("instruction"), str):
        raise ValueError("an entry does not name its instruction")
    name = entry["instruction"]
    if name not in CHECKS:
        raise ValueError(f"the instruction {name} cannot be checked")
    given = {key: value for key, value in entry.items() if key != "instruction"}
    for key in CHECKS[name].needs:
        _check_parameter(name, key, given.get(key))
    return name, given


def _check_parameter(name: str, key: str, value: Any) -> None:
    if key in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise ValueError(f"{name} needs a number {key}")
        return
    texts = value if key in _LISTS and isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{name} needs {'texts' if key in _LISTS else 'a text'} {key}")
    if key.endswith("relation") and value not in ("less than", "at least"):
        raise ValueError(f"{key} of {name} is {value!r}, neither 'less than' nor 'at least'")
    for text in texts if key in _PATTERNS else ():
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{key} of {name} is not a pattern ({error})") from None


def followed(reference: str, reply: str) -> list[bool]:
    """Whether a reply follows each instruction of a reference; a blank one follows none.

    Raises:
        ValueError: see `instructions_of`.
    """
    found = instructions_of(reference)
    return [bool(reply.strip()) and CHECKS[name].rule(reply, given) for name, given in found]
