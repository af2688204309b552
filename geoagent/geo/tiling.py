"""A large image as overlapping tiles, and one map of logits from what was said about each.

Along each side the tiles are spread evenly. Neighbours meet at a *cut* in the middle of their overlap; around it one
fades out as the other fades in, so that the weights of all tiles sum to 1 at every pixel. Blending is linear, and so is
bringing logits to the size of a tile: both are one product of small matrices, computed for any window of the image.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from geoagent.types import Box

OVERLAP = 1 / 8
"""Part of a tile that it shares with the next."""
_SEEN = 1e-6
"""Pixels with less weight from tiles that answered count as not looked at."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Axis:
    """Tiles along one side of an image."""

    length: int
    """Pixels of the image."""
    tile: int
    """Pixels of a tile; all of the image where it is no longer than that."""
    overlap: int
    """Pixels that neighbours share at least."""

    def __post_init__(self) -> None:
        if not 0 < self.tile <= self.length:
            raise ValueError(f"tiles of {self.tile} pixels do not fit into {self.length}")
        if not 2 <= self.overlap <= self.tile // 3 and self.tile < self.length:
            raise ValueError(f"an overlap of {self.overlap} pixels is not between 2 and a third of {self.tile}")

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First pixel of each tile."""
        if self.tile == self.length:
            return (0,)
        count = ceil((self.length - self.overlap) / (self.tile - self.overlap))
        return tuple(int(start) for start in np.linspace(0, self.length - self.tile, count).round())

    @cached_property
    def cuts(self) -> tuple[int, ...]:
        """Where the territories of the tiles begin, and the end of the last."""
        between = [
            (first + self.tile + second) // 2 for first, second in zip(self.starts, self.starts[1:], strict=False)
        ]
        return (0, *between, self.length)

    def territory(self, k: int) -> tuple[int, int]:
        """The pixels that lie nearer to the middle of tile ``k`` than to that of any other."""
        return self.cuts[k], self.cuts[k + 1]

    def reach(self, k: int) -> tuple[int, int]:
        """The pixels about which tile ``k`` has a say."""
        half = self.overlap // 2
        first, last = k == 0, k == len(self.starts) - 1
        return self.cuts[k] - (0 if first else half), self.cuts[k + 1] + (0 if last else half)

    def weights(self, k: int, start: int, stop: int) -> Floats:
        """Weight of tile ``k`` at the pixels ``start`` to ``stop``, float32 [stop-start]."""
        centres = np.arange(start, stop) + 0.5
        half = self.overlap // 2
        weight = ((centres > self.starts[k]) & (centres < self.starts[k] + self.tile)).astype(np.float32)
        if k > 0:
            weight *= np.clip((centres - self.cuts[k] + half) / (2 * half), 0.0, 1.0)
        if k < len(self.starts) - 1:
            weight *= np.clip((self.cuts[k + 1] + half - centres) / (2 * half), 0.0, 1.0)
        return weight

    def taps(self, k: int, start: int, stop: int, cells: int) -> Floats:
        """How the pixels ``start`` to ``stop`` mix the ``cells`` samples along tile ``k``: float32 [stop-start,cells].

        Linear between the middles of the samples, which lie as in `torch.nn.functional.interpolate` without
        ``align_corners``.
        """
        place = (np.arange(start, stop) + 0.5 - self.starts[k]) * cells / self.tile - 0.5
        place = np.clip(place, 0, cells - 1)
        return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(cells))).astype(np.float32)


@dataclass(frozen=True)
class Tile:
    """One tile of a grid, by its place in it."""

    row: int
    column: int
    window: Box
    """The pixels that a model is shown."""
    territory: Box
    """The pixels that belong to this tile and no other."""


@dataclass(frozen=True)
class TileGrid:
    """All tiles of an image."""

    down: Axis
    across: Axis

    @classmethod
    def cover(cls, size: tuple[int, int], side: int, *, max_aspect: float = np.inf) -> "TileGrid":
        """Tiles of ``side`` pixels over an image of ``size`` (height, width).

        Tiles of a narrow image are at most ``max_aspect`` times as long as it is wide.
        """
        longest = max(1, int(min(side, min(size) * max_aspect)))
        tiles = [min(longest, length) for length in size]
        return cls(
            *(Axis(length, tile, max(2, round(tile * OVERLAP))) for length, tile in zip(size, tiles, strict=True))
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return len(self.down.starts), len(self.across.starts)

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the image."""
        return self.down.length, self.across.length

    def tile(self, row: int, column: int) -> Tile:
        """The tile at a place of the grid."""
        top, left = self.down.starts[row], self.across.starts[column]
        (y0, y1), (x0, x1) = self.down.territory(row), self.across.territory(column)
        window = (left, top, left + self.across.tile, top + self.down.tile)
        return Tile(row, column, window, (x0, y0, x1, y1))

    def row(self, row: int) -> tuple[Tile, ...]:
        """The tiles of a row from left to right."""
        return tuple(self.tile(row, column) for column in range(self.shape[1]))

    def rows_about(self, row: int) -> range:
        """The rows of tiles that have a say in the territory of row ``row``."""
        return range(max(0, row - 1), min(self.shape[0], row + 2))

    def neighbours(self, tile: Tile) -> Iterator[tuple[int, int]]:
        """Row and column of every tile with a say in the territory of ``tile``, itself included."""
        for row in self.rows_about(tile.row):
            for column in range(max(0, tile.column - 1), min(self.shape[1], tile.column + 2)):
                yield row, column


def blend(grid: TileGrid, window: Box, parts: Iterable[tuple[int, int, Floats]]) -> tuple[Floats, NDArray[np.bool_]]:
    """One map from the logits of several tiles.

    Args:
        grid: The tiles.
        window: Where in the image.
        parts: Row and column of each tile that answered, with its logits [h,w] at whatever resolution.

    Returns:
        Logits float32 [H,W] of the window, and bool [H,W] of the pixels that any of the tiles looked at.
    """
    x0, y0, x1, y1 = window
    total = np.zeros((y1 - y0, x1 - x0), dtype=np.float32)
    weight = np.zeros_like(total)
    for row, column, logits in parts:
        (top, bottom), (left, right) = grid.down.reach(row), grid.across.reach(column)
        top, bottom, left, right = max(top, y0), min(bottom, y1), max(left, x0), min(right, x1)
        if top >= bottom or left >= right:
            continue
        part = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
        down, across = grid.down.weights(row, top, bottom), grid.across.weights(column, left, right)
        mix_down = grid.down.taps(row, top, bottom, logits.shape[0]) * down[:, None]
        mix_across = grid.across.taps(column, left, right, logits.shape[1]) * across[:, None]
        total[part] += mix_down @ logits @ mix_across.T
        weight[part] += down[:, None] * across
    seen = weight > _SEEN
    np.divide(total, weight, out=total, where=seen)
    return total, seen
