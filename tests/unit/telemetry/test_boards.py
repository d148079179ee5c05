"""Boards as NVML describes them, and the words in which doctor reports them."""

from __future__ import annotations

import os
import types

import pytest

from isocost import doctor
from isocost.telemetry import Unavailable, installed_boards


def test_a_board_with_everything(fake_nvml, with_boards) -> None:
    mine, other = types.SimpleNamespace(pid=os.getpid()), types.SimpleNamespace(pid=4242)
    module = with_boards(fake_nvml.Board("GPU-1", processes=[mine, other], mig=0))
    (board,) = installed_boards()
    assert (board.uuid, board.driver, board.cuda) == ("GPU-1", "575.57.08", "13.0")
    assert board.power_limit_w == 700 and board.power_range_w == (200, 700)
    assert board.free_bytes == 10 * 2**30 and board.memory_bytes == 80 * 2**30
    assert board.foreign_processes == (4242,) and board.has_energy_counter
    assert not board.is_partitioned and module.open_count == 0


def test_what_a_driver_does_not_give_is_unknown(fake_nvml, with_boards) -> None:
    missing = fake_nvml.NVMLError_NotSupported("Not Supported")
    names = ("energy_mj", "limit_mw", "limits_mw", "clock", "clock_max", "processes")
    with_boards(fake_nvml.Board("GPU-1", **dict.fromkeys(names, missing)))
    (board,) = installed_boards()
    assert not board.has_energy_counter and board.foreign_processes is None
    assert (board.power_limit_w, board.power_range_w, board.sm_clock_mhz) == (None, None, None)
    (_, found) = doctor._accelerators()
    assert found.is_there and "no energy counter" in found.detail
    assert "power limit unknown (range unknown)" in found.detail


def test_no_driver_and_no_board_are_two_reasons(fake_nvml, with_boards) -> None:
    with_boards(start=fake_nvml.NVMLError("Driver Not Loaded"))
    with pytest.raises(Unavailable, match="NVIDIA driver, fails: Driver Not Loaded"):
        installed_boards()
    (found,) = doctor._accelerators()
    assert not found.is_there and "Driver Not Loaded: models run on the processor" in found.detail
    assert found.remedy
    module = with_boards()
    with pytest.raises(Unavailable, match=r"driver 575.57.08 lists no GPU"):
        installed_boards()
    assert module.open_count == 0


def test_doctor_reports_each_board(fake_nvml, with_boards) -> None:
    with_boards(
        fake_nvml.Board("GPU-1", processes=[], clock=345),
        fake_nvml.Board("GPU-2", name="NVIDIA A100", processes=[types.SimpleNamespace(pid=7)]),
    )
    driver, first, second = doctor._accelerators()
    assert driver.detail == "2, driver 575.57.08, CUDA 13.0"
    assert first.is_there and first.remedy == ""
    assert first.detail == (
        "NVIDIA H100 80GB HBM3, 10.0 of 80.0 GiB free, power limit 700 W (200 to 700 W can be set),"
        " energy counter, MIG off, 0 other processes"
    )
    assert not second.is_there and "Other processes compute on it (7)" in second.remedy


def test_doctor_reports_a_board_that_is_split(with_boards, fake_nvml, monkeypatch) -> None:
    module = with_boards(fake_nvml.Board("GPU-1", processes=[]))
    monkeypatch.setattr(module, "nvmlDeviceGetMigMode", lambda board: (1, 1))
    _, found = doctor._accelerators()
    assert not found.is_there and "MIG on" in found.detail and "turn it off" in found.remedy


def test_a_broken_driver_is_a_finding(fake_nvml, with_boards, monkeypatch) -> None:
    module = with_boards(fake_nvml.Board("GPU-1"))

    def broken() -> int:
        raise OSError("device is lost")

    monkeypatch.setattr(module, "nvmlDeviceGetCount", broken)
    (found,) = doctor._accelerators()
    assert not found.is_there and "device is lost" in found.detail
