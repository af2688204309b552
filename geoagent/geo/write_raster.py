"""Masks as GeoTIFFs on exactly the grid of the image: classes or single objects."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from geoagent.geo.georef import affine_of, has_place
from geoagent.geo.opening import bounded_cache
from geoagent.geo.style import colour_table, raster_style
from geoagent.geo.vector import objects_of, provenance
from geoagent.types import GeoAgentError, Prediction

NOT_LOOKED_AT = 255
"""In class rasters; in rasters of objects it is the largest value of their type."""
_TILE = 512


def write_classes(prediction: Prediction, path: Path) -> str:
    """Each pixel has the number of its target, 0 for none; returns the QGIS style."""
    targets = prediction.targets
    if len(targets) >= NOT_LOOKED_AT:
        raise GeoAgentError(f"{len(targets)} targets do not fit into a class raster: write .ids.tif or .gpkg instead")

    def rows(top: int, bottom: int) -> NDArray[Any]:
        classes = np.zeros((bottom - top, prediction.image.width), dtype=np.uint8)
        for number in range(len(targets), 0, -1):  # where targets overlap, the one named first is on top
            classes[targets[number - 1].mask[top:bottom]] = number
        return classes

    legend = [(number, number, target.phrase) for number, target in enumerate(targets, start=1)]
    _write(rows, np.uint8, prediction, path, kind="classes", unseen=NOT_LOOKED_AT, legend=legend)
    return raster_style(legend)


def write_objects(prediction: Prediction, path: Path) -> str:
    """Each pixel has the number of its object (the ``id`` of the table), 0 for none; returns the QGIS style."""
    found = list(objects_of(prediction))
    dtype: Any = np.uint16 if len(found) < np.iinfo(np.uint16).max else np.uint32

    def rows(top: int, bottom: int) -> NDArray[Any]:
        ids = np.zeros((bottom - top, prediction.image.width), dtype=dtype)
        for number, _, _, _, (x0, y0, x1, y1), crop in reversed(found):
            first, last = max(y0, top), min(y1, bottom)
            if first < last:
                ids[first - top : last - top, x0:x1][crop[first - y0 : last - y0]] = number
        return ids

    legend = [(number, target, f"{thing.phrase} {number}") for number, target, thing, *_ in found]
    _write(rows, dtype, prediction, path, kind="objects", unseen=int(np.iinfo(dtype).max), legend=legend)
    return raster_style(legend)


def _write(
    rows: Callable[[int, int], NDArray[Any]],
    dtype: Any,
    prediction: Prediction,
    path: Path,
    *,
    kind: str,
    unseen: int,
    legend: list[tuple[int, int, str]],
) -> None:
    """Write what ``rows(top, bottom)`` gives, some rows at a time: the image may be larger than the memory."""
    info = prediction.image
    height, width = info.size
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 1,
        "dtype": np.dtype(dtype).name,
        "compress": "deflate",
        "nodata": unseen,
    }
    if height > _TILE and width > _TILE:
        profile |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE, "bigtiff": "if_safer"}
    if has_place(info):
        profile |= {"crs": info.crs, "transform": affine_of(info)}
    with warnings.catch_warnings(), bounded_cache():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as out:
            for top in range(0, height, _TILE):
                bottom = min(height, top + _TILE)
                values = rows(top, bottom)
                if prediction.valid is not None:
                    values[~prediction.valid[top:bottom]] = unseen
                out.write(values, 1, window=Window(0, top, width, bottom - top))
            if dtype != np.uint32:
                out.write_colormap(1, colour_table([(value, target) for value, target, _ in legend], unseen))
            tags = {f"geoagent_{key}": str(value)[:2000] for key, value in provenance(prediction).items()}
            names = {} if kind == "objects" else {str(value): label for value, _, label in legend}
            scale = {} if info.gsd_m is None else {"geoagent_gsd_m": repr(info.gsd_m)}
            out.update_tags(geoagent_kind=kind, geoagent_legend=json.dumps(names), **tags, **scale)
            out.set_band_description(1, kind)
