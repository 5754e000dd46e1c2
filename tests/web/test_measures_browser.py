"""Learning and evaluating, by a person at a real browser."""

import re
import shutil

import pytest

from tests.web.browsing import (
    CHROMIUM,
    LISTENING,
    check_for_everybody,
    collection_address,
    serving,
)
from tests.web.conftest import N

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]


def evaluate(page, mixture):
    page.goto(collection_address(page) + "evaluate/")
    page.get_by_label("What counts").select_option(mixture)
    page.get_by_role("button", name="Evaluate").click()
    page.get_by_role("link", name="See the report").click(timeout=60_000)
    page.locator(f"{LISTENING} .chart").first.wait_for()


def test_a_collection_is_judged_looked_at_by_keys_and_compared(page):
    page.goto(collection_address(page) + "evaluate/")
    check_for_everybody(page)
    page.goto(page.url.replace("evaluate/", ""))
    evaluate(page, "content")
    home = collection_address(page)
    check_for_everybody(page)
    along = page.get_by_label("Look along Precision", exact=True)
    along.focus()
    page.keyboard.press("Home")
    readout = page.locator(".chart").first.locator(".readout")
    assert re.match(r"k 1: content, own labels [01]", readout.inner_text())
    assert along.get_attribute("aria-valuetext") == readout.inner_text()
    page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith("k 2: ")
    page.locator(".chart .shows-8").first.uncheck()
    assert not page.locator(".chart").first.locator("g.of-8").is_visible()
    page.keyboard.press("Tab")
    along.press("ArrowRight")
    assert "by chance" not in readout.inner_text()
    page.locator(".chart").nth(1).locator(".plot svg").hover(position={"x": 60, "y": 40})
    assert page.locator(".chart").nth(1).locator(".readout").inner_text().startswith("k ")
    page.goto(home)
    evaluate(page, "layout")
    page.get_by_label("Beside").select_option(index=1)
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Beside content").wait_for()
    check_for_everybody(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    assert download.value.suggested_filename.endswith(".json")


@pytest.mark.slow
def test_a_model_is_ordered_from_generated_scenes_and_cancelled(page, served):
    page.goto(f"{served.home}/learn/")
    check_for_everybody(page)
    page.get_by_role("link", name="Try it on 400 generated scenes").click()
    page.get_by_text("Kept to measure on").wait_for()
    check_for_everybody(page)
    page.get_by_label("Minutes at most").fill("0")
    page.get_by_role("button", name="Learn", exact=True).click()
    page.get_by_text("no number of minutes").wait_for()
    assert page.get_by_label("Name of the model").input_value() == "scenes 400"
    page.get_by_label("Minutes at most").fill("")
    page.get_by_label("Name of the model").press("Enter")
    page.get_by_role("button", name="Cancel").wait_for()
    check_for_everybody(page)
    page.get_by_role("button", name="Cancel").click()
    page.locator(".state.cancelled").wait_for()


@pytest.mark.slow
def test_a_model_is_learned_before_ones_eyes_and_used(
    gallery, tmp_path, browser, monkeypatch, signed_in
):
    monkeypatch.setenv("LOOKALIKE_ROOT", str(gallery.parent / "pictures"))
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    own = shutil.copytree(gallery, tmp_path / gallery.name)
    with serving(own, tmp_path / "home") as server:
        context = browser.new_context()
        context.add_cookies(server.cookies)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.goto(f"{server.home}/learn/?dataset=scenes:60")
        page.get_by_label("Quick").check()
        page.get_by_text("More options").click()
        for name, value in (
            ("Passes over the pictures", "3"),
            ("Passes over label maps", "3"),
            ("Side of pictures, pixels", "32"),
        ):
            page.get_by_label(name).fill(value)
        page.get_by_role("button", name="Learn", exact=True).click()
        page.locator(".chart").first.wait_for(timeout=120_000)
        page.get_by_role("heading", name="Use the model").wait_for(timeout=120_000)
        check_for_everybody(page)
        assert page.complaints == []
        page.get_by_label("Name of the collection").fill("Seen anew")
        page.get_by_role("button", name="Make and index").click()
        page.get_by_text(f"{N} indexed").wait_for(timeout=120_000)
        context.close()
