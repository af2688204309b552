"""Measuring what a file holds: a mask that geoagent (or anything else) wrote, or vectors."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from geoagent.geo.georef import crs_name, ground_size
from geoagent.geo.measure import geodesic_area_perimeter, geodesic_length, measure_object
from geoagent.geo.measure_large import Patch, large_patches
from geoagent.geo.opening import SIGNATURES, check_file, open_raster, reading
from geoagent.geo.sources import DatasetSource
from geoagent.types import Box, GeoAgentError, ImageInfo, Mask

if TYPE_CHECKING:
    import geopandas

VECTOR_STARTS = {
    ".geojson": b"{",
    ".json": b"{",
    ".gpkg": b"SQLite format 3\x00",
    ".shp": b"\x00\x00\x27\x0a",
    ".parquet": b"PAR1",
}
"""Suffixes of vector files, with their first bytes: OGR also knows formats that name other files."""
_MAX_VECTOR_BYTES = 2 << 30
_LARGEST_HELD = 1 << 26
"""Masks of more pixels are gone through piece by piece."""
_EIGHT = np.ones((3, 3), dtype=np.bool_)
"""Pixels that touch at a corner are one object, as everywhere else here."""


def measure_file(path: str | Path, *, gsd_m: float | None = None) -> dict[str, Any]:
    """Measure a mask raster or a vector file.

    A raster's value 0 and its nodata are background. In a raster of objects each value is a feature, in any other each
    connected patch of a value.

    Returns:
        ``total_area_m2`` (None without place and ground size), ``unit``, ``count`` and ``features``: for each
        ``id``, ``class`` or ``phrase``, ``area_m2``, ``perimeter_m``, ``length_m``, ``pixel_count`` and so on.
    """
    file = check_file(path)
    with file.open("rb") as stream:
        head = stream.read(16)
    if any(head.startswith(signature) for signature in SIGNATURES):
        features = _raster_features(file, gsd_m)
    elif file.suffix.lower() in VECTOR_STARTS:
        if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(VECTOR_STARTS[file.suffix.lower()]):
            raise GeoAgentError(f"{file.name!r} holds no vectors: it is no {file.suffix.lower()} inside")
        features = _vector_features(file)
    else:
        raise GeoAgentError(
            f"{file.name!r} is neither a mask nor vectors: give a GeoTIFF, PNG, GeoJSON, GeoPackage, GeoParquet or "
            "Shapefile"
        )
    known = all(feature["area_m2"] is not None for feature in features)
    return {
        "path": str(path),
        "unit": "m" if known else "px",
        "count": len(features),
        "total_area_m2": sum(feature["area_m2"] for feature in features) if known else None,
        "total_pixels": sum(feature.get("pixel_count") or 0 for feature in features) or None,
        "features": features,
    }


# ------------------------------------------------------------------------------------------------ rasters


def _raster_features(file: Path, gsd_m: float | None) -> list[dict[str, Any]]:
    dataset = open_raster(file)
    try:
        tags = dataset.tags()
        if dataset.count != 1 or np.dtype(dataset.dtypes[0]).kind not in "ui":
            raise GeoAgentError(f"{file.name!r} is a picture, not a mask: a mask has one band of whole numbers")
        info = _grid_of(file, dataset, gsd_m or (float(tags["geoagent_gsd_m"]) if "geoagent_gsd_m" in tags else None))
        objects = tags.get("geoagent_kind") == "objects" or ".ids." in file.name
        if info.width * info.height > _LARGEST_HELD:
            with tempfile.TemporaryDirectory(prefix="geoagent-measure-") as folder:
                return [_raster_feature(*patch, info) for patch in large_patches(dataset, objects, Path(folder))]
        with reading(file.name):
            values: NDArray[Any] = dataset.read(1)
        if dataset.nodata is not None:
            values = np.where(values == dataset.nodata, 0, values)
    finally:
        dataset.close()
    return [_raster_feature(*patch, info) for patch in _patches(values, objects)]


def _grid_of(file: Path, dataset: Any, gsd_m: float | None) -> ImageInfo:
    source = DatasetSource(dataset, owned=False, gsd_given=True)
    info = ImageInfo(width=source.width, height=source.height, crs=source.crs, transform=source.transform, gsd_m=gsd_m)
    if info.crs is not None and ground_size(info) is None:
        raise GeoAgentError(f"{file.name!r} lies outside of what its coordinate system covers")
    return info


def _patches(values: NDArray[Any], objects: bool) -> list[Patch]:
    """Number, value, place and mask of each feature."""
    patches: list[Patch] = []
    if objects:
        found, order = np.unique(values[values != 0], return_inverse=True)
        ranks = np.zeros(values.shape, dtype=np.int32)
        ranks[values != 0] = order + 1
        for rank, place in enumerate(ndimage.find_objects(ranks), start=1):
            value = int(found[rank - 1])
            patches.append((value, value, _box(place), ranks[place] == rank))
        return patches
    for value in np.unique(values[values != 0]):
        labels, _ = ndimage.label(values == value, structure=_EIGHT)
        for label, place in enumerate(ndimage.find_objects(labels), start=1):
            patches.append((len(patches) + 1, int(value), _box(place), labels[place] == label))
    return patches


def _box(place: tuple[slice, ...]) -> Box:
    rows, columns = place
    return columns.start, rows.start, columns.stop, rows.stop


def _raster_feature(number: int, value: int, box: Box, mask: Mask, info: ImageInfo) -> dict[str, Any]:
    sizes = measure_object(mask, info, box, phrase=str(value))
    metric = sizes.unit == "m"
    return {
        "id": number,
        "class": value,
        "area_m2": sizes.area if metric else None,
        "area_error_m2": sizes.area_error if metric else None,
        "perimeter_m": sizes.perimeter if metric else None,
        "length_m": sizes.length if metric else None,
        "perimeter_px": None if metric else sizes.perimeter,
        "length_px": None if metric else sizes.length,
        "pixel_count": sizes.pixel_count,
        "bbox": list(box),
        "centre": list(sizes.centre),
    }


# ------------------------------------------------------------------------------------------------ vectors


def _vector_features(file: Path) -> list[dict[str, Any]]:
    frame = _read_vectors(file)
    crs = crs_name(frame.crs) if frame.crs is not None else None
    features = []
    for number, (geometry, row) in enumerate(
        zip(frame.geometry, frame.drop(columns="geometry").to_dict("records"), strict=True), start=1
    ):
        area, perimeter, length = _sizes(geometry, crs)
        identity = row.get("id", number)
        features.append(
            {
                "id": int(identity) if isinstance(identity, int | np.integer) else str(identity)[:80],
                "phrase": str(row["phrase"])[:200] if row.get("phrase") is not None else None,
                "geometry": geometry.geom_type if geometry is not None else None,
                "area_m2": area,
                "perimeter_m": perimeter,
                "length_m": length,
            }
        )
    return features


def _read_vectors(file: Path) -> "geopandas.GeoDataFrame":
    import geopandas
    import pyogrio

    if file.stat().st_size > _MAX_VECTOR_BYTES:
        raise GeoAgentError(f"{file.name!r} is larger than {_MAX_VECTOR_BYTES >> 30} GiB: measure a part of it")
    try:
        if file.suffix.lower() == ".parquet":
            return geopandas.read_parquet(file)
        frame = pyogrio.read_dataframe(file.absolute())
    except (pyogrio.errors.DataSourceError, ValueError, OSError) as error:
        detail = " ".join(str(error).split())[:160]
        raise GeoAgentError(f"{file.name!r} holds no vectors that can be read ({detail})") from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise GeoAgentError(f"{file.name!r} holds a table without geometries")
    return frame


def _sizes(geometry: Any, crs: str | None) -> tuple[float | None, float | None, float | None]:
    """Area, perimeter and length of a geometry; what it does not have, or what has no scale, is None or 0."""
    if crs is None:
        return None, None, None
    if geometry is None or geometry.is_empty:
        return 0.0, 0.0, 0.0
    polygons = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]
    lines = [part for part in shapely.get_parts(geometry) if part.geom_type == "LineString"]
    if lines and not polygons:
        return 0.0, None, sum(geodesic_length(shapely.get_coordinates(line), crs) for line in lines)
    sizes = [geodesic_area_perimeter(polygon, crs) for polygon in polygons]
    return sum(area for area, _ in sizes), sum(around for _, around in sizes), None
