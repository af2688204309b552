"""The middle line of elongated things: roads, rivers, ships, runways."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry import LineString
from skimage.morphology import skeletonize

from geoagent.types import Mask

Pixel = tuple[int, int]
Links = dict[Pixel, list[Pixel]]

_SMOOTH = 1.0
"""Pixels by which a line may leave the skeleton: the steps of a diagonal are up to 8 % too long."""
_SPUR = 1.5
"""A branch shorter than this many half-widths is a corner of the thing, not an arm of it."""


class MiddleLine:
    """Polylines along the middle of a mask, from edge to edge."""

    def __init__(self, mask: Mask) -> None:
        """``mask`` is bool [h,w]; pixels outside of it count as background."""
        self._mask = np.pad(mask, 1)
        self._reach: NDArray[np.float64] = np.asarray(ndimage.distance_transform_edt(self._mask)) - 0.5
        self._links = _link(skeletonize(self._mask))
        while self._prune():
            pass

    def lines(self) -> list[NDArray[np.float64]]:
        """Each branch as (x, y) pixel coordinates [N,2] of the mask, straightened; none where all is one blob."""
        found = []
        for path in _branches(self._links):
            points = np.array(path, dtype=np.float64)
            starts_free, ends_free = (len(self._links[pixel]) == 1 for pixel in (path[0], path[-1]))
            if starts_free:
                points = self._to_edge(points[::-1])[::-1]
            if ends_free:
                points = self._to_edge(points)
            if len(points) > 1:
                straight = LineString(points[:, ::-1] - 0.5).simplify(_SMOOTH, preserve_topology=False)
                found.append(np.asarray(straight.coords))
        return found

    def _to_edge(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """A line (row, column) [N,2] whose end, which often turns into a corner, goes straight to the edge instead."""
        if len(points) < 2:
            return points[:0]
        steps = np.hypot(*np.diff(points, axis=0).T)
        from_end = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])
        reach = self._reach[points[:, 0].astype(int), points[:, 1].astype(int)]
        body = np.flatnonzero(from_end >= _SPUR * reach)
        if body.size < 2:
            return points[:0]
        last = int(body[-1])
        earlier = np.flatnonzero(from_end >= from_end[last] + 2 * reach[last])
        direction = points[last] - points[int(earlier[-1]) if earlier.size else 0]
        direction /= np.hypot(*direction)
        beyond = points[last] + np.arange(0.5, 6 * reach[last] + 2, 0.25)[:, None] * direction
        rows, columns = np.clip(np.floor(beyond + 0.5).astype(int), 0, np.array(self._mask.shape) - 1).T
        outside = np.flatnonzero(~self._mask[rows, columns])
        return np.vstack([points[: last + 1], beyond[outside[0] if outside.size else -1]])

    def _prune(self) -> bool:
        """Take away the spurs that run from forks into corners; whether there were any.

        A fork at the end of a thing loses both: the line ends there, half a width before the end. One that is nothing
        but spurs, the middle of a blob, stays.
        """
        spurs: dict[Pixel, list[list[Pixel]]] = defaultdict(list)
        for path in _branches(self._links):
            end, fork = sorted((path[0], path[-1]), key=lambda pixel: len(self._links[pixel]))
            ends_free = len(self._links[end]) == 1 and len(self._links[fork]) > 2
            if ends_free and len(path) - 1 <= _SPUR * self._reach[fork]:
                spurs[fork].append([pixel for pixel in path if pixel != fork])
        cut = [
            pixel for fork, paths in spurs.items() if len(paths) < len(self._links[fork]) for p in paths for pixel in p
        ]
        for pixel in cut:
            for near in self._links.pop(pixel):
                self._links[near].remove(pixel)
        return bool(cut)


def _link(skeleton: Mask) -> Links:
    """Neighbours of each skeleton pixel; a diagonal counts only where no straight way leads round the corner."""
    pixels = {(int(row), int(column)) for row, column in np.argwhere(skeleton)}
    links: Links = {}
    for row, column in pixels:
        straight = [(row + dr, column + dc) for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        near = [pixel for pixel in straight if pixel in pixels]
        for dr, dc in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            if (row + dr, column + dc) in pixels and not {(row + dr, column), (row, column + dc)} & pixels:
                near.append((row + dr, column + dc))
        links[row, column] = near
    return links


def _branches(links: Links) -> list[list[Pixel]]:
    """Chains of pixels between ends and forks; closed rings start anywhere."""
    seen: set[tuple[Pixel, Pixel]] = set()
    paths = []
    knots = [pixel for pixel, near in links.items() if len(near) not in (0, 2)]
    for start in [*knots, *links]:
        for step in links[start]:
            if (start, step) in seen:
                continue
            path = [start, step]
            while len(links[path[-1]]) == 2 and path[-1] != start:
                first, second = links[path[-1]]
                path.append(second if first == path[-2] else first)
            seen.update(pairwise(path))
            seen.update(pairwise(reversed(path)))
            paths.append(path)
    return paths
