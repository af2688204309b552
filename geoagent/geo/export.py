"""Writing a prediction: the suffix decides the format."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from geoagent.geo.georef import has_place
from geoagent.geo.measure import mask_area_m2, mask_centre
from geoagent.geo.overlay import draw_overlay
from geoagent.geo.webmap import write_html
from geoagent.geo.write_raster import write_classes, write_objects
from geoagent.geo.write_vector import write_coco, write_geojson, write_geopackage, write_parquet, write_shapefile
from geoagent.types import GeoAgentError, ImageInfo, Instance, Prediction, Target

SUFFIXES = (
    ".json",
    ".png",
    ".html",
    ".tif",
    ".ids.tif",
    ".geojson",
    ".gpkg",
    ".parquet",
    ".shp",
    ".coco.json",
)
"""What `save_prediction` writes. ``.tif`` holds classes, ``.ids.tif`` single objects."""


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """The prediction as one JSON object: what ``geoagent segment --json`` prints."""
    info = prediction.image
    return {
        "answer": prediction.answer,
        "targets": [_target(number, target, info) for number, target in enumerate(prediction.targets, start=1)],
        "absent": [{"phrase": target.phrase, "score": round(target.score, 4)} for target in prediction.absent],
        "image": {
            "width": info.width,
            "height": info.height,
            "crs": info.crs,
            "gsd_m": info.gsd_m,
            "bands": list(info.bands),
            "stretch": [list(limits) for limits in info.stretch] if info.stretch else None,
        },
        "model": prediction.model,
        "seconds": round(prediction.seconds, 3),
        "warnings": list(prediction.warnings),
        "holes": [list(box) for box in prediction.holes],
    }


def _target(number: int, target: Target, info: ImageInfo) -> dict[str, Any]:
    return {
        "id": number,
        "phrase": target.phrase,
        "score": round(target.score, 4),
        "bbox": list(target.box or ()),
        "pixel_count": target.pixel_count,
        "area_m2": mask_area_m2(target.mask, info),
        "instances": [_instance(instance, info) for instance in target.instances],
    }


def _instance(instance: Instance, info: ImageInfo) -> dict[str, Any]:
    centre = mask_centre(instance.crop, info, instance.box)
    return {
        "id": instance.id,
        "bbox": list(instance.box),
        "score": round(instance.score, 4),
        "pixel_count": instance.area,
        "area_m2": mask_area_m2(instance.crop, info, instance.box),
        "lonlat" if has_place(info) else "xy": [round(v, 8 if has_place(info) else 2) for v in centre],
    }


def save_prediction(prediction: Prediction, path: str | Path, *, right_angles: bool = False) -> Path:
    """Write a prediction to ``path`` in the format of its suffix, see `SUFFIXES`.

    Never over the image that it is about; an older output is replaced only once the new one is whole. Rasters and
    vectors get a QGIS style (.qml) beside them.

    Args:
        prediction: What was answered.
        path: Where to.
        right_angles: Give the outlines of vectors right angles where they nearly have them, as buildings do.
    """
    target = Path(path)
    writer = _writer(target, right_angles)
    check_output(target, prediction.image.path)
    with tempfile.TemporaryDirectory(prefix=".geoagent-", dir=target.parent) as folder:
        style = writer(prediction, Path(folder) / target.name)
        for part in sorted(Path(folder).iterdir(), key=lambda file: file.suffix == target.suffix):
            part.replace(target.parent / part.name)  # the named file last: where it is, its companions are too
    if style is not None:
        _write_style(style, target)
    return target


def check_output(path: Path, source: str | None) -> None:
    """Refuse to write over the image itself, or into a folder that is not there."""
    if source is not None and path.exists() and Path(source).exists() and path.samefile(source):
        raise GeoAgentError(f"{path.name!r} is the image itself: write to another file")
    if path.is_dir():
        raise GeoAgentError(f"{str(path)!r} is a folder: give a file name")
    if not path.parent.is_dir():
        raise GeoAgentError(f"the folder {str(path.parent)!r} does not exist: create it first")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place only when it is whole."""
    with tempfile.TemporaryDirectory(prefix=".geoagent-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def _writer(path: Path, right_angles: bool) -> Callable[[Prediction, Path], str | None]:
    vectors = {
        ".geojson": write_geojson,
        ".gpkg": write_geopackage,
        ".parquet": write_parquet,
        ".shp": write_shapefile,
        ".coco.json": write_coco,
    }
    others = {
        ".json": _write_json,
        ".png": _write_png,
        ".html": write_html,
        ".tif": write_classes,
        ".tiff": write_classes,
        ".ids.tif": write_objects,
        ".ids.tiff": write_objects,
    }
    name = path.name.lower()
    for suffix in sorted([*vectors, *others], key=len, reverse=True):
        if name.endswith(suffix) and name != suffix:
            if suffix in vectors:
                return lambda prediction, file: vectors[suffix](prediction, file, right_angles=right_angles)
            return others[suffix]
    raise GeoAgentError(f"{path.name!r} has no suffix that can be written: use one of {', '.join(SUFFIXES)}")


def _write_style(style: str, target: Path) -> None:
    """The style beside a file, unless a style of the other kind (raster, vector) is there: QGIS knows one per name."""
    path = target.with_suffix(".qml")
    kind = "<rasterrenderer" if "<rasterrenderer" in style else "<renderer-v2"
    if path.exists() and kind not in path.read_text(encoding="utf-8", errors="replace"):
        return
    with replacing(path) as temporary:
        temporary.write_text(style, encoding="utf-8")


def _write_json(prediction: Prediction, path: Path) -> None:
    path.write_text(json.dumps(prediction_to_json(prediction), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _write_png(prediction: Prediction, path: Path) -> None:
    Image.fromarray(draw_overlay(prediction)).save(path)
