"""The mark map: one step from what a person pointed at to the pixels.

SAM2's prompt encoder turns a point into a vector, and the decoder has to find out where that is; trained from nothing
it needs far more clicks than there is time for. Here points, boxes, scribbles and drawn masks are drawn as maps, beside
how much each pixel looks like what lies under the mark. A few convolutions make logits of them, which SAM2 is shown as
part of the mask prompt and which are added to its masks, as those of `geoagent.model.pixel_map` are.

Shapes: N targets with K marks each, H x W the finest map (4He x 4We), E the width of pixel vectors, D of the states.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoagent.model.attention import ZeroConv
from geoagent.model.sam import PersonPrompts

_REACHES = (0.015, 0.05, 0.15)
"""How far around a point, in parts of the image, the pixels feel it."""
_CHANNELS = len(_REACHES) + 5
_GAIN = 10.0
"""Adam moves a weight by no more than the learning rate a step: from zero to a logit of ten would take it thousands."""
_POSITIVE, _NEGATIVE, _CORNER, _OTHER_CORNER = 1, 0, 2, 3


class MarkMap(nn.Module):
    """Logits from marks, from likeness to what is marked, and from the words (one object, or all of its kind?)."""

    def __init__(self, text_width: int, width: int = 24) -> None:
        super().__init__()
        self.look = nn.Conv2d(_CHANNELS, width, kernel_size=1)
        self.listen = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, width))
        self.mix = nn.Conv2d(width, width, kernel_size=3, padding=1)
        # It starts at zero: the model starts as it was.
        self.judge = ZeroConv(width, 1, kernel_size=1)

    def forward(self, pixels: Tensor, state: Tensor, person: PersonPrompts) -> Tensor:
        """Logits [N,H,W] from pixel vectors [N,E,H,W] and states [N,D]; zero where a target has no mark."""
        drawn, weight = draw_marks(person, pixels)
        like = likeness(pixels, weight)
        seen = self.look(torch.cat([drawn, like[:, None]], dim=1)) + self.listen(state)[..., None, None]
        logits: Tensor = self.judge(functional.gelu(self.mix(functional.gelu(seen))))[:, 0]
        return _GAIN * logits * (weight.flatten(1).amax(dim=1) > 0)[:, None, None]


def draw_marks(person: PersonPrompts, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Maps [N,C,H,W] of the marks, 0…1, and how surely each pixel is one that is meant, [N,H,W].

    The maps: nearness to the points on it (at three reaches), to the points not on it, inside and outside of its boxes,
    and its drawn mask.
    """
    height, width = pixels.shape[-2:]
    y = (torch.arange(height, device=pixels.device, dtype=pixels.dtype) + 0.5) / height
    x = (torch.arange(width, device=pixels.device, dtype=pixels.dtype) + 0.5) / width
    points = person.points.to(pixels)
    labels = person.labels.to(pixels.device)
    apart = (x - points[..., 0, None])[:, :, None, :] ** 2 + (y - points[..., 1, None])[:, :, :, None] ** 2
    near = [_nearness(apart, labels == _POSITIVE, reach) for reach in _REACHES]
    away = _nearness(apart, labels == _NEGATIVE, _REACHES[1])
    box = (labels[:, :-1] == _CORNER) & (labels[:, 1:] == _OTHER_CORNER)
    inside, core = _boxes(points[:, :-1], points[:, 1:], box, x, y)
    outside = (1 - inside) * box.any(dim=1)[:, None, None]
    mask = _drawn(person, pixels)
    maps = torch.stack([*near, away, inside, outside, mask], dim=1)
    return maps, torch.stack([near[0], core, mask]).amax(dim=0)


def likeness(pixels: Tensor, weight: Tensor) -> Tensor:
    """Cosine [N,H,W] of each pixel vector [N,E,H,W] with their mean under ``weight`` [N,H,W]."""
    total = weight.flatten(1).sum(dim=1).clamp(min=1e-6)
    mean = torch.einsum("nehw,nhw->ne", pixels, weight) / total[:, None]
    return functional.cosine_similarity(pixels, mean[..., None, None], dim=1, eps=1e-4)


def _nearness(apart: Tensor, which: Tensor, reach: float) -> Tensor:
    """1 on the marks that count, less around them: [N,H,W] from squared distances [N,K,H,W]."""
    near = torch.exp(apart / (-2 * reach**2)) * which[..., None, None]
    return _most(near)


def _boxes(first: Tensor, second: Tensor, box: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Inside of the boxes, with soft sides, and how far inside: both [N,H,W] from corners [N,K-1,2]."""
    middle, half = (first + second) / 2, ((second - first) / 2).abs().clamp(min=1e-4)
    across = (x - middle[..., 0, None]).abs() - half[..., 0, None]
    down = (y - middle[..., 1, None]).abs() - half[..., 1, None]
    columns = (0.5 - across * len(x)).clamp(0, 1)[:, :, None, :]
    rows = (0.5 - down * len(y)).clamp(0, 1)[:, :, :, None]
    inside = columns * rows * box[..., None, None]
    off = ((x - middle[..., 0, None]) / half[..., 0, None]).square()[:, :, None, :]
    off = off + ((y - middle[..., 1, None]) / half[..., 1, None]).square()[:, :, :, None]
    return _most(inside), _most(inside * (1 - off).clamp(min=0))


def _drawn(person: PersonPrompts, pixels: Tensor) -> Tensor:
    if person.masks is None:
        return pixels.new_zeros(len(pixels), *pixels.shape[-2:])
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    return functional.interpolate(person.masks.to(pixels).nan_to_num(), size=size, mode="area")[:, 0]


def _most(maps: Tensor) -> Tensor:
    """The largest of K maps, [N,H,W]; zeros where there is none."""
    return functional.pad(maps, (0, 0, 0, 0, 0, 1)).amax(dim=1)
