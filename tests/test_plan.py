"""Phrases become a class to look for and conditions on its objects."""

import pytest

from geoagent.data.instructions import phrasing
from geoagent.plan import Condition, Query, plan_phrase, plan_question


def only(text: str) -> Query:
    (query,) = plan_question(text)
    return query


@pytest.mark.parametrize(
    ("question", "noun", "condition"),
    [
        ("Where is the largest storage tank?", "storage tanks", Condition("largest")),
        ("the three smallest buildings", "buildings", Condition("smallest", count=3)),
        ("ships in the left half", "ships", Condition("region", side="left", part="half")),
        (
            "Which cars are in the north-eastern quarter?",
            "cars",
            Condition("region", side="north-east", part="quarter"),
        ),
        ("Find the northernmost wind turbine", "wind turbines", Condition("extreme", side="north")),
        ("The most central tree", "trees", Condition("central")),
        ("the roofs larger than 100 square metres", "roofs", Condition("above", amount=100, unit="m2")),
        ("fields: none", "", None),
        ("greenhouses under 1.5 ha", "greenhouses", Condition("below", amount=15_000, unit="m2")),
        ("all big ships", "ships", Condition("large")),
        ("How many boats are cut by the image border?", "boats", Condition("edge")),
    ],
)
def test_conditions_on_one_class(question: str, noun: str, condition: Condition | None) -> None:
    if condition is None:
        assert plan_question(question) == ()
        return
    query = only(question)
    assert query.noun == noun
    assert query.conditions == (condition,)


@pytest.mark.parametrize(
    ("question", "kind", "anchor", "amount"),
    [
        ("buildings within 50 m of the river", "within", "rivers", 50),
        ("Which buildings are less than 1.5 km from a lake?", "within", "lakes", 1500),
        ("trees more than 20 metres from the road", "beyond", "roads", 20),
        ("the car nearest the bridge", "nearest", "bridges", 0),
        ("ships next to the harbor", "near", "harbors", 0),
        ("cars on the road", "on", "roads", 0),
        ("ships to the left of the bridge", "beside", "bridges", 0),
        ("trees along the river", "along", "rivers", 0),
    ],
)
def test_conditions_on_two_classes(question: str, kind: str, anchor: str, amount: float) -> None:
    (condition,) = only(question).conditions
    assert condition.kind == kind
    assert condition.anchors[0].noun == anchor
    assert condition.amount == amount


@pytest.mark.parametrize(
    ("question", "noun", "owner"),
    [
        ("the wings of the largest airplane", "airplane wings", "airplanes"),
        ("mark the roof of the largest storage tank", "tank roofs", "storage tanks"),
        ("blades of the westernmost wind turbine", "turbine blades", "wind turbines"),
        ("the solar panels on the smallest building", "roof panels", "buildings"),
        ("the wings of the airplane nearest to the runway", "airplane wings", "airplanes"),
        ("the wings of the largest airplane in the left half", "airplane wings", "airplanes"),
    ],
)
def test_parts_are_those_of_some_objects(question: str, noun: str, owner: str) -> None:
    query = only(question)
    (condition,) = query.conditions
    assert (query.noun, condition.kind) == (noun, "of")
    (whole,) = condition.anchors
    assert whole.noun == owner and whole.conditions


def test_parts_of_all_objects_are_a_class_and_of_something_else_nothing() -> None:
    assert only("the decks of the ships") == Query("decks of the ships", "ship decks", "ship deck")
    assert plan_question("the wings of the largest ship") == ()
    assert list(only("the wings of the white airplane").kinds()) == ["of", "colour"]


def test_a_part_of_one_thing_says_nothing_of_what_is_named_beside_it() -> None:
    ships, wings = plan_question("the ships and the wings of the largest airplane")
    assert ships.conditions == () and wings.conditions[0].kind == "of"


def test_conditions_nest() -> None:
    query = only("the ships near the largest crane in the left half")
    assert query.noun == "ships"
    (near,) = [c for c in query.conditions if c.kind == "near"]
    said = {c.kind for c in query.conditions} | {c.kind for c in near.anchors[0].conditions}
    assert said == {"near", "largest", "region"}
    assert list(query.nouns()) == [("ships", "ship"), ("cranes", "crane")]


def test_several_things_share_what_is_said_behind_them() -> None:
    ships, cranes = plan_question("How many ships and cranes are in the left half?")
    assert ships.conditions == cranes.conditions == (Condition("region", side="left", part="half"),)
    plain, largest = plan_question("ships and the largest crane")
    assert plain.conditions == ()
    assert largest.conditions == (Condition("largest"),)


def test_classes_whose_name_sounds_like_a_condition_are_classes() -> None:
    assert only("large vehicles").conditions == ()
    assert only("open water").class_name == "water"
    assert only("the parking lots").class_name == "parking lot"


def test_headings_stay_a_part_of_what_is_asked_for() -> None:
    query = only("Mark the airplanes pointing north")
    assert (query.noun, query.class_name, query.conditions) == ("airplanes pointing north", "airplane", ())


def test_colours_are_conditions_that_who_sees_a_tile_may_judge_instead() -> None:
    query = only("Mark the white airplanes near the red building")
    assert query.noun == "airplanes"
    assert {c.kind: c.side for c in query.conditions} == {"colour": "white", "near": ""}
    assert query.as_seen(colours=False) == query
    seen = query.as_seen(colours=True)
    assert (seen.phrase, seen.noun) == (query.phrase, "white airplanes")
    (near,) = seen.conditions
    assert (near.kind, near.anchors[0].noun, near.anchors[0].conditions) == ("near", "red buildings", ())


@pytest.mark.parametrize(
    ("phrase", "kinds"),
    [
        ("the only helipad", ["only"]),
        ("the only white car", ["colour", "only"]),
        ("only the white cars", ["colour"]),
        ("roofs of the only storage tank", ["of", "only"]),
        ("cars", []),
    ],
)
def test_the_only_one_is_a_single_object(phrase: str, kinds: list[str]) -> None:
    query = plan_phrase(phrase)
    assert list(query.kinds()) == kinds
    assert not {"only", "colour"} & set(query.as_seen(colours=True).kinds())


def test_parts_of_the_only_one_are_those_of_any() -> None:
    assert plan_phrase("roofs of the only storage tank").as_seen(colours=True).conditions == ()
    assert list(plan_phrase("roofs of the white storage tanks").as_seen(colours=True).kinds()) == ["of"]


@pytest.mark.parametrize(
    "question",
    [
        "Where is fuel kept?",
        "Where could a helicopter land safely?",
        "Which tanks would leak first?",
        "hello",
        "What is this place?",
        "the second largest ship",
    ],
)
def test_what_is_not_understood_whole_is_left_alone(question: str) -> None:
    assert plan_question(question) == ()


def test_phrases_of_answers_may_be_about_anything() -> None:
    assert plan_phrase("the largest storage tank") == Query(
        "largest storage tank", "storage tanks", "storage tank", (Condition("largest"),)
    )
    assert plan_phrase("circus tents") == Query("circus tents", "circus tents")


SLOTS = {
    "x": "storage tanks", "one": "storage tank", "anchor": "the river", "other": "the bridge", "side": "left",
    "n": "50", "unit": "square metres", "colour": "white", "heading": "north",
}  # fmt: skip
EXPECTED = {
    "centre": "central", "half": "region", "quarter": "region", "third": "region", "middle": "region", "inside": "on",
    "on_top": "on", "within_m": "within", "beyond_m": "beyond", "heading": None,
}  # fmt: skip
SIDES = ("left", "right", "top", "bottom", "north", "south", "west", "east")


@pytest.mark.parametrize("kind", ["instance", "position", "size", "relation", "attribute"])
def test_every_wording_of_the_training_is_understood(kind: str) -> None:
    for key in phrasing.keys(kind):
        for wording in phrasing.contents(kind)[key]:
            query = only(wording.format(**SLOTS))
            assert query.class_name == "storage tank", wording
            fallback = "extreme" if key in SIDES else "beside" if kind == "relation" and "_" in key else key
            if kind == "relation" and key in ("above", "below"):
                fallback = "beside"
            wanted = EXPECTED.get(key, fallback)
            kinds = [c.kind for c in query.conditions]
            if wanted == "only" or wording.startswith(("the only", "the one")):
                # "The only white tank" is white and the only one; that there is no other some wordings say behind it.
                kinds = [kind for kind in kinds if kind != "only"]
                wanted = None if wanted == "only" else wanted
            assert kinds == ([] if wanted is None else [wanted]), wording


def test_every_way_to_ask_is_understood() -> None:
    for wording in phrasing.contents("requests")["requests"]:
        query = only(wording.format(x="the largest storage tank"))
        assert query.conditions == (Condition("largest"),), wording
