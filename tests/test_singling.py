"""What a phrase singles out, measured in an image that is seen at one look."""

from dataclasses import replace

import numpy as np
import pytest
from oracle import blank, oracle_predictor, paint_box

from geoagent.geo.raster import Raster
from geoagent.singling import Singling
from geoagent.types import ImageInfo, Instance, Prediction, Target

SHIPS = {"small": (10, 12, 22, 18), "long": (60, 40, 110, 60), "eastern": (120, 90, 150, 110)}
"""Boxes: 72, 1,000 and 600 pixels."""


@pytest.fixture
def harbour():
    """Three ships, and a river to the south of them all."""
    pixels = blank(160, 160)
    for number, box in enumerate(SHIPS.values()):
        paint_box(pixels, "ships", *box, number=number)
    paint_box(pixels, "rivers", 0, 120, 160, 140)
    return pixels


def ask(pixels, *phrases, singling=True, gsd_m=2.0, **pointing):
    """An answer that says ``phrases`` and draws all of their class."""
    predictor, oracle = oracle_predictor(overview_phrases=phrases, singling=singling)
    height, width = pixels.shape[:2]
    info = ImageInfo(width=width, height=height, gsd_m=gsd_m)
    return predictor.open(Raster(pixels=pixels, valid=None, info=info)).ask("What do you see?", **pointing), oracle


def ships_in(target):
    """Which ships a mask covers; no other pixel may be in it."""
    found = set()
    rest = target.mask.copy()
    for name, (x0, y0, x1, y1) in SHIPS.items():
        if target.mask[y0:y1, x0:x1].all():
            found.add(name)
            rest[y0:y1, x0:x1] = False
    assert not rest.any()
    return found


@pytest.mark.parametrize(
    ("phrase", "meant"),
    [
        ("the largest ship", {"long"}),
        ("the smallest ship", {"small"}),
        ("the easternmost ship", {"eastern"}),
        ("the ship nearest the centre", {"long"}),
        ("ships in the lower half", {"eastern"}),
        ("large ships", {"long", "eastern"}),
        ("small ships", {"small"}),
        ("ships larger than 3000 square metres", {"long"}),
        ("ships smaller than 3000 square metres", {"small", "eastern"}),
        ("ships within 100 m of the river", {"eastern"}),
        ("the ship nearest to the river", {"eastern"}),
    ],
)
def test_what_a_phrase_singles_out_is_measured(harbour, phrase, meant):
    prediction, _ = ask(harbour, phrase)
    (target,) = prediction.targets
    assert target.phrase == phrase
    assert ships_in(target) == meant
    assert [one.id for one in target.instances] == list(range(1, len(meant) + 1))
    assert sum(one.area for one in target.instances) == target.pixel_count


def test_parts_are_those_of_the_whole_that_is_meant():
    pixels = blank(100, 100)
    for number, (x0, size) in enumerate(((10, 20), (50, 40))):
        paint_box(pixels, "storage tanks", x0, 20, x0 + size, 20 + size, number=number)
        paint_box(pixels, "tank roofs", x0 + 4, 24, x0 + size - 4, 16 + size, number=number)
    for which, corner, side in (("largest", 54, 32), ("smallest", 14, 12)):
        prediction, _ = ask(pixels, f"roof of the {which} storage tank")
        mask = prediction.targets[0].mask
        assert mask.sum() == side**2 and mask[24 : 24 + side, corner : corner + side].all()


def test_a_part_belongs_to_the_closer_of_two_wholes_that_touch():
    pixels = blank(60, 100)
    for number, (x0, x1) in enumerate(((10, 50), (50, 70))):
        paint_box(pixels, "storage tanks", x0, 10, x1, 40, number=number)
        paint_box(pixels, "tank roofs", x0 + 1, 12, x1 - 1, 38, number=number)
    predictor, _ = oracle_predictor(
        overview_phrases=["roof of the largest storage tank"], singling=True, tells_apart=True
    )
    info = ImageInfo(width=100, height=60)
    prediction = predictor.open(Raster(pixels=pixels, valid=None, info=info)).ask("What do you see?")
    mask = prediction.targets[0].mask
    assert mask.sum() == 38 * 26 and not mask[:, 50:].any()


def test_only_models_that_want_it_measure(harbour):
    prediction, oracle = ask(harbour, "the largest ship", singling=False)
    assert ships_in(prediction.targets[0]) == set(SHIPS)
    assert oracle.asked == 1


@pytest.mark.parametrize(
    "phrase", ["ships", "ships pointing north", "the largest creature", "ships near the largest creature"]
)
def test_what_sets_no_measure_stays_as_it_was_drawn(harbour, phrase):
    prediction, oracle = ask(harbour, phrase)
    drawn, _ = ask(harbour, phrase, singling=False)
    assert np.array_equal(prediction.candidates[0].mask, drawn.candidates[0].mask)
    assert oracle.asked == 1


def test_what_somebody_points_at_is_not_measured_against_others(harbour):
    prediction, oracle = ask(harbour, "the largest ship", points=[(15, 15)])
    assert ships_in(prediction.targets[0]) == set(SHIPS)
    assert oracle.asked == 1


def test_metres_need_a_scale_and_places_do_not(harbour):
    prediction, _ = ask(harbour, "ships larger than 3000 m2", "the largest ship", gsd_m=None)
    metres, place = prediction.targets
    assert ships_in(metres) == set(SHIPS)
    assert ships_in(place) == {"long"}
    assert prediction.warnings == ("'ships larger than 3000 m2' could not be measured: the image has no ground size",)


def test_nothing_is_lost_where_no_object_meets_the_conditions(harbour):
    prediction, _ = ask(harbour, "ships larger than 90000 square metres", "ships near the buildings")
    assert [ships_in(target) for target in prediction.targets] == [set(SHIPS)] * 2
    assert "no buildings were found, so nothing could be told by where they are" in prediction.warnings
    assert sum("is shown as it was drawn" in warning for warning in prediction.warnings) == 2


def test_what_all_phrases_speak_of_is_looked_for_once(harbour):
    prediction, oracle = ask(harbour, "the largest ship", "rivers", "ships within 50 m of the river")
    assert [len(target.instances) for target in prediction.targets] == [1, 1, 1]
    assert oracle.asked == 1 + 2  # the question; ships and rivers


def test_small_things_count_beside_a_large_one():
    pixels = blank(160, 160)
    paint_box(pixels, "buildings", 5, 5, 155, 105)
    paint_box(pixels, "buildings", 10, 120, 25, 135)
    paint_box(pixels, "buildings", 60, 120, 78, 138)
    smallest, small = ask(pixels, "the smallest building", "buildings smaller than 100 m2", gsd_m=0.5)[0].targets
    assert [one.box for one in smallest.instances] == [(10, 120, 25, 135)]
    assert {one.box for one in small.instances} == {(10, 120, 25, 135), (60, 120, 78, 138)}


def blob(x, score, area=16):
    """An object of 4 pixels height in a strip of 100."""
    crop = np.ones((4, area // 4), dtype=bool)
    box = (x, 3, x + area // 4, 7)
    return Instance(id=1, box=box, crop=crop, score=score, image_size=(10, 100))


def target(phrase, *instances, score=0.9):
    """All of them under one phrase."""
    mask = np.any([one.mask for one in instances], axis=0) if instances else np.zeros((10, 100), dtype=bool)
    return Target(phrase=phrase, score=score, mask=mask, instances=tuple(instances))


def said(*targets, info=None):
    """An answer with these targets."""
    info = info or ImageInfo(width=100, height=10)
    return Prediction(
        answer="", marked_answer="", candidates=targets, image=info, instruction="", model="hand", threshold=0.5
    )


def test_a_guess_is_not_the_foremost():
    near, guess, far = blob(20, 0.9), blob(90, 0.4), blob(60, 0.9)
    prediction = said(target("the rightmost ship", near))
    chosen = Singling.of(prediction).choose(prediction, {"ships": target("ships", near, guess, far)})
    assert [one.box for one in chosen.candidates[0].instances] == [far.box]
    alone = Singling.of(prediction).choose(prediction, {"ships": target("ships", guess)})
    assert [one.box for one in alone.candidates[0].instances] == [guess.box]


def test_what_was_not_found_measures_nothing():
    """An anchor that the model does not believe in is none, however much its mask shows."""
    one, other, river = blob(20, 0.9), blob(60, 0.9), blob(64, 0.9)
    prediction = said(target("the ship nearest to the river", one))
    seen = {"ships": target("ships", one, other), "rivers": target("rivers", river, score=0.01)}
    assert Singling.of(prediction).choose(prediction, seen).candidates[0].mask is prediction.candidates[0].mask
    seen["rivers"] = target("rivers", river)
    chosen = Singling.of(prediction).choose(prediction, seen)
    assert [found.box for found in chosen.candidates[0].instances] == [other.box]


def test_what_was_drawn_stands_in_where_nothing_is_seen_by_its_name():
    small, large = blob(20, 0.9), blob(60, 0.9, area=32)
    prediction = said(target("the largest ship", small, large))
    chosen = Singling.of(prediction).choose(prediction, {"ships": target("ships", score=0.01)})
    assert [found.box for found in chosen.candidates[0].instances] == [large.box]


def test_what_is_believed_in_but_was_not_drawn_is_looked_for_by_its_name():
    one, large = blob(20, 0.9), blob(60, 0.9, area=32)
    prediction = said(target("the largest ship"))
    chosen = Singling.of(prediction).choose(prediction, {"ships": target("ships", one, large)})
    assert [found.box for found in chosen.candidates[0].instances] == [large.box]
    nothing = Singling.of(prediction).choose(prediction, {"ships": target("ships", score=0.01)})
    assert not nothing.candidates[0].mask.any() and not nothing.warnings


def test_nothing_drawn_and_nothing_believed_stays_nothing():
    assert not Singling.of(said(target("the largest ship", score=0.1))).queries


def test_an_impossible_place_is_no_place():
    info = ImageInfo(width=100, height=10, crs="EPSG:4326", transform=(1.0, 0.0, 0.0, 0.0, 1.0, 500.0))
    prediction = said(target("the largest ship", blob(20, 0.9)), info=info)
    seen = {"ships": target("ships", blob(20, 0.9), blob(60, 0.9, area=32))}
    chosen = Singling.of(prediction).choose(prediction, seen)
    assert chosen.candidates[0].pixel_count == 32


def test_the_overview_of_a_large_image_is_not_measured(harbour):
    predictor, oracle = oracle_predictor(overview_phrases=("the largest ship",), singling=True)
    prediction = predictor.segment(harbour, "What do you see?", tiled=True)
    assert ships_in(prediction.targets[0]) == {"long"}
    tiles = len(oracle.shown) - 1
    assert oracle.asked == 1 + tiles


def test_questions_that_are_asked_together_are_measured_one_by_one(harbour):
    predictor, _ = oracle_predictor(overview_phrases=("the largest ship",), singling=True)
    both = predictor.segment_batch([(harbour, "What do you see?"), (blank(160, 160), "What do you see?")])
    assert ships_in(both[0].targets[0]) == {"long"}
    assert not both[1].targets


PAINTS = {"red": (150, 60, 55), "dark red": (95, 45, 40), "white": (205, 205, 200), "blue": (60, 95, 150)}


def painted(phrase):
    """What of four cars, each of one of `PAINTS`, ``phrase`` means."""
    pixels = np.full((40, 100, 3), 120, dtype=np.uint8)
    cars = []
    for number, colour in enumerate(PAINTS.values()):
        x0 = 5 + 24 * number
        pixels[10:16, x0 : x0 + 12] = colour
        crop, score = np.ones((6, 12), dtype=bool), 0.7 + 0.05 * number
        box = (x0, 10, x0 + 12, 16)
        cars.append(Instance(id=number + 1, box=box, crop=crop, score=score, image_size=(40, 100)))
    found = target(phrase, *cars)
    prediction = replace(said(found, info=ImageInfo(width=100, height=40)), pixels=pixels)
    (meant,) = Singling.of(prediction).choose(prediction, {"cars": found}).targets
    return [list(PAINTS)[(one.box[0] - 5) // 24] for one in meant.instances]


@pytest.mark.parametrize(
    ("phrase", "meant"),
    [
        ("red cars", ["red", "dark red"]),
        ("the blue car", ["blue"]),
        ("cars painted white", ["white"]),
        ("the red car nearest to the white car", ["dark red"]),
        ("the only car", ["blue"]),
    ],
)
def test_colours_are_measured_on_the_objects(phrase, meant):
    assert painted(phrase) == meant


def test_a_colour_that_nothing_has_leaves_what_was_drawn():
    assert painted("green cars") == list(PAINTS)


def test_what_lies_under_another_object_has_the_colour_of_what_is_seen_of_it():
    pixels = np.full((40, 100, 3), 205, dtype=np.uint8)
    boxes, size = [(10, 10, 30, 16), (16, 10, 30, 16)], (40, 100)
    under, above = (
        Instance(id=n, box=box, crop=np.ones((6, box[2] - box[0]), dtype=bool), score=0.9, image_size=size)
        for n, box in enumerate(boxes, start=1)
    )
    found = target("white cars", under, above)
    prediction = replace(said(found, info=ImageInfo(width=100, height=40)), pixels=pixels)
    (meant,) = Singling.of(prediction).choose(prediction, {"cars": found}).targets
    assert [one.box for one in meant.instances] == boxes
