"""Which images and questions each step sees: decided by the step's number alone, so that a resumed run sees the same.

A step draws its images from the sources by weight and schedule; scenes (rendered or real) are viewed and asked about on
the spot, published datasets are taken as they are. Everything random comes from ``(seed, number)`` of the batch; two
processes see in one step what one process sees that accumulates two batches.
"""

import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.random import Generator
from torch.utils.data import Dataset

from geoagent.data.augment import random_view
from geoagent.data.class_maps import class_maps, class_number
from geoagent.data.collate import Batch, collate
from geoagent.data.imagery import open_sets
from geoagent.data.mixture import Schedule
from geoagent.data.questioned import ask_about
from geoagent.data.registry import open_dataset
from geoagent.data.synth import render_scene
from geoagent.data.synthetic import SEED_STARTS
from geoagent.data.ucmerced import UCMercedScenes
from geoagent.model.auxiliary import ClassMaps
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import AnnotatedScene, GeoAgentError, Sample
from train.config import SourceConfig, StageConfig, TrainConfig, expanded
from train.shapes import in_fixed_shapes
from train.tensors import pinned

SYNTH_SCENES = 2 * 10**9
"""Rendered scenes that training may draw: the rest of their seeds' range."""
WORDS_SIDE = 32
"""Side of the picture that the language model is shown in stages that train words only."""
_TRIES = 8
_NO_PIXELS = np.zeros((1, 1, 3), dtype=np.uint8)
"""In place of images that are tensors by now: batches travel between processes."""
_SCENES_IN_MEMORY = 400
"""Of one process."""


@dataclass(frozen=True)
class Item:
    """One image with its questions; the scene, where one is known, for the class maps."""

    samples: tuple[Sample, ...]
    scene: AnnotatedScene | None


@dataclass(frozen=True)
class TrainBatch:
    """What one step on one rank trains on."""

    batch: Batch
    maps: ClassMaps
    classes: torch.Tensor
    """int64 [N]: class of each target."""
    stage: StageConfig
    step: int

    def pin_memory(self) -> "TrainBatch":
        """What torch's loader calls; it leaves dataclasses as they are. The workers' shared memory is free after it."""
        return pinned(self)


Draw: TypeAlias = Callable[[Generator, StageConfig, int], Item]
"""An item for a stage, at a step."""


@dataclass(frozen=True)
class Source:
    """Something to draw items from."""

    name: str
    weight: float
    schedule: Schedule
    draw: Draw


class StepBatches(Dataset[TrainBatch]):
    """Batch ``i`` of a rank, for any ``i``; it belongs to step ``i // accumulate``."""

    def __init__(self, config: TrainConfig, processor: GeoAgentProcessor, rank: int = 0, ranks: int = 1) -> None:
        self.config = config
        self.processor = processor
        self.rank, self.ranks = rank, ranks
        self.sources = [source for part in config.sources for source in open_sources(part)]

    def __len__(self) -> int:
        return self.config.steps * self.config.accumulate

    def __getitem__(self, index: int) -> TrainBatch:
        step = index // self.config.accumulate
        stage = self.config.stage_at(step)
        rng = np.random.default_rng((self.config.seed, index * self.ranks + self.rank))
        items = [self.draw_item(rng, step, stage) for _ in range(stage.images)]
        processor = self.processor
        sizes = replace(stage, side=WORDS_SIDE, sam=0).sizes if stage.words_only else stage.sizes
        if sizes:
            processor = processor.with_sizes(**sizes)
        samples = [item.samples for item in items]
        count = sum(len(group) for group in samples)
        brief = (rng.random(count) < self.config.brief_share).tolist()
        batch = collate(samples, processor, brief=brief)
        if stage.targets:
            without, few, many = stage.targets
            batch = in_fixed_shapes(batch, (without, few, many), rng)
        # Words alone look at no map: what nobody reads is not drawn.
        scenes = [None if stage.words_only else item.scene for item in items]
        maps = class_maps(scenes, processor.sizes.sam // 4)
        classes = torch.tensor([class_number(name) for name in batch.truth.class_names], dtype=torch.long)
        light = tuple(replace(sample, image=_NO_PIXELS, targets=()) for sample in batch.samples)
        return TrainBatch(replace(batch, samples=light), maps, classes, stage, step)

    def draw_item(self, rng: Generator, step: int, stage: StageConfig) -> Item:
        """An image of one of the sources."""
        at = np.array([step / max(self.config.steps, 1)])
        weights = np.concatenate([source.weight * source.schedule.at(at) for source in self.sources])
        for _ in range(_TRIES):
            source = self.sources[int(rng.choice(len(self.sources), p=weights / weights.sum()))]
            item = source.draw(rng, stage, step)
            if item.samples:
                return item
        raise GeoAgentError(f"step {step}: {_TRIES} images in a row gave no question; look at {source.name}")


def open_sources(part: SourceConfig) -> list[Source]:
    """The sources behind one entry of a configuration."""
    spec = expanded(part.data)
    if spec == "synth":
        return [Source("synth", part.weight, Schedule(part.schedule), _drawing_rendered(part))]
    if spec.startswith("imagery:"):
        return _imagery(Path(spec.removeprefix("imagery:")), part)
    return [Source(spec, part.weight, Schedule(part.schedule), _drawing_samples(part, spec))]


def _drawing_rendered(part: SourceConfig) -> Draw:
    render = lru_cache(maxsize=min(part.pool, _SCENES_IN_MEMORY))(partial(_rendered, part.shared))

    def draw(rng: Generator, stage: StageConfig, step: int) -> Item:
        pool = int(part.pool + step * part.growth) if part.pool else SYNTH_SCENES
        seed = SEED_STARTS["train"] + int(rng.integers(pool))
        return _asked(render(seed, part.size), part, rng, stage)

    return draw


def _rendered(shared: str, seed: int, size: int) -> AnnotatedScene:
    """A scene, from the folder in which other processes may have put it already."""
    if not shared:
        return render_scene(seed, size)
    path = Path(shared) / f"{size}-{seed}.pickle"
    with suppress(FileNotFoundError):
        scene: AnnotatedScene = pickle.loads(path.read_bytes())
        return scene
    scene = render_scene(seed, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(f".{os.getpid()}")
    partial_file.write_bytes(pickle.dumps(scene, protocol=5))
    partial_file.rename(path)
    return scene


def _imagery(root: Path, part: SourceConfig) -> list[Source]:
    """Each set weighs by the square root of its size. Sets of captioned places have nothing to segment."""
    sets = [s for s in open_sets(root, part.split, only_open=part.only_open) if not isinstance(s, UCMercedScenes)]
    total = sum(len(s) ** 0.5 for s in sets)

    def drawing(index: int) -> Draw:
        def draw(rng: Generator, stage: StageConfig, _: int) -> Item:
            return _asked(sets[index].scene(int(rng.integers(len(sets[index])))), part, rng, stage)

        return draw

    return [
        Source(s.name, part.weight * len(s) ** 0.5 / total, Schedule(part.schedule), drawing(i))
        for i, s in enumerate(sets)
    ]


def _drawing_samples(part: SourceConfig, spec: str) -> Draw:
    dataset = open_dataset(spec, split=part.split)
    groups: Sequence[list[int]] = dataset.groups()

    def draw(rng: Generator, stage: StageConfig, _: int) -> Item:
        group = groups[int(rng.integers(len(groups)))]
        chosen = rng.permutation(group)[: stage.questions]
        return Item(tuple(dataset[int(i)] for i in chosen), None)

    return draw


def _asked(scene: AnnotatedScene, part: SourceConfig, rng: Generator, stage: StageConfig) -> Item:
    low, high = part.view.zoom
    closer = replace(part.view, zoom=(stage.closer * low, stage.closer * high))
    view = random_view(scene, stage.view_side, closer, rng) if stage.side else scene
    return Item(tuple(ask_about(view, stage.questions, rng, kinds=stage.kinds)), view)
