"""What a phrase singles out, measured in an image that is seen at one look."""

import numpy as np
import pytest
from oracle import blank, disk, oracle_predictor, paint, paint_box

from geoagent.geo.raster import Raster
from geoagent.types import ImageInfo

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


def test_only_models_that_want_it_measure(harbour):
    prediction, oracle = ask(harbour, "the largest ship", singling=False)
    assert ships_in(prediction.targets[0]) == set(SHIPS)
    assert oracle.asked == 1


@pytest.mark.parametrize("phrase", ["ships", "large ships", "white ships", "the largest creature"])
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
    metres, place = ask(harbour, "ships larger than 3000 m2", "the largest ship", gsd_m=None)[0].targets
    assert ships_in(metres) == set(SHIPS)
    assert ships_in(place) == {"long"}


def test_nothing_is_lost_where_no_object_meets_the_conditions(harbour):
    prediction, _ = ask(harbour, "ships larger than 90000 square metres", "ships near the buildings")
    assert [ships_in(target) for target in prediction.targets] == [set(SHIPS)] * 2


def test_what_all_phrases_speak_of_is_looked_for_once(harbour):
    prediction, oracle = ask(harbour, "the largest ship", "rivers", "ships within 50 m of the river")
    assert [len(target.instances) for target in prediction.targets] == [1, 1, 1]
    assert oracle.asked == 1 + 2  # the question; ships and rivers


def test_what_may_be_nothing_is_not_the_foremost(harbour):
    paint(harbour, "ships", disk(harbour, 157, 100, 2.0), number=9)
    prediction, _ = ask(harbour, "the easternmost ship")
    assert ships_in(prediction.targets[0]) == {"eastern"}
