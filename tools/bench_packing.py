"""Question-answer pairs a second: all questions of an image in one sequence, or one question an image.

    python -m tools.bench_packing [--questions 6] [--pairs 6] [--side 256] [--rounds 3]

The same model and the same number of pairs in both batches: packed, they share ``pairs / questions`` images; alone,
each brings its own. Both do a whole training step (forward, losses, backward, optimizer) on rendered scenes. Time is
that of the processor, so that other work on the machine does not count, and the two take turns.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch

from geoagent.data.class_maps import class_maps
from geoagent.data.collate import collate
from geoagent.data.instructions import make_samples
from geoagent.data.synth import render_scene
from geoagent.model.auxiliary import UNKNOWN_CLASS
from geoagent.model.processor import GeoAgentProcessor
from geoagent.types import Sample
from train.bases import load_base
from train.batches import TrainBatch
from train.config import LossConfig, ModelConfig, StageConfig
from train.objective import Counts, TrainedModule, weighted

KINDS = {"reference": 1.0, "implicit": 1.0, "position": 1.0, "size": 1.0, "instance": 1.0}
"""One target a question: both ways decode the same number of masks."""


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=6, help="questions an image, packed")
    parser.add_argument("--pairs", type=int, default=6, help="question-answer pairs a step, in both ways")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    model, processor = load_base(ModelConfig(scratch=True), dtype=torch.float32, quantize=None)
    processor = processor.with_sizes(sam=given.side, min_pixels=given.side**2, max_pixels=given.side**2)
    images = max(1, given.pairs // given.questions)
    asked = [_questions(seed, given.side, given.questions) for seed in range(images)]
    packed = _batch(asked, processor)
    alone = _batch([[sample] for group in asked for sample in group], processor)
    step = _Step(TrainedModule(model, auxiliary=False).train())
    seconds: dict[str, list[float]] = {"packed": [], "alone": []}
    for number in range(given.rounds + 1):
        for name, batch in (("packed", packed), ("alone", alone)):
            spent = step(batch)
            if number:  # the first round warms up
                seconds[name].append(spent)
    pairs = sum(map(len, asked))
    rates = {name: pairs / statistics.median(times) for name, times in seconds.items()}
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{parameters:.1f} M parameters, {given.side} px, {pairs} pairs a step, {given.questions} questions an image")
    print(f"packed             {rates['packed']:6.2f} pairs a second of processor time")
    print(f"one question alone {rates['alone']:6.2f}")
    print(f"ratio              {rates['packed'] / rates['alone']:6.2f}")


def _questions(seed: int, side: int, count: int) -> list[Sample]:
    scene = render_scene(seed, side)
    return make_samples(scene, count, np.random.default_rng(seed), kinds=KINDS)


def _batch(groups: Sequence[Sequence[Sample]], processor: GeoAgentProcessor) -> TrainBatch:
    batch = collate(groups, processor)
    classes = torch.full((len(batch.truth.present),), UNKNOWN_CLASS)
    maps = class_maps([None] * len(groups), processor.sizes.sam // 4)
    return TrainBatch(batch, maps, classes, StageConfig(steps=1, side=processor.sizes.sam), 0)


class _Step:
    """A step of training; its processor seconds are returned."""

    def __init__(self, module: TrainedModule) -> None:
        self.module = module
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5)

    def __call__(self, batch: TrainBatch) -> float:
        began = time.process_time()
        loss, _ = weighted(self.module(batch), Counts.of(batch), LossConfig(class_maps=0, classes=0))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.process_time() - began


if __name__ == "__main__":
    main()
