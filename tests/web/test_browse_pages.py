"""The page Browse at a real browser; the first test makes what the others look at."""

import re

import pytest

from tests.web.browsing import CHROMIUM, LISTENING, check_for_everybody, collection_address
from tests.web.conftest import N

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]


@pytest.fixture(scope="module")
def grouped(signed_in, served):
    """Clusters and a map, as an editor has them made; the address of the collection."""
    page = signed_in.new_page()
    page.goto(served.first)
    page.get_by_role("link", name="Browse", exact=True).click()
    page.get_by_label("Clusters", exact=True).fill("4")
    page.get_by_role("button", name="Make clusters").click()
    page.get_by_text("See the clusters").click(timeout=60_000)
    assert page.locator(".group").count() == 4
    page.get_by_role("link", name="Map", exact=True).click()
    page.get_by_role("button", name="Make the map").click()
    page.get_by_text("See the map").click(timeout=60_000)
    address = collection_address(page)
    page.close()
    return address


@pytest.fixture
def map_page(page, grouped):
    page.goto(f"{grouped}browse/map/")
    page.locator("[data-ready='1']").wait_for()
    return page


def middle_of(page):
    box = page.locator("#map canvas").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def picked(page):
    return page.locator("[data-count]").inner_text()


def test_a_cluster_is_opened_its_pictures_picked_with_shift_and_searched_with(page, grouped):
    page.goto(f"{grouped}browse/")
    page.locator(".group h2 a").first.click()
    boxes = page.locator(".pickable input")
    page.locator(f"{LISTENING} .pickable input").first.wait_for()
    n = min(4, boxes.count())
    page.locator(".picked").wait_for(state="hidden")
    boxes.nth(0).click()
    boxes.nth(n - 1).click(modifiers=["Shift"])
    assert picked(page) == f"{n} picked"
    page.get_by_role("button", name="Search with these").click()
    page.wait_for_url("**like=*")
    assert page.url.count("like=") == n
    assert page.locator(".chip.plus").count() == n
    page.go_back()
    page.get_by_role("link", name="Search with this cluster").click()
    page.locator(".score").first.wait_for()


def test_picked_pictures_are_downloaded(page, grouped):
    page.goto(f"{grouped}browse/")
    page.locator(".group h2 a").first.click()
    page.locator(".pickable input").first.check()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Export as CSV").click()
    assert waited.value.suggested_filename == "photos.csv"
    page.get_by_role("button", name="Clear").click()
    page.locator(".picked").wait_for(state="hidden")


def test_a_subject_is_browsed_down_to(page, grouped):
    page.goto(f"{grouped}browse/")
    page.get_by_role("link", name="Subjects").click()
    page.get_by_role("link", name="animal", exact=True).click()
    page.get_by_role("link", name="cat", exact=True).click()
    assert page.locator("h1").inner_text() == "cat 3 pictures"
    assert page.locator(".pickable").count() == 3
    page.get_by_role("link", name="animal", exact=True).click()
    page.wait_for_url("**subject=animal")


def colors_seen(page):
    """How many different colors the map shows; a canvas that failed shows one."""
    return page.evaluate(
        """async () => {
          const canvas = document.querySelector('#map canvas');
          const copy = document.createElement('canvas');
          [copy.width, copy.height] = [canvas.width, canvas.height];
          const pen = copy.getContext('2d');
          window.dispatchEvent(new Event('resize'));
          canvas.dispatchEvent(new KeyboardEvent('keydown', {key: '0'}));
          // What was drawn can be read in the frame in which it was drawn.
          await new Promise((done) => requestAnimationFrame(done));
          pen.drawImage(canvas, 0, 0);
          const data = pen.getImageData(0, 0, copy.width, copy.height).data;
          const seen = new Set();
          for (let at = 0; at < data.length; at += 4 * 53)
            seen.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
          return seen.size;
        }"""
    )


def zoom_in(address):
    return float(address.rpartition("%2C")[2])


def test_the_map_shows_pictures_and_its_view_is_a_link(map_page):
    assert colors_seen(map_page) > N
    map_page.mouse.move(*middle_of(map_page))
    map_page.mouse.wheel(0, -400)
    map_page.wait_for_url(lambda address: "at=" in address and not address.endswith("1.00"))
    zoom = float(map_page.url.rpartition("%2C")[2])
    assert zoom > 1.5
    map_page.reload()
    map_page.locator("[data-ready='1']").wait_for()
    map_page.locator("[data-zoom='0.625']").click()
    map_page.wait_for_url(lambda address: not address.endswith(f"{zoom:.2f}"))
    assert zoom_in(map_page.url) == pytest.approx(0.625 * zoom, abs=0.02)


def test_a_lasso_picks_and_a_click_opens(map_page):
    box = map_page.locator("#map canvas").bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2)]
    corners += [(2, box["height"] - 2)]
    map_page.locator("[data-lasso]").click()
    map_page.mouse.move(box["x"] + 2, box["y"] + 2)
    map_page.mouse.down()
    for across, down in corners[1:]:
        map_page.mouse.move(box["x"] + across, box["y"] + down)
    map_page.mouse.up()
    assert picked(map_page) == f"{N} picked"
    map_page.get_by_role("button", name="Clear").click()
    map_page.locator("[data-lasso]").click()
    map_page.keyboard.down("Shift")
    map_page.mouse.move(box["x"] + 2, box["y"] + 2)
    map_page.mouse.down()
    for across, down in [(box["width"] - 2, 2), (box["width"] / 2, box["height"] / 2)]:
        map_page.mouse.move(box["x"] + across, box["y"] + down)
    map_page.mouse.up()
    map_page.keyboard.up("Shift")
    some = map_page.locator("[name=ids]").input_value().split(",")
    assert 0 < len(some) < N
    map_page.get_by_role("button", name="Search with these").click()
    map_page.wait_for_url("**like=*")
    assert re.findall(r"like=(\d+)", map_page.url) == some


def test_the_map_is_used_without_a_mouse(map_page):
    map_page.locator("#map canvas").focus()
    for key in ("+", "ArrowLeft", "ArrowRight", "Space"):
        map_page.keyboard.press(key)
    assert picked(map_page) == "1 picked"
    name = map_page.locator(".about p")
    name.get_by_text(".png").wait_for()
    chosen = map_page.locator("[name=ids]").input_value()
    map_page.keyboard.press("Enter")
    map_page.wait_for_url(f"**/i/{chosen}/")


def test_without_webgl_the_list_is_named(page, grouped):
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page.goto(f"{grouped}browse/map/")
    page.locator("[data-ready='none']").wait_for()
    assert "needs WebGL2" in page.locator(".cover").inner_text()
    page.get_by_role("link", name="The same as a list: clusters").click()
    page.locator(".group").first.wait_for()


@pytest.mark.parametrize("place", ["", "clusters/0/", "subjects/", "map/"])
def test_nothing_keeps_people_out_of_browsing(page, grouped, place):
    page.goto(f"{grouped}browse/{place}")
    check_for_everybody(page)
