"""``isocost meter``: a sweep with clients, or a client of one's own, without Dagster.

Lives here: the command's arguments, the summary that it prints, and the file of calls. Not here:
the meter (``isocost.meter``), the payload, which generates sweeps in processes of its own. What is
slow to import is imported where it is used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isocost.errors import IsocostError

if TYPE_CHECKING:
    from isocost.meter.order import MeteredCall

_BAD = ("error", "abort")
_MOST_CALLS, _MOST_TOKENS = 10**9, 10**12
_INTERRUPTED, _TICK_S = 130, 0.5
_COLUMNS = (
    *("call_index", "wave", "role", "request_hash", "output_text", "finish_reason"),
    *("error", "prompt_tokens", "cached_tokens", "output_tokens", "arrival_unix_s"),
    *("queued_s", "scheduled_s", "first_token_s", "last_token_s"),
)
_EXAMPLE = "E.g. `isocost meter --base-url http://127.0.0.1:8000/v1 -- python client.py`."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="SWEEP | -- COMMAND",
        help="a sweep file to generate; with --base-url, a client to run (none: until Ctrl-C)",
    )
    parser.add_argument("--base-url", help="meter calls to this server, up to and including /v1")
    parser.add_argument("--model", help="the model's name there (default: the only one it serves)")
    parser.add_argument(
        "--key-variable", metavar="NAME", help="environment variable with the server's key"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: loopback only)"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any)")
    parser.add_argument("--calls", type=Path, metavar="FILE", help="Parquet file for the calls")


def run_command(arguments: argparse.Namespace) -> int:
    """Run `isocost meter`; return its exit code."""
    if arguments.base_url is None:
        given = [name for name in ("model", "key_variable", "calls") if getattr(arguments, name)]
        if len(arguments.what) != 1 or given:
            raise IsocostError(
                f"--{given[0].replace('_', '-')} is for a server that is given with --base-url"
                if given
                else "one sweep file is needed, or a server with --base-url",
                where="isocost meter",
                remedy=_EXAMPLE,
            )
        return _sweep(arguments.data.resolve(), Path(arguments.what[0]))
    return _client(arguments)


def _sweep(root: Path, path: Path) -> int:
    """Generate the sessions of a sweep, one after another; the worst exit code."""
    from isocost.intake.plan import plan_sweep
    from isocost.store import Store

    store = Store(root)
    worst = 0
    for session_id in plan_sweep(store, path):
        words = [sys.executable, "-m", "isocost.generate"]
        words += ["--session", str(store.session_file(session_id)), "--lake", str(store.lake)]
        code, is_interrupted = _in_foreground(words)
        if is_interrupted:
            raise KeyboardInterrupt
        worst = max(worst, code)
    if worst == 0:
        print(f"everything is banked in {store.lake}; `isocost refresh` derives the tables")
    return worst


def _client(arguments: argparse.Namespace) -> int:
    """Run a client, or wait for clients, and say what they called."""
    from isocost.engines.openai_server import Server
    from isocost.engines.protocol import Address
    from isocost.meter.account import Limits
    from isocost.meter.gateway import Gateway
    from isocost.meter.order import metered_calls

    server = Server(arguments.base_url, arguments.key_variable, timeout_s=30)
    server.check_key()
    served = server.models()
    model = arguments.model or _only(served, server.url)
    context = next((m.get("max_model_len") for m in served if m.get("id") == model), None)
    address = Address(
        url=server.url,
        model=model,
        key=server.key(),
        context=context if type(context) is int else None,
    )
    with Gateway(address, host=arguments.host, port=arguments.port) as gateway:
        account = gateway.accounts.open(Limits(_MOST_CALLS, _MOST_TOKENS))
        base_url = gateway.address(account)
        print(f"metering {model} at {base_url}", flush=True)
        begun = time.monotonic()
        code = _run(arguments.what, base_url, model, arguments.key_variable)
        seconds = time.monotonic() - begun
        exchanges = gateway.accounts.close(account)
    calls = _rows(metered_calls(exchanges, logprobs_k=0, context=address.context, key=address.key))
    print(summary(calls, len(exchanges), seconds))
    for reason in dict.fromkeys(account.refused):
        print(f"refused: {reason}")
    if arguments.calls is not None:
        _write(arguments.calls, calls)
    return code


def _only(served: Sequence[dict[str, Any]], where: str) -> str:
    names = sorted(str(found.get("id")) for found in served)
    if len(names) != 1:
        what = f"serves {', '.join(names)[:500]}" if names else "does not list its models"
        raise IsocostError(f"the server {what}", where=where, remedy="Name one with --model.")
    return names[0]


def _run(words: Sequence[str], base_url: str, model: str, key_variable: str | None) -> int:
    """The client's exit code; without a client, wait for Ctrl-C."""
    if not words:
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return 0
    from isocost.meter.clients import Question, environment

    hidden = [key_variable] if key_variable else []
    variables = environment(Question({}, base_url, model, {}), hidden)
    try:
        code, is_interrupted = _in_foreground(words, variables)
    except OSError as error:
        raise IsocostError(
            f"cannot be started: {error.strerror}", where=words[0], remedy="Correct the command."
        ) from None
    if is_interrupted:
        return _INTERRUPTED
    return code if code >= 0 else 128 - code


def _in_foreground(
    words: Sequence[str], variables: Mapping[str, str] | None = None
) -> tuple[int, bool]:
    """A command's exit code, and whether Ctrl-C was pressed meanwhile.

    A terminal sends Ctrl-C to the command as well. It may have work to finish, and what it has
    called is to be summed up, so its end is waited for; pressed again, Ctrl-C kills it.
    """
    with subprocess.Popen(words, env=variables) as process:
        presses = 0
        while True:
            try:
                return process.wait(_TICK_S), presses > 0
            except subprocess.TimeoutExpired:
                continue
            except KeyboardInterrupt:
                presses += 1
                if presses > 1:
                    process.kill()


def _rows(calls: Sequence[MeteredCall]) -> list[dict[str, Any]]:
    """A row per call with the names and units of raw_generations, validated like its rows."""
    from isocost.meter.order import FOLLOW_UP
    from isocost.payload.judgement import judged

    rows = [
        judged(
            {
                **{name: getattr(call.completion, name, None) for name in _COLUMNS},
                "call_index": index,
                "wave": call.wave,
                "role": "solve" if call.parent is None else FOLLOW_UP,
                "request_hash": call.asked.request_hash,
                "output_text": call.completion.text,
            }
        )
        | {"parent_call_index": call.parent}
        for index, call in enumerate(calls)
    ]
    return [{name: row[name] for name in (*_COLUMNS, "parent_call_index")} for row in rows]


def summary(calls: Sequence[dict[str, Any]], requests: int, seconds: float) -> str:
    """What was called, in lines, from a row per call."""
    good = [call for call in calls if call["finish_reason"] not in _BAD]
    lines = [f"{requests} requests, {len(calls)} calls in {seconds:.1f} s"]
    for name, what in (
        ("prompt_tokens", "prompt tokens"),
        ("cached_tokens", "of them cached"),
        ("output_tokens", "generated tokens"),
    ):
        known = [value for found in good if (value := found[name]) is not None]
        lacking = len(good) - len(known)
        note = f" (unknown for {lacking} calls)" if lacking else ""
        lines.append(f"  {what:<18}{sum(known):>10}{note}" if known else f"  {what:<18}   unknown")
    lines.append(
        f"  {'follow-up calls':<18}{sum(c['parent_call_index'] is not None for c in calls):>10}"
    )
    failed = [call for call in calls if call["finish_reason"] in _BAD]
    if failed:
        lines.append(f"  {'failed calls':<18}{len(failed):>10}, the first: {failed[0]['error']}")
    return "\n".join(lines)


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import polars as pl

    from isocost import atomic
    from isocost.schema.registry import table
    from isocost.schema.types import polars_type

    types = {c.name: polars_type(c) for c in table("raw_generations").columns}
    schema = {name: types[name] for name in _COLUMNS} | {"parent_call_index": pl.Int32()}
    data = pl.DataFrame(rows, schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as temporary:
        data.write_parquet(temporary)
    print(f"calls in {os.fspath(path)}")
