"""Pictures and files of masks, for the user."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw

from geoagent.agent.grids import part_of
from geoagent.agent.masks import StoredMask, as_prediction
from geoagent.geo.export import save_prediction
from geoagent.geo.overlay import draw_overlay
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


def draw(pixels: Pixels, masks: Sequence[StoredMask] = ()) -> Drawing:
    """A picture with each mask in its colour, at most 1024 pixels wide and high; the masks may be larger than it."""
    if masks:
        step = ceil(max(masks[0].info.size) / max(pixels.shape[:2]))
        pixels = draw_overlay(as_prediction([_reduced(mask, step) for mask in masks], pixels))
    colours = tuple("#{:02x}{:02x}{:02x}".format(*target_colour(n)) for n in range(1, len(masks) + 1))
    return _drawing(Image.fromarray(pixels), colours)


def draw_box(pixels: Pixels, box: Box, step: int, label: str) -> Drawing:
    """A picture with a box, and a word at its corner; each pixel stands for ``step`` of the box along a side."""
    if box[0] >= box[2] or box[1] >= box[3]:
        raise GeoAgentError("the box is empty: write x1 < x2 and y1 < y2")
    picture = Image.fromarray(pixels)
    pen, colour = ImageDraw.Draw(picture), target_colour(1)
    x0, y0, x1, y1 = box[0] // step, box[1] // step, ceil(box[2] / step), ceil(box[3] / step)
    pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=max(1, max(picture.size) // 300))
    pen.text((x0 + 3, y0 + 3), label[:60], fill=colour)
    return _drawing(picture)


def _reduced(stored: StoredMask, step: int) -> StoredMask:
    """A mask with every ``step``-th pixel; objects that have none are left out."""
    if step == 1:
        return stored
    mask = stored.target.mask[::step, ::step]
    objects = []
    for one in stored.target.instances:
        left, top = one.box[:2]
        crop = one.crop[-top % step :: step, -left % step :: step]
        if crop.any():
            x, y = -(-left // step), -(-top // step)
            box = (x, y, x + crop.shape[1], y + crop.shape[0])
            objects.append(replace(one, box=box, crop=crop, image_size=mask.shape))
    target = replace(stored.target, mask=mask, instances=tuple(objects), coarse=None)
    return replace(stored, target=target, info=part_of(stored.info, (0, 0, *stored.info.size[::-1]), mask.shape))


def _drawing(picture: Image.Image, colours: tuple[str, ...] = ()) -> Drawing:
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return Drawing(buffer.getvalue(), picture.width, picture.height, colours)


def export_to(stored: StoredMask, path: Path) -> None:
    """Write a mask in the format of the suffix."""
    if not stored.target.mask.any():
        raise GeoAgentError("the mask is empty: there is nothing to export")
    save_prediction(as_prediction([stored]), path)
