"""A small painted harbour whose truth is known: three tanks, two ships, water, and no helipad."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from skimage.draw import disk

from geoagent.demo import Demo
from geoagent.types import AnnotatedScene, ImageInfo, SceneObject

SIDE = 256
GSD = 0.5
CRS = "EPSG:32633"
GRID = Affine(GSD, 0, 400_000, 0, -GSD, 5_330_000)
TANKS = ((60, 60, 22), (60, 130, 16), (120, 80, 12))
"""Row, column, radius."""
SHIPS = ((170, 40, 190, 120), (210, 150, 222, 190))
"""y0, x0, y1, x1."""


def painted_scene() -> AnnotatedScene:
    """The picture with its objects."""
    rng = np.random.default_rng(7)
    image = np.full((SIDE, SIDE, 3), (150, 140, 120), dtype=np.uint8)
    image[150:] = (40, 80, 120)
    objects = []
    for row, column, radius in TANKS:
        mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
        mask[disk((row, column), radius, shape=mask.shape)] = True
        image[mask] = (235, 235, 230)
        objects.append(_thing("storage tank", mask))
    water = np.zeros((SIDE, SIDE), dtype=np.bool_)
    water[150:] = True
    for y0, x0, y1, x1 in SHIPS:
        mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
        mask[y0:y1, x0:x1] = True
        image[mask] = (150, 50, 45)
        objects.append(_thing("ship", mask))
        water &= ~mask
    objects.append(_thing("sea", water))
    noise = rng.integers(-6, 7, image.shape)
    return AnnotatedScene(
        id="painted",
        image=np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8),
        objects=tuple(objects),
        complete=frozenset({"storage tank", "ship", "sea", "helipad"}),
        gsd_m=GSD,
        info=ImageInfo(width=SIDE, height=SIDE, crs=CRS, transform=tuple(GRID)[:6], gsd_m=GSD),  # type: ignore[arg-type]
    )


def write_scene(scene: AnnotatedScene, path: Path, *, shift: float = 0.0) -> Path:
    """Its GeoTIFF; ``shift`` moves it east, so that the oracle does not know it."""
    with rasterio.open(
        path, "w", driver="GTiff", height=SIDE, width=SIDE, count=3, dtype="uint8", crs=CRS,
        transform=Affine.translation(shift, 0) @ GRID,
    ) as target:  # fmt: skip
        target.write(np.moveaxis(scene.image, 2, 0))
    return path


class PaintedDemo(Demo):
    """A demo picture that lies where the test wrote it."""

    @property
    def path(self) -> Path:
        return Path(self.name)


def painted_demo(path: Path) -> PaintedDemo:
    """The example card of the painted harbour."""
    return PaintedDemo(
        name=str(path),
        what="a painted harbour",
        questions=("Where is fuel kept?", "Segment the ships and the helipad."),
    )


def _thing(name: str, mask: "np.ndarray") -> SceneObject:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return SceneObject(class_name=name, box=box, crop=mask[box[1] : box[3], box[0] : box[2]])
