"""The rendered world as a dataset: scenes by seed, questions by index.

Nothing is stored. Scenes are rendered when asked for, from ranges of seeds that no two splits share; training and
validation use the training wordings, the test the held-out ones. ``synth:test`` is fixed: `TEST_COUNTS` says how many
questions of each kind it holds, 2,000 in all, eight about each of 250 scenes of 512 px.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np

from geoagent.data.dataset import checked_index, require_split
from geoagent.data.instructions import make_one, make_samples
from geoagent.data.instructions.scene import SceneIndex
from geoagent.data.synth import render_scene
from geoagent.types import AnnotatedScene, GeoAgentError, Sample

SPLITS = ("train", "val", "test")
SEED_STARTS: Mapping[str, int] = MappingProxyType({"test": 10**9, "val": 2 * 10**9, "train": 4 * 10**9})
"""First seed of each split's scenes; seeds below belong to demos and tools."""
_SEEDS_OF_A_RUN = 10**7
"""Each ``seed`` of a dataset opens a range of so many scenes."""
_MOST_RUNS = 99

TEST_COUNTS: Mapping[str, int] = MappingProxyType(
    {
        "reference": 250,
        "implicit": 250,
        "relation": 200,
        "instance": 180,
        "several": 150,
        "absent": 150,
        "position": 120,
        "interactive": 120,
        "count": 110,
        "part": 100,
        "absent_implicit": 90,
        "attribute": 80,
        "several_implicit": 80,
        "size": 70,
        "chat": 50,
    }
)
"""The shares of kinds in ``synth:test``."""
TEST_SIZE = 512
QUESTIONS_PER_SCENE = 8
_ATTEMPTS = 64
"""Scenes tried for each of the test's places until one can serve all of its kinds of question."""
_KEPT_SCENES = 4
_DEFAULT_COUNTS: Mapping[str, int] = MappingProxyType({"train": 100_000, "val": 800, "test": 2000})


class SynthDataset:
    """Questions about rendered scenes as a `geoagent.data.dataset.SegmentationDataset`.

    Args:
        split: ``train``, ``val`` or ``test``.
        count: Number of samples; by default 100,000 for training, 800 for validation, 2,000 for the test, which may be
            cut but not enlarged.
        size: Side of the scenes in pixels.
        questions_per_scene: Consecutive samples that share a scene.
        seed: Another seed gives other scenes of the same split; the test has only seed 0.
        kinds: Weights by kind of question (not for the test).
    """

    name = "synth"

    def __init__(
        self,
        split: str = "train",
        count: int | None = None,
        size: int = TEST_SIZE,
        questions_per_scene: int = QUESTIONS_PER_SCENE,
        seed: int = 0,
        kinds: Mapping[str, float] | None = None,
    ) -> None:
        self.split = require_split(split, SPLITS, self.name)
        self.count = _DEFAULT_COUNTS[split] if count is None else count
        self.size, self.questions_per_scene, self.seed, self.kinds = size, questions_per_scene, seed, kinds
        self.remarks: tuple[str, ...] = ()
        self._recent: OrderedDict[int, tuple[Sample, ...]] = OrderedDict()
        self._check()

    def _check(self) -> None:
        fixed = (self.size, self.questions_per_scene, self.seed, self.kinds)
        if self.split == "test" and fixed != (TEST_SIZE, QUESTIONS_PER_SCENE, 0, None):
            raise GeoAgentError("synth:test is fixed in size, seed and kinds of question: use synth:val to vary them")
        if self.split == "test" and self.count > sum(TEST_COUNTS.values()):
            raise GeoAgentError(f"synth:test holds {sum(TEST_COUNTS.values())} samples, not {self.count}")
        if self.count < 1 or self.questions_per_scene < 1:
            raise GeoAgentError("count and questions_per_scene must be at least 1")
        most = _SEEDS_OF_A_RUN * self.questions_per_scene
        if self.count > most:
            raise GeoAgentError(f"a synthetic dataset of {self.count} samples would run out of scenes: at most {most}")
        if not 0 <= self.seed <= _MOST_RUNS:
            raise GeoAgentError(f"the seed of a synthetic dataset goes from 0 to {_MOST_RUNS}, not {self.seed}")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        group, number = divmod(checked_index(index, len(self), self.name), self.questions_per_scene)
        return self.questions(group)[number]

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[list[int]]:
        """Indices of the samples that share a scene."""
        step = self.questions_per_scene
        return [list(range(first, min(first + step, self.count))) for first in range(0, self.count, step)]

    def scene_seed(self, group: int, attempt: int = 0) -> int:
        """The seed of the scene that group ``group`` asks about (in the test: of the ``attempt``-th candidate)."""
        number = group * _ATTEMPTS + attempt if self.split == "test" else group
        return SEED_STARTS[self.split] + self.seed * _SEEDS_OF_A_RUN + number

    def questions(self, group: int) -> tuple[Sample, ...]:
        """All samples of a group; the last groups are kept, as they are read in a row."""
        if group not in self._recent:
            self._recent[group] = self._test_group(group) if self.split == "test" else self._drawn_group(group)
            while len(self._recent) > _KEPT_SCENES:
                self._recent.popitem(last=False)
        return self._recent[group]

    def _scene(self, seed: int) -> AnnotatedScene:
        return replace(render_scene(seed, self.size), split=self.split)

    def _drawn_group(self, group: int) -> tuple[Sample, ...]:
        seed = self.scene_seed(group)
        scene = self._scene(seed)
        samples: list[Sample] = []
        for attempt in range(self.questions_per_scene):
            rng = np.random.default_rng([seed, attempt])
            missing = self.questions_per_scene - len(samples)
            made = make_samples(scene, missing, rng, kinds=self.kinds)
            samples += [replace(s, id=f"{scene.id}:{len(samples) + i}") for i, s in enumerate(made)]
            if len(samples) == self.questions_per_scene:
                return tuple(samples)
        raise GeoAgentError(f"{scene.id} cannot answer {self.questions_per_scene} questions of the kinds asked for")

    def _test_group(self, group: int) -> tuple[Sample, ...]:
        """The first candidate scene that can serve every kind planned for this group."""
        kinds = planned_kinds()[group]
        for attempt in range(_ATTEMPTS):
            seed = self.scene_seed(group, attempt)
            index = SceneIndex(self._scene(seed))
            rng = np.random.default_rng([seed, 0])
            samples: list[Sample] = []
            for number, kind in enumerate(kinds):
                sample = make_one(index, kind, rng, number, split="test")
                if sample is None:
                    break
                samples.append(sample)
            if len(samples) == len(kinds):
                return tuple(samples)
        raise RuntimeError(f"no scene of {_ATTEMPTS} serves the questions {kinds} of test group {group}")


@cache
def planned_kinds() -> tuple[tuple[str, ...], ...]:
    """The kinds of question of each scene of the test, dealt out like cards so that a scene gets different ones."""
    cards = [kind for kind, number in TEST_COUNTS.items() for _ in range(number)]
    scenes = len(cards) // QUESTIONS_PER_SCENE
    return tuple(tuple(cards[first::scenes]) for first in range(scenes))
