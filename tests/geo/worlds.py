"""Small rasters and answers that the tests of `geoagent.geo` write and know the truth of."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from geoagent.types import ImageInfo, Instance, Mask, Prediction, Target

UTM = "EPSG:32633"
GRID = Affine(0.5, 0, 400_000, 0, -0.5, 5_330_000)


def write_tiff(
    path: Path,
    values: NDArray[Any],
    *,
    crs: str | None = UTM,
    transform: Affine | None = GRID,
    names: Sequence[str] | None = None,
    mask: Mask | None = None,
    **profile: Any,
) -> Path:
    """Write [C,H,W] (or [H,W]) to a GeoTIFF."""
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    options = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": values.dtype.name,
        **profile,
    }
    if crs is not None:
        options |= {"crs": crs, "transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **options) as out:
            out.write(values)
            if mask is not None:
                out.write_mask(mask)
            for number, name in enumerate(names or (), start=1):
                out.set_band_description(number, name)
    return path


def noise(*shape: int, low: int = 30, high: int = 220, dtype: str = "uint8") -> NDArray[Any]:
    """Random values that no collar or nodata can be mistaken for."""
    return np.random.default_rng(0).integers(low, high, shape).astype(dtype)


def instances_of(mask: Mask, score: float = 0.9) -> tuple[Instance, ...]:
    """The connected parts of a mask."""
    labels, _ = ndimage.label(mask)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        box = (columns.start, rows.start, columns.stop, rows.stop)
        crop = labels[rows, columns] == number
        found.append(Instance(id=number, box=box, crop=crop, score=score, image_size=mask.shape))
    return tuple(found)


def answer(
    info: ImageInfo, *masks: Mask, phrases: Sequence[str] = ("storage tanks", "ships"), **more: Any
) -> Prediction:
    """A prediction with one target a mask, and one that was not found."""
    targets = [
        Target(phrase=phrase, score=0.9 - 0.1 * n, mask=mask, instances=instances_of(mask))
        for n, (phrase, mask) in enumerate(zip(phrases, masks, strict=False))
    ]
    absent = Target(phrase="helipad", score=0.08, mask=np.zeros(info.size, dtype=np.bool_))
    return Prediction(
        answer="Two storage tanks and a ship.",
        marked_answer="Two <p>storage tanks</p><seg> and a <p>ship</p><seg>, no <p>helipad</p><rej>.",
        candidates=(*targets, absent),
        image=info,
        instruction="Where is fuel kept?",
        model="nano",
        seconds=0.25,
        **more,
    )


def place(width: int = 120, height: int = 90, crs: str = UTM, transform: Affine = GRID, gsd: float = 0.5) -> ImageInfo:
    """An image with a place."""
    return ImageInfo(width=width, height=height, crs=crs, transform=tuple(transform)[:6], gsd_m=gsd)


def disks(info: ImageInfo, *circles: tuple[float, float, float]) -> Mask:
    """bool [H,W]: circles given as x, y, radius in pixels."""
    rows, columns = np.mgrid[: info.height, : info.width]
    mask = np.zeros(info.size, dtype=np.bool_)
    for x, y, radius in circles:
        mask |= (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
    return mask
