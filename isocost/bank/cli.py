"""Command line of the bank: ``isocost bank verify [LAKE]``.

Lives here: arguments and printing. Not here: the verification (`verify`).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from isocost.bank.verify import BankReport, repair_bank, verify_bank
from isocost.errors import IsocostError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the bank's subcommands on a parser; they end in `run_command`."""
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
        help="set aside what cannot be trusted; its samples become missing",
    )


def run_command(arguments: argparse.Namespace) -> int:
    """Run a parsed bank command; return 0 if the bank is intact, 1 if it has faults.

    Raises:
        IsocostError: there is no bank, or a live run holds a session to be repaired.
    """
    lake = arguments.lake or str(_data_root(arguments) / "lake")
    if arguments.repair:
        for note in repair_bank(lake, arguments.session):
            print(note)
    report = verify_bank(lake, arguments.session)
    print_report(report)
    return 1 if report.faults else 0


def _data_root(arguments: argparse.Namespace) -> Path:
    """The data root that ``isocost --data`` names, else the usual one."""
    return getattr(arguments, "data", None) or Path(os.environ.get("ISOCOST_DATA") or "data")


def print_report(report: BankReport) -> None:
    """Prints faults and totals."""
    for fault in report.faults:
        print(fault)
    for session in report.running:
        print(f"session {session}: a run is writing to it now")
    rows = ", ".join(f"{count} rows of {table}" for table, count in report.rows.items() if count)
    print(
        f"{report.sessions} sessions, {report.parts} parts proven: {rows or 'no rows'};"
        f" {report.samples} samples"
    )
    if report.imports:
        print(f"{report.imports} imports read")
    lost = sum(f.is_loss for f in report.faults)
    print(f"{len(report.faults)} faults, {lost} of them a loss" if report.faults else "no faults")


def main(argv: list[str] | None = None) -> int:
    """``python -m isocost.bank``: returns the exit code, 2 for a mistake in the arguments."""
    parser = argparse.ArgumentParser(prog="isocost bank", description="The raw lake.")
    add_arguments(parser)
    try:
        return run_command(parser.parse_args(argv))
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
