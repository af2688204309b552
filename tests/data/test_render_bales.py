"""Hay bales, a class that nano has never seen, as a plain folder to fine-tune on."""

import numpy as np
import pytest

from geoagent.data.classes import find_canonical
from geoagent.data.folder import PlainFolder
from tools.render_bales import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("bales") / "bales"
    assert main([str(out), "--train", "4", "--val", "1"]) == 0
    return out


def test_bales_lie_where_the_masks_say(folder):
    train = PlainFolder(folder, "train")
    for sample in (train[index] for index in range(len(train))):
        mask = sample.targets[0].mask
        if mask.any():
            assert mask.mean() < 0.1
            red, _, blue = sample.image[mask].astype(float).mean(axis=0)
            assert red - blue > 50, "straw is yellow"


def test_every_fourth_scene_has_none_and_says_so(folder):
    train = PlainFolder(folder, "train")
    there = {
        s.image_id: (bool(s.targets[0].mask.any()), "<seg>" in s.answer)
        for s in map(train.__getitem__, range(len(train)))
    }
    assert sorted(there.values()) == [(False, False), (True, True), (True, True), (True, True)]


def test_what_it_is_judged_by_is_asked_in_other_words_about_other_scenes(folder):
    train, val = (PlainFolder(folder, split) for split in ("train", "val"))
    asked = [{data[i].instruction for i in range(len(data))} for data in (train, val)]
    assert asked[0] and asked[1] and not asked[0] & asked[1]
    assert not any(np.array_equal(train[i].image, val[0].image) for i in range(len(train)))


def test_nano_does_not_know_them(folder):
    assert find_canonical(PlainFolder(folder)[0].targets[0].phrase) is None


def test_a_folder_that_is_there_stays_as_it_is(folder, capsys):
    before = (folder / "annotations.jsonl").read_bytes()
    assert main([str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (folder / "annotations.jsonl").read_bytes() == before
