"""What the tools answer, against numbers worked out by hand."""

import json

import numpy as np
import pytest
from world import GSD, NEW_TANK, RIVER, SIDE, TANKS, box_object, ids_by_name, make_scene, toolbox_of

from geoagent.agent import relations
from geoagent.agent.answers import LIMIT, shortened, to_text
from geoagent.agent.calculator import evaluate
from geoagent.agent.output import FORMATS
from geoagent.types import AnnotatedScene, GeoAgentError, Instance

PIXEL = GSD**2
UTM_ERROR = 2e-3
"""True ground areas differ from those of the map by the scale of the projection, 0.9996² at the central meridian."""


def close(value):
    return pytest.approx(value, rel=UTM_ERROR)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1]) * PIXEL


def test_list_and_describe(toolbox, images):
    listed = toolbox.list_images().answer
    assert listed["count"] == 3
    assert {entry["image_id"] for entry in listed["images"]} == set(images.values())
    assert toolbox.list_images(contains="PHO").answer["count"] == 1
    described = toolbox.describe_image(images["before"]).answer
    assert described["width_px"] == described["height_px"] == SIDE
    assert described["pixel_m"] == close(GSD)
    assert described["ground_m"] == [close(SIDE * GSD)] * 2
    assert "warnings" not in described
    assert "pixels only" in toolbox.describe_image(images["photo"]).answer["warnings"][0]


def test_new_images_are_listed(toolbox, tmp_path):
    from world import write_scene

    write_scene(make_scene("new"), tmp_path / "images" / "new.tif")
    assert "'new.tif'" in {entry["file_name"] for entry in toolbox.list_images().answer["images"]}


def test_segment_counts_and_measures(toolbox, images):
    answer = toolbox.segment(images["before"], "storage tanks and ships").answer
    (found,) = answer["found"]
    assert (found["phrase"], found["objects"], found["score"]) == ("storage tank", 5, 1.0)
    assert found["area_m2"] == close(sum(area(box) for box in TANKS))
    assert answer["absent"] == [{"phrase": "ship", "score": 0.0}]


def test_segment_in_a_region_keeps_the_place(toolbox, images):
    found = toolbox.segment(images["before"], "storage tanks", region=[40, 0, 130, 60]).answer["found"][0]
    assert found["objects"] == 1
    stored = toolbox.store.mask(found["mask_id"])
    assert stored.window == (40, 0, 130, 60)
    whole = toolbox.segment(images["before"], "storage tanks").answer["found"][0]["mask_id"]
    both = toolbox.relate(found["mask_id"], whole, "intersection").answer
    assert both["objects"] == 1
    assert both["area_m2"] == close(area(TANKS[1]))


@pytest.mark.parametrize("pointing", [{"points": [[5]]}, {"boxes": [[1, 2, 3]]}, {"points": [[1, 2, 1, 4]]}])
def test_malformed_pointing_says_how_it_should_be(toolbox, images, pointing):
    with pytest.raises(GeoAgentError, match=r"a point is \[x, y\]"):
        toolbox.segment(images["before"], "storage tanks", **pointing)


def test_measure_ranks_objects(toolbox, tanks):
    answer = toolbox.measure(tanks).answer
    assert answer["objects"] == 5
    assert [entry["area_m2"] for entry in answer["by_area"]] == [close(a) for a in (225, 100, 100, 25, 25)]
    assert answer["by_area"][0]["id"] == f"{tanks}#4"
    assert answer["each"]["mean"] == close(sum(map(area, TANKS)) / 5)
    largest = toolbox.measure(f"{tanks}#4").answer
    assert largest["area_m2"] == close(225)
    assert largest["length_m"] == close(15)


def test_measure_chooses_by_size(toolbox, tanks):
    answer = toolbox.measure(tanks, larger_than=50, smaller_than=200).answer
    assert (answer["objects_before"], answer["objects"]) == (5, 2)
    assert toolbox.store.mask(answer["mask_id"]).target.pixel_count == 800
    assert toolbox.measure(tanks, larger_than=1e6).answer["objects"] == 0


def test_within_metres(toolbox, tanks, river):
    # From the river's upper edge at row 150, tank 3 ends 10 pixels = 5 m away, tank 5 40 pixels = 20 m.
    for metres, expected in ((4, 0), (5.1, 1), (21, 2), (80, 5)):
        answer = toolbox.relate(tanks, river, "within", metres=metres).answer
        assert answer["objects"] == expected if expected else answer["of_a"]["objects"] == "0 of 5", metres
    answer = toolbox.relate(tanks, river, "within", metres=10).answer
    assert answer["of_a"]["share_of_objects"] == pytest.approx(0.2)
    assert answer["of_a"]["share_of_area"] == pytest.approx(400 / 1900, abs=1e-4)
    # Rows 130 to 150 lie within 10 m: half of that tank.
    assert answer["part_of_a_inside"]["area_m2"] == close(50)


def test_distance(toolbox, tanks, river):
    answer = toolbox.relate(tanks, river, "nearest").answer
    assert answer["distance_m"] == close(5)
    assert [entry["distance_m"] for entry in answer["objects_by_distance"]] == [close(d) for d in (5, 20, 50, 60, 65)]
    assert answer["objects_by_distance"][0]["id"] == f"{tanks}#3"
    assert toolbox.relate(f"{tanks}#4", f"{tanks}#1", "nearest").answer["distance_m"] == close(60)


def test_set_relations(toolbox, tanks, river):
    near = toolbox.buffer(river, 10).answer
    assert near["area_m2"] == close((20 + 2 * 20) * SIDE * PIXEL)
    inside = toolbox.relate(tanks, near["mask_id"], "intersection").answer
    outside = toolbox.relate(tanks, near["mask_id"], "difference").answer
    assert inside["area_m2"] == close(50)
    assert outside["area_m2"] == close(sum(map(area, TANKS)) - 50)
    together = toolbox.relate(inside["mask_id"], outside["mask_id"], "union").answer
    assert together["area_m2"] == close(sum(map(area, TANKS)))
    assert toolbox.relate(tanks, river, "touching").answer["of_a"]["objects"] == "0 of 5"
    # A zone of exactly 5 m ends where tank 3 ends.
    zone = toolbox.buffer(river, 5).answer["mask_id"]
    assert toolbox.relate(tanks, zone, "touching").answer["objects"] == 1
    assert toolbox.relate(f"{tanks}#3", near["mask_id"], "within").answer["of_a"]["objects"] == "0 of 1"  # just half
    wide = toolbox.buffer(river, 11).answer["mask_id"]
    assert toolbox.relate(tanks, wide, "within").answer["objects"] == 1


def test_shrinking(toolbox, river):
    answer = toolbox.buffer(river, -2).answer
    rows, columns = RIVER[3] - RIVER[1] - 8, RIVER[2] - 8
    assert answer["area_m2"] == close(rows * columns * PIXEL)


def test_compare(toolbox, images):
    answer = toolbox.compare(images["before"], images["later"], "storage tanks").answer
    assert (answer["before"]["objects"], answer["after"]["objects"]) == (5, 5)
    assert [answer[what]["objects"] for what in ("appeared", "disappeared", "stayed")] == [1, 1, 4]
    assert answer["appeared"]["area_m2"] == close(area(NEW_TANK))
    assert answer["disappeared"]["area_m2"] == close(area(TANKS[0]))
    assert "warnings" not in answer
    mask = toolbox.store.mask(answer["appeared"]["mask_id"]).target
    assert mask.box == NEW_TANK


def test_compare_warns_of_misregistration(tmp_path):
    before = make_scene("before")
    moved = AnnotatedScene(
        id="later",
        image=np.roll(before.image, (4, 3), axis=(0, 1)),
        objects=tuple(
            box_object(o.class_name, (o.box[0] + 3, o.box[1] + 4, o.box[2] + 3, o.box[3] + 4))
            for o in before.objects
            if o.class_name != "river"
        ),
        complete=before.complete,
        info=before.info,
    )
    box = toolbox_of(tmp_path, before, moved)
    names = ids_by_name(box)
    answer = box.compare(names["before"], names["later"], "storage tanks").answer
    assert "5.0 pixels beside each other (x +3.0, y +4.0)" in answer["warnings"][0]
    assert answer["stayed"]["objects"] == 5


def test_compare_across_grids(tmp_path):
    """The later image is coarser, in another projection's zone, and shows less of the place."""
    import rasterio
    from rasterio.transform import from_bounds
    from rasterio.warp import Resampling, reproject, transform_bounds
    from world import UTM

    before, later = make_scene("before"), make_scene("later", (*TANKS[1:], NEW_TANK))
    box = toolbox_of(tmp_path, before, later)
    path = tmp_path / "images" / "later.tif"
    with rasterio.open(path) as source:
        west, south, east, north = transform_bounds(UTM, "EPSG:32632", *source.bounds)
        grid = from_bounds(west + 5, south + 5, east - 5, north - 5, 120, 120)
        bands = np.zeros((3, 120, 120), np.uint8)
        reproject(
            source.read(), bands, src_transform=source.transform, src_crs=UTM, dst_transform=grid,
            dst_crs="EPSG:32632", resampling=Resampling.average,
        )  # fmt: skip
    with rasterio.open(
        path, "w", driver="GTiff", width=120, height=120, count=3, dtype="uint8", crs="EPSG:32632", transform=grid,
        photometric="RGB",
    ) as out:  # fmt: skip
        out.write(bands)
    names = ids_by_name(box)
    answer = box.compare(names["before"], names["later"], "storage tanks").answer
    assert "warped to one grid" in answer["remark"]
    assert [answer[what]["objects"] for what in ("appeared", "stayed")] == [1, 4]
    assert answer["appeared"]["area_m2"] == pytest.approx(area(NEW_TANK), rel=0.1)


def test_masks_of_two_dates_are_related_on_one_grid(toolbox, images, tanks):
    later = toolbox.segment(images["later"], "storage tanks").answer["found"][0]["mask_id"]
    assert toolbox.relate(tanks, later, "intersection").answer["objects"] == 4


def test_render_and_export(toolbox, images, tanks, river):
    picture = toolbox.render([tanks, river])
    assert [entry["mask_id"] for entry in picture.answer["legend"]] == [tanks, river]
    assert picture.picture is None
    assert picture.files[0].path.read_bytes()[:4] == b"\x89PNG"
    assert toolbox.render([images["before"]], show=True).picture[:4] == b"\x89PNG"
    for form in FORMATS:
        outcome = toolbox.export(tanks, form)
        assert outcome.files[0].size > 0, form
        assert outcome.answer["file_name"] == f"storage-tank.{form}"
    collection = json.loads(toolbox.export(tanks, "geojson").files[0].path.read_text())
    assert len(collection["features"]) == 5
    assert collection["features"][0]["properties"]["area_m2"] == close(100)


def test_without_a_scale_there_are_pixels_only(toolbox, images):
    answer = toolbox.segment(images["photo"], "storage tanks").answer
    assert answer["found"][0]["area_px"] == 500
    assert "area_m2" not in answer["found"][0]
    assert answer["warnings"] == ["no CRS and no ground size: pixels only"]
    mask = answer["found"][0]["mask_id"]
    assert "area_px" in toolbox.measure(mask).answer
    with pytest.raises(GeoAgentError, match="metres cannot be told"):
        toolbox.buffer(mask, 5)
    assert toolbox.relate(f"{mask}#1", f"{mask}#2", "nearest").answer["distance_px"] == 20


def test_a_given_ground_size_counts(toolbox, images):
    from geoagent.agent.toolbox import Toolbox

    told = Toolbox(toolbox.store, toolbox._sight._model, gsd_m=2.0)
    assert told.segment(images["photo"], "storage tanks").answer["found"][0]["area_m2"] == 2000


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2 + 3 * 4", 14), ("100 * 12.5 / (3 + 4.5)", 166.666666), ("sqrt(16) ^ 2", 16), ("mean(1, 2, 6)", 3),
     ("sum([1, 2, 3])", 6), ("round(2.567, 1)", 2.6), ("-2 ** 2", -4), ("max(3, min(9, 5))", 5)],
)  # fmt: skip
def test_calculate(expression, value):
    assert evaluate(expression) == pytest.approx(value)


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "(1).__class__", "9 ** 9 ** 9", "'a' * 9", "1 / 0", "x + 1", "[1][0]", "lambda: 1", "1 +",
     "(" * 400, "True", "1e308 * 10", "sqrt(-1)", "open('f')", "1 if 1 else 2", "a := 1"],
)  # fmt: skip
def test_calculate_refuses(expression):
    with pytest.raises(GeoAgentError):
        evaluate(expression)


def test_answers_stay_short_however_much_is_found(tmp_path):
    """900 objects: counts stay exact, lists are cut."""
    boxes = tuple((x, y, x + 2, y + 2) for x in range(0, 180, 6) for y in range(0, 180, 6))
    scene = make_scene("full", boxes)
    box = toolbox_of(tmp_path, scene)
    image = ids_by_name(box)["full"]
    found = box.segment(image, "storage tanks, river, ships, cars, roads, buildings, airplanes, forests").answer
    assert found["found"][0]["objects"] == 900
    mask = found["found"][0]["mask_id"]
    river = box.segment(image, "river").answer["found"][0]["mask_id"]
    answers = [
        found,
        box.relate(mask, river, "nearest").answer,
        box.relate(mask, river, "within", metres=5).answer,
        box.compare(image, image, "storage tanks").answer,
        box.render([river] * 40).answer,
        box.list_images().answer,
    ]
    for answer in answers:
        assert len(to_text(answer)) < 1500


@pytest.mark.slow
def test_thousands_of_objects(toolbox, images, tanks):
    """The whole is told exactly, objects as far as there is room."""
    stored = toolbox.store.mask(tanks)
    boxes = [(x, y, x + 2 + (x + y == 0), y + 2) for y in range(0, 180, 4) for x in range(0, 180, 4)]
    objects = [
        Instance(id=1, box=b, crop=np.ones((2, b[2] - b[0]), np.bool_), score=0.9, image_size=(SIDE, SIDE))
        for b in boxes
    ]
    many = toolbox.store.add_mask(relations.of_objects(stored, objects, "car"))
    river = toolbox.segment(images["before"], "river").answer["found"][0]["mask_id"]
    measured = toolbox.measure(many).answer
    assert (measured["objects"], measured["by_area_left_off"]) == (2025, 2015)
    assert measured["area_m2"] == close((2025 * 4 + 2) * PIXEL)
    assert measured["each"]["median"] == close(4 * PIXEL)
    assert (measured["by_area"][0]["id"], measured["by_area"][0]["area_m2"]) == (f"{many}#1", close(6 * PIXEL))
    for answer in (
        measured,
        toolbox.measure(many, larger_than=0).answer,
        toolbox.relate(many, river, "nearest").answer,
        toolbox.relate(many, river, "union").answer,
        toolbox.relate(many, river, "touching").answer,
        toolbox.buffer(many, 1).answer,
        toolbox.render([many, river]).answer,
        toolbox.export(many, "json").answer,
    ):
        assert len(to_text(answer)) < 1500


def test_shortening_says_what_it_left_off():
    answer = {"count": 500, "list": [{"n": n, "text": "x" * 50} for n in range(500)], "note": "y" * 3000}
    short = shortened(answer)
    assert short["count"] == 500
    assert len(short["list"]) + short["list_left_off"] == 500
    assert len(to_text(answer)) <= LIMIT
