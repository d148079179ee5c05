"""The payload beside a measuring source.

Which source it opens, the idle stretch it marks, what it writes down.
"""

import types

import pytest

from isocost.capabilities import capabilities_of
from isocost.payload import session as payload
from isocost.payload.crew import Crew
from isocost.payload.loop import Stop
from isocost.telemetry import DeviceReading


class Engine:
    def __init__(self, name, device="cuda", devices=1):
        self.name, self.described = name, {"device": device, "devices": devices}
        self.capabilities = capabilities_of(name)

    def describe(self):
        return self.described


class Writer:
    def __init__(self):
        self.manifest, self.rows = types.SimpleNamespace(info={}), []

    def update(self, **info):
        self.manifest.info.update(info)

    def append(self, table, rows):
        self.rows += rows


class Source:
    name, unknown_reason = "nvml", None

    def read(self, slow=True):
        return [DeviceReading("GPU-a", power_w=70.0)]

    def describe(self):
        return {}

    def close(self):
        pass


@pytest.fixture
def opened(monkeypatch):
    calls = []

    def open_source(kind, **named):
        calls.append((kind, named))
        return Source()

    monkeypatch.setattr("isocost.telemetry.open_source", open_source)
    monkeypatch.setattr(payload, "IDLE_S", 0.2)
    return calls


def session(telemetry="auto"):
    return types.SimpleNamespace(telemetry=telemetry)


def test_only_the_engines_own_devices_are_read(opened):
    writer = Writer()
    with payload._power(session(), Crew(Engine("vllm", devices=4)), writer, Stop()):
        pass
    assert opened == [("auto", {"count": 4, "device": "cuda"})]
    start, end = writer.manifest.info["telemetry"]["idle_s"]
    assert 0.2 <= end - start < 2 and writer.rows[0]["monotonic_s"] <= start + 0.1
    assert writer.manifest.info["telemetry"]["sampling"]["reads"] == len(writer.rows) >= 2


def test_an_engine_elsewhere_is_not_charged_with_this_machines_power(opened):
    writer = Writer()
    with payload._power(session(), Crew(Engine("openai")), writer, Stop()):
        pass
    assert opened == [] and writer.rows == [] and "idle_s" not in writer.manifest.info["telemetry"]
    assert (
        "openai does not compute on this machine"
        in writer.manifest.info["telemetry"]["unknown_reason"]
    )


def test_who_names_a_source_has_it_read_beside_any_engine(opened):
    with payload._power(session("nvml"), Crew(Engine("openai", None, None)), Writer(), Stop()):
        pass
    assert opened == [("nvml", {"count": None, "device": None})]


def test_a_stop_ends_the_rest(opened, monkeypatch):
    monkeypatch.setattr(payload, "IDLE_S", 60.0)
    stop = Stop()
    stop.signal_number = 15
    with payload._power(session(), Crew(Engine("vllm", "cpu")), Writer(), stop):
        pass
    assert opened == [("auto", {"count": 1, "device": "cpu"})]
