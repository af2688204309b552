"""What the dense truth says of a class: there, not there, or nobody knows."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from geoagent.data.class_maps import CLASS_NAMES, class_maps, class_number, cover_of
from geoagent.model.auxiliary import UNKNOWN_CLASS
from geoagent.types import AnnotatedScene, SceneObject


def scene(objects, complete=(), ignore=None, labelled=()):
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    return AnnotatedScene(
        id="s",
        image=image,
        objects=tuple(objects),
        complete=frozenset(complete),
        labelled=frozenset(labelled),
        ignore=ignore,
    )


def box(name, x0, y0, x1, y1, **extra):
    return SceneObject(class_name=name, box=(x0, y0, x1, y1), crop=np.ones((y1 - y0, x1 - x0), dtype=np.bool_), **extra)


def maps_of(*scenes, side=8):
    maps = class_maps(scenes, side)
    return maps.cover, maps.weight


def test_there_not_there_and_unknown():
    cover, weight = maps_of(scene([box("ship", 0, 0, 16, 16)], complete={"ship", "crane"}))
    ship, crane, lake = (class_number(name) for name in ("ship", "crane", "lake"))
    assert (cover[0, ship, :4, :4] == 255).all()
    assert (cover[0, ship, 4:] == 0).all()
    assert (weight[0, ship] == 1).all()
    assert (cover[0, crane] == 0).all()
    assert (weight[0, crane] == 1).all()  # known to be absent
    assert (weight[0, lake] == 0).all()  # nobody looked for lakes


def test_an_incomplete_class_is_known_where_it_was_drawn():
    cover, weight = maps_of(scene([box("ship", 0, 0, 16, 16)]))
    ship = class_number("ship")
    assert (weight[0, ship, :4, :4] == 1).all()
    assert weight[0, ship].sum() == 16
    assert (cover[0, ship, :4, :4] == 255).all()


def test_classes_that_labels_look_for_have_negatives():
    _, weight = maps_of(scene([], labelled={"ship"}))
    assert (weight[0, class_number("ship")] == 1).all()


def test_a_bus_is_a_vehicle_too_and_a_vehicle_may_be_a_bus():
    every = {"car", "bus", "truck", "vehicle", "large vehicle"}
    cover, weight = maps_of(scene([box("bus", 0, 0, 16, 16), box("vehicle", 16, 16, 32, 32)], complete=every))
    bus, car, large, vehicle = (class_number(name) for name in ("bus", "car", "large vehicle", "vehicle"))
    for name in (bus, large, vehicle):
        assert (cover[0, name, :4, :4] == 255).all()
    assert (cover[0, car] == 0).all()
    assert (weight[0, car, :4, :4] == 1).all()  # a bus is no car
    assert (cover[0, vehicle, 4:, 4:] == 255).all()
    for name in (bus, car, large):  # which kind of vehicle, nobody said
        assert (weight[0, name, 4:, 4:] == 0).all()


def test_pixels_that_nobody_knows():
    unknown = np.zeros((32, 32), dtype=np.bool_)
    unknown[:, 16:] = True
    _, weight = maps_of(scene([], complete={"ship"}, ignore=unknown))
    ship = class_number("ship")
    assert (weight[0, ship, :, :4] == 1).all()
    assert (weight[0, ship, :, 4:] == 0).all()


def test_parts_are_classes_of_their_own():
    deck = box("ship deck", 4, 4, 12, 12)
    cover, _ = maps_of(scene([box("ship", 0, 0, 16, 16, parts=(deck,))], complete={"ship", "ship deck"}))
    assert (cover[0, class_number("ship deck"), 1:3, 1:3] == 255).all()


def test_an_image_of_which_nothing_is_known():
    cover, weight = maps_of(None, scene([], complete={"ship"}))
    assert cover.shape == (2, len(CLASS_NAMES), 8, 8)
    assert weight[0].sum() == 0
    assert weight[1].sum() == 64
    assert class_number(None) == class_number("no such class") == UNKNOWN_CLASS


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (50, 70), (8, 8)])
def test_cover_is_the_average_of_each_cell(size):
    mask = np.random.default_rng(0).random(size) > 0.6
    expected = functional.adaptive_avg_pool2d(torch.from_numpy(mask)[None].float(), (16, 16))[0]
    torch.testing.assert_close(cover_of(mask, 16), expected)
