import json

import numpy as np
import pytest
from miniatures import block, mask_file, picture

from geoagent.data.folder import PlainFolder, PlainFolderWriter
from geoagent.data.rle import encode
from geoagent.types import GeoAgentError, Instance, LabelledTarget, Prompts, Sample


def line(**changes):
    target = {"phrase": "ships", "mask": "masks/a.png"}
    return {"image": "a.png", "instruction": "the ships", "targets": [target]} | changes


def write(root, *lines):
    picture(root / "images" / "a.png")
    mask_file(root / "masks" / "a.png")
    (root / "annotations.jsonl").write_text("\n".join(json.dumps(entry) for entry in lines) + "\n\n")
    return root


def test_masks_in_every_form(tmp_path):
    polygon = [[5, 6, 15, 6, 15, 20, 5, 20]]
    forms = ["masks/a.png", encode(block()), polygon, polygon[0], [[5, 6], [15, 6], [15, 20], [5, 20]]]
    lines = [line(targets=[{"phrase": "ships", "mask": mask}]) for mask in forms]
    for sample in PlainFolder(write(tmp_path, *lines)):
        np.testing.assert_array_equal(sample.targets[0].mask, block())


def test_id_type_source_and_unknown_keys_survive(tmp_path):
    entry = line(id="7/x", type="odd kind", source="my survey", weather="hazy", pred="mine", reviewer={"name": "M"})
    sample = PlainFolder(write(tmp_path, entry))[0]
    assert (sample.id, sample.type, sample.source) == ("7/x", "odd kind", "my survey")
    assert sample.extra == {"weather": "hazy", "pred": "mine", "reviewer": {"name": "M"}}


def test_defaults(tmp_path):
    data = PlainFolder(write(tmp_path, line(), line(targets=[], instruction="the helipad")))
    assert [s.id for s in data] == ["a#1", "a#2"]
    assert data.groups() == [[0, 1]]
    assert data[0].type == "reference"
    assert data[0].answer is None
    assert data[1].targets == ()
    assert not data[1].has_target


def test_splits(tmp_path):
    write(tmp_path, line(split="train"), line(split="val"), line())
    assert [s.id for s in PlainFolder(tmp_path, "val")] == ["a#2", "a#3"]
    assert len(PlainFolder(tmp_path)) == 3


def test_optional_parts_of_a_target(tmp_path):
    target = {"phrase": "tanks", "mask": encode(block()), "class": "oil tank", "ignore": encode(~block())}
    target |= {"instances": [encode(block())], "scorable": False}
    prompts = {"points": [[7, 8, True]], "boxes": [[5, 6, 15, 20]]}
    sample = PlainFolder(write(tmp_path, line(targets=[target], prompts=prompts)))[0]
    read = sample.targets[0]
    assert read.class_name == "storage tank"
    assert read.ignore.sum() == 30 * 40 - 140
    assert read.instances[0].box == (5, 6, 15, 20)
    assert not read.scorable
    assert sample.prompts.points == ((7.0, 8.0, True),)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image": "a.png"}, "line 1 lacks instruction, targets"),
        (line(targets={}), "must be a list"),
        (line(targets=[{"phrase": "x"}]), "needs a 'phrase' and a 'mask'"),
        (line(image="gone.png"), r"gone\.png is missing"),
        (line(image="/etc/passwd"), "lies outside"),
        (line(answer="<p>a</p><seg> and <p>b</p><rej>"), "marks 2 phrases, there are 1 targets"),
    ],
)
def test_bad_lines_are_named_on_opening(tmp_path, entry, message):
    with pytest.raises(GeoAgentError, match=message):
        PlainFolder(write(tmp_path, entry))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (line(targets=[{"phrase": "x", "mask": "../a.png"}]), "lies outside"),
        (line(targets=[{"phrase": "x", "mask": "masks/gone.png"}]), r"gone\.png is missing"),
        (
            line(targets=[{"phrase": "x", "mask": encode(block(41, 30))}]),
            "RLE mask is 41 x 30 pixels, its image 40 x 30",
        ),
        (line(targets=[{"phrase": "x", "mask": [[1, 2, 3]]}]), "line 1, target 'x': a polygon needs"),
        (line(prompts={"points": [[99, 3, True]]}), "outside the image"),
        (line(prompts={"circles": []}), "prompts have no circles"),
    ],
)
def test_bad_masks_and_prompts_are_named_on_reading(tmp_path, entry, message):
    data = PlainFolder(write(tmp_path, entry))
    with pytest.raises(GeoAgentError, match=message):
        data[0]


def test_files_that_are_no_list_of_samples(tmp_path):
    with pytest.raises(GeoAgentError, match=r"annotations\.jsonl is missing"):
        PlainFolder(tmp_path)
    write(tmp_path, line(id=1), line(id=1))
    with pytest.raises(GeoAgentError, match="line 2: the id '1' was used in line 1"):
        PlainFolder(tmp_path)
    (tmp_path / "annotations.jsonl").write_text('{"image": "a.png",\n')
    with pytest.raises(GeoAgentError, match="line 1 is not valid JSON"):
        PlainFolder(tmp_path)
    (tmp_path / "annotations.jsonl").write_text("\n")
    with pytest.raises(GeoAgentError, match="has no samples"):
        PlainFolder(tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    whole = Instance(id=1, box=(5, 6, 15, 20), crop=np.ones((14, 10), dtype=np.bool_), score=1.0, image_size=(30, 40))
    target = LabelledTarget(
        phrase="tanks", mask=block(), ignore=~block(), instances=(whole,), class_name="storage tank", scorable=False
    )
    absent = LabelledTarget(phrase="helipad", mask=np.zeros((30, 40), dtype=np.bool_))
    samples = [
        Sample(
            id=f"scene/1:{number}",
            image_id="scene/1",
            image=image,
            instruction="tanks and helipad",
            targets=(target, absent),
            answer="<p>tanks</p><seg>, no <p>helipad</p><rej>",
            type="several",
            source="synth",
            prompts=Prompts(points=((1.0, 2.0, False),), scribbles=(((1.0, 1.0), (2.0, 2.0)),), masks=(block(),)),
            extra={"seed": 4},
        )
        for number in (0, 1)
    ]
    writer = PlainFolderWriter(tmp_path)
    assert writer.write(samples, split="val") == 2
    assert len(list((tmp_path / "images").iterdir())) == 1
    again = PlainFolder(tmp_path, "val")
    for before, after in zip(samples, again, strict=True):
        np.testing.assert_array_equal(after.image, before.image)
        for a, b in zip(before.targets, after.targets, strict=True):
            np.testing.assert_array_equal(a.mask, b.mask)
            assert (a.phrase, a.class_name, a.scorable) == (b.phrase, b.class_name, b.scorable)
        np.testing.assert_array_equal(after.targets[0].ignore, ~block())
        assert after.targets[0].instances[0].box == whole.box
        for key in ("id", "instruction", "answer", "type", "source", "extra"):
            assert getattr(after, key) == getattr(before, key)
        assert after.prompts.scribbles == before.prompts.scribbles
        np.testing.assert_array_equal(after.prompts.masks[0], block())
