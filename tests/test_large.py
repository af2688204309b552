"""Images of any size, answered tile by tile by an oracle that sees no more than its tile."""

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from oracle import CLASSES, blank, disk, oracle_predictor, paint, paint_box
from rasterio.transform import from_origin
from scipy import ndimage

from geoagent.cli import main
from geoagent.geo.mask_file import UNSEEN, MaskFile
from geoagent.geo.raster import read_image
from geoagent.model.configuration import ImageSizeConfig
from geoagent.types import GeoAgentError, Mask, Pixels, Prediction

TANK = CLASSES["storage tanks"]


def town(height: int = 700, width: int = 900, seed: int = 0) -> Pixels:
    """Disks of many sizes and a river, here and there across the seams of tiles."""
    rng = np.random.default_rng(seed)
    pixels = blank(height, width)
    rows, columns = np.mgrid[:height, :width]
    paint(pixels, "rivers", np.abs(columns - width / 2 - 90 * np.sin(rows / 70)) < 14)
    for _ in range(60):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(5, 40)
        paint(pixels, "storage tanks", disk(pixels, x, y, r))
    return pixels


def iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / (first | second).sum())


def write(path: Path, pixels: Pixels, *, gsd: float = 1.0, valid: Mask | None = None) -> Path:
    """A tiled GeoTIFF with a place."""
    height, width = pixels.shape[:2]
    grid = {"crs": "EPSG:32633", "transform": from_origin(400_000, 5_330_000, gsd, gsd)}
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", **grid, **tiles
    ) as out:
        out.write(pixels.transpose(2, 0, 1))
        if valid is not None:
            out.write_mask(valid)
    return path


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every image were too large for masks in memory."""
    monkeypatch.setattr("geoagent.large.finishing.LARGEST_HELD", 64)
    monkeypatch.setattr("geoagent.large.finishing._CROP_HELD", 16)


# ----------------------------------------------------------------------------------------------- tiled equals untiled


@pytest.mark.parametrize("stride", [1, 4])
def test_tiled_equals_untiled(stride: int) -> None:
    pixels = town()
    predictor, oracle = oracle_predictor(stride=stride)
    question = "Segment the storage tanks and the rivers."
    tiled = predictor.segment(pixels, question, tiled=True)
    assert len(oracle.shown) == 7 * 8
    assert max(oracle.shown) == (128, 128)
    whole = predictor.segment(pixels, question, tiled=False)
    assert [t.phrase for t in tiled.targets] == [t.phrase for t in whole.targets] == ["storage tanks", "rivers"]
    for one, other in zip(tiled.targets, whole.targets, strict=True):
        assert iou(one.mask, other.mask) >= 0.98
        if stride == 1:  # nothing is lost to resolution: nothing may be lost to tiles
            assert np.array_equal(one.mask, other.mask)
            assert [(i.id, i.box, i.area) for i in one.instances] == [(i.id, i.box, i.area) for i in other.instances]
            assert all(np.array_equal(i.crop, j.crop) for i, j in zip(one.instances, other.instances, strict=True))


def test_an_object_over_four_tiles_is_one() -> None:
    pixels = blank(250, 250)
    paint_box(pixels, "buildings", 60, 50, 200, 190)
    predictor, oracle = oracle_predictor()
    (target,) = predictor.segment(pixels, "buildings", tiled=True).targets
    assert len(oracle.shown) == 9
    assert [(i.box, i.area) for i in target.instances] == [((60, 50, 200, 190), 140 * 140)]


def test_objects_told_apart_are_merged_over_seams_and_stay_apart() -> None:
    pixels = blank(300, 300)
    paint_box(pixels, "buildings", 20, 40, 260, 150, number=1)
    paint_box(pixels, "buildings", 20, 150, 260, 250, number=2)  # touches the first along its whole side
    predictor, _ = oracle_predictor(tells_apart=True)
    (target,) = predictor.segment(pixels, "buildings", tiled=True).targets
    assert [i.box for i in target.instances] == [(20, 40, 260, 150), (20, 150, 260, 250)]
    assert all(i.crop.all() for i in target.instances)


def test_more_than_255_touching_objects_keep_their_numbers() -> None:
    pixels = blank(400, 400)
    for k in range(1600):
        y, x = divmod(k, 40)
        paint_box(pixels, "cars", x * 10, y * 10, x * 10 + 10, y * 10 + 10, number=k + 1)
    predictor, _ = oracle_predictor(tells_apart=True)
    prediction = predictor.segment(pixels, "cars", tiled=True)
    (target,) = prediction.targets
    assert len(target.instances) == 1600
    assert {i.area for i in target.instances} == {100}
    assert len({i.box for i in target.instances}) == 1600
    assert target.mask.all()


def test_one_component_of_many_arms_is_one_object() -> None:
    """A comb: its teeth meet only at one end, many tiles away from the other."""
    pixels = blank(500, 400)
    paint_box(pixels, "buildings", 10, 10, 390, 20)
    for x in range(10, 390, 20):
        paint_box(pixels, "buildings", x, 10, x + 8, 490)
    predictor, _ = oracle_predictor()
    (target,) = predictor.segment(pixels, "buildings", tiled=True).targets
    assert len(target.instances) == 1
    assert target.instances[0].area == int((pixels[..., 0] == CLASSES["buildings"]).sum())


def test_a_narrow_image_is_tiled_along_its_length() -> None:
    pixels = blank(40, 600)
    paint_box(pixels, "ships", 100, 10, 350, 30)
    predictor, oracle = oracle_predictor()
    (target,) = predictor.segment(pixels, "ships").targets
    assert set(oracle.shown) == {(40, 120)}
    assert [i.box for i in target.instances] == [(100, 10, 350, 30)]


# ----------------------------------------------------------------------------------------------- plans


def yard() -> Pixels:
    """Tanks on a scene of more than forty tiles; the largest is larger than a tile, the smallest has 4 pixels."""
    pixels = blank(800, 800)
    for n, (x, y) in enumerate((x, y) for x in range(60, 800, 120) for y in range(60, 800, 120)):
        paint(pixels, "storage tanks", disk(pixels, x, y, 6 + n % 9))
    pixels[380:640, 380:640, 0] = 10
    paint(pixels, "storage tanks", disk(pixels, 510, 510, 100))
    return pixels


def test_the_largest_tank_is_one_tank() -> None:
    predictor, oracle = oracle_predictor()
    prediction = predictor.segment(yard(), "Where is the largest storage tank?", tiled=True)
    assert len(oracle.shown) >= 40
    (target,) = prediction.targets
    assert target.phrase == "largest storage tank"
    assert np.array_equal(target.mask, disk(yard(), 510, 510, 100))
    assert len(target.instances) == 1
    assert "largest storage tank" in prediction.answer


def test_what_the_overview_cannot_see_is_found() -> None:
    pixels = blank(2300, 2300)
    pixels[1001:1003, 1500:1502] = 0
    paint_box(pixels, "ships", 1501, 1002, 1503, 1004)
    predictor, oracle = oracle_predictor(side=512, overview_phrases=("ships",))
    prediction = predictor.segment(pixels, "What floats here?")
    assert oracle.shown[0] == (1024, 1024)
    assert oracle.shown[1] == (512, 512)
    seen = predictor.open(pixels[::2, ::2][:1024, :1024]).ask("ships")
    assert not seen.targets or seen.targets[0].pixel_count < 4
    (target,) = prediction.targets
    assert target.pixel_count == 4
    assert target.box == (1501, 1002, 1503, 1004)


def test_absence_is_judged_over_all_tiles() -> None:
    predictor, oracle = oracle_predictor()
    prediction = predictor.segment(town(), "Are there any ships?", tiled=True)
    assert not prediction.targets
    (absent,) = prediction.absent
    assert absent.phrase == "ships"
    assert absent.score == pytest.approx(0.05)
    assert len(oracle.shown) == 56
    assert prediction.answer == "There are no ships in this image."
    assert prediction.marked_answer == "There are no <p>ships</p><rej> in this image."


def test_small_talk_marks_nothing() -> None:
    predictor, oracle = oracle_predictor()
    prediction = predictor.segment(town(), "Hello", tiled=True)
    assert prediction.answer == "Hello there."
    assert prediction.candidates == ()
    assert prediction.image.size == (700, 900)
    assert len(oracle.shown) == 1


def test_a_point_needs_one_window() -> None:
    pixels = town()
    x, y = (int(v) for v in ndimage.center_of_mass(ndimage.label(pixels[..., 0] == TANK)[0] == 3)[::-1])
    predictor, oracle = oracle_predictor()
    prediction = predictor.segment(pixels, "storage tanks", points=[(x, y)], tiled=True)
    assert oracle.shown == [(128, 128)]
    (target,) = prediction.targets
    assert target.mask[y, x]
    assert not (target.mask & (pixels[..., 0] != TANK)).any()
    assert prediction.valid is not None and prediction.valid.sum() == 128 * 128


def test_the_window_about_a_point_is_a_tile_also_where_sam_sees_it_larger():
    predictor, oracle = oracle_predictor(side=128)
    oracle.model.config.image = ImageSizeConfig(sam=128, tile=64)
    predictor.segment(blank(400, 400), "storage tanks", points=[(200, 200)], tiled=True)
    assert oracle.shown == [(64, 64)]


# ----------------------------------------------------------------------------------------------- holes


def dies_at(red: int, times: float = np.inf) -> Callable[[Pixels], None]:
    """Trouble with every tile that shows a colour, so many times."""
    count = 0

    def trouble(pixels: Pixels) -> None:
        nonlocal count
        if (pixels[..., 0] == red).any() and count < times:
            count += 1
            raise RuntimeError("out of memory")

    return trouble


def bombed() -> Pixels:
    """A picture with one tile that has a bomb in it."""
    pixels = town()
    pixels[350, 285] = (255, 0, 0)
    return pixels


def test_a_tile_that_fails_twice_is_a_hole_that_is_told() -> None:
    pixels = bombed()
    predictor, oracle = oracle_predictor(trouble=dies_at(255))
    prediction = predictor.segment(pixels, "storage tanks", tiled=True)
    assert len(prediction.holes) == 1
    x0, y0, x1, y1 = prediction.holes[0]
    assert x0 <= 285 < x1 and y0 <= 350 < y1
    assert any("1 tile of 56 could not be looked at" in warning for warning in prediction.warnings)
    assert any("out of memory" in warning for warning in prediction.warnings)
    assert prediction.valid is not None
    assert not prediction.valid[350, 285]
    unseen = ~prediction.valid
    assert unseen[y0:y1, x0:x1].sum() == unseen.sum() > 80 * 80  # the neighbours look a little beyond their seams
    assert not prediction.targets[0].mask[unseen].any()
    assert 56 < len(oracle.shown) <= 56 + 4  # a batch that failed is asked again, tile by tile


def test_the_command_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image, out = write(tmp_path / "scene.tif", bombed()), tmp_path / "out.tif"
    predictor, _ = oracle_predictor(trouble=dies_at(255))
    monkeypatch.setattr("geoagent.predictor.load", lambda *_, **__: predictor)
    command = ["segment", str(image), "storage tanks", "--tiled", "--work", str(tmp_path / "work"), "-o", str(out)]
    assert main(command) == 3
    assert "could not be looked at" in capsys.readouterr().err
    with rasterio.open(out) as raster:
        classes = raster.read(1)
    assert classes[350, 285] == 255
    assert classes[0, 0] != 255
    assert np.array_equal(classes == 1, (bombed()[..., 0] == TANK) & (classes != 255))

    monkeypatch.setattr("geoagent.predictor.load", lambda *_, **__: oracle_predictor()[0])
    assert main(command) == 0


def test_a_tile_that_fails_once_is_tried_again() -> None:
    predictor, _ = oracle_predictor(trouble=dies_at(255, times=1))
    prediction = predictor.segment(bombed(), "storage tanks", tiled=True)
    assert prediction.holes == ()
    assert prediction.valid is None
    assert np.array_equal(prediction.targets[0].mask, bombed()[..., 0] == TANK)


def test_holes_are_tried_again_by_the_next_run_in_the_same_folder(tmp_path: Path) -> None:
    image = write(tmp_path / "scene.tif", bombed())
    broken, _ = oracle_predictor(trouble=dies_at(255))
    assert broken.segment(image, "storage tanks", tiled=True, work=tmp_path / "work").holes
    mended, oracle = oracle_predictor()
    assert mended.segment(image, "storage tanks", tiled=True, work=tmp_path / "work").holes == ()
    assert oracle.shown == [(128, 128)]


def test_an_image_without_a_single_answer_is_an_error() -> None:
    predictor, _ = oracle_predictor(trouble=dies_at(10))
    with pytest.raises(GeoAgentError, match="no tile could be looked at: RuntimeError: out of memory"):
        predictor.segment(town(), "ships", tiled=True)


def test_a_mistake_in_our_own_code_is_not_taken_for_a_bad_tile() -> None:
    def mistake(pixels: Pixels) -> None:
        raise TypeError("a bug")

    predictor, _ = oracle_predictor(trouble=mistake)
    with pytest.raises(TypeError, match="a bug"):
        predictor.segment(town(), "ships", tiled=True)


def test_a_collar_is_neither_asked_about_nor_background(tmp_path: Path) -> None:
    pixels = town()
    valid = np.ones(pixels.shape[:2], dtype=np.bool_)
    valid[:, :260] = False
    image = write(tmp_path / "scene.tif", pixels, valid=valid)
    predictor, oracle = oracle_predictor()
    prediction = predictor.segment(image, "storage tanks", tiled=True)
    assert len(oracle.shown) == 42  # two of eight columns hold no picture
    assert prediction.holes == ()
    assert np.array_equal(np.asarray(prediction.valid), valid)
    assert np.array_equal(prediction.targets[0].mask, (pixels[..., 0] == TANK) & valid)


# ----------------------------------------------------------------------------------------------- resuming


class Stop(BaseException):
    """A person pressed Ctrl-C."""


def outputs(prediction: Prediction, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    return {name: prediction.save(folder / name).read_bytes() for name in ("a.tif", "a.ids.tif", "a.geojson")}


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(tmp_path: Path, on_disk: None) -> None:
    image = write(tmp_path / "scene.tif", town())
    once, _ = oracle_predictor()
    straight = once.segment(image, "storage tanks", tiled=True, work=tmp_path / "straight")
    expected = outputs(straight, tmp_path / "a")

    count = 0

    def stop(pixels: Pixels) -> None:
        nonlocal count
        count += 1
        if count > 30:
            raise Stop

    stopped, _ = oracle_predictor(trouble=stop)
    with pytest.raises(Stop):
        stopped.segment(image, "storage tanks", tiled=True, work=tmp_path / "work")
    again, oracle = oracle_predictor()
    resumed = again.segment(image, "storage tanks", tiled=True, work=tmp_path / "work")
    assert len(oracle.shown) == 32  # three of seven rows were finished
    assert outputs(resumed, tmp_path / "b") == expected
    for name in ("labels-0.tif", "target-1.tif"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "work" / name).read_bytes()


KILLED = """
import os, signal, sys
from oracle import oracle_predictor
count = 0
def kill(pixels):
    global count
    count += 1
    if count > 20:
        os.kill(os.getpid(), signal.SIGKILL)
oracle_predictor(trouble=kill)[0].segment(sys.argv[1], "storage tanks", tiled=True, work=sys.argv[2])
"""


def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    image = write(tmp_path / "scene.tif", town())
    command = [sys.executable, "-c", KILLED, str(image), str(tmp_path / "work")]
    killed = subprocess.run(
        command, cwd=Path(__file__).parent, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert killed.returncode == -signal.SIGKILL
    again, oracle = oracle_predictor()
    resumed = again.segment(image, "storage tanks", tiled=True, work=tmp_path / "work")
    assert len(oracle.shown) == 40  # two of seven rows were finished
    straight = oracle_predictor()[0].segment(image, "storage tanks", tiled=True)
    assert outputs(resumed, tmp_path / "a") == outputs(straight, tmp_path / "b")


def test_a_work_folder_belongs_to_one_question(tmp_path: Path) -> None:
    image = write(tmp_path / "scene.tif", town(300, 300))
    predictor, _ = oracle_predictor()
    predictor.segment(image, "ships", tiled=True, work=tmp_path / "work")
    with pytest.raises(GeoAgentError, match="another question"):
        predictor.segment(image, "cars", tiled=True, work=tmp_path / "work")
    with pytest.raises(GeoAgentError, match="other files"):
        predictor.segment(image, "ships", tiled=True, work=tmp_path)


# ----------------------------------------------------------------------------------------------- on disk


@pytest.mark.parametrize("together", [1 << 20, 1500])
def test_masks_on_disk_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """Also when only a few of the small objects fit into memory."""
    image = write(tmp_path / "scene.tif", town())
    predictor, _ = oracle_predictor()
    question = "the storage tanks and the rivers in the left half"
    held = predictor.segment(image, question, tiled=True)
    monkeypatch.setattr("geoagent.large.finishing.LARGEST_HELD", 64)
    monkeypatch.setattr("geoagent.large.finishing._CROP_HELD", 40)
    monkeypatch.setattr("geoagent.large.finishing._CROPS_HELD", together)
    stored = predictor.segment(image, question, tiled=True)
    assert isinstance(stored.targets[0].mask, MaskFile)
    assert {type(i.crop) for i in stored.targets[0].instances} == {MaskFile, np.ndarray}
    assert [t.box for t in stored.targets] == [t.box for t in held.targets]
    assert [t.pixel_count for t in stored.targets] == [t.pixel_count for t in held.targets]
    assert np.array_equal(stored.masks, held.masks)
    for mine, theirs in zip(stored.targets, held.targets, strict=True):
        assert [(i.id, i.box, i.area) for i in mine.instances] == [(i.id, i.box, i.area) for i in theirs.instances]
        assert all(np.array_equal(i.crop, j.crop) for i, j in zip(mine.instances, theirs.instances, strict=True))
    mine, theirs = stored.to_json(), held.to_json()
    assert {k: v for k, v in mine.items() if k != "seconds"} == {k: v for k, v in theirs.items() if k != "seconds"}
    assert outputs(stored, tmp_path / "a") == outputs(held, tmp_path / "b")


def peak_of(image: Path, folder: Path) -> int:
    predictor, _ = oracle_predictor(side=256)
    tracemalloc.start()
    prediction = predictor.segment(image, "the largest storage tank", tiled=True, work=folder)
    assert prediction.targets[0].pixel_count > 1000
    prediction.save(folder / "out.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_image(tmp_path: Path, on_disk: None) -> None:
    predictor, _ = oracle_predictor(side=256)
    predictor.segment(blank(300, 300), "the largest ship", tiled=True)  # what is loaded once is loaded
    small = town(600, 800)
    pictures = small, np.tile(small, (4, 1, 1)), np.tile(small, (1, 4, 1))
    peaks = [peak_of(write(tmp_path / f"{n}.tif", pixels), tmp_path / str(n)) for n, pixels in enumerate(pictures)]
    assert peaks[1] < peaks[0] + 2e6  # the picture alone has 4 MB more, the logits 6 MB
    assert peaks[2] < peaks[0] + 4e6  # the rows of blocks that wait to be written: 1 kB and more a column


def test_ids_on_disk_lie_on_the_grid_of_the_image(tmp_path: Path, on_disk: None) -> None:
    image = write(tmp_path / "scene.tif", town())
    predictor, _ = oracle_predictor()
    predictor.segment(image, "storage tanks", tiled=True, work=tmp_path / "work")
    with rasterio.open(image) as source, rasterio.open(tmp_path / "work" / "target-1.tif") as ids:
        assert (ids.crs, ids.transform, ids.shape) == (source.crs, source.transform, source.shape)
        assert ids.dtypes == ("uint32",)
        assert ids.nodata == UNSEEN
        assert ids.profile["compress"] == "deflate"
        assert np.array_equal(ids.read(1) > 0, read_image(image).pixels[..., 0] == TANK)


# ----------------------------------------------------------------------------------------------- conditions


def port() -> Pixels:
    """A river from top to bottom, three ships beside it, four buildings at known distances, cars on a building."""
    pixels = blank(400, 500)
    paint_box(pixels, "rivers", 240, 0, 260, 400)
    paint_box(pixels, "ships", 100, 20, 130, 30)  # 110 px from the river
    paint_box(pixels, "ships", 270, 200, 290, 210)  # 10 px
    paint_box(pixels, "ships", 470, 380, 500, 390)  # at the edge
    paint_box(pixels, "buildings", 20, 150, 80, 250)
    paint_box(pixels, "cars", 40, 200, 46, 206)
    paint_box(pixels, "cars", 300, 100, 306, 106)
    return pixels


SHIPS = [(100, 20, 130, 30), (470, 380, 500, 390), (270, 200, 290, 210)]
"""Largest first."""


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("the ships", [0, 1, 2]),
        ("ships in the left half", [0]),
        ("ships in the south-eastern quarter", [1, 2]),
        ("the northernmost ship", [0]),
        ("the rightmost ship", [1]),
        ("the ships cut by the image border", [1]),
        ("the smallest ship", [2]),
        ("the two largest ships", [0, 1]),
        ("the most central ship", [2]),
        ("ships smaller than 250 m2", [2]),
        ("ships within 50 m of the river", [2]),
        ("ships more than 50 m from the river", [0, 1]),
        ("the ship nearest to the river", [2]),
        ("the ships east of the river", [1, 2]),
        ("the ships to the left of the river", [0]),
        ("the ship furthest to the left in the lower half", [2]),
        ("ships nearest the largest building", [0]),
    ],
)
def test_conditions_hold_for_objects_of_the_whole_image(tmp_path: Path, question: str, meant: list[int]) -> None:
    predictor, _ = oracle_predictor()
    prediction = predictor.segment(write(tmp_path / "port.tif", port()), question, tiled=True)
    found = [i.box for target in prediction.targets for i in target.instances]
    assert found == [SHIPS[n] for n in meant]


@pytest.mark.parametrize("rows", [1024, 1])
def test_what_stands_on_something_is_told_by_what_surrounds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """However the raster is cut for taking outlines: a cut is no rim."""
    monkeypatch.setattr("geoagent.selection._PIECE", rows)
    predictor, _ = oracle_predictor()
    prediction = predictor.segment(write(tmp_path / "port.tif", port()), "cars on the building", tiled=True)
    assert [i.box for i in prediction.targets[0].instances] == [(40, 200, 46, 206)]


GREY = 150 * 256 + 150


@pytest.mark.parametrize("rows", [1024, 16])
@pytest.mark.parametrize(("singling", "meant"), [(True, [0]), (False, [0, 1])])
def test_colours_are_measured_where_phrases_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, singling: bool, meant: list[int]
) -> None:
    """However the raster is cut; a model whose phrases are not measured is asked for the colour, as here in vain."""
    monkeypatch.setattr("geoagent.selection._PIECE", rows)
    pixels, boxes = blank(400, 500), [(100, 90, 300, 150), (320, 20, 420, 60)]
    paint_box(pixels, "ships", *boxes[0])
    paint_box(pixels, "ships", *boxes[1], number=GREY)
    predictor, _ = oracle_predictor(singling=singling)
    prediction = predictor.segment(write(tmp_path / "bay.tif", pixels), "the red ships", tiled=True)
    assert [i.box for i in prediction.targets[0].instances] == [boxes[n] for n in meant]


def test_metres_are_not_guessed() -> None:
    predictor, oracle = oracle_predictor()
    with pytest.raises(GeoAgentError, match="no ground size"):
        predictor.segment(port(), "ships within 50 m of the river", tiled=True)
    assert oracle.asked == 0
    prediction = predictor.segment(port(), "ships within 50 m of the river", tiled=True, gsd_m=1.0)
    assert [i.box for i in prediction.targets[0].instances] == [SHIPS[2]]


def test_north_without_a_place_is_said_to_be_the_top() -> None:
    predictor, _ = oracle_predictor()
    prediction = predictor.segment(port(), "the southernmost ship", tiled=True)
    assert [i.box for i in prediction.targets[0].instances] == [SHIPS[1]]
    assert any("top is taken as north" in warning for warning in prediction.warnings)


def test_a_condition_that_nothing_meets_is_told_from_absence() -> None:
    predictor, _ = oracle_predictor()
    prediction = predictor.segment(port(), "ships in the upper right quarter", tiled=True)
    assert prediction.targets == ()
    assert prediction.answer == "I found 3 ships, but no ships in the upper right quarter."


def test_outlines_of_masks_on_disk_have_no_trace_of_where_they_were_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, _ = oracle_predictor()
    image = write(tmp_path / "scene.tif", town())
    held = predictor.segment(image, "rivers", tiled=True).to_geodataframe()
    monkeypatch.setattr("geoagent.large.finishing.LARGEST_HELD", 64)
    monkeypatch.setattr("geoagent.geo.mask_file.BLOCK", 48)
    monkeypatch.setattr("geoagent.geo.mask_file._STRIP", 900 * 48)
    monkeypatch.setattr("geoagent.geo.measure._AT_ONCE", 5000)
    stored = predictor.segment(image, "rivers", tiled=True)
    frame = stored.to_geodataframe()
    assert frame.area_m2.tolist() == pytest.approx(held.area_m2.tolist())
    assert frame.perimeter_m.tolist() == pytest.approx(held.perimeter_m.tolist(), rel=2e-3)
    assert all(
        a.symmetric_difference(b).area < 0.01 * a.area for a, b in zip(frame.geometry, held.geometry, strict=True)
    )
    assert stored.measure()[0].count == len(held)
