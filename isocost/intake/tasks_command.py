"""The command ``isocost tasks [NAME]``: ready-made tasks, and what they ask.

Lives here: its arguments and printing. Not here: the tasks (``isocost.tasks.ready``).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isocost.tasks import Problem
    from isocost.tasks.ready_made import ReadyTask

_SNIPPET = """tasks:
  - {{name: {name}, source: ready, dataset: {name}, n_problems: 20, verifier: {verifier}}}
prompts:
  - {{name: conventional, template: "{{prompt}}"}}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``isocost tasks``; they end in ``run_command``."""
    parser.add_argument("name", nargs="?", help="one task, in detail")
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
    ready = READY.get(arguments.name, where="isocost tasks")
    print("\n".join(_lines(ready)))
    for number, problem in enumerate(_problems(ready, arguments), start=1):
        print("\n".join(_shown(number, problem)))
    return 0


def _lines(ready: ReadyTask) -> list[str]:
    rows = ready.rows()
    return [
        f"{ready.name}: {ready.title}",
        f"  data set   {rows}",
        f"  licence    {ready.licence}",
        f"  follows    {ready.follows}",
        f"  verifier   {ready.verifier}",
        "",
        _SNIPPET.format(name=ready.name, verifier=ready.verifier),
    ]


def _problems(ready: ReadyTask, arguments: argparse.Namespace) -> tuple[Problem, ...]:
    if not arguments.show:
        return ()
    from isocost.errors import IsocostError
    from isocost.sweep import TaskSpec
    from isocost.tasks import TaskMistake, load_problems

    config = {} if arguments.revision is None else {"revision": arguments.revision}
    try:
        return load_problems(
            TaskSpec(
                name=ready.name,
                source="ready",
                dataset=ready.name,
                config=config,
                n_problems=arguments.show,
                seed=0,
                verifier=ready.verifier,
            )
        )
    except TaskMistake as mistake:
        where = mistake.where or f"isocost tasks {ready.name}"
        raise IsocostError(mistake.what, where=where, remedy=mistake.remedy) from None


def _shown(number: int, problem: Problem) -> list[str]:
    return [
        "",
        f"--- {number}: {problem.problem_id} ({problem.metadata['row']}), prompt",
        problem.fields["prompt"],
        "--- reference",
        problem.reference,
    ]
