"""Measuring: how large, how long, how many, how far apart; in metres where the image has a place or a scale.

Areas and lengths are geodesic, on the ellipsoid of the image's own datum, whatever its projection. An image without
place and ground size is measured in pixels, with the unit "px": nothing is guessed.

Errors are what the pixels leave open, not what a model gets wrong: an outline is known to half a pixel, so an area to
half a pixel all along its perimeter, and a length to half a pixel at both ends.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from geoagent.geo.centreline import MiddleLine
from geoagent.geo.georef import (
    WGS84,
    Floats,
    geodesic_of,
    has_place,
    image_to_crs,
    image_to_lonlat,
    is_measurable,
    local_metric,
    lonlat_to_image,
    parse_crs,
    pixel_areas,
    to_geographic,
)
from geoagent.geo.outline import outline
from geoagent.types import Box, GeoAgentError, ImageInfo, Instance, Mask, Prediction, Target

_NODES = 17
"""Pixel areas vary so smoothly that this many samples along each side of a mask, joined linearly, are exact to 1e-6."""
_STRAIGHT = 1e-6
"""Three samples are enough where the middle one lies on the line between the others but for this share."""
_SHORT_M = 1000.0
"""Sides of shorter things are geodesics to within 1e-8, longer ones are cut first."""
_PIECES = 64
"""Pieces along the longer extent of a thing: the error of its sides falls with the square."""
_MOST_STRETCHED = 8.0
"""Pixels are made square on the ground only up to this ratio: beside a pole they would become any number."""
_AT_ONCE = 1 << 24
"""Pixels of a mask that are measured at a time."""
_LONGEST_SIDE = 4096
"""Middle lines of larger things are taken from a reduced mask."""
_ELONGATED = 2.5
"""Longer than this many mean widths, a thing is measured along its middle line, otherwise along the box around it."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Sizes of a target or of one of its objects; ``unit`` says of what: "m" (areas in m²) or "px"."""

    phrase: str
    target: int
    """Number of the target in the answer, from 1."""
    instance: int | None
    """Number of the object in the target; None for the target as a whole."""
    count: int
    """How many objects."""
    unit: str
    area: float
    area_error: float
    perimeter: float
    length: float
    """Along the middle line of elongated things, else the longer side of the closest box; a target's is the sum."""
    length_error: float
    width: float
    """Mean width: area by length."""
    share: float
    """Part of the image's area that is covered, 0 to 1."""
    pixel_count: int
    centre: tuple[float, float]
    """Longitude and latitude, or x and y in pixels for an image without a place."""
    instances: tuple["Measurement", ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; the same with its objects."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Distance:
    """The shortest way between two things, from edge to edge."""

    value: float
    unit: str
    start: tuple[float, float]
    """Where it begins, in pixels of the image."""
    end: tuple[float, float]


# ------------------------------------------------------------------------------------------------ areas of pixels


def mask_area_m2(mask: Mask, info: ImageInfo, box: Box | None = None) -> float | None:
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
    if mask.size > _AT_ONCE:
        step, width = max(1, _AT_ONCE // mask.shape[1]), mask.shape[1]
        parts = ((y, mask[y : y + step]) for y in range(0, mask.shape[0], step))
        return sum(mask_area_m2(part, info, (x0, y0 + y, x0 + width, y0 + y + len(part))) or 0.0 for y, part in parts)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0.0
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    for most in (3, _NODES):
        along_y, weight_y = _weights(top, bottom, most)
        along_x, weight_x = _weights(left, right, most)
        nodes = pixel_areas(info, (along_x + x0)[None, :], (along_y + y0)[:, None])
        bends = [np.abs(np.diff(nodes, 2, axis=axis)).max(initial=0.0) for axis in (0, 1)]
        if max(bends) <= 2 * _STRAIGHT * nodes.min():
            break
    counts = weight_y @ mask[top:bottom, left:right].astype(np.float64) @ weight_x.T
    return float((counts * nodes).sum())


def mask_area(mask: Mask, info: ImageInfo, box: Box | None = None) -> float:
    """Area of a mask in the unit of the image's measurements: m², or pixels without place and ground size."""
    metres = mask_area_m2(mask, info, box)
    return float(np.count_nonzero(mask)) if metres is None else metres


def covered_share(mask: Mask, info: ImageInfo, region: Mask | None = None) -> float:
    """Part of ``region`` (bool [H,W]; None: the whole image) that a mask covers, by ground area, 0 to 1."""
    inside = mask if region is None else mask & region
    whole = _image_area(info) if region is None else mask_area(region, info)
    return mask_area(inside, info) / whole if whole else 0.0


def mask_centre(mask: Mask, info: ImageInfo, box: Box) -> tuple[float, float]:
    """Middle of the pixels of a crop: longitude and latitude where the image has a place, else x and y in pixels."""
    down, across = _profiles(mask)
    x = float(np.average(np.arange(len(across)), weights=across)) + 0.5 + box[0]
    y = float(np.average(np.arange(len(down)), weights=down)) + 0.5 + box[1]
    if not has_place(info):
        return x, y
    longitude, latitude = image_to_lonlat(info, x, y)
    return float(longitude), float(latitude)


def _profiles(mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of pixels in each row [H] and each column [W]."""
    down, across = np.zeros(mask.shape[0], np.int64), np.zeros(mask.shape[1], np.int64)
    step = max(1, _AT_ONCE // mask.shape[1])
    for y in range(0, mask.shape[0], step):
        part = mask[y : y + step]
        down[y : y + step] = np.count_nonzero(part, axis=1)
        across += np.count_nonzero(part, axis=0)
    return down, across


def _weights(start: int, stop: int, most: int) -> tuple[Floats, Floats]:
    """Nodes over a run of pixels and, for each, its share of every pixel [nodes, pixels] (linear between)."""
    count = min(most, stop - start + 1)
    nodes = np.linspace(start, stop, max(count, 2))
    place = (np.arange(start, stop) + 0.5 - start) * (len(nodes) - 1) / (stop - start)
    return nodes, np.maximum(0.0, 1.0 - np.abs(place[None, :] - np.arange(len(nodes))[:, None]))


# ------------------------------------------------------------------------------------------------ outlines and lines


def geodesic_area_perimeter(geometry: BaseGeometry, crs: str) -> tuple[float, float]:
    """Area in m² and perimeter in m of a polygon in the coordinates of a CRS.

    Sides are straight on the map, as GIS programs draw them, and so cut finely; a ring may cross the antimeridian.
    """
    geod = geodesic_of(crs)
    area = perimeter = 0.0
    for part in shapely.get_parts(geometry):
        for number, ring in enumerate([part.exterior, *part.interiors]):
            longitude, latitude = _finely(ring, crs)
            size, around = geod.polygon_area_perimeter(longitude[:-1], latitude[:-1])
            area += abs(size) if number == 0 else -abs(size)
            perimeter += around
    return area, perimeter


def geodesic_length(points: Floats, crs: str) -> float:
    """Length in m of a polyline [N,2] in the coordinates of a CRS."""
    longitude, latitude = _finely(shapely.linestrings(points), crs)
    return float(geodesic_of(crs).line_length(longitude, latitude))


def outline_perimeter(geometry: BaseGeometry, info: ImageInfo) -> float:
    """Length around an outline in pixel coordinates: metres where they can be told, otherwise pixels."""
    if has_place(info):
        assert info.crs is not None
        return geodesic_area_perimeter(_on_map(geometry, info), info.crs)[1]
    return float(geometry.length) * (info.gsd_m or 1.0)


def mask_length(mask: Mask, info: ImageInfo, box: Box) -> float:
    """Length of what a crop shows: along its middle line if it is elongated, otherwise of the closest box around it."""
    metric = local_metric(info, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    sides = np.linalg.norm(metric, axis=0)
    stretch = np.minimum(sides / sides.min(), _MOST_STRETCHED) / max(1.0, max(mask.shape) / _LONGEST_SIDE)
    lines = [line / stretch + np.array(box[:2]) for line in MiddleLine(_stretched(mask, stretch)).lines()]
    along = sum(_line_length(line, info) for line in lines)
    if along**2 > _ELONGATED * np.count_nonzero(mask) * abs(np.linalg.det(metric)):
        return along
    corners = shapely.get_coordinates(_box_around(mask, metric))
    return float(np.hypot(*np.diff(corners[:3], axis=0).T).max())


def _box_around(mask: Mask, metric: Floats) -> BaseGeometry:
    """The closest rectangle around a crop, in metres."""
    on_ground: BaseGeometry = shapely.transform(outline(mask), lambda points: points @ metric.T)
    return on_ground.minimum_rotated_rectangle


def _stretched(mask: Mask, stretch: Floats) -> Mask:
    """A crop with pixels that are square on the ground: those of EPSG:4326 are tall far from the equator."""
    width, height = (max(1, round(n * k)) for n, k in zip(mask.shape[::-1], stretch, strict=True))
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(np.intp)
    return mask[rows[:, None], columns]


def _finely(line: BaseGeometry, crs: str) -> tuple[Floats, Floats]:
    """Longitudes and latitudes along a line of the map, close enough for geodesics between them to follow it."""
    transformer, geod = to_geographic(crs), geodesic_of(crs)
    points = shapely.get_coordinates(line)
    if parse_crs(crs).is_geographic:  # from 179 to -179 is a short way
        points = np.stack([np.unwrap(points[:, 0], period=360.0), points[:, 1]], axis=1)
    longitude, latitude = transformer.transform(points[:, 0], points[:, 1])
    if geod.line_length(longitude, latitude) > _SHORT_M:
        extent = float(np.ptp(points, axis=0).max())
        points = shapely.get_coordinates(shapely.segmentize(shapely.linestrings(points), extent / _PIECES))
        longitude, latitude = transformer.transform(points[:, 0], points[:, 1])
    if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
        raise GeoAgentError(f"coordinates lie outside of what {crs[:60]} covers: check the coordinate system")
    return longitude, latitude


def _line_length(points: Floats, info: ImageInfo) -> float:
    if has_place(info):
        assert info.crs is not None
        return geodesic_length(np.stack(image_to_crs(info, points[:, 0], points[:, 1]), axis=1), info.crs)
    return float(np.hypot(*np.diff(points, axis=0).T).sum()) * (info.gsd_m or 1.0)


def _local_scale(info: ImageInfo, box: Box) -> float:
    """Side of a pixel at the middle of a box, in the unit of the image's measurements."""
    if not is_measurable(info):
        return 1.0
    return float(np.sqrt(pixel_areas(info, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)))


def _on_map(geometry: BaseGeometry, info: ImageInfo) -> BaseGeometry:
    return shapely.transform(geometry, lambda p: np.stack(image_to_crs(info, p[:, 0], p[:, 1]), axis=1))


# ------------------------------------------------------------------------------------------------ answers


def measure_object(
    mask: Mask, info: ImageInfo, box: Box, *, phrase: str, target: int = 1, instance: int | None = None
) -> Measurement:
    """Measure what a crop (bool [h,w] at ``box``) shows."""
    scale = _local_scale(info, box)
    pixels = int(np.count_nonzero(mask))
    area = mask_area(mask, info, box)
    perimeter = outline_perimeter(outline(mask, box[0], box[1]), info)
    length = mask_length(mask, info, box)
    return Measurement(
        phrase=phrase,
        target=target,
        instance=instance,
        count=1,
        unit="m" if is_measurable(info) else "px",
        area=area,
        area_error=perimeter * scale / 2,
        perimeter=perimeter,
        length=length,
        length_error=scale,
        width=area / length if length else 0.0,
        share=area / _image_area(info),
        pixel_count=pixels,
        centre=mask_centre(mask, info, box),
    )


def measure_target(target: Target, number: int, info: ImageInfo) -> Measurement:
    """Measure a target and each of its objects; overlapping objects count once in its area."""
    box = target.box or (0, 0, info.width, info.height)
    mask = target.mask[box[1] : box[3], box[0] : box[2]]
    objects = tuple(
        measure_object(i.crop, info, i.box, phrase=target.phrase, target=number, instance=i.id)
        for i in target.instances
    )
    if not objects:
        return measure_object(mask, info, box, phrase=target.phrase, target=number)
    area = mask_area(mask, info, box)
    length = sum(o.length for o in objects)
    return Measurement(
        phrase=target.phrase,
        target=number,
        instance=None,
        count=len(objects),
        unit=objects[0].unit,
        area=area,
        area_error=sum(o.area_error for o in objects),
        perimeter=sum(o.perimeter for o in objects),
        length=length,
        length_error=sum(o.length_error for o in objects),
        width=sum(o.area for o in objects) / length if length else 0.0,
        share=area / _image_area(info),
        pixel_count=target.pixel_count,
        centre=mask_centre(mask, info, box),
        instances=objects,
    )


def measure_prediction(prediction: Prediction) -> list[Measurement]:
    """One measurement for each target that was found, with those of its objects inside."""
    return [measure_target(target, n, prediction.image) for n, target in enumerate(prediction.targets, start=1)]


def distance_between(first: Target | Instance, second: Target | Instance, info: ImageInfo) -> Distance:
    """The shortest way from one thing to another, from edge to edge; 0 where they touch or overlap."""
    shapes = [_outline_of(thing) for thing in (first, second)]
    if not has_place(info):
        start, end = nearest_points(*shapes)
        value = start.distance(end) * (info.gsd_m or 1.0)
        return Distance(
            value=value, unit="m" if is_measurable(info) else "px", start=(start.x, start.y), end=(end.x, end.y)
        )
    middle = shapely.union_all([shape.envelope for shape in shapes]).centroid
    longitude, latitude = image_to_lonlat(info, middle.x, middle.y)
    local = Transformer.from_crs(WGS84, f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84", always_xy=True)
    placed = [
        shapely.transform(s, lambda p: np.stack(local.transform(*image_to_lonlat(info, p[:, 0], p[:, 1])), axis=1))
        for s in shapes
    ]
    ends = shapely.get_coordinates(nearest_points(*placed))
    far_longitude, far_latitude = local.transform(ends[:, 0], ends[:, 1], direction="INVERSE")
    metres = geodesic_of(WGS84).line_length(far_longitude, far_latitude)
    columns, rows = lonlat_to_image(info, far_longitude, far_latitude)
    return Distance(
        value=float(metres),
        unit="m",
        start=(float(columns[0]), float(rows[0])),
        end=(float(columns[1]), float(rows[1])),
    )


def distances(things: Sequence[Target | Instance], info: ImageInfo) -> list[tuple[int, int, Distance]]:
    """The distance of every pair, by their places in ``things``."""
    pairs = combinations(range(len(things)), 2)
    return [(a, b, distance_between(things[a], things[b], info)) for a, b in pairs]


def _outline_of(thing: Target | Instance) -> BaseGeometry:
    if isinstance(thing, Instance):
        return outline(thing.crop, thing.box[0], thing.box[1])
    return outline(thing.mask)


def _image_area(info: ImageInfo) -> float:
    """Area of the whole image, in the unit of its measurements."""
    if not is_measurable(info):
        return float(info.width * info.height)
    along_x, along_y = np.linspace(0, info.width, _NODES), np.linspace(0, info.height, _NODES)
    nodes = pixel_areas(info, along_x[None, :], along_y[:, None])
    return float(np.trapezoid(np.trapezoid(nodes, along_x, axis=1), along_y))
