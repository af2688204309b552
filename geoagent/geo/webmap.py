"""A map in one HTML file: the image, the outlines, what was asked and answered. It fetches nothing from a network."""

import base64
import io
import json
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import shapely
from PIL import Image
from shapely.geometry.base import BaseGeometry

from geoagent import __version__
from geoagent.geo.georef import has_place, image_to_lonlat
from geoagent.geo.measure import mask_area_m2
from geoagent.geo.overlay import picture_of
from geoagent.geo.style import target_colour
from geoagent.geo.vector import outlined_objects
from geoagent.types import ImageInfo, Prediction

_PICTURE_SIDE = 2048
"""Longer side of the picture inside: about 1 MB. Outlines keep the precision of the image."""
_GRID = 9
"""Longitude and latitude under the pointer are interpolated in a grid of this many points a side."""


def write_html(prediction: Prediction, path: Path) -> None:
    """Write the map."""
    page = Template((Path(__file__).parent / "webmap.html").read_text(encoding="utf-8"))
    data = json.dumps(_content(prediction), ensure_ascii=False, allow_nan=False)
    # What people and models wrote stands in a JSON block and reaches the page as text only.
    safe = data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    path.write_text(page.substitute(data=safe, picture=_picture(prediction)), encoding="utf-8")


def _picture(prediction: Prediction) -> str:
    picture = Image.fromarray(picture_of(prediction))
    picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _content(prediction: Prediction) -> dict[str, Any]:
    info = prediction.image
    objects = []
    for (number, target_number, target, instance, place, crop), drawn in outlined_objects(prediction):
        objects.append(
            {
                "id": number,
                "target": target_number,
                "score": round(target.score if instance is None else instance.score, 3),
                "pixels": int(np.count_nonzero(crop)),
                "area": mask_area_m2(crop, info, place),
                "path": svg_path(drawn),
                "box": list(place),
            }
        )
    targets = [
        {
            "phrase": target.phrase,
            "score": round(target.score, 3),
            "area": mask_area_m2(target.mask, info),
            "pixels": target.pixel_count,
            "count": len(target.instances),
            "colour": "rgb({},{},{})".format(*target_colour(number)),
        }
        for number, target in enumerate(prediction.targets, start=1)
    ]
    return {
        "question": prediction.instruction,
        "answer": prediction.answer,
        "width": info.width,
        "height": info.height,
        "gsd": info.gsd_m,
        "crs": info.crs if info.crs is None or len(info.crs) < 30 else "custom CRS",
        "image": Path(info.path).name if info.path else "",
        "model": prediction.model,
        "version": __version__,
        "targets": targets,
        "absent": [{"phrase": t.phrase, "score": round(t.score, 3)} for t in prediction.absent],
        "warnings": list(prediction.warnings),
        "objects": objects,
        "grid": lonlat_grid(info),
    }


def svg_path(geometry: BaseGeometry) -> str:
    """The outline of an object, holes included, as the ``d`` of an SVG path in pixels."""
    commands = []
    for part in shapely.get_parts(geometry):
        for ring in [part.exterior, *part.interiors]:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shapely.get_coordinates(ring)[:-1])
            commands.append(f"M{points}Z")
    return "".join(commands)


def lonlat_grid(info: ImageInfo) -> list[list[list[float]]] | None:
    """Longitude and latitude [rows][columns][2] over the image, without a jump at 180 degrees."""
    if not has_place(info):
        return None
    columns, rows = np.meshgrid(np.linspace(0, info.width, _GRID), np.linspace(0, info.height, _GRID))
    longitude, latitude = image_to_lonlat(info, columns, rows)
    longitude = longitude[0, 0] + (longitude - longitude[0, 0] + 180) % 360 - 180
    grid: list[list[list[float]]] = np.round(np.stack([longitude, latitude], axis=-1), 8).tolist()
    return grid
