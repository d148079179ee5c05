"""Which wheels a kit carries: the vLLM for the machine's torch, and only what the machine lacks."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.accelerator.index import Index, NotFound, Release, stand_in
from benchmarks.accelerator.machine import described
from benchmarks.accelerator.pack import calls, own_requirements
from benchmarks.accelerator.wheels import cuda_of, fitting_vllm, lacking
from isocost.errors import IsocostError

TORCH = {"0.24.0": "2.11.0", "0.25.0": "2.11.0", "0.26.0": "2.12.0", "0.40.0": "2.11.0"}


class Fake:
    """An index with four releases of vLLM."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}

    def versions(self, name: str) -> list[str]:
        return list(TORCH)

    def requirements_of(self, release: Release) -> list[str]:
        wanted = TORCH[release.version]
        return ['torch<1; extra == "old"', f"torch=={wanted}", "numpy"]

    def resolve(self, wanted, given) -> list[Release]:
        self.given = dict(given)
        return [Release("vllm", "0.25.0"), Release("Msg_Spec", "1.0"), Release("numpy", "2.5.2")]


def listed(tmp_path: Path, text: str) -> Path:
    (tmp_path / "have.txt").write_text(text)
    return tmp_path / "have.txt"


@pytest.mark.parametrize("torch", ["2.11", "2.11.0", "2.11.0+cu130"])
def test_the_newest_supported_vllm_for_the_torch(torch: str) -> None:
    found = fitting_vllm(described("3.12", torch, None), Fake(), SpecifierSet(">=0.24,<0.34"))
    assert found == Release("vllm", "0.25.0")


def test_without_a_fitting_vllm_every_wish_is_in_the_message() -> None:
    with pytest.raises(IsocostError) as caught:
        fitting_vllm(described("3.12", "2.9", None), Fake(), SpecifierSet(">=0.25,<0.34"))
    assert "vLLM 0.26.0 wants torch==2.12.0; vLLM 0.25.0 wants torch==2.11.0" in str(caught.value)


def test_only_what_is_lacking_is_carried_and_torch_stays(tmp_path: Path) -> None:
    have = listed(tmp_path, "Package Version\n------- -------\ntorch 2.11.0+cu130\nnumpy 2.5.2\n")
    index = Fake()
    machine = described("3.12", None, have)
    found = lacking(["vllm"], machine, index)
    assert [r.name for r in found] == ["Msg_Spec", "vllm"]
    assert index.given == {"torch": "2.11.0+cu130"} and machine.cuda == 13
    assert [r.name for r in lacking(["vllm"], machine, index, ["msg-spec"])] == ["vllm"]


@pytest.mark.parametrize(
    "text",
    [
        "NumPy==2.5.1\nPy_Yaml\ntorch==2.11.0\n",
        "numpy   2.5.1\npy-yaml  @ file:///x\ntorch 2.11.0\n",
    ],
)
def test_lists_of_pip_and_bare_names(tmp_path: Path, text: str) -> None:
    machine = described("3.12", "2.11", listed(tmp_path, text))
    assert machine.packages == {"numpy": "2.5.1", "py-yaml": None, "torch": "2.11.0"}


def test_a_list_that_is_none_is_rejected_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match=r"have.txt line 2: '\*\*\*'"):
        described("3.12", None, listed(tmp_path, "numpy==1\n***\n"))


def test_the_cuda_of_a_wheel_also_across_blocks(tmp_path: Path) -> None:
    wheel = tmp_path / "vllm-1-cp38-abi3-linux_x86_64.whl"
    for before in (0, (1 << 20) - 6):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("vllm/_C.abi3.so", b"\0" * before + b"libcudart.so.13\0")
            archive.writestr("vllm/a.py", "libcudart.so.12")
        assert cuda_of(wheel) == 13
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("vllm/a.py", "libcudart.so.12")
    assert cuda_of(wheel) is None


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    stand_in(folder, name, f"{version}+x")
    (made,) = folder.glob(f"{name}-{version}+x*")
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {r}\n" for r in requires)
    made.unlink()
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.slow
def test_pip_resolves_around_what_is_given(tmp_path: Path, monkeypatch) -> None:
    """The newest helper excludes engine's pin, so an older one is taken; torch is not looked up."""
    place = tmp_path / "index"
    place.mkdir()
    wheel(place, "engine", "1.0", "torch==2.11.0", "helper>=1", "core==1.0")
    wheel(place, "helper", "1.0", "core>=1.0")
    wheel(place, "helper", "2.0", "core>=2.0")
    wheel(place, "core", "1.0")
    wheel(place, "core", "2.0")
    wheel(place, "torch", "2.11.0", "exists-on-no-index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    index = Index("3.12", tmp_path / "built")
    found = index.resolve(["engine"], {"torch": "2.11.0"})
    assert {(r.name, r.version) for r in found} == {
        ("engine", "1.0"),
        ("helper", "1.0"),
        ("core", "1.0"),
    }
    assert "torch==2.11.0" in index.requirements_of(Release("engine", "1.0"))
    index.download(found, tmp_path / "wheels")
    assert len(list((tmp_path / "wheels").glob("*.whl"))) == 3
    with pytest.raises(NotFound, match="absent"):
        index.resolve(["absent"], {})


def source(place: Path, name: str, setup: str) -> None:
    """A source distribution; setuptools is all that building it takes."""
    folder = place.parent / f"{name}-1.0"
    folder.mkdir()
    (folder / f"{name}.py").write_text("HERE = True\n")
    (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "setup.py").write_text(
        f"from setuptools import setup\nsetup(name='{name}', version='1.0', {setup})\n"
    )
    with tarfile.open(place / f"{name}-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)


@pytest.mark.slow
def test_what_has_no_wheel_is_built_if_it_is_pure_and_named_if_not(tmp_path, monkeypatch) -> None:
    """pip by itself rejects a source distribution on behalf of another machine."""
    place = tmp_path / "index"
    place.mkdir()
    wheel(place, "engine", "1.0", "plain==1.0", "compiled==1.0")
    source(place, "plain", "py_modules=['plain']")
    # A wheel for one system only, without a compiler.
    source(place, "compiled", "py_modules=['compiled'], has_ext_modules=lambda: True")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way of saying yes
    index = Index("3.12", tmp_path / "built")
    found = index.resolve(["engine"], {})
    assert {r.name for r in found} == {"engine", "plain"}
    assert [r.name for r in index.only_source] == ["compiled"]
    index.download(found, tmp_path / "wheels")
    names = {file.name for file in (tmp_path / "wheels").iterdir()}
    assert names == {"engine-1.0-py3-none-any.whl", "plain-1.0-py3-none-any.whl"}


def test_isocosts_own_needs_are_named() -> None:
    plain, vllm = own_requirements()
    names = {Requirement(text).name for text in plain}
    assert {"polars", "pyarrow", "reasoning-gym"} <= names and vllm.specifier


def test_one_call_per_piece() -> None:
    lines = calls([{"name": "kit-001"}, {"name": "kit-002"}], Path("kit/pieces"))
    assert sum("unpack.py . --into" in line for line in lines) == 2
    assert any("call 2 of 2 carries" in line and "kit-002" in line for line in lines)
