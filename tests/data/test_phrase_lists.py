"""RefSegRS and RISBench: phrase lists beside images and masks."""

import numpy as np
import pytest
from miniatures import block, mask_file, picture

from geoagent.data.refsegrs import RefSegRS
from geoagent.data.risbench import RISBench
from geoagent.types import GeoAgentError


def refsegrs(root, images="images", masks="masks", phrases="output_phrase_val.txt"):
    for number in (1, 2):
        picture(root / images / f"t{number}.tif", seed=number)
        mask_file(root / masks / f"t{number}.tif")
    (root / phrases).write_text("t1 the vehicle in the parking area\n\nt2 road\nt1 a tree beside the road\n")
    return root


def risbench(root):
    picture(root / "img_rgb" / "a_0.png")
    mask_file(root / "mask" / "a_0.png")
    (root / "output_phrase_test.txt").write_text("a_0.png The ship at the bottom.\n", encoding="utf-8-sig")
    return root


def test_refsegrs(tmp_path):
    data = RefSegRS(refsegrs(tmp_path), "val")
    assert [s.instruction for s in data] == ["the vehicle in the parking area", "road", "a tree beside the road"]
    assert data.groups() == [[0, 2], [1]]
    assert [s.targets[0].class_name for s in data] == ["vehicle", "road", "tree"]
    assert data[0].targets[0].phrase == "vehicle in the parking area"
    np.testing.assert_array_equal(data[0].targets[0].mask, block())
    assert data.remarks == ()
    assert len({s.id for s in data}) == 3


def test_refsegrs_variants_are_taken_and_told(tmp_path):
    data = RefSegRS(refsegrs(tmp_path, "images2", "masks2", "output_phrase_val3.txt"), "val")
    assert len(data) == 3
    assert [remark.split(",")[1] for remark in data.remarks] == [
        " its variant images2 was taken",
        " its variant masks2 was taken",
        " its variant output_phrase_val3.txt was taken",
    ]
    (tmp_path / "images3").mkdir()
    with pytest.raises(GeoAgentError, match="2 variants imagesN were found"):
        RefSegRS(tmp_path, "val")


def test_refsegrs_odd_mask_values(tmp_path):
    refsegrs(tmp_path)
    mask_file(tmp_path / "masks" / "t1.tif", value=120)
    data = RefSegRS(tmp_path, "val")
    assert data.remarks == ("1 masks hold values other than 0 and 255: thresholded above 127",)
    assert not data[0].has_target
    assert data[1].has_target


def test_risbench(tmp_path):
    sample = RISBench(risbench(tmp_path), "test")[0]
    assert sample.instruction == "The ship at the bottom."
    assert sample.targets[0].phrase == "ship at the bottom"
    assert sample.image_id == "risbench/a_0"
    np.testing.assert_array_equal(sample.targets[0].mask, block())


def test_unpaired_files_and_bad_lines_are_named(tmp_path):
    refsegrs(tmp_path)
    (tmp_path / "masks" / "t2.tif").unlink()
    with pytest.raises(GeoAgentError, match=r"t2\.tif is missing: .*line 3 names it"):
        RefSegRS(tmp_path, "val")
    with pytest.raises(GeoAgentError, match=r"output_phrase_train\.txt is missing"):
        RefSegRS(tmp_path, "train")
    risbench(tmp_path)
    (tmp_path / "output_phrase_test.txt").write_text("a_0.png\n")
    with pytest.raises(GeoAgentError, match=r"line 1: 'a_0\.png' has no phrase"):
        RISBench(tmp_path, "test")
    (tmp_path / "output_phrase_test.txt").write_text("../a_0.png the ship\n")
    with pytest.raises(GeoAgentError, match="lies outside"):
        RISBench(tmp_path, "test")
