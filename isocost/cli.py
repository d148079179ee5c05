"""The command line: ``isocost plan | tasks | import | bank | export | compare | refresh | ...``.

Lives here: arguments and printing. Not here: the work of the commands. Long computations import
their packages inside the command, so that ``isocost --help`` responds at once. Running a sweep
through Dagster is ``python -m pipelines.run``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from isocost.errors import IsocostError, PartialError

if TYPE_CHECKING:
    import polars as pl


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 1 if it found faults or the machine failed, 2 for a mistake in the input, 3 if
        it did everything except what it reports.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    if (other := checkout_beside(Path.cwd())) is not None:
        print(f"note: {other}", file=sys.stderr)
    try:
        if not arguments.makes_root:
            _refuse_no_root(arguments)
        return run(arguments)
    except PartialError as error:
        print(f"partial: {error}", file=sys.stderr)
        return error.exit_code
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; written files are intact, run the same command again", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"error: {place}{error.strerror or error}. Make the folder writable or free space, "
            f"and retry",
            file=sys.stderr,
        )
        return 1


def checkout_beside(folder: Path) -> str | None:
    """A warning if a folder belongs to a checkout of Isocost other than the running code.

    None otherwise.

    The command of an environment runs the checkout that the environment was created for; ``python
    -m isocost`` runs the one in the working directory.
    """
    running = Path(__file__).resolve().parents[1]
    for place in (folder, *folder.parents):
        if all((place / name).is_file() for name in ("pyproject.toml", "isocost/cli.py")):
            if place.resolve() == running:
                return None
            return (
                f"this runs the code in {running}, not the checkout {place}; to run its own code, "
                f"use `make setup` or `python -m isocost` there"
            )
    return None


def _parser() -> argparse.ArgumentParser:
    from isocost import meter_command
    from isocost.build import proof_command
    from isocost.intake import tasks_command
    from isocost.publish import export_command

    parser = argparse.ArgumentParser(
        prog="isocost", description="What accuracy does a unit of inference compute buy?"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("ISOCOST_DATA") or "data"),
        help="data root (default: ./data)",
    )
    parser.set_defaults(makes_root=False)
    commands = parser.add_subparsers(required=True, metavar="command")

    plan = commands.add_parser("plan", help="check a sweep file and write its session files")
    plan.add_argument("sweep", type=Path)
    plan.set_defaults(run=_plan, makes_root=True)

    ready = commands.add_parser("tasks", help="list ready-made tasks, and show what they ask")
    tasks_command.add_arguments(ready)
    ready.set_defaults(run=tasks_command.run_command, makes_root=True)

    bring = commands.add_parser(
        "import", help="import another tool's results", description="Formats: " + _formats()
    )
    bring.add_argument("format")
    bring.add_argument("path", type=Path)
    bring.add_argument(
        "--name",
        default="",
        help="name of the source (default: from its path); reusing a name supersedes the earlier "
        "import",
    )
    bring.add_argument(
        "--mapping",
        type=Path,
        help="mapping file of the generic format: the meaning of each column",
    )
    for key in ("model", "task", "task-version", "prompt", "sampling"):
        form = "; JSON such as '{\"temperature\": 0.7}', or words" if key == "sampling" else ""
        bring.add_argument(
            f"--{key}",
            help=f"provenance: {key.replace('-', ' ')}, if the source does not state it{form}",
        )
    bring.add_argument(
        "--verifier",
        help=("grade every text with this verifier; `none` uses the source's own labels"),
    )
    bring.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=(
            "a setting that the source does not state, such as hardware=H100; part of the"
            " configuration's identity (repeatable, or JSON)"
        ),
    )
    bring.add_argument(
        "--metric",
        help="the metric that provides the verdict, if the source has several (lm_eval, helm)",
    )
    bring.add_argument(
        "--unknown",
        action="append",
        default=[],
        metavar="NAME",
        help="accept that this provenance is unknown (repeatable)",
    )
    bring.set_defaults(run=_import, makes_root=True)

    bank = commands.add_parser("bank", help="prove the raw lake, and all that is derived from it")
    proof_command.add_arguments(bank)
    bank.set_defaults(run=proof_command.run_command)

    out = commands.add_parser("export", help="write samples in the format of another tool")
    export_command.add_arguments(out)
    out.set_defaults(run=export_command.run_command)

    meter = commands.add_parser(
        "meter", help="measure clients of OpenAI's API: those of a sweep, or one of your own"
    )
    meter_command.add_arguments(meter)
    meter.set_defaults(run=meter_command.run_command, makes_root=True)

    pair = commands.add_parser("compare", help="compare two outcomes, problem by problem")
    pair.add_argument("first", help="outcome_id from out_strategy_outcomes; a prefix is enough")
    pair.add_argument("second", help="outcome_id of the same task")
    pair.set_defaults(run=_compare)

    again = commands.add_parser("refresh", help="bring all derived tables up to date with the bank")
    again.add_argument(
        "--all", action="store_true", help="rebuild everything, even if it is up to date"
    )
    again.add_argument(
        "--memory",
        metavar="SIZE",
        help=(
            "memory budget, such as 4GiB (default: $ISOCOST_MEMORY, otherwise half of what is "
            "free); larger data is processed in chunks"
        ),
    )
    again.set_defaults(run=_refresh)

    gone = commands.add_parser(
        "forget", help="remove a session or imported source from every table"
    )
    gone.add_argument(
        "source",
        help="its name, as printed by refresh; to undo, plan or import it again",
    )
    gone.set_defaults(run=_forget)

    look = commands.add_parser(
        "doctor", help="report what this machine supports, and what it lacks"
    )
    look.set_defaults(run=_doctor, makes_root=True)  # needs no data root
    return parser


def _refuse_no_root(arguments: argparse.Namespace) -> None:
    """Reject a mistyped data root before a command could create an empty one there."""
    from isocost.store import Store

    if getattr(arguments, "lake", None) is None:  # a bank may be anywhere, even outside a data root
        Store(arguments.data.resolve()).existing()


def _formats() -> str:
    from isocost.importers import registered

    return ", ".join(sorted(registered()))


def _plan(arguments: argparse.Namespace) -> int:
    from isocost.build import refresh
    from isocost.store import Store
    from isocost.sweep import read_session

    store = Store(arguments.data.resolve())
    for session_id in refresh.plan_sweep(store, arguments.sweep):
        session = read_session(store.session_file(session_id))
        samples = sum(p.samples_per_problem * p.point.task.n_problems for p in session.points)
        print(
            f"{session_id}: {len(session.points)} points, {samples} samples "
            f" {store.session_file(session_id)}"
        )
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from isocost.build import refresh
    from isocost.store import Store

    given = {
        key: getattr(arguments, key)
        for key in ("model", "task", "task_version", "prompt", "sampling")
    }
    session_id = source_id(arguments.path, arguments.name)
    store = Store(arguments.data.resolve())
    report = refresh.bring_in(
        store,
        session_id,
        format=arguments.format,
        path=arguments.path,
        provenance={key: value for key, value in given.items() if value is not None},
        unknown=frozenset(arguments.unknown),
        mapping=arguments.mapping,
        verifier=arguments.verifier,
        condition=arguments.condition,
        metric=arguments.metric,
    )
    curated = refresh.curate_session(store, session_id)
    sessions = store.read("core_sessions", session_id)
    counted = samples_line(int(sessions["samples_total"].sum()), sessions)
    if curated.rows["core_counts"]:
        counted += f", known as counts of {curated.rows['core_counts']} problems"
    print(f"{report.status}: {report.records} records, {counted}, source {session_id}")
    if report.supersedes:
        print(f"  replaces {report.supersedes}, which stays in the lake")
    for reason, count in sorted(report.null_reasons.items()):
        print(f"  left NULL: {count} values of {reason}")
    unjudged = unjudged_line(
        store.read("core_samples", session_id),
        store.read("core_problems", session_id),
        arguments.verifier,
    )
    for warning in (
        *report.warnings,
        *curated.refused,
        *curated.unjudged,
        *unjudged,
        *refresh.clashes(store, session_id),
    ):
        print(f"  note: {warning}")
    return 0


def samples_line(total: int, sessions: pl.DataFrame) -> str:
    """How many samples of an import count, and why the others do not.

    Args:
        total: samples in core_samples and core_counts.
        sessions: rows of core_sessions of the same import.
    """
    valid = int(sessions["samples_valid"].sum())
    if total == valid:
        return f"{total} samples in core" + (", all valid" if total else "")
    reasons: Counter[str] = Counter()
    for text in sessions["invalid_counts"]:
        reasons.update(json.loads(text))
    counted = ", ".join(f"{code.replace('_', ' ')}: {n}" for code, n in sorted(reasons.items()))
    return f"{total} samples in core, {valid} valid and {total - valid} invalid ({counted})"


def unjudged_line(samples: pl.DataFrame, problems: pl.DataFrame, verifier: str | None) -> list[str]:
    """What is missing for a verdict if the source has none: a verifier, a reference, or both.

    Args:
        samples: rows of core_samples of one import.
        problems: rows of core_problems of the same import.
        verifier: the requested verifier.
    """
    if (
        verifier not in (None, "none")
        or not samples["grade_reason"].eq_missing("no_verdict_in_source").any()
    ):
        return []
    from isocost.tasks import verifier_names

    number = int(samples["grade_reason"].eq_missing("no_verdict_in_source").sum())
    if problems["reference"].null_count() == problems.height:
        return [
            f"{number} samples have neither a verdict nor a reference in the source, so they "
            f"cannot be graded"
        ]
    names = ", ".join(verifier_names())
    return [
        f"{number} samples have a reference and no verdict in the source. To grade them, give "
        f"--verifier: one of {names}"
    ]


def source_id(path: Path, name: str = "") -> str:
    """The key of an imported source.

    Its name, or otherwise its path, so that the results.json of two runs are two sources.
    """
    from isocost.intake import source_key

    return source_key(name) if name else source_key(str(path.resolve()), shown=path.name)


def _compare(arguments: argparse.Namespace) -> int:
    from isocost.publish.comparison import comparison_lines
    from isocost.store import Store
    from isocost.tables.frontiers.compare import compare_outcomes

    store = Store(arguments.data.resolve())
    outcomes, problems = store.read("out_strategy_outcomes"), store.read("out_strategy_problems")
    if outcomes.is_empty():
        remedy = (
            "Run `isocost refresh` (or `make demo`) first, or give another data root with --data"
        )
        raise IsocostError(
            "nothing is derived yet, so there is no outcome to compare",
            where=str(store.root),
            remedy=remedy,
        )
    found = compare_outcomes(
        outcomes,
        problems,
        arguments.first,
        arguments.second,
        clusters=store.read("core_problems"),
        comparisons=store.read("out_comparisons"),
        points=store.read("core_points"),
    )
    print("\n".join(comparison_lines(found)))
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from isocost.doctor import examine

    for finding in examine(arguments.data):
        print(f"  {'yes' if finding.is_there else 'no ':<4}{finding.name:<28}{finding.detail}")
        if finding.remedy:
            print(f"      {'':<28}{finding.remedy}")
    return 0


def _forget(arguments: argparse.Namespace) -> int:
    from isocost.build import refresh
    from isocost.store import Store

    rows = refresh.forget(Store(arguments.data.resolve()), arguments.source)
    print(
        f"{arguments.source}: the next `isocost refresh` removes its {rows} rows from every "
        f"table; its files stay in the lake"
    )
    return 0


def _refresh(arguments: argparse.Namespace) -> int:
    from isocost.build import refresh
    from isocost.intake.settings import NAME, unknown_tasks
    from isocost.memory import chosen_budget
    from isocost.store import Store

    started = time.monotonic()
    store, memory = Store(arguments.data.resolve()), chosen_budget(arguments.memory)
    print(refresh.needed(store).line(memory), flush=True)
    for done in refresh.everything(store, force=arguments.all, memory=memory):
        pieces = done.built + done.reused
        unchanged = f"   {done.reused} of {pieces} {done.unit} unchanged" if done.reused else ""
        print(
            f"  {done.name:<28}{sum(done.rows.values()):>10} rows "
            f" {time.monotonic() - started:6.1f} s{unchanged}",
            flush=True,
        )
    for task in unknown_tasks(store.root, set(store.read("core_points", columns=["task"])["task"])):
        print(f"note: {store.root / NAME}, replay.tasks.{task}: this task has no banked samples")
    if not refresh.known_sources(store):
        print(
            f"note: nothing is banked under {store.root}; run a sweep or import first, or give "
            f"another data root with --data"
        )
    print(f"warehouse {store.warehouse}\nreport    {store.report}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
