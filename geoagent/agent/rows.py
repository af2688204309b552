"""Masks by rows: in memory while they are small, on disk where the image is too large to hold.

What tools do with masks is written as "the rows from here to there of the result", so it costs no more memory for a
mask of 40,000 pixels a side than for one of 8,000.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from geoagent.agent.progress import check_cancelled
from geoagent.geo.mask_file import BLOCK, IdWriter, MaskFile
from geoagent.geo.measure import mask_area_m2
from geoagent.types import Box, ImageInfo, Instance, Mask

Rows = Callable[[int, int], Mask]
"""bool [bottom - top, W] of the rows from top to bottom."""
LARGEST_HELD = 8192
"""Masks up to this side are arrays, as `geoagent.large` has it."""
_OBJECT_HELD = 1024
"""Objects that come from disk are arrays up to this side."""


def mask_of_rows(size: tuple[int, int], rows: Rows, held: int | None = None) -> Mask:
    """bool [H,W], or a `MaskFile` where a side is longer than ``held`` (None: `LARGEST_HELD`)."""
    height, width = size
    if max(size) <= (LARGEST_HELD if held is None else held):
        return rows(0, height)
    keep = tempfile.TemporaryDirectory(prefix="geoagent-mask-")
    path, count = Path(keep.name) / "mask.tif", 0
    with IdWriter(path, ImageInfo(width=width, height=height)) as writer:
        for top, bottom in steps(height):
            strip = rows(top, bottom)
            count += int(np.count_nonzero(strip))
            writer.write(strip.astype(np.uint32))
    return MaskFile(path, (0, 0, width, height), count=count, keep=keep)  # type: ignore[return-value]


def steps(height: int) -> Iterator[tuple[int, int]]:
    """The rows of an image from the top down, some at a time; a call that was taken back ends here."""
    for top in range(0, height, BLOCK):
        check_cancelled()
        yield top, min(height, top + BLOCK)


def area_of_rows(info: ImageInfo, rows: Rows) -> tuple[int, float | None]:
    """Pixels, and m² where the image has a scale."""
    if max(info.size) <= LARGEST_HELD:
        mask = rows(0, info.height)
        return int(np.count_nonzero(mask)), mask_area_m2(mask, info)
    pixels, metres = 0, 0.0
    for top, bottom in steps(info.height):
        strip = rows(top, bottom)
        pixels += int(np.count_nonzero(strip))
        area = mask_area_m2(strip, info, (0, top, info.width, bottom))
        if area is None:
            metres = np.nan
        else:
            metres += area
    return pixels, None if np.isnan(metres) else metres


def rows_of_objects(objects: Sequence[Instance], width: int) -> Rows:
    """Everything that objects cover."""
    boxes = np.array([one.box for one in objects], dtype=np.int64).reshape(-1, 4)

    def rows(top: int, bottom: int) -> Mask:
        drawn = np.zeros((bottom - top, width), dtype=np.bool_)
        for number in np.flatnonzero((boxes[:, 1] < bottom) & (boxes[:, 3] > top)):
            one = objects[int(number)]
            x0, y0, x1, y1 = one.box
            first, last = max(y0, top), min(y1, bottom)
            drawn[first - top : last - top, x0:x1] |= one.crop[first - y0 : last - y0]
        return drawn

    return rows


class Parts:
    """Windows of a mask. Of one on disk a band of rows is kept: who goes from the top down reads each row once."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._top, self._band = 0, np.zeros((0, 0), dtype=np.bool_)

    def __call__(self, box: Box) -> Mask:
        """bool [h,w]."""
        x0, y0, x1, y1 = box
        if not isinstance(self._mask, MaskFile) or y1 - y0 > BLOCK:
            return self._mask[y0:y1, x0:x1]
        if not self._top <= y0 < y1 <= self._top + len(self._band):
            check_cancelled()
            self._top, self._band = y0, self._mask[y0 : y0 + 2 * BLOCK]
        return self._band[y0 - self._top : y1 - self._top, x0:x1]

    def overlap(self, one: Instance) -> int:
        """How many pixels of an object lie on the mask."""
        return sum(int(np.count_nonzero(self(box) & crop)) for box, crop in bands(one))

    def touches(self, one: Instance) -> bool:
        """Whether an object lies on the mask or beside it, corners included."""
        height, width = self._mask.shape
        for (x0, y0, x1, y1), crop in bands(one):
            left, top = max(x0 - 1, 0), max(y0 - 1, 0)
            about = self((left, top, min(x1 + 1, width), min(y1 + 1, height)))
            near = ndimage.binary_dilation(about, np.ones((3, 3), dtype=np.bool_))
            if (near[y0 - top : y1 - top, x0 - left : x1 - left] & crop).any():
                return True
        return False

    def cut(self, one: Instance) -> Instance | None:
        """What of an object lies on the mask."""
        x0, y0, x1, y1 = one.box

        def rows(top: int, bottom: int) -> Mask:
            return one.crop[top:bottom] & self((x0, y0 + top, x1, y0 + bottom))

        held = _OBJECT_HELD if isinstance(one.crop, MaskFile) else None
        return trimmed(one, mask_of_rows((y1 - y0, x1 - x0), rows, held))


def bands(one: Instance) -> Iterator[tuple[Box, Mask]]:
    """An object with its box, some rows at a time where it is on disk."""
    if not isinstance(one.crop, MaskFile):
        yield one.box, one.crop
        return
    x, y, right, _ = one.box
    for top, bottom in steps(one.crop.shape[0]):
        yield (x, y + top, right, y + bottom), one.crop[top:bottom]


def trimmed(one: Instance, crop: Mask) -> Instance | None:
    """An object with another crop over its box, in the smallest box; None where nothing is left."""
    rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
    if not rows.size:
        return None
    x, y = one.box[:2]
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    box = (x + x0, y + y0, x + x1, y + y1)
    small: Mask
    if isinstance(crop, MaskFile):
        small = MaskFile(crop.path, (x0, y0, x1, y1), count=crop.count, keep=crop.keep)
    else:
        small = crop[y0:y1, x0:x1].copy()
    return Instance(id=one.id, box=box, crop=small, score=one.score, image_size=one.image_size)


def from_the_top(objects: Sequence[Instance]) -> list[int]:
    """Places of objects in the order in which a band of rows meets them."""
    return sorted(range(len(objects)), key=lambda place: objects[place].box[1])
