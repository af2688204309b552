"""The collection made small: labels and pictures shrink together, the readers find what they found before."""

import json

import numpy as np
import pytest
from PIL import Image

from geoagent.data.coco import CocoScenes
from geoagent.data.index_masks import IndexMaskScenes
from tools.pack_imagery import main


@pytest.fixture
def collection(tmp_path):
    """Two sets: outlines of a tank in a picture of 200 x 160, and dense labels of the same size."""
    root = tmp_path / "imagery"
    pixels = np.full((160, 200, 3), 90, dtype=np.uint8)
    pixels[40:100, 20:80] = 230
    coco = root / "tanks"
    (coco / "images").mkdir(parents=True)
    corners = [20, 40, 80, 40, 80, 100, 20, 100]
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(coco / "images" / name)
    images = [
        {"id": 1, "file_name": "a.png", "width": 200, "height": 160, "split": "train"},
        {"id": 2, "file_name": "b.png", "width": 200, "height": 160, "split": "val"},
    ]
    annotations = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [20, 40, 60, 60], "segmentation": [corners], "note": "long"}
        for n in (1, 2)
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "storage tank"}]}
    (coco / "annotations.json").write_text(json.dumps(content))
    (coco / "SOURCE.md").write_text("terms")
    dense = root / "lakes"
    for part in ("images", "masks"):
        (dense / part).mkdir(parents=True)
    Image.fromarray(pixels).save(dense / "images" / "one.png")
    Image.fromarray((pixels[..., 0] > 200).astype(np.uint8)).save(dense / "masks" / "one.png")
    table = {"classes": [{"id": 0, "name": "land"}, {"id": 1, "name": "water"}], "ignore_id": None}
    (dense / "classes.json").write_text(json.dumps({**table, "split": {"one": "train"}}))
    return root


def run(collection, tmp_path, *more):
    out = tmp_path / "packed"
    return out, main([str(collection), "--out", str(out), "--side", "80", "--megabytes", "1", *more])


def test_labels_shrink_with_their_pictures(collection, tmp_path):
    out, code = run(collection, tmp_path)
    assert code == 0
    tanks = CocoScenes(out / "tanks", split=None)
    assert len(tanks) == 1  # the validation picture stays behind
    scene = tanks.scene(0)
    assert scene.image.shape == (80, 100, 3)
    (tank,) = scene.objects
    assert tank.box == (10, 20, 40, 50)
    assert scene.image[30, 20].mean() > 200 > scene.image[10, 5].mean()
    lake = next(o for o in IndexMaskScenes(out / "lakes").scene(0).objects if o.class_name == "water")
    assert lake.area == pytest.approx(30 * 30, rel=0.05)
    assert (out / "tanks" / "SOURCE.md").read_text() == "terms"
    assert "note" not in json.loads((out / "tanks" / "annotations.json").read_text())["annotations"][0]


def test_small_pictures_keep_their_size(collection, tmp_path):
    out, _ = run(collection, tmp_path, "--side", "500", "--splits", "train,val")
    tanks = CocoScenes(out / "tanks", split=None)
    assert [tanks.scene(i).image.shape for i in range(len(tanks))] == [(160, 200, 3)] * 2
    assert tanks.scene(0).objects[0].box == (20, 40, 80, 100)


def test_what_does_not_fit_is_said_before_anything_is_written(collection, tmp_path, capsys):
    out, code = run(collection, tmp_path, "--megabytes", "0.0002")
    assert code == 2
    assert "do not fit into" in capsys.readouterr().err
    assert not out.exists()
