"""Heads that only training knows: far more signal from each image than a few masks give.

Dense class maps tell SAM2's encoder and the vision tower what is where; a class head tells the state at <seg> which of
the known classes the words mean. All are thrown away afterwards.

Shapes: B images, N targets, K classes, m a quarter of SAM2's square, Hv x Wv vision tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.losses import balanced_weight, mask_bce, mask_dice
from geoagent.model.mllm import VisionTokens
from geoagent.model.pipeline import ImageFeatures
from geoagent.model.pixel_map import PixelEmbedding
from geoagent.model.sam import level_widths

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
        shared = config.prompting.pixel_map
        self.embed = None if shared else PixelEmbedding(level_widths(config.sam_config), width)
        self.classify_pixel = nn.Conv2d(shared or width, class_count, kernel_size=1)
        self.classify_token = nn.Sequential(nn.LayerNorm(config.text_width), nn.Linear(config.text_width, class_count))
        self.classify_state = nn.Sequential(nn.LayerNorm(config.text_width), nn.Linear(config.text_width, class_count))

    def forward(self, features: ImageFeatures, states: Tensor, *, teach_tokens: bool = True) -> AuxiliaryLogits:
        """Class logits from features of one batch (all images of one grid) and states [N,D]."""
        pixels = features.pixels if self.embed is None else self.embed(features.sam)
        return AuxiliaryLogits(
            self.classify_pixel(pixels),
            self.classify_tokens(features.vision, teach=teach_tokens),
            self.classify_state(states),
        )

    def classify_tokens(self, vision: VisionTokens, *, teach: bool = True) -> Tensor:
        """Class logits [B,K,Hv,Wv] of the vision tower's tokens; ``teach``: the tower learns from them, too."""
        tokens = torch.stack(vision.merged)
        logits: Tensor = self.classify_token(tokens if teach else tokens.detach())
        return logits.permute(0, 3, 1, 2)

    @property
    def class_vectors(self) -> Tensor:
        """[K,E+1]: the vector and the bias that find each class among the embedded pixels."""
        bias = self.classify_pixel.bias
        assert bias is not None
        return torch.cat([self.classify_pixel.weight.flatten(1), bias[:, None]], dim=1)

    @torch.no_grad()
    def set_class_vectors(self, vectors: Tensor) -> None:
        """Begin with these `class_vectors`."""
        bias = self.classify_pixel.bias
        assert bias is not None
        self.classify_pixel.weight.copy_(vectors[:, :-1, None, None])
        bias.copy_(vectors[:, -1])


def class_map_loss(logits: Tensor, truth: ClassMaps) -> Tensor:
    """Cross-entropy of what is there and of what is not, plus Dice of what is there: a scalar.

    ``logits`` [B,K,h,w] of any size; the truth is averaged to it. The pixels of a class that is in the image
    count more the fewer they are (`balanced_weight`): else a car, a hundredth of a percent of an image, is learned as
    "never", and where a probability is near zero Dice has no gradient any more.
    """
    cover, weight = truth.cover.float() / 255, truth.weight.float()
    size = (int(logits.shape[-2]), int(logits.shape[-1]))
    if size != tuple(cover.shape[-2:]):
        known = functional.adaptive_avg_pool2d(weight, size)
        cover = functional.adaptive_avg_pool2d(cover * weight, size) / known.clamp(min=1e-6)
        weight = (known > 0.5).float()
    images = len(logits)
    logits, cover, weight = (x.flatten(0, 1).flatten(1) for x in (logits.float(), cover, weight))  # a row a class map
    there = (cover * weight).sum(dim=1) > 0.5
    entropy = mask_bce(logits, cover, torch.where(there[:, None], balanced_weight(cover, weight), weight))
    seen = ((entropy + mask_dice(logits, cover, weight)) * there).sum() / there.sum().clamp(min=1)
    return seen + 0.1 * (entropy * ~there).sum() / images


def class_vector_loss(vectors: Tensor, class_vectors: Tensor, classes: Tensor) -> Tensor:
    """How far each target's vector [N,E+1] is from its class's, relative to the length of that: [N], 0 if unknown.

    Lets words learn which pixels they mean without seeing any: a vector like the class's gives the class's map.
    """
    known = classes != UNKNOWN_CLASS
    wanted = class_vectors.detach()[classes.clamp(min=0)]
    apart = (vectors.float() - wanted).square().sum(dim=1) / wanted.square().sum(dim=1).clamp(min=1e-6)
    return apart * known


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of each target's class, 0 where it is `UNKNOWN_CLASS`: [N]."""
    return functional.cross_entropy(logits.float(), classes, ignore_index=UNKNOWN_CLASS, reduction="none")
