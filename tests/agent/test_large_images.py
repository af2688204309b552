"""Large images through the tools: tile by tile, masks on disk, the same answers as in memory."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from oracle import blank, disk, oracle_predictor, paint, paint_box
from pydantic import AnyUrl
from rasterio.transform import from_origin

from geoagent.agent.progress import CancelledError, Watcher, watched_by
from geoagent.agent.resources import read_resource
from geoagent.agent.store import SceneStore
from geoagent.agent.toolbox import Toolbox
from geoagent.geo.mask_file import MaskFile

HERE = Path(__file__).parent


def town(*, later=False):
    """Storage tanks and a river; on the later date two tanks are gone and one is new."""
    pixels = blank(700, 900)
    rows, columns = np.mgrid[:700, :900]
    paint(pixels, "rivers", np.abs(columns - 450 - 90 * np.sin(rows / 70)) < 14)
    rng = np.random.default_rng(3)
    for n in range(40):
        x, y, r = rng.uniform(0, 900), rng.uniform(0, 700), rng.uniform(5, 40)
        if not (later and n in (4, 9)):
            paint(pixels, "storage tanks", disk(pixels, x, y, r))
    if later:
        paint(pixels, "storage tanks", disk(pixels, 20, 680, 12))
    return pixels


def write(path, pixels, *, left=400_000, gsd=1.0):
    height, width = pixels.shape[:2]
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", crs="EPSG:32633",
        transform=from_origin(left, 5_330_000, gsd, gsd), tiled=True, blockxsize=256, blockysize=256,
        compress="deflate", photometric="RGB",
    ) as out:  # fmt: skip
        out.write(pixels.transpose(2, 0, 1))
    return path


@pytest.fixture
def tiled(monkeypatch):
    """As if every image were too large for one look."""
    monkeypatch.setattr("geoagent.large.scene.LARGE", 64)


def on_disk(monkeypatch):
    """As if every mask were too large to hold."""
    monkeypatch.setattr("geoagent.large.finishing.LARGEST_HELD", 64)
    monkeypatch.setattr("geoagent.large.finishing._CROP_HELD", 16)
    monkeypatch.setattr("geoagent.agent.rows.LARGEST_HELD", 64)
    monkeypatch.setattr("geoagent.agent.rows._OBJECT_HELD", 16)


def toolbox_over(folder, **images):
    root = folder / "images"
    root.mkdir(parents=True)
    for name, (pixels, place) in images.items():
        write(root / f"{name}.tif", pixels, **place)
    model, oracle = oracle_predictor()
    box = Toolbox(SceneStore(folder / "work", [root]), model)
    return box, oracle, {Path(name).stem: image_id for image_id, name in box.store.images()}


def every_answer(box, ids):
    """The answers of all tools to the same calls; ids are random, so they are numbered."""
    answers = []

    def done(outcome):
        answers.append(outcome.answer)
        return outcome.answer

    def found(answer):
        return answer["found"][0]["mask_id"]

    tanks = found(done(box.segment(ids["early"], "storage tanks")))
    river = found(done(box.segment(ids["early"], "rivers", region=[200, 0, 900, 700])))
    done(box.segment(ids["early"], "ships"))
    large = done(box.measure(tanks, larger_than=1000))["mask_id"]
    done(box.measure(tanks))
    done(box.measure(f"{tanks}#3"))
    done(box.measure(river))
    zone = done(box.buffer(river, 40))["mask_id"]
    done(box.buffer(tanks, -4))
    for relation in ("intersection", "difference", "union", "touching", "within", "nearest"):
        done(box.relate(tanks, zone, relation))
    done(box.relate(tanks, river, "within", metres=55))
    done(box.relate(large, f"{tanks}#1", "nearest"))
    done(box.compare(ids["early"], ids["late"], "storage tanks"))
    done(box.compare(ids["early"], ids["beside"], "storage tanks"))
    later = found(done(box.segment(ids["beside"], "storage tanks")))
    done(box.relate(tanks, later, "intersection"))
    pictures = [box.render([tanks, river]), box.render([ids["early"]])]
    answers.extend(picture.answer for picture in pictures)
    files = {}
    for form in ("tif", "ids.tif", "geojson", "png", "json"):
        (file,) = box.export(tanks, form).files
        files[form] = file.path.read_bytes()
    files["resource"], _ = read_resource(box, AnyUrl(f"geoagent://mask/{tanks}"))
    numbers = {}
    text = json.dumps(answers)
    text = re.sub(r"(?:img|mask|file)_[a-z0-9]{8}", lambda m: numbers.setdefault(m[0], f"id{len(numbers)}"), text)
    return json.loads(text), files, box.store.mask(tanks), [p.files[0].path.read_bytes() for p in pictures]


def test_masks_on_disk_give_the_answers_of_masks_in_memory(tmp_path, tiled, monkeypatch):
    images = {
        "early": (town(), {}),
        "late": (town(later=True), {}),
        "beside": (np.ascontiguousarray(town(later=True)[:, 100:]), {"left": 400_100}),  # another grid, fewer pixels
    }
    box, _, ids = toolbox_over(tmp_path / "held", **images)
    held, held_files, held_mask, held_pictures = every_answer(box, ids)
    assert not isinstance(held_mask.target.mask, MaskFile)
    on_disk(monkeypatch)
    box, _, ids = toolbox_over(tmp_path / "disk", **images)
    stored, stored_files, stored_mask, stored_pictures = every_answer(box, ids)
    assert isinstance(stored_mask.target.mask, MaskFile)
    assert {isinstance(one.crop, MaskFile) for one in stored_mask.target.instances} == {True, False}
    assert held[0]["found"][0]["objects"] > 20
    for one, other in zip(held, stored, strict=True):
        assert one == other
    assert held_pictures == stored_pictures
    for form in ("geojson", "png", "resource"):
        assert held_files[form] == stored_files[form], form


def test_what_the_answers_say_is_true(tmp_path, tiled, monkeypatch):
    """Squares on a grid of metres: worked out by hand."""
    on_disk(monkeypatch)
    early, late = blank(400, 600), blank(400, 600)
    for pixels in (early, late):
        paint_box(pixels, "rivers", 0, 200, 600, 220)
        paint_box(pixels, "buildings", 100, 100, 200, 150)
    paint_box(early, "buildings", 300, 300, 310, 310)
    paint_box(late, "buildings", 500, 40, 520, 60)
    box, _, ids = toolbox_over(tmp_path, early=(early, {}), late=(late, {}))
    buildings = box.segment(ids["early"], "buildings").answer["found"][0]
    assert buildings["objects"] == 2
    assert buildings["area_m2"] == pytest.approx(5100, rel=2e-3)
    river = box.segment(ids["early"], "rivers").answer["found"][0]["mask_id"]
    near = box.relate(buildings["mask_id"], river, "within", metres=60).answer
    assert near["of_a"]["objects"] == "1 of 2"
    assert box.relate(buildings["mask_id"], river, "nearest").answer["distance_m"] == pytest.approx(50, rel=2e-3)
    changes = box.compare(ids["early"], ids["late"], "buildings").answer
    assert [changes[what]["objects"] for what in ("appeared", "disappeared", "stayed")] == [1, 1, 1]
    assert changes["appeared"]["area_m2"] == pytest.approx(400, rel=2e-3)


def test_progress_cancelling_and_going_on(tmp_path, tiled):
    box, oracle, ids = toolbox_over(tmp_path, early=(town(), {}))
    told, watcher = [], None

    def tell(message):
        told.append(message)
        if message == "looking at tile 30 of 56":
            watcher.cancelled.set()

    watcher = Watcher(tell, threading.Event())
    with watched_by(watcher), pytest.raises(CancelledError):
        box.segment(ids["early"], "storage tanks")
    assert "looking at tile 1 of 56" in told
    assert "looking at tile 31 of 56" not in told
    assert box.store.mask_ids() == []
    before = len(oracle.shown)

    told.clear()
    with watched_by(Watcher(told.append)):
        assert box.segment(ids["early"], "storage tanks").answer["found"][0]["objects"] > 20
    assert "looking at tile 1 of 56" not in told  # whole rows of tiles are not asked again
    assert "looking at tile 56 of 56" in told
    assert len(oracle.shown) - before < 56
    assert list((box.store.folder / "work").iterdir()) == []


def test_only_a_few_unfinished_runs_are_kept(tmp_path):
    import os
    import time

    store = SceneStore(tmp_path)
    for n in range(6):
        with pytest.raises(ValueError, match="stop"), store.work(n) as folder:
            (folder / "row").write_bytes(b"x")
            raise ValueError("stop")
        os.utime(folder, (time.time() - 3600 + n,) * 2)
    assert len(list((tmp_path / "work").iterdir())) <= 3


def test_pointing_at_something_in_a_large_image(tmp_path, tiled):
    box, oracle, ids = toolbox_over(tmp_path, early=(town(), {}))
    answer = box.segment(ids["early"], "storage tanks", boxes=[[100, 100, 300, 300]]).answer
    assert answer["found"][0]["objects"] >= 1
    assert max(oracle.shown) <= (301, 301)


@pytest.mark.slow
def test_an_image_too_large_to_be_read_takes_little_memory(tmp_path):
    """16,500 x 16,500 pixels: its picture takes 779 MiB, each mask 260 MiB as an array."""
    command = [sys.executable, str(HERE / "large_run.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["objects"] == 3
    assert (told["near"], told["rest"]) == ("1 of 3", "3 of 3")
    assert told["area_m2"] == pytest.approx(1000 * 1000 + 9000 * 500 + 32 * 32, rel=1e-2)
    assert told["grown_mib"] < 700
