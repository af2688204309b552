"""Bringing masks of different windows, dates and sensors onto one grid."""

import math
from dataclasses import replace

import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geoagent.agent.masks import StoredMask
from geoagent.agent.rows import Rows, mask_of_rows, trimmed
from geoagent.geo.georef import affine_of, as_transform, has_place, image_to_lonlat, lonlat_to_image
from geoagent.types import Box, GeoAgentError, ImageInfo, Instance, Mask

MAX_PIXELS = 1 << 27
"""Of a grid that holds the masks of two images, unless these are large themselves."""
_APART = 8
"""How many times as large as the two it may be then."""
_SAME_PIXELS = 1e-3


def on_one_grid(first: StoredMask, second: StoredMask) -> tuple[StoredMask, StoredMask]:
    """Both masks on the grid of the first, large enough to hold both."""
    if first.image_id == second.image_id:
        if first.window == second.window:
            return first, second
        union = _union(first.window, second.window)
        return _within(first, union), _within(second, union)
    if same_grid(first.info, second.info):
        return first, second
    if not (has_place(first.info) and has_place(second.info)):
        raise GeoAgentError(
            "the two masks belong to different images without coordinates: only masks of one image can be related"
        )
    x0, y0, x1, y1 = footprint(second.info, first.info)
    union = _union((0, 0, first.info.width, first.info.height), (x0, y0, x1, y1))
    if _area(union) > max(MAX_PIXELS, _APART * (_area((x0, y0, x1, y1)) + math.prod(first.info.size))):
        raise GeoAgentError("the two masks lie too far apart to be related: they are in different places")
    left, top = first.window[:2]
    moved = _within(first, (union[0] + left, union[1] + top, union[2] + left, union[3] + top))
    return moved, _warped(second, moved)


def same_grid(first: ImageInfo, second: ImageInfo) -> bool:
    """Whether pixels of the two lie on each other."""
    if first.size != second.size or first.crs != second.crs or not (has_place(first) and has_place(second)):
        return False
    difference = ~affine_of(first) @ affine_of(second)
    return difference.almost_equals(Affine.identity(), _SAME_PIXELS)


def part_of(info: ImageInfo, window: Box, size: tuple[int, int] | None = None) -> ImageInfo:
    """What is known of a window of an image, also where it is read at another ``size`` (height, width)."""
    x0, y0, x1, y1 = window
    height, width = size or (y1 - y0, x1 - x0)
    step_x, step_y = (x1 - x0) / width, (y1 - y0) / height
    transform, gsd = info.transform, info.gsd_m
    if transform is not None:
        transform = as_transform(Affine(*transform) @ Affine.translation(x0, y0) @ Affine.scale(step_x, step_y))
    if gsd is not None:
        gsd *= math.sqrt(step_x * step_y)
    return replace(info, width=width, height=height, transform=transform, gsd_m=gsd)


def footprint(info: ImageInfo, grid: ImageInfo) -> Box:
    """The box around an image, in pixels of another grid."""
    steps = np.linspace(0.0, 1.0, 9)
    columns, rows = (a.ravel() for a in np.meshgrid(steps * info.width, steps * info.height))
    x, y = lonlat_to_image(grid, *image_to_lonlat(info, columns, rows))
    tiny = 1e-6
    return (
        math.floor(float(x.min()) + tiny),
        math.floor(float(y.min()) + tiny),
        math.ceil(float(x.max()) - tiny),
        math.ceil(float(y.max()) - tiny),
    )


def common_part(box: Box, info: ImageInfo, margin: int = 0) -> Box | None:
    """What of a box lies in an image; None for nothing."""
    x0, y0 = max(box[0] - margin, 0), max(box[1] - margin, 0)
    x1, y1 = min(box[2] + margin, info.width), min(box[3] + margin, info.height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def warp_mask(mask: Mask, info: ImageInfo, grid: ImageInfo) -> Mask:
    """A mask on the grid of another image, by nearest pixel."""
    out = np.zeros(grid.size, dtype=np.uint8)
    reproject(
        mask.astype(np.uint8),
        out,
        src_transform=affine_of(info),
        src_crs=info.crs,
        dst_transform=affine_of(grid),
        dst_crs=grid.crs,
        resampling=Resampling.nearest,
    )
    return out.astype(np.bool_)


def _union(first: Box, second: Box) -> Box:
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def _area(window: Box) -> int:
    return (window[2] - window[0]) * (window[3] - window[1])


def _within(stored: StoredMask, window: Box) -> StoredMask:
    """A mask on a larger window of its own image."""
    dx, dy = stored.window[0] - window[0], stored.window[1] - window[1]
    width, height = window[2] - window[0], window[3] - window[1]
    old, size = stored.target.mask, stored.info.size

    def rows(top: int, bottom: int) -> Mask:
        drawn = np.zeros((bottom - top, width), dtype=np.bool_)
        first, last = max(top, dy), min(bottom, dy + size[0])
        if first < last:
            drawn[first - top : last - top, dx : dx + size[1]] = old[first - dy : last - dy]
        return drawn

    instances = tuple(
        replace(
            one, box=(one.box[0] + dx, one.box[1] + dy, one.box[2] + dx, one.box[3] + dy), image_size=(height, width)
        )
        for one in stored.target.instances
    )
    placed = replace(stored.target, mask=mask_of_rows((height, width), rows), instances=instances, coarse=None)
    return replace(stored, target=placed, info=part_of(stored.info, (-dx, -dy, width - dx, height - dy)), window=window)


def _warped(stored: StoredMask, grid: StoredMask) -> StoredMask:
    """A mask of one image on the grid of another."""
    mask = mask_of_rows(grid.info.size, _warped_rows(stored.target.mask, stored.info, grid.info))
    moved = (_warped_object(one, stored.info, grid.info) for one in stored.target.instances)
    target = replace(stored.target, mask=mask, instances=tuple(one for one in moved if one is not None), coarse=None)
    return replace(stored, target=target, info=grid.info, window=grid.window, image_id=grid.image_id)


def _warped_object(one: Instance, info: ImageInfo, grid: ImageInfo) -> Instance | None:
    here = part_of(info, one.box)
    box = common_part(footprint(here, grid), grid)
    if box is None:
        return None
    there = part_of(grid, box)
    crop = mask_of_rows(there.size, _warped_rows(one.crop, here, there))
    return trimmed(replace(one, box=box, crop=crop, image_size=grid.size), crop)


def _warped_rows(mask: Mask, info: ImageInfo, grid: ImageInfo) -> Rows:
    """Rows on another grid, each from no more of the mask than it shows."""

    def rows(top: int, bottom: int) -> Mask:
        there = part_of(grid, (0, top, grid.width, bottom))
        box = common_part(footprint(there, info), info, margin=2)
        if box is None:
            return np.zeros(there.size, dtype=np.bool_)
        return warp_mask(mask[box[1] : box[3], box[0] : box[2]], part_of(info, box), there)

    return rows
