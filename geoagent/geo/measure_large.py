"""The features of a mask that is too large to hold: found piece by piece, kept on disk, read one at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from geoagent.geo.mask_file import BLOCK, Ids, IdWriter, MaskFile, read_ids
from geoagent.geo.opening import reading
from geoagent.geo.seams import SeamMerger, Things
from geoagent.types import Box, ImageInfo, Mask

Patch = tuple[int, int, Box, Mask]
"""Number, value, place and mask of a feature."""
_SIDE = 8 * BLOCK
_MOST_CLASSES = 256
"""Rasters of more different values hold objects, whatever they say."""


def large_patches(dataset: Any, objects: bool, folder: Path) -> Iterator[Patch]:
    """What `geoagent.geo.measure_file` measures, of a dataset with one band of any size.

    Args:
        dataset: Open; value 0 and its nodata are background.
        objects: Each value is a feature; otherwise each connected patch of a value is.
        folder: For rasters of what was found; it must outlive the patches.
    """
    boxes: dict[int, list[int]] = {}
    for left, top, values in _pieces(dataset):
        found, ranks = np.unique(values, return_inverse=True)
        for value, place in zip(found.tolist(), ndimage.find_objects(ranks.reshape(values.shape) + 1), strict=True):
            if value:
                (rows, columns), box = place, boxes.setdefault(value, [dataset.width, dataset.height, 0, 0])
                near = min(box[0], left + columns.start), min(box[1], top + rows.start)
                boxes[value] = [*near, max(box[2], left + columns.stop), max(box[3], top + rows.stop)]
    if objects or len(boxes) > _MOST_CLASSES:
        for value, (x0, y0, x1, y1) in sorted(boxes.items()):
            yield value, value, (x0, y0, x1, y1), _on_disk(Path(dataset.name), (x0, y0, x1, y1), value, None)
        return
    number = 0
    for value in sorted(boxes):
        labelled, numbered = folder / f"labels-{value}.tif", folder / f"patches-{value}.tif"
        things = _label(dataset, value, labelled)
        with IdWriter(numbered, _grid(dataset)) as writer:
            for _, _, ids in read_ids(labelled):
                writer.put(things.number[ids])
        labelled.unlink()
        for n, (corners, area) in enumerate(zip(things.boxes.tolist(), things.area.tolist(), strict=True), start=1):
            number += 1
            x0, y0, x1, y1 = corners
            yield number, value, (x0, y0, x1, y1), _on_disk(numbered, (x0, y0, x1, y1), n, area)


def _label(dataset: Any, value: int, path: Path) -> Things:
    """The connected patches of a value, with their labels in a raster."""
    seams = SeamMerger()
    above, below = np.zeros(dataset.width, np.uint32), np.zeros(dataset.width, np.uint32)
    beside: Ids | None = None
    with IdWriter(path, _grid(dataset)) as writer:
        for left, top, values in _pieces(dataset):
            mask = values == value
            ids = seams.label(mask, np.ones(mask.shape, np.float32), left, top)
            if left == 0:
                above, below, beside = below, np.zeros_like(below), None
            stop = left + ids.shape[1]
            if beside is not None:
                seams.join(beside, ids[:, 0])
            # A pixel more at both ends: patches may touch at a corner, across the cross of four pieces, too.
            first, last = max(0, left - 1), min(dataset.width, stop + 1)
            seams.join(above[first:last], np.pad(ids[0], (left - first, last - stop)))
            beside, below[left:stop] = ids[:, -1].copy(), ids[-1]
            writer.put(ids)
    return seams.merge(1)


def _pieces(dataset: Any) -> Iterator[tuple[int, int, NDArray[Any]]]:
    for top in range(0, dataset.height, BLOCK):
        for left in range(0, dataset.width, _SIDE):
            window = Window(left, top, min(_SIDE, dataset.width - left), min(BLOCK, dataset.height - top))
            with reading(dataset.name):
                values: NDArray[Any] = dataset.read(1, window=window)
            if dataset.nodata is not None:
                values[values == dataset.nodata] = 0
            yield left, top, values


def _grid(dataset: Any) -> ImageInfo:
    return ImageInfo(width=dataset.width, height=dataset.height)


def _on_disk(path: Path, box: Box, number: int, count: int | None) -> Mask:
    return MaskFile(path, box, low=number, high=number, count=count)  # type: ignore[return-value]
