import json

import numpy as np
import pytest
from miniatures import block, coco, picture

from geoagent.data.coco import CocoScenes
from geoagent.data.rle import encode
from geoagent.types import GeoAgentError


def annotation(**changes):
    return {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 6, 10, 14]} | changes


def test_shapes_of_objects(tmp_path):
    train = CocoScenes(coco(tmp_path), split="train").scene(0)
    assert [o.class_name for o in train.objects] == ["storage tank", "car"]
    assert [o.scorable for o in train.objects] == [True, False]
    np.testing.assert_array_equal(train.union(train.objects[:1]), block())
    assert train.complete == {"storage tank", "car"}
    assert train.info.extra == {"flag": True}
    assert (train.split, train.id, train.source) == ("train", f"{tmp_path.name}/one", tmp_path.name)


def test_a_box_is_an_inner_ellipse_with_unknown_corners(tmp_path):
    scene = CocoScenes(coco(tmp_path), split="val").scene(0)
    (tank,) = scene.objects
    assert tank.box == (10, 10, 22, 18)
    assert not tank.scorable
    assert tank.crop[4, 6]
    assert not tank.crop[0, 0]
    np.testing.assert_array_equal(tank.ignore, ~tank.crop)
    assert 0.5 < tank.crop.mean() < np.pi / 4


def test_rle_segmentation(tmp_path):
    rle = annotation(segmentation=encode(block()))
    in_list = annotation(id=2, segmentation=[encode(block())])
    scene = CocoScenes(coco(tmp_path, annotations=[rle, in_list]), split="train").scene(0)
    for thing in scene.objects:
        assert thing.box == (5, 6, 15, 20)
        assert thing.crop.all()
        assert thing.scorable


def test_crowds_and_unknown_categories_are_left_open(tmp_path):
    categories = [{"id": 1, "name": "storage_tank"}, {"id": 2, "name": "gizmo"}]
    polygon = [[5, 6, 15, 6, 15, 20, 5, 20]]
    unknown = annotation(category_id=2, segmentation=polygon)
    crowd = annotation(id=2, bbox=[20, 10, 10, 15], segmentation=encode(block(box=(20, 10, 30, 25))), iscrowd=1)
    scenes = CocoScenes(coco(tmp_path, annotations=[unknown, crowd], categories=categories), split="train")
    assert scenes.remarks == ("no class is known for the categories gizmo: left out",)
    scene = scenes.scene(0)
    assert scene.objects == ()
    np.testing.assert_array_equal(scene.ignore, block() | block(box=(20, 10, 30, 25)))
    with pytest.raises(GeoAgentError, match=r"has no category of .*: gizmo"):
        CocoScenes(coco(tmp_path, annotations=[], categories=categories[1:]))


def test_without_splits_everything_is_for_training(tmp_path):
    coco(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    for image in content["images"]:
        del image["split"], image["group"]
    (tmp_path / "renamed.json").write_text(json.dumps(content))
    assert len(CocoScenes(tmp_path / "renamed.json", split="train")) == 2
    assert len(CocoScenes(tmp_path)) == 2


def test_a_group_must_not_cross_splits(tmp_path):
    coco(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["images"][1]["group"] = "a"
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(GeoAgentError, match="the group 'a' is in the splits train and val"):
        CocoScenes(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [annotation(image_id=9)]}, "annotation 1 belongs to the image 9, which is not listed"),
        ({"annotations": [annotation(category_id=9)]}, "annotation 1 has the category 9, which is not listed"),
        ({"images": [{"id": 1, "file_name": "one.png", "width": 4, "height": 3}] * 2}, "two images have the id 1"),
        (
            {"images": [{"id": 1, "file_name": "../one.png", "width": 4, "height": 3}], "annotations": []},
            "lies outside",
        ),
    ],
)
def test_bad_files_are_named_on_opening(tmp_path, changes, message):
    with pytest.raises(GeoAgentError, match=message):
        CocoScenes(coco(tmp_path, **changes))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (annotation(segmentation=[[100, 100, 120, 100, 120, 120]]), "annotation 1 has no pixel inside"),
        (annotation(segmentation=[[1, 2]]), "annotation 1: a polygon needs at least three points"),
        (annotation(segmentation=encode(block(41, 30))), "annotation 1: the RLE mask is 41 x 30"),
        (annotation(bbox=[5, 6, 0, 4]), "annotation 1: the bbox"),
        (annotation(bbox=[50, 6, 5, 4]), "lies outside the image"),
        ({"id": 1, "image_id": 1, "category_id": 1}, "annotation 1 has neither a segmentation nor a bbox"),
    ],
)
def test_bad_annotations_are_named_on_reading(tmp_path, entry, message):
    scenes = CocoScenes(coco(tmp_path, annotations=[entry]), split="train")
    with pytest.raises(GeoAgentError, match=message):
        scenes.scene(0)


def test_image_of_another_size_or_damaged(tmp_path):
    scenes = CocoScenes(coco(tmp_path), split="train")
    picture(tmp_path / "images" / "one.png", 41, 30)
    with pytest.raises(GeoAgentError, match=r"one\.png is 41 x 30, annotations\.json says 40 x 30"):
        scenes.scene(0)
    (tmp_path / "images" / "one.png").write_bytes(b"no picture")
    with pytest.raises(GeoAgentError, match=r"one\.png cannot be read"):
        scenes.scene(0)
