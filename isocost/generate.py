"""The payload's command line: ``python -m isocost.generate --session FILE --lake FOLDER``.

Lives here: arguments, exit codes, one line for every mistake. Not here: what is done
(``isocost.payload``). Runs without Dagster; when Dagster started it, lines and numbers also go
through Dagster Pipes.

Exit codes: 0 every sample asked for is there; 1 the engine or the storage failed, or the engine's
server stayed away; 2 bad input, nothing was touched; 3 finished, but some requests ended in an
error and their samples are still missing; 128 + n stopped by signal n after sealing what was
finished.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from isocost.errors import IsocostError
from isocost.payload.loop import Stop
from isocost.payload.parent import end_with_parent
from isocost.payload.progress import Reporter
from isocost.payload.session import Outcome, RunFailed, generate
from isocost.sweep import read_session

FAILED, BAD_INPUT, SOME_ERRORS = 1, 2, 3


def main(argv: list[str] | None = None) -> int:
    """Generates what a session still lacks; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m isocost.generate",
        description="Generates the samples that a session still lacks, and seals them as it goes.",
        epilog="Exit codes" + (__doc__ or "").split("Exit codes")[-1].rstrip(),
    )
    parser.add_argument(
        "--session", required=True, help="session file, as `isocost plan` writes it"
    )
    parser.add_argument("--lake", required=True, help="the lake: a folder, or an fsspec URL")
    parser.add_argument("--run-id", help="name of the run (default: a new UUID)")
    parser.add_argument(
        "--told",
        type=Path,
        help="file that takes the reason where nothing or not everything was generated",
    )
    parser.add_argument(
        "--max-samples", type=_positive, help="generate at most so many samples now"
    )
    arguments = parser.parse_args(argv)
    stop = Stop()
    with Reporter() as reporter, stop.listening():
        if reporter.is_piped:
            end_with_parent()
        try:
            session = read_session(arguments.session)
            outcome = generate(
                session,
                arguments.lake,
                reporter=reporter,
                stop=stop,
                run_id=arguments.run_id,
                max_samples=arguments.max_samples,
            )
        except IsocostError as error:
            _complain(str(error), reporter, arguments.told)
            return FAILED if isinstance(error, RunFailed) else BAD_INPUT
        return _closing(outcome, reporter, stop, arguments.told)


def _complain(what: str, reporter: Reporter, told: Path | None) -> None:
    """Says what went wrong, and leaves it for whoever started the payload."""
    reporter.complain(f"error: {what}")
    if told is not None:
        with suppress(OSError):  # it was said already
            told.write_text(what, encoding="utf-8")


def _closing(outcome: Outcome, reporter: Reporter, stop: Stop, told_file: Path | None) -> int:
    if stop.signal_number is not None and outcome.status == "stopped":
        reporter.say(
            f"stopped by signal {stop.signal_number}; {outcome.generated} samples are sealed,"
            f" {outcome.missing} are missing"
        )
        return 128 + stop.signal_number
    if outcome.away is not None:
        told = IsocostError(
            f"{outcome.away.what}; {outcome.generated} samples are sealed, {outcome.missing} are"
            " missing",
            where=outcome.away.where,
            remedy=outcome.away.remedy,
        )
        _complain(str(told), reporter, told_file)
        return FAILED
    if outcome.errors:
        said = (
            f"{outcome.errors} requests ended in an error, the first: {outcome.first_error}. Run"
            " once more to ask for these samples"
        )
        _complain(said, reporter, told_file)
        return SOME_ERRORS
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
