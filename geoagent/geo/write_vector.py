"""The table of objects as GeoJSON, GeoPackage, GeoParquet, Shapefile or COCO."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geoagent.geo.georef import has_place
from geoagent.geo.style import vector_style
from geoagent.geo.vector import outlined_objects, prediction_to_geodataframe, provenance
from geoagent.types import GeoAgentError, Mask, Prediction

if TYPE_CHECKING:
    import geopandas

_SHORT_NAMES = {"instance": "inst", "perimeter_m": "perim_m", "pixel_count": "pixels", "touches_edge": "edge"}
"""Shapefiles allow ten characters."""


def write_geojson(prediction: Prediction, path: Path, *, right_angles: bool = False) -> str:
    """Longitude and latitude (EPSG:4326); for an image without a place pixels, with ``"crs": null`` to say so."""
    frame = prediction_to_geodataframe(prediction, right_angles=right_angles, lonlat=True)
    digits = 9  # 0.1 mm: seven are not enough to keep the area of a car
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if not has_place(prediction.image):
        collection["crs"] = None
    frame.geometry = shapely.set_precision(frame.geometry.values, 10.0**-digits)
    collection["features"] = json.loads(frame.to_json(drop_id=True, na="null", to_wgs84=False))["features"]
    path.write_text(json.dumps(collection, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    return _style(prediction)


def write_geopackage(prediction: Prediction, path: Path, *, right_angles: bool = False) -> str:
    """In the CRS of the image; layer ``objects``."""
    frame = prediction_to_geodataframe(prediction, right_angles=right_angles)
    _write_frame(frame, path, driver="GPKG", layer="objects")
    return _style(prediction)


def write_shapefile(prediction: Prediction, path: Path, *, right_angles: bool = False) -> str:
    """In the CRS of the image, with names of at most ten characters and texts of at most 254 bytes."""
    frame = prediction_to_geodataframe(prediction, right_angles=right_angles).rename(columns=_SHORT_NAMES)
    frame["edge"] = frame["edge"].astype("int32")
    for name in ("phrase", "question", "stretch", "model", "bands"):
        frame[name] = [str(text).encode()[:254].decode(errors="ignore") for text in frame[name]]
    _write_frame(frame, path, driver="ESRI Shapefile", encoding="UTF-8")
    return _style(prediction)


def write_parquet(prediction: Prediction, path: Path, *, right_angles: bool = False) -> str:
    """GeoParquet in the CRS of the image."""
    if find_spec("pyarrow") is None:
        raise GeoAgentError("writing .parquet needs pyarrow: pip install pyarrow, or write .gpkg")
    prediction_to_geodataframe(prediction, right_angles=right_angles).to_parquet(path)
    return _style(prediction)


def write_coco(prediction: Prediction, path: Path, *, right_angles: bool = False) -> None:
    """COCO's instance format, in pixels: polygons, or run lengths for objects with holes."""
    info = prediction.image
    annotations = []
    outlined = outlined_objects(prediction, right_angles=right_angles)
    for (number, target_number, target, instance, place, crop), drawn in outlined:
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": target_number,
                "bbox": [place[0], place[1], place[2] - place[0], place[3] - place[1]],
                "area": int(np.count_nonzero(crop)),
                "iscrowd": 0,
                "score": round(target.score if instance is None else instance.score, 4),
                "segmentation": _segmentation(drawn, crop, place, info.size),
            }
        )
    name = Path(info.path).name if info.path else ""
    coco = {
        "info": {"description": prediction.answer, **provenance(prediction)},
        "images": [{"id": 1, "file_name": name, "width": info.width, "height": info.height}],
        "categories": [{"id": n, "name": t.phrase} for n, t in enumerate(prediction.targets, start=1)],
        "annotations": annotations,
    }
    path.write_text(json.dumps(coco, ensure_ascii=False), encoding="utf-8")


def _write_frame(frame: "geopandas.GeoDataFrame", path: Path, **options: Any) -> None:
    import pyogrio

    pyogrio.write_dataframe(frame, path, geometry_type="MultiPolygon", promote_to_multi=True, **options)


def _style(prediction: Prediction) -> str:
    return vector_style([target.phrase for target in prediction.targets])


def _segmentation(drawn: BaseGeometry, crop: Mask, place: tuple[int, int, int, int], size: tuple[int, int]) -> Any:
    parts = shapely.get_parts(drawn)
    if any(len(part.interiors) for part in parts):
        return _run_lengths(crop, place, size)
    return [np.round(shapely.get_coordinates(part.exterior)[:-1], 2).ravel().tolist() for part in parts]


def _run_lengths(crop: Mask, place: tuple[int, int, int, int], size: tuple[int, int]) -> dict[str, Any]:
    """COCO's uncompressed run lengths: down the columns, background first."""
    x0, y0, x1, y1 = place
    full = np.zeros(size, dtype=np.bool_)
    full[y0:y1, x0:x1] = crop
    flat = full.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return {"counts": [0, *runs] if flat[0] else runs, "size": list(size)}
