"""The picture of an answer: each target in its colour over the image."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from geoagent.geo.raster import read_image
from geoagent.geo.style import target_colour
from geoagent.types import Pixels, Prediction

_FILL = 0.38


def draw_overlay(prediction: Prediction) -> Pixels:
    """uint8 [H,W,3]: the image with every target filled and outlined."""
    height, width = prediction.image.size
    picture = picture_of(prediction).astype(np.float32)
    line = max(1, round(max(height, width) / 700))
    for number, target in enumerate(prediction.targets, start=1):
        colour = np.array(target_colour(number), dtype=np.float32)
        picture[target.mask] = (1 - _FILL) * picture[target.mask] + _FILL * colour
        shapes = [(i.box, i.crop) for i in target.instances] or [((0, 0, width, height), target.mask)]
        for (x0, y0, x1, y1), crop in shapes:
            inner = ndimage.binary_erosion(crop, iterations=line, border_value=0)
            picture[y0:y1, x0:x1][crop & ~inner] = colour
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def picture_of(prediction: Prediction) -> Pixels:
    """uint8 [H,W,3]: what was looked at; grey where neither the pixels nor the file are at hand any more."""
    info = prediction.image
    if prediction.pixels is not None:
        return prediction.pixels
    if info.path is None or not Path(info.path).is_file():
        return np.full((*info.size, 3), 128, dtype=np.uint8)
    raster = read_image(
        info.path,
        bands=info.bands or None,
        stretch=info.stretch,
        region=info.extra.get("window"),
        gsd_m=None if info.crs else info.gsd_m,
    )
    return raster.pixels
