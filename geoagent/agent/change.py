"""What came and what went between two dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import STRtree
from skimage.registration import phase_cross_correlation

from geoagent.agent.rows import Parts, from_the_top, steps
from geoagent.types import Instance, Mask, Pixels

if TYPE_CHECKING:
    from geoagent.large.source import Windows

Floats = NDArray[np.float32]

_SAME_THING = 0.25
"""Objects of two dates are one thing where this part of the smaller one lies on the other."""
_WORTH_SAYING_PX = 1.5
"""Of the pictures that are looked at."""
_LOOKED_AT = 2048
"""Longer side of the pictures that shifts are told from."""
_LARGEST_SHIFT = 0.1
"""Of the side of a picture: larger ones are chance, not misregistration."""
_CLEARER = 1.05
"""How much better pictures must fit after a shift for it to be believed."""


@dataclass(frozen=True)
class Changes:
    """Objects of two dates on one grid, sorted by what became of them."""

    appeared: tuple[Instance, ...]
    disappeared: tuple[Instance, ...]
    stayed: tuple[Instance, ...]
    """As they are on the second date."""


def changed_objects(before: Sequence[Instance], after: Sequence[Instance], seen: Sequence[Mask]) -> Changes:
    """Match the objects of two dates by overlap.

    Args:
        before: Of the first date.
        after: Of the second.
        seen: bool [H,W] masks of the pixels that a date shows; only objects mostly on all of them count.
    """
    old, new = _visible(before, seen), _visible(after, seen)
    matches = _matches(old, new)
    known, kept = {first for first, _ in matches}, {second for _, second in matches}
    return Changes(
        appeared=tuple(one for number, one in enumerate(new) if number not in kept),
        disappeared=tuple(one for number, one in enumerate(old) if number not in known),
        stayed=tuple(one for number, one in enumerate(new) if number in kept),
    )


def misregistration(first: "Windows", second: "Windows") -> tuple[float, float] | None:
    """By how many pixels (x, y) the second picture seems to lie beside the first; None: it fits, or nobody can say.

    Both are on one grid. Large ones are looked at reduced, which finds a shift of a few pixels all the same.
    """
    height, width = first.info.size
    step = ceil(max(height, width) / _LOOKED_AT)
    size = None if step == 1 else (ceil(height / step), ceil(width / step))
    one, other = first.read(size=size), second.read(size=size)
    a, b = _edges(one.pixels), _edges(other.pixels)
    for raster in (one, other):
        if raster.valid is not None:
            a, b = a * raster.valid, b * raster.valid
    if not (a.any() and b.any()):
        return None
    shift, _, _ = phase_cross_correlation(a, b, upsample_factor=4, normalization="phase")
    dy, dx = (float(v) for v in shift)
    too_far = max(abs(dx), abs(dy)) > _LARGEST_SHIFT * min(a.shape)
    if too_far or np.hypot(dx, dy) < _WORTH_SAYING_PX:
        return None
    moved = ndimage.shift(b, (dy, dx), order=1)
    better = _likeness(a, moved) > _CLEARER * max(_likeness(a, b), 1e-3)
    return (-dx * step, -dy * step) if better else None


def _visible(objects: Sequence[Instance], seen: Sequence[Mask]) -> Sequence[Instance]:
    """Objects that lie mostly where both dates can be seen."""
    parts = [Parts(mask) for mask in seen]
    visible = {n for n in from_the_top(objects) if all(2 * p.overlap(objects[n]) > objects[n].area for p in parts)}
    return [one for n, one in enumerate(objects) if n in visible]


def _matches(old: Sequence[Instance], new: Sequence[Instance]) -> list[tuple[int, int]]:
    """Places in ``old`` and ``new`` of what is one thing."""
    if not (old and new):
        return []
    tree = STRtree([shapely.box(*one.box) for one in old])
    pairs = tree.query([shapely.box(*one.box) for one in new]).T
    return [(int(o), int(n)) for n, o in pairs if _same_thing(new[n], old[o])]


def _same_thing(one: Instance, other: Instance) -> bool:
    (x0, y0, x1, y1), (u0, v0, u1, v1) = one.box, other.box
    left, top, right, bottom = max(x0, u0), max(y0, v0), min(x1, u1), min(y1, v1)
    if left >= right or top >= bottom:
        return False
    common = 0
    for first, last in steps(bottom - top):
        rows = slice(top - y0 + first, top - y0 + last), slice(top - v0 + first, top - v0 + last)
        mine = one.crop[rows[0], left - x0 : right - x0]
        theirs = other.crop[rows[1], left - u0 : right - u0]
        common += int(np.count_nonzero(mine & theirs))
    return common >= _SAME_THING * min(one.area, other.area)


def _edges(pixels: Pixels) -> Floats:
    """Strength of the edges, float [H,W]: they stay where light and season change."""
    grey = pixels.astype(np.float32).mean(axis=2)
    return np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))


def _likeness(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9))
