"""From masks to polygons, in pixel coordinates of the image.

The exact outline runs along pixel edges: a staircase whose perimeter is up to 41 % too long. The drawn outline stays
within half a pixel of it, has straight sides where the object has, and the same area.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from geoagent.geo.mask_file import MaskFile
from geoagent.types import Mask

Points = NDArray[np.float64]
Crop = tuple[Mask, int, int]
"""bool [h,w], and the column and row of the image where it begins."""

_SIDE = 0.5
"""A drawn side passes the middles of the pixel edges it replaces at no more than half a pixel."""
_STEP = 0.85
"""The corners of a straight line's steps stick out by up to 0.71 pixels from its best side, more from a near one."""
_SAME_AREA = 0.002
_LARGEST_SHIFT = 0.45
"""Pixels by which sides are moved in or out to restore the area that cut corners cost."""
_STACK = 1 << 22
"""Pixels of a raster in which objects are polygonised together: each call costs as much as 20,000 pixels."""
_MOST = 255
"""Objects in it."""


def exact_outline(mask: Mask, left: int = 0, top: int = 0) -> MultiPolygon:
    """The edges of the pixels of a mask, holes included; ``left`` and ``top`` place a crop in its image."""
    if isinstance(mask, MaskFile):
        pieces = [exact_outline(part, left, top + y) for (_, y, _, _), part in mask.strips()]
        whole = shapely.simplify(shapely.union_all(pieces), 0)  # without the corners that lie on the cuts
        return MultiPolygon(list(_polygons(whole)))
    return _exact([(mask, left, top)])[0]


def outline(mask: Mask, left: int = 0, top: int = 0) -> MultiPolygon:
    """The outline to draw, to store and to measure perimeters along."""
    return _drawn([exact_outline(mask, left, top)])[0]


def outlines(crops: Iterable[Crop]) -> Iterator[MultiPolygon]:
    """The outlines of many objects, which may overlap: together they take a fraction of the time."""
    for stack in _stacks(crops):
        yield from _drawn(_exact(stack) if len(stack) > 1 else [exact_outline(*stack[0])])


def _stacks(crops: Iterable[Crop]) -> Iterator[list[Crop]]:
    """As many at a time as one small raster holds, each below the other; what is larger comes alone."""
    stack: list[Crop] = []
    rows = columns = 0
    for crop in crops:
        height, width = crop[0].shape
        rows, columns = rows + height, max(columns, width)
        if stack and (rows * columns > _STACK or len(stack) == _MOST):
            yield stack
            stack, rows, columns = [], height, width
        stack.append(crop)
    if stack:
        yield stack


def _exact(stack: Sequence[Crop]) -> list[MultiPolygon]:
    heights, widths = zip(*(mask.shape for mask, _, _ in stack), strict=True)
    tops = np.cumsum(heights) - heights
    raster = np.zeros((sum(heights), max(widths)), dtype=np.uint8)
    for number, (mask, _, _) in enumerate(stack):
        place = slice(tops[number], tops[number] + heights[number]), slice(widths[number])
        raster[place] = np.asarray(mask) * np.uint8(number + 1)
    polygons: list[list[Polygon]] = [[] for _ in stack]
    for polygon, value in shapes(raster, mask=raster > 0, connectivity=4):
        number = int(value) - 1
        _, left, top = stack[number]
        corner = np.array((left, top - tops[number]), dtype=np.float64)
        shell, *holes = (corner + ring for ring in polygon["coordinates"])
        polygons[number].append(Polygon(shell, holes))
    return [MultiPolygon(parts) for parts in polygons]


def _drawn(exact: Sequence[MultiPolygon]) -> list[MultiPolygon]:
    smoothed = iter(_smooth([polygon for whole in exact for polygon in whole.geoms]))
    return [_together([part for _ in whole.geoms for part in _polygons(next(smoothed))]) for whole in exact]


def _together(polygons: list[Polygon]) -> MultiPolygon:
    together = MultiPolygon(polygons)
    if together.is_valid:
        return together
    return MultiPolygon(list(_polygons(shapely.union_all(polygons))))  # parts that met at a corner now overlap there


def _smooth(polygons: Sequence[Polygon]) -> list[BaseGeometry]:
    """Polygons on pixel edges without their staircases: few straight sides, the same area."""
    rings = iter(_straighten([ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]))
    return [_same_area(Polygon(next(rings), [next(rings) for _ in exact.interiors]), exact) for exact in polygons]


def _same_area(drawn: BaseGeometry, polygon: Polygon) -> BaseGeometry:
    """What was drawn, with its sides moved to the area of the polygon; the polygon where that is not enough."""
    drawn = _valid(drawn)
    for _ in range(2):  # the second time for what moving the corners added
        shift = (polygon.area - drawn.area) / max(drawn.length, 1.0)
        if abs(shift) > _LARGEST_SHIFT or abs(drawn.area / polygon.area - 1) <= _SAME_AREA:
            break
        drawn = drawn.buffer(shift, join_style="mitre", mitre_limit=2.0)
    return drawn if abs(drawn.area / polygon.area - 1) <= 2 * _SAME_AREA else polygon


def _straighten(rings: Sequence[BaseGeometry]) -> list[Points]:
    """Each ring with as few corners [N,2] as half a pixel allows.

    New corners are middles of runs, because the middles of the runs of a digital straight line lie on that line, and
    corners between two runs longer than a pixel, because those are real. This is Douglas and Peucker's division, except
    that what must be near a side are the pixel edges, not only the points chosen. All rings are divided at once.
    """
    if not rings:
        return []
    points, ring = shapely.get_coordinates(rings, return_index=True)
    again = np.append(ring[1:] != ring[:-1], True)  # the last point of each ring is its first
    points, ring = points[~again], ring[~again]
    counts = np.bincount(ring)
    starts = np.cumsum(counts) - counts
    after, before = np.arange(len(points)) + 1, np.arange(len(points)) - 1
    after[starts + counts - 1], before[starts] = starts, starts + counts - 1
    edges = points[after] - points
    real = _real_corners(edges, before, after)
    woven = np.stack([points, points + edges / 2], axis=1).reshape(-1, 2)
    usable = np.stack([real, np.ones_like(real)], axis=1).reshape(-1)
    return _divided(woven, usable, 2 * counts)


def _divided(points: Points, usable: NDArray[np.bool_], counts: NDArray[np.intp]) -> list[Points]:
    """The corners of rings of so many points each, which lie one after the other; only usable points become corners."""
    starts, ring = np.cumsum(counts) - counts, np.repeat(np.arange(len(counts)), counts)
    middles = np.add.reduceat(points, starts, axis=0) / counts[:, None]
    first = _largest(np.where(usable, _distances(points, middles[ring]), -1.0), starts) - starts

    # From the first corner of each ring around to it again.
    ends, ring = np.cumsum(counts + 1), np.repeat(np.arange(len(counts)), counts + 1)
    begins = ends - counts - 1
    around = starts[ring] + (first[ring] + np.arange(len(ring)) - begins[ring]) % counts[ring]
    points, usable = points[around], usable[around]
    opposite = _largest(np.where(usable, _distances(points, points[begins[ring]]), -1.0), begins)
    kept = np.zeros(len(points), dtype=np.bool_)
    kept[begins] = kept[opposite] = kept[ends - 1] = True
    _divide_sides(points, usable, kept)
    kept[ends - 1] = False
    corners = []
    for begin, end in zip(begins, ends - 1, strict=True):
        chosen = kept[begin:end] if np.count_nonzero(kept[begin:end]) > 2 else usable[begin:end]
        corners.append(points[begin:end][chosen])
    return corners


def _divide_sides(points: Points, usable: NDArray[np.bool_], kept: NDArray[np.bool_]) -> None:
    """Keep points until what lies between two that follow each other is near the side that joins them."""
    limits = np.where(usable, _SIDE, _STEP)
    between = np.flatnonzero(~kept)
    while between.size:
        corners = np.flatnonzero(kept)
        end = np.searchsorted(corners, between)
        off = _off_side(points[between], points[corners[end - 1]], points[corners[end]])
        sides = np.flatnonzero(np.diff(end, prepend=-1))
        candidates = np.where(usable[between], off, -1.0)
        middle = _largest(candidates, sides)
        divided = np.logical_or.reduceat(off > limits[between], sides) & (candidates[middle] >= 0)
        kept[between[middle[divided]]] = True
        between = between[np.repeat(divided, np.diff(sides, append=len(between)))]
        between = between[~kept[between]]


def _largest(values: Points, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where the largest value of each group lies, the first of equals; groups begin at ``starts``."""
    largest = np.repeat(np.maximum.reduceat(values, starts), np.diff(starts, append=len(values)))
    hits = np.flatnonzero(values == largest)
    _, first = np.unique(np.searchsorted(starts, hits, side="right"), return_index=True)
    return hits[first]


def _real_corners(edges: Points, before: NDArray[np.intp], after: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which corners belong to the thing and not to the steps of a slanted side; an edge begins at each.

    Those between two runs longer than a pixel, and both at the end of a strip one pixel wide.
    """
    runs = np.abs(edges).sum(axis=1)
    turns = np.sign(edges[before, 0] * edges[:, 1] - edges[before, 1] * edges[:, 0])
    long_sides = (runs[before] > 2.5) & (runs[after] > 2.5)
    ends = (runs < 1.5) & (turns == turns[after]) & long_sides
    return np.asarray(((runs > 1.5) & (runs[before] > 1.5)) | ends | ends[before])


def _distances(points: Points, origins: Points) -> Points:
    return np.asarray(np.hypot(*(points - origins).T))


def _off_side(points: Points, starts: Points, ends: Points) -> Points:
    """Distances of points [N,2] from sides, each between two corners."""
    side = ends - starts
    along = np.vecdot(points - starts, side) / np.maximum(np.vecdot(side, side), 1e-12)
    return _distances(points, starts + np.clip(along, 0.0, 1.0)[:, None] * side)


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
