"""One stretch to 8 bits for a whole scene, and the pixels that count for it.

A stretch per tile makes seams, and nodata drawn as black drags it: the limits come from the valid pixels of an overview
of the whole scene and serve every window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoagent.types import GeoAgentError, Mask, Pixels

Limits = tuple[tuple[float, float], ...]
PERCENTILES = (2.0, 98.0)
_COLLAR_SHARE = 0.005
"""A collar covers at least this share of the image; smaller dark corners are shadows."""
_FEW_VALUES = 16
"""A single band with no more values than these is a label, whose background is no collar."""


def find_limits(overview: NDArray[np.generic], valid: Mask) -> Limits:
    """Per band the values at 2 % and 98 % of the valid pixels of ``overview`` [C,h,w]."""
    limits = []
    for band in overview:
        values = band[valid & np.isfinite(band)]
        low, high = (float(v) for v in np.percentile(values, PERCENTILES)) if values.size else (0.0, 1.0)
        if high <= low and values.size:  # almost one value: spread whatever else there is
            low, high = float(values.min()), float(values.max())
        limits.append((low, high if high > low else low + 1.0))
    return tuple(limits)


def given_limits(stretch: Sequence[Sequence[float]], bands: int) -> Limits:
    """Limits from a caller: one ``(low, high)`` for all bands, or one for each."""
    pairs = [tuple(float(v) for v in pair) for pair in stretch]
    pairs = pairs * bands if len(pairs) == 1 else pairs
    if len(pairs) != bands or any(len(pair) != 2 or not pair[1] > pair[0] for pair in pairs):
        raise GeoAgentError(f"the stretch needs one (low, high) with low < high for each of the {bands} bands")
    return tuple((pair[0], pair[1]) for pair in pairs)


def to_eight_bits(values: NDArray[np.generic], limits: Limits | None) -> Pixels:
    """Values [C,H,W] to uint8 [H,W,3]; one band becomes grey. Without limits the values are 8-bit already."""
    if limits is None:
        pixels = values.astype(np.uint8, copy=False)
    else:
        pixels = np.empty(values.shape, dtype=np.uint8)
        for out, band, (low, high) in zip(pixels, values, limits, strict=True):
            scaled = np.nan_to_num(band.astype(np.float32), nan=low, posinf=high, neginf=low)
            scaled -= low
            scaled *= 255.0 / (high - low)
            np.clip(scaled, 0.0, 255.0, out=scaled)
            np.rint(scaled, out=scaled)
            out[:] = scaled
    if pixels.shape[0] == 1:
        pixels = np.repeat(pixels, 3, axis=0)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


@dataclass(frozen=True, eq=False)
class Collar:
    """A frame of one value around a scene that its file does not tag as nodata."""

    value: float
    tolerance: float
    zone: Mask
    """bool [h,w]: where it lies in the overview, grown by two cells."""

    def covers(self, values: NDArray[np.generic], window: tuple[int, int, int, int], size: tuple[int, int]) -> Mask:
        """bool [H,W]: which pixels of ``values`` [C,H,W], cut out at ``window`` (x0, y0, x1, y1), are collar."""
        x0, y0, x1, y1 = window
        rows = _cells(y0, y1, values.shape[1], size[0], self.zone.shape[0])
        columns = _cells(x0, x1, values.shape[2], size[1], self.zone.shape[1])
        near = self.zone[np.ix_(rows, columns)]
        if not near.any():
            return near
        alike = np.abs(values.astype(np.float32) - self.value) <= self.tolerance
        return np.asarray(near & alike.all(axis=0))


def find_collar(overview: NDArray[np.generic], valid: Mask, *, lossy: bool, white: bool) -> Collar | None:
    """The untagged collar of an overview [C,h,w]: one value in all bands, from a corner inwards.

    ``lossy`` allows the noise of JPEG. ``white`` also looks for white paper, which photographs have as snow and roofs:
    its inner border must be straight.
    """
    if overview.shape[0] == 1 and np.unique(overview).size <= _FEW_VALUES:
        return None
    if overview.dtype.kind == "f":
        values = [0.0, -9999.0, -32768.0]
    elif overview.dtype == np.uint8:
        values = [0.0, 255.0] if white else [0.0]
    else:
        kind = np.iinfo(overview.dtype.name)
        values = [0.0, float(kind.max), float(kind.min), -9999.0]
    tolerance = 8.0 if lossy else 0.0
    corners = np.zeros(valid.shape, dtype=np.bool_)
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    for value in dict.fromkeys(values):
        alike = valid & (np.abs(overview.astype(np.float32) - value) <= tolerance).all(axis=0)
        if not (alike & corners).any():
            continue
        labels, _ = ndimage.label(alike)
        touching = np.unique(labels[alike & corners])
        found = np.isin(labels, touching)
        if not _COLLAR_SHARE <= found.mean() < 1.0:
            continue
        if value == 255.0 and not _fills_its_hull(valid & ~found):
            continue
        return Collar(value, tolerance, ndimage.binary_dilation(found, iterations=2))
    return None


def _fills_its_hull(scene: Mask) -> bool:
    """Whether a footprint is convex, as that of a rotated strip is."""
    from skimage.morphology import convex_hull_image

    return bool(scene.sum() >= 0.97 * convex_hull_image(scene).sum())


def _cells(start: int, stop: int, count: int, full: int, cells: int) -> NDArray[np.intp]:
    """Overview cells of ``count`` samples between two pixel positions."""
    centres = start + (np.arange(count) + 0.5) * (stop - start) / count
    return np.minimum((centres * cells / full).astype(np.intp), cells - 1)
