"""Georeferenced images with one mask of numbered objects each.

root/images/*.tif      8-bit RGB GeoTIFFs
root/masks/*.png       16-bit numbers of the objects, 0 = background
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from geoagent.data.dataset import checked_index, require
from geoagent.data.images import list_images, read_index
from geoagent.geo.georef import as_transform, crs_name, ground_size, has_place
from geoagent.geo.opening import open_raster, reading
from geoagent.types import AnnotatedScene, GeoAgentError, ImageInfo, SceneObject


class InstanceMaskScenes:
    """Georeferenced images with one mask of numbered objects of a single class, cut into tiles.

    Drone mosaics of thousands of pixels a side are one file: a tile is one scene, an object on its edge is cut there.
    """

    def __init__(
        self,
        root: Path,
        class_name: str,
        *,
        name: str | None = None,
        split: str = "train",
        tile: int = 1024,
        complete: frozenset[str] = frozenset(),
    ) -> None:
        self.name, self.split = name or root.name, split
        self.remarks: tuple[str, ...] = ()
        self._class_name, self._complete, self._tile = class_name, complete, tile
        self.tiles: list[tuple[Path, Path, int, int]] = []
        for image in list_images(require(root / "images", "the mosaics belong there")):
            mask = require(root / "masks" / f"{image.stem}.png", f"the numbered mask of {image.name} belongs there")
            with open_raster(image) as raster:
                starts = [(x, y) for y in range(0, raster.height, tile) for x in range(0, raster.width, tile)]
            self.tiles.extend((image, mask, x, y) for x, y in starts)

    def __len__(self) -> int:
        return len(self.tiles)

    def scene_id(self, index: int) -> str:
        """Set, mosaic and the tile's upper left corner."""
        image, _, x, y = self.tiles[index]
        return f"{self.name}/{image.stem}_{x}_{y}"

    def place(self, index: int) -> str:
        """The mosaic: its tiles belong together."""
        return self.tiles[index][0].stem

    def scene(self, index: int) -> AnnotatedScene:
        """Read tile ``index`` and the objects on it."""
        image, mask, x, y = self.tiles[checked_index(index, len(self.tiles), self.name)]
        with reading(str(image)), open_raster(image) as raster:
            window = Window(x, y, min(self._tile, raster.width - x), min(self._tile, raster.height - y))
            bands = raster.read((1, 2, 3), window=window)
            valid = raster.dataset_mask(window=window) > 0
            info = ImageInfo(
                width=int(window.width),
                height=int(window.height),
                crs=crs_name(raster.crs),
                transform=as_transform(raster.window_transform(window)),
                path=str(image),
            )
        gsd_m = ground_size(info) if has_place(info) else None
        if bands.dtype != np.uint8:
            raise GeoAgentError(f"{image} is {bands.dtype}, not 8-bit: stretch it first")
        pixels = np.ascontiguousarray(bands.transpose(1, 2, 0))
        numbers = read_index(mask)[y : y + pixels.shape[0], x : x + pixels.shape[1]]
        if numbers.shape != pixels.shape[:2]:
            raise GeoAgentError(f"{mask} is smaller than its image {image.name}: the two do not belong together")
        return AnnotatedScene(
            id=self.scene_id(index),
            image=pixels,
            objects=tuple(numbered_objects(self._class_name, numbers)),
            complete=self._complete,
            labelled=frozenset({self._class_name}),
            ignore=None if valid.all() else ~valid,
            gsd_m=gsd_m,
            source=self.name,
            split=self.split,
            info=replace(info, gsd_m=gsd_m),
        )


def numbered_objects(class_name: str, numbers: NDArray[np.int64]) -> list[SceneObject]:
    """One object a number above 0, whatever its pieces: a house cut in two by a tree stays one."""
    present, compact = np.unique(numbers, return_inverse=True)
    objects = []
    for rank, window in enumerate(ndimage.find_objects(compact.reshape(numbers.shape) + 1), start=1):
        if present[rank - 1] > 0:
            rows, columns = window
            crop = np.asarray(numbers[window] == present[rank - 1], dtype=np.bool_)
            box = (columns.start, rows.start, columns.stop, rows.stop)
            objects.append(SceneObject(class_name=class_name, box=box, crop=crop))
    return objects
