import numpy as np
import pytest
import rasterio
from miniatures import picture, write_json
from PIL import Image
from rasterio.transform import from_origin

from geoagent.data.index_masks import IndexMaskScenes
from geoagent.data.instance_masks import InstanceMaskScenes
from geoagent.types import GeoAgentError

CLASSES = [
    {"id": 0, "name": "unlabeled"},
    {"id": 1, "name": "building"},
    {"id": 2, "name": "sea or water"},
    {"id": 3, "name": "other (not built)"},
    {"id": 4, "name": "gizmo"},
]


def labels():
    values = np.full((30, 40), 3, dtype=np.uint8)
    values[2:8, 2:8] = values[8:14, 8:14] = 1  # two squares that touch at a corner
    values[2:10, 20:28] = 1
    values[20:, :] = 2
    values[18, 39] = 1  # a slip of the brush
    return values


def write(root, values=None, **changes):
    picture(root / "images" / "a.jpg")
    (root / "masks").mkdir(exist_ok=True)
    Image.fromarray(labels() if values is None else values).save(root / "masks" / "a.png")
    write_json(root / "classes.json", {"classes": CLASSES, "ignore_id": 0, "split": {"a": "train"}} | changes)
    return root


def test_areas_and_pieces(tmp_path):
    scenes = IndexMaskScenes(write(tmp_path), split="train")
    assert scenes.remarks == ("no class is known for gizmo: those pixels are left out",)
    scene = scenes.scene(0)
    assert [(o.class_name, o.box) for o in scene.objects] == [
        ("building", (2, 2, 14, 14)),
        ("building", (20, 2, 28, 10)),
        ("water", (0, 20, 40, 30)),
    ]
    assert all(o.attributes.get("merged") for o in scene.objects[:2])
    assert scene.ignore.sum() == 1
    assert scene.ignore[18, 39]


def test_completeness_depends_on_what_the_image_shows(tmp_path):
    complete = frozenset({"building", "water"})
    scene = IndexMaskScenes(write(tmp_path), complete=complete).scene(0)
    assert scene.complete == {"water"}  # merged buildings cannot be counted
    sea = np.full((30, 40), 2, dtype=np.uint8)
    assert IndexMaskScenes(write(tmp_path, sea), complete=complete).scene(0).complete == complete
    sea[:5] = 0  # a sixth of the image is unlabelled
    assert IndexMaskScenes(write(tmp_path, sea), complete=complete).scene(0).complete == frozenset()


def test_unnamed_and_unlabelled_pixels_are_unknown(tmp_path):
    values = labels()
    values[15:17, :10], values[15:17, 10:20] = 4, 0
    scene = IndexMaskScenes(write(tmp_path, values), scorable=False).scene(0)
    assert scene.ignore[15:17, :20].all()
    assert scene.ignore.sum() == 41
    assert not any(o.scorable for o in scene.objects)


def test_splits_are_optional(tmp_path):
    write(tmp_path, split=None)
    assert len(IndexMaskScenes(tmp_path, split="train")) == 1
    assert len(IndexMaskScenes(tmp_path, split="val")) == 0


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(GeoAgentError, match=r"classes\.json is missing"):
        IndexMaskScenes(tmp_path)
    write(tmp_path, split={"a": "train", "b": "train"})
    with pytest.raises(GeoAgentError, match=r"has no picture b\.\*"):
        IndexMaskScenes(tmp_path)
    picture(tmp_path / "images" / "b.png")
    with pytest.raises(GeoAgentError, match=r"b\.png is missing: the mask of b\.png"):
        IndexMaskScenes(tmp_path)
    write(tmp_path, np.zeros((30, 41), dtype=np.uint8))
    scenes = IndexMaskScenes(tmp_path)
    assert scenes.remarks[-1] == "1 pictures are in no split, for instance b: left out"
    with pytest.raises(GeoAgentError, match=r"a\.png is 41 x 30, its image 40 x 30"):
        scenes.scene(0)
    write(tmp_path, classes=CLASSES[4:])
    with pytest.raises(GeoAgentError, match="names no class"):
        IndexMaskScenes(tmp_path)


def mosaic(root, numbers, latitude=60.0):
    """A GeoTIFF of 0.5 m in Mercator at a latitude where the ground is half as large."""
    (root / "images").mkdir(exist_ok=True)
    (root / "masks").mkdir(exist_ok=True)
    northing = 6_378_137 * np.log(np.tan(np.pi / 4 + np.radians(latitude) / 2))
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 3, "dtype": "uint8", "crs": "EPSG:3857"}
    with rasterio.open(
        root / "images" / "m.tif", "w", transform=from_origin(1e6, northing, 0.5, 0.5), **profile
    ) as raster:
        raster.write(np.full((3, 30, 40), 90, dtype=np.uint8))
    Image.fromarray(numbers).save(root / "masks" / "m.png")
    return root


def test_numbered_objects_of_a_mosaic(tmp_path):
    numbers = np.zeros((30, 40), dtype=np.uint16)
    numbers[2:6, 2:6] = numbers[2:6, 10:14] = 300  # one object of two pieces, beyond 8 bits
    numbers[10:14, 18:26] = 7  # over the seam between tiles
    scenes = InstanceMaskScenes(mosaic(tmp_path, numbers), "building", tile=20)
    assert [scenes.scene_id(i).rpartition("/")[2] for i in range(len(scenes))] == [
        "m_0_0",
        "m_20_0",
        "m_0_20",
        "m_20_20",
    ]
    assert {scenes.place(i) for i in range(4)} == {"m"}
    first, second = scenes.scene(0), scenes.scene(1)
    assert [(o.box, o.area) for o in first.objects] == [((18, 10, 20, 14), 8), ((2, 2, 14, 6), 32)]
    assert [(o.box, o.area) for o in second.objects] == [((0, 10, 6, 14), 24)]
    assert first.gsd_m == pytest.approx(0.25, rel=0.01)
    assert second.info.transform[2] == pytest.approx(first.info.transform[2] + 10)
    assert scenes.scene(3).size == (10, 20)


def test_mosaic_with_the_mask_of_another(tmp_path):
    scenes = InstanceMaskScenes(mosaic(tmp_path, np.zeros((30, 30), dtype=np.uint16)), "building")
    with pytest.raises(GeoAgentError, match=r"m\.png is smaller than its image m\.tif"):
        scenes.scene(0)
