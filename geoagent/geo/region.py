"""A part of an image: a pixel window, a bounding box in some CRS, or a geometry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import shapely
from affine import Affine
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.features import geometry_mask
from shapely.errors import ShapelyError
from shapely.geometry import shape as shape_of
from shapely.geometry.base import BaseGeometry

from geoagent.geo.georef import WGS84, crs_name, parse_crs
from geoagent.types import Box, GeoAgentError, Mask


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A bounding box in the coordinates of ``crs``."""

    west: float
    south: float
    east: float
    north: float
    crs: str = WGS84


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A polygon in the coordinates of ``crs``."""

    geometry: BaseGeometry
    crs: str = WGS84


Region: TypeAlias = Box | Sequence[int] | Bounds | Outline | BaseGeometry | Mapping[str, Any]
"""Pixel window ``(x0, y0, x1, y1)``; `Bounds`; `Outline`, or a geometry (shapely, GeoJSON) in longitude, latitude."""


class Grid(Protocol):
    """What a region is cut out of."""

    height: int
    width: int
    crs: str | None
    transform: tuple[float, float, float, float, float, float] | None


def window_of(region: Region | None, grid: Grid) -> tuple[Box, Mask | None]:
    """The pixel window of a region, cut to the image, and bool [h,w] of what a geometry leaves of it (None: all)."""
    whole = (0, 0, grid.width, grid.height)
    if region is None:
        return whole, None
    if isinstance(region, Bounds):
        box = shapely.box(region.west, region.south, region.east, region.north)
        window, _ = _cut(_on_grid(box, region.crs, grid), grid)
        return window, None
    if isinstance(region, Outline):
        return _cut(_on_grid(region.geometry, region.crs, grid), grid)
    if isinstance(region, BaseGeometry | Mapping):
        return _cut(_on_grid(_geometry(region), WGS84, grid), grid)
    if len(region) != 4:
        raise GeoAgentError("a region is X0,Y0,X1,Y1 in pixels, a bounding box with its CRS, or a geometry")
    x0, y0, x1, y1 = (int(v) for v in region)
    if x1 <= x0 or y1 <= y0 or x0 >= grid.width or y0 >= grid.height or x1 <= 0 or y1 <= 0:
        raise GeoAgentError(
            f"the region {x0},{y0},{x1},{y1} holds nothing of the image, which is {grid.width} x {grid.height} pixels"
        )
    return (max(x0, 0), max(y0, 0), min(x1, grid.width), min(y1, grid.height)), None


def parse_region(text: str, crs: str | None = None) -> Region:
    """A region as written on a command line: ``X0,Y0,X1,Y1``, in pixels, or in ``crs`` when one is given."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise GeoAgentError(f"the region {text[:60]!r} is not X0,Y0,X1,Y1") from error
    if len(numbers) != 4:
        raise GeoAgentError(f"the region {text[:60]!r} has {len(numbers)} numbers instead of X0,Y0,X1,Y1")
    if crs is None:
        return tuple(round(n) for n in numbers)
    west, south, east, north = numbers
    return Bounds(west=west, south=south, east=east, north=north, crs=crs_name(crs) or WGS84)


def _geometry(region: BaseGeometry | Mapping[str, Any]) -> BaseGeometry:
    if isinstance(region, BaseGeometry):
        return region
    if region.get("type") == "FeatureCollection":
        return shapely.union_all([_geometry(feature) for feature in region.get("features", [])])
    try:
        return shape_of(region.get("geometry") if region.get("type") == "Feature" else region)
    except (ShapelyError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise GeoAgentError(
            "the region is not a GeoJSON geometry: give a Polygon, a Feature or its collection"
        ) from error


def _on_grid(geometry: BaseGeometry, crs: str, grid: Grid) -> BaseGeometry:
    """A geometry in pixel coordinates. Straight edges of one CRS are curves in another: they are cut finely first."""
    if grid.crs is None or grid.transform is None:
        raise GeoAgentError("the image has no place on Earth: give the region in pixels")
    if geometry.is_empty:
        raise GeoAgentError("the region is empty")
    west, south, east, north = geometry.bounds
    geometry = shapely.segmentize(geometry, max(east - west, north - south, 1e-12) / 32)
    name = crs_name(crs)
    transformer = Transformer.from_crs(parse_crs(name or WGS84), parse_crs(grid.crs), always_xy=True)
    inverse = ~Affine(*grid.transform)
    centre_x = grid.transform[0] * grid.width / 2 + grid.transform[2]

    def to_pixels(points: Any) -> Any:
        x, y = (np.asarray(v) for v in transformer.transform(points[:, 0], points[:, 1]))
        if parse_crs(grid.crs or WGS84).is_geographic:
            x = x + np.round((centre_x - x) / 360.0) * 360.0
        return np.stack([inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f], axis=1)

    try:
        placed: BaseGeometry = shapely.transform(geometry, to_pixels)
    except ProjError as error:
        raise GeoAgentError("the region cannot be brought to the image's coordinate system") from error
    if not np.isfinite(placed.bounds).all():
        raise GeoAgentError("the region lies outside of what the image's coordinate system covers")
    return placed


def _cut(geometry: BaseGeometry, grid: Grid) -> tuple[Box, Mask | None]:
    left, top, right, bottom = geometry.bounds
    tiny = 1e-6  # a box of exactly the image must not gain a pixel from rounding
    x0, y0 = max(0, int(np.floor(left + tiny))), max(0, int(np.floor(top + tiny)))
    x1, y1 = min(grid.width, int(np.ceil(right - tiny))), min(grid.height, int(np.ceil(bottom - tiny)))
    if x1 <= x0 or y1 <= y0:
        raise GeoAgentError("the region and the image do not overlap: check its coordinates and its CRS")
    outside = geometry_mask([geometry], (y1 - y0, x1 - x0), Affine.translation(x0, y0))
    return (x0, y0, x1, y1), None if not outside.any() else ~outside
