"""Annotated scenes by index, whatever their labels looked like on disk, and the questions made from them."""

import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from geoagent.data.dataset import checked_index
from geoagent.types import AnnotatedScene, Box, GeoAgentError, Instance, Mask, Sample, SceneObject

QuestionMaker = Callable[[AnnotatedScene, int, np.random.Generator], Sequence[Sample]]
"""Makes up to so many questions about a scene; everything random comes from the generator."""


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


class QuestionedScenes:
    """Scenes as a `SegmentationDataset`: question ``i % Q`` about scene ``i // Q``.

    The questions of a scene depend on the seed and the scene's id only, so neither the order of reading nor other
    scenes change them. A scene that gives fewer than Q questions has the missing ones asked again from another draw.
    """

    def __init__(self, scenes: SceneSource, maker: QuestionMaker, questions_per_image: int, seed: int) -> None:
        if questions_per_image < 1:
            raise GeoAgentError(f"questions_per_image is {questions_per_image}: ask at least one question an image")
        self.name, self.split, self.remarks = scenes.name, scenes.split, scenes.remarks
        self.source = scenes
        self.questions_per_image = questions_per_image
        self.seed = seed
        self._maker = maker
        self._recent: OrderedDict[int, tuple[Sample, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.source) * self.questions_per_image

    def __getitem__(self, index: int) -> Sample:
        scene, question = divmod(checked_index(index, len(self), self.name), self.questions_per_image)
        return self.questions(scene)[question]

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[list[int]]:
        """Indices of the questions about each scene."""
        count = self.questions_per_image
        return [list(range(first, first + count)) for first in range(0, len(self), count)]

    def scenes(self) -> Iterator[AnnotatedScene]:
        """The scenes themselves, one at a time: for training on dense class maps."""
        return (self.source.scene(index) for index in range(len(self.source)))

    def questions(self, index: int) -> tuple[Sample, ...]:
        """All questions about scene ``index``; the last few scenes are kept, since their questions are read in a
        row.
        """
        if index in self._recent:
            self._recent.move_to_end(index)
            return self._recent[index]
        asked = self._ask(self.source.scene(index))
        self._recent[index] = asked
        while len(self._recent) > 2:
            self._recent.popitem(last=False)
        return asked

    def _ask(self, scene: AnnotatedScene) -> tuple[Sample, ...]:
        asked: list[Sample] = []
        for attempt in range(self.questions_per_image):
            missing = self.questions_per_image - len(asked)
            rng = np.random.default_rng((self.seed, zlib.crc32(scene.id.encode()), attempt))
            made = self._maker(scene, missing, rng)
            if not made:
                break
            asked.extend(made[:missing])
            if len(asked) == self.questions_per_image:
                return with_unique_ids(asked)
        raise GeoAgentError(
            f"only {len(asked)} of {self.questions_per_image} questions can be asked about {scene.id}: "
            "ask fewer an image or more kinds of question"
        )


def with_unique_ids(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples, those whose id occurred before numbered on."""
    seen: Counter[str] = Counter()
    unique = []
    for sample in samples:
        seen[sample.id] += 1
        again = seen[sample.id] - 1
        unique.append(replace(sample, id=f"{sample.id}~{again}") if again else sample)
    return tuple(unique)


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
