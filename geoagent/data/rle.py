"""Masks as COCO stores them: run lengths (lists or compressed strings) and polygons.

Own code rather than pycocotools because data sets are untrusted input: a run that leaves the image or a broken string
is an error here, never a read outside a buffer. Everything is vectorised; the tests hold strings that pycocotools
wrote.

COCO counts runs down the columns, beginning with background. A compressed count is a little-endian number of five
bits a character, offset by 48, sign-extended; from the fourth count on it holds the difference to the count two
before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoagent.types import Box, GeoAgentError, Mask

Segmentation: TypeAlias = Mapping[str, Any] | Sequence[Any]
"""A COCO ``segmentation``: an RLE, a list of polygons, one polygon, or a list that holds one RLE."""

_FIRST_CHARACTER = 48
_MAX_PIXELS = 1 << 31  # a broken or hostile size must not ask for all memory
_MAX_CHARACTERS = 13  # of one count: 64 bits in groups of five


def encode(mask: Mask) -> dict[str, Any]:
    """Compressed RLE ``{"size": [H, W], "counts": str}`` of a mask, byte for byte what pycocotools writes."""
    return {"size": [int(side) for side in mask.shape], "counts": _compress(run_lengths(mask))}


def run_lengths(mask: Mask) -> NDArray[np.int64]:
    """Lengths of the runs down the columns, the first one background (0 where the mask begins with the object)."""
    flat = np.asarray(mask, dtype=np.bool_).ravel(order="F")
    if not flat.size:
        return np.zeros(1, dtype=np.int64)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    runs = np.diff(edges)
    return np.concatenate([[0], runs]) if flat[0] else runs


def decode(rle: Mapping[str, Any]) -> Mask:
    """bool [H,W] of an RLE with a list of counts or a compressed string (text or bytes)."""
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise GeoAgentError('an RLE mask needs "size": [height, width] and "counts"') from error
    if height < 0 or width < 0 or height * width > _MAX_PIXELS:
        raise GeoAgentError(f"an RLE mask cannot be {width} x {height} pixels")
    runs = _expand(counts) if isinstance(counts, str | bytes) else _checked_counts(counts)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise GeoAgentError(f"the runs of an RLE mask cover {int(runs.sum())} pixels, its size is {width} x {height}")
    inside = np.arange(runs.size) % 2 == 1
    return np.repeat(inside, runs).reshape((height, width), order="F")


def polygons_to_mask(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """bool [H,W] of the union of polygons ``[x0, y0, x1, y1, …]``: pixels whose centre lies inside.

    An object too thin to hold any pixel centre takes the pixels it touches, so that nothing annotated vanishes.
    """
    crop, (x0, y0, x1, y1) = polygons_to_crop(polygons, size)
    mask = np.zeros(size, dtype=np.bool_)
    mask[y0:y1, x0:x1] = crop
    return mask


def polygons_to_crop(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> tuple[Mask, Box]:
    """The same, only inside the smallest pixel box around the polygons; the box is empty outside the image."""
    rings = [_ring(polygon) for polygon in polygons]
    if not rings:
        raise GeoAgentError("a polygon segmentation is empty")
    points = np.concatenate(rings)
    height, width = size
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, [width, height]).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0)), 0, [width, height]).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0), dtype=np.bool_), (x0, y0, x0, y0)
    shape = (y1 - y0, x1 - x0)
    crop = np.asarray(np.logical_or.reduce([_fill(ring - (x0, y0), shape) for ring in rings]), dtype=np.bool_)
    if not crop.any():
        shapes = [{"type": "Polygon", "coordinates": [(ring - (x0, y0)).tolist()]} for ring in rings]
        crop = rasterize(shapes, out_shape=shape, dtype="uint8", all_touched=True).astype(np.bool_)
    return crop, (x0, y0, x1, y1)


def segmentation_to_mask(segmentation: Segmentation, size: tuple[int, int]) -> Mask:
    """bool [H,W] of anything found under ``segmentation`` in the wild; RLE sizes must equal ``size``."""
    mask = decode_any_size(segmentation, size)
    if mask.shape != size:
        raise GeoAgentError(
            f"the RLE mask is {mask.shape[1]} x {mask.shape[0]} pixels, its image {size[1]} x {size[0]}"
        )
    return mask


def decode_any_size(segmentation: Segmentation, size: tuple[int, int]) -> Mask:
    """The same, but an RLE keeps its own size (some sets hold images that are a pixel larger than their masks)."""
    if isinstance(segmentation, Mapping):
        return decode(segmentation)
    if not segmentation:
        return np.zeros(size, dtype=np.bool_)
    if isinstance(segmentation[0], Mapping):
        parts = [decode(part) for part in segmentation]
        if any(part.shape != parts[0].shape for part in parts):
            raise GeoAgentError("the RLE masks of one object have different sizes")
        return np.asarray(np.logical_or.reduce(parts), dtype=np.bool_)
    return polygons_to_mask(as_polygons(segmentation), size)


def as_polygons(segmentation: Sequence[Any]) -> list[Sequence[float]]:
    """Flat polygons from a flat list, a list of flat lists, or lists of ``[x, y]`` pairs."""
    if not segmentation or isinstance(segmentation[0], int | float):
        return [segmentation]
    if all(_is_point(part) for part in segmentation):
        return [[float(value) for point in segmentation for value in point]]
    return [polygon for part in segmentation for polygon in as_polygons(part)]


def _is_point(part: object) -> bool:
    return isinstance(part, Sequence) and len(part) == 2 and all(isinstance(value, int | float) for value in part)


def _ring(polygon: Sequence[float]) -> NDArray[np.float64]:
    """[P,2] corners, closed, at least four of them (GDAL wants a proper ring even for a line)."""
    try:
        values = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise GeoAgentError("a polygon must be a flat list of numbers x0, y0, x1, y1, …") from error
    if values.ndim != 1 or values.size < 6 or values.size % 2 or not np.isfinite(values).all():
        raise GeoAgentError(f"a polygon needs at least three points as x0, y0, x1, y1, …; got {values.size} numbers")
    corners = values.reshape(-1, 2)
    return corners if np.array_equal(corners[0], corners[-1]) else np.concatenate([corners, corners[:1]])


def _fill(ring: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    """Bool [h,w]: pixels whose centre a closed ring surrounds (even-odd).

    What `rasterize` would give; it takes 0.4 ms a call before it fills anything, and images hold hundreds of objects.
    """
    height, width = shape
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    rows = np.arange(height) + 0.5
    edge, row = np.nonzero((np.minimum(y0, y1)[:, None] <= rows) & (rows < np.maximum(y0, y1)[:, None]))
    crossing = x0[edge] + (rows[row] - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    first = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    changes = np.bincount(row * (width + 1) + first, minlength=height * (width + 1)).reshape(height, width + 1)
    return np.asarray(np.cumsum(changes[:, :width], axis=1) % 2 == 1, dtype=np.bool_)


def _checked_counts(counts: Sequence[int]) -> NDArray[np.int64]:
    try:
        runs = np.asarray(counts, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise GeoAgentError("the counts of an RLE mask must be whole numbers") from error
    if runs.ndim != 1:
        raise GeoAgentError("the counts of an RLE mask must be one flat list")
    return runs


def _expand(counts: str | bytes) -> NDArray[np.int64]:
    try:
        text = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError as error:
        raise GeoAgentError("the counts of a compressed RLE mask hold characters that COCO never writes") from error
    digits = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - _FIRST_CHARACTER
    if not digits.size:
        return np.zeros(0, dtype=np.int64)
    if ((digits < 0) | (digits > 63)).any() or digits[-1] & 0x20:
        raise GeoAgentError("the counts of a compressed RLE mask are cut off or hold characters that COCO never writes")
    ends = np.flatnonzero(~digits & 0x20)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MAX_CHARACTERS - 1:
        raise GeoAgentError("a count of a compressed RLE mask is too long to be a number of pixels")
    place = np.arange(digits.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((digits & 0x1F) << (5 * place), starts)
    negative = (digits[ends] & 0x10) != 0
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    runs = values.copy()
    # From the fourth count on: difference to the count two before, within the odd and the even runs.
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs


def _compress(runs: NDArray[np.int64]) -> str:
    values = runs.copy()
    values[3:] = runs[3:] - runs[1:-2]
    characters: list[NDArray[np.int64]] = []
    open_ = np.ones(values.shape, dtype=np.bool_)
    while open_.any():
        digit = values & 0x1F
        values = values >> 5
        more = np.where(digit & 0x10, values != -1, values != 0)
        column = np.where(open_, (digit | np.where(more, 0x20, 0)) + _FIRST_CHARACTER, 0)
        characters.append(column)
        open_ &= more
    table = np.stack(characters, axis=1).astype(np.uint8)
    return table[table != 0].tobytes().decode("ascii")
