"""Writing a prediction: the suffix decides the format."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from geoagent.geo.georef import has_place
from geoagent.geo.measure import mask_area_m2, mask_centre
from geoagent.geo.overlay import draw_overlay
from geoagent.types import GeoAgentError, ImageInfo, Instance, Prediction, Target


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """The prediction as one JSON object: what ``geoagent segment --json`` prints."""
    info = prediction.image
    return {
        "answer": prediction.answer,
        "targets": [_target(number, target, info) for number, target in enumerate(prediction.targets, start=1)],
        "absent": [{"phrase": target.phrase, "score": round(target.score, 4)} for target in prediction.absent],
        "image": {"width": info.width, "height": info.height, "crs": info.crs, "gsd_m": info.gsd_m},
        "model": prediction.model,
        "seconds": round(prediction.seconds, 3),
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


def save_prediction(prediction: Prediction, path: str | Path) -> Path:
    """Write a prediction to ``path`` in the format of its suffix; never over the image that it is about."""
    target = Path(path)
    writers = {".json": _write_json, ".png": _write_png}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise GeoAgentError(f"{target.name!r}: the suffix is not known, use one of {', '.join(writers)}")
    with replacing(target, prediction.image.path) as temporary:
        writer(prediction, temporary)
    return target


@contextmanager
def replacing(path: Path, source: str | None) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place only when it is whole."""
    if source is not None and path.exists() and Path(source).exists() and path.samefile(source):
        raise GeoAgentError(f"{path.name!r} is the image itself: write to another file")
    if not path.parent.is_dir():
        raise GeoAgentError(f"the folder {str(path.parent)!r} does not exist: create it first")
    with tempfile.TemporaryDirectory(prefix=".geoagent-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def _write_json(prediction: Prediction, path: Path) -> None:
    path.write_text(json.dumps(prediction_to_json(prediction), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _write_png(prediction: Prediction, path: Path) -> None:
    Image.fromarray(draw_overlay(prediction)).save(path)
