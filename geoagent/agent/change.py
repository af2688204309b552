"""What came and what went between two dates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import STRtree
from skimage.registration import phase_cross_correlation

from geoagent.geo.raster import Raster
from geoagent.types import Instance, Mask, Pixels, Target

Floats = NDArray[np.float32]

_SAME_THING = 0.25
"""Objects of two dates are one thing where this part of the smaller one lies on the other."""
_WORTH_SAYING_PX = 1.5
_LARGEST_SHIFT = 0.1
"""Of the side of a picture: larger ones are chance, not misregistration."""
_CLEARER = 1.05
"""How much better pictures must fit after a shift for it to be believed."""


@dataclass(frozen=True)
class Changes:
    """Objects and pixels of two dates on one grid, sorted by what became of them."""

    appeared: tuple[Instance, ...]
    disappeared: tuple[Instance, ...]
    stayed: tuple[Instance, ...]
    """As they are on the second date."""
    appeared_mask: Mask
    disappeared_mask: Mask
    stayed_mask: Mask


def changes_between(before: Target | None, after: Target | None, comparable: Mask) -> Changes:
    """Match the objects of two dates by overlap; only pixels seen on both dates (``comparable``, [H,W]) count."""
    size = (int(comparable.shape[0]), int(comparable.shape[1]))
    empty = np.zeros(size, dtype=np.bool_)
    was = empty if before is None else before.mask & comparable
    now = empty if after is None else after.mask & comparable
    old = _visible(before, comparable)
    new = _visible(after, comparable)
    matches = _matches(old, new)
    known, kept = {first for first, _ in matches}, {second for _, second in matches}
    return Changes(
        appeared=tuple(one for number, one in enumerate(new) if number not in kept),
        disappeared=tuple(one for number, one in enumerate(old) if number not in known),
        stayed=tuple(one for number, one in enumerate(new) if number in kept),
        appeared_mask=now & ~was,
        disappeared_mask=was & ~now,
        stayed_mask=was & now,
    )


def misregistration(first: Raster, second: Raster) -> tuple[float, float] | None:
    """By how many pixels (x, y) the second picture seems to lie beside the first; None: it fits, or nobody can say."""
    a, b = _edges(first.pixels), _edges(second.pixels)
    for raster in (first, second):
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
    return (-dx, -dy) if _likeness(a, moved) > _CLEARER * max(_likeness(a, b), 1e-3) else None


def _visible(target: Target | None, comparable: Mask) -> Sequence[Instance]:
    """Objects that lie mostly where both dates can be seen."""
    if target is None:
        return ()
    return [one for one in target.instances if 2 * np.count_nonzero(_there(comparable, one) & one.crop) > one.area]


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
    mine = one.crop[top - y0 : bottom - y0, left - x0 : right - x0]
    theirs = other.crop[top - v0 : bottom - v0, left - u0 : right - u0]
    return bool(np.count_nonzero(mine & theirs) >= _SAME_THING * min(one.area, other.area))


def _there(mask: Mask, one: Instance) -> Mask:
    x0, y0, x1, y1 = one.box
    return mask[y0:y1, x0:x1]


def _edges(pixels: Pixels) -> Floats:
    """Strength of the edges, float [H,W]: they stay where light and season change."""
    grey = pixels.astype(np.float32).mean(axis=2)
    return np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))


def _likeness(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9))
