import numpy as np
import pytest
from miniatures import block, picture, write_json, write_pickle

from geoagent.data.nwpu_refer import NWPURefer
from geoagent.data.rle import encode
from geoagent.types import GeoAgentError

SECOND = block(box=(20, 10, 30, 25))


def ref(number, ann_id, text, split="train", **changes):
    plain = {"ref_id": number, "ann_id": ann_id, "image_id": 1, "category_id": 1, "split": split, "file_name": "1.jpg"}
    return plain | {"sentences": [{"raw": t, "sent": t} for t in ([text] if isinstance(text, str) else text)]} | changes


REFS = [
    ref(1, 11, ["the ship at the pier", "码头边的船"]),
    ref(2, 11, "both ships"),
    ref(3, 12, "both ships"),
    ref(4, 12, "both ships", split="test"),
    ref(5, None, "the red ship", category_id=None),
    ref(6, 99, "the lighthouse"),
    ref(7, 13, "the crane"),
]


def write(root, refs=REFS, prefix="new_", nested=False):
    picture(root / "image" / ("image/1.jpg" if nested else "1.jpg"))
    annotations = [
        {"id": 11, "image_id": 1, "category_id": 1, "segmentation": [[5, 6, 15, 6, 15, 20, 5, 20]]},
        {"id": 12, "image_id": 1, "category_id": 1, "segmentation": encode(SECOND)},
        {"id": 13, "image_id": 1, "category_id": 1, "segmentation": []},
    ]
    categories = [{"id": 1, "name": "Ship"}]
    write_json(root / f"{prefix}instances.json", {"images": [], "annotations": annotations, "categories": categories})
    write_pickle(root / f"{prefix}refs(unc).p", refs)
    return root


def test_expressions_of_several_objects_are_united(tmp_path):
    data = NWPURefer(write(tmp_path), "train")
    by_words = {s.instruction: s for s in data}
    assert list(by_words) == ["the ship at the pier", "both ships", "the red ship", "the lighthouse", "the crane"]
    both = by_words["both ships"]
    np.testing.assert_array_equal(both.targets[0].mask, block() | SECOND)
    assert both.type == "several"
    assert [i.area for i in both.targets[0].instances] == [140, 150]
    assert both.targets[0].class_name == "ship"
    only = NWPURefer(tmp_path, "test")[0]
    np.testing.assert_array_equal(only.targets[0].mask, SECOND)


def test_every_way_of_naming_nothing(tmp_path):
    data = NWPURefer(write(tmp_path), "train")
    absent = [s.instruction for s in data if not s.has_target]
    assert absent == ["the red ship", "the lighthouse", "the crane"]
    assert all(s.type == "absent" for s in data if not s.has_target)
    assert data.remarks == ("3 of 5 expressions have no object, 1 have several",)


def test_languages(tmp_path):
    write(tmp_path)
    chinese = NWPURefer(tmp_path, "train", language="zh")
    assert [s.instruction for s in chinese] == ["码头边的船"]
    assert len(NWPURefer(tmp_path, "train", language=None)) == 6
    with pytest.raises(GeoAgentError, match=r"no expression .* in the language 'zh'"):
        NWPURefer(tmp_path, "test", language="zh")


@pytest.mark.parametrize(("prefix", "nested"), [("", False), ("new_", True)])
def test_variants_of_the_layout(tmp_path, prefix, nested):
    assert len(NWPURefer(write(tmp_path, prefix=prefix, nested=nested), "train")) == 5


def test_bad_refs_are_named(tmp_path):
    broken = ref(8, 11, "x")
    del broken["sentences"]
    with pytest.raises(GeoAgentError, match="ref 8 lacks sentences"):
        NWPURefer(write(tmp_path, [broken]), "train")
    with pytest.raises(GeoAgentError, match=r"2\.jpg is missing"):
        NWPURefer(write(tmp_path, [ref(8, 11, "x", file_name="some/where/2.jpg")]), "train")
