"""Real objects in rendered scenes: cut-outs pasted where such a thing may be."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geoagent.types import AnnotatedScene, Box, Mask, Pixels, SceneObject, check_mask

_GROUNDS: Final[Mapping[str, tuple[str, ...]]] = {
    "airplane": ("apron", "runway", "paved area", "bare land"),
    "helicopter": ("apron", "helipad", "paved area", "bare land", "grass"),
    "ship": ("sea", "river", "lake", "water"),
    "car": ("road", "parking lot", "paved area", "unpaved road"),
    "bus": ("road", "parking lot", "paved area"),
    "truck": ("road", "parking lot", "paved area", "unpaved road", "bare land"),
    "storage tank": ("bare land", "paved area", "grass"),
    "building": ("grass", "bare land"),
    "swimming pool": ("grass", "bare land", "paved area"),
    "tree": ("grass", "bare land", "vegetation", "farmland"),
    "palm tree": ("grass", "bare land", "beach", "vegetation"),
    "wind turbine": ("grass", "farmland", "bare land"),
}
_ANYWHERE: Final = ("grass", "bare land", "paved area", "farmland", "apron")
_USUAL_LENGTH_M: Final[Mapping[str, float]] = {
    "airplane": 38.0, "helicopter": 14.0, "ship": 40.0, "car": 4.5, "bus": 12.0, "truck": 10.0, "storage tank": 22.0,
    "building": 18.0, "swimming pool": 10.0, "tree": 7.0, "palm tree": 6.0, "tennis court": 34.0, "wind turbine": 80.0,
}  # fmt: skip
_ATTEMPTS: Final = 24
_MIN_PIXELS: Final = 16


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A real object cut out of its image."""

    pixels: Pixels
    """uint8 [h,w,3]."""
    mask: Mask
    """bool [h,w]."""
    class_name: str
    gsd_m: float | None = None
    """Metres a pixel of the image it comes from; None: it is brought to the usual size of its class."""

    def __post_init__(self) -> None:
        check_mask(self.mask, "Cutout.mask")
        if self.pixels.shape != (*self.mask.shape, 3):
            raise ValueError(f"Cutout.pixels {self.pixels.shape} is not the size of its mask {self.mask.shape}")


def _turned(cutout: Cutout, factor: float, angle: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The object scaled and turned: float32 [h,w,3] colours and float32 [h,w] cover, 0 to 1."""
    height, width = cutout.mask.shape
    cos, sin = math.cos(angle) * factor, math.sin(angle) * factor
    out_width = math.ceil(abs(width * cos) + abs(height * sin)) + 4
    out_height = math.ceil(abs(width * sin) + abs(height * cos)) + 4
    matrix = np.array(
        (
            (cos, -sin, out_width / 2 - cos * width / 2 + sin * height / 2),
            (sin, cos, out_height / 2 - sin * width / 2 - cos * height / 2),
        )
    )
    pixels, cover = cutout.pixels.astype(np.float32), cutout.mask.astype(np.float32)
    if factor < 0.7:  # without it, shrinking would skip pixels
        blur = 0.45 / factor
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), dtype=np.float32)
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), blur), dtype=np.float32)
    size = (out_width, out_height)
    colours = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(cover, matrix, size, flags=cv2.INTER_LINEAR)
    return colours.astype(np.float32), np.clip(alpha, 0, 1).astype(np.float32)


def _ground(scene: AnnotatedScene, class_name: str) -> Mask:
    names = _GROUNDS.get(class_name, _ANYWHERE)
    ground = scene.union([thing for thing in scene.objects if thing.class_name in names])
    busy = scene.union([thing for thing in scene.objects if thing.class_name in _GROUNDS])
    return ground & ~busy


def _without(thing: SceneObject, cover: Mask, place: Box) -> SceneObject | None:
    """``thing`` where ``cover`` (bool over ``place``) does not hide it; None when nothing is left."""
    x0, y0, x1, y1 = (
        max(thing.box[0], place[0]),
        max(thing.box[1], place[1]),
        min(thing.box[2], place[2]),
        min(thing.box[3], place[3]),
    )
    if x1 <= x0 or y1 <= y0:
        return thing
    crop = thing.crop.copy()
    crop[y0 - thing.box[1] : y1 - thing.box[1], x0 - thing.box[0] : x1 - thing.box[0]] &= ~cover[
        y0 - place[1] : y1 - place[1], x0 - place[0] : x1 - place[0]
    ]
    if int(crop.sum()) < 8:
        return None
    rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    tight = (thing.box[0] + left, thing.box[1] + top, thing.box[0] + right, thing.box[1] + bottom)
    parts = tuple(kept for part in thing.parts if (kept := _without(part, cover, place)) is not None)
    ignore = None if thing.ignore is None else thing.ignore[top:bottom, left:right]
    return replace(thing, box=tight, crop=crop[top:bottom, left:right], parts=parts, ignore=ignore)


def _find_place(rng: Generator, ground: Mask, alpha: NDArray[np.float32]) -> Box | None:
    """A random place where at least nine tenths of the object lie on its ground."""
    height, width = alpha.shape
    rows, columns = np.nonzero(ground)
    solid = alpha >= 0.5
    if not rows.size or height >= ground.shape[0] or width >= ground.shape[1]:
        return None
    for _ in range(_ATTEMPTS):
        spot = int(rng.integers(rows.size))
        x0 = int(np.clip(columns[spot] - width // 2, 0, ground.shape[1] - width))
        y0 = int(np.clip(rows[spot] - height // 2, 0, ground.shape[0] - height))
        window = ground[y0 : y0 + height, x0 : x0 + width]
        if float((window & solid).sum()) >= 0.9 * float(solid.sum()):
            return x0, y0, x0 + width, y0 + height
    return None


def paste_objects(scene: AnnotatedScene, cutouts: Sequence[Cutout], seed: int) -> AnnotatedScene:
    """Paste real objects into a rendered scene, each where such a thing may be.

    Objects that find no place are left out. What they hide is taken out of the other objects' masks.

    Args:
        scene: a rendered scene with a known ground size of its pixels.
        cutouts: what to paste, in this order.
        seed: decides place and direction.

    Returns:
        A new scene; the given one stays as it is.
    """
    rng = np.random.default_rng([seed, 577])
    image = scene.image.copy()
    objects = list(scene.objects)
    gsd = scene.gsd_m or 0.5
    for cutout in cutouts:
        length = max(cutout.mask.shape)
        source_gsd = cutout.gsd_m or _USUAL_LENGTH_M.get(cutout.class_name, 15.0) * rng.uniform(0.8, 1.25) / length
        angle = float(rng.uniform(0, 2 * math.pi))
        colours, alpha = _turned(cutout, source_gsd / gsd, angle)
        solid = alpha >= 0.5
        if int(solid.sum()) < _MIN_PIXELS:
            continue
        place = _find_place(rng, _ground(replace(scene, objects=tuple(objects)), cutout.class_name), alpha)
        if place is None:
            continue
        x0, y0, x1, y1 = place
        window = image[y0:y1, x0:x1].astype(np.float32)
        soft = cv2.GaussianBlur(alpha, (0, 0), 0.6)[..., None]
        image[y0:y1, x0:x1] = np.clip(np.rint(window * (1 - soft) + colours * soft), 0, 255).astype(np.uint8)
        objects = [kept for thing in objects if (kept := _without(thing, solid, place)) is not None]
        objects.append(
            SceneObject(
                class_name=cutout.class_name,
                box=place,
                crop=solid,
                attributes={"pasted": True, "area_m2": round(float(solid.sum()) * gsd**2, 1)},
            )
        )
    return replace(scene, id=f"{scene.id}-pasted{seed}", image=image, objects=tuple(objects))
