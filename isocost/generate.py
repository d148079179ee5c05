"""The payload's command line: ``python -m isocost.generate --session FILE --lake FOLDER``.

Lives here: arguments, exit codes, a one-line message for every error. Not here: the work
(``isocost.payload``). Runs without Dagster; if Dagster started it, lines and numbers also go
through Dagster Pipes.

Exit codes: 0 all requested samples are banked; 1 the engine or the storage failed, or the engine's
server stayed unreachable; 2 bad input, nothing was changed; 3 finished, but some requests failed
and their samples are still missing; 128 + n stopped by signal n after sealing finished samples.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from isocost.engines.parent import end_with_parent
from isocost.errors import IsocostError
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import Outcome, RunFailed, generate
from isocost.sweep import read_session

FAILED, BAD_INPUT, SOME_ERRORS = 1, 2, 3


def main(argv: list[str] | None = None) -> int:
    """Generate the samples that a session still lacks; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m isocost.generate",
        description="Generate the missing samples of a session, sealing them along the way.",
        epilog="Exit codes" + (__doc__ or "").split("Exit codes")[-1].rstrip(),
    )
    parser.add_argument("--session", required=True, help="session file written by `isocost plan`")
    parser.add_argument("--lake", required=True, help="the lake: a folder, or an fsspec URL")
    parser.add_argument("--run-id", help="name of the run (default: a new UUID)")
    parser.add_argument(
        "--error-file",
        type=Path,
        help="file to write the reason to if not everything was generated",
    )
    parser.add_argument(
        "--max-samples", type=_positive, help="maximum number of samples to generate now"
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
            _complain(str(error), reporter, arguments.error_file)
            return FAILED if isinstance(error, RunFailed) else BAD_INPUT
        return _closing(outcome, reporter, stop, arguments.error_file)


def _complain(what: str, reporter: Reporter, error_file: Path | None) -> None:
    """Report an error, and leave the message for the process that started the payload."""
    reporter.complain(f"error: {what}")
    if error_file is not None:
        with suppress(OSError):  # already reported
            error_file.write_text(what, encoding="utf-8")


def _closing(outcome: Outcome, reporter: Reporter, stop: Stop, error_file: Path | None) -> int:
    if stop.signal_number is not None and outcome.status == "stopped":
        reporter.say(
            f"stopped by signal {stop.signal_number}; {outcome.generated} samples are sealed,"
            f" {outcome.missing} are missing"
        )
        return 128 + stop.signal_number
    if outcome.away is not None:
        error = IsocostError(
            f"{outcome.away.what}; {outcome.generated} samples are sealed, {outcome.missing} are"
            " missing",
            where=outcome.away.where,
            remedy=outcome.away.remedy,
        )
        _complain(str(error), reporter, error_file)
        return FAILED
    if outcome.errors:
        said = (
            f"{outcome.errors} requests failed, the first: {outcome.first_error}. Run again to "
            f"request these samples"
        )
        _complain(said, reporter, error_file)
        return SOME_ERRORS
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
