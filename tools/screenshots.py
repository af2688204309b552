"""Pictures of the chat page: every tab, light and dark, wide and narrow.

    python -m tools.screenshots FOLDER [--scenes port town] [--model NAME]

Without a model a scripted one answers with the true masks of the bundled rendered pictures: then the pictures show the
page, not what a model finds. Needs Debian's chromium.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from geoagent.app.loading import LoadedOnce
from geoagent.app.serve import serve
from geoagent.data.synth import render_scene
from geoagent.demo import demo
from geoagent.types import AnnotatedScene
from tools.make_demos import SCENES, SIDE
from tools.oracle import Oracle

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"wide": (1440, 960), "narrow": (390, 844)}
TABS = ("image", "map", "table", "steps", "compare")
_PATIENCE_MS = 60_000


def find_chromium() -> str | None:
    """Where the browser is; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """A browser that asks for nothing but the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def ask(page: Page, question: str) -> None:
    """Write a question and wait for its answer."""
    answers = page.locator(".ga-answer").count()
    page.fill("#ga-box textarea", question)
    page.press("#ga-box textarea", "Enter")
    page.wait_for_function("n => document.querySelectorAll('.ga-answer').length > n", arg=answers)
    page.wait_for_function("document.querySelector('#ga-status .ga-wait') === null")


def take_all(browser: Browser, address: str, second: Path, folder: Path) -> list[Path]:
    """Go through the page in every size and colour scheme."""
    taken = []
    for scheme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            options: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": height}}
            page = browser.new_page(**options, device_scale_factor=1)
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(address)
            page.wait_for_selector(".ga-chip")
            page.wait_for_selector(".ga-facts dd")
            stem = f"{scheme}-{size}"
            taken.append(_shot(page, folder / f"{stem}-start.png"))
            page.set_input_files("#ga-box input[type=file]", second)
            page.wait_for_selector("#ga-box .thumbnail-item, #ga-box .thumbnails")
            page.press("#ga-box textarea", "Enter")
            page.wait_for_selector(".ga-facts dt:text-is('CRS')")
            page.wait_for_function("document.querySelector('#ga-status .ga-wait') === null")
            page.click("#ga-examples button")
            page.click('.ga-chip[data-example="0"]')
            page.wait_for_selector(".ga-answer")
            ask(page, "Segment the ships, the cars and the helipad.")
            for tab in TABS:
                page.click(f'[data-tab="{tab}"]')
                page.wait_for_timeout(900 if tab == "compare" else 300)
                taken.append(_shot(page, folder / f"{stem}-{tab}.png"))
            page.close()
    return taken


def _shot(page: Page, path: Path) -> Path:
    page.wait_for_timeout(400)
    page.screenshot(path=path, full_page=True)
    return path


def rendered_scenes(names: Sequence[str]) -> dict[Path, AnnotatedScene]:
    """The bundled pictures with their truth: rendered anew, from the same seeds."""
    return {demo(name).path: render_scene(SCENES[name][1], SIDE, landscape=SCENES[name][0]) for name in names}


def warm_model(name: str) -> LoadedOnce:
    """A model that has answered once."""
    import geoagent

    model = LoadedOnce(name, lambda: geoagent.load(name))
    model.warm_up()
    return model


def main() -> None:
    """Parse, serve, take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", nargs="+", default=["port", "town"], choices=list(SCENES))
    parser.add_argument("--model", help="a model that answers itself, see geoagent models")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    page = serve(warm_model(args.model) if args.model else Oracle(rendered_scenes(args.scenes)))
    try:
        with headless_browser() as browser:
            for path in take_all(browser, page.address, demo(args.scenes[-1]).path, args.folder):
                print(path)
    finally:
        page.close()


if __name__ == "__main__":
    main()
