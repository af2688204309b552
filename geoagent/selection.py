"""Which objects of the whole image are meant: the conditions of a plan, judged on all that were found."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import shape

from geoagent.colours import is_called
from geoagent.geo.georef import WGS84, has_place, image_to_lonlat, is_measurable, pixel_areas
from geoagent.geo.mask_file import UNSEEN, Ids
from geoagent.geo.seams import Things
from geoagent.plan import SINGLING, Condition, Query
from geoagent.types import Box, GeoAgentError, ImageInfo, Pixels

_CLOSE = 0.04
"""Near means within this part of the longer side of a tile's view …"""
_NEAR_M = 50.0
"""… but at most so far, where metres are known."""
_ON = 0.5
"""An object is on something that this part of its rim touches or covers."""
_SIZE_GAP = 1.3
"""Large and small part at the widest gap between areas, if it is a gap at all; otherwise at the median."""
_PIECE = 1024
"""Rows that outlines are taken of at once."""

Floats = NDArray[np.float64]
Chosen = NDArray[np.intp]


class Place:
    """Positions on a flat map about the middle of the image, in metres (in pixels where no scale is known)."""

    def __init__(self, info: ImageInfo) -> None:
        self.info = info
        self._to_local: Transformer | None = None
        if has_place(info):
            longitude, latitude = (float(v) for v in image_to_lonlat(info, info.width / 2, info.height / 2))
            if abs(latitude) <= 90 and np.isfinite(longitude):  # else the place that is given is none on Earth
                local = f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
                self._to_local = Transformer.from_crs(WGS84, local, always_xy=True)

    def local(self, points: Floats) -> Floats:
        """Pixel coordinates [N,2] to east and north [N,2]."""
        if self._to_local is None:
            return points * np.array([1.0, -1.0]) * (self.info.gsd_m or 1.0)
        longitude, latitude = image_to_lonlat(self.info, points[:, 0], points[:, 1])
        return np.stack(self._to_local.transform(longitude, latitude), axis=1)


Blocks = Callable[[int], Iterable[tuple[int, int, Ids]]]
"""A raster of labels in pieces of so many rows: first column and row of each, and its labels [h,w]."""
Look = Callable[[Box], Pixels]


class SceneObjects:
    """The objects of one phrase, with what conditions need to know of them.

    Args:
        things: Their numbers, areas, boxes, centres and scores.
        labels: Where they are.
        place: Where the image lies.
        look: The image in the window of such a piece, for conditions on colours.
    """

    def __init__(self, things: Things, labels: Blocks, place: Place, look: Look | None = None) -> None:
        self.things, self.labels, self.place, self._look = things, labels, place, look

    def __len__(self) -> int:
        return len(self.things)

    @cached_property
    def areas(self) -> Floats:
        """[N] m², or pixels where no scale is known."""
        pixels = self.things.area.astype(np.float64)
        if not is_measurable(self.place.info) or not len(self):
            return pixels
        x, y = self.things.centres.T
        return pixels * pixel_areas(self.place.info, x, y)

    @cached_property
    def positions(self) -> Floats:
        """[N,2] east and north of the centres."""
        return self.place.local(self.things.centres)

    @cached_property
    def pieces(self) -> tuple[NDArray[np.object_], Chosen]:
        """Outlines of all objects in pieces, on the map of `Place`, and which object each belongs to."""
        drawn, owners = [], []
        for left, top, number in self._numbered():
            found = shapes(number, mask=number > 0, connectivity=4, transform=Affine.translation(left, top))
            for polygon, owner in found:
                drawn.append(shape(polygon))
                owners.append(int(owner) - 1)
        placed = shapely.transform(np.array(drawn, dtype=object), self.place.local)
        return placed, np.array(owners, dtype=np.intp)

    @cached_property
    def colours(self) -> Floats:
        """[N,3] RGB, 0…255: the median of an object's pixels, of one in several pieces the mean of theirs."""
        if self._look is None:
            raise ValueError("colours are asked for, and there is nothing to look at: see Query.as_seen")
        total, seen = np.zeros((len(self), 3)), np.zeros((len(self), 1))
        for left, top, number in self._numbered():
            pixels = self._look((left, top, left + number.shape[1], top + len(number)))
            for owner, window in enumerate(ndimage.find_objects(number)):
                if window is not None:
                    inside = number[window] == owner + 1
                    total[owner] += np.median(pixels[window][inside], axis=0) * inside.sum()
                    seen[owner] += inside.sum()
        return total / np.maximum(seen, 1)

    def _numbered(self) -> Iterator[tuple[int, int, NDArray[np.int32]]]:
        """The pieces of the raster that show objects, with their numbers."""
        for left, top, ids in self.labels(_PIECE):
            number = self.things.number[np.where(ids == UNSEEN, 0, ids)].astype(np.int32)
            if number.any():
                yield left, top, number

    def shapes_of(self, chosen: Chosen) -> tuple[NDArray[np.object_], Chosen]:
        """The pieces of some objects, and for each its place in ``chosen``."""
        pieces, owners = self.pieces
        where = np.full(len(self) + 1, -1, dtype=np.intp)
        where[chosen] = np.arange(len(chosen))
        kept = where[owners] >= 0
        return pieces[kept], where[owners[kept]]

    def outlines_of(self, chosen: Chosen) -> NDArray[np.object_]:
        """[n] the outline of each of some objects, without the lines along which it was cut."""
        pieces, owners = self.shapes_of(chosen)
        order = np.argsort(owners, kind="stable")
        groups = np.split(pieces[order], np.flatnonzero(np.diff(owners[order])) + 1)
        return np.array([shapely.union_all(group) for group in groups], dtype=object)


class Selection:
    """Judges the conditions of queries.

    Args:
        objects: What was found, by the noun that was looked for.
        place: Where it lies.
        view_side: Pixels of a look: what is near in a picture of that size is near.
    """

    def __init__(self, objects: Mapping[str, SceneObjects], place: Place, view_side: int) -> None:
        self.objects, self.place, self.info = objects, place, place.info
        reach = _CLOSE * view_side * (self.info.gsd_m or 1.0)
        self._reach = min(reach, _NEAR_M) if is_measurable(self.info) else reach
        self._step = 1.5 * (self.info.gsd_m or 1.0) if is_measurable(self.info) else 1.5
        self.remarks: list[str] = []

    def choose(self, query: Query) -> Chosen:
        """The objects that a query means, largest first."""
        chosen = np.arange(len(self.objects[query.noun]), dtype=np.intp)
        for condition in sorted(query.conditions, key=lambda c: c.kind in SINGLING):
            if not len(chosen):
                break
            chosen = np.sort(chosen[self._judge(self.objects[query.noun], chosen, condition)])
        return chosen

    def _judge(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_] | Chosen:
        judges: Mapping[str, Callable[[SceneObjects, Chosen, Condition], NDArray[np.bool_] | Chosen]] = {
            "extreme": self._extreme,
            "central": self._central,
            "largest": lambda o, c, k: np.argsort(-o.areas[c], kind="stable")[: k.count],
            "smallest": lambda o, c, k: np.argsort(o.areas[c], kind="stable")[: k.count],
            "region": self._region,
            "edge": self._edge,
            "large": lambda o, c, k: o.areas[c] >= _size_limit(o.areas[c]),
            "small": lambda o, c, k: o.areas[c] < _size_limit(o.areas[c]),
            "above": lambda o, c, k: self._sizes(o, c, k) > k.amount,
            "below": lambda o, c, k: self._sizes(o, c, k) < k.amount,
            "beside": self._beside,
            "near": lambda o, c, k: self._gaps(o, c, k) <= self._reach,
            "along": lambda o, c, k: self._gaps(o, c, k) <= self._reach,
            "nearest": lambda o, c, k: _closest(self._gaps(o, c, k), k.count),
            "within": lambda o, c, k: self._gaps(o, c, k) <= self._metres(k),
            "beyond": lambda o, c, k: self._gaps(o, c, k) > self._metres(k),
            "on": self._on,
            "between": self._between,
            "of": self._of,
            "colour": self._colour,
            "only": lambda o, c, k: np.argsort(-o.things.scores[c], kind="stable")[: k.count],
        }
        return judges[condition.kind](objects, chosen, condition)

    # -------------------------------------------------------------------------------------------- in the image

    def _towards(self, objects: SceneObjects, chosen: Chosen, side: str) -> Floats:
        """[n] how far objects lie towards a side."""
        x, y = objects.things.centres[chosen].T
        plain = {"left": -x, "right": x, "top": -y, "bottom": y, "upper": -y, "lower": y}
        if side in plain:
            return np.asarray(plain[side])
        self._north()
        east, north = objects.positions[chosen].T
        return {"west": -east, "east": east, "north": north, "south": -north}[side]

    def _north(self) -> None:
        remark = "the image has no place on Earth: its top is taken as north"
        if not has_place(self.info) and remark not in self.remarks:
            self.remarks.append(remark)

    def _extreme(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> Chosen:
        return np.argsort(-self._towards(objects, chosen, condition.side), kind="stable")[: condition.count]

    def _central(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> Chosen:
        off = objects.things.centres[chosen] - np.array([self.info.width, self.info.height]) / 2
        return np.argsort(np.hypot(*off.T), kind="stable")[: condition.count]

    def _region(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        """By the middle of each object."""
        across, down = (objects.things.centres[chosen] / np.array([self.info.width, self.info.height])).T
        if condition.part == "middle":
            return np.asarray((np.abs(across - 0.5) <= 0.2) & (np.abs(down - 0.5) <= 0.2))
        limit = 1 / 3 if condition.part == "third" else 1 / 2
        inside = np.ones(len(chosen), dtype=np.bool_)
        for side in condition.side.replace("-", " ").split():
            inside &= self._share_from(objects, chosen, side, across, down) <= limit
        return inside

    def _share_from(
        self, objects: SceneObjects, chosen: Chosen, side: str, across: Floats, down: Floats
    ) -> NDArray[np.float64]:
        """How far objects lie from a side, as a part of the image's extent in that direction."""
        plain = {"left": across, "right": 1 - across, "top": down, "upper": down, "bottom": 1 - down, "lower": 1 - down}
        if side in plain:
            return np.asarray(plain[side])
        self._north()
        w, h = self.info.width, self.info.height
        corners = self.place.local(np.array([(0, 0), (w, 0), (w, h), (0, h)], dtype=np.float64))
        axis = 0 if side in ("east", "west") else 1
        low, high = corners[:, axis].min(), corners[:, axis].max()
        share = (objects.positions[chosen, axis] - low) / (high - low)
        return np.asarray(1 - share if side in ("east", "north") else share)

    def _edge(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        x0, y0, x1, y1 = objects.things.boxes[chosen].T
        return np.asarray((x0 <= 0) | (y0 <= 0) | (x1 >= self.info.width) | (y1 >= self.info.height))

    def _sizes(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> Floats:
        if condition.unit == "px":
            return objects.things.area[chosen].astype(np.float64)
        check_scale(self.info, condition.unit)
        return np.asarray(objects.areas[chosen])

    def _colour(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        return is_called(objects.colours[chosen], condition.side)

    def _metres(self, condition: Condition) -> float:
        check_scale(self.info, condition.unit)
        scale = self.info.gsd_m or 1.0
        return condition.amount * (scale if condition.unit == "px" else 1.0)

    # ---------------------------------------------------------------------------------------------- to others

    def _anchor(self, query: Query) -> tuple[SceneObjects, Chosen]:
        chosen = self.choose(query)
        if not len(chosen):
            self.remarks.append(f"no {query.noun} were found, so nothing could be told by where they are")
        return self.objects[query.noun], chosen

    def _gaps(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> Floats:
        """[n] distance from edge to edge to the closest anchor; infinite where there is none."""
        return self._between_edges(objects, chosen, *self._anchor(condition.anchors[0]))

    def _of(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        """Parts that touch a whole which is meant, and no other one more closely."""
        others, which = self._anchor(condition.anchors[0])
        rest = np.setdiff1d(np.arange(len(others), dtype=np.intp), which)
        gaps = self._between_edges(objects, chosen, others, which)
        return np.asarray((gaps <= self._step) & (gaps <= self._between_edges(objects, chosen, others, rest)))

    def _between_edges(self, objects: SceneObjects, chosen: Chosen, others: SceneObjects, which: Chosen) -> Floats:
        gaps = np.full(len(chosen), np.inf)
        anchors, _ = others.shapes_of(which)
        pieces, owners = objects.shapes_of(chosen)
        if len(anchors) and len(pieces):
            tree = shapely.STRtree(anchors)
            nearest, distance = tree.query_nearest(pieces, return_distance=True, all_matches=False)
            np.minimum.at(gaps, owners[nearest[0]], distance)
        return gaps

    def _on(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        """What covers or surrounds: a road is not seen under a car, so the rim of the car decides."""
        others, which = self._anchor(condition.anchors[0])
        anchors, _ = others.shapes_of(which)
        if not len(anchors):
            return np.zeros(len(chosen), dtype=np.bool_)
        lines = shapely.boundary(shapely.buffer(objects.outlines_of(chosen), self._step))
        line, anchor = shapely.STRtree(anchors).query(lines, predicate="intersects")
        covered = np.zeros(len(chosen))
        np.add.at(covered, line, shapely.length(shapely.intersection(lines[line], anchors[anchor])))
        return np.asarray(covered >= _ON * np.maximum(shapely.length(lines), 1e-9))

    def _beside(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        """Wholly beyond that side of the anchor, or of the nearest where there are several."""
        others, which = self._anchor(condition.anchors[0])
        if not len(which):
            return np.zeros(len(chosen), dtype=np.bool_)
        if condition.side in ("left", "right", "top", "bottom"):
            mine, theirs = objects.things.boxes[chosen].astype(float), others.things.boxes[which].astype(float)
        else:
            self._north()
            mine, theirs = self._ground_boxes(objects, chosen), self._ground_boxes(others, which)
        centres = (mine[:, None, :2] + mine[:, None, 2:] - theirs[None, :, :2] - theirs[None, :, 2:]) / 2
        anchor = theirs[np.argmin(np.hypot(centres[..., 0], centres[..., 1]), axis=1)]
        axis, sign = _DIRECTIONS[condition.side]
        beyond = mine[:, axis + 2] <= anchor[:, axis] if sign < 0 else mine[:, axis] >= anchor[:, axis + 2]
        return np.asarray(beyond)

    def _ground_boxes(self, objects: SceneObjects, chosen: Chosen) -> Floats:
        """[n,4] west, south, east, north of the boxes."""
        x0, y0, x1, y1 = objects.things.boxes[chosen].astype(np.float64).T
        corners = [self.place.local(np.stack(c, axis=1)) for c in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        stacked = np.stack(corners)
        return np.concatenate([stacked.min(axis=0), stacked.max(axis=0)], axis=1)

    def _between(self, objects: SceneObjects, chosen: Chosen, condition: Condition) -> NDArray[np.bool_]:
        """In the middle of the way between the two anchors (the largest of each), and close to it."""
        ends = []
        for query in condition.anchors:
            others, which = self._anchor(query)
            if not len(which):
                return np.zeros(len(chosen), dtype=np.bool_)
            ends.append(others.things.centres[which[0]])
        way = ends[1] - ends[0]
        offset = objects.things.centres[chosen] - ends[0]
        length = max(float(way @ way), 1e-9)
        forward = offset @ way / length
        aside = np.abs(way[0] * offset[:, 1] - way[1] * offset[:, 0]) / length
        return np.asarray((forward > 0.1) & (forward < 0.9) & (aside <= 0.3))


_DIRECTIONS: Mapping[str, tuple[int, int]] = {
    "left": (0, -1), "right": (0, 1), "top": (1, -1), "bottom": (1, 1),
    "west": (0, -1), "east": (0, 1), "south": (1, -1), "north": (1, 1),
}  # fmt: skip
"""Axis and sign: rows grow downwards, north grows upwards."""


def check_scale(info: ImageInfo, unit: str) -> None:
    """Raise where metres are asked of an image that has no scale."""
    if unit in ("m", "m2") and not is_measurable(info):
        raise GeoAgentError("metres were asked for, but the image has no ground size: give it (gsd_m, --gsd)")


def _closest(gaps: Floats, count: int) -> Chosen:
    order = np.argsort(gaps, kind="stable")
    return order[np.isfinite(gaps[order])][:count]


def _size_limit(areas: Floats) -> float:
    """The area from which on an object is large."""
    ordered = np.sort(areas)
    if len(ordered) < 2:
        return 0.0
    ratios = ordered[1:] / np.maximum(ordered[:-1], 1e-9)
    widest = int(np.argmax(ratios))
    return float(ordered[widest + 1]) if ratios[widest] >= _SIZE_GAP else float(np.median(ordered))
