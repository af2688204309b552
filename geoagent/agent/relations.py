"""How masks lie to each other: overlap, nearness, touching, and what lies within reach.

Distances are taken between outlines in a plane of true metres about the middle of the image, so they mean the same in
any projection.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import geometry_mask
from shapely.geometry.base import BaseGeometry

from geoagent.agent.masks import StoredMask
from geoagent.agent.rows import Parts, Rows, from_the_top, mask_of_rows, rows_of_objects
from geoagent.geo.georef import WGS84, has_place, image_to_lonlat, is_measurable, local_metric, lonlat_to_image
from geoagent.geo.outline import outline
from geoagent.types import GeoAgentError, ImageInfo, Instance, Mask

_TINY = 1e-6


@dataclass(frozen=True)
class Reach:
    """What of one mask lies near another."""

    near: StoredMask
    """The objects that are near, whole."""
    inside: Rows
    """The pixels of the first mask within reach."""


class GroundPlane:
    """Pixels of an image to metres about its middle and back; without a scale, metres are pixels."""

    def __init__(self, info: ImageInfo) -> None:
        self._info = info
        self._local: Transformer | None = None
        self._scale = info.gsd_m or 1.0
        if has_place(info):
            longitude, latitude = image_to_lonlat(info, info.width / 2, info.height / 2)
            plane = f"+proj=aeqd +lat_0={float(latitude)} +lon_0={float(longitude)} +datum=WGS84"
            self._local = Transformer.from_crs(WGS84, plane, always_xy=True)

    @property
    def unit(self) -> str:
        """``m`` or ``px``."""
        return "m" if is_measurable(self._info) else "px"

    def to_metres(self, geometry: BaseGeometry) -> BaseGeometry:
        """From pixels."""
        local, info = self._local, self._info
        if local is None:
            return shapely.transform(geometry, lambda points: points * self._scale)
        return shapely.transform(
            geometry,
            lambda points: np.stack(local.transform(*image_to_lonlat(info, points[:, 0], points[:, 1])), axis=1),
        )

    def to_pixels(self, geometry: BaseGeometry) -> BaseGeometry:
        """From metres."""
        local, info = self._local, self._info
        if local is None:
            return shapely.transform(geometry, lambda points: points / self._scale)

        def back(points: NDArray[np.float64]) -> NDArray[np.float64]:
            longitude, latitude = local.transform(points[:, 0], points[:, 1], direction="INVERSE")
            return np.stack(lonlat_to_image(info, longitude, latitude), axis=1)

        return shapely.transform(geometry, back)

    def of_mask(self, mask: Mask) -> BaseGeometry:
        """The outline of a mask, in metres."""
        return shapely.make_valid(self.to_metres(outline(mask)))

    def of_object(self, one: Instance) -> BaseGeometry:
        """The outline of an object, in metres."""
        return shapely.make_valid(self.to_metres(outline(one.crop, one.box[0], one.box[1])))

    def drawn(self, geometry: BaseGeometry) -> Rows:
        """The pixels whose centre lies in a geometry in metres."""
        width = self._info.width
        shape = None if geometry.is_empty else self.to_pixels(geometry)

        def rows(top: int, bottom: int) -> Mask:
            here = None if shape is None else shapely.clip_by_rect(shape, -1, top - 1, width + 1, bottom + 1)
            if here is None or here.is_empty:
                return np.zeros((bottom - top, width), dtype=np.bool_)
            return ~geometry_mask([here], (bottom - top, width), Affine.translation(0, top))

        return rows


def intersection(first: StoredMask, second: StoredMask) -> StoredMask:
    """What both cover; objects are those of the first, cut."""
    a, b = first.target.mask, second.target.mask
    mask = mask_of_rows(first.info.size, lambda top, bottom: a[top:bottom] & b[top:bottom])
    return _kept(first, mask, f"{first.target.phrase} in {second.target.phrase}")


def difference(first: StoredMask, second: StoredMask) -> StoredMask:
    """What only the first covers; objects are those of the first, cut."""
    a, b = first.target.mask, second.target.mask
    mask = mask_of_rows(first.info.size, lambda top, bottom: a[top:bottom] & ~b[top:bottom])
    return _kept(first, mask, f"{first.target.phrase} outside {second.target.phrase}")


def union(first: StoredMask, second: StoredMask) -> StoredMask:
    """What either covers; an object of the second that lies mostly on the first is the same thing and counts once."""
    a, b = first.target.mask, second.target.mask
    mask = mask_of_rows(first.info.size, lambda top, bottom: a[top:bottom] | b[top:bottom])
    more = [one for one, common in _overlaps(second.pieces, a) if 2 * common <= one.area]
    phrase = f"{first.target.phrase} or {second.target.phrase}"
    score = min(first.target.score, second.target.score)
    return first.with_target(mask, [*first.pieces, *more], phrase=phrase, score=score)


def within(first: StoredMask, second: StoredMask, metres: float | None) -> Reach:
    """Objects of the first no farther than ``metres`` from the second, or more than half inside it (None)."""
    a, b = first.target.mask, second.target.mask
    if metres is None:
        near = [one for one, common in _overlaps(first.pieces, b) if 2 * common > one.area]
        phrase = f"{first.target.phrase} inside {second.target.phrase}"
        return Reach(of_objects(first, near, phrase), lambda top, bottom: a[top:bottom] & b[top:bottom])
    plane = GroundPlane(first.info)
    goal = plane.of_mask(b)
    away = distances(first.pieces, goal, plane)
    near = [one for one, distance in zip(first.pieces, away, strict=True) if distance <= metres + _TINY]
    reach = plane.drawn(shapely.buffer(goal, metres))
    phrase = f"{first.target.phrase} within {metres:g} {plane.unit} of {second.target.phrase}"
    return Reach(
        of_objects(first, near, phrase),
        lambda top, bottom: a[top:bottom] & (reach(top, bottom) | b[top:bottom]),
    )


def touching(first: StoredMask, second: StoredMask) -> StoredMask:
    """Objects of the first that touch or overlap the second, corners included."""
    parts, pieces = Parts(second.target.mask), first.pieces
    touched = {place for place in from_the_top(pieces) if parts.touches(pieces[place])}
    near = [one for place, one in enumerate(pieces) if place in touched]
    return of_objects(first, near, f"{first.target.phrase} touching {second.target.phrase}")


def distances(objects: Sequence[Instance], goal: BaseGeometry, plane: GroundPlane) -> NDArray[np.float64]:
    """From the edge of each object to the edge of ``goal``; 0 where they touch or overlap."""
    if not objects:
        return np.zeros(0)
    shapely.prepare(goal)
    return np.asarray(shapely.distance(np.array([plane.of_object(one) for one in objects], dtype=object), goal))


def buffered(stored: StoredMask, metres: float) -> StoredMask:
    """Everything within ``metres`` of a mask; a negative number takes that much off its edge."""
    plane = GroundPlane(stored.info)
    extent = np.abs(local_metric(stored.info, stored.info.width / 2, stored.info.height / 2)).sum(axis=0).max()
    if abs(metres) > 2 * extent * max(stored.info.size):
        raise GeoAgentError(f"{metres:g} {plane.unit} is more than the image is wide: choose a smaller distance")
    grown, own = plane.drawn(shapely.buffer(plane.of_mask(stored.target.mask), metres)), stored.target.mask

    def rows(top: int, bottom: int) -> Mask:
        drawn, before = grown(top, bottom), own[top:bottom]
        return drawn | before if metres >= 0 else drawn & before

    mask = mask_of_rows(stored.info.size, rows)
    return stored.with_target(mask, (), phrase=f"{stored.target.phrase} {metres:+g} {plane.unit}")


def of_objects(stored: StoredMask, objects: Sequence[Instance], phrase: str) -> StoredMask:
    """Some of the objects of a mask, as a mask of their own."""
    mask = mask_of_rows(stored.info.size, rows_of_objects(objects, stored.info.width))
    return stored.with_target(mask, objects, phrase=phrase)


def _kept(stored: StoredMask, mask: Mask, phrase: str) -> StoredMask:
    """What is left of a mask and its objects."""
    parts, pieces = Parts(mask), stored.pieces
    cut = {place: parts.cut(pieces[place]) for place in from_the_top(pieces)}
    objects = [one for place in range(len(pieces)) if (one := cut[place]) is not None]
    return stored.with_target(mask, objects, phrase=phrase)


def _overlaps(objects: Sequence[Instance], mask: Mask) -> list[tuple[Instance, int]]:
    """Each object with the number of its pixels that lie on a mask."""
    parts = Parts(mask)
    common = {place: parts.overlap(objects[place]) for place in from_the_top(objects)}
    return [(one, common[place]) for place, one in enumerate(objects)]
