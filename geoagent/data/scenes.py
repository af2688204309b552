"""Annotated scenes by index, whatever their labels looked like on disk."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from geoagent.data.dataset import checked_index
from geoagent.types import AnnotatedScene, Box, Instance, Mask, SceneObject


class SceneSource(Protocol):
    """Scenes of one split of one collection."""

    name: str
    split: str
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        """Number of scenes."""
        ...

    def scene(self, index: int) -> AnnotatedScene:
        """Read the scene at ``index``."""
        ...

    def scene_id(self, index: int) -> str:
        """Its id, without reading pixels."""
        ...

    def place(self, index: int) -> str:
        """Scenes of one place or flight share it: never split them further across train and validation."""
        ...


class JoinedScenes:
    """Several sources one after the other."""

    def __init__(self, name: str, split: str, sources: Sequence[SceneSource]) -> None:
        self.name, self.split = name, split
        self.sources = tuple(source for source in sources if len(source))
        self.remarks = tuple(f"{source.name}: {remark}" for source in sources for remark in source.remarks)
        self._ends = np.cumsum([len(source) for source in self.sources], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.sources else 0

    def scene(self, index: int) -> AnnotatedScene:
        """Read the scene at ``index``."""
        source, position = self.locate(index)
        return source.scene(position)

    def scene_id(self, index: int) -> str:
        """Its id, without reading pixels."""
        source, position = self.locate(index)
        return source.scene_id(position)

    def place(self, index: int) -> str:
        """Place of the scene, unique over all sources."""
        source, position = self.locate(index)
        return f"{source.name}/{source.place(position)}"

    def locate(self, index: int) -> tuple[SceneSource, int]:
        """The source of scene ``index`` and its number there."""
        index = checked_index(index, len(self), self.name)
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self.sources[number], index - (int(self._ends[number - 1]) if number else 0)


def object_from_mask(class_name: str, mask: Mask, *, scorable: bool = True, **attributes: object) -> SceneObject | None:
    """The object that a mask of the whole image shows, None for an empty mask."""
    box = tight_box(mask)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    crop = mask[y0:y1, x0:x1].copy()
    return SceneObject(class_name=class_name, box=box, crop=crop, scorable=scorable, attributes=attributes)


def tight_box(mask: Mask) -> Box | None:
    """The smallest box around a mask, None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def instance_from_mask(number: int, mask: Mask) -> Instance:
    """The ``number``-th object of a target, from its mask of the whole image."""
    x0, y0, x1, y1 = tight_box(mask) or (0, 0, 0, 0)
    height, width = mask.shape
    return Instance(
        id=number, box=(x0, y0, x1, y1), crop=mask[y0:y1, x0:x1].copy(), score=1.0, image_size=(height, width)
    )
