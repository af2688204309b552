"""Photos that a camera stored lying down: EXIF says how to hold them, and people point at what they see."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoagent.types import Box, Mask

if TYPE_CHECKING:
    from geoagent.geo.sources import Source

_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
"""EXIF orientation -> whether rows and columns change places, and whether rows and columns are then reversed."""


def upright(source: "Source", orientation: int) -> "Source":
    """A source as EXIF wants it shown; one with a place on Earth is left alone, since its grid is the map's."""
    return TurnedSource(source, orientation) if orientation in _TURNS and source.crs is None else source


class TurnedSource:
    """Another source, turned or mirrored."""

    def __init__(self, source: "Source", orientation: int) -> None:
        self._source = source
        self._swapped, self._upside_down, self._mirrored = _TURNS[orientation]
        self.name, self.path, self.dtype, self.table = source.name, source.path, source.dtype, source.table
        self.height, self.width = self._sides(source.height, source.width)
        self.crs: str | None = None
        self.transform: tuple[float, float, float, float, float, float] | None = None
        self.nodata, self.lossy = source.nodata, source.lossy
        self.remarks = (*source.remarks, f"turned upright, as its EXIF orientation ({orientation}) says")

    def read(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> NDArray[np.generic]:
        """See `Source.read`."""
        return self._turned(self._source.read(bands, self._stored(window), self._stored_size(size)))

    def valid(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> Mask | None:
        """See `Source.valid`."""
        valid = self._source.valid(bands, self._stored(window), self._stored_size(size))
        return None if valid is None else self._turned(valid)

    def close(self) -> None:
        """See `Source.close`."""
        self._source.close()

    def _sides(self, height: int, width: int) -> tuple[int, int]:
        return (width, height) if self._swapped else (height, width)

    def _stored_size(self, size: tuple[int, int] | None) -> tuple[int, int] | None:
        return None if size is None else self._sides(*size)

    def _stored(self, window: Box) -> Box:
        """The same window in the file."""
        x0, y0, x1, y1 = window
        if self._mirrored:
            x0, x1 = self.width - x1, self.width - x0
        if self._upside_down:
            y0, y1 = self.height - y1, self.height - y0
        return (y0, x0, y1, x1) if self._swapped else (x0, y0, x1, y1)

    def _turned(self, values: NDArray[Any]) -> NDArray[Any]:
        """What was read, [...,h,w], as it is to be seen."""
        shown = values.swapaxes(-1, -2) if self._swapped else values
        shown = shown[..., ::-1, :] if self._upside_down else shown
        return np.ascontiguousarray(shown[..., ::-1] if self._mirrored else shown)
