"""From chosen objects to a `Target`: masks in memory while they are small, on disk above."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoagent.geo.mask_file import UNSEEN, IdWriter, MaskFile, read_ids
from geoagent.large.compose import ComposedPhrase
from geoagent.types import Box, ImageInfo, Instance, Mask, Target

LARGEST_HELD = 8192
"""Masks of images up to this side are arrays, larger ones files."""
_CROP_HELD = 128
"""In larger images, objects up to this side are held all the same: there is no point in a file for a car …"""
_CROPS_HELD = 32 << 20
"""… as long as all of them together have no more pixels than this."""


def is_held(info: ImageInfo) -> bool:
    """Whether masks of this size are kept in memory."""
    return max(info.size) <= LARGEST_HELD


def finish(
    phrase: str,
    score: float,
    composed: ComposedPhrase,
    chosen: NDArray[np.intp],
    info: ImageInfo,
    path: Path,
    keep: object,
) -> Target:
    """The target of a phrase.

    Args:
        phrase: What the answer calls it.
        score: Of the target.
        composed: Where all objects of its class are.
        chosen: Which of them are meant.
        info: The image.
        path: Raster to write for an image too large to hold: the numbers of the target's objects.
        keep: What has to live as long as that raster.
    """
    things = composed.things
    final = np.zeros(len(things) + 1, dtype=np.uint32)
    final[chosen + 1] = np.arange(1, len(chosen) + 1)
    number = final[things.number]
    boxes = [_box(row) for row in things.boxes[chosen]]
    crops = _Crops(boxes, None if is_held(info) else _CROPS_HELD)
    mask: Mask
    if is_held(info):
        mask = np.zeros(info.size, dtype=np.bool_)
        for left, top, ids in read_ids(composed.path):
            own = _renumbered(ids, number)
            mask[top : top + len(ids), left : left + ids.shape[1]] = own > 0
            crops.enter(own, left, top)
    else:
        with IdWriter(path, info) as writer:
            for left, top, ids in read_ids(composed.path):
                own = _renumbered(ids, number)
                crops.enter(own, left, top)
                own[ids == UNSEEN] = UNSEEN
                writer.put(own)
        whole = (0, 0, info.width, info.height)
        mask = MaskFile(path, whole, count=int(things.area[chosen].sum()), keep=keep)  # type: ignore[assignment]
    instances = []
    for n, (index, box, crop) in enumerate(zip(chosen, boxes, crops.held, strict=True), start=1):
        stored = MaskFile(path, box, low=n, high=n, count=int(things.area[index]), keep=keep) if crop is None else crop
        # A MaskFile answers to what is asked of an array, without being one.
        instances.append(
            Instance(id=n, box=box, crop=stored, score=float(things.scores[index]), image_size=info.size)  # type: ignore[arg-type]
        )
    return Target(phrase=phrase, score=score, mask=mask, instances=tuple(instances))


def looked_at(composed: ComposedPhrase, count: int, info: ImageInfo, keep: object) -> Mask | None:
    """The pixels that hold a picture and were looked at; None: all of them."""
    if count == info.width * info.height:
        return None
    if is_held(info):
        looked = np.zeros(info.size, dtype=np.bool_)
        for left, top, ids in read_ids(composed.path):
            looked[top : top + len(ids), left : left + ids.shape[1]] = ids != UNSEEN
        return looked
    whole = (0, 0, info.width, info.height)
    return MaskFile(composed.path, whole, low=0, count=count, keep=keep)  # type: ignore[return-value]


def _renumbered(ids: NDArray[np.uint32], number: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return number[np.where(ids == UNSEEN, 0, ids)]


class _Crops:
    """The masks of objects, filled while the raster that holds them goes by.

    Args:
        boxes: Of each object.
        limit: Pixels that all of them may have together; None: they are held whatever their size.
    """

    def __init__(self, boxes: Sequence[Box], limit: int | None) -> None:
        self.boxes = boxes
        self.held: list[Mask | None] = []
        """None: too large, or too many; they stay on disk."""
        left = limit
        for x0, y0, x1, y1 in boxes:
            pixels = (x1 - x0) * (y1 - y0)
            fits = left is None or (max(x1 - x0, y1 - y0) <= _CROP_HELD and pixels <= left)
            self.held.append(np.zeros((y1 - y0, x1 - x0), np.bool_) if fits else None)
            if left is not None and fits:
                left -= pixels

    def enter(self, own: NDArray[np.uint32], left: int, top: int) -> None:
        """Enter a piece of the raster, numbers of objects [h,w] at a place of the image."""
        right, bottom = left + own.shape[1], top + len(own)
        for n in np.unique(own).tolist():
            crop = self.held[n - 1] if n else None
            if crop is None:
                continue
            x0, y0, x1, y1 = self.boxes[n - 1]
            a, b, c, d = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
            crop[b - y0 : d - y0, a - x0 : c - x0] = own[b - top : d - top, a - left : c - left] == n


def _box(row: NDArray[np.int64]) -> Box:
    x0, y0, x1, y1 = (int(v) for v in row)
    return x0, y0, x1, y1
