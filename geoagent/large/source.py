"""What a large image has to offer: windows of it, each with the stretch of the whole."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from geoagent.geo.raster import Raster
from geoagent.types import Box, ImageInfo

OVERVIEW_SIDE = 1024
"""Longer side of the picture of the whole that says what to look for."""


class Windows(Protocol):
    """An image that is read by windows: `geoagent.geo.raster.Scene`, or `HeldImage`."""

    info: ImageInfo

    def read(self, window: Box | None = None, size: tuple[int, int] | None = None) -> Raster:
        """A window (x0, y0, x1, y1), at its own size or reduced to ``size`` (height, width)."""


class HeldImage:
    """An image that was read whole already."""

    def __init__(self, raster: Raster) -> None:
        self.raster = raster
        self.info = raster.info

    def read(self, window: Box | None = None, size: tuple[int, int] | None = None) -> Raster:
        """See `Windows.read`."""
        x0, y0, x1, y1 = window or (0, 0, self.info.width, self.info.height)
        height, width = size or (y1 - y0, x1 - x0)
        rows = y0 + ((np.arange(height) + 0.5) * (y1 - y0) / height).astype(np.intp)
        columns = x0 + ((np.arange(width) + 0.5) * (x1 - x0) / width).astype(np.intp)
        part = np.ix_(rows, columns)
        valid = None if self.raster.valid is None else self.raster.valid[part]
        info = replace(self.info, width=width, height=height)
        return Raster(pixels=self.raster.pixels[part], valid=valid, info=info)


def overview(scene: Windows, max_aspect: float) -> Raster:
    """All of an image in one small picture; a very long one is squeezed."""
    height, width = scene.info.size
    scale = min(1.0, OVERVIEW_SIDE / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    least = max(1, round(max(rows, columns) / max_aspect))
    return scene.read(size=(max(rows, least), max(columns, least)))


def fingerprint(picture: Raster, info: ImageInfo) -> dict[str, Any]:
    """What tells one image from another, for a run that is to go on with the same."""
    about: dict[str, Any] = {
        "size": list(info.size),
        "crs": info.crs,
        "transform": info.transform,
        "bands": list(info.bands),
        "stretch": info.stretch,
        "window": info.extra.get("window"),
        "overview": hashlib.sha256(picture.pixels.tobytes()).hexdigest(),
    }
    if info.path is not None and Path(info.path).is_file():
        about["file"] = [Path(info.path).name, Path(info.path).stat().st_size]
    return about
