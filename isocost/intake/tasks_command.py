"""The command ``isocost tasks [NAME]``: ready-made tasks, tasks of lm-eval, and what they ask.

Lives here: its arguments and printing. Not here: the tasks (``isocost.tasks.ready``,
``isocost.tasks.harness``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isocost.tasks import Problem
    from isocost.tasks.ready_made import ReadyTask

_SNIPPET = """tasks:
  - {{name: {name}, source: ready, dataset: {name}, n_problems: 20, verifier: {verifier}{order}}}
prompts:
  - {{name: conventional, template: "{{prompt}}"}}"""
_HARNESS = "lm_eval"
_HARNESS_SNIPPET = """tasks:
  - {{name: {name}, source: lm_eval, dataset: {name}, n_problems: 20, verifier: lm_eval}}
prompts:
  - {{name: lm_eval, template: "{{prompt}}", chat: false}}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``isocost tasks``; they end in ``run_command``."""
    parser.add_argument(
        "name", nargs="?", help="one task, in detail; lm_eval:NAME for a task of lm-eval"
    )
    parser.add_argument(
        "--show",
        type=int,
        default=0,
        metavar="N",
        help="print the prompts and references of its first N problems; fetches its data set",
    )
    parser.add_argument("--revision", help="revision of its data set for --show")


def run_command(arguments: argparse.Namespace) -> int:
    """Run a parsed command.

    Raises:
        IsocostError: there is no such task, or its data set cannot be read.
    """
    from isocost.errors import IsocostError
    from isocost.tasks.ready_made import READY

    if arguments.name is None:
        if arguments.show:
            raise IsocostError("no task is named", remedy="Write `isocost tasks NAME --show 3`.")
        for ready in READY.all().values():
            print(f"{ready.name:<16}{ready.dataset:<28}{ready.verifier:<16}{ready.title}")
        return 0
    source, _, name = arguments.name.rpartition(":")
    if source == _HARNESS:
        print("\n".join(_harness_lines(name)))
        verifier = _HARNESS
    else:
        source, name = "ready", arguments.name
        ready = READY.get(name, where="isocost tasks")
        print("\n".join(_lines(ready)))
        verifier = ready.verifier
    for number, problem in enumerate(_problems(source, name, verifier, arguments), start=1):
        print("\n".join(_shown(number, problem)))
    return 0


def _harness_lines(name: str) -> list[str]:
    """What the YAML file of a task of lm-eval states; fetches nothing."""
    from isocost.tasks.harness import finding
    from isocost.tasks.harness.asking import most_tokens

    with _where(f"isocost tasks {_HARNESS}:{name}"):
        _, stated = finding.entry(name, None)
        version = finding.version()
    filters = [one.get("name") for one in stated.get("filter_list") or ()]
    metrics = [one.get("metric") for one in stated.get("metric_list") or ()]
    subset = stated.get("dataset_name")
    generated = stated.get("generation_kwargs") or {}
    ends = generated.get("until") or stated.get("fewshot_delimiter", "\n\n")
    return [
        f"{name}: a task of lm-eval {version}",
        f"  data set   {stated.get('dataset_path')}" + (f" ({subset})" if subset else ""),
        f"  shots      {stated.get('num_fewshot') or 0}",
        f"  filters    {', '.join(map(str, filters)) or 'none'}",
        f"  metrics    {', '.join(map(str, metrics)) or 'its own'}",
        f"  ends at    {ends!r}",
        f"  max_tokens {most_tokens(generated)}",
        "",
        _HARNESS_SNIPPET.format(name=name),
    ]


def _lines(ready: ReadyTask) -> list[str]:
    rows = ready.rows()
    return [
        f"{ready.name}: {ready.title}",
        f"  data set   {rows}",
        f"  licence    {ready.licence}",
        f"  follows    {ready.follows}",
        f"  verifier   {ready.verifier}",
        "",
        _SNIPPET.format(
            name=ready.name,
            verifier=ready.verifier,
            order=", config: {shuffle: true}" if ready.is_sorted else "",
        ),
    ]


def _problems(
    source: str, name: str, verifier: str, arguments: argparse.Namespace
) -> tuple[Problem, ...]:
    if not arguments.show:
        return ()
    from isocost.sweep import TaskSpec
    from isocost.tasks import load_problems

    config = {} if arguments.revision is None else {"revision": arguments.revision}
    with _where(f"isocost tasks {arguments.name}"):
        return load_problems(
            TaskSpec(
                name=name,
                source=source,
                dataset=name,
                config=config,
                n_problems=arguments.show,
                seed=0,
                verifier=verifier,
            )
        )


@contextmanager
def _where(command: str) -> Iterator[None]:
    """Mistakes of a task name the command."""
    from isocost.errors import IsocostError
    from isocost.tasks import TaskMistake

    try:
        yield
    except TaskMistake as mistake:
        where = mistake.where or command
        raise IsocostError(mistake.what, where=where, remedy=mistake.remedy) from None


def _shown(number: int, problem: Problem) -> list[str]:
    return [
        "",
        f"--- {number}: {problem.problem_id} ({problem.metadata['row']}), prompt",
        problem.fields["prompt"],
        "--- reference",
        problem.reference,
    ]
