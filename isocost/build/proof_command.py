"""The command ``isocost bank verify [LAKE]``.

Lives here: its arguments and printing. Not here: the verification (``isocost.intake.proof`` for the
lake, ``isocost.build.proof`` for everything derived from it).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isocost.intake.proof import LakeReport
    from isocost.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands of ``isocost bank`` on a parser; they end in ``run_command``."""
    commands = parser.add_subparsers(dest="bank_command", required=True)
    verify = commands.add_parser("verify", help="prove every sealed part, name each fault")
    verify.add_argument(
        "lake",
        nargs="?",
        help="the lake: a folder, or an fsspec URL (default: lake in the data root)",
    )
    verify.add_argument("--session", help="only this session")
    verify.add_argument(
        "--repair",
        action="store_true",
        help="quarantine faulty parts; their samples become missing",
    )


def run_command(arguments: argparse.Namespace) -> int:
    """Run a parsed command; return 0 if everything is intact, 1 if there are faults.

    Raises:
        IsocostError: there is no lake, or a live run holds a session to be repaired.
    """
    from isocost.intake.proof import repair_lake, verify_lake  # rooms that take seconds to import
    from isocost.store import Store

    store = Store(arguments.data.resolve())
    lake = arguments.lake or str(arguments.data / "lake")
    if arguments.repair:
        for note in repair_lake(lake, arguments.session):
            print(note)
    report = verify_lake(lake, arguments.session)
    print_report(report)
    is_whole = not report.faults
    if not (arguments.lake or arguments.session):  # a bank alone, or one session of it
        is_whole &= _print_derived(store)
    return 0 if is_whole else 1


def print_report(report: LakeReport) -> None:
    """Print faults and totals of a lake."""
    for fault in report.faults:
        print(fault)
    bank = report.bank
    for session in bank.running:
        print(f"session {session}: a run is writing to it now")
    rows = ", ".join(f"{count} rows of {table}" for table, count in bank.rows.items() if count)
    print(
        f"{bank.sessions} sessions, {bank.parts} parts proven: {rows or 'no rows'};"
        f" {bank.samples} samples"
    )
    if report.imports:
        print(f"{report.imports} imports read")
    lost = sum(fault.is_loss for fault in report.faults)
    print(f"{len(report.faults)} faults, {lost} of them a loss" if report.faults else "no faults")


def _print_derived(store: Store) -> bool:
    """Verify and print what is derived from the lake; return whether it is intact."""
    from isocost.build.proof import verify_store

    report = verify_store(store)
    for fault in report.faults:
        print(fault)
    print(
        f"{report.files} session files, derived tables and published files read:"
        f" {len(report.faults) or 'no'} faults"
    )
    return not report.faults
