"""What is known of a scene, and what no question may take for known."""

import re

import numpy as np
from handmade import MARK, made, rectangle, scene


def test_absence_is_asked_of_complete_classes_only():
    a_scene = scene(rectangle("ship", 20, 20, 50, 40), complete={"ship", "helipad"})
    for kind in ("absent", "absent_implicit"):
        samples = made(kind, a_scene)
        missing = {t.class_name for s in samples for t in s.targets if not t.present}
        assert missing == {"helipad"}
    assert not made("absent", scene(rectangle("ship", 20, 20, 50, 40), complete={"ship"}))


def test_counts_are_asked_of_complete_classes_only():
    ships = [rectangle("ship", x, 20, x + 20, 40) for x in (20, 60, 100)]
    cars = [rectangle("car", x, 120, x + 20, 140) for x in (20, 60)]
    samples = made("count", scene(*ships, *cars, complete={"ship"}))
    assert {s.targets[0].class_name for s in samples} == {"ship"}
    assert all("3 <p>" in s.answer for s in samples)
    assert not made("count", scene(*ships, *cars, complete=()))


def test_nothing_is_counted_that_may_be_mistaken():
    houses = [rectangle("building", x, 20, x + 20, 40) for x in (20, 60)]
    glass = rectangle("greenhouse", 100, 100, 140, 120)
    counted = {s.targets[0].class_name for s in made("count", scene(*houses, glass)) if s.targets[0].present}
    assert counted == {"greenhouse"}


def test_numbers_of_all_need_complete_classes():
    ships = [rectangle("ship", x, 20, x + 20, 40) for x in (20, 60, 180, 220)]
    for sample in made("position", scene(*ships, complete=())):
        assert not re.search(r"\d", MARK.sub("", sample.answer))
    assert not made("instance", scene(*ships, complete=()))


def test_lookalikes_are_left_unjudged():
    house, glass = rectangle("building", 20, 20, 40, 40), rectangle("greenhouse", 100, 100, 140, 120)
    buildings = [s for s in made("reference", scene(house, glass)) if s.targets[0].class_name == "building"]
    assert buildings
    for sample in buildings:
        assert not sample.targets[0].mask[110, 120]
        assert sample.targets[0].ignore[110, 120]


def test_groups_take_in_their_members():
    a_scene = scene(rectangle("car", 20, 20, 30, 26), rectangle("bus", 100, 100, 130, 110))
    vehicles = [s for s in made("reference", a_scene, 200) if s.targets[0].class_name == "vehicle"]
    assert vehicles
    assert all(s.targets[0].mask[23, 25] and s.targets[0].mask[105, 110] for s in vehicles)


def test_what_a_machine_drew_is_not_scored_and_unknown_pixels_are_ignored():
    belt = np.zeros((30, 30), dtype=np.bool_)
    belt[:5] = True
    crop = np.zeros((30, 30), dtype=np.bool_)
    crop[10:20, 10:20] = True
    turbine = rectangle("wind turbine", 50, 50, 80, 80, scorable=False, ignore=belt)
    turbine = type(turbine)(**{**vars(turbine), "crop": crop})
    unknown = np.zeros((256, 256), dtype=np.bool_)
    unknown[200:, 200:] = True
    for sample in made("reference", scene(turbine, ignore=unknown), 10):
        (target,) = sample.targets
        assert not target.scorable
        assert target.ignore[52, 60]
        assert target.ignore[220, 220]
        assert not target.ignore[65, 65]
