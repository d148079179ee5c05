"""Power and energy logs.

Nvidia-smi, DCGM and codecarbon, with their units in cells, their missing values and their traps.
"""

from __future__ import annotations

from pathlib import Path

import importer_samples as files
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.importers.clock import unix_seconds
from isocost.importers.formats.csv_log import header_of, quantity
from isocost.tables.core.imports import build_imported_core


def brought_in(
    tmp_path: Path, name: str, path: Path
) -> tuple[tuple[str, ...], pl.DataFrame, dict[str, pl.DataFrame]]:
    report = import_path(name, path, tmp_path / "lake", unknown=files.ALL_UNKNOWN)
    raw = read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    return report.warnings, raw, build_imported_core(raw)


def text(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("stated", "utc", "has_zone"),
    [
        ("2024-05-30T11:03:37Z", 1717067017.0, True),
        ("2024-05-30T11:03:37", 1717067017.0, False),
        ("2024-05-30 13:03:37.250+02:00", 1717067017.25, True),
        ("2024/05/30 11:03:37.123", 1717067017.123, False),
        ("2024/5/3 11:03:37", 1714734217.0, False),
        ("05-30-2024 11:03:37.000", 1717067017.0, False),
    ],
)
def test_times_as_logs_write_them(stated: str, utc: float, has_zone: bool) -> None:
    assert unix_seconds(stated, "here") == (pytest.approx(utc), has_zone)


@pytest.mark.parametrize("stated", ["", "yesterday", "11:03", "2024-13-01T00:00:00"])
def test_what_is_no_time_is_an_error_with_its_place(stated: str) -> None:
    with pytest.raises(IsocostError, match="here"):
        unix_seconds(stated, "here")


@given(st.floats(0, 1e6), st.sampled_from(["W", "mW", "kW", "", None]), st.sampled_from(["", " "]))
def test_a_quantity_comes_back_from_its_cell(value: float, unit: str | None, gap: str) -> None:
    assert quantity(f"{value!r}{gap}{unit or ''}", "MHz", "x") == (value, unit or "MHz")


@pytest.mark.parametrize("cell", ["[N/A]", "N/A", "[Not Supported]", "", "nan", "[Unknown Error]"])
def test_words_for_nothing_are_nothing(cell: str) -> None:
    assert quantity(cell, "W", "x") is None


def test_units_stand_in_headers() -> None:
    assert header_of(["timestamp", "power.draw [W]", "", "Index"]) == {
        "timestamp": (0, None),
        "power.draw": (1, "W"),
        "index": (3, None),
    }


def test_nvidia_smi_over_two_boards(tmp_path: Path) -> None:
    warnings, raw, tables = brought_in(tmp_path, "nvidia_smi", files.nvidia_smi(tmp_path / "in"))
    (window,) = tables["core_energy_windows"].iter_rows(named=True)
    assert (window["window_kind"], window["energy_source"], window["energy_measure"]) == (
        "log",
        "nvidia_smi",
        "integral",
    )
    assert window["energy_j"] == pytest.approx(7 * 300.0) and window[
        "power_mean_w"
    ] == pytest.approx(300.0)
    assert set(raw["condition"]) == {'{"hardware":"2 x NVIDIA H100"}'} and raw[
        "device"
    ].unique().sort().to_list() == ["0", "1"]
    assert any("read as UTC" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("header", "cell", "watts"),
    [
        ("power.draw [W]", "58.67 W", 58.67),
        ("power.draw [W]", "58.67", 58.67),
        ("power.draw", "58670 mW", 58.67),
        ("power.draw", "58.67", 58.67),
    ],
)
def test_nvidia_smi_units_in_cell_header_or_nowhere(
    tmp_path: Path, header: str, cell: str, watts: float
) -> None:
    path = text(
        tmp_path / "a.csv",
        f"timestamp, {header}",
        *(f"2026/03/07 00:20:{s:02}.000, {cell}" for s in range(8)),
    )
    _, raw, tables = brought_in(tmp_path, "nvidia_smi", path)
    assert raw["power_w"].to_list() == [pytest.approx(watts)] * 8
    assert tables["core_sessions"]["energy_j"].to_list() == [pytest.approx(7 * watts)]


def test_nvidia_smi_board_without_a_sensor_has_no_energy(tmp_path: Path) -> None:
    path = text(
        tmp_path / "a.csv",
        "timestamp, power.draw [W]",
        *(f"2026/03/07 00:20:{s:02}.000, [N/A]" for s in range(8)),
    )
    _, raw, tables = brought_in(tmp_path, "nvidia_smi", path)
    assert raw["power_w"].null_count() == 8 and raw["null_reasons"][0].to_list() == [
        "power_w:source_says_there_is_none"
    ]
    assert tables["core_energy_windows"]["energy_j"].to_list() == [None]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (("2026/03/07 00:20:00.000, 58.67 W",), "no header with timestamp and power.draw"),
        (
            ("timestamp, temperature.gpu", "2026/03/07 00:20:00.000, 50"),
            "no header with timestamp and power.draw",
        ),
        (("timestamp, power.draw [W]", "noon, 50 W"), "line 2, time"),
        (("timestamp, power.draw [W]", "2026/03/07 00:20:00.000, much"), "is not a number"),
        (("timestamp, power.draw [W]", "2026/03/07 00:20:00.000, 5 hp"), "unit 'hp' is unknown"),
    ],
)
def test_nvidia_smi_faults_name_their_line(
    tmp_path: Path, lines: tuple[str, ...], what: str
) -> None:
    with pytest.raises(IsocostError) as caught:
        import_path(
            "nvidia_smi",
            text(tmp_path / "a.csv", *lines),
            tmp_path / "lake",
            unknown=files.ALL_UNKNOWN,
        )
    assert what in str(caught.value)


def test_dcgm_text_without_times_has_its_counters(tmp_path: Path) -> None:
    _, _, tables = brought_in(tmp_path, "dcgm", files.dcgm(tmp_path / "in"))
    (window,) = tables["core_energy_windows"].iter_rows(named=True)
    # 100 and 200 J each of the seven seconds between eight readings; how long that took nobody
    # wrote down.
    assert (
        window["energy_j"] == pytest.approx(7 * 300.0)
        and window["window_s"] is None
        and window["energy_source"] == "dcgm_counter"
    )


def test_dcgm_text_with_times_before_its_lines_and_a_header_that_repeats(tmp_path: Path) -> None:
    rows = [
        f"{1777708107 + s}.135 GPU {g}  {100 + 100 * g}.0  1410" for s in range(8) for g in range(2)
    ]
    head = ["1777708107.000 #Entity   POWER   SMCLK", "1777708107.000 ID        W       MHz"]
    path = text(tmp_path / "d.log", *head, *rows[:8], *head, *rows[8:])
    _, raw, tables = brought_in(tmp_path, "dcgm", path)
    (window,) = tables["core_energy_windows"].iter_rows(named=True)
    assert (
        raw.height == 16
        and window["energy_j"] == pytest.approx(7 * 300.0)
        and window["energy_measure"] == "integral"
    )


def test_dcgm_counter_that_falls_has_no_energy(tmp_path: Path) -> None:
    path = text(
        tmp_path / "d.txt", "#Entity TOTEC", "ID mJ", "GPU 0 5000", "GPU 0 9000", "GPU 0 100"
    )
    _, _, tables = brought_in(tmp_path, "dcgm", path)
    assert tables["core_energy_windows"]["energy_unknown_reason"].to_list() == ["counter_reset"]


def test_dcgm_csv_of_the_exporter_in_one_column_a_board_or_one_line_a_board(tmp_path: Path) -> None:
    lines = [
        f"2026-05-02T08:00:{s:02}Z,{g},A100,{100 + 100 * g}" for s in range(8) for g in range(2)
    ]
    long = text(tmp_path / "long.csv", "timestamp,gpu,modelName,DCGM_FI_DEV_POWER_USAGE", *lines)
    wide_head = 'Time,"DCGM_FI_DEV_POWER_USAGE{gpu=""0""}","DCGM_FI_DEV_POWER_USAGE{gpu=""1""}"'
    wide = text(
        tmp_path / "wide.csv", wide_head, *(f"{1777708800000 + 1000 * s},100,200" for s in range(8))
    )
    for number, path in enumerate((long, wide)):
        _, raw, tables = brought_in(tmp_path / str(number), "dcgm", path)
        assert raw["device"].n_unique() == 2
        assert tables["core_energy_windows"]["energy_j"].to_list() == [pytest.approx(7 * 300.0)]


def test_dcgm_names_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match="dcgmi dmon -e 155,156"):
        import_path(
            "dcgm",
            text(tmp_path / "a.csv", "time,temperature", "1,2"),
            tmp_path / "lake",
            unknown=files.ALL_UNKNOWN,
        )


HEAD = "timestamp,run_id,duration,emissions,energy_consumed,gpu_energy,gpu_count,gpu_model,tracking_mode,on_cloud"


def test_codecarbon_line_is_a_window(tmp_path: Path) -> None:
    path = text(
        tmp_path / "emissions.csv",
        HEAD,
        "2026-05-30T11:03:37,r,10.0,1e-5,0.001,0.0005,1,H100,machine,N",
    )
    _, _, tables = brought_in(tmp_path, "codecarbon", path)
    (window,) = tables["core_energy_windows"].iter_rows(named=True)
    assert (
        window["energy_j"] == pytest.approx(3600.0)
        and window["window_s"] == 10.0
        and window["energy_source"] == "codecarbon_machine"
    )
    assert window["stop_s"] - window["start_s"] == pytest.approx(10.0)
    stated = {
        row["metric"]: (row["value"], row["unit"])
        for row in tables["core_imported_metrics"].iter_rows(named=True)
    }
    assert stated["gpu_energy"] == (pytest.approx(1800.0), "J") and stated["emissions"] == (
        1e-5,
        "kg CO2eq",
    )


def test_codecarbon_zero_energy_over_time_is_no_measurement(tmp_path: Path) -> None:
    path = text(
        tmp_path / "emissions.csv", HEAD, "2026-05-30T11:03:37,r,10.0,0,0.0,0.0,1,H100,machine,N"
    )
    _, _, tables = brought_in(tmp_path, "codecarbon", path)
    assert tables["core_energy_windows"]["energy_unknown_reason"].to_list() == [
        "zero_energy_is_no_measurement"
    ]
    window = tables["core_imported_metrics"].filter(metric="window_energy")
    assert window["value"].to_list() == [None] and window["unknown_reason"].to_list() == [
        "zero_energy_is_no_measurement"
    ]


def test_codecarbon_totals_of_a_run_that_was_flushed_count_once(tmp_path: Path) -> None:
    lines = [
        f"2026-05-30T11:03:{t:02},r,{t}.0,1e-5,0.00{t // 10},0.0,1,H100,machine,N"
        for t in (10, 20, 30)
    ]
    warnings, _, tables = brought_in(
        tmp_path, "codecarbon", text(tmp_path / "emissions.csv", HEAD, *lines)
    )
    assert tables["core_energy_windows"]["energy_j"].to_list() == [pytest.approx(0.003 * 3.6e6)]
    assert any("2 lines left out" in warning for warning in warnings)


def test_codecarbon_line_that_lacks_its_empty_columns_is_put_right_and_reported(
    tmp_path: Path,
) -> None:
    lines = (
        "2026-05-30T11:03:37,a,10.0,1e-5,0.001,0.0,,,machine,N",
        "2026-05-30T11:04:37,b,10.0,1e-5,0.002,0.0,process,N",
    )
    warnings, raw, tables = brought_in(
        tmp_path, "codecarbon", text(tmp_path / "emissions.csv", HEAD, *lines)
    )
    assert tables["core_energy_windows"].sort("run_id")["energy_j"].to_list() == [
        pytest.approx(3600.0),
        pytest.approx(7200.0),
    ]
    assert raw["energy_method"].drop_nulls().to_list() == [
        "codecarbon_machine",
        "codecarbon_process",
    ]
    assert any("1 lines without gpu_count and gpu_model" in warning for warning in warnings)


@pytest.mark.parametrize(
    "line", ["2026-05-30T11:03:37,r,10.0", "2026-05-30T11:04:37,b,10.0,1e-5,0.002,0.0,N,process"]
)
def test_codecarbon_line_whose_columns_are_ambiguous_is_an_error(tmp_path: Path, line: str) -> None:
    path = text(tmp_path / "emissions.csv", HEAD, line)
    with pytest.raises(IsocostError, match=r"line 2.*unclear which are missing"):
        import_path("codecarbon", path, tmp_path / "lake", unknown=files.ALL_UNKNOWN)
