"""Anything that is an image, behind one small interface: read some bands of a window at some size.

A file, an open rasterio dataset, a PIL image, an array, an xarray DataArray.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import MaskFlags, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geoagent.geo.bands import BandTable
from geoagent.geo.georef import as_transform, crs_name, local_crs, to_wgs84
from geoagent.geo.opening import check_layout, check_read_size, open_raster, reading
from geoagent.geo.turned import upright
from geoagent.types import Box, GeoAgentError, Mask

_SAMPLE = 512
"""Side of the sample that tells an alpha band from a fourth colour."""


class Source(Protocol):
    """Bands on a grid, with what is known of them."""

    name: str
    path: str | None
    height: int
    width: int
    dtype: np.dtype[Any]
    table: BandTable
    crs: str | None
    transform: tuple[float, float, float, float, float, float] | None
    nodata: float | None
    lossy: bool
    remarks: tuple[str, ...]

    def read(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> NDArray[np.generic]:
        """Bands [C,h,w] of a window, at ``size`` (height, width) by nearest pixel, or at its own."""

    def valid(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> Mask | None:
        """bool [h,w]: pixels that nodata, alpha and mask bands leave; None: all."""

    def close(self) -> None:
        """Give back what was opened here."""


class DatasetSource:
    """An open rasterio dataset; one that only has ground control points is warped to a map."""

    def __init__(self, dataset: Any, *, owned: bool, gsd_given: bool = False) -> None:
        self._open: list[Any] = [dataset] if owned else []
        self.name = str(dataset.name)
        self.path: str | None = self.name if Path(self.name).is_file() else None
        self.remarks: tuple[str, ...] = ()
        self.lossy = dataset.driver in ("JPEG", "WEBP", "JP2OpenJPEG") or _compression(dataset) in ("JPEG", "WEBP")
        if _lacks_transform(dataset):
            if dataset.gcps[0]:
                dataset = self._warp(dataset)
            elif dataset.rpcs and not gsd_given:
                self.close()
                raise GeoAgentError(
                    f"{self.name!r} is placed by RPCs only: orthorectify it first (gdalwarp -rpc), "
                    "or give its ground size to use it as a plain picture"
                )
        self._dataset = dataset
        self.height, self.width = int(dataset.height), int(dataset.width)
        self.dtype: np.dtype[Any] = np.result_type(*dataset.dtypes)
        self.nodata = None if dataset.nodata is None else float(dataset.nodata)
        self.crs = crs_name(dataset.crs)
        self.transform = None if _lacks_transform(dataset) else as_transform(dataset.transform)
        if self.transform is None or self.crs is None:
            self.crs = self.transform = None
        colours = [c.name for c in dataset.colorinterp]
        if colours[-1] == "alpha" and len(colours) >= 4 and not self._is_alpha(len(colours)):
            colours[-1] = "nir"
            self.remarks += (f"band {len(colours)} is tagged as alpha but holds a picture: taken as near infrared",)
        self._palette = _palette(dataset)
        if self._palette is not None:
            colours = ["red", "green", "blue"]
            self.dtype = np.dtype(np.uint8)
        self.table = BandTable(
            names=tuple(dataset.descriptions) if self._palette is None else (None,) * 3,
            colours=tuple(colours),
            eight_bit=self.dtype == np.uint8,
            source=repr(self.name[-80:]),
        )

    def read(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> NDArray[np.generic]:
        """See `Source.read`."""
        x0, y0, x1, y1 = window
        height, width = size or (y1 - y0, x1 - x0)
        check_read_size(self.name, height, width, len(bands), self.dtype.itemsize)
        shape = (len(bands) if self._palette is None else 1, height, width)
        with reading(self.name):
            values: NDArray[np.generic] = self._dataset.read(
                list(bands) if self._palette is None else [1],
                window=Window(x0, y0, x1 - x0, y1 - y0),
                out_shape=shape,
                resampling=Resampling.nearest,
            )
        if self._palette is not None:
            coloured: NDArray[np.generic] = self._palette[values[0]][..., [b - 1 for b in bands]].transpose(2, 0, 1)
            return coloured
        return values

    def valid(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> Mask | None:
        """See `Source.valid`."""
        x0, y0, x1, y1 = window
        shape = size or (y1 - y0, x1 - x0)
        part = Window(x0, y0, x1 - x0, y1 - y0)
        valid: Mask | None = None
        numbers = list(bands) if self._palette is None else [1]
        flags = [self._dataset.mask_flag_enums[n - 1] for n in numbers]
        with reading(self.name):
            if any(MaskFlags.all_valid not in flag and MaskFlags.alpha not in flag for flag in flags):
                masks = self._dataset.read_masks(numbers, window=part, out_shape=(len(numbers), *shape))
                valid = np.asarray(masks.any(axis=0))  # a dark red roof has zeros too: nodata means all bands
            if self.table.colours[-1] == "alpha":
                alpha = self._dataset.read(self.table.count, window=part, out_shape=shape) > 0
                valid = alpha if valid is None else valid & alpha
        return valid

    def close(self) -> None:
        """See `Source.close`."""
        while self._open:
            self._open.pop().close()

    def _warp(self, dataset: Any) -> Any:
        gcps, gcp_crs = dataset.gcps
        if gcp_crs is None:
            return dataset
        name = crs_name(gcp_crs)
        if name is None:
            return dataset
        longitude, latitude = to_wgs84(name).transform(np.mean([g.x for g in gcps]), np.mean([g.y for g in gcps]))
        target = local_crs(float(longitude), float(latitude))
        with reading(self.name):
            warped = WarpedVRT(
                dataset, src_crs=gcp_crs, crs=target, resampling=Resampling.bilinear, add_alpha=dataset.nodata is None
            )
        self._open.insert(0, warped)
        self.remarks += (f"placed by {len(gcps)} ground control points: warped to {target}",)
        return warped

    def _is_alpha(self, band: int) -> bool:
        """Whether a band holds an on-off mask; NAIP's near infrared is often tagged as alpha by older software."""
        if self._dataset.driver not in ("GTiff", "VRT"):
            return True
        height, width = min(self.height, _SAMPLE), min(self.width, _SAMPLE)
        with reading(self.name):
            return _is_on_off(self._dataset.read(band, out_shape=(height, width)))


class ArraySource:
    """Bands held in memory."""

    path: str | None = None
    lossy = False

    def __init__(
        self,
        values: NDArray[np.generic],
        *,
        name: str = "the array",
        crs: str | None = None,
        transform: tuple[float, float, float, float, float, float] | None = None,
        nodata: float | None = None,
        alpha: bool = False,
        names: Sequence[str | None] | None = None,
    ) -> None:
        """``values`` are [C,H,W]."""
        if values.dtype == np.bool_:
            values = values.astype(np.uint8) * np.uint8(255)
        if values.dtype.kind not in "uif":
            raise GeoAgentError(f"{name} holds {values.dtype} values: give integers or floats")
        count, self.height, self.width = values.shape
        check_read_size(name, self.height, self.width, count, values.itemsize)
        self.name, self.nodata = name, nodata
        placed = crs is not None and transform is not None
        self.crs: str | None = crs if placed else None
        self.transform: tuple[float, float, float, float, float, float] | None = transform if placed else None
        self.remarks: tuple[str, ...] = ()
        self._values = values
        self.dtype = values.dtype
        colours = {3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha" if alpha else "undefined")}
        if names is not None or (count == 2 and alpha):
            colours = {2: ("gray", "alpha")} if alpha else {}
        self.table = BandTable(
            names=tuple(names) if names is not None else (None,) * count,
            colours=colours.get(count, ("undefined",) * count),
            eight_bit=values.dtype == np.uint8,
            source=name,
        )

    def read(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> NDArray[np.generic]:
        """See `Source.read`."""
        x0, y0, x1, y1 = window
        picked = self._values[[b - 1 for b in bands], y0:y1, x0:x1]
        if size is None or size == picked.shape[1:]:
            return picked
        rows = ((np.arange(size[0]) + 0.5) * picked.shape[1] / size[0]).astype(np.intp)
        columns = ((np.arange(size[1]) + 0.5) * picked.shape[2] / size[1]).astype(np.intp)
        return picked[:, rows[:, None], columns]

    def valid(self, bands: Sequence[int], window: Box, size: tuple[int, int] | None = None) -> Mask | None:
        """See `Source.valid`."""
        valid: Mask | None = None
        if self.nodata is not None and not np.isnan(self.nodata):
            valid = np.asarray((self.read(bands, window, size) != self.nodata).any(axis=0))
        if self.table.colours[-1] == "alpha":
            alpha = self.read([self.table.count], window, size)[0] > 0
            valid = alpha if valid is None else valid & alpha
        return valid

    def close(self) -> None:
        """Nothing was opened."""


def open_source(
    source: Any, *, transform: Any = None, crs: Any = None, nodata: float | None = None, gsd_given: bool = False
) -> Source:
    """The image behind a path, dataset, PIL image, array or DataArray."""
    if isinstance(source, str | Path):
        dataset = open_raster(source)
        orientation = dataset.tags().get("EXIF_Orientation", "1")
        opened = DatasetSource(dataset, owned=True, gsd_given=gsd_given)
        return upright(opened, int(orientation) if orientation.strip().isdecimal() else 1)
    placed = as_transform(transform) if transform is not None else None
    if isinstance(source, Image.Image):
        values, alpha = _from_pil(source)
        name = str(getattr(source, "filename", "") or "the image")
        return ArraySource(values, name=name, crs=crs_name(crs), transform=placed, nodata=nodata, alpha=alpha)
    if isinstance(source, np.ndarray):
        values = _bands_first(source)
        alpha = values.shape[0] in (2, 4) and values.dtype == np.uint8 and _is_on_off(values[-1])
        return ArraySource(values, crs=crs_name(crs), transform=placed, nodata=nodata, alpha=alpha)
    if hasattr(source, "read_masks") and hasattr(source, "block_shapes"):
        check_layout(source, str(source.name))
        return DatasetSource(source, owned=False, gsd_given=gsd_given)
    if hasattr(source, "dims") and hasattr(source, "coords") and hasattr(source, "values"):
        return _from_dataarray(source, transform=placed, crs=crs, nodata=nodata)
    raise GeoAgentError(
        f"an image of type {type(source).__name__} cannot be read: give a path, a PIL image, an array [H,W,3], "
        "an open rasterio dataset or an xarray DataArray"
    )


def _bands_first(array: NDArray[np.generic]) -> NDArray[np.generic]:
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3 and (array.shape[2] <= 16 or array.shape[2] < min(array.shape[:2])) and min(array.shape) > 0:
        return array.transpose(2, 0, 1)
    raise GeoAgentError(f"an array of shape {list(array.shape)} is no image: give [H,W] or [H,W,bands]")


def _from_pil(image: Image.Image) -> tuple[NDArray[np.generic], bool]:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "F", "I") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
    return _bands_first(np.asarray(image)), image.mode in ("LA", "RGBA")


def _from_dataarray(array: Any, *, transform: Any, crs: Any, nodata: float | None) -> Source:
    """An xarray DataArray, with what rioxarray or the conventions of CF say of its place."""
    dims = [str(d) for d in array.dims]
    across = next((d for d in dims if d.lower() in ("x", "lon", "longitude", "easting")), None)
    down = next((d for d in dims if d.lower() in ("y", "lat", "latitude", "northing")), None)
    rest = [d for d in dims if d not in (across, down)]
    if across is None or down is None or len(rest) > 1:
        raise GeoAgentError(f"a DataArray with the dimensions {dims} is no image: name them (band, y, x)")
    count = int(array.sizes[rest[0]]) if rest else 1
    check_read_size("the DataArray", array.sizes[down], array.sizes[across], count, array.dtype.itemsize)
    values = np.asarray(array.transpose(*rest, down, across).values)
    names = None
    if rest and rest[0] in array.coords:
        labels = [str(v) for v in np.atleast_1d(array.coords[rest[0]].values)]
        names = None if all(label.isdigit() for label in labels) else labels
    attributes = dict(array.coords["spatial_ref"].attrs) if "spatial_ref" in array.coords else {}
    accessor = getattr(array, "rio", None)  # there once rioxarray is imported
    crs = crs or (accessor.crs if accessor is not None else None) or attributes.get("crs_wkt") or array.attrs.get("crs")
    if transform is None and across in array.coords and down in array.coords:
        transform = _regular_transform(array.coords[across].values, array.coords[down].values)
    for fill in (array.attrs.get("_FillValue"), getattr(array, "encoding", {}).get("_FillValue")):
        nodata = float(fill) if nodata is None and fill is not None else nodata
    return ArraySource(
        values.reshape(count, *values.shape[-2:]),
        name="the DataArray",
        crs=crs_name(crs),
        transform=transform,
        nodata=nodata,
        names=names,
    )


def _regular_transform(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    """The transform of evenly spaced pixel centres; None where there is a single one."""
    if x.ndim != 1 or y.ndim != 1 or x.size < 2 or y.size < 2:
        return None
    step_x, step_y = (float(v[-1] - v[0]) / (v.size - 1) for v in (x, y))
    if not (np.allclose(np.diff(x), step_x, rtol=1e-3) and np.allclose(np.diff(y), step_y, rtol=1e-3)):
        raise GeoAgentError("the x or y of the DataArray are not evenly spaced: resample it to a grid first")
    return step_x, 0.0, float(x[0]) - step_x / 2, 0.0, step_y, float(y[0]) - step_y / 2


def _is_on_off(band: NDArray[np.generic]) -> bool:
    """Whether a band tells what is there and what is not, as alpha does, rather than being a fourth colour."""
    top = np.iinfo(band.dtype.name).max if band.dtype.kind in "ui" else 1
    return bool(((band == 0) | (band == top) | (band == 255)).mean() > 0.5)


def _lacks_transform(dataset: Any) -> bool:
    return bool(dataset.transform == Affine.identity())


def _compression(dataset: Any) -> str:
    return str(dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "")).upper().replace("YCBCR ", "")


def _palette(dataset: Any) -> NDArray[np.uint8] | None:
    """Colour table uint8 [256,3] of an indexed picture."""
    if dataset.count > 2 or dataset.colorinterp[0].name != "palette" or dataset.dtypes[0] != "uint8":
        return None
    table = np.zeros((256, 3), dtype=np.uint8)
    for value, colour in dataset.colormap(1).items():
        table[value] = colour[:3]
    return table
