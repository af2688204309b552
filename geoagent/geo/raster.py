"""Reading: any image becomes uint8 [H,W,3] with a record of where it lies and how it was shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoagent.geo.bands import Bands, choose_bands
from geoagent.geo.georef import as_transform, ground_size
from geoagent.geo.region import Region, window_of
from geoagent.geo.sources import Source, open_source
from geoagent.geo.stretch import Collar, find_collar, find_limits, given_limits, to_eight_bits
from geoagent.types import Box, GeoAgentError, ImageInfo, Mask, Pixels, Sample, check_mask

Stretch = Literal["auto", "none"] | Sequence[Sequence[float]]
"""``auto``: 8-bit values as they are, everything else from 2 % to 98 %; ``none``: cut to 0-255; or limits."""

OVERVIEW_SIDE = 1024
"""Longer side of the overview that limits and collars are read from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """An image as the model sees it."""

    pixels: Pixels
    """uint8 [H,W,3]."""
    valid: Mask | None
    """bool [H,W]: pixels that hold a picture; None: all of them."""
    info: ImageInfo

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.shape != (*self.info.size, 3):
            raise ValueError(f"Raster.pixels {self.pixels.shape} does not fit the image {self.info.size}")
        if self.valid is not None:
            check_mask(self.valid, "Raster.valid")


def picture_of(sample: Sample) -> Raster:
    """The image of a sample with what is known of its place and scale: an answer in metres needs them."""
    height, width = sample.image.shape[:2]
    return Raster(pixels=sample.image, valid=None, info=sample.info or ImageInfo(width=width, height=height))


class Scene:
    """An open image: windows of it, all with the bands and the stretch of the whole.

    Use as a context manager. `info` describes the region (the whole image without one), and windows count from there.
    """

    def __init__(
        self,
        source: Any,
        *,
        bands: Bands | None = None,
        region: Region | None = None,
        gsd_m: float | None = None,
        stretch: Stretch | None = None,
        transform: Any = None,
        crs: Any = None,
        nodata: float | None = None,
    ) -> None:
        if gsd_m is not None and not 0 < gsd_m < 1e6:
            raise GeoAgentError(f"a ground size of {gsd_m:g} m is impossible: give the metres of one pixel")
        self._source: Source = open_source(
            source, transform=transform, crs=crs, nodata=nodata, gsd_given=gsd_m is not None
        )
        try:
            self.bands, self.bands_from = choose_bands(self._source.table, bands)
            self._window, self._inside = window_of(region, self._source)
            self._collar, limits = self._survey(stretch)
            self.info = self._describe(gsd_m, limits)
        except GeoAgentError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self._source.close()

    def read(self, window: Box | None = None, size: tuple[int, int] | None = None) -> Raster:
        """A window (x0, y0, x1, y1 within the region), at its own size or reduced to ``size`` (height, width)."""
        height, width = self.info.size
        x0, y0, x1, y1 = window or (0, 0, width, height)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ValueError(f"the window {window} lies outside the image, which is {width} x {height}")
        left, top = self._window[:2]
        absolute = (x0 + left, y0 + top, x1 + left, y1 + top)
        values = self._source.read(self.bands, absolute, size)
        valid = self._valid(values, absolute, size)
        if self._inside is not None and size is None:
            inside = self._inside[y0:y1, x0:x1]
            valid = inside if valid is None else valid & inside
        pixels = to_eight_bits(values, self.info.stretch)
        if valid is not None and valid.all():
            valid = None
        return Raster(pixels=pixels, valid=valid, info=self._part((x0, y0, x1, y1), pixels.shape[0], pixels.shape[1]))

    def _survey(self, stretch: Stretch | None) -> tuple[Collar | None, tuple[tuple[float, float], ...] | None]:
        """Look at the whole scene once, small: where is a collar, which values become black and white."""
        source = self._source
        scale = min(1.0, OVERVIEW_SIDE / max(source.height, source.width))
        size = max(1, round(source.height * scale)), max(1, round(source.width * scale))
        whole = (0, 0, source.width, source.height)
        overview = source.read(self.bands, whole, size)
        self._check_values(overview)
        valid = source.valid(self.bands, whole, size)
        valid = np.ones(size, dtype=np.bool_) if valid is None else valid
        valid = valid & np.isfinite(overview).all(axis=0)
        collar = find_collar(overview, valid, lossy=source.lossy, white=source.crs is not None)
        if stretch is not None and not isinstance(stretch, str):
            return collar, given_limits(stretch, len(self.bands))
        if stretch == "none":
            return collar, None if source.dtype == np.uint8 else ((0.0, 255.0),) * len(self.bands)
        if stretch not in (None, "auto"):
            raise GeoAgentError(f"the stretch {stretch!r} is not known: use auto, none or (low, high) for each band")
        if source.dtype == np.uint8:
            return collar, None
        if collar is not None:
            valid = valid & ~collar.covers(overview, whole, (source.height, source.width))
        return collar, find_limits(overview, valid)

    def _check_values(self, overview: NDArray[np.generic]) -> None:
        if overview.dtype.kind == "f" and not np.isfinite(overview).any():
            raise GeoAgentError(f"{self._source.name[-80:]!r} holds no finite values in the bands {self.bands}")

    def _valid(self, values: NDArray[np.generic], window: Box, size: tuple[int, int] | None) -> Mask | None:
        source = self._source
        valid = source.valid(self.bands, window, size)
        if values.dtype.kind == "f":
            finite = np.isfinite(values).all(axis=0)
            valid = finite if valid is None else valid & finite
        if self._collar is not None:
            scene = ~self._collar.covers(values, window, (source.height, source.width))
            valid = scene if valid is None else valid & scene
        return valid

    def _describe(self, gsd_m: float | None, limits: tuple[tuple[float, float], ...] | None) -> ImageInfo:
        source, (x0, y0, x1, y1) = self._source, self._window
        transform = source.transform
        if transform is not None:
            transform = as_transform(Affine(*transform) @ Affine.translation(x0, y0))
        info = ImageInfo(
            width=x1 - x0,
            height=y1 - y0,
            crs=source.crs,
            transform=transform,
            path=source.path,
            bands=self.bands,
            stretch=limits,
            nodata=source.nodata,
            extra=self._remarks(gsd_m),
        )
        return replace(info, gsd_m=ground_size(info) if info.crs else gsd_m)

    def _remarks(self, gsd_m: float | None) -> dict[str, Any]:
        source = self._source
        remarks = list(source.remarks)
        if self.bands_from.startswith("assumed"):
            remarks.append(f"bands {', '.join(map(str, self.bands))} are shown ({self.bands_from})")
        if self._collar is not None:
            remarks.append(f"a collar of value {self._collar.value:g} that is not tagged as nodata is left out")
        if source.crs is not None and gsd_m is not None:
            remarks.append("the image knows its own ground size: the given one is not used")
        return {
            "band_count": source.table.count,
            "band_names": source.table.names,
            "bands_from": self.bands_from,
            "dtype": source.dtype.name,
            "source_size": (source.height, source.width),
            "window": self._window,
            "remarks": tuple(remarks),
        }

    def _part(self, window: Box, height: int, width: int) -> ImageInfo:
        """What is known of a window: the scene's own with another corner and, when reduced, larger pixels."""
        x0, y0, x1, y1 = window
        info = self.info
        if window == (0, 0, info.width, info.height) and (height, width) == info.size:
            return info
        step_x, step_y = (x1 - x0) / width, (y1 - y0) / height
        transform = info.transform
        if transform is not None:
            transform = as_transform(Affine(*transform) @ Affine.translation(x0, y0) @ Affine.scale(step_x, step_y))
        gsd = None if info.gsd_m is None else info.gsd_m * float(np.sqrt(step_x * step_y))
        return replace(info, width=width, height=height, transform=transform, gsd_m=gsd)


def read_image(
    source: Any,
    *,
    bands: Bands | None = None,
    region: Region | None = None,
    gsd_m: float | None = None,
    stretch: Stretch | None = None,
    transform: Any = None,
    crs: Any = None,
    nodata: float | None = None,
) -> Raster:
    """Read an image whole (or the ``region`` of it).

    Args:
        source: Path of a GeoTIFF, JPEG, PNG, JP2 or WebP file, PIL image, array [H,W] or [H,W,bands], open rasterio
            dataset, or xarray DataArray.
        bands: Preset, numbers or names of the bands to show as red, green and blue; None: what the file says.
        region: Pixel window, bounding box with its CRS, or geometry: see `geoagent.geo.region`.
        gsd_m: Ground size of a pixel in metres, for images that do not know where they are.
        stretch: ``auto`` (None), ``none``, or a ``(low, high)`` for each band.
        transform: Affine transform of an array or PIL image.
        crs: Coordinate reference system of an array or PIL image.
        nodata: Value of an array that means "nothing here".
    """
    with Scene(
        source, bands=bands, region=region, gsd_m=gsd_m, stretch=stretch, transform=transform, crs=crs, nodata=nodata
    ) as scene:
        return scene.read()
