"""Vectors: outlines on the map, and a table with one row for each object."""

import json
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from geoagent import __version__
from geoagent.geo.georef import WGS84, has_place, image_to_crs, image_to_lonlat, is_measurable, local_metric
from geoagent.geo.measure import mask_area_m2, outline_perimeter
from geoagent.geo.outline import outlines, square_up
from geoagent.types import Box, ImageInfo, Instance, Mask, Prediction, Target

if TYPE_CHECKING:
    import geopandas

Object = tuple[int, int, Target, Instance | None, Box, Mask]
"""Running number from 1, number of its target, the target, the instance, its box and its mask there."""


def to_map(geometry: BaseGeometry, info: ImageInfo) -> BaseGeometry:
    """Pixel coordinates to the image's CRS; unchanged for an image without a place."""
    if not has_place(info):
        return geometry
    return _transformed(geometry, lambda points: image_to_crs(info, points[:, 0], points[:, 1]))


def to_lonlat(geometry: BaseGeometry, info: ImageInfo) -> BaseGeometry:
    """Pixel coordinates to longitude and latitude, cut at the antimeridian as GeoJSON asks."""
    placed = _transformed(geometry, lambda points: image_to_lonlat(info, points[:, 0], points[:, 1]))
    return cut_at_antimeridian(placed)


def cut_at_antimeridian(geometry: BaseGeometry) -> BaseGeometry:
    """Polygons in degrees, in parts that stay within -180 to 180; one that holds a pole reaches up to it."""
    west, _, east, _ = geometry.bounds
    if geometry.is_empty or east - west <= 180:
        return geometry
    polygons = [geometry] if isinstance(geometry, Polygon) else list(geometry.geoms)
    pieces: list[Polygon] = []
    for polygon in polygons:
        whole = Polygon(_unwrapped(polygon.exterior), [_unwrapped(ring) for ring in polygon.interiors])
        for turn in (-360, 0, 360):
            part = whole.intersection(box(-180 - turn, -90, 180 - turn, 90))
            moved = shapely.transform(part, lambda points, by=turn: points + np.array((by, 0)))
            pieces.extend(p for p in getattr(moved, "geoms", [moved]) if isinstance(p, Polygon) and p.area > 0)
    return shapely.union_all(pieces)


def _unwrapped(ring: BaseGeometry) -> Any:
    """A ring of degrees [N,2] without jumps; closed over the pole if it runs around one."""
    points = shapely.get_coordinates(ring).copy()
    points[:, 0] = np.unwrap(points[:, 0], period=360)
    turn = points[-1, 0] - points[0, 0]
    points[:, 0] -= 360 * np.floor((points[:, 0].mean() + 180) / 360)
    if abs(turn) > 180:
        pole = 90.0 if points[:, 1].mean() > 0 else -90.0
        points = np.vstack([points, (points[-1, 0], pole), (points[0, 0], pole), points[:1]])
    return points


def objects_of(prediction: Prediction) -> Iterator[Object]:
    """Every object; a target without instances (water, a forest) is one."""
    number = 0
    for target_number, target in enumerate(prediction.targets, start=1):
        crops: list[tuple[Instance | None, Box, Mask]] = [(i, i.box, i.crop) for i in target.instances]
        if not crops:
            whole = target.box
            assert whole is not None, "a target that counts is not empty"
            crops = [(None, whole, target.mask[whole[1] : whole[3], whole[0] : whole[2]])]
        for instance, place, crop in crops:
            number += 1
            yield number, target_number, target, instance, place, crop


def object_outlines(
    things: Iterable[tuple[Box, Mask]], info: ImageInfo, *, right_angles: bool = False
) -> Iterator[BaseGeometry]:
    """The outlines of objects in pixel coordinates, on request with right angles as they are on the ground."""
    things, crops = tee(things)
    found = outlines((crop, place[0], place[1]) for place, crop in crops)
    for drawn, (place, _) in zip(found, things, strict=True):
        shown = _squared(drawn, place, info) if right_angles else drawn
        yield shown.geoms[0] if len(shown.geoms) == 1 else shown


def outlined_objects(prediction: Prediction, *, right_angles: bool = False) -> Iterator[tuple[Object, BaseGeometry]]:
    """Every object with its outline; few of them are held at a time."""
    objects, again = tee(objects_of(prediction))
    places = ((place, crop) for *_, place, crop in again)
    return zip(objects, object_outlines(places, prediction.image, right_angles=right_angles), strict=True)


def _squared(drawn: MultiPolygon, place: Box, info: ImageInfo) -> MultiPolygon:
    metric = local_metric(info, (place[0] + place[2]) / 2, (place[1] + place[3]) / 2)
    on_ground = affinity.affine_transform(drawn, [*metric.ravel(), 0.0, 0.0])
    squared = shapely.union_all([square_up(part) for part in on_ground.geoms])
    drawn = affinity.affine_transform(squared, [*np.linalg.inv(metric).ravel(), 0.0, 0.0])
    return drawn if isinstance(drawn, MultiPolygon) else MultiPolygon([drawn])


def touches_edge(place: Box, info: ImageInfo) -> bool:
    """Whether an object may go on outside the image."""
    return place[0] <= 0 or place[1] <= 0 or place[2] >= info.width or place[3] >= info.height


def provenance(prediction: Prediction) -> dict[str, Any]:
    """How an answer came about, in a form that a table or a raster tag can hold."""
    info = prediction.image
    stretch = "8-bit values" if info.stretch is None else json.dumps([[round(v, 6) for v in s] for s in info.stretch])
    return {
        "question": prediction.instruction,
        "model": prediction.model,
        "threshold": prediction.threshold,
        "stretch": stretch,
        "bands": ",".join(str(band) for band in info.bands),
        "version": f"geoagent {__version__}",
    }


def prediction_to_geodataframe(
    prediction: Prediction, *, right_angles: bool = False, lonlat: bool = False
) -> "geopandas.GeoDataFrame":
    """One row an object, in the CRS of the image (pixels, y downwards, when it has none).

    Columns: ``id`` (running number), ``target`` and ``instance`` (numbers in the answer), ``phrase``, ``score``,
    ``area_m2`` and ``perimeter_m`` (None without place and ground size), ``pixel_count``, ``touches_edge``, and where
    it all came from.

    Args:
        prediction: What was answered.
        right_angles: Give outlines right angles where they nearly have them.
        lonlat: Longitude and latitude (EPSG:4326) instead of the image's CRS, cut at the antimeridian.
    """
    import geopandas

    info, origin = prediction.image, provenance(prediction)
    place_on = to_lonlat if lonlat and has_place(info) else to_map
    rows, geometries = [], []
    outlined = outlined_objects(prediction, right_angles=right_angles)
    for (number, target_number, target, instance, place, crop), drawn in outlined:
        rows.append(
            {
                "id": number,
                "target": target_number,
                "instance": 0 if instance is None else instance.id,
                "phrase": target.phrase,
                "score": round(target.score if instance is None else instance.score, 4),
                "area_m2": mask_area_m2(crop, info, place),
                "perimeter_m": outline_perimeter(drawn, info) if is_measurable(info) else None,
                "pixel_count": int(np.count_nonzero(crop)),
                "touches_edge": touches_edge(place, info),
                **origin,
            }
        )
        geometries.append(place_on(drawn, info))
    columns = ["id", "target", "instance", "phrase", "score", "area_m2", "perimeter_m", "pixel_count", "touches_edge"]
    crs = WGS84 if lonlat and has_place(info) else info.crs
    frame = geopandas.GeoDataFrame(rows, columns=[*columns, *origin], geometry=geometries, crs=crs)
    return frame.astype({"area_m2": "float64", "perimeter_m": "float64"})


def _transformed(geometry: BaseGeometry, place: Any) -> BaseGeometry:
    moved: BaseGeometry = shapely.transform(geometry, lambda points: np.stack(place(points), axis=1))
    return shapely.orient_polygons(moved)
