"""Tasks of lm-eval, with the real package in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.foreign_environment import lm_eval_python
from isocost.errors import IsocostError
from isocost.sweep import TaskSpec
from isocost.tasks import TaskMistake, check_task

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_everything_agrees_with_lm_eval(tmp_path):
    try:
        python = lm_eval_python()
    except IsocostError as error:
        pytest.skip(f"no environment with lm-eval: {error}")
    cases = Path(__file__).with_name("lm_eval_cases.py")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [python, "-m", "pytest", cases, "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=ROOT,
        env={**os.environ, **offline, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_without_the_package_the_source_says_what_to_install(monkeypatch):
    import importlib.util

    from isocost.tasks.harness import finding

    finding.entry.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    task = TaskSpec(
        name="t",
        source="lm_eval",
        dataset="gsm8k_cot",
        config={},
        n_problems=1,
        seed=0,
        verifier="lm_eval",
    )
    with pytest.raises(TaskMistake, match=r"pip install 'isocost\[lm-eval\]'") as caught:
        check_task(task)
    assert caught.value.key == ("source",)
