"""Two pictures of one place on one grid, read by windows so that they may be of any size."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geoagent.agent.grids import common_part, footprint, part_of, same_grid, warp_mask
from geoagent.geo.georef import affine_of, has_place
from geoagent.geo.raster import Raster
from geoagent.types import Box, GeoAgentError, ImageInfo

if TYPE_CHECKING:
    from geoagent.large.source import Windows  # its package imports torch

_LARGEST_READ = 8192
"""Side of a window of a much finer picture beyond which it is read reduced."""


@dataclass(frozen=True)
class CommonGrid:
    """Two pictures of a place on one grid."""

    before: "Windows"
    after: "Windows"
    on_first: bool
    """Whether it is the grid of the first image."""
    window: Box
    """Where the grid lies in that image, in pixels."""
    remark: str | None = None

    @property
    def info(self) -> ImageInfo:
        """Of the grid."""
        return self.before.info if self.on_first else self.after.info


def common_grid(first: "Windows", second: "Windows") -> CommonGrid:
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
    remark = f"both warped to one grid of {max(a.gsd_m or 0.0, b.gsd_m or 0.0):.3g} m"
    if (b.gsd_m or 0.0) > (a.gsd_m or 0.0):
        window = _overlap(b, a)
        grid = CutWindows(second, window)
        return CommonGrid(WarpedWindows(first, grid.info), grid, False, window, remark)
    window = _overlap(a, b)
    grid = CutWindows(first, window)
    return CommonGrid(grid, WarpedWindows(second, grid.info), True, window, remark)


def _overlap(grid: ImageInfo, other: ImageInfo) -> Box:
    window = common_part(footprint(other, grid), grid)
    if window is None:
        raise GeoAgentError("the two images do not overlap: compare images of the same place")
    return window


class CutWindows:
    """A part of a picture as a picture of its own."""

    def __init__(self, source: "Windows", window: Box) -> None:
        self._source = source
        self._window = window
        self.info = replace(part_of(source.info, window), path=None, extra={**source.info.extra, "window": window})

    def read(self, window: Box | None = None, size: tuple[int, int] | None = None) -> Raster:
        """See `geoagent.large.source.Windows.read`."""
        box = window or (0, 0, self.info.width, self.info.height)
        x, y = self._window[:2]
        raster = self._source.read((box[0] + x, box[1] + y, box[2] + x, box[3] + y), size)
        return replace(raster, info=part_of(self.info, box, size))


class WarpedWindows:
    """A picture on another grid."""

    def __init__(self, source: "Windows", grid: ImageInfo) -> None:
        self._source = source
        known = source.info
        self.info = replace(grid, path=None, bands=known.bands, stretch=known.stretch, extra={})

    def read(self, window: Box | None = None, size: tuple[int, int] | None = None) -> Raster:
        """See `geoagent.large.source.Windows.read`."""
        grid = part_of(self.info, window or (0, 0, self.info.width, self.info.height), size)
        known = self._source.info
        box = common_part(footprint(grid, known), known, margin=2)
        if box is None:
            nothing = np.zeros(grid.size, dtype=np.bool_)
            return Raster(pixels=np.zeros((*grid.size, 3), dtype=np.uint8), valid=nothing, info=grid)
        height, width = box[3] - box[1], box[2] - box[0]
        step = max(1.0, max(height, width) / max(_LARGEST_READ, *grid.size))
        reduced = (max(1, round(height / step)), max(1, round(width / step))) if step > 1 else None
        part = replace(self._source.read(box, reduced), info=part_of(known, box, reduced))
        return warp_raster(part, grid)


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
    info = replace(grid, path=None, bands=raster.info.bands, stretch=raster.info.stretch, extra={})
    pixels = np.ascontiguousarray(np.moveaxis(bands, 0, 2))
    return Raster(pixels=pixels, valid=None if valid.all() else valid, info=info)
