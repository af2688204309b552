"""From masks to polygons, in pixel coordinates of the image.

The exact outline runs along pixel edges: a staircase whose perimeter is up to 41 % too long. The drawn outline stays
within half a pixel of it, has straight sides where the object has, and the same area.
"""

from collections.abc import Iterable

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from geoagent.types import Mask

_TOLERANCES = (0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
_CORNER = 0.7072
"""Half the diagonal of a pixel: how far a step's outer corner may stick out."""
_SAME_AREA = 0.004
_SCALABLE = 0.15
"""Small things lose area where their corners are cut; up to this share they are scaled back."""


def exact_outline(mask: Mask, left: int = 0, top: int = 0) -> MultiPolygon:
    """The edges of the pixels of a mask, holes included; ``left`` and ``top`` place a crop in its image."""
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=Affine.translation(left, top))
    return MultiPolygon([shape(polygon) for polygon, _ in found])


def outline(mask: Mask, left: int = 0, top: int = 0) -> MultiPolygon:
    """The outline to draw, to store and to measure perimeters along."""
    polygons: list[Polygon] = []
    for polygon in exact_outline(mask, left, top).geoms:
        polygons.extend(_polygons(smooth(polygon)))
    return MultiPolygon(polygons)


def smooth(polygon: Polygon) -> BaseGeometry:
    """A polygon on pixel edges without its staircase, as simple as half a pixel allows and of the same area."""
    middle = _valid(Polygon(_between_steps(polygon.exterior), [_between_steps(ring) for ring in polygon.interiors]))
    corners = shapely.points(shapely.get_coordinates(polygon))
    for tolerance in _TOLERANCES:
        candidate = _with_area(_valid(middle.simplify(tolerance, preserve_topology=True)), polygon.area)
        if candidate is not None and _near(candidate, corners):
            return candidate
    return polygon


def _between_steps(ring: BaseGeometry) -> NDArray[np.float64]:
    """The ring [N,2] through the middles of its runs; corners of two runs longer than a pixel are real and stay.

    The middles of the runs of a digital straight line lie on that line.
    """
    points = shapely.get_coordinates(ring)[:-1]
    following = np.roll(points, -1, axis=0)
    middles = (points + following) / 2
    runs = np.abs(following - points).sum(axis=1)
    real = (runs > 1.5) & (np.roll(runs, 1) > 1.5)
    woven = np.stack([points, middles], axis=1).reshape(-1, 2)
    keep = np.stack([real, np.ones_like(real)], axis=1).reshape(-1)
    return woven[keep]


def _with_area(candidate: BaseGeometry, area: float) -> BaseGeometry | None:
    """A polygon of almost this area scaled to it; None when it has lost or gained too much."""
    off = abs(candidate.area / area - 1)
    if off <= _SAME_AREA:
        return candidate
    if off > _SCALABLE:
        return None
    factor = np.sqrt(area / candidate.area)
    return affinity.scale(candidate, factor, factor, origin="centroid")


def _near(candidate: BaseGeometry, corners: NDArray[np.object_]) -> bool:
    edge = candidate.boundary
    shapely.prepare(edge)
    return bool(shapely.dwithin(edge, corners, _CORNER).all())


def _valid(geometry: BaseGeometry) -> BaseGeometry:
    return geometry if geometry.is_valid else shapely.make_valid(geometry, method="structure")


def _polygons(geometry: BaseGeometry) -> Iterable[Polygon]:
    parts = getattr(geometry, "geoms", [geometry])
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def square_up(polygon: Polygon, *, share: float = 0.7, overlap: float = 0.9) -> Polygon:
    """A polygon with right angles only, for buildings; unchanged where the object has none.

    Coordinates must be metric. Edges are turned to the nearer of two perpendicular directions, successive ones of the
    same direction become one line at their mean place, and these lines are intersected.

    Args:
        polygon: A drawn outline.
        share: The part of the perimeter that must already run within 20 degrees of the two directions.
        overlap: The intersection over union that the result must keep.
    """
    angle = _main_direction(polygon, share)
    if angle is None:
        return polygon
    turned = affinity.rotate(polygon, -angle, origin=(0, 0), use_radians=True)
    shell = _right_angled(turned.exterior)
    holes = [hole for hole in map(_right_angled, turned.interiors) if hole is not None]
    if shell is None:
        return polygon
    squared = affinity.rotate(Polygon(shell, holes), angle, origin=(0, 0), use_radians=True)
    if not squared.is_valid or squared.area == 0:
        return polygon
    factor = np.sqrt(polygon.area / squared.area)
    squared = affinity.scale(squared, factor, factor, origin="centroid")
    union = squared.union(polygon).area
    return squared if squared.intersection(polygon).area >= overlap * union else polygon


def _main_direction(polygon: Polygon, share: float) -> float | None:
    """The angle of most of the perimeter, modulo 90 degrees; None where there is no such direction."""
    edges = np.diff(shapely.get_coordinates(polygon.exterior), axis=0)
    lengths, angles = np.hypot(edges[:, 0], edges[:, 1]), np.arctan2(edges[:, 1], edges[:, 0])
    mean = float(np.angle((lengths * np.exp(4j * angles)).sum()) / 4)
    off = np.abs((angles - mean + np.pi / 4) % (np.pi / 2) - np.pi / 4)
    aligned = lengths[off < np.radians(20)].sum()
    return mean if aligned >= share * lengths.sum() else None


def _right_angled(ring: BaseGeometry) -> NDArray[np.float64] | None:
    """Corners [N,2] of a ring whose edges are all horizontal or vertical; None when fewer than four remain."""
    points = shapely.get_coordinates(ring)
    edges = np.diff(points, axis=0)
    flat = np.abs(edges[:, 0]) >= np.abs(edges[:, 1])
    if flat.all() or not flat.any():
        return None
    start = int(np.flatnonzero(flat != np.roll(flat, 1))[0])
    order = (np.arange(len(edges)) + start) % len(edges)
    lines: list[tuple[bool, float, float]] = []  # horizontal?, its place, its weight
    for index in order:
        axis = 1 if flat[index] else 0
        place = float(points[index, axis] + edges[index, axis] / 2)
        weight = float(np.abs(edges[index, 1 - axis])) + 1e-12
        if lines and lines[-1][0] == bool(flat[index]):
            _, old, had = lines[-1]
            lines[-1] = (bool(flat[index]), (old * had + place * weight) / (had + weight), had + weight)
        else:
            lines.append((bool(flat[index]), place, weight))
    if len(lines) < 4:
        return None
    corners = []
    for (horizontal, place, _), (_, other, _) in zip(lines, lines[1:] + lines[:1], strict=True):
        corners.append((other, place) if horizontal else (place, other))
    return np.array(corners)
