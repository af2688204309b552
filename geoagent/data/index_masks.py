"""Dense labels: one 8-bit index mask an image.

    root/
      classes.json     {classes: [{id, name}], ignore_id: number or null, split: {stem: "train" | "val" …}}
      images/          stem.webp, stem.jpg …
      masks/           stem.png, pixel values are class ids

Without ``split`` every image is in ``train``.
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
_SPECK = 16  # pixels: smaller areas are slips of the brush or of rescaling; nobody knows what they are
_REST = ("background", "other", "ignore", "unlabeled", "unlabelled", "not a", "not an")


class IndexMaskScenes:
    """Images with dense class masks as annotated scenes.

    An area class (road, water) becomes one object; things (pools, buildings) become their connected pieces, marked
    ``merged`` because neighbours that touch are one piece: they can be found and measured, not counted. Classes are
    complete only in images that are labelled nearly everywhere, merged things only where there are none.

    Args:
        root: Folder in the layout above.
        split: Which images to take; None takes all.
        name: Name of the set; that of the folder by default.
        complete: Canonical classes of which every pixel is labelled; None means all that the file names.
        gsd_m: Ground size of a pixel, where one value holds for all images.
        scorable: False where a machine drew the labels.
        pieces_are_objects: Whether each connected piece is one thing, as with swimming pools.
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
        pieces_are_objects: bool = False,
    ) -> None:
        self.name = name or root.name
        self.split = split or "all"
        self._gsd_m, self._scorable = gsd_m, scorable
        self._merged = not pieces_are_objects
        table = read_json(root / "classes.json")
        self._ignore_id: int | None = table.get("ignore_id")
        self._classes, unknown = self._read_classes(table["classes"])
        named = frozenset(name for name in self._classes.values() if name)
        if not named:
            raise GeoAgentError(
                f"{root / 'classes.json'} names no class of geoagent.data.classes: {', '.join(unknown)}"
            )
        self.complete = named if complete is None else complete
        self.labelled = named
        self.remarks: tuple[str, ...] = (
            (f"no class is known for {', '.join(unknown)}: those pixels are left out",) if unknown else ()
        )
        images = {path.stem: path for path in list_images(require(root / "images", "the pictures belong there"))}
        splits: Mapping[str, str] = table.get("split") or dict.fromkeys(images, "train")
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
        specks = [thing for thing in objects if thing.area < _SPECK]
        for thing in specks:
            x0, y0, x1, y1 = thing.box
            ignore[y0:y1, x0:x1] |= thing.crop
        height, width = labels.shape
        return AnnotatedScene(
            id=self.scene_id(index),
            image=pixels,
            objects=tuple(thing for thing in objects if thing.area >= _SPECK),
            complete=self._complete_here(objects) if ignore.mean() <= _MAX_UNLABELLED else frozenset(),
            labelled=self.labelled,
            ignore=ignore if ignore.any() else None,
            gsd_m=self._gsd_m,
            source=self.name,
            split=split,
            info=ImageInfo(width=width, height=height, gsd_m=self._gsd_m, path=str(image_path)),
        )

    def _complete_here(self, objects: list[SceneObject]) -> frozenset[str]:
        """Without things that are somewhere to be seen, whose number is unknown, and without what is only a speck."""
        merged = {thing.class_name for thing in objects if thing.attributes.get("merged")}
        return self.complete - merged - {thing.class_name for thing in objects if thing.area < _SPECK}

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
                objects.extend(connected_pieces(class_name, area, merged=self._merged, scorable=self._scorable))
        return objects


def connected_pieces(
    class_name: str, area: NDArray[np.bool_], *, merged: bool = True, scorable: bool = True
) -> list[SceneObject]:
    """The connected pieces of ``area`` (diagonal neighbours touch) as objects, ``merged`` unless each is one thing."""
    pieces, _ = ndimage.label(area, structure=np.ones((3, 3), dtype=np.int8))
    attributes = {"merged": True} if merged else {}
    objects = []
    for number, window in enumerate(ndimage.find_objects(pieces), start=1):
        rows, columns = window
        box = (columns.start, rows.start, columns.stop, rows.stop)
        crop = np.asarray(pieces[window] == number, dtype=np.bool_)
        thing = SceneObject(class_name=class_name, box=box, crop=crop, scorable=scorable, attributes=attributes)
        objects.append(thing)
    return objects
