"""Repositories come from the hub once, and every failure says what to do."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hub_repos import TOKEN, parquet, sums

from isocost.hub import HubFault, repository_at, resolve
from isocost.hub.place import current_place
from isocost.hub.rows import rows_of
from isocost.hub.splits import data_files, matching

pytestmark = pytest.mark.slow


def test_a_revision_is_resolved_to_its_commit_and_files_are_fetched_once(hub):
    repository = resolve("dataset", "org/sums", None)
    assert repository.commit == hub.repos["dataset", "org/sums"].refs["main"]
    file = repository.fetch("main/test-00000-of-00002.parquet")
    assert list(next(rows_of(file, file.name))[1]) == ["question", "answer", "level"]
    assert file.is_relative_to(repository.folder)
    assert repository.sizes()["README.md"] > 0
    hub.requests.clear()
    known = repository_at("dataset", "org/sums", repository.commit)
    assert known.fetch("main/test-00000-of-00002.parquet") == file
    assert known.card()["license"] == "mit"
    assert hub.requests == []


@pytest.mark.parametrize("name", ["org/sums", "org/quiz"])  # with and without a card
def test_a_commit_is_listed_once(hub, name):
    repository = resolve("dataset", name, None)
    hub.requests.clear()
    repository.sizes()
    assert len(hub.requests) == len(set(hub.requests)) > 1
    hub.requests.clear()
    assert set(repository.sizes()) == set(hub.repos["dataset", name].commits[repository.commit])
    repository.card()
    assert hub.requests == []


def test_a_moved_branch_is_another_commit_and_a_commit_stays(hub):
    repo = hub.repos["dataset", "org/sums"]
    before = resolve("dataset", "org/sums", "main").commit
    repo.refs["v1"] = before
    after = repo.push({"main/test-0.parquet": parquet(sums(7))})
    assert before != after == resolve("dataset", "org/sums", "main").commit
    assert resolve("dataset", "org/sums", "v1").commit == before
    assert resolve("dataset", "org/sums", before).sizes().keys() >= {"README.md"}


def test_offline_the_cache_is_used_and_nothing_else(hub, monkeypatch):
    online = resolve("dataset", "org/sums", "main")
    online.fetch("main/test-00000-of-00002.parquet")
    online.sizes()
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.repos["dataset", "org/sums"].push({"new.parquet": b""})
    offline = resolve("dataset", "org/sums", "main")
    assert offline.commit == online.commit
    assert offline.sizes() == online.sizes()
    offline.fetch("main/test-00000-of-00002.parquet")
    for ask in (
        lambda: offline.fetch("hard/test-00000-of-00001.parquet"),
        lambda: resolve("dataset", "org/quiz", "main"),
    ):
        with pytest.raises(HubFault, match=r"HF_HUB_OFFLINE forbids downloads\. Unset .*`hf down"):
            ask()
    assert hub.requests == []


def test_a_listing_that_was_not_kept_is_what_the_cache_holds(hub, monkeypatch):
    online = resolve("dataset", "org/sums", "main")
    online.fetch("main/test-00000-of-00002.parquet")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert list(resolve("dataset", "org/sums", "main").sizes()) == [
        "main/test-00000-of-00002.parquet"
    ]


def test_a_broken_download_is_resumed_where_it_broke(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 5_000)
    content = os.urandom(300_000)
    hub.add("model", "org/big", {"model.safetensors": content, "config.json": b"{}"})
    hub.breaks = 2
    file = resolve("model", "org/big", None).fetch("model.safetensors")
    assert file.read_bytes() == content
    ranges = [asked for _, path, asked in hub.requests if path.startswith("/cdn/")]
    assert ranges[-2:] == ["bytes=150000-", "bytes=225000-"]


def test_a_killed_download_leaves_nothing_that_looks_whole(hub, monkeypatch):
    content = os.urandom(50_000)
    hub.add("model", "org/big", {"model.safetensors": content})
    repository = resolve("model", "org/big", None)

    def killed(*_given, **_named):
        raise KeyboardInterrupt

    import huggingface_hub.file_download as library

    with monkeypatch.context() as patched:
        patched.setattr(library, "_chmod_and_move", killed)
        with pytest.raises(KeyboardInterrupt):
            repository.fetch("model.safetensors")
    assert repository.fetch("model.safetensors").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "revision", "token", "about", "says"),
    [
        ("org/sum", None, None, "repository", "there is no data set org/sum at .* set HF_TOKEN"),
        ("org/sum", None, TOKEN, "repository", "there is no data set .* needs access"),
        ("a/b/c", None, None, "repository", "'a/b/c' is not the id of a data set. An id is OWNER"),
        ("org/sums", "v9", None, "revision", "has no revision v9. Give a branch, a tag or a com"),
        ("org/sums", "0" * 40, None, "revision", "has no revision 0000"),
        ("org/secret", None, None, "repository", "is gated, and no token is set. Accept its cond"),
        ("org/secret", None, TOKEN, "repository", "is gated, and the account of the token .* Requ"),
        ("org/sums", None, "hf_WrongWrongWrong", "repository", "rejects the token. Set HF_TOKEN"),
    ],
)
def test_what_is_wrong_and_what_to_do(hub, monkeypatch, name, revision, token, about, says):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubFault, match=says) as found:
        resolve("dataset", name, revision).fetch("test.jsonl")
    assert found.value.about == about
    assert token is None or token not in str(found.value)


def test_a_gated_repository_opens_with_a_token_that_has_access(hub, monkeypatch):
    hub.tokens[TOKEN].add("org/secret")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    file = resolve("dataset", "org/secret", None).fetch("test.jsonl")
    assert next(rows_of(file, "test.jsonl"))[1]["right"] == 1


def test_an_unreachable_hub_is_an_error_and_no_older_commit_is_taken(hub, monkeypatch):
    resolve("dataset", "org/sums", "main")
    monkeypatch.setenv("HF_ENDPOINT", "http://user:hunter2hunter2@127.0.0.1:9")
    with pytest.raises(HubFault, match=r"cannot be fetched from http://127\.0\.0\.1:9 ") as found:
        resolve("dataset", "org/sums", "main")
    assert "hunter2" not in str(found.value)
    assert "HF_HUB_OFFLINE=1" in found.value.remedy


def test_the_token_is_sent_and_never_shown(hub, monkeypatch, tmp_path, caplog, capfd):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with caplog.at_level(logging.DEBUG):
        resolve("dataset", "org/sums", None).fetch("README.md")
    assert f"Bearer {TOKEN}" in hub.authorizations
    assert TOKEN not in repr(current_place())
    out, err = capfd.readouterr()
    assert TOKEN not in caplog.text + out + err
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]


def test_a_stored_token_is_used(hub, tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(f"{TOKEN}\n")
    resolve("dataset", "org/sums", None)
    assert f"Bearer {TOKEN}" in hub.authorizations


FILES = ["README.md", "data/test-0.parquet", "data/test-1.parquet", "data/train-0.parquet", "a.py"]


def chosen(files, card=None, subset=None, split=None):
    return data_files("o/d", files, card or {}, subset=subset, split=split)


def test_files_of_a_split_by_their_names():
    assert chosen(FILES, split="test") == FILES[1:3]
    assert chosen(["dev.jsonl", "latest.jsonl"], split="validation") == ["dev.jsonl"]
    assert chosen(["all.csv"]) == chosen(["all.csv"], split="train") == ["all.csv"]
    folders = ["x/test/0.parquet", "y/test/0.parquet"]
    assert chosen(folders, subset="y", split="test") == folders[1:]


def test_files_of_a_split_by_the_card():
    configs = [
        {"config_name": "a", "data_files": "a.csv"},
        {"config_name": "b", "data_dir": "sub", "data_files": {"test": ["t*.csv"]}},
        {"config_name": "c", "data_files": [{"split": "test", "path": ["x.csv", "y.csv"]}]},
    ]
    files = ["a.csv", "sub/t1.csv", "sub/t2.csv", "x.csv", "y.csv"]
    card = {"configs": configs}
    assert chosen(files, card, "a") == ["a.csv"]
    assert chosen(files, card, "b", "test") == ["sub/t1.csv", "sub/t2.csv"]
    assert chosen(files, card, "c", "test") == ["x.csv", "y.csv"]
    marked = {"configs": [configs[0], {**configs[2], "default": True}]}
    assert chosen(files, marked, None, "test") == ["x.csv", "y.csv"]


@pytest.mark.parametrize(
    ("files", "card", "subset", "split", "says"),
    [
        (["a.py"], {}, None, None, "no files of a kind that can be read .* refs/convert/parquet"),
        (FILES, {}, None, "tset", "has no split tset. Did you mean test"),
        (FILES, {}, None, None, "has several splits, and none is named. Known splits: test, train"),
        (FILES, {}, "dat", "test", "has no subset dat: no folder .* Did you mean data"),
        (["test.csv", "test.parquet"], {}, None, "test", r"several kinds \(.csv, .parquet\)"),
        (
            ["a.csv"],
            {"configs": [{"config_name": "x"}, {"config_name": "y"}]},
            None,
            None,
            "several subsets, and none is named. Known subsets: x, y",
        ),
        (
            ["a.csv"],
            {"configs": [{"config_name": "x", "data_files": "b*.csv"}]},
            None,
            None,
            "no file for split train, although its card lists it",
        ),
    ],
)
def test_no_split_is_guessed(files, card, subset, split, says):
    with pytest.raises(HubFault, match=says):
        chosen(files, card, subset, split)


def test_a_pattern_names_files():
    assert matching("o/d", FILES, "data/test-*.parquet") == FILES[1:3]
    assert matching("o/d", FILES, "**/*.parquet") == FILES[1:4]
    with pytest.raises(HubFault, match="no file of data set o/d matches 'data/tst-"):
        matching("o/d", FILES, "data/tst-*.parquet")
    with pytest.raises(HubFault, match=r"a\.py of data set o/d is not of a kind that can be read"):
        matching("o/d", FILES, "a.py")


def test_every_kind_gives_the_same_rows(tmp_path: Path):
    import gzip
    import json

    rows = [{"q": 'a,\n"b" é', "n": "1"}, {"q": "", "n": "2"}]
    table = 'q,n\n"a,\n""b"" é",1\n,2\n'
    made = {
        "x.parquet": parquet(rows),
        "x.jsonl": b"\n".join(json.dumps(row).encode() for row in rows),
        "x.json": b" " + json.dumps(rows).encode(),
        "x.csv": table.encode(),
        "x.tsv": table.replace("a,", "a\0").replace(",", "\t").replace("\0", ",").encode(),
        "x.jsonl.gz": gzip.compress("\n".join(json.dumps(row) for row in rows).encode()),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
        assert [row for _, row in rows_of(tmp_path / name, name)] == rows, name


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [
        ("x.parquet", parquet([{"q": "a", "n": "1"}, {"q": "b", "n": "2"}]), ["n"]),
        ("x.csv", b"q,n\na,1\nb,2\n", ["n"]),
        ("x.jsonl", b'{"q": "a", "n": "1"}\n{"n": "2"}\n', ["q", "n"]),
    ],
)
def test_columns_are_chosen_once_from_those_of_the_file(tmp_path, name, content, kept):
    (tmp_path / name).write_bytes(content)
    seen: list[list[str]] = []

    def choose(known: list[str]) -> list[str]:
        seen.append(known)
        return ["n"]

    read = list(rows_of(tmp_path / name, name, choose))
    assert seen == [["q", "n"]]
    assert list(read[0][1]) == kept
    assert [(number, row["n"]) for number, row in read] == [(1, "1"), (2, "2")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", b'{"a": 1}\n{"a": \n', "x.jsonl: line 2 is not JSON"),
        ("x.jsonl", b"[1]", "entry 1 is not a JSON object"),
        ("x.json", b"[{]", "is not JSON"),
        ("x.jsonl", b'{"a": "\xff"}', "is not UTF-8"),
        ("x.parquet", b"PAR1", "is not Parquet"),
        ("x.csv", b"a,b\n1,2,3\n", "is not CSV"),
        ("x.jsonl.gz", b"no", "is not UTF-8 text"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HubFault, match=says):
        list(rows_of(tmp_path / name, name))


def test_a_repository_without_a_card_is_read_without_a_word(hub, caplog, capfd):
    assert resolve("dataset", "org/quiz", None).card() == {}
    out, err = capfd.readouterr()
    assert (caplog.text, out, err) == ("", "", "")
