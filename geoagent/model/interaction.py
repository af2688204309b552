"""Interaction inside and across the scales of SAM2's features: our own design of the two ideas of MRSNet.

MRSNet (NWPU-Refer) names an intra-scale interaction (IFIM) and a hierarchical cross-scale fusion (HFIM); its code is
not public. Ours:

    IFIM   on each map: depthwise 3 x 3 convolutions, one of them dilated, gated by the map's mean
    HFIM   all maps, pooled to the coarsest, attend to each other place by place and over the whole image; the result
           goes back from coarse to fine, at each scale through a gate that sees what is there

Both add to the maps through layers that start at zero, so that SAM2 starts as it was. No words enter: the work is done
once an image and kept with its features.

Shapes: B images, C_l channels of level l (0 the finest), He x We the coarsest map, d our width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import CrossAttention, FeedForward, ZeroConv, sine_positions
from geoagent.model.sam import SamFeatures

_DILATION = 3


class IntraScale(nn.Module):
    """IFIM for one map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)
        self.far = nn.Conv2d(channels, channels, kernel_size=3, padding=_DILATION, dilation=_DILATION, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.gate = nn.Linear(channels, channels)
        self.project = ZeroConv(channels, channels, kernel_size=1)

    def forward(self, level: Tensor) -> Tensor:
        """[B,C,h,w] to the same shape."""
        gate = self.gate(level.mean(dim=(2, 3))).sigmoid()[..., None, None]
        around = functional.gelu(self.norm(self.near(level) + self.far(level)))
        return level + self.project(around * gate)


class CrossScale(nn.Module):
    """HFIM for the three maps."""

    def __init__(self, widths: tuple[int, int, int], width: int, heads: int) -> None:
        super().__init__()
        self.read = nn.ModuleList([nn.Conv2d(c, width, kernel_size=1) for c in widths])
        self.fuse = nn.Conv2d(len(widths) * width, width, kernel_size=1)
        self.norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = FeedForward(width, ratio=2)
        self.gate = nn.ModuleList([nn.Conv2d(2 * width, width, kernel_size=1) for _ in widths])
        self.write = nn.ModuleList([ZeroConv(width, c, kernel_size=1) for c in widths])

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Three maps, finest first, each told what the others know."""
        own = [read(level) for read, level in zip(self.read, levels, strict=True)]
        fused = self._attend(own)
        told = list(levels)
        for scale in reversed(range(len(levels))):
            fused = functional.interpolate(fused, size=levels[scale].shape[-2:], mode="bilinear", align_corners=False)
            gate = self.gate[scale](torch.cat([fused, own[scale]], dim=1)).sigmoid()
            # What this scale kept goes on to the next finer one, with what the scale itself knows.
            fused = gate * fused + (1 - gate) * own[scale]
            told[scale] = levels[scale] + self.write[scale](fused)
        return told

    def _attend(self, own: list[Tensor]) -> Tensor:
        """All maps [B,d,h,w] at the size of the coarsest, after attention over the image: [B,d,He,We]."""
        height, width = own[-1].shape[-2:]
        pooled = torch.cat([functional.adaptive_avg_pool2d(level, (height, width)) for level in own], dim=1)
        tokens = self.fuse(pooled).flatten(2).transpose(1, 2)
        code = sine_positions(height, width, tokens.shape[-1], tokens.device, tokens.dtype)
        normed = self.norm(tokens + code)
        tokens = tokens + self.attention(normed, normed)
        tokens = tokens + self.feed(self.norm_feed(tokens))
        return tokens.transpose(1, 2).unflatten(2, (height, width))


class FeatureInteraction(nn.Module):
    """Both, one after the other."""

    def __init__(self, widths: tuple[int, int, int], width: int, heads: int) -> None:
        super().__init__()
        self.inside = nn.ModuleList([IntraScale(channels) for channels in widths])
        self.across = CrossScale(widths, width, heads)

    def forward(self, features: SamFeatures) -> SamFeatures:
        """Features of B images to features of the same shapes."""
        levels = [module(level) for module, level in zip(self.inside, features.levels, strict=True)]
        fine, middle, coarse = self.across(levels)
        return SamFeatures(fine, middle, coarse)
