"""The picture of an answer: each target in its colour over the image."""

from math import ceil
from pathlib import Path

import numpy as np
from scipy import ndimage

from geoagent.geo.raster import Scene
from geoagent.geo.style import target_colour
from geoagent.types import ImageInfo, Mask, Pixels, Prediction, Target

_FILL = 0.38
_LARGEST_WHOLE = 8192
"""Pictures of images up to this side are drawn pixel by pixel …"""
_REDUCED_SIDE = 4096
"""… and those of larger ones at most this large."""


def draw_overlay(prediction: Prediction) -> Pixels:
    """uint8 [H,W,3]: the image with every target filled and outlined; very large images are reduced."""
    picture = picture_of(prediction).astype(np.float32)
    height, width = picture.shape[:2]
    step = reduction(prediction.image)
    line = max(1, round(max(height, width) / 700))
    for number, target in enumerate(prediction.targets, start=1):
        colour = np.array(target_colour(number), dtype=np.float32)
        mask = target.mask[::step, ::step]
        picture[mask] = (1 - _FILL) * picture[mask] + _FILL * colour
        for place, crop in _reduced_objects(target, step) or [((0, 0), mask)]:
            x, y = place
            inner = ndimage.binary_erosion(crop, iterations=line, border_value=0)
            picture[y : y + crop.shape[0], x : x + crop.shape[1]][crop & ~inner] = colour
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def reduction(info: ImageInfo) -> int:
    """Pixels of the image for one of its picture: 1 but for very large images."""
    longest = max(info.size)
    return 1 if longest <= _LARGEST_WHOLE else ceil(longest / _REDUCED_SIDE)


def _reduced_objects(target: Target, step: int) -> list[tuple[tuple[int, int], Mask]]:
    """The corner and the mask of each object, in pixels of the picture; those too small for it are left out."""
    found = []
    for instance in target.instances:
        left, top = instance.box[:2]
        crop = instance.crop[-top % step :: step, -left % step :: step]
        if crop.size:
            found.append(((-(-left // step), -(-top // step)), crop))
    return found


def picture_of(prediction: Prediction) -> Pixels:
    """uint8 [H,W,3]: what was looked at, reduced where the image is very large.

    Grey where neither the pixels nor the file are at hand any more.
    """
    info = prediction.image
    step = reduction(info)
    size = -(-info.height // step), -(-info.width // step)
    if prediction.pixels is not None:
        return prediction.pixels[::step, ::step]
    if info.path is None or not Path(info.path).is_file():
        return np.full((*size, 3), 128, dtype=np.uint8)
    with Scene(
        info.path,
        bands=info.bands or None,
        stretch=info.stretch,
        region=info.extra.get("window"),
        gsd_m=None if info.crs else info.gsd_m,
    ) as scene:
        return scene.read(size=None if step == 1 else size).pixels
