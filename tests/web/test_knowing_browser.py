"""Labeling, deciding about duplicates, saving and exporting, by a person at a real browser."""

import re

import pytest

from lookalike import Collection
from lookalike.knowing.deduplicating import decide
from tests.web.browsing import CHROMIUM, LISTENING, check_for_everybody, serving
from tests.web.copies import HALF, SMALL, copy_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]


@pytest.fixture(scope="module")
def own(gallery, tmp_path_factory):
    """A copy with duplicates for this module, whose server changes it."""
    own = copy_of(gallery, tmp_path_factory.mktemp("knowing"))
    with Collection.open(own, writable=True) as collection:
        decide(collection, "same", [1, HALF, SMALL])
    return own


@pytest.fixture(scope="module")
def served(own, tmp_path_factory):
    """A server of that copy."""
    with serving(own, tmp_path_factory.mktemp("home")) as server:
        yield server


def go(page, place):
    page.goto(re.match(r"http://[^/]+/c/[^/]+/", page.url)[0] + place)


def test_pictures_are_labeled_propagated_and_reviewed_by_keys(page, own):
    go(page, "label/")
    check_for_everybody(page)
    page.locator(".pick input").first.focus()
    page.keyboard.press("Space")
    assert not page.locator(".pick input").first.is_checked()
    page.locator("#words").fill("beach")
    page.keyboard.press("Enter")
    page.locator(".messages").wait_for()
    page.get_by_role("link", name="2 Propagate").click()
    page.get_by_text("You said so of").wait_for()
    check_for_everybody(page)
    page.get_by_role("button", name="Propagate").click()
    page.locator(f"{LISTENING} #question").wait_for()
    check_for_everybody(page)
    asked = page.locator("[name=id]").get_attribute("value")
    page.keyboard.press("n")
    page.get_by_text("Reviewed beach").wait_for()
    assert page.locator("[name=id]").get_attribute("value") != asked
    with Collection.open(own) as collection:
        said = collection.catalog.knowledge.annotations.statements()
    assert [each.holds for each in said if each.image_id == int(asked)] == [False]
    page.get_by_role("button", name="Take back the last").click()
    page.locator("#question").wait_for()
    assert page.locator("[name=id]").get_attribute("value") == asked


def test_copies_are_told_apart_and_that_can_be_undone(page):
    go(page, "duplicates/")
    page.locator(".side").nth(2).wait_for()
    check_for_everybody(page)
    page.locator("[aria-label$='is another picture']").first.click()
    page.get_by_text("different pictures from now on").wait_for()
    check_for_everybody(page)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("is forgotten").wait_for()
    with page.expect_download() as download:
        page.get_by_text("List of files that could go").click()
    assert download.value.suggested_filename.endswith("-copies.txt")


def test_a_search_is_saved_as_it_stands_and_exported(page):
    page.locator(".hit a.picture").first.click()
    page.wait_for_url("**like=*")
    page.locator("[name=cut]").check()
    page.wait_for_url("**cut=auto*")
    page.get_by_text("Saved searches").click()
    page.locator("#save-name").fill("the good ones")
    page.keyboard.press("Enter")
    page.get_by_text("Saved as the good ones").wait_for()
    assert "cut=auto" in page.url
    page.get_by_text("Saved searches").click()
    page.get_by_text("Export", exact=True).click()
    check_for_everybody(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert download.value.suggested_filename.endswith(".json")
    page.locator("#words").fill("saved:the")
    page.locator("#suggestions option[value='saved:the good ones']").wait_for(state="attached")


SAVE = """async (search) => {
  const token = JSON.parse(document.body.getAttribute("hx-headers:inherited"));
  const address = `/api/v1/collections/${location.pathname.split("/")[2]}/searches`;
  const headers = {...token, "Content-Type": "application/json"};
  await fetch(address, {method: "POST", headers, body: JSON.stringify(search)});
}"""


def test_a_search_that_no_address_can_say_is_opened_and_added_to(page):
    examples = [{"id": 1, "weight": 2}, {"id": 2, "weight": 0.5}]
    page.evaluate(SAVE, {"name": "weighed", "query": {"positives": examples, "sort": "name"}})
    page.reload()
    page.get_by_text("Saved searches").click()
    page.get_by_role("link", name="weighed").click()
    page.get_by_text("like picture 1 (counts 2)").wait_for()
    check_for_everybody(page)
    page.locator(f"{LISTENING} [name=cut]").check()
    page.wait_for_url("**cut=auto*")
    assert page.locator("[name=sort]").is_disabled()
    page.get_by_text("Saved searches").click()
    page.get_by_label("Delete weighed").click()
    page.get_by_text("weighed is deleted").wait_for()
    assert page.locator(".opened").count() == 0


def test_an_image_with_all_that_is_known_keeps_nobody_out(page):
    go(page, "i/1/")
    page.get_by_label("Labels to add").fill("dog")
    page.keyboard.press("Enter")
    page.get_by_text("said by a person").wait_for()
    check_for_everybody(page)
