"""Measuring: how large, how long, how many, how far apart; in metres where the image has a place or a scale.

Areas and lengths are geodesic, on the ellipsoid of the image's own datum, whatever its projection. An image without
place and ground size is measured in pixels, with the unit "px": nothing is guessed.
"""

import numpy as np

from geoagent.geo.georef import Floats, has_place, image_to_lonlat, is_measurable, pixel_areas
from geoagent.types import ImageInfo, Mask

_NODES = 17
"""Pixel areas vary so smoothly that this many samples along each side of a mask, joined linearly, are exact to 1e-6."""


def mask_area_m2(mask: Mask, info: ImageInfo, box: tuple[int, int, int, int] | None = None) -> float | None:
    """Ground area of a mask: the sum of the ground areas of its pixels; None without place and ground size.

    Args:
        mask: bool [H,W], or bool [h,w] of the part inside ``box``.
        info: The image.
        box: Where ``mask`` lies in the image, for a crop.
    """
    if not is_measurable(info):
        return None
    if not has_place(info):
        assert info.gsd_m is not None
        return float(np.count_nonzero(mask)) * info.gsd_m**2
    x0, y0 = (box[0], box[1]) if box is not None else (0, 0)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0.0
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    along_y, weight_y = _weights(top, bottom)
    along_x, weight_x = _weights(left, right)
    nodes = pixel_areas(info, (along_x + x0)[None, :], (along_y + y0)[:, None])
    counts = weight_y @ mask[top:bottom, left:right].astype(np.float64) @ weight_x.T
    return float((counts * nodes).sum())


def mask_centre(mask: Mask, info: ImageInfo, box: tuple[int, int, int, int]) -> tuple[float, float]:
    """Middle of the pixels of a crop: longitude and latitude where the image has a place, else x and y in pixels."""
    rows, columns = np.nonzero(mask)
    x, y = float(columns.mean()) + 0.5 + box[0], float(rows.mean()) + 0.5 + box[1]
    if not has_place(info):
        return x, y
    longitude, latitude = image_to_lonlat(info, x, y)
    return float(longitude), float(latitude)


def _weights(start: int, stop: int) -> tuple[Floats, Floats]:
    """Nodes over a run of pixels and, for each, its share of every pixel [nodes, pixels] (linear between)."""
    count = min(_NODES, stop - start + 1)
    nodes = np.linspace(start, stop, max(count, 2))
    place = (np.arange(start, stop) + 0.5 - start) * (len(nodes) - 1) / (stop - start)
    return nodes, np.maximum(0.0, 1.0 - np.abs(place[None, :] - np.arange(len(nodes))[:, None]))
