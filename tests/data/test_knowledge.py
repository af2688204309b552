import re

import pytest

from geoagent.data.classes import CLASSES
from geoagent.data.knowledge import Knowledge, Name, available, load, parse
from geoagent.data.knowledge.rules import (
    MAX_SHARED,
    MIN_IMPLICIT,
    check,
    content_words,
    names_class,
    shared,
    stem,
    too_alike,
)
from geoagent.types import GeoAgentError


def tanks(*implicit):
    return Knowledge(
        info=CLASSES["storage tank"],
        names=(Name("storage tank", "storage tanks"), Name("oil tank", "oil tanks")),
        reasons=("Fuel is kept in the {phrase}.",),
        implicit=implicit,
    )


def test_every_class_has_its_file():
    assert set(available()) == set(CLASSES)


@pytest.mark.parametrize("name", list(CLASSES))
def test_the_knowledge_keeps_its_rules(name):
    knowledge = load(name)
    assert list(check(knowledge)) == []
    assert len(knowledge.implicit) >= MIN_IMPLICIT
    assert knowledge.names[0].singular == name


@pytest.mark.parametrize("name", list(CLASSES))
def test_questions_of_a_class_differ_and_never_name_it(name):
    """Written out once more, apart from `check`: plain words, no stemming."""
    knowledge = load(name)
    lower = [question.lower() for question in knowledge.implicit]
    assert len(set(lower)) == len(lower)
    pattern = re.compile(rf"\b({knowledge.info.name}|{knowledge.info.plural})\b")
    assert not [question for question in lower if pattern.search(question)]


def test_no_question_stands_for_two_classes():
    asked = [content_words(question) for name in CLASSES for question in load(name).implicit]
    assert len(set(asked)) == len(asked)


def test_stems_meet_their_inflections():
    for words in (
        ("tank", "tanks"),
        ("park", "parking", "parked"),
        ("plan", "planning", "planned"),
        ("city", "cities"),
    ):
        assert len({stem(word) for word in words}) == 1, words
    assert stem("bus") == "bus"
    assert stem("grass") == "grass"


def test_content_words_leave_out_carriers_and_stop_words():
    assert content_words("Please show me where fuel would be held in this image.") == {stem("fuel"), stem("held")}
    assert content_words("I'm looking for anything that spins") == {stem("spins")}


def test_shared_part_is_that_of_the_shorter_question():
    first, second = frozenset("abcd"), frozenset("bcxyz")
    assert shared(first, second) == 0.5
    assert shared(first, frozenset("z")) == 0.0


def test_questions_that_share_half_are_found():
    pairs = list(too_alike(["fuel pumped aboard tankers", "Where is fuel pumped from trains?", "rusty round walls"]))
    assert len(pairs) == 1
    assert pairs[0][2] >= MAX_SHARED


def test_a_name_is_found_in_any_inflection():
    knowledge = tanks()
    assert names_class(knowledge, "Where are the Oil Tanks?") == "oil tank"
    assert names_class(knowledge, "something tanked up here") == "tank"
    assert names_class(knowledge, "Where is fuel held?") is None


def test_check_reports_what_is_wrong():
    problems = " ".join(
        check(tanks("Which tank leaks?", "fuel held for ships", "Where is fuel held for ships to load?"))
    )
    assert "names the class by 'tank'" in problems
    assert "share 100%" in problems
    assert "3 implicit questions, at least 40" in problems


def good_record():
    return {
        "class": "silo",
        "names": [["silo", "silos"]],
        "reasons": ["Grain is kept in the {phrase}."],
        "implicit": ["Where is grain kept?"],
    }


def test_a_record_becomes_knowledge():
    knowledge = parse(good_record(), "silo")
    assert knowledge.names[0].form(plural=True) == "silos"
    assert knowledge.names[0].form(plural=False) == "silo"


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("class", "crane", "its file name"),
        ("names", [["silo"]], "pair"),
        ("reasons", ["Grain is kept here."], "must hold {phrase} once"),
        ("reasons", ["Grain {is} kept in the {phrase}."], "no other braces"),
        ("implicit", [True], "must be text"),
        ("surplus", 1, "must hold exactly"),
    ],
)
def test_a_malformed_file_is_named(key, value, complaint):
    with pytest.raises(GeoAgentError, match=complaint) as error:
        parse(good_record() | {key: value}, "silo")
    assert "silo.yaml" in str(error.value)


def test_an_unknown_class_is_an_error():
    with pytest.raises(GeoAgentError, match="spaceport"):
        load("spaceport")
