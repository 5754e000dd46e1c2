"""Pictures of the main pages for the documentation.

    lookalike serve scenes.lookalike --no-browser     (prints a link)
    python -m tests.web.screenshots LINK docs/images

The collection is one of generated scenes, indexed with a model learned on scenes. A model was
learned in the browser, and two evaluations were made.
"""

import io
import sys
from pathlib import Path
from urllib.parse import urljoin

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.web.browsing import CHROMIUM, FLAGS

SIZE = {"width": 1280, "height": 960}


def save(page: Page, path: Path) -> None:
    page.wait_for_timeout(2500)
    Image.open(io.BytesIO(page.screenshot())).save(path, "WEBP", quality=80, method=6)


def paint(page: Page, label: str, x0: float, y0: float, x1: float, y1: float) -> None:
    page.locator(f'[data-name="{label}"]').click()
    page.locator("[name=paint-tool][value=box]").check()
    box = page.locator("#panel-layout canvas").bounding_box()
    page.mouse.move(box["x"] + x0 * box["width"], box["y"] + y0 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + x1 * box["width"], box["y"] + y1 * box["height"], steps=5)
    page.mouse.up()


def layout(page: Page, home: str, folder: Path) -> None:
    page.goto(home)
    page.get_by_role("button", name="Layout", exact=True).click()
    paint(page, "water", 0.02, 0.6, 0.98, 0.98)
    paint(page, "house", 0.55, 0.35, 0.92, 0.75)
    page.wait_for_url("**map=*")
    save(page, folder / "web-layout.webp")


def colors(page: Page, home: str, folder: Path) -> None:
    cells = ".".join(["-"] * 40 + ["e0b070"] * 24)
    page.goto(f"{home}?colors=%23d8604c:40&cells={cells}")
    save(page, folder / "web-colors.webp")


def hits(page: Page, home: str, folder: Path) -> None:
    page.goto(f"{home}?like=17")
    page.locator("#show-layout").check()
    save(page, folder / "web-hits.webp")


def learn(page: Page, home: str, folder: Path) -> None:
    page.goto(urljoin(home, "/learn/"))
    page.locator("tr:has(.state.done) a").first.click()
    page.locator(".plot svg").first.hover()
    save(page, folder / "web-learn.webp")


def evaluate(page: Page, home: str, folder: Path) -> None:
    page.goto(f"{home}evaluate/")
    page.locator("table a").first.click()
    page.get_by_label("Beside").select_option(index=1)
    page.get_by_role("button", name="Compare").click()
    page.locator(".plot svg").first.scroll_into_view_if_needed()
    page.locator(".plot svg").first.hover()
    save(page, folder / "web-evaluate.webp")


def main() -> None:
    link, folder = sys.argv[1], Path(sys.argv[2])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.goto(link)
        home = page.url
        for picture in (layout, colors, hits, learn, evaluate):
            picture(page, home, folder)
        browser.close()


if __name__ == "__main__":
    main()
