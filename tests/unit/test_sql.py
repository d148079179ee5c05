"""The SQL of the project.

Every check holds on sound tables and fires on one changed cell; every other file runs.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from isocost import sql
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import all_tables
from isocost.schema.types import duckdb_ddl
from isocost.store import Store

pytestmark = pytest.mark.slow

ONE = "WHERE sample_id = (SELECT min(sample_id) FROM core_samples WHERE is_valid AND parse_status = 'parsed')"
OUTCOME = "WHERE outcome_id = (SELECT min(outcome_id) FROM out_strategy_outcomes)"
COVERAGE = "WHERE outcome_id = (SELECT max(outcome_id) FROM out_strategy_outcomes WHERE strategy = 'pass_at_k')"
SHARE = "WHERE rowid = (SELECT min(rowid) FROM out_strategy_problems)"
STEP = "WHERE rowid = (SELECT min(rowid) FROM out_frontier_points WHERE is_on_frontier)"
FRONTIER = "WHERE rowid = (SELECT min(rowid) FROM out_frontiers)"
CURVE = "WHERE curve_id = (SELECT min(curve_id) FROM out_scaling_fits)"
# Every check with the change of one cell on which it must fire.
MUTATIONS = {
    "core_samples__point_is_known": f"UPDATE core_samples SET point_id = 'pt-lost' {ONE}",
    "core_samples__problem_is_known": f"UPDATE core_samples SET problem_id = 'lost' {ONE}",
    "core_samples__session_is_known": f"UPDATE core_samples SET run_id = 'run-2' {ONE}",
    "core_samples__costs_are_not_negative": f"UPDATE core_samples SET decode_s = -0.001 {ONE}",
    "core_samples__cache_within_prompt": f"UPDATE core_samples SET cached_tokens = prompt_tokens + 1 {ONE}",
    "core_samples__validity_has_its_reason": f"UPDATE core_samples SET is_valid = false {ONE}",
    "core_samples__energy_has_its_method": f"UPDATE core_samples SET energy_j = 1.5 {ONE}",
    "core_samples__unknown_costs_have_their_reason": f"UPDATE core_samples SET flops = NULL {ONE}",
    "core_energy_attribution__shares_add_up": "INSERT INTO core_energy_attribution (call_id, attempt, sample_id, session_id, run_id, "
    "attribution, is_default, energy_j) VALUES ('c', 1, 's', 'lost', 'r', 'time_share', false, 1.5)",
    "core_samples__no_answer_is_not_correct": "UPDATE core_samples SET correct = true WHERE sample_id = "
    "(SELECT min(sample_id) FROM core_samples WHERE parse_status = 'no_answer')",
    "core_samples__truncation_is_length": f"UPDATE core_samples SET is_truncated = NOT is_truncated {ONE}",
    "core_samples__equal_answers_equal_verdict": f"UPDATE core_samples SET correct = NOT correct {ONE}",
    "core_points__samples_add_up": "UPDATE core_points SET samples_valid = samples_valid + 1 "
    "WHERE point_id = (SELECT min(point_id) FROM core_points)",
    "core_sessions__clock_runs_forward": "UPDATE core_sessions SET ended_unix_s = started_unix_s - 1",
    "out_point_summary__counts_add_up": "UPDATE out_point_summary SET samples_invalid = samples_invalid + 1 "
    "WHERE point_id = (SELECT min(point_id) FROM out_point_summary)",
    "out_strategy_outcomes__accuracy_within_interval": f"UPDATE out_strategy_outcomes SET accuracy_low = accuracy + 0.01 {OUTCOME}",
    "out_strategy_outcomes__coverage_never_falls": f"UPDATE out_strategy_outcomes SET accuracy = 0.01 {COVERAGE}",
    "out_strategy_outcomes__costs_are_not_negative": f"UPDATE out_strategy_outcomes SET flops_per_problem = -1 {OUTCOME}",
    "out_strategy_outcomes__point_is_known": f"UPDATE out_strategy_outcomes SET point_ids = ['pt-lost'] {OUTCOME}",
    "out_strategy_outcomes__accuracy_is_the_mean": f"UPDATE out_strategy_outcomes SET accuracy = accuracy + 0.001 {OUTCOME}",
    "out_strategy_problems__outcome_is_known": f"UPDATE out_strategy_problems SET outcome_id = 'lost' {SHARE}",
    "out_strategy_problems__undefined_has_its_reason": f"UPDATE out_strategy_problems SET accuracy = NULL {SHARE}",
    "out_frontier_points__outcome_is_known": f"UPDATE out_frontier_points SET member_outcome_ids = ['lost'] {STEP}",
    "out_frontier_points__accuracy_within_interval": f"UPDATE out_frontier_points SET frontier_probability = 1.01 {STEP}",
    "out_frontier_points__frontier_is_not_dominated": f"UPDATE out_frontier_points SET is_on_frontier = NOT is_on_frontier {STEP}",
    "out_frontiers__counts_add_up": f"UPDATE out_frontiers SET n_excluded_unknown_cost = n_excluded_unknown_cost + 1 {FRONTIER}",
    "out_frontiers__knee_is_on_the_frontier": f"UPDATE out_frontiers SET knee_outcome_id = 'lost' {FRONTIER}",
    "out_comparisons__intervals_hold_the_difference": "UPDATE out_comparisons SET accuracy_difference_band_low = accuracy_difference",
    "out_coverage_bands__band_holds_a_rising_curve": "UPDATE out_coverage_bands SET band_high = pass_at_k "
    "WHERE rowid = (SELECT min(rowid) FROM out_coverage_bands)",
    "out_coverage_differences__both_directions_agree": "UPDATE out_coverage_differences "
    "SET pass_at_k_difference = pass_at_k_difference + 0.01 WHERE rowid = (SELECT min(rowid) FROM out_coverage_differences)",
    "out_scaling_points__outcome_is_known": "UPDATE out_scaling_points SET outcome_id = 'lost' WHERE point_kind = 'measured' "
    "AND outcome_id = (SELECT min(outcome_id) FROM out_scaling_points)",
    "out_scaling_fits__one_family_is_chosen": f"UPDATE out_scaling_fits SET is_chosen = false {CURVE}",
    "out_judge_agreement__counts_add_up": "INSERT INTO out_judge_agreement (task, judge, n_answers, n_verdicts, n_gold, n_gold_correct, "
    "n_true_positive, n_false_positive, n_false_negative, n_true_negative, n_problems, n_both_orders, confidence) "
    "VALUES ('t', 'j', 3, 3, 3, 1, 1, 1, 0, 0, 3, 0, 0.95)",
    "out_judge_abilities__duels_add_up": "INSERT INTO out_judge_abilities (task, judge, n_won, n_lost, ability, n_problems, "
    "confidence) VALUES ('t', 'j', 2, 1, 0.5, 3, 0.95)",
    "out_method_crossovers__unknown_has_its_reason": "INSERT INTO out_method_crossovers (task, point_id, strategy, "
    "majority_point_id, cost_axis, cost_unit, n_budgets, n_majority_budgets, n_problems, n_problems_left_out, n_units, draws, "
    "seed, confidence) VALUES ('t', 'p', 's', 'p', 'a', 'u', 1, 1, 1, 0, 1, 0, 0, 0.95)",
    "out_scaling_fits__interval_is_ordered": f"UPDATE out_scaling_fits SET asymptote_low = 1, asymptote_high = 0.5 {CURVE}",
}


@pytest.fixture(scope="module")
def laboratory(lab):
    connection = duckdb.connect(":memory:", config={"threads": 1})
    for name, definition in all_tables().items():
        if definition.layer == "raw":
            continue
        connection.execute(duckdb_ddl(definition))
        if name in lab:
            frame = lab[name]
            connection.execute(f'INSERT INTO "{name}" SELECT * FROM frame')
            assert frame.height
    for path in sql.macro_files():
        connection.execute(path.read_text(encoding="utf-8"))
    yield connection
    connection.close()


@pytest.fixture
def database(laboratory):
    """The laboratory's tables; what a test changes is taken back."""
    laboratory.execute("BEGIN")
    yield laboratory
    laboratory.execute("ROLLBACK")


def failing(connection, path: Path) -> int:
    return sql.run_file(connection, path).height


def test_every_check_has_its_mutation():
    assert {path.stem for path in sql.sql_files("checks")} == set(MUTATIONS)


def test_sound_tables_pass_every_check(database):
    assert {
        path.stem: n for path in sql.sql_files("checks") if (n := failing(database, path))
    } == {}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_check_fires_on_one_changed_cell(name, database):
    changed = database.execute(MUTATIONS[name]).fetchall()
    assert changed == [(1,)]
    assert failing(database, sql.sql_root() / "checks" / f"{name}.sql") >= 1


@pytest.mark.parametrize("path", sql.sql_files("checks"), ids=lambda p: p.stem)
def test_a_check_says_its_rule_and_hangs_on_a_table(path):
    table, rule = path.stem.split("__")
    assert table in all_tables() and rule
    assert sql.describe(path).endswith(".")


@pytest.mark.parametrize("folder", ["checks", "examples", "out", "views"])
def test_every_file_runs_where_nothing_is_banked_yet(folder, tmp_path):
    with sql.session(Store(tmp_path)) as connection:
        for path in sql.sql_files(folder):
            assert sql.run_file(connection, path).is_empty(), path.name


def test_the_summary_is_what_a_reader_would_count(lab, database):
    summary = conform(
        sql.run_file(database, sql.sql_root() / "out" / "out_point_summary.sql"),
        "out_point_summary",
    )
    wanted = lab["out_point_summary"]
    counts = [
        "n_problems",
        "samples_total",
        "samples_valid",
        "samples_invalid",
        "samples_graded",
        "samples_correct",
    ]
    counts += ["samples_truncated", "samples_without_answer", "output_tokens_sum"]
    assert summary.select(counts).equals(wanted.select(counts))
    assert summary["output_tokens_per_sample"].to_list() == pytest.approx(
        wanted["output_tokens_per_sample"].to_list()
    )
    assert summary["invalid_counts"].to_list() == ['{"engine_error":1}'] * 4
    assert summary["energy_unknown_reason"].to_list() == ["no_power_source"] * 4
    # 1 ms a token and the first one free of decoding: the sum of (tokens - 1) over the sum of 0.001
    # tokens.
    valid = lab["core_samples"].filter("is_valid")
    for row in summary.iter_rows(named=True):
        mine = valid.filter(pl.col("point_id") == row["point_id"])["output_tokens"]
        assert row["decode_tokens_per_s"] == pytest.approx((mine - 1).sum() / (0.001 * mine.sum()))
        problems = (
            valid.filter(pl.col("point_id") == row["point_id"])
            .group_by("problem_id")
            .agg(pl.col("correct").mean())
        )
        assert row["accuracy"] == pytest.approx(problems["correct"].mean())


def test_the_summary_counts_a_shared_sample_once_and_pools_no_unlike_energies(lab, database):
    database.execute(
        "INSERT INTO core_samples SELECT * REPLACE ('z-session' AS session_id) FROM core_samples"
    )
    first = "WHERE session_id <> 'z-session' AND is_valid"
    database.execute(f"UPDATE core_samples SET energy_j = 2, energy_method = 'nvml' {first}")
    path = sql.sql_root() / "out" / "out_point_summary.sql"
    summary = sql.run_file(database, path)
    assert summary["samples_total"].to_list() == lab["out_point_summary"]["samples_total"].to_list()
    assert (
        summary["energy_j_per_sample"].to_list() == [2.0] * 4
        and summary["energy_method"].to_list() == ["nvml"] * 4
    )
    database.execute(
        f"UPDATE core_samples SET energy_method = 'model' {first} AND sample_index > 3"
    )
    assert sql.run_file(database, path)["energy_j_per_sample"].to_list() == [None] * 4


def test_chances_from_an_interval(database):
    from scipy.stats import norm

    for z in (-4.0, -1.3, 0.0, 0.4, 2.7):
        assert database.sql(f"SELECT normal_cdf({z})").fetchall()[0][0] == pytest.approx(
            norm.cdf(z), abs=2e-7
        )
    ask = "SELECT chance_of_reaching({}, {}, {}, {})"
    values = {
        (0.5, 0.4, 0.6, 0.4): norm.cdf(1.959964),
        (0.5, 0.4, 0.6, 0.5): 0.5,
        (1.0, 1.0, 1.0, 0.9): 1.0,
        (0.0, 0.0, 0.0, 0.1): 0.0,
        (0.5, "NULL", "NULL", 0.1): None,
    }
    for given, wanted in values.items():
        assert database.sql(ask.format(*given)).fetchall()[0][0] == (
            None if wanted is None else pytest.approx(wanted, abs=1e-6)
        )


def test_a_file_that_does_not_run_is_named(tmp_path, database):
    path = tmp_path / "checks" / "core_samples__nonsense.sql"
    path.parent.mkdir()
    path.write_text("-- Says nothing.\n\nSELECT nothing FROM nowhere\n", encoding="utf-8")
    with pytest.raises(IsocostError, match=r"sql/checks/core_samples__nonsense\.sql: .*nowhere"):
        sql.run_file(database, path)
    assert sql.describe(path) == "Says nothing."


def test_rows_that_two_sessions_share_count_once_as_in_the_store(lab, lab_store):
    bank = lab["core_samples"]
    lab_store.write(
        bank.head(5).with_columns(session_id=pl.lit("a-first")), "core_samples", "a-first"
    )
    more = bank.head(1).with_columns(
        pl.concat_str("sample_id", pl.lit("9")).alias("sample_id"), session_id=pl.lit("z-last")
    )
    lab_store.write(
        pl.concat([more, bank.tail(5).with_columns(session_id=pl.lit("z-last"))]),
        "core_samples",
        "z-last",
    )
    with sql.session(lab_store) as connection:
        view = connection.sql("SELECT * FROM core_samples").pl()
        counted = connection.sql(
            "SELECT count(*), sum(output_tokens)::BIGINT FROM core_samples"
        ).fetchall()
    assert view.columns == bank.columns
    assert conform(view, "core_samples").equals(lab_store.read("core_samples"))
    assert counted == [(bank.height + 1, bank["output_tokens"].sum() + more["output_tokens"].sum())]
    assert view["session_id"].value_counts().sort("count")["count"].to_list() == [
        1,
        5,
        bank.height - 5,
    ]


def test_every_check_holds_where_two_sessions_share_samples(lab, lab_store):
    point, bank = lab["core_points"].head(1), lab["core_samples"]
    shared = (
        bank.filter(pl.col("point_id") == point["point_id"][0])
        .head(5)
        .with_columns(session_id=pl.lit("z-last"))
    )
    counts = {
        "samples_banked": pl.lit(5, pl.Int64),
        "samples_valid": pl.lit(shared["is_valid"].sum(), pl.Int64),
    }
    sessions = lab["core_sessions"].with_columns(session_id=pl.lit("z-last"))
    more = {
        "core_samples": shared,
        "core_points": point.with_columns(session_id=pl.lit("z-last"), **counts),
        "core_sessions": sessions,
    }
    for name, frame in more.items():
        lab_store.write(frame, name, "z-last")
    wrong = more["core_points"].with_columns(samples_banked=pl.lit(bank.height, pl.Int64))
    check = sql.sql_root() / "checks" / "core_points__samples_add_up.sql"
    with sql.session(lab_store) as connection:
        assert {
            path.stem: n for path in sql.sql_files("checks") if (n := failing(connection, path))
        } == {}
    lab_store.write(wrong, "core_points", "z-last")
    with sql.session(lab_store) as connection:
        assert sql.run_file(connection, check)["point_id"].to_list() == point["point_id"].to_list()


def cut(content: bytes) -> bytes:
    return content[:-30]


def flipped(content: bytes) -> bytes:
    """Pages damaged, footer whole: such a file opens."""
    middle = len(content) // 4
    return content[:40] + bytes(byte ^ 0x55 for byte in content[40:middle]) + content[middle:]


@pytest.mark.parametrize("damage", [cut, flipped, lambda _: b""], ids=["cut", "flipped", "empty"])
@pytest.mark.parametrize("session", ["a-first", "z-last"])
def test_a_damaged_file_is_named_and_takes_no_other_table_down(
    damage, session, lab, lab_store, tmp_path
):
    path = lab_store.write(
        lab["core_samples"].with_columns(session_id=pl.lit(session)), "core_samples", session
    )
    path.write_bytes(damage(path.read_bytes()))
    query = tmp_path / "out" / "query.sql"
    query.parent.mkdir()
    with sql.session(lab_store) as connection:
        query.write_text("SELECT count(*) AS n FROM core_problems", encoding="utf-8")
        assert sql.run_file(connection, query)["n"].to_list() == [lab["core_problems"].height]
        query.write_text(
            "SELECT * FROM core_samples WHERE false OR sample_id <> 'x'", encoding="utf-8"
        )
        with pytest.raises(
            IsocostError,
            match=rf"sql/out/query\.sql: .*session={session}\.parquet.*isocost refresh",
        ):
            sql.run_file(connection, query)


def test_a_file_of_an_older_meaning_is_refused_and_named(lab, lab_store, tmp_path, monkeypatch):
    from isocost.schema import parquet

    path, stamp = lab_store.path("out_frontiers"), parquet.stamp
    monkeypatch.setattr(
        parquet, "stamp", lambda name: stamp(name) | {b"isocost.metric_schema_version": b"0"}
    )
    lab_store.write(lab["out_frontiers"], "out_frontiers")
    query = tmp_path / "query.sql"
    query.write_text("SELECT * FROM out_frontiers", encoding="utf-8")
    with (
        sql.session(lab_store) as connection,
        pytest.raises(IsocostError, match=rf"{path.name}: has schema version 0"),
    ):
        sql.run_file(connection, query)


def test_the_frontier_view_names_equal_outcomes_once(lab, database):
    path = sql.sql_root() / "views" / "frontier.sql"
    wanted = lab["out_frontier_points"].filter(
        (pl.col("frontier_kind") == "policy") & pl.col("is_on_frontier")
    )
    before = sql.run_file(database, path)
    assert before.height == wanted.height
    # A twin under another name, marked as the group's first and as the knee, is the same step.
    twin = "'a-twin' AS outcome_id, 'borda_at_k_x' AS strategy, true AS is_knee"
    one = (
        "WHERE frontier_kind = 'policy' AND outcome_id = (SELECT min(outcome_id) FROM frontier_one)"
    )
    database.execute(f"CREATE TEMP TABLE frontier_one AS ({path.read_text(encoding='utf-8')})")
    database.execute(
        f"INSERT INTO out_frontier_points SELECT * REPLACE ({twin}) FROM out_frontier_points {one}"
    )
    after = sql.run_file(database, path)
    assert after.height == before.height
    assert set(after["strategy"]) == {"majority_at_k", "one_sample"}
    assert after["is_knee"].sum() > before["is_knee"].sum()


def test_the_examples_answer_their_questions(lab, database):
    answers = {path.stem: sql.run_file(database, path) for path in sql.sql_files("examples")}
    cheapest = answers["cheapest_for_a_target"]
    assert (
        set(cheapest["task"]) == {"adding"}
        and cheapest["accuracy"].min() >= 0.5
        and cheapest["chance"].min() >= 0.5
    )
    outcomes = lab["out_strategy_outcomes"].filter(
        (pl.col("strategy_kind") == "policy") & (pl.col("accuracy") >= 0.5)
    )
    assert cheapest["output_tokens_per_problem"].min() == pytest.approx(
        outcomes["output_tokens_per_problem"].min(), abs=0.05
    )
    gains = answers["gain_per_thousand_tokens"]
    assert gains.select("from_samples", "to_samples").unique().sort("from_samples").rows() == [
        (1.0, 4.0),
        (4.0, 8.0),
    ]
    row = gains.row(0, named=True)
    assert row["points_per_1000_tokens"] == pytest.approx(
        1000 * row["points_gained"] / row["more_tokens"], rel=0.02, abs=0.1
    )
    votes = answers["where_voting_stops_paying"]
    assert votes.height == 4 and (votes["accuracy"] >= votes["accuracy_of_one"]).all()
