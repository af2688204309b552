"""Shared sight: what SAM2's encoder sees, shown to the language model as part of its vision tokens.

A small vision tower at half of SAM2's resolution does not see a car at all, and a language model cannot say whether
something is there that its eyes do not show. Pixel vectors (`geoagent.model.pixel_map`) are there anyway: their mean
and their peaks in the cell of each vision token are added to it.

Shapes: B images, E the width of pixel vectors, H x W SAM2's finest map, Hv x Wv vision tokens, D the language model.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import ZeroLinear
from geoagent.model.mllm import VisionTokens


class SharedSight(nn.Module):
    """Pixel vectors, gathered in cells, added to vision tokens."""

    def __init__(self, pixel_width: int, text_width: int) -> None:
        super().__init__()
        # The last layer starts at zero: the language model starts as it was.
        self.to_token = nn.Sequential(
            nn.LayerNorm(2 * pixel_width),
            nn.Linear(2 * pixel_width, text_width),
            nn.GELU(),
            ZeroLinear(text_width, text_width),
        )

    def forward(self, vision: VisionTokens, pixels: Tensor) -> VisionTokens:
        """``vision`` with the embedded pixels [B,E,H,W] of the same images."""
        merged = [
            tokens + self.to_token(_gathered(image, grid)).to(tokens.dtype)
            for tokens, image, grid in zip(vision.merged, pixels, vision.grids, strict=True)
        ]
        return replace(vision, merged=tuple(merged))


def _gathered(pixels: Tensor, grid: tuple[int, int]) -> Tensor:
    """[Hv,Wv,2E]: mean and peak of the vectors [E,H,W] in each cell."""
    mean, peak = functional.adaptive_avg_pool2d(pixels, grid), functional.adaptive_max_pool2d(pixels, grid)
    return torch.cat([mean, peak]).permute(1, 2, 0)
