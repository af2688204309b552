"""The mark map: what is drawn where, what looks alike, and a few steps that teach it to follow a point."""

import numpy as np
import pytest
import torch
from tiny import picture, sample, tiny_model

from geoagent.data.collate import collate
from geoagent.model.marks import MarkMap, draw_marks, likeness
from geoagent.model.sam import stack_prompts
from geoagent.types import Prompts

SIZE = (100, 200)
"""Height and width of the images, stretched to a square map."""
MAP = torch.zeros(1, 4, 40, 40)
PARTS = {"prompting": {"pixel_map": 24, "place_map": 16, "mark_map": True}}


def drawn(prompts: Prompts):
    person = stack_prompts([prompts], [SIZE])
    maps, weight = draw_marks(person, MAP)
    return maps[0], weight[0]


def test_a_point_is_near_itself():
    maps, weight = drawn(Prompts(points=((50.0, 75.0, True),)))
    for reach in maps[:3]:
        assert np.unravel_index(int(reach.argmax()), reach.shape) in [(29, 9), (29, 10), (30, 9), (30, 10)]
    assert maps[0].sum() < maps[1].sum() < maps[2].sum()
    assert maps[3:].abs().max() == 0
    assert weight.argmax() == maps[0].argmax()


def test_a_point_that_is_not_on_it_is_told_apart():
    maps, weight = drawn(Prompts(points=((50.0, 75.0, True), (150.0, 25.0, False))))
    assert np.unravel_index(int(maps[3].argmax()), maps[3].shape)[0] in (9, 10)
    assert weight[10, 30] < 1e-3


def test_a_box_has_an_inside_and_an_outside():
    maps, weight = drawn(Prompts(boxes=((50.0, 20.0, 150.0, 80.0),)))
    inside, outside = maps[4], maps[5]
    truth = torch.zeros(40, 40)
    truth[8:32, 10:30] = 1
    assert torch.allclose(inside, truth, atol=0.5 + 1e-4) and torch.equal(
        inside.round()[9:31, 11:29], truth[9:31, 11:29]
    )
    assert torch.allclose(inside + outside, torch.ones(40, 40))
    assert np.unravel_index(int(weight.argmax()), weight.shape) in [(19, 19), (19, 20), (20, 19), (20, 20)]
    assert weight[8:10, 10:12].max() == 0  # the corners of a box are the likeliest not to be the object


def test_a_drawn_mask_is_itself_and_no_mark_is_nothing():
    mask = np.zeros(SIZE, dtype=bool)
    mask[:50, :100] = True
    person = stack_prompts([Prompts(masks=(mask,)), Prompts()], [SIZE, SIZE])
    maps, weight = draw_marks(person, MAP.expand(2, -1, -1, -1))
    assert maps[0, 6, :20, :20].min() == 1 and maps[0, 6, 20:, 20:].max() == 0
    assert maps[1].abs().max() == 0 and weight[1].abs().max() == 0


def test_likeness_is_to_what_lies_under_the_mark():
    pixels = torch.zeros(1, 2, 4, 4)
    pixels[0, 0, :, :2] = 3.0
    pixels[0, 1, :, 2:] = 5.0
    weight = torch.zeros(1, 4, 4)
    weight[0, 1, 0] = 1
    like = likeness(pixels, weight)[0]
    assert like[:, :2].numpy() == pytest.approx(1) and like[:, 2:].numpy() == pytest.approx(0)


def test_a_model_starts_as_it_would_without_it_and_leaves_the_unmarked_alone():
    plain, processor = tiny_model(shaken=False, prompting={"pixel_map": 24})
    marked, _ = tiny_model(shaken=False, **PARTS)
    marked.load_state_dict(plain.state_dict(), strict=False)
    image = picture(112, 112, 0)
    samples = [
        sample(image, "This", prompts=Prompts(points=((30.0, 40.0, True),)), number=0),
        sample(image, "Where is fuel kept?", number=1),
    ]
    inputs = collate([samples], processor).inputs

    def masks(model):
        with torch.no_grad():
            return model.eval()(inputs).targets.masks.logits

    before = masks(marked)
    assert torch.equal(before, masks(plain))
    with torch.no_grad():
        marked.marks.judge.weight.normal_()
    after = masks(marked)
    assert not torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])


def test_a_few_steps_teach_it_where_a_point_is():
    torch.manual_seed(0)
    mark_map = MarkMap(text_width=8)
    optimizer = torch.optim.Adam(mark_map.parameters(), lr=0.02)
    rng = np.random.default_rng(0)

    def step():
        places = rng.uniform(20, 80, (8, 2))
        person = stack_prompts([Prompts(points=((float(x), float(y), True),)) for x, y in places], [(100, 100)] * 8)
        grid = (torch.arange(40) + 0.5) / 40
        where = torch.from_numpy(places / 100).float()
        apart = (grid[None, None] - where[:, 0, None, None]) ** 2 + (grid[None, :, None] - where[:, 1, None, None]) ** 2
        truth = (apart < 0.1**2).float()
        logits = mark_map(torch.randn(8, 4, 40, 40), torch.zeros(8, 8), person)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return ((logits > 0) & (truth > 0)).sum() / ((logits > 0) | (truth > 0)).sum()

    assert max(float(step()) for _ in range(60)) > 0.8
