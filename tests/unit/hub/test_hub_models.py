"""Models named by their id on the Hub: commit, card, checks before an engine, and weights once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import adapters
import pytest
from hub_repos import TOKEN

from isocost.costs.model_cards import ModelCard
from isocost.errors import IsocostError
from isocost.intake import card_book, plan_sweep
from isocost.intake.preflight import preflight
from isocost.payload.progress import Reporter
from isocost.payload.weights import fetch_weights
from isocost.payload.work import engine_settings
from isocost.store import Store
from isocost.sweep import expand, is_hub_id, plan_sessions, read_session, sweep_from_text

pytestmark = pytest.mark.slow

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": True,
}
SWEEP = """sweep: hub-models
models:
  - name: tiny
    path: {path}
    dtype: {dtype}
{more}engine: {{max_model_len: {length}, kv_cache_bytes: "64 MiB", enforce_eager: true}}
tasks:
  - {{name: t, source: inline, dataset: t, n_problems: 1, verifier: numeric,
     config: {{problems: [{{question: q, reference: 1}}]}}}}
prompts:
  - {{name: p, template: "{{question}}"}}
grid: {{temperature: 0.5, max_tokens: 8}}
samples_per_problem: 2
"""


def model(**changes: bytes | None) -> dict[str, bytes]:
    files = {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": b"{}",
        "model-00001-of-00002.safetensors": os.urandom(40_000),
        "model-00002-of-00002.safetensors": os.urandom(3_000),
        "model.safetensors.index.json": b"{}",
        "pytorch_model.bin": os.urandom(50_000),
        "original/params.json": b"{}",
        "README.md": b"# tiny",
    }
    return {name: data for name, data in {**files, **changes}.items() if data is not None}


@pytest.fixture
def sweep(hub, tmp_path: Path):
    """Write the sweep, with a repository org/tiny on the hub."""
    hub.add("model", "org/tiny", model())
    hub.add("model", "org/closed", model(), is_gated=True)
    hub.add("model", "org/empty", model(**{n: None for n in model() if "model" in n}))

    def write(path="org/tiny", more="", length=256, dtype="bfloat16") -> Path:
        file = tmp_path / "sweep.yaml"
        file.write_text(SWEEP.format(path=path, more=more, length=length, dtype=dtype))
        return file

    return write


def test_a_commit_is_planned_with_what_was_asked_and_no_weights_are_fetched(hub, sweep, tmp_path):
    commit = hub.repos["model", "org/tiny"].refs["main"]
    store = Store(tmp_path / "data")
    (session_id,) = plan_sweep(store, sweep(more="    revision: main\n"))
    session = read_session(store.session_file(session_id))
    found = session.engine.model
    assert (found.path, found.revision, found.commit) == ("org/tiny", "main", commit)
    assert not [
        path for _, path, _ in hub.requests if "safetensors" in path and "index" not in path
    ]
    settings = engine_settings(session, 0)
    assert settings.model_path.endswith(f"models--org--tiny/snapshots/{commit}")


def test_points_depend_on_the_commit_and_not_on_its_name(hub, sweep):
    repo = hub.repos["model", "org/tiny"]
    repo.refs["v1"] = first = repo.refs["main"]
    asked = ("", "    revision: main\n", "    revision: v1\n", f"    revision: {first}\n")
    sessions = [plan_sessions(preflight(sweep(more=more)))[0] for more in asked]
    assert len({s.session_id for s in sessions}) == 1
    assert len({s.points[0].point.point_id for s in sessions}) == 1
    repo.push(model())
    (moved,) = plan_sessions(preflight(sweep()))
    assert moved.session_id != sessions[0].session_id
    assert moved.points[0].point.point_id != sessions[0].points[0].point.point_id
    (pinned,) = plan_sessions(preflight(sweep(more="    revision: v1\n")))
    assert pinned.points[0].point.point_id == sessions[0].points[0].point.point_id


def test_ids_and_files_of_local_models_are_as_before(hub, tmp_path, monkeypatch):
    text = SWEEP.format(path="cache:tiny", more="    revision: r\n", length=256, dtype="float32")
    (session,) = plan_sessions(sweep_from_text(text))
    assert session.session_id == "hub-models-tiny-vllm-bedcc2a650"
    assert session.points[0].point.point_id == "pt-a018999c7be5fd73"
    assert "commit" not in session.model_dump_json()
    (tmp_path / "org" / "tiny").mkdir(parents=True)
    assert is_hub_id("org/tiny")
    monkeypatch.chdir(tmp_path)
    assert not is_hub_id("org/tiny")
    for path in ("cache:org", "/org/tiny", "./tiny", "~/tiny", "a/b/c", "tiny", "../tiny"):
        assert not is_hub_id(path), path


def test_variants_have_their_own_commits(hub, sweep):
    hub.add("model", "org/tiny-fp8", model())
    more = (
        "    variants:\n      - {name: bf16}\n      - {name: other, path: org/tiny-fp8}\n"
        "      - {name: gone, quantization: fp8}\n"
    )
    found = {p.point.model.name: p.point.model for p in expand(preflight(sweep(more=more)))}
    refs = {name: repo.refs["main"] for (_, name), repo in hub.repos.items()}
    assert found["tiny-bf16"].commit == found["tiny-gone"].commit == refs["org/tiny"]
    assert found["tiny-other"].commit == refs["org/tiny-fp8"]
    assert found["tiny-bf16"].card == f"org/tiny@{refs['org/tiny'][:12]}-bfloat16"
    assert found["tiny-gone"].card is None


def test_a_partner_has_a_commit_too(hub, sweep):
    hub.add("model", "org/large", model())
    partner = "partners:\n  large: {model: {name: large, path: org/large, dtype: bfloat16}}\n"
    path = sweep(more=partner)
    path.write_text(path.read_text().replace("max_tokens: 8}", "max_tokens: 8, method: cascade}"))
    (session,) = plan_sessions(preflight(path))
    large = session.partners["large"].model
    assert large.commit == hub.repos["model", "org/large"].refs["main"]
    assert engine_settings(session, 0, "large").model_path.endswith(f"/snapshots/{large.commit}")
    with Reporter() as reporter:
        fetch_weights(session.partners["large"], reporter)
    assert (Path(engine_settings(session, 0, "large").model_path) / "tokenizer.json").is_file()
    path.write_text(path.read_text().replace("org/large", "org/larg"))
    with pytest.raises(
        IsocostError, match=r"line 7: partners\.large\.model\.path: there is no mod"
    ):
        preflight(path)


def test_a_card_is_counted_from_the_configuration(hub, sweep, tmp_path):
    store = Store(tmp_path / "data")
    (session_id,) = plan_sweep(store, sweep(dtype="float32"))
    card = card_book(store).model(
        str(read_session(store.session_file(session_id)).engine.model.card)
    )
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text(json.dumps(CONFIG))
    own = ModelCard.from_hf_config(tmp_path / "config", name=card.name, dtype="float32")
    assert card == own
    written = (store.root / "cards" / "hub" / "models.yaml").read_bytes()
    plan_sweep(store, sweep(dtype="float32"))
    assert (store.root / "cards" / "hub" / "models.yaml").read_bytes() == written
    plan_sweep(store, sweep())
    assert len(card_book(store).models) == len(card_book(Store(tmp_path / "none")).models) + 2
    named = preflight(sweep(more="    card: qwen3-0.6b\n"))
    assert named.models[0].card == "qwen3-0.6b"


def test_a_family_that_cannot_be_counted_has_no_card(hub, sweep):
    config = json.dumps({**CONFIG, "model_type": "mystery"}).encode()
    hub.repos["model", "org/tiny"].push(model(**{"config.json": config}))
    assert preflight(sweep()).models[0].card is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"path": "org/tin"},
            r"line 4: models\[0\]\.path: there is no model org/tin .* existing f",
        ),
        (
            {"path": "org/closed"},
            r"line 4: models\[0\]\.path: model org/closed is gated, and no tok",
        ),
        ({"more": "    revision: v9\n"}, r"line 6: models\[0\]\.revision: .* no revision v9"),
        ({"more": "    commit: v9\n"}, r"line 6: models\[0\]\.commit: .* Give a commit under rev"),
        ({"path": "org/empty"}, r"line 4: models\[0\]\.path: .* has no weights"),
        ({"length": 1024}, r"line 6: engine\.max_model_len: 1024 tokens exceed the context"),
        (
            {"more": "    variants:\n      - {name: x, path: org/tin}\n"},
            r"line 7: models\[0\]\.variants\[0\]\.path: there is no model org/tin",
        ),
    ],
)
def test_mistakes_are_named_by_file_line_and_key(sweep, changes, says):
    with pytest.raises(IsocostError, match=says):
        preflight(sweep(**changes))


def planned(sweep):
    (session,) = plan_sessions(preflight(sweep()))
    return session


def test_weights_are_fetched_once_and_only_what_is_loaded(hub, sweep, capsys, monkeypatch):
    session = planned(sweep)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)
    hub.requests.clear()
    hub.breaks = 1
    with Reporter() as reporter:
        fetch_weights(session.engine, reporter)
        folder = Path(engine_settings(session, 0).model_path)
        files = hub.repos["model", "org/tiny"].commits[session.engine.model.commit]
        assert sorted(path.name for path in folder.iterdir()) == [
            "README.md",
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
        ]
        for path in folder.iterdir():
            assert path.read_bytes() == files[path.name]
        assert any(asked for _, _, asked in hub.requests)  # the broken download went on
        hub.requests.clear()
        fetch_weights(session.engine, reporter)
        assert hub.requests == []
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        fetch_weights(session.engine, reporter)
        assert planned(sweep).points == session.points
        assert hub.requests == []
    out, err = capsys.readouterr()
    assert (out + err).count("fetching org/tiny at") == 1


def test_weights_that_cannot_be_fetched_name_the_model(hub, sweep, monkeypatch):
    session = planned(sweep)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with Reporter() as reporter, pytest.raises(IsocostError, match=r"model tiny: .* forbids downl"):
        fetch_weights(session.engine, reporter)


def test_a_gated_model_opens_with_a_token_that_is_written_nowhere(
    hub, sweep, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(IsocostError, match=r"the account of the token .* has no access") as found:
        preflight(sweep(path="org/closed"))
    assert TOKEN not in str(found.value)
    hub.tokens[TOKEN].add("org/closed")
    store = Store(tmp_path / "data")
    (session_id,) = plan_sweep(store, sweep(path="org/closed"))
    with Reporter() as reporter:
        fetch_weights(read_session(store.session_file(session_id)).engine, reporter)
    assert not [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]


def test_a_servers_name_for_its_model_is_no_id_on_the_hub(hub, sweep):
    path = sweep(path="org/none")
    text = path.read_text().split("engine:")
    rest = text[1].split("\n", 1)[1]
    path.write_text(
        f"{text[0]}engine: {{engine: openai, options: {{base_url: 'http://a/v1'}}}}\n{rest}"
    )
    (session,) = plan_sessions(preflight(path))
    assert (session.engine.model.path, session.engine.model.commit) == ("org/none", None)
    assert hub.requests == []


def adapted(sweep, adapter: str, **given) -> Path:
    return sweep(more=f"    adapter: {adapter}\n", **given)


def point_of(file: Path):
    return expand(preflight(file))[0].point


def test_an_adapter_on_the_hub_is_its_commit(sweep, hub):
    hub.add("model", "org/adapter", adapters.files())
    bare = point_of(sweep())
    first = point_of(adapted(sweep, "org/adapter"))
    found = first.model.adapter
    assert first.point_id != bare.point_id and len(found.commit) == 40
    assert (found.sha256, found.parameters) == (None, 1792)
    same = point_of(adapted(sweep, f"{{path: org/adapter, revision: {found.commit}}}"))
    assert same.point_id == first.point_id
    hub.add("model", "org/adapter", adapters.files(fill=b"\1\1\1\1"))
    assert point_of(adapted(sweep, "org/adapter")).point_id != first.point_id
    assert point_of(adapted(sweep, f"{{path: org/adapter, revision: {found.commit}}}")) == same


def test_a_local_adapter_is_its_content_wherever_it_is(sweep, tmp_path):
    one = adapters.write(tmp_path / "one", adapters.files())
    two = adapters.write(tmp_path / "two", adapters.files())
    first = point_of(adapted(sweep, str(one)))
    assert point_of(adapted(sweep, str(two))).point_id == first.point_id
    adapters.write(two, adapters.files(lora_alpha=1))
    assert point_of(adapted(sweep, str(two))).point_id != first.point_id
    (session,) = plan_sessions(preflight(adapted(sweep, str(one))))
    assert engine_settings(session, 0).adapter_path == str(one)
    with Reporter() as reporter:
        fetch_weights(session.engine, reporter)
        adapters.write(one, adapters.files(fill=b"\1\1\1\1"))
        with pytest.raises(IsocostError, match="differ from those that were planned"):
            fetch_weights(session.engine, reporter)


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("org/missing", "no model org/missing"),
        ("org/tiny", "org/tiny has no adapter_config.json"),
        ("./missing", "adapter folder missing does not exist"),
        ("{path: ./missing, revision: main}", "missing is a folder"),
        ("{path: org/tiny, commit: abc}", "the commit is what the revision is resolved to"),
        ("{path: org/tiny, sha256: abc}", "sha256 is read from the adapter"),
    ],
)
def test_an_adapter_that_is_missing_is_refused_with_its_place(sweep, adapter, said):
    with pytest.raises(IsocostError, match=said) as error:
        preflight(adapted(sweep, adapter))
    assert "models[0].adapter" in error.value.where
