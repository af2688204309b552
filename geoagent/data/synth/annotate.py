"""From the id buffer to annotated objects: masks, parts, what is complete."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoagent.data.classes import CLASSES
from geoagent.data.synth.canvas import Canvas
from geoagent.types import Box, Mask, SceneObject

MIN_AREA = 8
"""Fewer visible pixels of an object are ignored rather than annotated."""
MIN_PART = 4


def _crops(labels: NDArray[np.int32]) -> dict[int, tuple[Box, Mask]]:
    """The box and mask of each positive label."""
    found: dict[int, tuple[Box, Mask]] = {}
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is not None:
            rows, columns = place
            found[number] = ((columns.start, rows.start, columns.stop, rows.stop), labels[place] == number)
    return found


def _parts(canvas: Canvas, leaf_map: NDArray[np.int32]) -> tuple[dict[int, list[SceneObject]], set[str]]:
    """Parts by the entity they belong to, and the part classes of which one was too small to annotate."""
    by_entity: dict[int, list[SceneObject]] = {}
    dropped: set[str] = set()
    table = np.array(canvas.leaves.part, dtype=np.int32)
    if not table.any():
        return by_entity, dropped
    for number, (place, crop) in _crops(table[leaf_map]).items():
        class_name, entity = canvas.parts[number]
        if int(crop.sum()) < MIN_PART:
            dropped.add(class_name)
            continue
        by_entity.setdefault(entity, []).append(SceneObject(class_name=class_name, box=place, crop=crop))
    return by_entity, dropped


def _attributes(canvas: Canvas, entity: int, place: Box, crop: Mask) -> dict[str, Any]:
    x0, y0, x1, y1 = place
    found = dict(canvas.entities[entity].attributes)
    found["area_m2"] = round(float(crop.sum()) * canvas.gsd**2, 1)
    if x0 == 0 or y0 == 0 or x1 == canvas.width or y1 == canvas.height:
        found["truncated"] = True
    return found


def annotate(
    canvas: Canvas, leaf_map: NDArray[np.int32]
) -> tuple[tuple[SceneObject, ...], Mask | None, frozenset[str]]:
    """Read the objects off the buffer.

    Args:
        canvas: the finished drawing.
        leaf_map: int32 [H,W], the leaf seen in each pixel.

    Returns:
        the objects in the order of drawing, bool [H,W] of slivers too small to annotate (None: there are none), and the
        classes that are not fully annotated.
    """
    owner = np.array(canvas.leaves.entity, dtype=np.int32)
    holder = np.array([entity.container for entity in canvas.entities], dtype=np.int32)
    containers = np.unique(holder)[1:]
    own = _crops(owner[leaf_map])
    if containers.size:
        # A container's mask is its own surface and everything in it.
        merged = np.where(np.isin(np.arange(len(holder)), containers), np.arange(len(holder)), holder)
        own |= {
            n: c for n, c in _crops(merged.astype(np.int32)[owner][leaf_map]).items() if n in set(containers.tolist())
        }
    parts, dropped = _parts(canvas, leaf_map)
    objects: list[SceneObject] = []
    ignore = np.zeros(leaf_map.shape, dtype=np.bool_)
    for number in sorted(own):
        place, crop = own[number]
        class_name = canvas.entities[number].class_name
        if int(crop.sum()) < MIN_AREA:
            x0, y0, x1, y1 = place
            ignore[y0:y1, x0:x1] |= crop
            continue
        objects.append(
            SceneObject(
                class_name=class_name,
                box=place,
                crop=crop,
                attributes=_attributes(canvas, number, place, crop),
                parts=tuple(parts.get(number, ())),
            )
        )
    unknown = {name for name in CLASSES if name in dropped or name in canvas.incomplete}
    return tuple(objects), ignore if ignore.any() else None, frozenset(unknown)
