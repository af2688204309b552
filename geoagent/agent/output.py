"""Pictures and files of masks, for the user."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from geoagent.agent.masks import StoredMask, as_prediction
from geoagent.geo.export import save_prediction
from geoagent.geo.overlay import draw_overlay
from geoagent.geo.raster import Raster
from geoagent.geo.style import target_colour
from geoagent.types import Box, GeoAgentError, Pixels

FORMATS = {
    "geojson": "outlines in longitude and latitude",
    "gpkg": "outlines in the CRS of the image",
    "tif": "mask raster on the grid of the image",
    "ids.tif": "raster with a number for each object",
    "png": "picture",
    "html": "map to look at in a browser",
    "parquet": "outlines in the CRS of the image",
    "json": "numbers and boxes",
    "coco.json": "COCO annotations in pixels",
}
_LONGEST_SIDE = 1024


@dataclass(frozen=True)
class Drawing:
    """A picture of masks."""

    png: bytes
    width: int
    height: int
    colours: tuple[str, ...]


def draw(raster: Raster, masks: Sequence[StoredMask]) -> Drawing:
    """The image with each mask in its colour, at most 1024 pixels wide and high."""
    pixels = draw_overlay(as_prediction(masks, raster.pixels)) if masks else raster.pixels
    colours = tuple("#{:02x}{:02x}{:02x}".format(*target_colour(n)) for n in range(1, len(masks) + 1))
    return _drawing(Image.fromarray(pixels), colours)


def draw_box(raster: Raster, box: Box, label: str) -> Drawing:
    """The image with a box, and a word at its corner."""
    if box[0] >= box[2] or box[1] >= box[3]:
        raise GeoAgentError("the box is empty: write x1 < x2 and y1 < y2")
    picture = Image.fromarray(raster.pixels)
    pen, colour = ImageDraw.Draw(picture), target_colour(1)
    pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline=colour, width=max(1, max(picture.size) // 300))
    pen.text((box[0] + 3, box[1] + 3), label[:60], fill=colour)
    return _drawing(picture)


def _drawing(picture: Image.Image, colours: tuple[str, ...] = ()) -> Drawing:
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return Drawing(buffer.getvalue(), picture.width, picture.height, colours)


def export_to(stored: StoredMask, path: Path, pixels: Pixels | None) -> None:
    """Write a mask in the format of the suffix."""
    if not stored.target.mask.any():
        raise GeoAgentError("the mask is empty: there is nothing to export")
    save_prediction(as_prediction([stored], pixels), path)
