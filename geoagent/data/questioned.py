"""Annotated scenes as question-and-answer datasets: any COCO or index-mask set becomes a set of instructions."""

import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from geoagent.data.classes import members
from geoagent.data.coco import CocoScenes
from geoagent.data.dataset import checked_index
from geoagent.data.index_masks import IndexMaskScenes
from geoagent.data.instructions import make_samples
from geoagent.data.scenes import SceneSource
from geoagent.types import AnnotatedScene, GeoAgentError, Sample

QuestionMaker = Callable[[AnnotatedScene, int, np.random.Generator], Sequence[Sample]]
"""Makes up to so many questions about a scene; everything random comes from the generator."""

_SINGLING_OUT = frozenset({"instance", "size", "relation", "attribute", "count"})

Wordings = Literal["train", "test"]
"""Which wordings: a fifth of each kind is held out for testing."""


def ask_about(
    scene: AnnotatedScene,
    count: int,
    rng: np.random.Generator,
    *,
    wordings: Wordings = "train",
    kinds: Mapping[str, float] | None = None,
) -> list[Sample]:
    """Up to ``count`` questions about a scene, rendered or real.

    As `make_samples`, but where the labels of a class run together (index masks of houses) no single one is asked for.
    """
    merged = {thing.class_name for thing in scene.objects if thing.attributes.get("merged")}
    # Some questions about merged things are dropped: ask more to begin with.
    made = make_samples(scene, 2 * count if merged else count, rng, split=wordings, kinds=kinds)
    return [fit for sample in made if (fit := _fit_for_merged(sample, merged))][:count]


def question_maker(
    split: str, wordings: Wordings | None = None, kinds: Mapping[str, float] | None = None
) -> QuestionMaker:
    """A maker of questions in the given wordings; by default the held-out ones, except for the training split."""
    words: Wordings = wordings or ("train" if split == "train" else "test")
    return partial(ask_about, wordings=words, kinds=kinds)


def _fit_for_merged(sample: Sample, merged: Set[str]) -> Sample | None:
    """The sample without claims about single objects of classes whose neighbours run together in the labels.

    None where the question itself singles one out: what the labels show as one building may be a row of them.
    """
    unclear = [bool(t.class_name and members(t.class_name) & merged) for t in sample.targets]
    if not any(unclear):
        return sample
    if sample.type in _SINGLING_OUT:
        return None
    targets = (replace(t, instances=None) if yes else t for t, yes in zip(sample.targets, unclear, strict=True))
    return replace(sample, targets=tuple(targets))


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
        """All questions about scene ``index``; those of the last scenes are kept, as they are read in a row."""
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


class CocoDataset(QuestionedScenes):
    """Questions about a user's own COCO annotations.

    Args:
        root: Folder with ``annotations.json`` and ``images/``, or an annotation file next to its ``images/``.
        split: Only images with this ``split``; None takes all.
        questions_per_image: How many of each image.
        seed: Another seed asks other questions.
        wordings: ``train`` or the held-out ``test`` wordings; by default those that belong to the split.
        kinds: Weights of the kinds of question; None takes the usual ones.
        complete: Whether every object of the file's categories is labelled, so that absence and number can be asked.
    """

    def __init__(
        self,
        root: Path,
        split: str | None = None,
        *,
        questions_per_image: int = 8,
        seed: int = 0,
        wordings: Wordings | None = None,
        kinds: Mapping[str, float] | None = None,
        complete: bool = True,
    ) -> None:
        scenes = CocoScenes(root, split=split, complete=None if complete else frozenset())
        super().__init__(scenes, question_maker(split or "train", wordings, kinds), questions_per_image, seed)


class IndexMaskDataset(QuestionedScenes):
    """Questions about a user's own index masks; arguments as for `CocoDataset`."""

    def __init__(
        self,
        root: Path,
        split: str | None = None,
        *,
        questions_per_image: int = 8,
        seed: int = 0,
        wordings: Wordings | None = None,
        kinds: Mapping[str, float] | None = None,
        complete: bool = True,
    ) -> None:
        scenes = IndexMaskScenes(root, split=split, complete=None if complete else frozenset())
        super().__init__(scenes, question_maker(split or "train", wordings, kinds), questions_per_image, seed)
