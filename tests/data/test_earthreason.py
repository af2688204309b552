import numpy as np
import pytest
from miniatures import block, earthreason, mask_file, picture, write_json

from geoagent.data.earthreason import EarthReason
from geoagent.types import GeoAgentError


def test_every_question_is_a_sample(tmp_path):
    data = EarthReason(earthreason(tmp_path), "train")
    assert [data[i].id for i in range(len(data))] == [f"earthreason/train/{n}#{q}" for n in "ab" for q in (0, 1)]
    assert data.groups() == [[0, 1], [2, 3]]
    first = data[0]
    assert first.instruction == "Where to land?"
    assert first.answer == "The <p>helipad</p><seg> on the roof."
    assert first.type == "reasoning"
    assert first.extra == {"question": 0}
    np.testing.assert_array_equal(first.targets[0].mask, block())


def test_empty_answer_is_an_absent_target(tmp_path):
    absent = EarthReason(earthreason(tmp_path), "train")[2]
    assert not absent.has_target
    assert absent.answer == "<p>area asked about</p><rej>"


def test_first_questions_only(tmp_path):
    data = EarthReason(earthreason(tmp_path), "train", questions="first")
    assert [sample.extra["question"] for sample in data] == [0, 0]


def test_nested_split_folder(tmp_path):
    plain = EarthReason(earthreason(tmp_path / "plain"), "train")
    nested = EarthReason(earthreason(tmp_path / "nested", nested=True), "train")
    assert [s.id for s in plain] == [s.id for s in nested]


def test_names_that_match_nowhere_are_paired_by_order(tmp_path):
    earthreason(tmp_path)
    for kind, suffix in (("labels", "png"), ("QAs", "json")):
        for number, stem in enumerate("ab"):
            file = tmp_path / "train" / kind / f"{stem}.{suffix}"
            file.rename(file.with_name(f"{kind}_{number}.{suffix}"))
    data = EarthReason(tmp_path, "train")
    assert "paired by sorted order" in data.remarks[0]
    assert data[0].has_target
    assert not data[2].has_target
    (tmp_path / "train" / "labels" / "labels_1.png").unlink()
    with pytest.raises(GeoAgentError, match="2 images, 1 labels and 2 QAs"):
        EarthReason(tmp_path, "train")


def test_an_unpaired_file_is_named(tmp_path):
    earthreason(tmp_path)
    picture(tmp_path / "train" / "images" / "lonely.jpg")
    with pytest.raises(GeoAgentError, match="'lonely' of EarthReason has only its image"):
        EarthReason(tmp_path, "train")


def test_bad_records_are_named(tmp_path):
    earthreason(tmp_path)
    with pytest.raises(GeoAgentError, match="no split 'dev'"):
        EarthReason(tmp_path, "dev")
    with pytest.raises(GeoAgentError, match="EarthReason keeps the images of its val split there"):
        EarthReason(tmp_path, "val")
    write_json(tmp_path / "train" / "QAs" / "b.json", {"questions": [], "answer": []})
    with pytest.raises(GeoAgentError, match=r"b\.json needs the lists"):
        EarthReason(tmp_path, "train")


def test_label_that_contradicts_or_does_not_fit(tmp_path):
    earthreason(tmp_path)
    mask_file(tmp_path / "train" / "labels" / "b.png")
    with pytest.raises(GeoAgentError, match=r"b\.png marks a target, but the answer"):
        EarthReason(tmp_path, "train")[2]
    mask_file(tmp_path / "train" / "labels" / "a.png", block(41, 30))
    assert EarthReason(tmp_path, "train")[0].extra["mask_size"] == (30, 41)
    mask_file(tmp_path / "train" / "labels" / "a.png", block(30, 40))
    with pytest.raises(GeoAgentError, match=r"a\.png: the mask is 30 x 40, the image 40 x 30"):
        EarthReason(tmp_path, "train")[0]


def test_a_corrupt_image_is_named(tmp_path):
    earthreason(tmp_path)
    (tmp_path / "train" / "images" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    data = EarthReason(tmp_path, "train")
    with pytest.raises(GeoAgentError, match=r"a\.jpg cannot be read as an image"):
        data[0]
    assert data[2].image.shape == (30, 40, 3)
