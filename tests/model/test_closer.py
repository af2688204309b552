"""A closer look at a box: when, where, and that what is found comes back to its place."""

import numpy as np
import pytest
import torch
from tiny import picture, tiny_model

from geoagent.data.instructions import phrasing
from geoagent.model.closer import closer_window, in_whole
from geoagent.model.querying import QueryGrounder
from geoagent.model.requests import Draft, DraftObject, DraftTarget
from geoagent.predictor import Predictor
from geoagent.types import Evidence, Prompts

SIZE = (400, 800)


def box(*corners, **others):
    return Prompts(boxes=(corners,), **others)


@pytest.mark.parametrize(
    ("prompts", "window"),
    [
        (box(400.0, 200.0, 440.0, 220.0), (370, 160, 470, 260)),  # 2.5 times its longer side, around its middle
        (box(400.0, 200.0, 404.0, 204.0), (354, 154, 450, 250)),  # never smaller than 96 px
        (box(0.0, 0.0, 60.0, 60.0), (0, 0, 150, 150)),  # moved into the image
        (box(700.0, 100.0, 790.0, 330.0), (225, 0, 800, 400)),  # as high as the image, if need be
        (box(400.0, 200.0, 440.0, 220.0, points=((400.0, 260.0, False),)), (345, 155, 495, 305)),
        (box(10.0, 10.0, 300.0, 300.0), None),  # not worth it
        (Prompts(points=((40.0, 40.0, True),)), None),  # a point does not say how large the thing is
    ],
)
def test_the_view_is_around_the_box(prompts, window):
    assert closer_window("this", prompts, SIZE, 2.5) == window
    assert closer_window("this", prompts, SIZE, 0.0) is None


@pytest.mark.parametrize("split", ["train", "test"])
def test_who_asks_for_all_of_a_kind_keeps_the_whole_image(split):
    near = box(400.0, 200.0, 440.0, 220.0)

    def closer(key):
        texts = [
            t.format(one="car", x="cars", part="roof", parts="roofs")
            for t in phrasing.wordings("interactive", key, split)
        ]
        return np.mean([closer_window(text, near, SIZE, 2.5) is not None for text in texts])

    assert closer("class") <= 0.1
    assert closer("object") >= 0.9


def test_what_is_found_comes_back_to_its_place():
    logits = torch.full((8, 8), -5.0)
    logits[2:6, 4:8] = 5.0
    seen = np.zeros((4, 4), dtype=np.float32)
    seen[1, 2] = 1
    target = DraftTarget("it", 0.5, logits, logits, logits, (DraftObject(logits, 0.7),), Evidence(question=seen))
    whole = in_whole(Draft("", (target,), 1), (40, 20, 56, 36), (60, 90)).targets[0]
    truth = np.zeros((60, 90), dtype=bool)
    truth[24:32, 48:56] = True
    for found in (whole.logits, whole.cores, whole.coarse, whole.objects[0].logits):
        assert np.array_equal((found > 0).numpy(), truth)
    assert np.unravel_index(whole.evidence.question.argmax(), (60, 90))[0] in range(24, 28)
    assert whole.evidence.question[:20].max() == 0 and whole.evidence.phrase is None


def test_a_box_asks_about_the_view_around_it():
    """The same mask as that of the view on its own, in its place; a point sees the whole image."""
    model, processor = tiny_model(answer={"max_new_tokens": 12}, image={"closer": 2.5})
    predictor = Predictor(QueryGrounder(model, processor), "tiny")
    image = picture(300, 400)
    corners = (200.0, 100.0, 260.0, 130.0)
    found = predictor.segment(image, "this", boxes=[corners]).candidates[0]
    x0, y0, x1, y1 = closer_window("this", box(*corners), (300, 400), 2.5)
    view = Predictor(QueryGrounder(tiny_model(answer={"max_new_tokens": 12})[0], processor), "whole")
    alone = view.segment(image[y0:y1, x0:x1], "this", prompts=box(*corners).within((x0, y0, x1, y1))).candidates[0]
    assert found.phrase == alone.phrase
    assert np.array_equal(found.mask[y0:y1, x0:x1], alone.mask)
    assert not found.mask[:y0].any() and not found.mask[:, x1:].any()
