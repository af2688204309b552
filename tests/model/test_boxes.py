"""Boxes that a stock model writes, however badly, and what becomes of them."""

import json
import random

import pytest

from geoagent.model.boxes import NamedBox, read_boxes

THOUSAND = (1000, 1000)
SHIP = NamedBox("ship", (0.1, 0.2, 0.5, 0.4))


def read(reply, scale=THOUSAND):
    return list(read_boxes(reply, scale))


@pytest.mark.parametrize(
    "reply",
    [
        '[{"bbox_2d": [100, 200, 500, 400], "label": "ship"}]',
        '```json\n[\n\t{"bbox_2d": [100, 200, 500, 400], "label": "ship"}\n]\n```',
        'Here is the ship:\n{"bbox_2d": [100, 200, 500, 400], "label": "ship"}\nI hope that this helps {you}.',
        '[{"bbox_2d": [100, 200, 500, 400], "label": "ship"}, {"bbox_2d": [600, 1',
        '[{"bbox_2d": [100, 200, 500, 400], "label": "ship"}, {"bbox_2d": [600, 100, 700, 200], "label": "cr',
        '{"objects": [{"bbox_2d": [100, 200, 500, 400], "label": "ship"}]}',
        '[{"bbox_2d": [500, 400, 100, 200], "label": "ship"}]',
        '[{"bbox": [100.0, 200, 500, 4e2], "label": " ship ", "confidence": 0.9}]',
    ],
    ids=["plain", "fenced", "words around", "truncated", "truncated label", "nested", "wrong order", "other key"],
)
def test_a_box_is_found_whatever_is_around_it(reply):
    assert read(reply) == [SHIP]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "[]",
        "There is no ship.",
        "{}",
        '{"bbox_2d": null, "label": "ship"}',
        '{"bbox_2d": "100, 200, 500, 400", "label": "ship"}',
        '{"bbox_2d": [100, 200, 500], "label": "ship"}',
        '{"bbox_2d": [100, 200, 500, 400, 1], "label": "ship"}',
        '{"bbox_2d": ["100", "200", "500", "400"], "label": "ship"}',
        '{"bbox_2d": [[100, 200], [500, 400]], "label": "ship"}',
        '{"bbox_2d": [true, false, true, true], "label": "ship"}',
        '{"bbox_2d": [100, 200, 100, 400], "label": "ship"}',
        '{"bbox_2d": [1100, 1200, 1500, 1400], "label": "ship"}',
        '{"bbox_2d": [NaN, 200, 500, 400], "label": "ship"}',
        '{"bbox_2d": [-Infinity, 200, NaN, 400], "label": "ship"}',
        "{'bbox_2d': [100, 200, 500, 400], 'label': 'ship'}",
    ],
)
def test_what_is_no_box_is_left_out(reply):
    assert read(reply) == []


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e999", "-" + "9" * 400])
def test_numbers_beyond_all_bounds_end_at_the_border(number):
    found = read(f'{{"bbox_2d": [100, 200, {number}, 400], "label": "ship"}}')
    assert all(0 <= side <= 1 for box in found for side in box.box)


def test_brackets_without_end_are_no_crash():
    assert read('{"bbox_2d": ' + "[" * 100_000 + "]" * 100_000 + "}") == []


def test_boxes_are_cut_to_the_image():
    assert read('{"bbox_2d": [-50, 200, 1200, 400], "label": "ship"}')[0].box == (0.0, 0.2, 1.0, 0.4)


def test_relative_and_absolute_scales():
    """Qwen3-VL: thousandths of the image; Qwen2.5-VL: pixels of the resized image, (height, width)."""
    reply = '{"bbox_2d": [112, 28, 224, 56], "label": "ship"}'
    assert read(reply, (280, 448))[0].box == pytest.approx((0.25, 0.1, 0.5, 0.2))
    assert read(reply)[0].box == pytest.approx((0.112, 0.028, 0.224, 0.056))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ('"label": "<seg><|im_end|>"', "< seg >< |im_end|>"),
        ('"label": ""', "object"),
        ('"label": null', "object"),
        ('"label": 7', "object"),
        ('"label": ["a", "b"]', "object"),
        ('"other": 1', "object"),
    ],
)
def test_labels_are_words(label, expected):
    assert read(f'{{"bbox_2d": [100, 200, 500, 400], {label}}}')[0].label == expected


def test_labels_are_short():
    assert len(read('{"bbox_2d": [1, 2, 5, 4], "label": "' + "x" * 500 + '"}')[0].label) == 80


@pytest.mark.parametrize("seed", range(20))
def test_any_mangled_reply_is_read_without_an_error(seed):
    """Characters dropped, doubled and swapped: never an exception, never a box outside the image."""
    dice = random.Random(seed)
    boxes = [{"bbox_2d": [dice.randint(0, 1000) for _ in range(4)], "label": f"thing {i}"} for i in range(6)]
    for _ in range(30):
        text = list(json.dumps(boxes))
        for _ in range(dice.randint(0, 8)):
            place = dice.randrange(len(text))
            text[place : place + dice.randint(0, 3)] = dice.choice(["", "{", "}", "[", '"', "9", ",", "\\", "é"])
        for found in read("".join(text)[: dice.randint(1, 400)]):
            x0, y0, x1, y1 = found.box
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
