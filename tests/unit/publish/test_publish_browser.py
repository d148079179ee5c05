"""The report in a real browser: opened from disk, offline, every choice draws, nothing runs out of a telephone's screen."""

from __future__ import annotations

import shutil

import pytest

from isocost.publish.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_draws_every_choice_offline(lab_store):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: extra `dev`")
    path = write_report(lab_store)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        problems, requests = [], []
        page.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#curves-1 svg.marks")
        assert page.locator("svg.marks").count() == 4
        title = page.locator("#frontier-0 .role-axis-title text").first
        assert title.text_content() == "Generated tokens a problem"
        page.select_option("#cost-axis", "flops_per_problem")
        page.wait_for_function("document.querySelector('#frontier-0 .role-axis-title text').textContent.startsWith('Compute')")
        assert page.locator("[data-axis]:visible").count() == 2
        page.select_option("#strategy", "pass_at_k")
        assert page.locator("[data-strategy]:visible").count() == 1
        page.set_viewport_size({"width": 400, "height": 800})
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        browser.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "blob:", "data:"))] == []
