"""Two images of a place over each other, for the swipe."""

import json

import numpy as np
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geoagent.app.conversation import Conversation
from geoagent.app.pictures import picture_json
from geoagent.geo.georef import affine_of, has_place
from geoagent.geo.raster import Raster
from geoagent.types import ImageInfo, Pixels


def comparison_json(conversation: Conversation, number: int) -> str:
    """Another image laid over the one in view, as the browser shows it."""
    about = conversation.images[number]
    pixels, how = laid_over(about.read(), conversation.image.read().info)
    return json.dumps(
        {**json.loads(picture_json(about.name, pixels)), "index": number, "over": conversation.current, "how": how}
    )


def laid_over(raster: Raster, grid: ImageInfo) -> tuple[Pixels, str]:
    """A picture for the grid of another image, and how it got there: by coordinates where both have some."""
    info = raster.info
    if not (has_place(info) and has_place(grid)):
        return raster.pixels, "Laid over each other edge to edge: without coordinates nothing better is known."
    if (info.crs, info.transform, info.size) == (grid.crs, grid.transform, grid.size):
        return raster.pixels, ""
    moved = np.zeros((3, *grid.size), dtype=np.uint8)
    finer = (info.gsd_m or 1.0) < 0.75 * (grid.gsd_m or 1.0)
    reproject(
        np.ascontiguousarray(np.moveaxis(raster.pixels, 2, 0)),
        moved,
        src_transform=affine_of(info),
        src_crs=info.crs,
        dst_transform=affine_of(grid),
        dst_crs=grid.crs,
        resampling=Resampling.average if finer else Resampling.bilinear,
    )
    if not moved.any():
        return raster.pixels, "The two lie at different places on Earth: they are only shown edge to edge."
    return np.ascontiguousarray(np.moveaxis(moved, 0, 2)), "Laid over each other by their coordinates."
