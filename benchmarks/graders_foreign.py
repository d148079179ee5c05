"""Other projects' graders, each behind one function.

Run by the interpreter of an environment that has them.

``python graders_foreign.py NAME < rows.jsonl > verdicts.jsonl``: a row has ``reference`` and
``text``, a verdict is true, false or null (the grader raised). Nothing of Isocost is imported here,
so that each project may live in an environment of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
from collections.abc import Callable
from typing import Any

Grader = Callable[[str, str], bool]


def math_verify() -> Grader:
    from math_verify import parse, verify

    return lambda reference, text: bool(verify(parse(f"${reference}$"), parse(text)))


def _gsm8k(pattern: str, group: int) -> Grader:
    """GSM8K's filters and its exact_match with the patterns that its task file ignores."""
    from lm_eval.filters.extraction import RegexFilter

    regex = RegexFilter(regex_pattern=pattern, group_select=group)
    ignored = [",", r"\$", "(?s).*#### ", r"\.$"]

    def plain(text: str) -> str:
        for one in ignored:
            text = re.sub(one, "", text)
        return text.lower()

    def judge(reference: str, text: str) -> bool:
        return plain(next(iter(regex.apply([[text]], [{}])))[0]) == plain(reference)

    return judge


def lm_eval_gsm8k_strict() -> Grader:
    return _gsm8k(r"#### (\-?[0-9\.\,]+)", 0)


def lm_eval_gsm8k_flexible() -> Grader:
    return _gsm8k(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", -1)


def lm_eval_minerva_math() -> Grader:
    from lm_eval.tasks.minerva_math import utils

    def judge(reference: str, text: str) -> bool:
        # Its answer is the text after "Final Answer: The final answer is": the box or the end of
        # the text is put there, as its few-shot prompt makes a model do.
        answer = (
            utils.remove_boxed(box)
            if (box := utils.last_boxed_only_string(text))
            else text.strip().splitlines()[-1]
        )
        return bool(
            utils.is_equiv(
                utils.normalize_final_answer(answer), utils.normalize_final_answer(reference)
            )
        )

    return judge


def lm_eval_hendrycks_math() -> Grader:
    from lm_eval.tasks.hendrycks_math import utils

    def judge(reference: str, text: str) -> bool:
        answer = (
            utils.remove_boxed(box)
            if (box := utils.last_boxed_only_string(text))
            else text.strip().splitlines()[-1]
        )
        return bool(utils.is_equiv(answer, reference))

    return judge


def evalscope_math() -> Grader:
    from evalscope.metrics.math.parser import compare_answers

    # As its benchmarks call it: the answer is taken from the whole output.
    return lambda reference, text: bool(
        compare_answers(text, reference, prediction_mode="output", validate_reference=False).matched
    )


GRADERS: dict[str, Callable[[], Grader]] = {
    "math-verify": math_verify,
    "lm-eval gsm8k strict": lm_eval_gsm8k_strict,
    "lm-eval gsm8k flexible": lm_eval_gsm8k_flexible,
    "lm-eval minerva_math": lm_eval_minerva_math,
    "lm-eval hendrycks_math": lm_eval_hendrycks_math,
    "evalscope math": evalscope_math,
}


def _verdict(judge: Grader, row: dict[str, Any]) -> bool | None:
    try:
        return judge(row["reference"], row["text"])
    except Exception:  # what another project's grader raises is no verdict
        return None


def _judge_all(name: str, rows: list[dict[str, Any]]) -> None:
    judge = GRADERS[name]()
    for row in rows:
        print(json.dumps(_verdict(judge, row)), flush=True)


def main() -> int:
    rows = [json.loads(line) for line in sys.stdin]
    # In a daemonic process, because evalscope forks for each call elsewhere, which takes most of
    # the time.
    process = multiprocessing.Process(target=_judge_all, args=(sys.argv[1], rows), daemon=True)
    process.start()
    process.join()
    return process.exitcode or 0


if __name__ == "__main__":
    raise SystemExit(main())
