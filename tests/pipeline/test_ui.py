"""The UI as a person sees it.

The asset graph in headless Chromium, and a run launched from a page.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, FLAGS
from pipeline_place import Place

pytestmark = pytest.mark.pipeline


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def ui(built: tuple[Place, str], repo: Path) -> Iterator[str]:
    """The address of a served UI over the shared build."""
    place, _ = built
    pytest.importorskip(
        "dagster_webserver", reason="dagster-webserver is not installed: extra `ui`"
    )
    port = free_port()
    log = (place.folder / "ui.log").open("w")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-w",
            "workspace.yaml",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ],
        cwd=repo,
        env=place.environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/server_info", timeout=2).read()
                break
            assert process.poll() is None, (place.folder / "ui.log").read_text()
            assert time.monotonic() < until, (place.folder / "ui.log").read_text()
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


@pytest.fixture(scope="module")
def page(ui: str):
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package `chromium`")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: extra `dev`"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1600, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def keep(page, name: str) -> None:
    """Leaves a screenshot where ISOCOST_SCREENSHOTS says."""
    folder = os.environ.get("ISOCOST_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_the_asset_graph_shows_every_layer(ui: str, page) -> None:
    page.goto(f"{ui}/asset-groups")
    for group in ("raw", "core", "out", "publish"):
        page.get_by_text(group, exact=True).first.wait_for()
    keep(page, "asset-graph")
    page.goto(f"{ui}/locations/isocost/asset-groups/core/list")
    for table in ("core_samples", "core_sessions"):
        page.get_by_text(table, exact=True).first.wait_for()
    keep(page, "core-list")


def test_the_frontier_figure_is_on_the_assets_page(ui: str, page) -> None:
    page.goto(f"{ui}/assets/out_frontier_points?view=overview")
    page.get_by_text("Show Markdown").first.click()
    figure = page.locator('img[src^="data:image/svg+xml"]').first
    figure.wait_for()
    # Whole: within the dialog, which hides what is wider than itself.
    inside = "image => [image.clientWidth, image.closest('[role=dialog], .bp5-dialog, body').clientWidth, image.naturalHeight]"
    width, room, height = figure.evaluate(inside)
    assert 300 < width <= room and height > 100
    keep(page, "frontier-asset")


def test_schedules_and_sensors_can_be_switched_on(ui: str, page) -> None:
    page.goto(f"{ui}/automation")
    for name in ("nightly_refresh", "sweep_folder", "inbox_folder"):
        page.get_by_text(name).first.wait_for()
    keep(page, "automation")


def test_a_run_launched_from_the_ui_succeeds(ui: str, page, built: tuple[Place, str]) -> None:
    report = built[0].store.report
    before = report.stat().st_mtime_ns
    page.goto(f"{ui}/locations/isocost/jobs/derive_and_publish")
    page.get_by_role("button", name="Materialize all").click()
    page.wait_for_timeout(1000)
    keep(page, "launched")
    page.goto(f"{ui}/runs?q[0]=job%3Aderive_and_publish")
    page.get_by_text("Success", exact=True).first.wait_for(timeout=180_000)
    keep(page, "run-succeeded")
    assert report.stat().st_mtime_ns > before
