"""Every loss against values worked out by hand."""

import math

import pytest
import torch
from torch.nn import functional

from geoagent.model import losses
from geoagent.model.grounding import word_overlap

LOG3 = math.log(3)  # sigmoid(log 3) = 3/4


def test_mask_bce():
    """p = 3/4 and 1/4 where 1 is true; the third pixel is right by 3/4; the fourth nobody knows."""
    logits = torch.tensor([[[LOG3, -LOG3], [-LOG3, 50.0]]])
    truth = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    expected = (-math.log(3 / 4) - math.log(1 / 4) - math.log(3 / 4)) / 3
    assert losses.mask_bce(logits, truth, weight).tolist() == pytest.approx([expected])
    assert losses.mask_bce(logits, truth, torch.zeros_like(weight)).tolist() == [0.0]


def test_mask_bce_of_a_half_covered_cell():
    """A cell that is half covered is best answered by 1/2: the loss is then its entropy, log 2."""
    half = torch.full((1, 1, 1), 0.5)
    assert losses.mask_bce(torch.zeros(1, 1, 1), half, torch.ones(1, 1, 1)).item() == pytest.approx(math.log(2))


def test_mask_dice():
    """p = 3/4, 1/4 on the truth and 1/4 beside it: overlap 1, sizes 5/4 and 2; the unknown pixel is left out."""
    logits = torch.tensor([[[LOG3, -LOG3], [-LOG3, 50.0]]])
    truth = torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    assert losses.mask_dice(logits, truth, weight).tolist() == pytest.approx([1 - 3 / 4.25])


def test_mask_dice_at_its_ends():
    truth = torch.tensor([[[1.0, 0.0]]])
    sure = torch.tensor([[[50.0, -50.0]]])
    assert losses.mask_dice(sure, truth, torch.ones_like(truth)).item() == pytest.approx(0, abs=1e-6)
    assert losses.mask_dice(-sure, truth, torch.ones_like(truth)).item() == pytest.approx(1 - 1 / 3)


def test_iou_of_the_decided_mask():
    """Two of the three pixels of the union are shared; the fourth pixel is unknown; two empty masks agree."""
    logits = torch.tensor([[[1.0, 1.0], [1.0, -1.0]], [[-1.0, -1.0], [-1.0, -1.0]]])
    truth = torch.tensor([[[1.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert losses.soft_iou(logits, truth, weight).tolist() == pytest.approx([2 / 3, 1.0])
    found = losses.iou_score(torch.tensor([0.5, 1.0]), logits, truth, weight)
    assert found.tolist() == pytest.approx([(1 / 2 - 2 / 3) ** 2, 0.0])


def test_the_iou_score_does_not_train_the_mask():
    logits = torch.ones(1, 2, 2, requires_grad=True)
    predicted = torch.tensor([0.2], requires_grad=True)
    losses.iou_score(predicted, logits, torch.ones(1, 2, 2), torch.ones(1, 2, 2)).sum().backward()
    assert logits.grad is None
    assert predicted.grad.item() == pytest.approx(2 * (0.2 - 1))


def test_object_score():
    found = losses.object_score(torch.tensor([LOG3, LOG3]), torch.tensor([True, False]))
    assert found.tolist() == pytest.approx([-math.log(3 / 4), -math.log(1 / 4)])


def test_answer_tokens():
    logits = torch.tensor([[0.0, LOG3, 0.0], [0.0, 0.0, 0.0]])
    assert losses.answer_tokens(logits, torch.tensor([1, 0])).tolist() == pytest.approx([math.log(5 / 3), LOG3])


# ------------------------------------------------------------------------------------------------------------------ SCR


def test_structural_consistency_of_three_words():
    """Strictly lower triangles: row 2 has one entry (cosine 1); row 3 is (1, 0) against (3, 4): cosine 3/5."""
    a = torch.tensor([[[9.0, 9.0, 9.0], [2.0, 9.0, 9.0], [1.0, 0.0, 9.0]]])
    c = torch.tensor([[[7.0, 7.0, 7.0], [5.0, 7.0, 7.0], [3.0, 4.0, 7.0]]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert losses.structural_consistency(a, c, mask).tolist() == pytest.approx([(0 + 0.4) / 2])


def test_padding_does_not_enter_structural_consistency():
    a, c = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.rand(1, 4, 4)
    padded_a, padded_c = functional.pad(a, (0, 3, 0, 3), value=5.0), functional.pad(c, (0, 3, 0, 3), value=-3.0)
    mask = torch.tensor([[True] * 4 + [False] * 3])
    expected = losses.structural_consistency(a, c, torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(losses.structural_consistency(padded_a, padded_c, mask), expected)


def test_structural_consistency_is_zero_for_equal_structures_and_for_one_word():
    a = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 5, dtype=torch.bool)
    assert losses.structural_consistency(a, 3 * a, mask).abs().max() < 1e-6
    assert losses.structural_consistency(a[:, :1, :1], a[:, :1, :1], mask[:, :1]).tolist() == [0.0, 0.0]


def test_structural_consistency_trains_both_sides():
    a = torch.rand(1, 4, 4, requires_grad=True)
    c = torch.rand(1, 4, 4, requires_grad=True)
    losses.structural_consistency(a, c, torch.ones(1, 4, dtype=torch.bool)).sum().backward()
    for gradient in (a.grad, c.grad):
        assert gradient[0, 2:].abs().sum() > 0
        assert gradient.triu().abs().sum() == 0


def test_word_overlap_is_the_cosine_of_columns():
    """Two words seen at the same place, one elsewhere, one at both."""
    attention = torch.tensor([[[1.0, 2.0, 0.0, 3.0], [0.0, 0.0, 5.0, 4.0]]])
    expected = torch.tensor([[1.0, 1.0, 0.0, 0.6], [1.0, 1.0, 0.0, 0.6], [0.0, 0.0, 1.0, 0.8], [0.6, 0.6, 0.8, 1.0]])
    torch.testing.assert_close(word_overlap(attention)[0], expected)


# -------------------------------------------------------------------------------------------------------------- spatial


def test_spatial_attention():
    """Four tokens, two inside with 1/2 and 1/4, two outside with 1/8 on average: above it lie 3/8 and 1/8, times 4."""
    attention = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    truth = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    expected = -math.log(((4 * 3 / 8) ** 2 + (4 * 1 / 8) ** 2) / 2 + 1e-4)
    assert losses.spatial_attention(attention, truth).tolist() == pytest.approx([expected])


def test_attention_below_the_background_is_not_rewarded():
    truth = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    away = losses.spatial_attention(torch.tensor([[0.0, 0.5, 0.5, 0.0]]), truth)
    even = losses.spatial_attention(torch.full((1, 4), 0.25), truth)
    on_it = losses.spatial_attention(torch.tensor([[0.7, 0.1, 0.1, 0.1]]), truth)
    assert away.item() == pytest.approx(even.item()) == pytest.approx(-math.log(1e-4))
    assert on_it.item() < even.item()


def test_targets_that_fill_the_image_or_are_missing_have_no_spatial_loss():
    attention = torch.tensor([[0.5, 0.5], [0.5, 0.5]], requires_grad=True)
    found = losses.spatial_attention(attention, torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    assert found.tolist() == [0.0, 0.0]
    found.sum().backward()
    assert torch.isfinite(attention.grad).all()


def test_area_average():
    masks = torch.zeros(1, 4, 6, dtype=torch.bool)
    masks[0, :2, :3] = True
    masks[0, 3, 5] = True
    expected = torch.tensor([[[1.0, 0.5, 0.0], [0.0, 0.0, 0.25]]])
    torch.testing.assert_close(losses.area_average(masks, (2, 3)), expected)


def test_losses_are_finite_at_the_ends_of_bfloat16():
    """Saturated logits, as a decoder in half precision returns them."""
    logits = torch.tensor([[[300.0, -300.0]]], dtype=torch.bfloat16)
    truth, weight = torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1, 2)
    for loss in (losses.mask_bce, losses.mask_dice):
        assert torch.isfinite(loss(logits.float(), truth, weight)).all()
