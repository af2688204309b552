import numpy as np
import pytest
from miniatures import block, earthreason, mask_file, picture, write_json
from PIL import Image

from geoagent.types import LabelledTarget, Prompts, Sample
from tools.contact_sheet import draw_masks, draw_sheet, mask_colours
from tools.inspect_data import main, problems_of


def sample(mask, **changes):
    image = np.full((30, 40, 3), 120, dtype=np.uint8)
    target = LabelledTarget(phrase="ships", mask=mask)
    plain = {"id": "s", "image_id": "i", "image": image, "instruction": "the ships", "targets": (target,)}
    return Sample(**(plain | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": np.ones((30, 40), dtype=np.bool_)}, "covers the whole image"),
        ({"mask": block(box=(1, 1, 2, 3))}, "only 2 pixels"),
        ({"mask": block(), "instruction": " "}, "no instruction"),
        ({"mask": block(), "answer": "ships"}, "0 marks in the answer, 1 targets"),
        ({"mask": block(), "extra": {"mask_size": (30, 41)}}, "the mask is 41 x 30, the image 40 x 30"),
    ],
)
def test_problems_of_a_sample(changes, message):
    assert [message in problem for problem in problems_of(sample(**changes))] == [True]


def test_a_sound_sample_has_no_problems():
    assert list(problems_of(sample(block(), instruction="", prompts=Prompts(points=((1.0, 1.0, True),))))) == []


def test_a_whole_dataset(tmp_path, capsys):
    for split in ("train", "val", "test"):
        earthreason(tmp_path / "er", split)
    # earthreason() writes the same pictures into every split: a leak.
    sheet = tmp_path / "sheet.png"
    assert main(["earthreason", str(tmp_path / "er"), "--sheet", str(sheet), "--shown", "3"]) == 1
    printed = capsys.readouterr().out
    assert "train: 4 samples about 2 images, 4 samples read" in printed
    assert "types    reasoning 4" in printed
    assert "LEAK  same pixels in train (earthreason/train/a) and val (earthreason/val/a)" in printed
    assert "0 problems, 4 images shared" in printed
    assert Image.open(sheet).width > 900


def test_problems_are_listed_and_counted(tmp_path, capsys):
    entry = '{"image": "%s.png", "instruction": "x", "targets": [{"phrase": "x", "mask": "m.png"}]}'
    for name in ("fine", "broken"):
        picture(tmp_path / "images" / f"{name}.png")
    mask_file(tmp_path / "m.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "annotations.jsonl").write_text(f"{entry % 'fine'}\n{entry % 'broken'}\n")
    assert main(["folder", str(tmp_path), "--sheet", str(tmp_path / "s.png")]) == 1
    printed = capsys.readouterr().out
    assert "PROBLEM  unreadable: " in printed
    assert "broken.png cannot be read as an image" in printed
    assert "1 problems, 0 images shared" in printed


def test_a_dataset_that_does_not_open(tmp_path, capsys):
    write_json(tmp_path / "annotations.json", {})
    assert main(["coco", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert main(["potato", str(tmp_path)]) == 2
    assert "no dataset is called 'potato'" in capsys.readouterr().err


def test_masks_are_drawn_where_they_are():
    image = np.full((30, 40, 3), 120, dtype=np.uint8)
    drawn = draw_masks(image, [block()], ignore=block(box=(30, 0, 40, 5)))
    changed = (drawn != image).any(axis=2)
    np.testing.assert_array_equal(changed, block() | block(box=(30, 0, 40, 5)))
    assert tuple(drawn[6, 5]) == mask_colours(1)[0]
    assert drawn[0, 35].mean() < 60


def test_sheet_has_a_tile_a_sample(tmp_path):
    shown = [sample(block(), prompts=Prompts(points=((7.0, 8.0, True),), boxes=((5, 6, 15, 20),)))] * 5
    path = draw_sheet(shown, tmp_path / "deep" / "sheet.png", columns=2, side=100)
    width, height = Image.open(path).size
    assert width == 2 * 106
    assert height == 3 * (100 + 5 * 14 + 4 + 6)
