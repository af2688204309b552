"""Render a class that nano has never seen, as a plain folder: hay bales on the fields of the procedural world.

    python -m tools.render_bales bales

It is there to try `train/configs/nano-finetune.yaml` without labelling anything (`docs/training.md`). Bales lie in rows
where grass and crops are; every fourth scene has none, and is asked about them all the same.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geoagent.data.folder import PlainFolderWriter
from geoagent.data.synth import render_scene
from geoagent.types import AnnotatedScene, LabelledTarget, Mask, Pixels, Sample

SIDE = 384
_FIRST_SEED = 7_000
_FIELDS = ("farmland", "grass")
_STRAW = np.array([206, 178, 112], dtype=np.float32)
_QUESTIONS = {
    "train": (
        "Mark all hay bales.", "Where are the bales of hay?", "Show me every round bale.", "hay bales please",
        "What has the baler left behind?", "Where is the winter feed of the cattle lying about?",
        "What will a tractor with a spike have to collect?", "Outline what was pressed and rolled up after mowing.",
    ),
    "val": (
        "Segment the hay bales.", "Can you find the round bales here?", "What did the farmer roll up last summer?",
        "Which things have to be brought in before the rain?",
    ),
}  # fmt: skip
_ANSWERS = ("These are the <p>hay bales</p><seg>.", "I can see no <p>hay bales</p><rej> here.")
_EVERY = 4
"""One scene in so many has no bales."""


def lay_bales(scene: AnnotatedScene, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """The picture of a scene with bales on its fields, uint8 [H,W,3], and where they are, bool [H,W]."""
    image, bales = scene.image.astype(np.float32), np.zeros(scene.size, dtype=np.bool_)
    fields = scene.union([thing for name in _FIELDS for thing in scene.of_class(name)])
    others = scene.union([thing for thing in scene.objects if thing.class_name not in _FIELDS])
    radius = float(rng.uniform(4, 7))
    margin = np.ones((2 * int(2.5 * radius) + 1,) * 2, dtype=np.uint8)
    free = cv2.erode((fields & ~others).astype(np.uint8), margin) > 0
    sun = rng.uniform(0, 2 * np.pi)
    for x, y in _rows(scene.size, radius, rng):
        if free[int(y), int(x)]:
            _lay(image, bales, x, y, radius * float(rng.uniform(0.85, 1.15)), sun, rng)
    return image.clip(0, 255).astype(np.uint8), bales


def _rows(size: tuple[int, int], radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Places [N,2] in rows over all of a picture, each a little off its row and some of them left out."""
    angle, apart, between = rng.uniform(0, np.pi), rng.uniform(6, 12) * radius, rng.uniform(9, 18) * radius
    reach = max(size)
    along, across = np.meshgrid(np.arange(-reach, reach, apart), np.arange(-reach, reach, between))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    places = np.stack([along.ravel(), across.ravel()], axis=1) @ turn + np.array(size)[::-1] / 2
    places += rng.normal(0, 0.1 * apart, places.shape)
    inside = (places >= 0).all(axis=1) & (places < np.array(size)[::-1] - 1).all(axis=1)
    return places[inside & (rng.random(len(places)) < 0.7)]


def _lay(
    image: NDArray[np.float32], bales: Mask, x: float, y: float, radius: float, sun: float, rng: np.random.Generator
) -> None:
    """Draw one bale, a disc of straw with a shadow, into ``image`` and ``bales``."""
    rows, columns = np.ogrid[: bales.shape[0], : bales.shape[1]]
    shadow = np.hypot(columns - x - np.cos(sun) * radius, rows - y - np.sin(sun) * radius) < radius
    image[shadow & ~bales] *= 0.55
    away = np.hypot(columns - x, rows - y)
    bale = away < radius
    windings = 12 * np.sin(2.2 * away[bale])[:, None]
    image[bale] = _STRAW * rng.uniform(0.85, 1.1) + windings + rng.normal(0, 8, (int(bale.sum()), 1))
    bales |= bale


def render(out: Path, counts: dict[str, int]) -> int:
    """Write scenes for each split; returns the number of questions."""
    writer, questions, seed = PlainFolderWriter(out), 0, _FIRST_SEED
    for split, count in counts.items():
        for number in tqdm(range(count), desc=split, unit="scene", disable=None):
            image, bales, seed = _scene_with_fields(seed, empty=number % _EVERY == _EVERY - 1)
            questions += writer.write(_samples(image, bales, f"{split}-{number}", _QUESTIONS[split]), split=split)
    return questions


def _scene_with_fields(seed: int, *, empty: bool) -> tuple[Pixels, Mask, int]:
    """A picture, its bales, and the seed to go on with: some scenes have no room for bales."""
    while True:
        scene = render_scene(seed, SIDE, landscape="farmland", gsd_m=0.3)
        rng, seed = np.random.default_rng([seed, 2]), seed + 1
        if empty:
            return scene.image, np.zeros(scene.size, dtype=np.bool_), seed
        image, bales = lay_bales(scene, rng)
        if bales.any():
            return image, bales, seed


def _samples(image: Pixels, bales: Mask, name: str, questions: Sequence[str]) -> list[Sample]:
    target = LabelledTarget(phrase="hay bales", mask=bales)
    return [
        Sample(
            id=f"{name}:{number}", image_id=name, image=image, instruction=text, targets=(target,),
            answer=_ANSWERS[0 if bales.any() else 1], type="reference", source="bales",
        )
        for number, text in enumerate(questions)
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all went well, 2 for a mistake of the caller."""
    parser = argparse.ArgumentParser(prog="python -m tools.render_bales", description=str(__doc__).splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--train", type=int, default=48, help="scenes to learn from (default: %(default)s)")
    parser.add_argument("--val", type=int, default=16, help="scenes to judge by (default: %(default)s)")
    parsed = parser.parse_args(arguments)
    if parsed.out.exists():
        print(f"render_bales: {parsed.out} exists already", file=sys.stderr)
        return 2
    questions = render(parsed.out, {"train": parsed.train, "val": parsed.val})
    print(f"{parsed.train + parsed.val} scenes with {questions} questions in {parsed.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
