"""The rendered world: the same everywhere, complete, and true to its own rules."""

import hashlib
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pytest

from geoagent.data.classes import CLASSES
from geoagent.data.synth import LANDSCAPES, RENDERED_CLASSES, render_scene
from geoagent.types import AnnotatedScene, GeoAgentError, SceneObject

SEEDS = range(3)
DIGEST = (
    "import hashlib; from geoagent.data.synth import render_scene\n"
    "for seed, size, kind in ((7, 256, None), (3, (160, 224), 'port')):\n"
    "    scene = render_scene(seed, size, landscape=kind)\n"
    "    masks = b''.join(o.crop.tobytes() + repr((o.class_name, o.box, sorted(o.attributes.items()))).encode()"
    " for o in scene.objects)\n"
    "    print(hashlib.sha256(scene.image.tobytes() + masks).hexdigest(), repr(scene.info), sorted(scene.complete))"
)
FLAT = {
    "road",
    "grass",
    "bare land",
    "sea",
    "river",
    "lake",
    "beach",
    "farmland",
    "forest",
    "runway",
    "apron",
    "railway",
}


@cache
def scene_of(landscape: str, seed: int, size: int = 256) -> AnnotatedScene:
    return render_scene(seed, size, landscape=landscape)


def every_scene() -> list[AnnotatedScene]:
    return [scene_of(landscape, seed) for landscape in LANDSCAPES for seed in SEEDS]


def around(scene: AnnotatedScene, thing: SceneObject, margin: int) -> set[str]:
    """Classes of whatever lies within a few pixels about a thing, itself left out."""
    x0, y0, x1, y1 = thing.box
    window = (max(x0 - margin, 0), max(y0 - margin, 0), x1 + margin, y1 + margin)
    return {
        other.class_name
        for other in scene.objects
        if other is not thing
        and other.box[0] < window[2]
        and window[0] < other.box[2]
        and other.box[1] < window[3]
        and window[1] < other.box[3]
        and scene.union([other])[window[1] : window[3], window[0] : window[2]].any()
    }


def test_two_processes_render_the_same():
    runs = [
        subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].splitlines()) == 2


def test_seeds_and_sizes_differ():
    images = [render_scene(seed, 64).image for seed in (1, 2)]
    assert not np.array_equal(*images)
    assert render_scene(1, (96, 64)).image.shape == (96, 64, 3)


def test_the_result_does_not_depend_on_what_was_rendered_before():
    first = hashlib.sha256(render_scene(11, 128).image.tobytes()).hexdigest()
    render_scene(12, 128)
    assert hashlib.sha256(render_scene(11, 128).image.tobytes()).hexdigest() == first


@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_every_landscape_renders_with_truth(landscape):
    for seed in SEEDS:
        scene = scene_of(landscape, seed)
        assert scene.image.shape == (256, 256, 3)
        assert scene.image.dtype == np.uint8
        assert scene.place == landscape
        assert scene.objects
        assert 20 < scene.image.mean() < 235
        assert scene.image.std() > 4
        assert {o.class_name for o in scene.objects} <= set(CLASSES)
        assert scene.info is not None
        assert scene.info.gsd_m == scene.gsd_m


def test_masks_are_tight_and_large_enough():
    for scene in every_scene():
        for thing in scene.objects:
            x0, y0, x1, y1 = thing.box
            assert 0 <= x0 < x1 <= 256
            assert 0 <= y0 < y1 <= 256
            assert thing.area >= 8
            assert thing.crop.any(axis=0)[[0, -1]].all()
            assert thing.crop.any(axis=1)[[0, -1]].all()


def test_flat_surfaces_and_small_things_never_share_pixels():
    solid = FLAT | {
        "car",
        "bus",
        "truck",
        "airplane",
        "ship",
        "storage tank",
        "tree",
        "palm tree",
        "shipping container",
    }
    for scene in every_scene():
        owners = np.zeros(scene.size, dtype=np.int32)
        for thing in scene.objects:
            if thing.class_name in solid:
                x0, y0, x1, y1 = thing.box
                owners[y0:y1, x0:x1] += thing.crop
        assert owners.max() <= 1


def test_what_is_hidden_belongs_to_what_hides_it():
    hidden = 0
    for scene in every_scene():
        roads = scene.union(scene.of_class("road"))
        for thing in scene.objects:
            if thing.class_name in ("car", "bus", "truck"):
                x0, y0, x1, y1 = thing.box
                assert not (roads[y0:y1, x0:x1] & thing.crop).any()
                hidden += roads[max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2].any()
    assert hidden > 50


def test_parts_lie_inside_their_wholes():
    found = set()
    for scene in every_scene():
        for thing in scene.objects:
            whole = scene.union([thing])
            for part in thing.parts:
                found.add(part.class_name)
                assert CLASSES[part.class_name].part_of == thing.class_name
                x0, y0, x1, y1 = part.box
                assert whole[y0:y1, x0:x1][part.crop].all()
    assert {"airplane wing", "airplane tail", "ship deck", "tank roof", "roof panel", "turbine blade"} <= found


def test_ships_lie_on_water():
    ships = 0
    for landscape in ("port", "coast", "river", "lake"):
        for seed in range(6):
            scene = scene_of(landscape, seed)
            for ship in scene.of_class("ship"):
                ships += 1
                assert around(scene, ship, 4) & {"sea", "river", "lake"}
    assert ships > 30


def test_planes_stand_on_airfields():
    planes = [
        (scene_of("airport", seed), plane)
        for seed in range(8)
        for plane in scene_of("airport", seed).of_class("airplane")
    ]
    assert len(planes) > 10
    for scene, plane in planes:
        assert around(scene, plane, 3) & {"apron", "runway", "paved area"}


def test_vehicles_stand_where_vehicles_may():
    grounds = {"road", "unpaved road", "parking lot", "paved area", "apron", "bridge", "roundabout", "bare land",
               "flood water", "grass", "helipad"}  # fmt: skip
    for scene in every_scene():
        for kind in ("car", "bus", "truck"):
            for thing in scene.of_class(kind):
                near = around(scene, thing, 4)
                assert near & grounds, (scene.id, thing.box, near)
                assert not near <= {"sea", "river", "lake"}


def test_bridges_cross_water_or_rail_to_land():
    bridges = [(s, b) for seed in range(8) for s in [scene_of("river", seed)] for b in s.of_class("bridge")]
    assert len(bridges) > 3
    for scene, bridge in bridges:
        assert around(scene, bridge, 6) & {"river", "lake"}


def test_panels_lie_in_their_farm():
    farms = 0
    for seed in range(3):
        scene = scene_of("solar farm", seed)
        farm = scene.union(scene.of_class("solar farm"))
        farms += farm.any()
        for panel in scene.of_class("solar panel"):
            assert farm[panel.box[1] : panel.box[3], panel.box[0] : panel.box[2]][panel.crop].all()
    assert farms


def test_an_incomplete_class_is_said_to_be_so():
    for scene in every_scene():
        assert scene.complete <= RENDERED_CLASSES
        if scene.of_class("forest"):
            assert "tree" not in scene.complete
        assert {"car", "ship", "airplane", "building"} <= scene.complete


@pytest.mark.slow
def test_every_class_can_be_met():
    expected = {name for name in CLASSES if name not in ("vehicle", "large vehicle", "water")}
    met: set[str] = set()
    for seed in range(120):
        scene = render_scene(500 + seed, 384)
        met |= {o.class_name for o in scene.objects} | {p.class_name for o in scene.objects for p in o.parts}
        if expected <= met:
            break
    assert expected <= met, expected - met


def test_attributes_describe_the_thing():
    scene = next(s for s in (scene_of("airport", seed) for seed in range(8)) if s.of_class("airplane"))
    plane = scene.of_class("airplane")[0]
    assert 0 <= plane.attributes["heading_deg"] < 360
    assert 5 < plane.attributes["length_m"] < 80
    assert isinstance(plane.attributes["colour"], str)
    assert plane.attributes["area_m2"] == pytest.approx(plane.area * scene.gsd_m**2, abs=0.1)


@pytest.mark.parametrize("size", [64, (300, 130), 1200])
def test_sizes(size):
    scene = render_scene(5, size, landscape="town", gsd_m=0.5)
    assert scene.size == ((size, size) if isinstance(size, int) else size)
    assert scene.gsd_m == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "negative"),
        ({"seed": 0, "size": 10}, "sides from"),
        ({"seed": 0, "landscape": "moon"}, "coast, river"),
    ],
)
def test_mistakes_are_explained(arguments, message):
    with pytest.raises(GeoAgentError, match=message):
        render_scene(**arguments)


def test_rendering_is_fast_enough_for_training():
    render_scene(0, 256)
    start = time.process_time()
    for seed in range(1, 13):
        render_scene(seed, 256)
    assert (time.process_time() - start) / 12 < 0.5
