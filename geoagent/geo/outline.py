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

from geoagent.geo.mask_file import MaskFile
from geoagent.types import Mask

Points = NDArray[np.float64]

_SIDE = 0.5
"""A drawn side passes the middles of the pixel edges it replaces at no more than half a pixel."""
_STEP = 0.85
"""The corners of a straight line's steps stick out by up to 0.71 pixels from its best side, more from a near one."""
_SAME_AREA = 0.002
_LARGEST_SHIFT = 0.45
"""Pixels by which sides are moved in or out to restore the area that cut corners cost."""


def exact_outline(mask: Mask, left: int = 0, top: int = 0) -> MultiPolygon:
    """The edges of the pixels of a mask, holes included; ``left`` and ``top`` place a crop in its image."""
    if isinstance(mask, MaskFile):
        pieces = [exact_outline(part, left, top + y) for (_, y, _, _), part in mask.strips()]
        whole = shapely.simplify(shapely.union_all(pieces), 0)  # without the corners that lie on the cuts
        return MultiPolygon(list(_polygons(whole)))
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=Affine.translation(left, top))
    return MultiPolygon([shape(polygon) for polygon, _ in found])


def outline(mask: Mask, left: int = 0, top: int = 0) -> MultiPolygon:
    """The outline to draw, to store and to measure perimeters along."""
    polygons: list[Polygon] = []
    for polygon in exact_outline(mask, left, top).geoms:
        polygons.extend(_polygons(smooth(polygon)))
    together = MultiPolygon(polygons)
    if together.is_valid:
        return together
    return MultiPolygon(list(_polygons(shapely.union_all(polygons))))  # parts that met at a corner now overlap there


def smooth(polygon: Polygon) -> BaseGeometry:
    """A polygon on pixel edges without its staircase: few straight sides, the same area."""
    drawn = _valid(Polygon(_straighten(polygon.exterior), [_straighten(ring) for ring in polygon.interiors]))
    for _ in range(2):  # the second time for what moving the corners added
        shift = (polygon.area - drawn.area) / max(drawn.length, 1.0)
        if abs(shift) > _LARGEST_SHIFT or abs(drawn.area / polygon.area - 1) <= _SAME_AREA:
            break
        drawn = drawn.buffer(shift, join_style="mitre", mitre_limit=2.0)
    return drawn if abs(drawn.area / polygon.area - 1) <= 2 * _SAME_AREA else polygon


def _straighten(ring: BaseGeometry) -> Points:
    """The ring with as few corners [N,2] as half a pixel allows.

    New corners are middles of runs, because the middles of the runs of a digital straight line lie on that line, and
    corners between two runs longer than a pixel, because those are real. This is Douglas and Peucker's division, except
    that what must be near a side are the pixel edges, not only the points chosen.
    """
    points = shapely.get_coordinates(ring)[:-1]
    following = np.roll(points, -1, axis=0)
    runs = np.abs(following - points).sum(axis=1)
    real = _real_corners(points, runs)
    woven = np.stack([points, (points + following) / 2], axis=1).reshape(-1, 2)
    usable = np.stack([real, np.ones_like(real)], axis=1).reshape(-1)
    limits = np.where(usable, _SIDE, _STEP)

    first = int(np.argmax(np.where(usable, _distances(woven, woven.mean(axis=0)), -1.0)))
    woven, usable, limits = np.roll(woven, -first, axis=0), np.roll(usable, -first), np.roll(limits, -first)
    opposite = int(np.argmax(np.where(usable, _distances(woven, woven[0]), -1.0)))
    closed = np.vstack([woven, woven[:1]])
    kept, open_sides = {0, opposite}, [(0, opposite), (opposite, len(woven))]
    while open_sides:
        start, end = open_sides.pop()
        if not usable[start + 1 : end].any():
            continue
        off = _off_side(closed[start + 1 : end], closed[start], closed[end])
        if (off > limits[start + 1 : end]).any():
            middle = start + 1 + int(np.argmax(np.where(usable[start + 1 : end], off, -1.0)))
            kept.add(middle)
            open_sides += [(start, middle), (middle, end)]
    return woven[sorted(kept)] if len(kept) > 2 else woven[usable]


def _real_corners(points: Points, runs: Points) -> NDArray[np.bool_]:
    """Which corners belong to the thing and not to the steps of a slanted side.

    Those between two runs longer than a pixel, and both at the end of a strip one pixel wide.
    """
    edges = np.roll(points, -1, axis=0) - points
    before = np.roll(edges, 1, axis=0)
    turns = np.sign(before[:, 0] * edges[:, 1] - before[:, 1] * edges[:, 0])
    long_sides = (np.roll(runs, 1) > 2.5) & (np.roll(runs, -1) > 2.5)
    ends = (runs < 1.5) & (turns == np.roll(turns, -1)) & long_sides
    return np.asarray(((runs > 1.5) & (np.roll(runs, 1) > 1.5)) | ends | np.roll(ends, 1))


def _distances(points: Points, origin: Points) -> Points:
    return np.asarray(np.hypot(*(points - origin).T))


def _off_side(points: Points, start: Points, end: Points) -> Points:
    """Distance of points [N,2] from the side between two corners."""
    side = end - start
    along = np.clip((points - start) @ side / max(float(side @ side), 1e-12), 0.0, 1.0)
    return _distances(points, start + along[:, None] * side)


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
