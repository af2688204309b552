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
    """Polylines along the middle of a mask, and how far the mask goes on beyond their free ends."""

    def __init__(self, mask: Mask) -> None:
        """``mask`` is bool [h,w]; pixels outside of it count as background."""
        padded = np.pad(mask, 1)
        self._reach: NDArray[np.float64] = np.asarray(ndimage.distance_transform_edt(padded)) - 0.5
        self._links = _link(skeletonize(padded))
        while self._prune():
            pass

    def lines(self) -> list[NDArray[np.float64]]:
        """Each branch as (x, y) pixel coordinates [N,2] of the mask, straightened."""
        found = []
        for path in _branches(self._links):
            points = np.array([(column - 0.5, row - 0.5) for row, column in path])
            straight = LineString(points).simplify(_SMOOTH, preserve_topology=False)
            found.append(np.asarray(straight.coords))
        return found

    def beyond(self) -> float:
        """Pixels from the free ends of the lines to the edge of the mask, added up."""
        return float(sum(self._reach[pixel] * (2 - len(near)) for pixel, near in self._links.items() if len(near) < 2))

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
