"""Dense labels: one 8-bit index mask an image.

    root/
      classes.json     {classes: [{id, name}], ignore_id: number or null, split: {stem: "train" | "val" …}}
      images/          stem.webp, stem.jpg …
      masks/           stem.png, pixel values are class ids

and georeferenced images with one mask of instance numbers each (``images/*.tif``, ``masks/*.png``, 0 = background).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoagent.data.classes import CLASSES, find_canonical
from geoagent.data.dataset import checked_index, read_json, require
from geoagent.data.images import list_images, read_index, read_rgb
from geoagent.data.scenes import object_from_mask
from geoagent.types import AnnotatedScene, GeoAgentError, ImageInfo, SceneObject

_MAX_UNLABELLED = 0.05
_REST = ("background", "other", "ignore", "unlabeled", "unlabelled", "not a", "not an")


class IndexMaskScenes:
    """Images with dense class masks as annotated scenes.

    An area class (road, water) becomes one object; things (pools, buildings) become their connected pieces, marked
    ``merged`` because neighbours that touch are one piece: they can be found and measured, not counted. Classes are
    complete only in images that are labelled nearly everywhere, things only where there are none.
    """

    def __init__(
        self,
        root: Path,
        *,
        split: str | None = None,
        name: str | None = None,
        complete: frozenset[str] | None = None,
        gsd_m: float | None = None,
        scorable: bool = True,
    ) -> None:
        self.name = name or root.name
        self.split = split or "all"
        self._gsd_m, self._scorable = gsd_m, scorable
        table = read_json(root / "classes.json")
        self._ignore_id: int | None = table.get("ignore_id")
        splits: Mapping[str, str] = table["split"]
        self._classes, unknown = self._read_classes(table["classes"])
        named = frozenset(name for name in self._classes.values() if name)
        self.complete = named if complete is None else complete
        self.remarks: tuple[str, ...] = (
            (f"no class is known for {', '.join(unknown)}: those pixels are left out",) if unknown else ()
        )
        images = {path.stem: path for path in list_images(require(root / "images", "the pictures belong there"))}
        wanted = [stem for stem, part in splits.items() if split is None or part == split]
        self.pairs: list[tuple[Path, Path, str]] = []
        for stem in sorted(wanted):
            if stem not in images:
                raise GeoAgentError(f"{root / 'images'} has no picture {stem}.*, which classes.json lists")
            mask = require(root / "masks" / f"{stem}.png", f"the mask of {images[stem].name} belongs there")
            self.pairs.append((images[stem], mask, splits[stem]))
        unlisted = sorted(set(images) - set(splits))
        if unlisted:
            self.remarks += (f"{len(unlisted)} pictures are in no split, for instance {unlisted[0]}: left out",)

    def _read_classes(self, entries: list[dict[str, object]]) -> tuple[dict[int, str | None], list[str]]:
        classes: dict[int, str | None] = {}
        unknown = []
        for entry in entries:
            number, label = int(str(entry["id"])), str(entry["name"])
            if number == self._ignore_id or label.lower().startswith(_REST):
                continue
            classes[number] = find_canonical(label)
            if classes[number] is None:
                unknown.append(label)
        return classes, unknown

    def __len__(self) -> int:
        return len(self.pairs)

    def scene_id(self, index: int) -> str:
        """Set and file name without suffix."""
        return f"{self.name}/{self.pairs[index][0].stem}"

    def place(self, index: int) -> str:
        """The image itself: such sets record no group."""
        return self.pairs[index][0].stem

    def scene(self, index: int) -> AnnotatedScene:
        """Read image and mask ``index``."""
        image_path, mask_path, split = self.pairs[checked_index(index, len(self.pairs), self.name)]
        pixels, labels = read_rgb(image_path), read_index(mask_path)
        if labels.shape != pixels.shape[:2]:
            raise GeoAgentError(
                f"{mask_path} is {labels.shape[1]} x {labels.shape[0]}, its image {pixels.shape[1]} x {pixels.shape[0]}"
            )
        unnamed = [number for number, name in self._classes.items() if name is None]
        ignore = np.isin(labels, [*unnamed, *([] if self._ignore_id is None else [self._ignore_id])])
        objects = self._objects(labels)
        height, width = labels.shape
        return AnnotatedScene(
            id=self.scene_id(index),
            image=pixels,
            objects=tuple(objects),
            complete=self._complete_here(objects) if ignore.mean() <= _MAX_UNLABELLED else frozenset(),
            ignore=ignore if ignore.any() else None,
            gsd_m=self._gsd_m,
            source=self.name,
            split=split,
            info=ImageInfo(width=width, height=height, gsd_m=self._gsd_m, path=str(image_path)),
        )

    def _complete_here(self, objects: list[SceneObject]) -> frozenset[str]:
        """Of things, only those that are nowhere to be seen: the number of merged ones is not known."""
        merged = {thing.class_name for thing in objects if thing.attributes.get("merged")}
        return self.complete - merged

    def _objects(self, labels: NDArray[np.int64]) -> list[SceneObject]:
        objects: list[SceneObject] = []
        for number, class_name in self._classes.items():
            if class_name is None:
                continue
            area = labels == number
            if CLASSES[class_name].kind == "stuff":
                whole = object_from_mask(class_name, area, scorable=self._scorable)
                objects.extend([whole] if whole else [])
            else:
                objects.extend(connected_pieces(class_name, area, scorable=self._scorable))
        return objects


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
        from rasterio import open as open_raster

        self.name, self.split = name or root.name, split
        self.remarks: tuple[str, ...] = ()
        self._class_name, self._complete, self._tile = class_name, complete, tile
        self.tiles: list[tuple[Path, Path, int, int]] = []
        for image in list_images(require(root / "images", "the mosaics belong there")):
            mask = require(root / "masks" / f"{image.stem}.png", f"the numbered mask of {image.name} belongs there")
            with open_raster(image) as raster:
                starts = [(x, y) for y in _starts(raster.height, tile) for x in _starts(raster.width, tile)]
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
        from rasterio import open as open_raster
        from rasterio.windows import Window

        image, mask, x, y = self.tiles[checked_index(index, len(self.tiles), self.name)]
        with open_raster(image) as raster:
            window = Window(x, y, min(self._tile, raster.width - x), min(self._tile, raster.height - y))
            bands = raster.read((1, 2, 3), window=window)
            valid = raster.dataset_mask(window=window) > 0
            info = ImageInfo(
                width=int(window.width),
                height=int(window.height),
                crs=raster.crs.to_string() if raster.crs else None,
                transform=tuple(raster.window_transform(window))[:6],
                path=str(image),
            )
        if bands.dtype != np.uint8:
            raise GeoAgentError(f"{image} is {bands.dtype}, not 8-bit: stretch it first")
        pixels = np.ascontiguousarray(bands.transpose(1, 2, 0))
        numbers = read_index(mask)[y : y + pixels.shape[0], x : x + pixels.shape[1]]
        objects = [_numbered(self._class_name, numbers, number) for number in np.unique(numbers[numbers > 0]).tolist()]
        return AnnotatedScene(
            id=self.scene_id(index),
            image=pixels,
            objects=tuple(objects),
            complete=self._complete,
            ignore=None if valid.all() else ~valid,
            source=self.name,
            split=self.split,
            info=info,
        )


def connected_pieces(class_name: str, area: NDArray[np.bool_], *, scorable: bool = True) -> list[SceneObject]:
    """The connected pieces of ``area`` (diagonal neighbours touch) as objects marked ``merged``."""
    pieces, _ = ndimage.label(area, structure=np.ones((3, 3), dtype=np.int8))
    objects = []
    for number, window in enumerate(ndimage.find_objects(pieces), start=1):
        rows, columns = window
        box = (columns.start, rows.start, columns.stop, rows.stop)
        crop = np.asarray(pieces[window] == number, dtype=np.bool_)
        thing = SceneObject(class_name=class_name, box=box, crop=crop, scorable=scorable, attributes={"merged": True})
        objects.append(thing)
    return objects


def _numbered(class_name: str, numbers: NDArray[np.int64], number: int) -> SceneObject:
    thing = object_from_mask(class_name, numbers == number)
    assert thing is not None, "only numbers that occur are asked for"
    return thing


def _starts(length: int, tile: int) -> list[int]:
    return list(range(0, length, tile))
