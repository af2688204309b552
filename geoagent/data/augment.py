"""Other views of an annotated scene: crops at other scales, flips and quarter turns, other light.

Done before questions are asked, so that "the northernmost" and "in the left half" stay true. What a view cuts off is no
longer annotated; a class of which an object was cut to less than `KEPT_SHARE` stays complete, but that object is left
unjudged where it is still seen.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from geoagent.types import AnnotatedScene, Box, Mask, Pixels, SceneObject

KEPT_SHARE = 0.3
MIN_PIXELS = 6


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """How views are drawn."""

    zoom: tuple[float, float] = (0.5, 1.0)
    """Side of the crop as a share of the shorter side of the image, log-uniform."""
    turn: bool = True
    light: float = 0.2
    """Strength of changes of brightness, contrast and colour; 0: none."""


def random_view(scene: AnnotatedScene, side: int, config: ViewConfig, rng: Generator) -> AnnotatedScene:
    """A square view of ``side`` pixels: a crop somewhere at some scale, turned, in other light."""
    height, width = scene.size
    low, high = np.log(config.zoom)
    crop = max(16, round(min(height, width) * float(np.exp(rng.uniform(low, high)))))
    x, y = int(rng.integers(0, width - crop + 1)), int(rng.integers(0, height - crop + 1))
    view = crop_scene(scene, (x, y, x + crop, y + crop), side)
    if config.turn:
        view = turn_scene(view, int(rng.integers(4)), mirrored=bool(rng.integers(2)))
    return replace(view, image=other_light(view.image, config.light, rng)) if config.light else view


def crop_scene(scene: AnnotatedScene, box: Box, side: int) -> AnnotatedScene:
    """The square ``box`` of a scene at ``side`` x ``side`` pixels."""
    x0, y0, x1, y1 = box
    scale = side / (x1 - x0)
    pixels = _resize(scene.image[y0:y1, x0:x1], side)
    ignore = np.zeros((side, side), dtype=np.bool_)
    if scene.ignore is not None:
        ignore |= _resize_mask(scene.ignore[y0:y1, x0:x1], side)
    objects = []
    for thing in scene.objects:
        seen = _cut(thing, box, side)
        if seen is None:
            continue
        if seen.area < KEPT_SHARE * thing.area * scale**2 and not _is_area(thing, scene):
            bx0, by0, bx1, by1 = seen.box
            ignore[by0:by1, bx0:bx1] |= seen.crop
        else:
            objects.append(seen)
    return replace(
        scene,
        image=pixels,
        objects=tuple(objects),
        ignore=ignore if ignore.any() else None,
        gsd_m=None if scene.gsd_m is None else scene.gsd_m / scale,
        info=None,
    )


def _is_area(thing: SceneObject, scene: AnnotatedScene) -> bool:
    """Stuff and large things may be cut anywhere: what is left of a lake is a lake."""
    return thing.area > 0.02 * scene.image.shape[0] * scene.image.shape[1]


def _cut(thing: SceneObject, box: Box, side: int) -> SceneObject | None:
    """The part of an object inside ``box``, in the pixels of the view; None where nothing worth the name is left."""
    x0, y0, x1, y1 = (
        max(thing.box[0], box[0]),
        max(thing.box[1], box[1]),
        min(thing.box[2], box[2]),
        min(thing.box[3], box[3]),
    )
    if x0 >= x1 or y0 >= y1:
        return None
    scale = side / (box[2] - box[0])
    place = (
        int(np.floor((x0 - box[0]) * scale)),
        int(np.floor((y0 - box[1]) * scale)),
        min(side, int(np.ceil((x1 - box[0]) * scale))),
        min(side, int(np.ceil((y1 - box[1]) * scale))),
    )
    inner = (slice(y0 - thing.box[1], y1 - thing.box[1]), slice(x0 - thing.box[0], x1 - thing.box[0]))
    crop = _warp(thing.crop[inner], (x0, y0), place, box, scale)
    if crop.sum() < MIN_PIXELS:
        return None
    ignore = None if thing.ignore is None else _warp(thing.ignore[inner], (x0, y0), place, box, scale)
    parts = tuple(part for p in thing.parts if (part := _cut(p, box, side)) is not None)
    return replace(thing, box=place, crop=crop, ignore=ignore, parts=parts, attributes=_lasting(thing))


def _lasting(thing: SceneObject) -> dict[str, object]:
    """Attributes that still hold; positions in pixels do not."""
    return {key: value for key, value in thing.attributes.items() if key not in {"centre", "bbox"}}


def _warp(crop: Mask, corner: tuple[int, int], place: Box, box: Box, scale: float) -> Mask:
    """A crop whose top left pixel is ``corner`` of the scene, drawn into ``place`` of the view."""
    width, height = place[2] - place[0], place[3] - place[1]
    # Pixel centres: view x + 0.5 = (scene x + 0.5 − box x0)·scale, both counted from their own corners.
    shift_x = (corner[0] + 0.5 - box[0]) * scale - 0.5 - place[0]
    shift_y = (corner[1] + 0.5 - box[1]) * scale - 0.5 - place[1]
    matrix = np.array([[scale, 0, shift_x], [0, scale, shift_y]])
    warped = cv2.warpAffine(
        crop.astype(np.float32), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped > 0.5


def turn_scene(scene: AnnotatedScene, quarters: int, *, mirrored: bool) -> AnnotatedScene:
    """The scene mirrored left to right, then turned counter-clockwise by quarter turns (square scenes)."""
    if not quarters and not mirrored:
        return scene
    side = scene.image.shape[0]

    def plane(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(array[:, ::-1] if mirrored else array, quarters))

    def turned(thing: SceneObject) -> SceneObject:
        x0, y0, x1, y1 = thing.box
        if mirrored:
            x0, x1 = side - x1, side - x0
        for _ in range(quarters):
            x0, y0, x1, y1 = y0, side - x1, y1, side - x0
        heading = thing.attributes.get("heading_deg")
        attributes = dict(thing.attributes)
        if heading is not None:
            attributes["heading_deg"] = ((-heading if mirrored else heading) - 90 * quarters) % 360
        return replace(
            thing,
            box=(x0, y0, x1, y1),
            crop=plane(thing.crop),
            ignore=None if thing.ignore is None else plane(thing.ignore),
            parts=tuple(turned(part) for part in thing.parts),
            attributes=attributes,
        )

    return replace(
        scene,
        image=plane(scene.image),
        objects=tuple(turned(thing) for thing in scene.objects),
        ignore=None if scene.ignore is None else plane(scene.ignore),
    )


def other_light(image: Pixels, strength: float, rng: Generator) -> Pixels:
    """Brightness, contrast and the balance of colours changed at random."""
    gain = np.exp(rng.normal(0, strength, 1) + rng.normal(0, strength / 3, 3))
    offset = rng.normal(0, strength * 40, 1) + rng.normal(0, strength * 8, 3)
    table = (np.arange(256)[:, None] - 128) * gain + 128 + offset
    lookup = np.clip(table, 0, 255).astype(np.uint8)
    return cv2.LUT(image, lookup[None]).astype(np.uint8, copy=False)


def _resize(image: Pixels, side: int) -> Pixels:
    shrinking = image.shape[0] > side
    how = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (side, side), interpolation=how).astype(np.uint8, copy=False)


def _resize_mask(mask: Mask, side: int) -> Mask:
    scaled = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    grown: Mask = scaled > 0.5
    return grown
