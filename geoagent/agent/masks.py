"""A mask of a conversation: what was found, on which grid, and how it lies on disk."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from geoagent.agent.rows import mask_of_rows, rows_of_objects, steps
from geoagent.geo.mask_file import UNSEEN, IdWriter, MaskFile
from geoagent.geo.opening import reading
from geoagent.types import Box, ImageInfo, Instance, Mask, Prediction, Target

_HEAD = "mask.npz"
_MASK = "mask.tif"


@dataclass(frozen=True, kw_only=True)
class StoredMask:
    """One target with the grid it lies on."""

    image_id: str
    target: Target
    info: ImageInfo
    """Of the window that was looked at, without the path of the file."""
    window: tuple[int, int, int, int]
    """Where that is in the image, in pixels."""
    question: str
    model: str

    @property
    def pieces(self) -> tuple[Instance, ...]:
        """The objects; something without objects (water, a forest) is one."""
        box = self.target.box
        if self.target.instances or box is None:
            return self.target.instances
        mask = self.target.mask
        crop: Mask
        if isinstance(mask, MaskFile):
            crop = replace(mask, window=_within(mask.window, box))
        else:
            crop = mask[box[1] : box[3], box[0] : box[2]]
        return (Instance(id=1, box=box, crop=crop, score=self.target.score, image_size=self.info.size),)

    def with_target(
        self, mask: Mask, instances: Sequence[Instance], *, phrase: str, score: float | None = None
    ) -> "StoredMask":
        """Something else on the same grid."""
        target = Target(
            phrase=phrase,
            score=self.target.score if score is None else score,
            mask=mask,
            instances=tuple(replace(one, id=number) for number, one in enumerate(instances, start=1)),
        )
        return replace(self, target=target)

    def in_image(self, one: Instance) -> Instance:
        """An object with its box in pixels of the whole image."""
        (x, y), (x0, y0, x1, y1) = self.window[:2], one.box
        return replace(one, box=(x0 + x, y0 + y, x1 + x, y1 + y))

    def only(self, number: int) -> "StoredMask":
        """One of its objects."""
        chosen = next(piece for piece in self.pieces if piece.id == number)
        mask = mask_of_rows(self.info.size, rows_of_objects([chosen], self.info.width))
        return self.with_target(mask, [chosen], phrase=f"{self.target.phrase} {number}", score=chosen.score)


def as_prediction(masks: Sequence[StoredMask], pixels: Any = None) -> Prediction:
    """Masks of one grid as an answer, to be written or drawn like one."""
    first = masks[0]
    return Prediction(
        answer="",
        marked_answer="",
        candidates=tuple(mask.target for mask in masks),
        image=first.info,
        instruction=first.question,
        model=first.model,
        threshold=0.0,
        pixels=pixels,
    )


def without_path(info: ImageInfo) -> ImageInfo:
    """What is known of an image, less where it lies on this machine."""
    return replace(info, path=None, extra={})


def save(stored: StoredMask, folder: Path) -> None:
    """Write a mask into an empty folder: one file, and one more for each part of it that is too large to hold."""
    target, info = stored.target, stored.info
    instances = target.instances
    on_disk = [isinstance(one.crop, MaskFile) for one in instances]
    held = [one.crop.ravel() for one, large in zip(instances, on_disk, strict=True) if not large]
    head = {
        "image_id": stored.image_id,
        "window": stored.window,
        "question": stored.question,
        "model": stored.model,
        "phrase": target.phrase,
        "score": target.score,
        "pixels": target.pixel_count,
        "info": {
            "width": info.width,
            "height": info.height,
            "crs": info.crs,
            "transform": info.transform,
            "gsd_m": info.gsd_m,
            "bands": info.bands,
            "stretch": info.stretch,
            "nodata": info.nodata,
        },
    }
    for number, one in enumerate(instances, start=1):
        if isinstance(one.crop, MaskFile):
            _write_file(one.crop, folder / _object_file(number))
    mask = target.mask
    if isinstance(mask, MaskFile):
        _write_file(mask, folder / _MASK)
    with (folder / _HEAD).open("wb") as file:
        np.savez_compressed(
            file,
            head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
            mask=np.packbits(np.zeros(0, np.bool_) if isinstance(mask, MaskFile) else mask),
            crops=np.packbits(np.concatenate(held) if held else np.zeros(0, np.bool_)),
            boxes=np.array([one.box for one in instances], dtype=np.int64).reshape(-1, 4),
            scores=np.array([one.score for one in instances], dtype=np.float64),
            areas=np.array([one.area for one in instances], dtype=np.int64),
            on_disk=np.array(on_disk, dtype=np.bool_),
        )
        file.flush()
        os.fsync(file.fileno())


def load(folder: Path) -> StoredMask:
    """The mask that `save` wrote; what is too large to hold stays there until it is looked at."""
    with np.load(folder / _HEAD, allow_pickle=False) as file:
        head = json.loads(file["head"].tobytes())
        packed, packed_crops = file["mask"], file["crops"]
        boxes, scores = file["boxes"].tolist(), file["scores"].tolist()
        areas, on_disk = file["areas"].tolist(), file["on_disk"].tolist()
    known = head["info"]
    info = ImageInfo(
        width=known["width"],
        height=known["height"],
        crs=known["crs"],
        transform=None if known["transform"] is None else tuple(known["transform"]),
        gsd_m=known["gsd_m"],
        bands=tuple(known["bands"]),
        stretch=None if known["stretch"] is None else tuple(tuple(pair) for pair in known["stretch"]),
        nodata=known["nodata"],
    )
    sizes = [(y1 - y0, x1 - x0) for x0, y0, x1, y1 in boxes]
    lengths = [0 if large else height * width for (height, width), large in zip(sizes, on_disk, strict=True)]
    ends = np.cumsum(lengths, dtype=np.int64)
    crops = np.unpackbits(packed_crops, count=int(ends[-1]) if lengths else 0).astype(np.bool_)
    instances = []
    for n, (box, score, size, end, length) in enumerate(zip(boxes, scores, sizes, ends, lengths, strict=True), start=1):
        crop: Any = crops[end - length : end].reshape(size) if length else None
        if crop is None:
            crop = MaskFile(folder / _object_file(n), (0, 0, size[1], size[0]), count=areas[n - 1])
        instances.append(Instance(id=n, box=tuple(box), crop=crop, score=score, image_size=info.size))
    mask: Any
    if (folder / _MASK).exists():
        mask = MaskFile(folder / _MASK, (0, 0, info.width, info.height), count=head["pixels"])
    else:
        mask = np.unpackbits(packed, count=info.width * info.height).astype(np.bool_).reshape(info.size)
    return StoredMask(
        image_id=head["image_id"],
        target=Target(phrase=head["phrase"], score=head["score"], mask=mask, instances=tuple(instances)),
        info=info,
        window=tuple(head["window"]),
        question=head["question"],
        model=head["model"],
    )


def _object_file(number: int) -> str:
    return f"object-{number}.tif"


def _write_file(mask: MaskFile, path: Path) -> None:
    """A copy of its own: what it comes from may be temporary."""
    height, width = mask.shape
    if (mask.low, mask.high) == (1, UNSEEN - 1) and mask.window == (0, 0, *_sides(mask.path)):
        shutil.copyfile(mask.path, path)
        return
    with IdWriter(path, ImageInfo(width=width, height=height)) as writer:
        for top, bottom in steps(height):
            writer.write(mask[top:bottom].astype(np.uint32))


def _sides(path: Path) -> tuple[int, int]:
    with reading(path.name), rasterio.open(path) as raster:
        return raster.width, raster.height


def _within(window: Box, box: Box) -> Box:
    """A box in pixels of a window, in those that the window is counted in."""
    x, y = window[:2]
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y
