"""What goes with each class: enough of it, nothing that names the class, and never in a test."""

import re

import numpy as np
import pytest
from handmade import rectangle, scene

from geoagent.data.associations import GAPS, associations, wordings
from geoagent.data.classes import CLASSES
from geoagent.data.instructions import SceneIndex, make_one
from geoagent.data.knowledge import load
from geoagent.data.knowledge.rules import names_class


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_many_and_none_names_it(name):
    known = associations(name)
    assert len(known) >= 100
    assert len(set(known)) == len(known)
    assert not [phrase for phrase in known if names_class(load(name), phrase)]
    assert all(len(phrase.split()) <= 6 for phrase in known)


def test_wordings_have_their_gaps_in_order():
    for gaps in (1, 2, 3):
        assert len(wordings(gaps)) >= 8
        assert all([gap for gap in GAPS if gap in text] == list(GAPS[:gaps]) for text in wordings(gaps))


def test_training_asks_by_them_and_tests_never_do(monkeypatch):
    ships = SceneIndex(scene(*(rectangle("ship", x, 20, x + 20, 40) for x in (10, 60, 110))))
    monkeypatch.setattr("geoagent.data.associations.associations", lambda _: ("xylophones", "zithers", "yodelling"))

    def share(split):
        made = (make_one(ships, "implicit", np.random.default_rng(n), n, split=split) for n in range(100))
        return sum(bool(re.search("xylo|zith|yode", sample.instruction.lower())) for sample in made) / 100

    assert 0.12 < share("train") < 0.36
    assert share("test") == 0
