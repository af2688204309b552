"""The imagery collection: a miniature of it, and the real one where `GEOAGENT_IMAGERY` names it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from miniatures import coco, picture, write_json
from PIL import Image

from geoagent.data.classes import CLASSES
from geoagent.data.imagery import ImageryDataset, each_set, open_sets
from geoagent.data.imagery_sets import IMAGERY_SETS
from geoagent.data.mixture import Mixture, Part
from geoagent.data.ucmerced import UCMercedScenes
from geoagent.types import GeoAgentError


def ucmerced(root):
    images = []
    for name, kind, split in [("harbor_001", "harbor", "train"), ("overpass_002", "overpass", "val")]:
        picture(root / "images" / f"{name}.jpg")
        images.append({"file": f"images/{name}.jpg", "class": kind, "captions": ["boats docked."], "split": split})
    asked = {"file": "images/harbor_001.jpg", "question": "how many boats?", "answer": "five", "split": "train"}
    write_json(root / "labels.json", {"images": images, "classes": ["harbor"], "questions": [asked]})


@pytest.fixture
def collection(tmp_path):
    coco(tmp_path / "nwpu-vhr10")
    coco(tmp_path / "my-own-tanks")
    picture(tmp_path / "cannes-pools" / "images" / "p.jpg", 60, 60)
    (tmp_path / "cannes-pools" / "masks").mkdir()
    values = np.full((60, 60), 2, dtype=np.uint8)
    values[10:24, 10:24] = 0
    values[12:22, 12:22] = 1
    Image.fromarray(values).save(tmp_path / "cannes-pools" / "masks" / "p.png")
    names = ["ignore", "swimming pool", "not a swimming pool"]
    classes = [{"id": number, "name": name} for number, name in enumerate(names)]
    write_json(
        tmp_path / "cannes-pools" / "classes.json", {"classes": classes, "ignore_id": 0, "split": {"p": "train"}}
    )
    ucmerced(tmp_path / "ucmerced")
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_sets_are_read_as_described(collection):
    opened = {source.name: source.scene(0) for source in open_sets(collection, "train")}
    assert list(opened) == ["cannes-pools", "my-own-tanks", "nwpu-vhr10", "ucmerced"]
    assert "storage tank" in opened["nwpu-vhr10"].complete
    assert not opened["nwpu-vhr10"].complete & {"vehicle", "car", "ship", "harbor"}
    assert not opened["nwpu-vhr10"].labelled & {"vehicle", "ship", "harbor"}
    assert opened["my-own-tanks"].complete == frozenset()
    assert opened["my-own-tanks"].labelled == {"storage tank", "car"}
    pools = opened["cannes-pools"]
    assert pools.complete == frozenset()
    assert pools.labelled == {"swimming pool"}
    assert pools.ignore.sum() == 14 * 14 - 100
    assert (opened["ucmerced"].place, opened["ucmerced"].captions) == ("harbor", ("boats docked.",))


def test_splits_sets_and_terms(collection):
    assert [s.name for s in open_sets(collection, "val")] == ["my-own-tanks", "nwpu-vhr10", "ucmerced"]
    assert [s.name for s in open_sets(collection, "val", sets=["ucmerced"])] == ["ucmerced"]
    with pytest.raises(GeoAgentError, match="has no set potatoes: it holds cannes-pools"):
        open_sets(collection, "val", sets=["potatoes"])
    with pytest.raises(GeoAgentError, match="holds no val images"):
        open_sets(collection, "val", only_open=True)
    with pytest.raises(GeoAgentError, match="no split 'test'"):
        ImageryDataset(collection, "test")
    with pytest.raises(GeoAgentError, match="is not there"):
        ImageryDataset(collection / "gone")


def test_questions_about_real_images(collection):
    data = ImageryDataset(collection, "train", questions_per_image=6, seed=5)
    assert len(data) == 4 * 6
    samples = list(data)
    assert len({s.id for s in samples}) == len(samples)
    assert [s.instruction for s in samples] == [data[i].instruction for i in range(len(data))]
    assert {s.image_id for s in samples[:6]} == {"cannes-pools/p"}
    for sample in samples:
        if sample.source == "nwpu-vhr10" and sample.type.startswith("absent"):
            assert not {t.class_name for t in sample.targets} & {"vehicle", "car", "ship", "harbor"}
    people_asked = [s for s in samples if s.instruction == "How many boats?"]
    assert [s.answer for s in people_asked] == ["Five."]
    assert next(scene.id for scene in data.scenes()) == "cannes-pools/p"


def test_places_have_only_plain_questions(collection):
    places = ImageryDataset(collection, "train", sets=["ucmerced"], questions_per_image=4)
    assert {s.type for s in places} == {"chat"}
    assert not any(s.targets for s in places)
    pixels_only = ImageryDataset(collection, "train", questions_per_image=4, kinds={"reference": 1.0})
    assert {s.source for s in pixels_only} == {"cannes-pools", "my-own-tanks", "nwpu-vhr10"}


def test_each_set_for_mixing(collection):
    sets = each_set(collection, "train", questions_per_image=4)
    assert [s.name for s in sets] == [
        f"imagery/{n}" for n in ("cannes-pools", "my-own-tanks", "nwpu-vhr10", "ucmerced")
    ]
    mixture = Mixture([Part(dataset=s) for s in sets], draws=12, unit="image")
    assert all(len(mixture.questions(draw)) == 4 for draw in range(12))


def test_captions_of_unlisted_images_are_refused(tmp_path):
    ucmerced(tmp_path)
    content = json.loads((tmp_path / "labels.json").read_text())
    content["questions"][0]["file"] = "images/gone.jpg"
    write_json(tmp_path / "labels.json", content)
    with pytest.raises(GeoAgentError, match=r"asks about images/gone\.jpg"):
        UCMercedScenes(tmp_path)
    (tmp_path / "images" / "overpass_002.jpg").unlink()
    with pytest.raises(GeoAgentError, match=r"overpass_002\.jpg is missing"):
        UCMercedScenes(tmp_path)


def test_table_of_sets_uses_canonical_classes():
    for known in IMAGERY_SETS.values():
        assert known.complete <= set(CLASSES), known.name
        assert known.sparse <= set(CLASSES) - known.complete, known.name
        assert set(known.gsd_by_class) <= set(CLASSES), known.name
        assert known.terms


REAL = os.environ.get("GEOAGENT_IMAGERY", "")


@pytest.mark.skipif(not REAL or not Path(REAL).is_dir(), reason="GEOAGENT_IMAGERY names no folder of real imagery")
class TestRealCollection:
    def test_every_set_opens_and_gives_a_scene(self):
        for split in ("train", "val"):
            for source in open_sets(Path(REAL), split):
                scene = source.scene(0)
                assert scene.split == split
                assert scene.objects or scene.captions or scene.complete, source.name
                assert source.name in IMAGERY_SETS
                assert not source.remarks, source.remarks

    def test_no_place_is_in_both_splits(self):
        places = {}
        for split in ("train", "val"):
            for source in open_sets(Path(REAL), split):
                if source.name != "ucmerced":  # its splits follow the published captions, not sites
                    places.setdefault(split, set()).update(
                        f"{source.name}/{source.place(i)}" for i in range(len(source))
                    )
        assert not places["train"] & places["val"]

    def test_only_open_sets(self):
        names = {source.name for source in open_sets(Path(REAL), "train", only_open=True)}
        assert names == {name for name, known in IMAGERY_SETS.items() if known.open_licence}
        assert "isaid-tiles" not in names

    def test_questions_about_a_few_images_of_each_set(self):
        for dataset in each_set(Path(REAL), "val", questions_per_image=4):
            samples = dataset.questions(0)
            assert len(samples) == 4, dataset.name
