"""A mask of a conversation: what was found, on which grid, and how it lies on disk."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geoagent.types import ImageInfo, Instance, Mask, Prediction, Target


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
        crop = self.target.mask[box[1] : box[3], box[0] : box[2]]
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
        return self.with_target(chosen.mask, [chosen], phrase=f"{self.target.phrase} {number}", score=chosen.score)


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


def encode(stored: StoredMask) -> bytes:
    """The bytes of a mask file."""
    target, info = stored.target, stored.info
    head = {
        "image_id": stored.image_id,
        "window": stored.window,
        "question": stored.question,
        "model": stored.model,
        "phrase": target.phrase,
        "score": target.score,
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
    instances = target.instances
    crops = np.concatenate([one.crop.ravel() for one in instances]) if instances else np.zeros(0, np.bool_)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
        mask=np.packbits(target.mask),
        crops=np.packbits(crops),
        boxes=np.array([one.box for one in instances], dtype=np.int64).reshape(-1, 4),
        scores=np.array([one.score for one in instances], dtype=np.float64),
    )
    return buffer.getvalue()


def decode(data: bytes) -> StoredMask:
    """A mask from the bytes of its file."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        head = json.loads(file["head"].tobytes())
        packed, packed_crops = file["mask"], file["crops"]
        boxes, scores = file["boxes"].tolist(), file["scores"].tolist()
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
    ends = np.cumsum([height * width for height, width in sizes], dtype=np.int64)
    crops = np.unpackbits(packed_crops, count=int(ends[-1]) if sizes else 0).astype(np.bool_)
    pieces = np.split(crops, ends[:-1]) if sizes else []
    instances = tuple(
        Instance(id=n, box=tuple(box), crop=piece.reshape(size), score=score, image_size=info.size)
        for n, (box, piece, size, score) in enumerate(zip(boxes, pieces, sizes, scores, strict=True), start=1)
    )
    mask = np.unpackbits(packed, count=info.width * info.height).astype(np.bool_).reshape(info.size)
    return StoredMask(
        image_id=head["image_id"],
        target=Target(phrase=head["phrase"], score=head["score"], mask=mask, instances=instances),
        info=info,
        window=tuple(head["window"]),
        question=head["question"],
        model=head["model"],
    )
