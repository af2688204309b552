"""From chosen objects to a `Target`: masks in memory while they are small, on disk above."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoagent.geo.mask_file import UNSEEN, IdWriter, MaskFile, read_ids
from geoagent.large.compose import ComposedPhrase
from geoagent.types import Box, ImageInfo, Instance, Mask, Target

LARGEST_HELD = 8192
"""Masks of images up to this side are arrays, larger ones files."""
_CROP_HELD = 128
"""In larger images, objects up to this side are held all the same: there is no point in a file for a car."""


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
    crops = [np.zeros((b[3] - b[1], b[2] - b[0]), np.bool_) if is_held(info) or _small(b) else None for b in boxes]
    mask: Mask
    if is_held(info):
        mask = np.zeros(info.size, dtype=np.bool_)
        for top, ids in read_ids(composed.path):
            own = _renumbered(ids, number)
            mask[top : top + len(ids)] = own > 0
            _fill(crops, boxes, own, top)
    else:
        with IdWriter(path, info) as writer:
            for top, ids in read_ids(composed.path):
                own = _renumbered(ids, number)
                _fill(crops, boxes, own, top)
                own[ids == UNSEEN] = UNSEEN
                writer.write(own)
        whole = (0, 0, info.width, info.height)
        mask = MaskFile(path, whole, count=int(things.area[chosen].sum()), keep=keep)  # type: ignore[assignment]
    instances = []
    for n, (index, box, crop) in enumerate(zip(chosen, boxes, crops, strict=True), start=1):
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
        return np.concatenate([ids != UNSEEN for _, ids in read_ids(composed.path)])
    whole = (0, 0, info.width, info.height)
    return MaskFile(composed.path, whole, low=0, count=count, keep=keep)  # type: ignore[return-value]


def _renumbered(ids: NDArray[np.uint32], number: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return number[np.where(ids == UNSEEN, 0, ids)]


def _fill(crops: list[Mask | None], boxes: list[Box], own: NDArray[np.uint32], top: int) -> None:
    """Enter some rows of ids into the crops of the objects that reach into them."""
    bottom = top + len(own)
    for n, (crop, (x0, y0, x1, y1)) in enumerate(zip(crops, boxes, strict=True), start=1):
        if crop is not None and y0 < bottom and y1 > top:
            first, last = max(y0, top), min(y1, bottom)
            crop[first - y0 : last - y0] = own[first - top : last - top, x0:x1] == n


def _box(row: NDArray[np.int64]) -> Box:
    x0, y0, x1, y1 = (int(v) for v in row)
    return x0, y0, x1, y1


def _small(box: Box) -> bool:
    return max(box[2] - box[0], box[3] - box[1]) <= _CROP_HELD
