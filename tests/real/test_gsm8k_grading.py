"""Every published GSM8K label agrees with the numeric verifier."""

from __future__ import annotations

import json

from isocost.tasks import grade_text


def test_all_labels_agree(shared_data):
    rows = [
        json.loads(line)
        for line in (shared_data / "gsm8k" / "example_model_solutions.jsonl").open(encoding="utf-8")
    ]
    correct: dict[str, int] = {}
    for row in rows:
        for model, solution in row.items():
            if isinstance(solution, dict):
                found = grade_text("numeric", row["ground_truth"], solution["solution"])
                assert found.correct == solution["is_correct"], (model, row["question"])
                correct[model] = correct.get(model, 0) + found.correct
    assert correct == {
        "6b_finetuning": 286,
        "6b_verification": 515,
        "175b_finetuning": 458,
        "175b_verification": 742,
    }
