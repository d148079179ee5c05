"""Engines that load no model go through the whole job, from a sweep file to the report.

vLLM's way is tests/pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest
from fake_openai import serving

from assets.resources import StoreResource
from isocost.bank.reader import read_raw
from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.store import Store
from isocost.sweep import read_session
from isocost.tables.core import context as core_context
from pipelines.build import build_defs

SWEEP = """
sweep: {sweep}
models: {{name: adder, path: adder}}
engine:
  engine: {engine}
  max_num_seqs: 4
  options: {{{options}}}
tasks:
  - name: sums
    source: inline
    dataset: sums
    config:
      problems:
        - {{question: "1 + 2", reference: "3"}}
        - {{question: "3 + 5", reference: "8"}}
        - {{question: "4 + 5", reference: "9"}}
        - {{question: "7 + 7", reference: "14"}}
    n_problems: 4
    verifier: numeric
prompts:
  - {{name: direct, template: "{{question}}"}}
  - {{name: polite, template: "Please: {{question}}"}}
grid: {{temperature: 0.7, max_tokens: 16}}
samples_per_problem: {samples}
bank: {{logprobs_k: 3, warmup_requests: 1}}
"""


class Lab:
    """A data root with an instance and the whole code location."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance, self.store = folder, instance, Store(folder / "data")
        self.defs = build_defs(
            resource_overrides={"store": StoreResource(root=str(self.store.root))}
        )

    def plan(self, *, engine: str, options: str, samples: int = 4, sweep: str = "lab") -> str:
        path = self.folder / f"{sweep}.yaml"
        path.write_text(
            SWEEP.format(sweep=sweep, engine=engine, options=options, samples=samples),
            encoding="utf-8",
        )
        (session_id,) = refresh.plan_sweep(self.store, path)
        self.instance.add_dynamic_partitions("session", [session_id])
        return session_id

    def run(self, session_id: str) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_job_def("sweep")
        return job.execute_in_process(
            instance=self.instance, partition_key=session_id, raise_on_error=False
        )

    def refresh(self, keys: list[str]) -> dg.ExecuteInProcessResult:
        """As nightly_refresh asks for it."""
        keys = [key for key in self.instance.get_dynamic_partitions("session") if key in keys]
        span = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        }
        return self.defs.resolve_job_def("refresh").execute_in_process(
            instance=self.instance, tags=span, raise_on_error=False
        )


def why(done: dg.ExecuteInProcessResult) -> list[str]:
    """The first line that each failed step shows, or its error."""
    listed = []
    for event in (event for event in done.all_events if event.is_step_failure):
        data = event.step_failure_data
        listed.append(
            (data.user_failure_data and data.user_failure_data.description) or data.error.message
        )
    return listed


def unheld(done: dg.ExecuteInProcessResult) -> list[str]:
    return [
        f"{c.asset_key.to_user_string()}/{c.check_name}: {c.description}"
        for c in done.get_asset_check_evaluations()
        if not c.passed
    ]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Lab(tmp_path, instance)


@pytest.mark.parametrize("version", ["9.9.9", None])
def test_a_server_is_measured_from_its_sweep_file_to_the_report(
    lab: Lab, version: str | None
) -> None:
    with serving(version=version) as server:
        session_id = lab.plan(engine="openai", options=f'base_url: "{server.url}"')
        done = lab.run(session_id)
        assert done.success, why(done)
        assert unheld(done) == []
        assert server.asked == 2 * 4 * 4 + 1  # points, problems, samples, one to warm up
    run = lab.store.read("core_sessions").row(0, named=True)
    # What is installed beside us says nothing about the server.
    assert (run["engine"], run["engine_version"], run["device"], run["samples_valid"]) == (
        "openai",
        version,
        "remote",
        32,
    )
    assert '"max_model_len":128' in run["resolved_engine"]
    point = lab.store.read("core_points").row(0, named=True)
    assert (
        point["max_num_seqs"],
        point["max_num_batched_tokens"],
        point["has_prefix_caching"],
    ) == (4, None, None)  # the server's own
    samples = lab.store.read("core_samples")
    assert 0 < samples["correct"].sum() < samples.height == 32
    assert samples["logprob_mean"].to_list() == [-0.5] * 32
    with duckdb.connect(str(lab.store.warehouse), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM frontier").fetchone()[0] > 0
    assert "adder" in lab.store.report.read_text(encoding="utf-8")
    (event,) = done.asset_materializations_for_node("report")
    assert event.metadata["path"].value == str(lab.store.report)
    assert f"({lab.store.report.as_uri()})" in event.metadata["report"].value


def test_a_recorded_session_is_replayed_to_the_report(lab: Lab) -> None:
    with serving() as server:
        recorded = lab.plan(engine="openai", options=f'base_url: "{server.url}"', sweep="first")
        assert lab.run(recorded).success
    again = lab.plan(
        engine="replay",
        options=f'bank: "{lab.store.lake}", session: "{recorded}", speed: 0',
        sweep="second",
        samples=3,
    )
    done = lab.run(again)
    assert done.success, why(done)
    assert unheld(done) == []
    reported = lab.store.read("core_sessions", again).row(0, named=True)
    assert reported["engine_version"] == reported["isocost_version"]
    texts = {
        key: read_raw(
            lab.store.lake,
            "raw_generations",
            key,
            columns=["problem_id", "sample_index", "prompt_hash", "output_text", "is_warmup"],
        )
        for key in (recorded, again)
    }
    keys = ["problem_id", "prompt_hash", "sample_index"]
    first, second = (frame.filter(~pl.col("is_warmup")).sort(keys) for frame in texts.values())
    assert second.height == 2 * 4 * 3
    assert second.equals(first.filter(pl.col("sample_index") < 3))


CASCADE = """
partners:
  large:
    model: {{name: large-adder, path: adder, card: qwen3-8b}}
    engine: {{options: {{base_url: "{large}"}}}}
tasks:
"""


def test_two_models_go_from_a_sweep_file_to_the_report(lab: Lab) -> None:
    """A small model on one server, a large one on another."""
    with serving() as small, serving() as large:
        text = SWEEP.format(
            sweep="two", engine="openai", options=f'base_url: "{small.url}"', samples=2
        )
        methods = "[{name: cascade, thresholds: [-0.4]}, {name: cascade, thresholds: [-1]}]"
        text = text.replace("max_tokens: 16", f"max_tokens: 16, method: {methods}")
        text = text.replace(
            "name: adder, path: adder", "name: adder, path: adder, card: qwen3-0.6b"
        )
        text = text.replace("\ntasks:\n", CASCADE.format(large=large.url))
        path = lab.folder / "two.yaml"
        path.write_text(text, encoding="utf-8")
        [session_id] = refresh.plan_sweep(lab.store, path)
        lab.instance.add_dynamic_partitions("session", [session_id])
        done = lab.run(session_id)
        assert done.success, why(done)
        assert unheld(done) == []
        per_method = 2 * 4 * 2  # prompts, problems, samples
        assert large.asked == per_method + 1  # the sure cascade asks it nothing
        assert small.asked == 2 * per_method + 1
    calls = lab.store.read("core_calls").filter("is_used")
    assert dict(calls.group_by(pl.col("partner").fill_null("own")).len().iter_rows()) == {
        "own": 2 * per_method,
        "large": per_method,
    }
    samples = lab.store.read("core_samples")
    assert samples["is_valid"].all()
    costs = calls.group_by("sample_id").agg(pl.col("flops").sum())
    both = samples.join(costs, on="sample_id", suffix="_of_calls")
    assert both["flops"].to_list() == pytest.approx(both["flops_of_calls"].to_list())
    once, twice = (samples.filter(pl.col("n_calls") == n)["flops"].mean() for n in (1, 2))
    assert isinstance(once, float) and isinstance(twice, float) and twice > 8 * once
    with duckdb.connect(str(lab.store.warehouse), read_only=True) as connection:
        at = connection.execute(
            "SELECT budget, count(*) FROM out_strategy_outcomes JOIN core_points USING (point_id) "
            "WHERE strategy = 'answer_at_budget' GROUP BY budget ORDER BY budget"
        ).fetchall()
        roles = connection.execute(
            "SELECT role, sum(n_role_calls) FROM out_method_calls GROUP BY role ORDER BY role"
        ).fetchall()
    assert at == [(1.0, 2), (2.0, 2)]  # one budget alone is no curve
    assert roles == [("escalate", per_method), ("solve", 2 * per_method)]
    assert "large" in lab.store.report.read_text(encoding="utf-8")


def test_another_address_goes_on_with_the_same_points(lab: Lab) -> None:
    with serving() as first:
        session_id = lab.plan(engine="openai", options=f'base_url: "{first.url}"')
        assert lab.run(session_id).success
    with serving() as second:
        moved = lab.plan(
            engine="openai",
            options=f'base_url: "{second.url}", timeout_s: 5, retries: 0, in_flight: 4',
            samples=5,
            sweep="lab",
        )
        done = lab.run(moved)
        assert done.success, why(done)
        assert second.asked == 2 * 4 * 1 + 1  # only the fifth sample of each problem
    assert lab.store.read("core_samples").height == 2 * 4 * 5
    assert lab.store.read("core_points")["point_id"].n_unique() == 2


def test_two_files_of_one_sweep_at_two_addresses_are_one_session(lab: Lab) -> None:
    one = lab.plan(engine="openai", options='base_url: "http://one/v1"')
    (lab.folder / "lab.yaml").rename(lab.folder / "kept.yaml")
    text = SWEEP.format(
        sweep="lab", engine="openai", options='base_url: "http://two/v1"', samples=4
    )
    (lab.folder / "other.yaml").write_text(text.replace("0.7", "0.9"), encoding="utf-8")
    assert refresh.plan_sweep(lab.store, lab.folder / "kept.yaml") == [one]
    assert refresh.plan_sweep(lab.store, lab.folder / "other.yaml") == [one]
    session = read_session(lab.store.session_file(one))
    assert {planned.point.sampling.temperature for planned in session.points} == {0.7, 0.9}
    assert session.engine.options["base_url"] == "http://two/v1"


def test_the_reason_of_an_unreachable_server_is_the_first_line_of_the_failure(lab: Lab) -> None:
    session_id = lab.plan(engine="openai", options='base_url: "http://127.0.0.1:9/v1"')
    done = lab.run(session_id)
    assert not done.success
    assert (
        why(done)[0]
        .splitlines()[0]
        .startswith("http://127.0.0.1:9/v1/models: the server does not answer: Connection refused")
    )


def test_requests_that_a_server_refused_are_reported_and_asked_for_again(lab: Lab) -> None:
    with serving() as server:
        session_id = lab.plan(engine="openai", options=f'base_url: "{server.url}"')
        server.refused = {7, 8}
        done = lab.run(session_id)
        assert not done.success
        assert "2 requests failed, the first: HTTP 400: Error response" in why(done)[0]
        assert lab.run(session_id).success
        assert server.asked == 32 + 1 + 2 + 1
    assert lab.store.read("core_samples").height == 32


def test_one_session_that_breaks_a_rule_holds_up_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its samples feed no derived table, in its own run and in one over several sessions, which
    both name it and go on.
    """
    with serving() as server:
        good = lab.plan(engine="openai", options=f'base_url: "{server.url}"', sweep="good")
        bad = lab.plan(
            engine="openai",
            options=f'base_url: "{server.url}", extra_body: {{mood: bad}}',
            sweep="bad",
        )
        assert lab.run(good).success
        reported = core_context._from_manifest

        def forgetful(manifest: Any, engine: str | None) -> dict[str, Any]:
            return reported(manifest, engine) | (
                {"isocost_version": None} if manifest.session_id == bad else {}
            )

        monkeypatch.setattr(core_context, "_from_manifest", forgetful)
        alone = lab.run(bad)
        assert alone.success and "isocost_version" in " ".join(unheld(alone))
    samples = lab.store.read("core_samples")
    assert samples.filter("is_valid")["session_id"].unique().to_list() == [good]
    assert samples.filter(session_id=bad)["invalid_reasons"].explode().unique().to_list() == [
        "code_version_is_known"
    ]
    fed = lab.store.read("out_strategy_outcomes")["point_id"].drop_nulls()
    assert set(fed) == set(samples.filter("is_valid")["point_id"])
    lab.store.report.unlink()
    done = lab.refresh([good, bad])
    assert done.success, why(done)
    assert [line.split(": ")[1] for line in unheld(done) if "isocost_version" in line] == [bad], (
        unheld(done)
    )
    assert lab.store.report.exists()
    assert lab.run(good).success


def test_a_sweep_for_a_server_needs_no_sizes_and_one_for_a_model_does(tmp_path: Path) -> None:
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        SWEEP.format(sweep="lab", engine="vllm", options="", samples=2), encoding="utf-8"
    )
    with pytest.raises(
        IsocostError,
        match=r"models\[0\]\.dtype: key dtype is missing.*engine\.max_model_len, engine\.kv_cache_bytes",
    ):
        refresh.plan_sweep(Store(tmp_path / "data"), lab)


@pytest.mark.parametrize("job", ["refresh", "derive_and_publish"])
def test_jobs_that_bring_nothing_in_make_no_data_root(lab: Lab, job: str) -> None:
    lab.instance.add_dynamic_partitions("session", ["somewhere-0123456789"])
    lab.store.root.with_name("date").mkdir()
    tags = (
        {}
        if job == "derive_and_publish"
        else {
            f"dagster/asset_partition_range_{end}": "somewhere-0123456789"
            for end in ("start", "end")
        }
    )
    done = lab.defs.resolve_job_def(job).execute_in_process(
        instance=lab.instance, tags=tags, raise_on_error=False
    )
    assert not done.success
    assert all(
        reason.startswith(f"{lab.store.root}: there is no data root here") for reason in why(done)
    ), why(done)
    assert not lab.store.root.exists()
