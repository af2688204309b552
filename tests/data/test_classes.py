import pytest

from geoagent.data.classes import (
    CLASSES,
    GROUPS,
    ancestors,
    canonical,
    find_canonical,
    is_complete,
    is_known_absent,
    lookalikes,
    members,
    rivals,
)
from geoagent.types import GeoAgentError


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("small vehicle", "car"),
        ("large-vehicle", "large vehicle"),
        ("minibus", "bus"),
        ("Plane", "airplane"),
        ("harbour", "harbor"),
        ("ground_track_field", "ground track field"),
        ("paved_area", "paved area"),
        ("oil storage tank", "storage tank"),
        ("land", "bare land"),
        ("road full width", "road"),
        ("tree or forest", "vegetation"),
        ("sea or water", "water"),
        ("landslide or debris flow", "landslide"),
        ("unpaved_road", "unpaved road"),
    ],
)
def test_labels_of_data_sets_have_a_class(label, name):
    assert canonical(label) == name
    assert find_canonical(label) == name


def test_an_unknown_label_is_named_in_the_error():
    with pytest.raises(GeoAgentError, match="'spaceport' is unknown"):
        canonical("spaceport")
    assert find_canonical("spaceport") is None


def test_every_class_mentioned_in_the_table_exists():
    for info in CLASSES.values():
        for other in (*info.parents, *info.seen_as, *((info.part_of,) if info.part_of else ())):
            assert other in CLASSES, f"{info.name} mentions {other}"
        assert (info.kind == "part") == (info.part_of is not None)
        assert info.name not in ancestors(info.name)


def test_groups_take_in_what_is_below_them():
    assert members("vehicle") == {"vehicle", "car", "large vehicle", "bus", "truck"}
    assert members("water") == {"water", "sea", "river", "lake", "flood water"}
    assert {"tree", "palm tree", "forest", "grass"} < members("vegetation")
    assert "roof panel" in members("solar panel")
    assert ancestors("bus") == {"large vehicle", "vehicle"}
    assert all(CLASSES[name].umbrella or name in ("tree", "solar panel") for name in GROUPS)


def test_lookalikes_go_one_way_and_upwards():
    assert "greenhouse" in lookalikes("building")
    assert "building" not in lookalikes("greenhouse")
    assert "soccer field" in lookalikes("vegetation")
    assert "swimming pool" in lookalikes("water")
    assert "swimming pool" not in lookalikes("sea")
    assert "water" in lookalikes("sea")
    for name in CLASSES:
        assert not lookalikes(name) & members(name)
        assert rivals(name) == lookalikes(name) | members(name)


def test_an_umbrella_is_complete_when_all_below_it_are():
    assert is_complete("vehicle", frozenset({"car", "bus", "truck"}))
    assert not is_complete("vehicle", frozenset({"car", "bus"}))
    assert not is_complete("tree", frozenset({"palm tree"})), "palms are not all the trees there are"
    assert is_complete("water", frozenset({"water"}))
    assert not is_complete("sea", frozenset({"water"}))


@pytest.mark.parametrize(
    ("name", "present", "complete", "absent"),
    [
        ("helipad", set(), {"helipad"}, True),
        ("helipad", set(), {"ship"}, False),
        ("helipad", {"helipad"}, {"helipad"}, False),
        ("sea", set(), {"water"}, True),
        ("sea", {"water"}, {"water"}, False),
        ("water", {"river"}, {"water"}, False),
        ("water", {"swimming pool"}, {"water", "swimming pool"}, False),
        ("solar panel", {"solar farm"}, {"solar panel", "solar farm"}, False),
        ("tree", {"forest"}, {"tree", "forest"}, False),
        ("tree", set(), {"vegetation"}, True),
        ("airplane wing", set(), {"airplane"}, True),
        ("airplane wing", {"airplane"}, {"airplane"}, False),
        ("car", {"vehicle"}, {"vehicle"}, False),
        ("building", {"greenhouse"}, {"building", "greenhouse"}, False),
        ("greenhouse", {"building"}, {"building", "greenhouse"}, True),
    ],
)
def test_absence_is_claimed_only_where_it_is_known(name, present, complete, absent):
    assert is_known_absent(name, frozenset(present), frozenset(complete)) is absent
