"""How far tiles change a model's answer: ``python -m tools.tiling_agreement --model nano`` makes the table.

    python -m tools.tiling_agreement [--model nano] [--scenes 12] [--side 1024] [--seed 500000]

Renders scenes of the procedural world and asks for the classes in each in three ways: at one look (which shows a model
of 512 px a scene of 1,024 px at half its resolution), tile by tile, and tile by tile with the grid of tiles shifted,
which is the same image at the same resolution and differs by nothing but the seams. Intersections and unions are summed
over all questions about things that are in the scene.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from geoagent.data.classes import CLASSES
from geoagent.data.synth import render_scene
from geoagent.predictor import Predictor, load
from geoagent.types import AnnotatedScene, Mask, Pixels

_SHIFT = (173, 131)
"""Columns and rows by which the grid is shifted: neither a half nor a third of a tile."""
_QUESTIONS = 3


@dataclass
class Tally:
    """Overlaps of two ways of answering, or of a way and the truth."""

    intersection: int = 0
    union: int = 0
    each: list[float] = field(default_factory=list)

    def add(self, first: Mask, second: Mask) -> None:
        """One question."""
        both, either = int((first & second).sum()), int((first | second).sum())
        self.intersection, self.union = self.intersection + both, self.union + either
        self.each.append(both / either if either else 1.0)

    def row(self, name: str) -> str:
        """A line of the table."""
        whole = self.intersection / self.union if self.union else 1.0
        return f"| {name} | {whole:.3f} | {np.mean(self.each):.3f} | {len(self.each)} |"


def mask_of(predictor: Predictor, pixels: Pixels, question: str, *, tiled: bool, gsd_m: float | None) -> Mask:
    """Everything found, bool [H,W]."""
    found = predictor.segment(pixels, question, tiled=tiled, brief=True, gsd_m=gsd_m)
    masks = [np.asarray(target.mask) for target in found.targets]
    return np.any(masks, axis=0) if masks else np.zeros(pixels.shape[:2], dtype=np.bool_)


def classes_asked(scene: AnnotatedScene) -> list[str]:
    """A few classes that are in a scene and of which every object is known, those that cover most first."""
    present = [name for name in scene.class_names() if name in scene.complete]
    return sorted(present, key=lambda name: -sum(o.area for o in scene.of_class(name)))[:_QUESTIONS]


def main(argv: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=500_000)
    args = parser.parse_args(argv)
    predictor = load(args.model)
    names = ("tiled, one look", "tiled, shifted grid", "tiled, truth", "one look, truth")
    tallies = {name: Tally() for name in names}
    right, down = _SHIFT
    for seed in tqdm(range(args.seed, args.seed + args.scenes), unit="scene", disable=None):
        scene = render_scene(seed, args.side)
        for name in classes_asked(scene):
            question = f"Segment the {CLASSES[name].plural}."
            tiled = mask_of(predictor, scene.image, question, tiled=True, gsd_m=scene.gsd_m)
            whole = mask_of(predictor, scene.image, question, tiled=False, gsd_m=scene.gsd_m)
            part = np.ascontiguousarray(scene.image[down:, right:])
            shifted = mask_of(predictor, part, question, tiled=True, gsd_m=scene.gsd_m)
            truth = scene.union(scene.of_class(name))
            tallies["tiled, one look"].add(tiled, whole)
            tallies["tiled, shifted grid"].add(tiled[down:, right:], shifted)
            tallies["tiled, truth"].add(tiled, truth)
            tallies["one look, truth"].add(whole, truth)
    print(f"| {args.model}, {args.scenes} scenes of {args.side} px | IoU of all | mean IoU | questions |")
    print("|---|---|---|---|")
    for name, tally in tallies.items():
        print(tally.row(name))


if __name__ == "__main__":
    main()
