"""A hostile value in any field of any file of any format that is imported."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import sys
import tempfile
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from tests.attack import values
from tests.attack.ground import HERE, SETTLED, Ground, command
from tests.attack.outcomes import SAME, WRONG, Broken, Impossible, Said, judged

sys.path.append(str(HERE / "tests" / "unit" / "importers"))
if importlib.util.find_spec("isocost.importers") is None:  # where the importers were before
    sys.modules["isocost.importers"] = importlib.import_module("isocost.bank.importers")
import importer_samples

WHAT = "a number, text, list or key that no field should hold, in any field of a file of each format; then `import`, and `refresh` after some"
TARGETS = tuple(importer_samples.SAMPLES)
SHARE, SAMPLE, LIMIT_S = 300, 16, 90
STATED = {"--model": "m", "--task": "t", "--task-version": "1", "--prompt": "p", "--sampling": "{}"}
SAME_OF_OTHERS = ["correct", "score", "answer", "output_tokens", "prompt_tokens"]
# What a sample can be at most, in core_samples: more tokens, seconds or joules than these no measurement has.
MOST = {
    "output_tokens": 1e12, "prompt_tokens": 1e12, "cached_tokens": 1e12, "latency_s": 1e30, "ttft_s": 1e30, "energy_j": 1e30, "cost_usd": 1e30,
    "flops": 1e40, "score": 1e30,
}  # fmt: skip


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    stated_for(ground, target)
    source = importer_samples.SAMPLES[target](place / "in")
    path = dice.choice(sorted(one for one in (place / "in").rglob("*") if one.is_file()))
    hostile = dice.choice(values.HOSTILE)
    what, dropped = damaged(path, hostile, dice)
    what = f"{what} of {path.name} is {hostile[:40]}"
    is_light = dice.randrange(24) != 0
    root = place / "data" if is_light else ground.copy(SETTLED, place)
    said = brought(ground, root, target, source, place)
    names = (path.name, source.name, str(place / "in"), target)
    result = judged(said, names=names, undisturbed_s=3)
    if said.code == 0:
        samples = core_samples(root)
        within_range(samples, what)
        if dropped is not None:
            others_stand(ground, samples, target, dropped, place, what)
    if not is_light:
        after = command(root, "refresh")
        result = max(
            (result, judged(after, undisturbed_s=ground.refresh_s)), key=lambda one: one != SAME
        )
        if after.code == 0 and said.code != 0:
            ground.must_be(root, SETTLED, what)
        settled_stand(ground, root, what)
    return result, f"{what}; {said.tail(200)}"


def stated_for(ground: Ground, target: str) -> list[str]:
    """Arguments with which the undisturbed sample of a format is imported.

    They state what the source does not say itself; found once, and kept beside the ground.
    """
    kept = ground.home / f"stated-{target}.json"
    if not kept.exists():
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(_found_by_asking(target)))
        fresh.replace(kept)
    found = json.loads(kept.read_text())
    if isinstance(found, str):
        raise Impossible(f"this version does not import the sample of {target}: {found}")
    return found


def _found_by_asking(target: str) -> list[str] | str:
    """Leaves out what an import says that its source knows; or what it says in the end."""
    left = dict(STATED)
    with tempfile.TemporaryDirectory() as folder:
        source = importer_samples.SAMPLES[target](Path(folder) / "in")
        for n in range(len(STATED) + 1):
            given = [part for item in left.items() for part in item] + _mapping(
                target, Path(folder)
            )
            said = command(Path(folder) / str(n), "import", target, source, "--name", "x", *given)
            known = re.search(r"Leave ([a-z_]+) out", said.text)
            if said.code == 0 or known is None:
                break
            left.pop("--" + known[1].replace("_", "-"), None)
    return [part for item in left.items() for part in item] if said.code == 0 else said.tail(200)


def _mapping(target: str, place: Path) -> list[str]:
    if target != "generic":
        return []
    path = place / "mapping.yaml"
    path.write_text(json.dumps(importer_samples.GENERIC_MAPPING))
    return ["--mapping", str(path)]


def brought(ground: Ground, root: Path, target: str, source: Path, place: Path) -> Said:
    """Imports a sample with everything stated that it does not say itself."""
    return command(
        root,
        "import",
        target,
        source,
        "--name",
        "attacked",
        *stated_for(ground, target),
        *_mapping(target, place),
    )


def damaged(path: Path, hostile: str, dice: random.Random) -> tuple[str, str | None]:
    """Puts a hostile value into a file.

    Returns:
        Which place, and the text of the file without the record that the place belongs to; None where it belongs to all.
    """
    if path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        n = dice.randrange(len(lines))
        spot = dice.choice(list(values.places(json.loads(lines[n]))))
        rest = [line for k, line in enumerate(lines) if k != n]
        lines[n] = values.spliced(json.loads(lines[n]), spot, hostile)
        _write(path, "\n".join(lines) + "\n")
        return f"line {n + 1}, {_shown(spot)}", "\n".join(rest) + "\n" if rest else None
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        spot = dice.choice(list(values.places(document)))
        record = values.record_of(document, spot)
        _write(path, values.spliced(document, spot, hostile))
        return _shown(spot), None if record is None else json.dumps(
            values.without(document, record)
        )
    if path.suffix == ".eval":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name).decode() for name in archive.namelist()}
        name = dice.choice(sorted(members))
        spot = dice.choice(list(values.places(json.loads(members[name]))))
        members[name] = values.spliced(json.loads(members[name]), spot, hostile)
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in members.items():
                archive.writestr(member, text)
        return f"{name}, {_shown(spot)}", None
    text = path.read_text()
    _write(
        path,
        values.cell(text, hostile, dice)
        if path.suffix == ".csv"
        else values.word(text, hostile, dice),
    )
    return "a cell", None


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def _shown(spot: tuple) -> str:
    return ".".join(map(str, spot))


def core_samples(root: Path) -> pl.DataFrame:
    """What became of the import."""
    files = sorted((root / "core" / "core_samples").glob("session=import-attacked*"))
    return (
        pl.concat([pl.read_parquet(file) for file in files], how="diagonal")
        if files
        else pl.DataFrame()
    )


def within_range(samples: pl.DataFrame, what: str) -> None:
    """Fails where a number of a sample cannot be one."""
    for name, most in MOST.items():
        if name not in samples.columns:
            continue
        column = samples[name].cast(pl.Float64, strict=False).drop_nulls()
        if (
            column.is_nan().any()
            or (column.abs() > most).any()
            or (name != "score" and (column < 0).any())
        ):
            raise Broken(WRONG, f"{what}: {name} is {column.to_list()[:4]}")


def numbers(samples: pl.DataFrame) -> Counter:
    """Samples by what they say of right and wrong and of tokens."""
    names = [name for name in SAME_OF_OTHERS if name in samples.columns]
    return Counter(map(repr, samples.select(names).rows())) if names else Counter()


def others_stand(
    ground: Ground, samples: pl.DataFrame, target: str, dropped: str, place: Path, what: str
) -> None:
    """Fails where records that were not attacked have other numbers than in a file without the attacked one."""
    others = numbers_without(ground, target, dropped, place)
    if others is None:
        return
    if missing := others - numbers(samples):
        raise Broken(
            WRONG,
            f"{what}: other records changed, e.g. {next(iter(missing))} is not in {list(numbers(samples))[:4]}",
        )


@cache
def _remembered(_target: str, _dropped: str | None) -> dict[str, Any]:
    return {}


def numbers_without(ground: Ground, target: str, dropped: str, place: Path) -> Counter | None:
    """Numbers that stand whether the attacked record is there or not.

    They are those of the sound file and of one without that record; None where that one cannot be
    imported.
    """
    memory, sound = _remembered(target, dropped), _remembered(target, None)
    if "numbers" not in sound:
        source = importer_samples.SAMPLES[target](place / "sound" / "in")
        brought(ground, place / "sound" / "data", target, source, place)
        sound["numbers"] = numbers(core_samples(place / "sound" / "data"))
    if "numbers" not in memory:
        apart = place / "apart"
        source = importer_samples.SAMPLES[target](apart / "in")
        files = [one.relative_to(apart) for one in (apart / "in").rglob("*") if one.is_file()]
        changed = [one for one in files if (place / one).read_bytes() != (apart / one).read_bytes()]
        if not changed:  # the hostile value is the one that was there
            return sound["numbers"]
        _write(apart / changed[0], dropped)
        said = brought(ground, apart / "data", target, source, place)
        rest = numbers(core_samples(apart / "data"))
        memory["numbers"] = rest & sound["numbers"] if said.code == 0 else None
    return memory["numbers"]


def settled_stand(ground: Ground, root: Path, what: str) -> None:
    """Fails where samples that were there before are not there any more, or have other numbers."""
    keys = ["sample_id", "correct", "output_tokens", "answer", "latency_s"]
    before = pl.read_parquet(ground.home / SETTLED / "exports" / "core_samples.parquet")
    after = pl.read_parquet(root / "exports" / "core_samples.parquet")
    if lacking := before.join(after, on=keys, how="anti", nulls_equal=True).height:
        raise Broken(WRONG, f"{what}: {lacking} samples of other sources are gone or changed")
