"""Heads that only training knows: far more signal from each image than a few masks give.

Dense class maps tell SAM2's encoder and the vision tower what is where; a class head tells the state at <seg> which of
the known classes the words mean. Both are thrown away afterwards.

Shapes: B images, N targets, K classes, m a quarter of SAM2's square, Hv x Wv vision tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.mllm import VisionTokens
from geoagent.model.sam import SamFeatures, level_widths

UNKNOWN_CLASS = -100


@dataclass(frozen=True)
class ClassMaps:
    """What is known of where the classes are in B images."""

    cover: Tensor
    """uint8 [B,K,m,m]: share of each cell that the class covers, 0…255."""
    weight: Tensor
    """uint8 [B,K,m,m]: 1 where the labels say whether the class is there."""


@dataclass(frozen=True)
class AuxiliaryLogits:
    """What the heads say."""

    fine: Tensor
    """[B,K,m,m] from SAM2's three maps."""
    tokens: Tensor
    """[B,K,Hv,Wv] from the vision tower's tokens."""
    classes: Tensor
    """[N,K] from the states at <seg>."""


class AuxiliaryHeads(nn.Module):
    """Class maps from both encoders, a class from the state of each target."""

    def __init__(self, config: GeoAgentConfig, class_count: int, width: int = 96) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Conv2d(c, width, kernel_size=1) for c in level_widths(config.sam_config)])
        self.classify_pixel = nn.Sequential(
            nn.GELU(), nn.Conv2d(width, width, kernel_size=3, padding=1), nn.GELU(), nn.Conv2d(width, class_count, 1)
        )
        self.classify_token = nn.Sequential(nn.LayerNorm(config.text_width), nn.Linear(config.text_width, class_count))
        self.classify_state = nn.Sequential(nn.LayerNorm(config.text_width), nn.Linear(config.text_width, class_count))

    def forward(self, vision: VisionTokens, sam: SamFeatures, states: Tensor) -> AuxiliaryLogits:
        """Class logits from features of one batch (all images of one grid) and states [N,D]."""
        fine = self.levels[0](sam.fine)
        for layer, level in zip(self.levels[1:], (sam.middle, sam.coarse), strict=True):
            fine = fine + functional.interpolate(layer(level), size=fine.shape[-2:], mode="bilinear")
        tokens = self.classify_token(torch.stack(vision.merged)).permute(0, 3, 1, 2)
        return AuxiliaryLogits(self.classify_pixel(fine), tokens, self.classify_state(states))


def class_map_loss(logits: Tensor, truth: ClassMaps) -> Tensor:
    """Binary cross-entropy plus Dice of the classes that are there, averaged over what is known: a scalar.

    ``logits`` [B,K,h,w] of any size; the truth is averaged to it. Cross-entropy alone would let small things go: a car
    is a hundredth of a percent of an image, and Dice does not care how large a thing is.
    """
    cover, weight = truth.cover.float() / 255, truth.weight.float()
    size = (int(logits.shape[-2]), int(logits.shape[-1]))
    if size != tuple(cover.shape[-2:]):
        known = functional.adaptive_avg_pool2d(weight, size)
        cover = functional.adaptive_avg_pool2d(cover * weight, size) / known.clamp(min=1e-6)
        weight = (known > 0.5).float()
    logits = logits.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, cover, weight=weight, reduction="sum")
    probability = logits.sigmoid() * weight
    overlap = (probability * cover).sum(dim=(2, 3))
    total = (probability + cover * weight).sum(dim=(2, 3))
    there = (cover * weight).sum(dim=(2, 3)) > 0.5
    dice = (1 - (2 * overlap + 1) / (total + 1))[there]
    per_pixel = entropy / weight.sum().clamp(min=1)
    return per_pixel * weight.shape[1] * 0.1 + (dice.mean() if len(dice) else dice.sum())


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of each target's class, 0 where it is `UNKNOWN_CLASS`: [N]."""
    return functional.cross_entropy(logits.float(), classes, ignore_index=UNKNOWN_CLASS, reduction="none")
