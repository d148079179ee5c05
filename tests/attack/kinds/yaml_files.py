"""Hostile YAML where a person's file is read: sweeps, mappings, cards, settings, sidecars of the inbox."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import yaml

from tests.attack import values
from tests.attack.ground import ATTACKED, MAPPING, SETTLED, STATED, SWEEP, Ground, command, run
from tests.attack.outcomes import MUTE, REFUSED, SAME, TOUCHED, Broken, judged

WHAT = (
    "a hostile value, tag, alias bomb, key or byte in a sweep, a mapping, a card, the settings or a sidecar; a pipe, link, folder or device in "
    "its place; then `plan`, `import`, `refresh` or the sensor"
)
TARGETS = ("sweep", "mapping", "sidecar", "sweep", "card", "mapping", "settings", "sidecar")
SHARE, SAMPLE, LIMIT_S = 300, 8, 60
SETTINGS = {
    "replay": {
        "budgets": [1, 2, 3],
        "windows": [5],
        "ties": ["uniform"],
        "orders": ["exchangeable"],
        "tasks": {"t": {"budgets": [1, 2]}},
    }
}
SIDECAR = "format: generic\npath: good.csv\nmapping: m.yaml\nprovenance: {model: m, task: t, task_version: '1', prompt: p, sampling: '{}'}\n"
_NINE = ",".join
BOMB = "\n".join(
    [
        f"a0: &a0 [{_NINE(['x'] * 9)}]",
        *(f"a{n}: &a{n} [{_NINE([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)),
    ]
)
# Values that only YAML has; {canary} is a file that must not come to be.
TAGGED = (
    "!!python/object/apply:os.system ['touch {canary}']", "!!python/object/new:pathlib.Path ['{canary}']", "!!python/name:os.system", "!!binary x",
    "!!set {? a, ? b}", "!!omap [a: 1]", "!!timestamp 2024-13-45", "!!int 'x'", "!!float .", "*nowhere", "&a [*a]", ".nan", ".inf", "-.inf", "0x7f", "0b1",
    "0o17", "1_000", "1:30:00", "~", "yes", "off", "? [a]\n  : 1", "2024-01-01", "2024-02-30", "'\\0'", '"\\0"', '"\\ud800"', "|\n    x\n", "<<: x", "!x y",
    '"{canary}"', "../../../../../../tmp/x", "/proc/self/environ", "/dev/zero", "file:///etc/passwd", "{", "[", "'", "@x", "%x", "`x`", "- - -", "\t",
)  # fmt: skip
NO_FILES = ("fifo", "folder", "dangling", "loop", "zero", "proc", "large")


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    canary = place / "canary"
    path = place / {
        "card": "models.yaml",
        "settings": "isocost.yaml",
        "sidecar": "bad.import.yaml",
    }.get(target, "attacked.yaml")
    if target in ("card", "settings"):
        root = ground.copy(SETTLED, place)
        home = root / "cards" if target == "card" else root
        home.mkdir(exist_ok=True)
        path = home / path.name
    elif target == "sidecar":
        (place / "inbox").mkdir()
        path = place / "inbox" / path.name
    what = hostile_file(path, document(target), dice, canary)
    seen = (
        {one.name for one in place.parent.iterdir()}
        | {one.name for one in place.iterdir()}
        | {"data"}
    )
    result, said = {
        "sweep": _plan,
        "mapping": _import,
        "card": _refresh,
        "settings": _refresh,
        "sidecar": _tick,
    }[target](ground, place, path)
    if canary.exists():
        raise Broken(TOUCHED, f"code of the file ran: {what}")
    now = {one.name for one in place.parent.iterdir()} | {one.name for one in place.iterdir()}
    if odd := {one for one in now - seen if not one.startswith(("try-", "ground"))}:
        raise Broken(TOUCHED, f"{odd} came to be outside the data root: {what}")
    return result, f"{what}: {said[-300:]}"


def document(target: str) -> Any:
    """A sound file of a kind."""
    if target == "card":
        cards = yaml.safe_load(
            (ATTACKED / "isocost" / "costs" / "cards" / "models.yaml").read_text()
        )
        return {**cards, "models": cards["models"][:2]}
    if target == "settings":
        return SETTINGS
    return yaml.safe_load({"sweep": SWEEP, "mapping": MAPPING, "sidecar": SIDECAR}[target])


def hostile_file(path: Path, sound: Any, dice: random.Random, canary: Path) -> str:
    """Writes a file that is hostile in one way; which."""
    how = dice.choice(
        [
            "value",
            "value",
            "value",
            "tag",
            "tag",
            "tag",
            "key",
            "double",
            "bytes",
            "bytes",
            "bomb",
            "no file",
        ]
    )
    if how == "no file":
        return _no_file(path, dice.choice(NO_FILES))
    spot = dice.choice(list(values.places(sound)))
    shown = ".".join(map(str, spot))
    if how in ("value", "tag"):
        value = (
            dice.choice(values.HOSTILE)
            if how == "value"
            else dice.choice(TAGGED).replace("{canary}", str(canary))
        )
        path.write_bytes(values.spliced(sound, spot, value).encode("utf-8", "surrogatepass"))
        return f"{shown} is {value[:60]!r}"
    text = json.dumps(sound)
    if how == "bomb":
        path.write_text(
            BOMB + "\n" + yaml.safe_dump(sound).replace(": ", ": *a9 #", 1)
            if dice.random() < 0.5
            else BOMB + "\n" + yaml.safe_dump(sound)
        )
        return "an alias bomb"
    if how in ("key", "double"):
        keys = [key for key in map(str, spot) if not key.isdigit()] or [str(next(iter(sound)))]
        key = json.dumps(dice.choice(keys))
        new = dice.choice(
            [
                '"x"',
                '""',
                "1",
                "null",
                "true",
                '"__class__"',
                '"' + "k" * 5000 + '"',
                "1e308",
                "[a]",
                "{a: b}",
            ]
        )
        path.write_text(
            text.replace(key + ":", new + ":", 1)
            if how == "key"
            else text.replace(key + ":", f"{key}: 1, {key}:", 1)
        )
        return f"the key {key} is {new[:40] if how == 'key' else 'there twice'}"
    raw = bytearray(text.encode())
    at = dice.randrange(len(raw))
    raw[at : at + dice.choice([0, 1, 5])] = dice.choice(
        [
            b"\0",
            b"\xff\xfe",
            b"\xef\xbb\xbf",
            b"\xed\xa0\x80",
            b"\t",
            b"\r",
            b"---\n",
            b"[" * 3000,
            b"9" * 5000,
        ]
    )
    path.write_bytes(raw if dice.random() < 0.8 else raw[:at])
    return f"other bytes at {at}"


def _no_file(path: Path, kind: str) -> str:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        with path.open("wb") as handle:
            handle.truncate(1 << 33)
    else:
        path.symlink_to(
            {"dangling": "/nowhere", "loop": path, "zero": "/dev/zero", "proc": "/proc/self/mem"}[
                kind
            ]
        )
    return f"a {kind} in its place"


def _plan(ground: Ground, place: Path, path: Path) -> tuple[str, str]:
    from isocost.sweep import read_session

    said = command(place / "data", "plan", path)
    result = judged(said, names=(path.name,))
    for file in (place / "data" / "lake" / "sessions").glob("*.json"):
        read_session(file)
    return result, said.text


def _import(ground: Ground, place: Path, path: Path) -> tuple[str, str]:
    said = command(
        place / "data",
        "import",
        "generic",
        ground.home / "answers.jsonl",
        "--mapping",
        path,
        "--name",
        "x",
        *STATED,
    )
    return judged(said, names=(path.name, "answers.jsonl"), undisturbed_s=2), said.text


def _refresh(ground: Ground, place: Path, path: Path) -> tuple[str, str]:
    root = place / "data"
    said = command(root, "refresh")
    result = judged(said, names=(path.name,), undisturbed_s=ground.refresh_s)
    ground.must_be_part(root, SETTLED, said.tail(300))
    return result, said.text


def _tick(ground: Ground, place: Path, path: Path) -> tuple[str, str]:
    """One look of the sensor of the inbox, where a sound sidecar lies beside."""
    import dagster as dg

    from pipelines import sensors

    (path.parent / "m.yaml").write_text("columns: {problem: a, output: b}\n")
    (path.parent / "good.csv").write_text("a,b\n1,2\n")
    (path.parent / "agood.import.yaml").write_text(SIDECAR)
    os.environ["ISOCOST_INBOX"] = str(path.parent)
    found: list[Any] = []

    def look(_: list[str]) -> int:
        with dg.DagsterInstance.ephemeral() as instance:
            found.append(sensors.inbox(dg.build_sensor_context(instance=instance)))
        return 0

    said = run(look, [])
    judged(said, undisturbed_s=1)
    requests = {
        request.partition_key: request.tags
        for request in getattr(found[0], "run_requests", None) or []
    }
    if "import-agood" not in requests:
        raise Broken(MUTE, f"the sound sidecar is held up: {found[0]}")
    reported = str(requests)
    if len(requests) == 2:
        return SAME, reported
    if path.name not in reported + said.text:
        raise Broken(MUTE, f"the sidecar is neither asked for nor named: {reported[:500]}")
    return REFUSED, reported
