"""COCO instance annotations: boxes, polygons and RLE of objects with a category.

    root/
      annotations.json     images [{id, file_name, width, height, split?, group?}], categories [{id, name}],
                           annotations [{id, image_id, category_id, bbox, segmentation?, iscrowd?, shape?}]
      images/              the files that ``file_name`` names

``split`` and ``group`` of an image are an addition of ours; without them every image is in ``train``. ``shape`` says
how far a mask is to be trusted: ``mask`` (default where there is one) was drawn by hand, ``derived mask`` was cut out
by a machine, ``box`` has none, and its inner ellipse stands for the object while the corners of the box stay unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoagent.data.classes import find_canonical
from geoagent.data.dataset import checked_index, inside, read_json, require
from geoagent.data.images import read_rgb
from geoagent.data.rle import as_polygons, polygons_to_crop, segmentation_to_mask
from geoagent.data.scenes import tight_box
from geoagent.types import AnnotatedScene, Box, GeoAgentError, ImageInfo, Mask, SceneObject

_ELLIPSE_SHARE = 0.9  # of the box's sides: the inner ellipse that is surely object


@dataclass(frozen=True, kw_only=True)
class CocoImage:
    """An entry of ``images`` with its annotations."""

    id: int | str
    path: Path
    size: tuple[int, int]
    """``(height, width)``."""
    split: str
    group: str
    annotations: tuple[Mapping[str, Any], ...]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CocoFile:
    """A checked annotation file."""

    path: Path
    categories: Mapping[int, str]
    """Names as written, by id."""
    images: tuple[CocoImage, ...]


def read_coco(path: Path, image_folder: Path) -> CocoFile:
    """Read and check an annotation file; pixels are not touched.

    Raises:
        GeoAgentError: for a missing part, a repeated id, or an annotation of an unknown image or category.
    """
    content = read_json(path)
    missing = [part for part in ("images", "annotations", "categories") if part not in content]
    if missing:
        raise GeoAgentError(f"{path} lacks {', '.join(missing)}: it is not a COCO annotation file")
    categories = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
    by_image: dict[int | str, list[Mapping[str, Any]]] = {}
    for entry in content["images"]:
        if entry["id"] in by_image:
            raise GeoAgentError(f"{path}: two images have the id {entry['id']}")
        by_image[entry["id"]] = []
    for annotation in content["annotations"]:
        name = f"{path}: annotation {annotation.get('id')}"
        if annotation.get("image_id") not in by_image:
            raise GeoAgentError(f"{name} belongs to the image {annotation.get('image_id')}, which is not listed")
        if annotation.get("category_id") not in categories:
            raise GeoAgentError(f"{name} has the category {annotation.get('category_id')}, which is not listed")
        by_image[annotation["image_id"]].append(annotation)
    known = {"id", "file_name", "width", "height", "split", "group"}
    images = tuple(
        CocoImage(
            id=entry["id"],
            path=inside(image_folder, entry["file_name"], str(path)),
            size=(int(entry["height"]), int(entry["width"])),
            split=str(entry.get("split", "train")),
            group=str(entry.get("group", entry["id"])),
            annotations=tuple(by_image[entry["id"]]),
            extra={key: value for key, value in entry.items() if key not in known},
        )
        for entry in content["images"]
    )
    return CocoFile(path=path, categories=categories, images=images)


class CocoScenes:
    """Images with COCO instance labels as annotated scenes.

    Args:
        root: Folder with ``annotations.json`` and ``images/``, or an annotation file next to its ``images/``.
        split: Which images to take; None takes all.
        complete: Canonical classes of which every object is labelled; None means all categories of the file.
        sparse: Canonical classes that are labelled in some images and passed over in others.
        gsd_m: Ground size of a pixel, where one value holds for all images.
        gsd_by_class: The same where it follows from the class that an image shows.
    """

    def __init__(
        self,
        root: Path,
        *,
        split: str | None = None,
        name: str | None = None,
        complete: frozenset[str] | None = None,
        sparse: frozenset[str] = frozenset(),
        gsd_m: float | None = None,
        gsd_by_class: Mapping[str, float] | None = None,
    ) -> None:
        file = root if root.suffix == ".json" else root / "annotations.json"
        folder = require(file.parent / "images", "the pictures that annotations.json names belong there")
        self._coco = read_coco(file, folder)
        self.name = name or file.parent.name
        self.split = split or "all"
        self.images = tuple(image for image in self._coco.images if split is None or image.split == split)
        check_places(self.name, [(image.group, image.split) for image in self._coco.images])
        self._classes = {number: find_canonical(label) for number, label in self._coco.categories.items()}
        unknown = [label for number, label in self._coco.categories.items() if self._classes[number] is None]
        if unknown and len(unknown) == len(self._classes):
            raise GeoAgentError(f"{file} has no category of geoagent.data.classes: {', '.join(unknown)}")
        self.remarks: tuple[str, ...] = (
            (f"no class is known for the categories {', '.join(unknown)}: left out",) if unknown else ()
        )
        named = frozenset(filter(None, self._classes.values()))
        self.complete = named if complete is None else complete
        self.labelled = named - sparse
        self._gsd_m, self._gsd_by_class = gsd_m, gsd_by_class or {}

    def __len__(self) -> int:
        return len(self.images)

    def scene_id(self, index: int) -> str:
        """Set and file name without suffix."""
        return f"{self.name}/{self.images[index].path.stem}"

    def place(self, index: int) -> str:
        """The image's ``group``."""
        return self.images[index].group

    def scene(self, index: int) -> AnnotatedScene:
        """Read image ``index`` and draw its objects."""
        image = self.images[checked_index(index, len(self.images), self.name)]
        pixels = read_rgb(image.path)
        if pixels.shape[:2] != image.size:
            raise GeoAgentError(
                f"{image.path} is {pixels.shape[1]} x {pixels.shape[0]}, {self._coco.path.name} says "
                f"{image.size[1]} x {image.size[0]}: its labels would not fit"
            )
        objects, unknown = self._objects(image)
        by_class = {self._gsd_by_class.get(thing.class_name) for thing in objects}
        gsd_m = by_class.pop() if self._gsd_m is None and len(by_class) == 1 else self._gsd_m
        height, width = image.size
        return AnnotatedScene(
            id=self.scene_id(index),
            image=pixels,
            objects=tuple(objects),
            complete=self.complete,
            labelled=self.labelled,
            ignore=unknown,
            gsd_m=gsd_m,
            source=self.name,
            split=image.split,
            info=ImageInfo(width=width, height=height, gsd_m=gsd_m, path=str(image.path), extra=image.extra),
        )

    def _objects(self, image: CocoImage) -> tuple[list[SceneObject], Mask | None]:
        objects: list[SceneObject] = []
        unknown = np.zeros(image.size, dtype=np.bool_)
        for annotation in image.annotations:
            class_name = self._classes[annotation["category_id"]]
            what = f"{self._coco.path}: annotation {annotation.get('id')}"
            thing = _draw(annotation, class_name or "", image.size, what)
            x0, y0, x1, y1 = thing.box
            if class_name is None or annotation.get("iscrowd"):
                # Something is there, but either not one object or nothing that has a name here.
                unknown[y0:y1, x0:x1] |= thing.crop if thing.ignore is None else thing.crop | thing.ignore
            else:
                objects.append(thing)
        return objects, unknown if unknown.any() else None


def check_places(name: str, places: Sequence[tuple[str, str]]) -> None:
    """Raise when a place has images in two splits, which would let a model be judged on what it was shown."""
    first: dict[str, str] = {}
    for place, split in places:
        if first.setdefault(place, split) != split:
            raise GeoAgentError(
                f"{name}: the group {place!r} is in the splits {first[place]} and {split}: keep it in one"
            )


def _draw(annotation: Mapping[str, Any], class_name: str, size: tuple[int, int], what: str) -> SceneObject:
    segmentation = annotation.get("segmentation")
    shape = annotation.get("shape", "mask" if segmentation else "box")
    try:
        if shape == "box" or not segmentation:
            return _draw_box(annotation["bbox"], class_name, size)
        crop, box = _draw_segmentation(segmentation, size)
    except KeyError as error:
        raise GeoAgentError(f"{what} has neither a segmentation nor a bbox") from error
    except GeoAgentError as error:
        raise GeoAgentError(f"{what}: {error}") from error
    if not crop.any():
        raise GeoAgentError(f"{what} has no pixel inside its image of {size[1]} x {size[0]}")
    return SceneObject(class_name=class_name, box=box, crop=crop, scorable=shape == "mask")


def _draw_segmentation(segmentation: Any, size: tuple[int, int]) -> tuple[Mask, Box]:
    if isinstance(segmentation, Mapping) or isinstance(segmentation[0], Mapping):
        mask = segmentation_to_mask(segmentation, size)
        box = tight_box(mask) or (0, 0, 0, 0)
        return mask[box[1] : box[3], box[0] : box[2]].copy(), box
    return polygons_to_crop(as_polygons(segmentation), size)


def _draw_box(bbox: Sequence[float], class_name: str, size: tuple[int, int]) -> SceneObject:
    """The inner ellipse of ``[x, y, width, height]`` as the object, the rest of the box unknown."""
    if len(bbox) != 4 or min(bbox[2:]) <= 0:
        raise GeoAgentError(f"the bbox {list(bbox)} is not [x, y, width, height] of something")
    left, top, width, height = (float(value) for value in bbox)
    x0, x1 = np.clip([np.floor(left), np.ceil(left + width)], 0, size[1]).astype(int).tolist()
    y0, y1 = np.clip([np.floor(top), np.ceil(top + height)], 0, size[0]).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        raise GeoAgentError(f"the bbox {list(bbox)} lies outside the image of {size[1]} x {size[0]}")
    across = (np.arange(x0, x1) + 0.5 - left - width / 2) / (width * _ELLIPSE_SHARE / 2)
    down = (np.arange(y0, y1) + 0.5 - top - height / 2) / (height * _ELLIPSE_SHARE / 2)
    crop = np.asarray(across[None, :] ** 2 + down[:, None] ** 2 <= 1.0, dtype=np.bool_)
    if not crop.any():
        crop = np.ones_like(crop)
    return SceneObject(
        class_name=class_name,
        box=(x0, y0, x1, y1),
        crop=crop,
        ignore=~crop,
        scorable=False,
        attributes={"from_box": True},
    )
