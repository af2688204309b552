"""The chat page in a real browser: what a person does from the first click to the downloaded file."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from painted import GSD, SIDE, TANKS, painted_demo, painted_scene, write_scene
from PIL import Image

pytestmark = [pytest.mark.component, pytest.mark.slow]

OBJECTS = '[data-part="outlines"] .object'


@pytest.fixture
def visit(browser, served):
    """Open pages; each must ask nobody but our own server, and raise nothing."""
    contexts, foreign, errors = [], [], []

    def open_page(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: foreign.append(request.url))
        page.goto(served.address)
        page.wait_for_selector(".ga-chip")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [url for url in foreign if not url.startswith((served.address, "data:", "blob:"))]
    assert not errors


@pytest.fixture
def asked(visit):
    page = visit()
    page.click("text=Where is fuel kept?")
    wait_for_answers(page, 1)
    return page


def wait_for_answers(page, count):
    page.wait_for_function("n => document.querySelectorAll('.ga-answer').length === n", arg=count)
    page.wait_for_function("document.querySelector('#ga-status .ga-wait') === null")


def ask(page, question, answers):
    page.fill("#ga-box textarea", question)
    page.press("#ga-box textarea", "Enter")
    wait_for_answers(page, answers)


def wait_for_objects(page, count):
    page.wait_for_function(
        "([s, n]) => document.querySelectorAll(s).length === n", arg=[OBJECTS + ":not(.rejected)", count]
    )


def upload(page, *paths):
    page.set_input_files("#ga-box input[type=file]", list(paths))
    page.wait_for_selector("#ga-box .thumbnails, #ga-box .thumbnail-item")


def at(page, x, y):
    """Where a pixel of the image is on the screen."""
    box = page.locator('[data-part="picture"]').bounding_box()
    return box["x"] + x / SIDE * box["width"], box["y"] + y / SIDE * box["height"]


def download(page, label):
    with page.expect_download() as started:
        page.click(f"button.ga-get:text-is('{label}')")
    return Path(started.value.path()), started.value.suggested_filename


def test_an_example_is_answered_with_coloured_masks(asked):
    wait_for_objects(asked, len(TANKS))
    assert "storage tanks" in asked.inner_text(".ga-phrase")
    mask = asked.locator(OBJECTS).first.evaluate("node => getComputedStyle(node).stroke")
    phrase = asked.locator(".ga-phrase").evaluate("node => getComputedStyle(node).boxShadow")
    assert mask in phrase, "the phrase has another colour than its mask"
    facts = asked.inner_text(".ga-facts")
    for fact in ("oracle", "cpu", "EPSG:32633", "0.5 m a pixel", "1, 2, 3", "8-bit"):
        assert fact in facts


def test_a_follow_up_works_on_what_was_found(asked, oracle):
    before = oracle.questions
    began = time.perf_counter()
    ask(asked, "Which of those is the largest?", 2)
    assert time.perf_counter() - began < 10
    wait_for_objects(asked, 1)
    assert oracle.questions == before
    assert "largest of 3 storage tanks" in asked.locator(".ga-answer").last.inner_text()


def test_hover_tells_and_click_selects(asked):
    wait_for_objects(asked, len(TANKS))
    row, column, _ = TANKS[0]
    asked.mouse.move(*at(asked, column, row))
    asked.wait_for_selector('[data-part="tip"]:not([hidden])')
    assert "storage tanks" in asked.inner_text('[data-part="tip"]') and "m²" in asked.inner_text('[data-part="tip"]')
    asked.mouse.click(*at(asked, column, row))
    assert "storage tanks" in asked.inner_text('[data-part="chosen"]')


def test_a_drawn_point_goes_with_the_next_question(asked):
    row, column = 180, 80  # a ship
    asked.click('[data-tool="point"]')
    asked.mouse.click(*at(asked, column, row))
    assert asked.locator('[data-part="drawn"] .mark').count() == 1
    ask(asked, "What is this?", 2)
    assert "ship" in asked.locator(".ga-answer").last.inner_text()
    assert "with 1 point" in asked.inner_text("#ga-chat")
    assert asked.locator('[data-part="drawn"] .mark').count() == 0, "the point is still there"


@pytest.mark.parametrize(("tool", "said"), [("box", "1 box"), ("scribble", "1 scribble")])
def test_boxes_and_scribbles_are_drawn_by_dragging(asked, tool, said):
    asked.click(f'[data-tool="{tool}"]')
    asked.mouse.move(*at(asked, 122, 52))
    asked.mouse.down()
    asked.mouse.move(*at(asked, 130, 60), steps=4)
    asked.mouse.move(*at(asked, 139, 68), steps=4)
    asked.mouse.up()
    ask(asked, "this", 2)
    assert said in asked.inner_text("#ga-chat") and "storage tank" in asked.locator(".ga-answer").last.inner_text()


def test_filter_reject_undo_and_download(asked, oracle):
    before = oracle.questions
    asked.click('[data-tab="table"]')
    assert asked.locator("tr[data-key]").count() == 3
    asked.locator("tr[data-key] .ga-decide").first.click()
    asked.wait_for_selector("tr[data-key].rejected")
    path, name = download(asked, "GeoJSON")
    features = json.loads(path.read_text())["features"]
    assert name == "harbour-answer.geojson" and len(features) == 2
    expected = sorted(np.pi * (radius * GSD) ** 2 for _, _, radius in TANKS[1:])
    assert sorted(f["properties"]["area_m2"] for f in features) == pytest.approx(expected, rel=0.08)
    asked.click("#ga-undo")
    asked.wait_for_function("document.querySelectorAll('tr[data-key].rejected').length === 0")

    slider = asked.locator("input[type=range][aria-label*='range'], input[type=range]").first
    slider.focus()
    number = asked.locator("input[type=number]").first
    number.fill("0.97")
    number.press("Enter")
    slider.evaluate("node => { node.value = 0.97; node.dispatchEvent(new Event('input', {bubbles: true})); }")
    slider.dispatch_event("pointerup")
    asked.wait_for_function("document.querySelectorAll('tr[data-key]').length === 0")
    assert "Nothing found" in asked.inner_text("#ga-chat")
    assert oracle.questions == before, "filtering asked the model"


@pytest.mark.parametrize(
    ("label", "start"),
    [("GeoPackage", b"SQLite"), ("GeoTIFF", b"II"), ("COCO", b"{"), ("PNG", b"\x89PNG"), ("HTML", b"<!doctype html>")],
)
def test_every_format_downloads(asked, label, start):
    assert download(asked, label)[0].read_bytes().startswith(start)


def test_the_question_is_copied(asked):
    asked.click("text=Copy as Python")
    asked.wait_for_function("document.querySelector('#ga-code')?.innerText.includes('model.segment')")


def test_the_table_zooms_to_an_object(asked):
    asked.click('[data-tab="table"]')
    asked.locator("tr[data-key]").last.click()
    assert asked.get_attribute('[data-tab="image"]', "aria-selected") == "true"
    assert asked.locator(".object.chosen").count() == 1
    assert asked.locator('[data-part="picture"]').bounding_box()["width"] > 700


def test_map_and_steps(asked):
    asked.click('[data-tab="map"]')
    assert asked.locator(".ga-map .object").count() == len(TANKS)
    assert "° E" in asked.inner_text(".ga-map") or "° E" in asked.locator(".graticule").last.text_content()
    asked.click('[data-tab="steps"]')
    assert asked.locator(".ga-step figure").count() == 2
    assert "16 × 16 cells" in asked.inner_text(".ga-steps")
    asked.wait_for_function("[...document.querySelectorAll('.ga-under')].every(image => image.naturalWidth > 0)")


def test_a_geotiff_and_a_photo_are_uploaded_and_compared(visit, tmp_path):
    page = visit()
    Image.fromarray(painted_scene().image).save(tmp_path / "photo.png")
    upload(page, tmp_path / "photo.png", write_scene(painted_scene(), tmp_path / "mine.tif", shift=500.0))
    ask(page, "Is there a helipad?", 1)
    assert "Nothing found: the best score was 0.07" in page.inner_text("#ga-chat")
    assert "EPSG:32633" in page.inner_text(".ga-facts")
    page.select_option('[data-part="images"]', label="photo.png")
    page.wait_for_function("document.querySelector('.ga-facts').innerText.includes('unknown: sizes in pixels')")
    page.click('[data-tab="map"]')
    assert "no map" in page.inner_text('[data-pane="map"]')
    page.click('[data-tab="compare"]')
    page.wait_for_selector(".ga-swipe img >> nth=1")
    assert "edge to edge" in page.inner_text(".ga-swipe-bar")
    page.click("text=Side by side")
    assert page.locator(".ga-both .ga-swipe").count() == 2


@pytest.mark.parametrize("name", ["broken.tif", "broken.png"])
def test_garbage_gets_one_sentence(visit, tmp_path, name):
    page = visit()
    (tmp_path / name).write_bytes(b"II*\x00" + bytes(range(200)))
    upload(page, tmp_path / name)
    page.press("#ga-box textarea", "Enter")
    page.wait_for_selector(".ga-error")
    said = page.inner_text(".ga-error")
    assert name in said and "Traceback" not in said and "/" not in said.replace("b/w", "")


def test_two_people_do_not_see_each_other(visit, tmp_path):
    one, two = visit(), visit()
    upload(one, write_scene(painted_scene(), tmp_path / "secret.tif"))
    ask(one, "Where is fuel kept?", 1)
    two.click("text=Segment the ships and the helipad.")
    wait_for_answers(two, 1)
    assert "secret" not in two.content() and "fuel" not in two.inner_text("#ga-chat")
    assert "ships" not in one.inner_text("#ga-chat")
    ask(one, "How many of those are there?", 2)
    assert "3 storage tanks" in one.locator(".ga-answer").last.inner_text()


def test_stop_stops(visit, oracle):
    page = visit()
    oracle.seconds = 60.0
    try:
        page.click("text=Where is fuel kept?")
        page.wait_for_function("document.querySelector('#ga-status').innerText.includes('Looking')")
        began = time.perf_counter()
        page.click("#ga-stop")
        page.wait_for_function("document.querySelector('#ga-status').innerText.includes('Stopped')")
        assert time.perf_counter() - began < 15
    finally:
        oracle.seconds = 0.0
    page.fill("#ga-box textarea", "run out of memory, and say so")
    page.press("#ga-box textarea", "Enter")
    page.wait_for_selector(".ga-error")
    assert page.input_value("#ga-box textarea") == "run out of memory, and say so", "the question has to be typed again"
    ask(page, "Where is fuel kept?", 1)


def test_the_model_may_fail(visit):
    page = visit()
    page.click("text=Where is fuel kept?")
    wait_for_answers(page, 1)
    page.fill("#ga-box textarea", "run out of memory")
    page.press("#ga-box textarea", "Enter")
    page.wait_for_selector(".ga-error")
    ask(page, "Segment the ships.", 2)


def test_a_mistake_of_ours_leaves_the_page_usable(visit, monkeypatch):
    page = visit()
    with monkeypatch.context() as broken:
        broken.setattr("tools.oracle.KnownScene._named", lambda scene, text: {}["nothing"])
        page.click("text=Where is fuel kept?")
        page.wait_for_selector(".ga-error")
        assert "KeyError" in page.inner_text(".ga-error")
    ask(page, "Segment the ships.", 1)


def test_what_people_write_is_shown_as_text(asked):
    ask(asked, "<img src=x onerror=\"document.title='caught'\"> **ships** <script>1</script>", 2)
    assert asked.title() == "geoagent" and asked.locator("#ga-chat img").count() == 0
    assert "**ships**" in asked.inner_text("#ga-chat")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(visit, scheme):
    page = visit(width=390, height=844, color_scheme=scheme, has_touch=True)
    page.click("text=Where is fuel kept?")
    wait_for_answers(page, 1)
    wait_for_objects(page, len(TANKS))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    stage = page.locator('[data-part="stage"]').bounding_box()
    assert stage["width"] > 330, "the image wastes the phone's width"


def test_words_and_picture_come_before_the_answer(visit, oracle):
    page = visit()
    page.wait_for_function("document.querySelector('.ga-facts').innerText.includes('oracle')")
    oracle.seconds_a_word = 4.0
    try:
        page.click("text=Where is fuel kept?")
        page.wait_for_function("document.querySelector('.ga-partial')?.innerText.startsWith('I looked')")
        assert page.locator(".ga-answer").count() == 0 and page.locator(OBJECTS).count() == 0
        assert page.get_attribute('[data-part="picture"]', "href").startswith("data:image/jpeg")
    finally:
        oracle.seconds_a_word = 0.0
    wait_for_answers(page, 1)
    wait_for_objects(page, len(TANKS))
    assert page.locator(".ga-partial").count() == 0


def test_a_tile_server_is_asked_where_one_was_named(browser, oracle, harbour_file):
    from geoagent.app.serve import serve

    asked = []

    class Tiles(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *words):
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tiles)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tiles = f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.png"
    served = serve(oracle, demos=(painted_demo(harbour_file),), tiles=tiles)
    page = browser.new_page()
    try:
        page.goto(served.address)
        page.click("text=Where is fuel kept?")
        wait_for_answers(page, 1)
        assert not asked, "tiles were asked for before anybody looked at the map"
        page.click('[data-tab="map"]')
        page.wait_for_selector(".ga-map image >> nth=1", state="attached")
        assert str(server.server_port) in page.inner_text(".ga-from")
        page.wait_for_timeout(500)
    finally:
        page.close()
        served.close()
        server.shutdown()
    zoom, x, y = (int(part) for part in asked[0].removesuffix(".png").split("/")[1:])
    assert x == pytest.approx((13.65 + 180) / 360 * 2**zoom, abs=2**zoom / 360), "a tile from elsewhere"
    assert 0 < y < 2**zoom


def test_what_was_uploaded_goes_with_the_page(visit, served, tmp_path):
    page = visit()
    upload(page, write_scene(painted_scene(), tmp_path / "leaving.tif"))
    ask(page, "Where is fuel kept?", 1)

    def left():
        folders = [served.uploads, *(talk.folder for talk in served.sessions.conversations)]
        return [path for folder in folders for path in folder.rglob("leaving.tif")]

    assert len(left()) == 1
    page.close()
    began = time.perf_counter()
    while left() and time.perf_counter() - began < 30:
        time.sleep(0.2)
    assert not left(), "the upload of a closed page stayed"


def test_points_and_boxes_without_a_mouse(asked):
    asked.focus('[data-part="stage"]')
    asked.keyboard.press("0")
    asked.keyboard.press("p")
    asked.keyboard.press("Enter")
    asked.keyboard.press("b")
    asked.keyboard.press("Enter")
    asked.keyboard.press("ArrowRight")
    asked.keyboard.press("ArrowDown")
    asked.keyboard.press("Enter")
    drawn = json.loads(asked.evaluate("window.geoagentDrawn()"))
    assert drawn["points"] == [[SIDE / 2, SIDE / 2, True]]
    ((x0, y0, x1, y1),) = drawn["boxes"]
    assert x0 == SIDE / 2 == y0 and x1 > x0 and y1 > y0
    asked.click('[data-tab="map"]')
    before = asked.locator(".ga-map image").bounding_box()["width"]
    asked.focus(".ga-map")
    asked.keyboard.press("+")
    assert asked.locator(".ga-map image").bounding_box()["width"] > 1.2 * before


def test_a_picture_that_came_behind_another_tab_is_shown_whole(asked, tmp_path):
    asked.click('[data-zoom="in"]')
    asked.click('[data-tab="table"]')
    night = painted_scene()
    night = replace(night, image=night.image // 3)
    upload(asked, write_scene(night, tmp_path / "later.tif", shift=500.0))
    asked.press("#ga-box textarea", "Enter")
    asked.wait_for_function("document.querySelector('[data-part=\"images\"]').length === 2")
    asked.click('[data-tab="image"]')
    picture, stage = (asked.locator(f'[data-part="{name}"]').bounding_box() for name in ("picture", "stage"))
    assert picture["x"] >= stage["x"] - 1 and picture["width"] <= stage["width"] + 1, "it keeps the other one's zoom"


def test_the_keyboard_is_enough(asked):
    wait_for_objects(asked, len(TANKS))
    asked.focus('[data-tab="image"]')
    asked.keyboard.press("ArrowRight")
    assert asked.get_attribute('[data-tab="map"]', "aria-selected") == "true"
    asked.keyboard.press("ArrowLeft")
    asked.focus('[data-part="stage"]')
    before = asked.locator('[data-part="picture"]').bounding_box()["width"]
    asked.keyboard.press("+")
    assert asked.locator('[data-part="picture"]').bounding_box()["width"] > 1.2 * before
    asked.keyboard.press("b")
    assert asked.get_attribute('[data-tool="box"]', "aria-pressed") == "true"
    asked.keyboard.press("Escape")
    assert asked.get_attribute('[data-tool="move"]', "aria-pressed") == "true"


def test_the_command_serves_on_the_port_of_the_environment(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PORT": "1", "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "geoagent", "chat"], env=environment, stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline().decode()
        assert f"http://127.0.0.1:{port}" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as reply:
            assert b"gradio" in reply.read()
    finally:
        process.terminate()
        process.wait(timeout=10)  # not as long as the model takes that is being loaded meanwhile
    assert not list(tmp_path.glob("geoagent-*")), "temporary files were left behind"
