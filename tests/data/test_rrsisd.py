import json
import os
import pickle

import numpy as np
import pytest
from miniatures import block, rrsisd

from geoagent.data.rrsisd import RRSISD, spoken_category
from geoagent.types import GeoAgentError


def test_sentences_masks_and_classes(tmp_path):
    data = RRSISD(rrsisd(tmp_path), "train")
    assert [s.instruction for s in data] == ["The toll station", "A station on the left"]
    assert data.groups() == [[0, 1]]
    sample = data[0]
    # The box is xyxy and the area wrong: the mask comes from the list that holds one RLE.
    np.testing.assert_array_equal(sample.targets[0].mask, block())
    assert sample.targets[0].phrase == "expressway toll station"
    assert len(RRSISD(tmp_path, "test")) == 1
    with pytest.raises(IndexError):
        data[2]


def test_files_are_found_wherever_a_copy_keeps_them(tmp_path):
    rrsisd(tmp_path / "deep" / "copy")
    assert len(RRSISD(tmp_path, "train")) == 2
    rrsisd(tmp_path / "second")
    with pytest.raises(GeoAgentError, match="holds several"):
        RRSISD(tmp_path, "train")


@pytest.mark.parametrize("size", [(41, 30), (40, 31), (40, 29)])
def test_images_a_little_off_their_masks(tmp_path, size):
    sample = RRSISD(rrsisd(tmp_path, size), "train")[0]
    assert sample.targets[0].mask.shape == sample.image.shape[:2] == size[::-1]
    assert sample.extra == {"mask_size": (30, 40)}
    assert abs(int(sample.targets[0].mask.sum()) - 140) < 20


def test_a_malicious_pickle_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'trace'}",)

    rrsisd(tmp_path)
    (tmp_path / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps([Attack()]))
    with pytest.raises(GeoAgentError, match=r"refs\(unc\)\.p was refused"):
        RRSISD(tmp_path, "train")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Expressway-toll-station", "expressway toll station"),
        ("storagetank", "storage tank"),
        ("groundtrackfield", "ground track field"),
        ("golffield", "golf field"),
        ("ground_track_field", "ground track field"),
        ("vehicle", "vehicle"),
    ],
)
def test_categories_as_one_says_them(written, spoken):
    assert spoken_category(written) == spoken


def test_missing_pieces_are_named(tmp_path):
    with pytest.raises(GeoAgentError, match=r"holds no 'refs\(unc\)\.p'"):
        RRSISD(tmp_path, "train")
    rrsisd(tmp_path)
    instances = tmp_path / "rrsisd" / "instances.json"
    content = json.loads(instances.read_text())
    instances.write_text(json.dumps(content | {"annotations": []}))
    with pytest.raises(GeoAgentError, match="no mask for annotation 8 of ref 1"):
        RRSISD(tmp_path, "train")
    instances.write_text("{")
    with pytest.raises(GeoAgentError, match=r"instances\.json is not valid JSON"):
        RRSISD(tmp_path, "train")
    instances.write_text(json.dumps(content))
    (tmp_path / "images" / "rrsisd" / "JPEGImages" / "00001.jpg").unlink()
    with pytest.raises(GeoAgentError, match=r"00001\.jpg is missing"):
        RRSISD(tmp_path, "train")
