"""A person at a real browser, offline: every request to another host is refused and counts."""

import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.web.browsing import CHROMIUM, LISTENING, check_for_everybody, collection_address

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]

DROP = """async ([kind, name]) => {
  const bytes = await (await fetch(document.querySelector('.hit img').src)).blob();
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type: kind}));
  window.dispatchEvent(new DragEvent('dragenter', {dataTransfer: data, bubbles: true}));
  const options = {dataTransfer: data, bubbles: true, cancelable: true};
  window.dispatchEvent(new DragEvent('drop', options));
}"""
PASTE = """async () => {
  const bytes = await (await fetch(document.querySelector('.hit img').src)).blob();
  const data = new DataTransfer();
  data.items.add(new File([bytes], 'pasted.webp', {type: 'image/webp'}));
  const options = {clipboardData: data, bubbles: true, cancelable: true};
  window.dispatchEvent(new ClipboardEvent('paste', options));
}"""


def hits_of(page):
    return [
        int(re.search(r"/i/(\d+)/", each)[1])
        for each in page.locator(".hit a.picture").evaluate_all("all => all.map(a => a.href)")
    ]


def ask_for_the_first(page):
    page.locator(".hit a.picture").first.click()
    page.wait_for_url("**like=*")
    page.locator(".score").first.wait_for()


def test_a_click_on_a_picture_finds_others_like_it(page):
    ask_for_the_first(page)
    assert page.locator(".chip.plus").count() == 1
    assert len(hits_of(page)) > 10
    assert page.locator(".hit img").first.evaluate("image => image.decode().then(() => true)")


@pytest.mark.parametrize("how", ["drop", "paste", "pick"])
def test_a_picture_that_is_given_is_searched_for(page, tmp_path, how):
    if how == "drop":
        page.evaluate(DROP, ["image/webp", "dropped.webp"])
    elif how == "paste":
        page.evaluate(PASTE)
    else:
        Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(tmp_path / "picked.png")
        page.set_input_files("#pick", tmp_path / "picked.png")
    page.wait_for_url("**like=up.*")
    page.locator(".score").first.wait_for()
    assert page.locator(".chip.plus img").evaluate("image => image.decode().then(() => true)")


def test_what_was_set_before_the_scripts_ran_counts(page):
    held = []
    page.route("**/web/search*.js", lambda route: held.append(route))
    address = f"{collection_address(page)}?like=1"
    page.goto(address, wait_until="commit")
    page.locator("#show-layout").check()
    page.get_by_text("What counts").click()
    page.locator('[data-weight="layout"]').fill("3")
    page.locator("[name=sort]").select_option("name")
    assert page.url == address
    held[0].continue_()
    page.wait_for_url("**sort=name*w=content%3A1&w=layout%3A3*")
    page.locator(f"{LISTENING} .picture .layout").first.wait_for(state="visible")
    assert page.locator('[data-weight="layout"] + output').inner_text() == "3"


def test_what_is_no_picture_is_told(page, tmp_path):
    page.evaluate(DROP, ["text/plain", "notes.txt"])
    assert "no picture" in page.locator("#status").inner_text()


def test_a_slider_ranks_anew_in_place_and_the_address_follows(page):
    ask_for_the_first(page)
    before = hits_of(page)
    page.get_by_text("What counts").click()
    page.locator('[data-weight="content"]').fill("0")
    page.locator('[data-weight="layout"]').fill("3")
    page.wait_for_url("**w=*")
    page.wait_for_timeout(300)
    after = hits_of(page)
    assert sorted(before) == sorted(after)
    page.reload()
    assert hits_of(page) == after


def test_marks_steer_the_search_in_rounds_that_can_be_taken_back(page):
    ask_for_the_first(page)
    liked, disliked = hits_of(page)[0], hits_of(page)[5]
    page.get_by_label("Like picture 1", exact=True).click()
    page.locator(".hit").nth(5).locator("[data-mark]").first.focus()
    page.keyboard.press("d")
    assert page.locator("#marked span").inner_text() == "1 liked, 1 disliked"
    page.locator("[data-refine]").click()
    page.wait_for_url("**round=*")
    page.locator(".score").first.wait_for()
    assert not {liked, disliked} & set(hits_of(page))
    page.get_by_text("Take the last one back").click()
    page.wait_for_url(lambda address: "round" not in address)
    assert hits_of(page)[0] == liked


def test_a_part_of_a_picture_is_asked_with(page):
    ask_for_the_first(page)
    page.locator("[data-crop]").click()
    box = page.locator("#crop [data-box]")
    box.wait_for()
    page.wait_for_function("() => document.querySelector('#crop [data-side=width]').value")
    before = page.locator("#crop [data-side=width]").input_value()
    handle = page.locator("#crop [data-handle=e]").bounding_box()
    page.mouse.move(handle["x"] + 8, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(handle["x"] - 30, handle["y"] + 8, steps=4)
    page.mouse.up()
    dragged = page.locator("#crop [data-side=width]").input_value()
    assert int(dragged) < int(before)
    box.focus()
    page.keyboard.press("Shift+ArrowRight")
    assert int(page.locator("#crop [data-side=width]").input_value()) > int(dragged)
    page.locator("#crop [data-part]").click()
    page.wait_for_url("**like=*%40*")
    page.locator(".score").first.wait_for()
    assert page.locator(".chip .boxed").count() == 1


def test_colors_are_asked_for_by_share_and_by_place(page):
    page.get_by_role("button", name="Colors", exact=True).click()
    page.get_by_role("button", name="Add a color").click()
    page.wait_for_url("**colors=*")
    cell = page.locator(".cells button").first
    cell.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**cells=*")
    page.locator(".score").first.wait_for()
    names = page.locator(".hit").first.locator(".bars span").all_inner_texts()
    assert names == ["colors", "painted_colors"]
    page.reload()
    assert page.locator(".cells button").nth(1).get_attribute("aria-label").endswith("#3060c0")


def test_a_sketch_is_drawn_and_asked_for(page):
    page.get_by_role("button", name="Sketch", exact=True).click()
    box = page.locator("#panel-sketch canvas").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 180, steps=6)
    page.mouse.up()
    page.wait_for_url("**sketch=up.*")
    page.locator(".score").first.wait_for()


def test_words_and_filters_are_typed_with_suggestions(page):
    page.locator("#words").fill("wid")
    page.locator("#suggestions option[value='width:']").wait_for(state="attached")
    page.locator("#words").fill("width:>10")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=width*")
    page.locator(".hit").first.wait_for()
    page.locator("#words").fill("width:>ten")
    page.keyboard.press("Enter")
    page.locator(".error").wait_for()
    assert "at character" in page.locator(".error").inner_text()
    page.complaints[:] = [each for each in page.complaints if "422" not in each]


def test_the_layout_that_was_seen_lies_over_each_hit(page):
    ask_for_the_first(page)
    page.locator("#show-layout").check()
    seen = page.locator(".picture .layout").first
    seen.wait_for(state="visible")
    assert seen.evaluate("image => image.decode().then(() => image.naturalWidth)") > 1


def paint(page, label, x0, y0, x1, y1):
    page.locator(f'[data-name="{label}"]').click()
    page.locator("[name=paint-tool][value=box]").check()
    box = page.locator("#panel-layout canvas").bounding_box()
    page.mouse.move(box["x"] + x0 * box["width"], box["y"] + y0 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + x1 * box["width"], box["y"] + y1 * box["height"], steps=5)
    page.mouse.up()


def test_a_painted_layout_is_searched_for_and_is_a_link(page):
    page.get_by_role("button", name="Layout", exact=True).click()
    paint(page, "red", 0.02, 0.02, 0.98, 0.45)
    page.wait_for_url("**map=*")
    page.locator(".score").first.wait_for()
    before = hits_of(page)
    page.reload()
    page.locator("canvas[aria-label='Painted: red']").wait_for()
    assert hits_of(page) == before
    page.locator("#panel-layout [data-undo]").click()
    page.locator("#panel-layout [data-clear]").click()
    page.wait_for_url(lambda address: "map=" not in address)


def test_a_layout_is_painted_by_numbers_too(page):
    page.get_by_role("button", name="Layout", exact=True).click()
    page.get_by_text("Without a mouse: add").click()
    page.locator("[data-add-box]").click()
    page.wait_for_url("**map=*")
    assert page.locator("#panel-layout canvas").get_attribute("aria-label") == "Painted: red"


def test_one_picture_is_shown_with_what_was_seen_in_it(page):
    ask_for_the_first(page)
    page.locator(".hit a.picture").first.click()
    page.locator(f"{LISTENING} article.image").wait_for()
    shown = page.locator(".frame img").first
    own = shown.evaluate(
        "i => i.decode().then(() => new Promise(d => {"
        "const c = new Image(); c.onload = () => d(c.naturalWidth); c.src = i.src}))"
    )
    box = shown.bounding_box()
    assert box["width"] == pytest.approx(own / 0.334, abs=1)  # enlarged, and no further
    page.locator("#show-seen").check()
    assert page.locator("#seen").bounding_box() == pytest.approx(box)
    page.get_by_text("Find pictures like this").click()
    page.wait_for_url("**like=*")


def test_all_of_it_works_without_a_mouse(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.hit a')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**like=*")
    page.keyboard.press("Control+k")
    assert page.evaluate("document.activeElement.id") == "words"


@pytest.mark.parametrize("place", ["", "?like=1", "i/1/", "details/"])
def test_nothing_keeps_people_out(page, place):
    page.goto(collection_address(page) + place)
    check_for_everybody(page)


def test_nothing_keeps_people_out_of_backups(page, served):
    page.goto(f"{served.home}/backups/")
    page.get_by_role("button", name="Back up now").click()
    page.get_by_text("Delete…").first.click()
    page.get_by_role("button", name="Delete it").first.wait_for()
    check_for_everybody(page)


@pytest.mark.slow
def test_a_collection_is_verified_and_backed_up_while_one_watches(page, served):
    details = f"{collection_address(page)}details/"
    page.goto(details)
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("Everything is as it was written").wait_for()
    page.goto(details)
    page.get_by_role("button", name="Back up now").click()
    page.get_by_role("link", name="See the backups").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    with tarfile.open(download.value.path()) as archive:
        assert any(name.endswith("/backup.json") for name in archive.getnames())
    page.get_by_text("Restore…").click()
    page.get_by_label("Name of the new collection").fill("Copy")
    page.get_by_role("button", name="Restore", exact=True).click()
    page.get_by_role("link", name="See Copy").click()
    assert page.locator("h1, summary", has_text="Copy").count() > 0


@pytest.mark.parametrize("width", [360, 1920])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    ask_for_the_first(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_file_of_others_is_what_it_says():
    vendor = Path(__file__).parents[2] / "src/lookalike/web/static/vendor"
    for folder in vendor.iterdir():
        assert (folder / "LICENSE").is_file()
    ours = vendor.parents[1]
    for file in [*ours.glob("static/web/*"), *ours.rglob("*.html")]:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), file


def busy_at_first(page, pattern):
    """Let the server be busy when it is first asked for such an address."""
    asked = []

    def answer(route):
        asked.append(route.request.url)
        if len(asked) > 1:
            route.fallback()
        else:
            route.fulfill(status=503, headers={"Retry-After": "1"}, body="busy")

    page.route(re.compile(pattern), answer)
    return asked


def test_a_busy_server_is_asked_again(page):
    ask_for_the_first(page)
    asked = busy_at_first(page, r"[?&]w=")
    page.get_by_text("What counts").click()
    page.locator('[data-weight="content"]').fill("2")
    page.locator("#status", has_text="busy").wait_for()
    page.wait_for_url("**w=*")  # follows when the hits have come
    assert len(asked) >= 2  # those that follow are the next hits
    assert len(hits_of(page)) > 10
    forgive(page)


def test_a_small_picture_that_did_not_come_is_asked_for_again(page):
    asked = busy_at_first(page, r"/small\.webp")
    page.reload()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.hit img')].slice(0, 6).every(i => i.naturalWidth)"
    )
    assert len(asked) > len(set(asked))
    forgive(page)


def forgive(page):
    """The browser complains of an answer that says that the server is busy, as it should."""
    page.complaints[:] = [each for each in page.complaints if "503" not in each]
