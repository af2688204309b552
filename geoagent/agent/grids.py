"""Bringing masks and pictures of different windows, dates and sensors onto one grid."""

import math
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geoagent.agent.masks import StoredMask
from geoagent.geo.georef import affine_of, as_transform, has_place, image_to_lonlat, lonlat_to_image
from geoagent.geo.raster import Raster
from geoagent.types import Box, GeoAgentError, ImageInfo, Instance, Mask

MAX_PIXELS = 1 << 27
"""Of a grid that holds two masks."""
_SAME_PIXELS = 1e-3


def on_one_grid(first: StoredMask, second: StoredMask) -> tuple[StoredMask, StoredMask]:
    """Both masks on the grid of the first, large enough to hold both."""
    if first.image_id == second.image_id:
        if first.window == second.window:
            return first, second
        union = _union(first.window, second.window)
        _check_size(union)
        return _within(first, union), _within(second, union)
    if same_grid(first.info, second.info):
        return first, second
    if not (has_place(first.info) and has_place(second.info)):
        raise GeoAgentError(
            "the two masks belong to different images without coordinates: only masks of one image can be related"
        )
    x0, y0, x1, y1 = _footprint(second.info, first.info)
    union = _union((0, 0, first.info.width, first.info.height), (x0, y0, x1, y1))
    _check_size(union)
    left, top = first.window[:2]
    moved = _within(first, (union[0] + left, union[1] + top, union[2] + left, union[3] + top))
    return moved, _warped(second, moved)


def same_grid(first: ImageInfo, second: ImageInfo) -> bool:
    """Whether pixels of the two lie on each other."""
    if first.size != second.size or first.crs != second.crs or not (has_place(first) and has_place(second)):
        return False
    difference = ~affine_of(first) @ affine_of(second)
    return difference.almost_equals(Affine.identity(), _SAME_PIXELS)


@dataclass(frozen=True)
class CommonGrid:
    """Two pictures of a place on one grid."""

    before: Raster
    after: Raster
    on_first: bool
    """Whether it is the grid of the first image."""
    window: Box
    """Where the grid lies in that image, in pixels."""
    remark: str | None = None


def common_grid(first: Raster, second: Raster) -> CommonGrid:
    """Both pictures on the grid of the coarser one, cut to where both are."""
    a, b = first.info, second.info
    whole = (0, 0, a.width, a.height)
    if not (has_place(a) and has_place(b)):
        if a.size != b.size:
            raise GeoAgentError(
                f"the images have no coordinates and differ in size ({a.width} x {a.height}, {b.width} x {b.height}): "
                "they cannot be compared"
            )
        return CommonGrid(first, second, True, whole, "no coordinates: compared pixel by pixel")
    if same_grid(a, b):
        return CommonGrid(first, second, True, whole)
    if (b.gsd_m or 0.0) > (a.gsd_m or 0.0):
        window = _overlap(b, a)
        grid = _cut(second, window)
        return CommonGrid(warp_raster(first, grid.info), grid, False, window, _warping(a, b))
    window = _overlap(a, b)
    grid = _cut(first, window)
    return CommonGrid(grid, warp_raster(second, grid.info), True, window, _warping(a, b))


def _overlap(grid: ImageInfo, other: ImageInfo) -> Box:
    x0, y0, x1, y1 = _footprint(other, grid)
    window = (max(x0, 0), max(y0, 0), min(x1, grid.width), min(y1, grid.height))
    if window[0] >= window[2] or window[1] >= window[3]:
        raise GeoAgentError("the two images do not overlap: compare images of the same place")
    return window


def _warping(a: ImageInfo, b: ImageInfo) -> str:
    coarser = max(a.gsd_m or 0.0, b.gsd_m or 0.0)
    return f"both warped to one grid of {coarser:.3g} m"


def shifted_instances(instances: tuple[Instance, ...], dx: int, dy: int, size: tuple[int, int]) -> list[Instance]:
    """The same objects on a larger grid."""
    return [
        replace(one, box=(one.box[0] + dx, one.box[1] + dy, one.box[2] + dx, one.box[3] + dy), image_size=size)
        for one in instances
    ]


def _within(stored: StoredMask, window: Box) -> StoredMask:
    """A mask on a larger window of its own image."""
    dx, dy = stored.window[0] - window[0], stored.window[1] - window[1]
    width, height = window[2] - window[0], window[3] - window[1]
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[dy : dy + stored.info.height, dx : dx + stored.info.width] = stored.target.mask
    instances = shifted_instances(stored.target.instances, dx, dy, (height, width))
    info = _part(stored.info, (-dx, -dy, width - dx, height - dy))
    placed = replace(stored.target, mask=mask, instances=tuple(instances), coarse=None)
    return replace(stored, target=placed, info=info, window=window)


def _part(info: ImageInfo, window: Box) -> ImageInfo:
    transform = info.transform
    if transform is not None:
        transform = as_transform(Affine(*transform) @ Affine.translation(window[0], window[1]))
    return replace(info, width=window[2] - window[0], height=window[3] - window[1], transform=transform)


def _cut(raster: Raster, window: Box) -> Raster:
    x0, y0, x1, y1 = window
    valid = None if raster.valid is None else raster.valid[y0:y1, x0:x1]
    pixels = np.ascontiguousarray(raster.pixels[y0:y1, x0:x1])
    return Raster(pixels=pixels, valid=valid, info=_part(raster.info, window))


def _footprint(info: ImageInfo, grid: ImageInfo) -> Box:
    """The box around an image, in pixels of another grid."""
    steps = np.linspace(0.0, 1.0, 9)
    columns, rows = (a.ravel() for a in np.meshgrid(steps * info.width, steps * info.height))
    x, y = lonlat_to_image(grid, *image_to_lonlat(info, columns, rows))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GeoAgentError("the two images do not overlap: compare images of the same place")
    tiny = 1e-6
    return (
        math.floor(float(x.min()) + tiny),
        math.floor(float(y.min()) + tiny),
        math.ceil(float(x.max()) - tiny),
        math.ceil(float(y.max()) - tiny),
    )


def _union(first: Box, second: Box) -> Box:
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def _check_size(window: Box) -> None:
    if (window[2] - window[0]) * (window[3] - window[1]) > MAX_PIXELS:
        raise GeoAgentError("the two masks lie too far apart to be related: they are in different places")


def _warped(stored: StoredMask, grid: StoredMask) -> StoredMask:
    """A mask of one image on the grid of another."""
    mask = warp_mask(stored.target.mask, stored.info, grid.info)
    instances = []
    for one in stored.target.instances:
        moved = warp_mask(one.mask, stored.info, grid.info)
        rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
        if rows.size:
            x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
            crop = moved[y0:y1, x0:x1].copy()
            instances.append(replace(one, box=(x0, y0, x1, y1), crop=crop, image_size=grid.info.size))
    target = replace(stored.target, mask=mask, instances=tuple(instances), coarse=None)
    return replace(stored, target=target, info=grid.info, window=grid.window, image_id=grid.image_id)


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


def warp_raster(raster: Raster, grid: ImageInfo) -> Raster:
    """A picture on the grid of another image; averaged where it is much finer."""
    source, target = affine_of(raster.info), affine_of(grid)
    bands = np.zeros((3, *grid.size), dtype=np.uint8)
    finer = (raster.info.gsd_m or 1.0) < 0.75 * (grid.gsd_m or 1.0)
    reproject(
        np.ascontiguousarray(np.moveaxis(raster.pixels, 2, 0)),
        bands,
        src_transform=source,
        src_crs=raster.info.crs,
        dst_transform=target,
        dst_crs=grid.crs,
        resampling=Resampling.average if finer else Resampling.bilinear,
    )
    there = np.ones(raster.info.size, dtype=np.bool_) if raster.valid is None else raster.valid
    valid = warp_mask(there, raster.info, grid)
    if not valid.any():
        raise GeoAgentError("the two images do not overlap: compare images of the same place")
    info = replace(grid, path=None, bands=raster.info.bands, stretch=raster.info.stretch, extra={})
    pixels = np.ascontiguousarray(np.moveaxis(bands, 0, 2))
    return Raster(pixels=pixels, valid=None if valid.all() else valid, info=info)
