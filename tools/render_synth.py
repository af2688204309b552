"""Render scenes of the procedural world, with questions, as a plain folder.

    python -m tools.render_synth --count 100 --seed 0 --size 512 --out DIR [--geotiff] [--sheet] [--landscape port]

Writes ``DIR/images`` and ``DIR/annotations.jsonl`` (masks as COCO RLE), the format that `geoagent.data.folder` reads
and fine-tuning takes; ``--geotiff`` gives every image its place on Earth, ``--sheet`` draws ``DIR/sheet.png``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from geoagent.data.folder import ANNOTATIONS, sample_to_entry
from geoagent.data.instructions import make_samples
from geoagent.data.synth import LANDSCAPES, render_scene, write_geotiff
from geoagent.types import AnnotatedScene, GeoAgentError, Sample
from tools.contact_sheet import draw_sheet

_ON_SHEET = 48


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to render."""

    out: Path
    count: int = 100
    seed: int = 0
    """Seed of the first scene; the others follow."""
    size: int | tuple[int, int] = 512
    """Side in pixels, or ``(height, width)``."""
    landscape: str | None = None
    gsd_m: float | None = None
    questions: int = 4
    """Questions about each scene."""
    geotiff: bool = False
    sheet: bool = False


def _write_image(scene: AnnotatedScene, folder: Path, *, geotiff: bool) -> str:
    name = f"{scene.id}.{'tif' if geotiff else 'png'}"
    if geotiff:
        write_geotiff(scene, folder / name)
    else:
        Image.fromarray(scene.image).save(folder / name)
    return name


def render(order: Order) -> int:
    """Render and write everything; returns the number of questions.

    Raises:
        GeoAgentError: if the folder already holds annotations, or the order cannot be rendered.
    """
    lines = order.out / ANNOTATIONS
    if lines.exists():
        raise GeoAgentError(f"{lines} exists already: choose another --out or remove it")
    images = order.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    shown: list[Sample] = []
    total = 0
    with lines.open("w", encoding="utf-8") as file:
        for seed in tqdm(range(order.seed, order.seed + order.count), unit="scene", disable=None):
            scene = render_scene(seed, order.size, landscape=order.landscape, gsd_m=order.gsd_m)
            samples = make_samples(scene, order.questions, np.random.default_rng([seed, 1]))
            name = _write_image(scene, images, geotiff=order.geotiff)
            for sample in samples:
                file.write(json.dumps(sample_to_entry(sample, name), ensure_ascii=False) + "\n")
            total += len(samples)
            if order.sheet and len(shown) < _ON_SHEET:
                shown += samples[: max(1, _ON_SHEET // order.count)]
    if order.sheet:
        draw_sheet(shown[:_ON_SHEET], order.out / "sheet.png", columns=6)
    return total


def _size(text: str) -> int | tuple[int, int]:
    """``512``, or ``HEIGHTxWIDTH``."""
    sides = [int(side) for side in text.lower().split("x")]
    if len(sides) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 512 or HEIGHTxWIDTH")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _parse(arguments: Sequence[str] | None) -> Order:
    parser = argparse.ArgumentParser(prog="python -m tools.render_synth", description=str(__doc__).splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="number of scenes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene (default: %(default)s)")
    parser.add_argument("--size", type=_size, default=512, help="side in pixels or HEIGHTxWIDTH (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--landscape", choices=LANDSCAPES, help="one kind of landscape only")
    parser.add_argument("--gsd", type=float, help="metres a pixel (default: what suits the landscape)")
    parser.add_argument("--questions", type=int, default=4, help="questions about each scene (default: %(default)s)")
    parser.add_argument("--geotiff", action="store_true", help="write GeoTIFFs with a place on Earth")
    parser.add_argument("--sheet", action="store_true", help="draw a contact sheet as well")
    found = parser.parse_args(arguments)
    return Order(
        out=found.out,
        count=found.count,
        seed=found.seed,
        size=found.size,
        landscape=found.landscape,
        gsd_m=found.gsd,
        questions=found.questions,
        geotiff=found.geotiff,
        sheet=found.sheet,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all went well, 2 for a mistake of the caller."""
    order = _parse(arguments)
    try:
        total = render(order)
    except GeoAgentError as error:
        print(f"render_synth: {error}", file=sys.stderr)
        return 2
    print(f"{order.count} scenes with {total} questions in {order.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
