"""Objects seen as wholes: is what was outlined really one of what was asked for?

A mask is decided pixel by pixel, and each pixel of a bus may look a little more like a truck. All of them together know
better: what the pixel map has inside of an object and around it is pooled, and a small network says of which classes
the object may be. What it takes for something else is dropped from the mask.

Shapes: M objects, E the width of the pixel vectors, h, w their grid, K classes.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoagent.data.classes import alike
from geoagent.model.attention import ZeroLinear
from geoagent.model.configuration import RecognitionConfig
from geoagent.types import Box, Instance, Mask, Target

_MEASURES = 3
_AROUND = 0.35
"""Cells around an object that count as its surroundings, as a part of its longer side."""


class ObjectRecognition(nn.Module):
    """Class logits [M,K] from what was pooled [M,3E+3]. Before it has learned, it lets everything pass."""

    def __init__(self, config: RecognitionConfig, pixel_width: int) -> None:
        super().__init__()
        self.config = config
        self.read = nn.Linear(3 * pixel_width + _MEASURES, config.width)
        self.classify = ZeroLinear(config.width, len(config.classes))

    def forward(self, pooled: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.classify(nn.functional.gelu(self.read(pooled)))
        return logits

    @torch.inference_mode()
    def checked(self, target: Target, class_name: str | None, pixels: Tensor) -> Target:
        """``target`` without the objects that are probably no ``class_name``, but never without all of them.

        What passes for a ``class_name`` stays: nobody can say whether solar panels in a field are a solar farm.

        Args:
            target: What was found.
            class_name: What it should be; a class that is not known here is left as it is.
            pixels: Its image's vectors [E,h,w].
        """
        if class_name is None or class_name not in self.config.classes or len(target.instances) < 2:
            return target
        columns = [n for n, name in enumerate(self.config.classes) if name in alike(class_name)]
        pooled = torch.stack([pool(pixels, one.box, one.crop, one.image_size) for one in target.instances])
        own = torch.logit(torch.tensor([one.score for one in target.instances]), eps=1e-4)
        sure = self(pooled.to(self.read.weight)).float().cpu()[:, columns].amax(dim=1) + own
        kept = (sure > self.config.least) | (sure == sure.max())
        return _without(target, [one for one, stays in zip(target.instances, kept.tolist(), strict=True) if not stays])


def _without(target: Target, others: Sequence[Instance]) -> Target:
    """A target without some of its objects."""
    if not others:
        return target
    mask, gone = target.mask.copy(), {one.id for one in others}
    for one in others:
        x0, y0, x1, y1 = one.box
        mask[y0:y1, x0:x1] &= ~one.crop
    left = [one for one in target.instances if one.id not in gone]
    return replace(target, mask=mask, instances=tuple(replace(one, id=n) for n, one in enumerate(left, start=1)))


def pool(pixels: Tensor, box: Box, crop: Mask, size: tuple[int, int]) -> Tensor:
    """float32 [3E+3] of one object: mean and maximum inside, mean around, how large, how long, how much of its box.

    Args:
        pixels: [E,h,w].
        box: ``(x0, y0, x1, y1)`` of the object, in pixels of the image.
        crop: bool, the object inside of its box.
        size: ``(H, W)`` of the image.
    """
    grid = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    x0, y0, x1, y1 = box
    down, across = grid[0] / size[0], grid[1] / size[1]
    margin = max(2.0, _AROUND * max((x1 - x0) * across, (y1 - y0) * down))
    top, rows = _shares(y0, y1, down, margin, grid[0])
    left, columns = _shares(x0, x1, across, margin, grid[1])
    cover = torch.from_numpy(rows @ crop.astype(np.float32) @ columns.T).to(pixels.device)
    some = pixels[:, top : top + cover.shape[0], left : left + cover.shape[1]].float().flatten(1)
    inside = cover.flatten()
    around = 1 - inside
    most = some[:, inside >= min(0.5, float(inside.max()))].amax(dim=1)
    area, length = float(inside.sum()), max((x1 - x0) * across, (y1 - y0) * down)
    measures = some.new_tensor([np.log(max(area, 1e-3)), np.log(length), float(crop.mean())])
    return torch.cat([some @ inside / area, most, some @ around / around.sum().clamp(min=1e-3), measures])


def _shares(start: int, end: int, scale: float, margin: float, cells: int) -> tuple[int, NDArray[np.float32]]:
    """The first cell of a window around pixels ``start`` to ``end``, and the share of each cell that each pixel fills.

    The shares are float32 [cells of the window, pixels].
    """
    first, last = max(0, int(start * scale - margin)), min(cells, int(np.ceil(end * scale + margin)))
    edges = np.arange(first, last + 1)
    low, high = np.arange(start, end) * scale, np.arange(start + 1, end + 1) * scale
    overlap = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return first, overlap.clip(min=0).astype(np.float32)
