"""SAM2 by parts, with our stages as they start, against the stock `Sam2Model` driven whole."""

import numpy as np
import pytest
import torch
from tiny import SIDE, picture, tiny_model
from torch.nn import functional

from geoagent.model import sam as segmenter
from geoagent.model.grounding import TargetQueries
from geoagent.types import Prompts

HEIGHT, WIDTH = 96, 160


@pytest.fixture(scope="module")
def untouched():
    """Shaken SAM2 and language model; ours as initialised, without sparse tokens: what starts at zero is zero."""
    return tiny_model(shaken=False, prompting={"sparse_tokens": 0})


@pytest.fixture(scope="module")
def pixels(untouched):
    return untouched[1].images([picture(HEIGHT, WIDTH)])


def stock_masks(sam, pixels, prompts, masks=None):
    """The stock forward with prompts in pixels of the image, scaled to the square as the stock processor does."""
    scale = torch.tensor([SIDE / WIDTH, SIDE / HEIGHT])
    extra = {}
    if prompts.points:
        extra["input_points"] = torch.tensor([[[(x, y) for x, y, _ in prompts.points]]]) * scale
        extra["input_labels"] = torch.tensor([[[int(on) for *_, on in prompts.points]]])
    if prompts.boxes:
        extra["input_boxes"] = torch.tensor([prompts.boxes]) * scale.repeat(2)
    return sam(pixel_values=pixels.sam_pixels, multimask_output=False, input_masks=masks, **extra)


def our_masks(model, pixels, prompts):
    """The whole of our second half, with made-up states."""
    features = model.encode_images(pixels.pixel_values, pixels.grid_thw, pixels.sam_pixels)
    words = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(3))
    queries = TargetQueries(words, torch.ones(1, 5, dtype=torch.bool), words[:, -1], torch.tensor([0]))
    person = segmenter.stack_prompts([prompts], [(HEIGHT, WIDTH)])
    return model.segment_targets(queries, features, person).masks


PROMPTS = {
    "a point": Prompts(points=((40.0, 30.0, True),)),
    "points on and off": Prompts(points=((40.0, 30.0, True), (100.5, 80.0, False), (3.0, 90.0, True))),
    "a box": Prompts(boxes=((20.0, 10.0, 90.0, 64.0),)),
    "a point and a box": Prompts(points=((40.0, 30.0, True),), boxes=((20.0, 10.0, 90.0, 64.0),)),
}


@torch.no_grad()
@pytest.mark.parametrize("kind", PROMPTS)
def test_untrained_stages_leave_sam_as_it_was(untouched, pixels, kind):
    model, _ = untouched
    expected = stock_masks(model.sam, pixels, PROMPTS[kind])
    masks = our_masks(model, pixels, PROMPTS[kind])
    torch.testing.assert_close(masks.logits, expected.pred_masks[:, 0, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(masks.iou, expected.iou_scores[:, 0, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(masks.objectness, expected.object_score_logits[:, 0, 0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_drawn_mask_is_a_mask_prompt_of_sam(untouched, pixels):
    """Drawn along whole cells of SAM2's mask grid, so that resampling it is exact."""
    model, _ = untouched
    drawn = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    drawn[24:72, 40:120] = True
    prompts = Prompts(points=((60.0, 40.0, True),), masks=(drawn,))
    logits = torch.full((1, 1, 32, 32), -10.0)
    logits[..., 8:24, 8:24] = 10.0
    expected = stock_masks(model.sam, pixels, Prompts(points=prompts.points), logits).pred_masks[:, 0, 0]
    without = stock_masks(model.sam, pixels, Prompts(points=prompts.points)).pred_masks[:, 0, 0]
    ours = our_masks(model, pixels, prompts).logits
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)
    assert (expected - without).abs().max() > 0.1  # the mask does matter to this SAM2


@torch.no_grad()
def test_trained_stages_change_the_masks(untouched, pixels):
    """The parity above would be empty if the stages were not connected at all."""
    model, _ = tiny_model(prompting={"sparse_tokens": 0})
    expected = stock_masks(model.sam, pixels, PROMPTS["a point"]).pred_masks[:, 0, 0]
    assert (our_masks(model, pixels, PROMPTS["a point"]).logits - expected).abs().max() > 0.1


@torch.no_grad()
def test_features_and_positions_are_those_of_the_stock_model(untouched, pixels):
    model, _ = untouched
    features = segmenter.encode_images(model.sam, pixels.sam_pixels)
    embeddings = model.sam.get_image_embeddings(pixels.sam_pixels)
    for ours, expected in zip(features.levels, embeddings, strict=True):
        torch.testing.assert_close(ours, expected)
    positions = segmenter.image_positions(model.sam, features.size)
    torch.testing.assert_close(positions, model.sam.get_image_wide_positional_embeddings())


@torch.no_grad()
def test_no_targets_make_no_masks(untouched, pixels):
    model, _ = untouched
    features = segmenter.encode_images(model.sam, pixels.sam_pixels).pick(torch.zeros(0, dtype=torch.long))
    masks = segmenter.decode_masks(model.sam, features, torch.zeros(0, 2, 32), None)
    assert masks.logits.shape == (0, 32, 32)
    assert masks.iou.shape == masks.objectness.shape == (0,)


@torch.no_grad()
def test_untrained_mask_tokens_are_never_returned(untouched, pixels):
    """SAM2 replaces an unstable first mask by one of three others in evaluation: here all masks are made unstable."""
    model, _ = untouched
    assert not model.sam.mask_decoder.dynamic_multimask_via_stability
    both = model.sam(
        pixel_values=pixels.sam_pixels,
        multimask_output=True,
        input_points=torch.tensor([[[[50.0, 50.0]]]]),
        input_labels=torch.ones(1, 1, 1, dtype=torch.int),
    )
    ours = our_masks(model, pixels, Prompts(points=((50.0 * WIDTH / SIDE, 50.0 * HEIGHT / SIDE, True),)))
    for other in both.pred_masks[0, 0]:
        assert (ours.logits[0] - other).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("side", [64, 192])
def test_other_squares_work_without_a_new_configuration(untouched, side):
    model, processor = untouched
    other = processor.with_sizes(sam=side).images([picture(HEIGHT, WIDTH)])
    assert our_masks(model, other, PROMPTS["a point"]).logits.shape == (1, side // 4, side // 4)


@torch.no_grad()
def test_position_codes_mean_the_same_place_on_any_grid(untouched):
    """The middle of each of 4 x 4 cells is the middle of every third of 12 x 12."""
    sam = untouched[0].sam
    fine = segmenter.image_positions(sam, (12, 12))[..., 1::3, 1::3]
    torch.testing.assert_close(segmenter.image_positions(sam, (4, 4)), fine)


def test_points_are_normalised_by_the_image_and_closed_as_sam_closes_them():
    prompts = Prompts(points=((40.0, 24.0, True), (80.0, 96.0, False)))
    person = segmenter.stack_prompts([prompts], [(96, 160)])
    assert person.points[0].tolist() == [[0.25, 0.25], [0.5, 1.0], [0.0, 0.0]]
    assert person.labels[0].tolist() == [1, 0, segmenter.NOT_A_POINT]
    assert person.masks is None
    assert segmenter.stack_prompts([Prompts(), Prompts()], [(96, 160)] * 2) is None


@pytest.mark.parametrize("count", [1, 2, 8, 9, 14, 200])
def test_a_scribble_is_sampled_from_end_to_end(count):
    line = tuple((float(i), 10.0) for i in range(count))
    person = segmenter.stack_prompts([Prompts(scribbles=(line,))], [(100, 1)])
    xs = person.points[0, :-1, 0].tolist()
    assert (xs[0], xs[-1]) == (0.0, count - 1)
    assert len(xs) == min(count, segmenter.SCRIBBLE_POINTS)
    gaps = np.diff(xs)
    assert len(gaps) == 0 or gaps.max() <= gaps.min() + 1.5
    assert (person.labels[0, :-1] == 1).all()


def test_a_mask_keeps_its_place_on_an_image_that_is_not_square():
    drawn = np.zeros((50, 200), dtype=np.bool_)
    drawn[:25, 150:] = True
    row = segmenter.stack_prompts([Prompts(), Prompts(masks=(drawn,))], [(50, 200)] * 2).masks
    assert row[0].isnan().all()
    expected = functional.interpolate(torch.from_numpy(drawn)[None, None].float(), size=(256, 256), mode="area")
    torch.testing.assert_close(row[1:], expected)
    assert row[1, 0, 64, 224] == 1
    assert row[1, 0, 64, 128] == row[1, 0, 192, 224] == 0
