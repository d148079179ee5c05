"""The published report in a real browser.

Opened from disk, offline, every choice draws, nothing runs out of a telephone's screen.
"""

from __future__ import annotations

import pytest
from browser import CHROMIUM, FLAGS
from pipeline_place import Place

pytestmark = pytest.mark.pipeline

BEYOND = """[...document.querySelectorAll("td")].filter((cell) => cell.offsetParent !== null)
    .filter((cell) => { const box = cell.getBoundingClientRect(); return box.left < 0 || box.right > window.innerWidth; })
    .map((cell) => cell.textContent)"""


def test_the_page_draws_every_choice_offline(built: tuple[Place, str]) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package `chromium`")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: extra `dev`"
    )
    place, _ = built
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        problems, requests = [], []
        page.on(
            "console",
            lambda message: (
                problems.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(place.store.report.as_uri())
        page.wait_for_selector("#frontier-0 svg.marks")
        titles = set()
        for option in page.locator("#cost-axis option").all():
            page.select_option("#cost-axis", option.get_attribute("value"))
            title = option.text_content()
            page.locator("#frontier-0 .role-axis-title text", has_text=title).first.wait_for()
            titles.add(title)
            assert page.locator("[data-axis]:visible").count() >= 1
        assert "Generated tokens per problem" in titles
        for option in page.locator("#strategy option").all():
            page.select_option("#strategy", option.get_attribute("value"))
            assert page.locator("[data-strategy]:visible").count() == 1
        # What a screen reader meets: menus with a name, a figure's label instead of hundreds of
        # nameless marks.
        assert (
            page.locator("summary[aria-label='Save this figure']").count()
            == page.locator(".chart svg.marks[aria-hidden=true]").count()
            > 0
        )
        assert page.locator("figure:not([aria-label])").count() == 0
        for width in (400, 360):
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(600)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            # Every value of every visible table is on the screen, without scrolling sideways.
            assert page.evaluate(BEYOND) == []
        browser.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "blob:", "data:"))] == []
