"""Views of a scene keep masks on their pixels: coloured squares are drawn and followed."""

import numpy as np
import pytest

from geoagent.data.augment import ViewConfig, crop_scene, other_light, random_view, turn_scene
from geoagent.types import AnnotatedScene, SceneObject

RED, BLUE = (250, 10, 10), (10, 10, 250)
SIDE = 96


def thing(image, box, colour, **extra):
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] = colour
    crop = np.ones((y1 - y0, x1 - x0), dtype=np.bool_)
    return SceneObject(class_name="car", box=box, crop=crop, **extra)


def scene_of(*boxes, ignore=None, **extra):
    """Red things on black, at ``boxes``."""
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    objects = tuple(thing(image, box, RED, **extra) for box in boxes)
    return AnnotatedScene(id="s", image=image, objects=objects, complete=frozenset({"car"}), ignore=ignore, gsd_m=0.5)


def red(image):
    return image[..., 0] > 125


def overlap(a, b):
    return (a & b).sum() / max(1, (a | b).sum())


@pytest.mark.parametrize("seed", range(8))
def test_masks_stay_on_their_pixels(seed):
    scene = scene_of((10, 12, 40, 30), (60, 50, 80, 90))
    rng = np.random.default_rng(seed)
    view = random_view(scene, 128, ViewConfig(zoom=(0.4, 1.0), light=0.0), rng)
    assert view.image.shape == (128, 128, 3)
    drawn = view.union(view.objects)
    judged = np.ones_like(drawn) if view.ignore is None else ~view.ignore
    assert overlap(drawn & judged, red(view.image) & judged) > 0.93 or not red(view.image)[judged].any()
    assert {turned.class_name for turned in view.objects} <= {"car"}


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_turns_are_exact_and_headings_follow(quarters, mirrored):
    scene = scene_of((40, 60, 50, 70))
    # A vehicle heading north-north-east: its nose is blue.
    image = scene.image.copy()
    nose = thing(image, (48, 40, 54, 46), BLUE, attributes={"heading_deg": 20.0})
    scene = AnnotatedScene(id="s", image=image, objects=(*scene.objects, nose), complete=frozenset())
    view = turn_scene(scene, quarters, mirrored=mirrored)
    body, nose = view.objects
    assert np.array_equal(view.union([body]), red(view.image))
    assert np.array_equal(view.union([nose]), view.image[..., 2] > 125)
    step = np.array(nose.box[:2]) - np.array(body.box[:2]) + (np.array(nose.box[2:]) - np.array(body.box[2:]))
    seen = np.degrees(np.arctan2(step[0], -step[1])) % 360
    turned = abs((nose.attributes["heading_deg"] - seen + 180) % 360 - 180)
    assert turned < 6


def test_what_a_crop_cuts_off_is_left_unjudged():
    scene = scene_of((40, 40, 52, 52))
    view = crop_scene(scene, (0, 0, 43, 43), 86)  # a sixteenth of the square is left
    assert view.objects == ()
    assert view.ignore is not None
    assert overlap(view.ignore, red(view.image)) > 0.9


def test_large_things_may_be_cut_anywhere():
    scene = scene_of((8, 8, 88, 88))
    view = crop_scene(scene, (0, 0, 24, 24), 48)
    assert len(view.objects) == 1
    assert overlap(view.union(view.objects), red(view.image)) > 0.9
    assert view.gsd_m == pytest.approx(0.25)


def test_what_was_unknown_stays_unknown():
    unknown = np.zeros((SIDE, SIDE), dtype=np.bool_)
    unknown[:20, :] = True
    view = crop_scene(scene_of((40, 40, 60, 60), ignore=unknown), (0, 0, 48, 48), 48)
    assert view.ignore[:19].all()
    assert not view.ignore[21:].any()


def test_parts_follow_the_whole():
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    part = SceneObject(class_name="roof panel", box=(30, 30, 40, 36), crop=np.ones((6, 10), dtype=np.bool_))
    whole = thing(image, (20, 20, 60, 60), RED, parts=(part,))
    image[30:36, 30:40] = BLUE
    scene = AnnotatedScene(id="s", image=image, objects=(whole,), complete=frozenset())
    view = turn_scene(crop_scene(scene, (10, 10, 74, 74), 128), 1, mirrored=True)
    assert overlap(view.union(view.objects[0].parts), view.image[..., 2] > 125) > 0.9


def test_light_changes_but_is_drawn_from_its_generator():
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    one, same, other = (other_light(image, 0.3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == np.uint8
