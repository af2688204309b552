"""Masks too large to hold: rasters on disk, written row by row and read by window."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray
from rasterio.windows import Window

from geoagent.geo.georef import affine_of, has_place
from geoagent.geo.opening import bounded_cache, reading
from geoagent.types import Box, ImageInfo, Mask

UNSEEN = int(np.iinfo(np.uint32).max)
"""In rasters of ids: not looked at."""
BLOCK = 256
_PIECE = 8 * BLOCK
"""Columns that are written or read at once."""
_STRIP = 4 << 20
"""Pixels of whole rows that are read at once where a mask is gone through."""

Ids = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class MaskFile(NDArrayOperatorsMixin):
    """A part of a raster of ids as a mask: on where ``low <= id <= high``.

    It answers to what is asked of a bool array [H,W] (shape, slices, ``any``, ``sum``, arithmetic), reading no more
    than that needs; ``np.asarray`` reads all of it.
    """

    path: Path
    window: Box
    low: int = 1
    high: int = UNSEEN - 1
    count: int | None = None
    """Number of pixels that are on, where it is known."""
    keep: object = field(default=None, repr=False)
    """Whatever must live as long as the file is needed, such as its temporary folder."""

    ndim = 2
    dtype = np.dtype(np.bool_)

    @property
    def shape(self) -> tuple[int, int]:
        """``(H, W)``."""
        x0, y0, x1, y1 = self.window
        return y1 - y0, x1 - x0

    @property
    def size(self) -> int:
        """Number of pixels, on or off."""
        return self.shape[0] * self.shape[1]

    def read(self, window: Box) -> Mask:
        """bool [h,w] of the window (x0, y0, x1, y1), counted from the corner of this mask."""
        x0, y0, x1, y1 = window
        left, top = self.window[:2]
        with reading(str(self.path)), rasterio.open(self.path) as raster:
            ids: Ids = raster.read(1, window=Window(left + x0, top + y0, x1 - x0, y1 - y0))
        return np.asarray((ids >= self.low) & (ids <= self.high))

    def strips(self) -> Iterator[tuple[Box, Mask]]:
        """All of it, some rows at a time: the window, and bool [h,w]."""
        height, width = self.shape
        step = self._rows_at_once
        for y in range(0, height, step):
            window = (0, y, width, min(height, y + step))
            yield window, self.read(window)

    @property
    def _rows_at_once(self) -> int:
        return max(1, _STRIP // max(1, self.shape[1]) // BLOCK) * BLOCK

    def any(self, axis: int | None = None) -> Any:
        """As that of an array."""
        if axis is None:
            return bool(self.count) if self.count is not None else any(bool(strip.any()) for _, strip in self.strips())
        if axis == 1:
            return np.concatenate([strip.any(axis=1) for _, strip in self.strips()])
        columns = np.zeros(self.shape[1], dtype=np.bool_)
        for _, strip in self.strips():
            columns |= strip.any(axis=0)
        return columns

    def all(self) -> bool:
        """As that of an array."""
        return self.sum() == self.size

    def sum(self) -> int:
        """Number of pixels that are on."""
        if self.count is not None:
            return self.count
        return sum(int(np.count_nonzero(strip)) for _, strip in self.strips())

    def __getitem__(self, key: Any) -> Any:
        rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if not (isinstance(rows, slice) and isinstance(columns, slice)):
            return np.asarray(self)[key]
        y0, y1, step_y = rows.indices(self.shape[0])
        x0, x1, step_x = columns.indices(self.shape[1])
        if step_x < 0 or step_y < 0 or x1 <= x0 or y1 <= y0:
            return np.asarray(self)[key]
        rows_at_once = max(1, self._rows_at_once // step_y) * step_y
        strips = (self.read((x0, y, x1, min(y1, y + rows_at_once))) for y in range(y0, y1, rows_at_once))
        return np.concatenate([strip[::step_y, ::step_x] for strip in strips])

    def astype(self, dtype: Any) -> NDArray[Any]:
        """As that of an array: all of it."""
        return np.asarray(self).astype(dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self.read((0, 0, self.shape[1], self.shape[0]))
        return whole if dtype is None else whole.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [np.asarray(value) if isinstance(value, MaskFile) else value for value in inputs]
        return getattr(ufunc, method)(*arrays, **options)


class IdWriter:
    """Writes a raster of ids from the top down into a tiled, compressed GeoTIFF on the grid of an image.

    It comes in rows of pieces, each row from left to right. Only whole blocks go to the file, so that none is ever
    compressed twice, and less than one row of them is held.
    """

    def __init__(self, path: Path, info: ImageInfo) -> None:
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "width": info.width,
            "height": info.height,
            "count": 1,
            "dtype": "uint32",
            "compress": "deflate",
            "zlevel": 1,
            "nodata": UNSEEN,
            "bigtiff": "if_safer",
        }
        self._across = info.width
        """Columns that are written together: those of a block, or of the strips of a small raster."""
        if info.width > BLOCK and info.height > BLOCK:
            profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
            self._across = BLOCK
        if has_place(info):
            profile |= {"crs": info.crs, "transform": affine_of(info)}
        with reading(str(path)):
            self._out = rasterio.open(path, "w", **profile)
        self._size = info.size
        self._row = 0
        self._below = np.zeros((BLOCK, info.width), dtype=np.uint32)
        """The rows that wait for the rest of their blocks."""
        self._waiting = 0
        self._column = 0
        self._beside: Ids = np.zeros((0, 0), dtype=np.uint32)
        """The columns that wait for the rest of theirs, with the rows above them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()

    def write(self, ids: Ids) -> None:
        """The next rows, uint32 [h,W]."""
        for left in range(0, ids.shape[1], _PIECE):
            self.put(ids[:, left : left + _PIECE])

    def put(self, ids: Ids) -> None:
        """The next piece of a row of pieces, uint32 [h,w]; a row of pieces ends with the last column of the raster."""
        start, stop = self._column - self._beside.shape[1], self._column + ids.shape[1]
        piece = np.concatenate([self._below[: self._waiting, self._column : stop], ids])
        if self._beside.size:
            piece = np.concatenate([self._beside, piece], axis=1)
        height, width = self._size
        last_row = self._row + len(piece) == height
        rows = len(piece) if last_row else len(piece) // BLOCK * BLOCK
        columns = piece.shape[1] if stop == width else stop // self._across * self._across - start
        if rows and columns > 0:
            with bounded_cache():
                self._out.write(piece[:rows, :columns], 1, window=Window(start, self._row, columns, rows))
        if columns > 0:
            self._below[: len(piece) - rows, start : start + columns] = piece[rows:, :columns]
        self._column, self._beside = stop, piece[:, max(columns, 0) :].copy()
        if stop == width:
            self._row, self._waiting, self._column = self._row + rows, len(piece) - rows, 0


def read_ids(path: Path, rows: int = BLOCK, columns: int = _PIECE) -> Iterator[tuple[int, int, Ids]]:
    """A raster of ids in pieces, rows of them from left to right: the first column and row of each, uint32 [h,w]."""
    with reading(str(path)):
        raster = rasterio.open(path)
    with raster:
        for top in range(0, raster.height, rows):
            height = min(rows, raster.height - top)
            for left in range(0, raster.width, columns):
                window = Window(left, top, min(columns, raster.width - left), height)
                with reading(str(path)):
                    ids = raster.read(1, window=window)
                yield left, top, ids
