"""Questions that single objects out by what can be measured of them."""

import re

import numpy as np
import pytest
from handmade import draw_from, made, rectangle, scene

from geoagent.data.instructions import SceneIndex
from geoagent.data.instructions.relation import lies_between, lies_beyond
from geoagent.data.instructions.single import colour_match, heading_match, pick


def things(*objects, **fields):
    return SceneIndex(scene(*objects, **fields)).things


def test_measures_of_a_thing():
    (thing,) = things(rectangle("ship", 10, 20, 30, 60))
    assert thing.area == 800
    assert thing.centre == (20.0, 40.0)
    assert not thing.cut
    assert thing.share_in((0, 0, 20, 256)) == 0.5
    assert thing.share_in((0, 0, 256, 30)) == 0.25
    assert thing.share_in((0, 0, 256, 256)) == 1.0
    assert thing.share_in((100, 0, 256, 256)) == 0.0
    assert thing.covers(10, 20)
    assert not thing.covers(30, 60)
    assert things(rectangle("ship", 0, 20, 30, 60))[0].cut


def test_distances_are_between_outlines():
    ships = rectangle("ship", 10, 10, 20, 20), rectangle("ship", 60, 10, 70, 20)
    index = SceneIndex(scene(*ships, rectangle("car", 50, 10, 60, 20)))
    near, touching = index.distances(index.of("ship"), index.of("car"))
    assert near == pytest.approx(31, abs=1.5)
    assert touching == 0


def test_superlatives_need_a_margin():
    left, near_left, right = things(
        rectangle("ship", 10, 10, 30, 30),
        rectangle("ship", 14, 100, 36, 122),
        rectangle("ship", 200, 50, 260 - 10, 100),
    )
    draw = draw_from(scene())
    assert pick(draw, "left", [left, near_left, right]) is None
    assert pick(draw, "right", [left, near_left, right]) == (right, {})
    assert pick(draw, "left", [left, right]) == (left, {})
    assert pick(draw, "top", [left, right]) == (left, {})
    assert pick(draw, "largest", [left, near_left, right]) == (right, {})
    assert pick(draw, "smallest", [left, near_left, right]) is None


def test_the_smallest_is_not_one_that_the_border_cuts():
    cut, whole = things(rectangle("ship", 0, 10, 10, 20), rectangle("ship", 100, 100, 130, 130))
    draw = draw_from(scene())
    assert pick(draw, "smallest", [cut, whole]) is None
    assert pick(draw, "largest", [cut, whole]) == (whole, {})


def test_left_of_means_wholly_left():
    anchor, left, right, straddling = things(
        rectangle("bridge", 100, 100, 140, 120),
        rectangle("ship", 50, 10, 90, 30),
        rectangle("ship", 150, 10, 190, 30),
        rectangle("ship", 70, 10, 110, 30),
    )
    assert lies_beyond(left, anchor, 0, -1) is True
    assert lies_beyond(right, anchor, 0, -1) is False
    assert lies_beyond(straddling, anchor, 0, -1) is None
    assert lies_beyond(right, anchor, 0, 1) is True
    assert lies_beyond(left, anchor, 1, -1) is True


def test_between_means_in_the_middle_and_in_line():
    first, second, middle, aside, behind = things(
        rectangle("helipad", 10, 100, 30, 120),
        rectangle("stadium", 210, 100, 230, 120),
        rectangle("car", 115, 105, 125, 115),
        rectangle("car", 115, 220, 125, 230),
        rectangle("car", 245, 105, 255, 115),
    )
    assert lies_between(middle, first, second) is True
    assert lies_between(aside, first, second) is False
    assert lies_between(behind, first, second) is False


def test_colours_and_headings_leave_doubts_open():
    red, orange, blue = things(
        rectangle("ship", 0, 0, 9, 9, colour="red", heading_deg=10.0),
        rectangle("ship", 20, 0, 29, 9, colour="orange", heading_deg=30.0),
        rectangle("ship", 40, 0, 49, 9, colour="blue", heading_deg=180.0),
    )
    assert [colour_match(t, "red") for t in (red, orange, blue)] == [True, None, False]
    assert [heading_match(t, "north") for t in (red, orange, blue)] == [True, None, False]


def test_position_takes_what_is_clearly_inside():
    in_left, in_right, on_the_line = (
        rectangle("ship", 20, 100, 60, 120),
        rectangle("ship", 180, 100, 220, 120),
        rectangle("ship", 110, 100, 150, 120),
    )
    samples = made("position", scene(in_left, in_right, on_the_line))
    lefts = [s for s in samples if "left half" in s.targets[0].phrase]
    assert lefts
    for sample in lefts:
        (target,) = sample.targets
        assert np.array_equal(target.mask, scene(in_left).union([in_left]))
        assert target.phrase == "ship in the left half" or "left half" in target.phrase
        assert target.ignore is not None
        assert target.ignore[110, 130]
        assert not target.ignore[110, 200]


def test_specks_are_not_asked_for():
    speck, ship = rectangle("car", 20, 20, 25, 25), rectangle("ship", 100, 100, 120, 140)
    for kind in ("reference", "implicit", "instance", "interactive", "count"):
        present = {t.class_name for s in made(kind, scene(speck, ship)) for t in s.targets if t.present}
        assert present == {"ship"}, kind


def test_some_of_a_class_leaves_out_a_fair_part_of_it():
    left = [rectangle("ship", 10, y, 40, y + 8) for y in range(0, 250, 10)]
    right = [rectangle("ship", 200, y, 230, y + 8) for y in range(0, 20, 10)]
    phrases = {s.targets[0].phrase for s in made("position", scene(*left, *right), 80)}
    assert "ships in the right half" in phrases
    assert "ships in the left half" not in phrases


def test_within_metres_uses_the_ground_size():
    pond = rectangle("lake", 100, 100, 120, 120)
    near, far = rectangle("car", 130, 105, 138, 110), rectangle("car", 220, 105, 228, 110)
    samples = [s for s in made("relation", scene(pond, near, far, gsd_m=2.0), 300) if " m of" in s.targets[0].phrase]
    within = [s for s in samples if "within" in s.targets[0].phrase]
    assert within
    for sample in within:
        metres = int(re.search(r"within (\d+) m", sample.targets[0].phrase)[1])
        assert 20 < metres < 200
        assert sample.targets[0].mask[107, 134]
        assert not sample.targets[0].mask[107, 224]
    without_scale = made("relation", scene(pond, near, far), 100)
    assert not [s for s in without_scale if re.search(r"\d+ m", s.targets[0].phrase)]


def test_inside_looks_at_what_surrounds_a_thing():
    ground = rectangle("forest", 0, 0, 120, 256)
    hut, house = rectangle("building", 40, 40, 60, 60), rectangle("building", 180, 40, 200, 60)
    samples = [s for s in made("relation", scene(ground, hut, house), 200) if " inside the" in s.targets[0].phrase]
    assert samples
    for sample in samples:
        assert sample.targets[0].mask[50, 50]
        assert not sample.targets[0].mask[50, 190]


def test_nearest_names_the_only_candidate():
    pad = rectangle("helipad", 20, 20, 40, 40)
    near, far = rectangle("car", 60, 25, 70, 32), rectangle("car", 200, 200, 210, 207)
    samples = [s for s in made("relation", scene(pad, near, far), 200) if "nearest to" in s.targets[0].phrase]
    assert [s for s in samples if s.targets[0].class_name == "car"]
    for sample in samples:
        if sample.targets[0].class_name == "car":
            assert sample.targets[0].mask[28, 65]
            assert not sample.targets[0].mask[203, 205]


def test_area_limits_are_in_square_metres():
    small, large = rectangle("building", 20, 20, 30, 30), rectangle("building", 100, 100, 140, 140)
    samples = [s for s in made("size", scene(small, large, gsd_m=1.0)) if "larger than" in s.targets[0].phrase]
    assert samples
    for sample in samples:
        assert 100 < int(re.search(r"than (\d+) ", sample.targets[0].phrase)[1]) < 1600
        assert sample.targets[0].mask[120, 120]
        assert not sample.targets[0].mask[25, 25]


def test_parts_are_those_of_the_plane_asked_for():
    planes = [
        rectangle("airplane", x, 40, x + size, 40 + size, [rectangle("airplane wing", x, 40, x + 5, 40 + size)])
        for x, size in ((20, 20), (120, 60))
    ]
    samples = made("part", scene(*planes), 80)
    largest = [s for s in samples if "largest" in s.targets[0].phrase]
    assert largest
    for sample in largest:
        assert sample.extra["granularity"] == "part"
        assert not sample.targets[0].mask[:, :100].any()
        assert sample.targets[0].mask[50, 122]
        assert not sample.targets[0].mask[50, 130]


def test_compass_words_need_to_know_where_north_is():
    ships = [rectangle("ship", x, 20 + x, x + 20, 40 + x) for x in (20, 80, 180)]
    words = re.compile(r"\b(north|south|east|west)")
    for kind in ("instance", "position", "relation"):
        for sample in made(kind, scene(*ships, rectangle("helipad", 10, 200, 30, 220))):
            assert not words.search(sample.instruction.lower()), sample.instruction
