"""What training minimises: pure functions of predictions and truth.

Each returns one value a target, so that the trainer can divide by the number of targets over all ranks. Pixels that
nobody labelled carry weight 0.

Shapes: N targets, h x w a mask grid, Hv x Wv the coarse grid, T answer tokens.
"""

import torch
from torch import Tensor
from torch.nn import functional


def balanced_weight(truth: Tensor, weight: Tensor) -> Tensor:
    """Weights [...,P] that give the pixels of a small thing a share of the square root of its size.

    A thing of a hundredth of an image has a tenth of the say then: half-way between counting pixels, by which small
    things are learned as "nowhere", and equal shares, by which they are drawn too large.
    """
    inside = (truth * weight).sum(dim=-1, keepdim=True)
    ratio = (weight.sum(dim=-1, keepdim=True) / inside.clamp(min=1)).sqrt()
    return weight * (truth * ratio + (1 - truth))


def mask_bce(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean binary cross-entropy over the labelled pixels: [N] from [N,h,w] logits, truth 0…1 and weight."""
    loss = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weight
    return loss.flatten(1).sum(dim=1) / weight.flatten(1).sum(dim=1).clamp(min=1)


def mask_dice(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """1 − (2·overlap + 1) / (sizes + 1): [N]."""
    p, t = (logits.sigmoid() * weight).flatten(1), (truth * weight).flatten(1)
    return 1 - (2 * (p * t).sum(dim=1) + 1) / (p.sum(dim=1) + t.sum(dim=1) + 1)


def soft_iou(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """IoU of the thresholded mask with the truth: [N], what SAM2's IoU score should say (1 for two empty masks)."""
    p, t = (logits > 0) & (weight > 0), (truth > 0.5) & (weight > 0)
    union = (p | t).flatten(1).sum(dim=1)
    overlap = (p & t).flatten(1).sum(dim=1)
    return torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(overlap, dtype=torch.float))


def iou_score(predicted: Tensor, logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Squared error of the predicted IoU: [N]."""
    return (predicted - soft_iou(logits.detach(), truth, weight).to(predicted.dtype)) ** 2


def object_score(logits: Tensor, present: Tensor) -> Tensor:
    """Binary cross-entropy of "it is there": [N]."""
    return functional.binary_cross_entropy_with_logits(logits, present.to(logits.dtype), reduction="none")


def structural_consistency(word_attention: Tensor, word_overlap: Tensor, mask: Tensor) -> Tensor:
    """SCR, Σ_i (1 − cos(p_i, q_i)) over the rows i ≥ 2 of the strictly lower triangles, divided by the rows: [N].

    The paper sums; instructions differ in length by an order of magnitude, so a mean keeps its weight of 0.5
    meaningful. Row 1 of a strictly lower triangle is empty, row 2 has a single entry and cosine 1, and padding is at
    the end, so that a valid row contains valid words only.

    Args:
        word_attention: A_uu [N,Nt,Nt].
        word_overlap: C_uu [N,Nt,Nt].
        mask: bool [N,Nt], the words that are there.
    """
    p, q = word_attention.tril(-1), word_overlap.tril(-1)
    rows = mask.clone()
    rows[:, 0] = False
    difference = (1 - functional.cosine_similarity(p, q, dim=-1, eps=1e-8)) * rows
    return difference.sum(dim=1) / rows.sum(dim=1).clamp(min=1)


def spatial_attention(attention: Tensor, truth: Tensor) -> Tensor:
    """SegEarth-R2's spatial supervision: −log(mean over the target of max(A − mean over the rest, 0)²): [N].

    The published square also rewards attention *below* the background; here only what lies above it counts. Targets
    that fill the image or are missing have no loss.

    Args:
        attention: float [N,Ni] of each target's token over the image tokens, summing to 1.
        truth: float [N,Ni], 1 inside the target.
    """
    inside = truth > 0.5
    count = inside.sum(dim=1)
    usable = (count > 0) & (count < inside.shape[1])
    outside = (attention * ~inside).sum(dim=1) / (~inside).sum(dim=1).clamp(min=1)
    # Relative to a uniform spread, so that the value does not depend on the number of image tokens.
    above = ((attention - outside[:, None]) * attention.shape[1]).clamp(min=0)
    strength = (above**2 * inside).sum(dim=1) / count.clamp(min=1)
    return torch.where(usable, -torch.log(strength + 1e-4), torch.zeros_like(strength))


def answer_tokens(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each answer token: [T] from logits [T,V] and the ids [T]."""
    return functional.cross_entropy(logits.float(), labels, reduction="none")


def area_average(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks [N,H,W] as the share of each cell that they cover, [N,*size]."""
    return functional.adaptive_avg_pool2d(masks[:, None].float(), size)[:, 0]
