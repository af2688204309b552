import numpy as np
import pytest
from miniatures import block, picture, write_json

from geoagent.data.lasers import LaSeRS, marks_to_answer
from geoagent.data.rle import encode
from geoagent.types import GeoAgentError

SECOND = block(box=(20, 10, 30, 25))


def entry(**changes):
    plain = {
        "id": 4,
        "image_name": "x.png",
        "description": "Segment the ships and the pier.",
        "answer": "The <p>two ships</p> [SEG] lie at the <p> pier </p>[SEG].",
        "mask": [encode(block()), encode(SECOND)],
        "level": 2,
    }
    return plain | changes


def write(root, entries, split="train", file="train"):
    picture(root / split / "images" / "x.png")
    write_json(root / split / "annotations" / f"{file}.json", entries)
    return root


def test_marks_and_masks_in_order(tmp_path):
    sample = LaSeRS(write(tmp_path, [entry()]))[0]
    assert sample.answer == "The <p>two ships</p><seg> lie at the <p>pier</p><seg>."
    assert [t.phrase for t in sample.targets] == ["two ships", "pier"]
    np.testing.assert_array_equal(sample.targets[1].mask, SECOND)
    assert sample.instruction == "Segment the ships and the pier."
    assert sample.extra == {"level": 2}
    assert sample.targets[1].class_name == "harbor"


def test_each_test_file_is_a_subset(tmp_path):
    write(tmp_path, [entry()], "test", "part")
    write(tmp_path, [entry(id=9)], "test", "implicit_long")
    data = LaSeRS(tmp_path, "test")
    assert [(s.type, s.extra.get("granularity"), s.extra.get("reasoning"), s.extra.get("wording")) for s in data] == [
        ("implicit_long", None, "implicit", "long"),
        ("part", "part", None, None),
    ]
    assert len(LaSeRS(tmp_path, "test", subset="part")) == 1
    with pytest.raises(GeoAgentError, match="choose one of implicit_long, part"):
        LaSeRS(tmp_path, "test", subset="multiple")


def test_hidden_truth_is_ignored_not_absent(tmp_path):
    hidden = entry()
    del hidden["mask"]
    data = LaSeRS(write(tmp_path, [hidden], "test", "part"), "test")
    assert "1 of 1 annotations have no mask" in data.remarks[0]
    sample = data[0]
    assert all(t.ignore.all() and not t.scorable for t in sample.targets)
    assert sample.answer.count("<seg>") == 2


def test_empty_mask_turns_its_mark(tmp_path):
    empty = encode(np.zeros((30, 40), dtype=np.bool_))
    sample = LaSeRS(write(tmp_path, [entry(mask=[empty, encode(SECOND)])]))[0]
    assert sample.answer == "The <p>two ships</p><rej> lie at the <p>pier</p><seg>."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("It is [SEG].", "It is <p>area asked about</p><seg>."),
        ("The <p>dock</p> is [SEG].", "The <p>dock</p><seg> is."),
        ("Nothing fits.", "Nothing fits."),
    ],
)
def test_answers_without_neat_marks(answer, expected):
    assert marks_to_answer(answer, "here")[0] == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": [encode(block())]}, r"entry 4: 2 \[SEG\] in the answer, 1 masks"),
        ({"answer": "<p>a</p> <p>b</p> [SEG]"}, r"1 \[SEG\] but 2 phrases"),
        ({"image_name": "gone.png"}, r"gone\.png is missing"),
        ({"image_name": "../../secret.png"}, "lies outside"),
    ],
)
def test_bad_entries_are_named(tmp_path, changes, message):
    with pytest.raises(GeoAgentError, match=message):
        LaSeRS(write(tmp_path, [entry(**changes)]))


def test_missing_parts_are_named(tmp_path):
    lacking = entry()
    del lacking["description"]
    with pytest.raises(GeoAgentError, match="lacks description"):
        LaSeRS(write(tmp_path, [lacking]))
    with pytest.raises(GeoAgentError, match="must hold a list"):
        LaSeRS(write(tmp_path, {}))
    with pytest.raises(GeoAgentError, match="LaSeRS keeps the test images there"):
        LaSeRS(tmp_path, "test")
