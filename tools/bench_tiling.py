"""Speed and memory of large images: ``python -m tools.bench_tiling`` makes the whole table.

    python -m tools.bench_tiling [--model nano] [--sides 2500 5000 10000 20000] [--folder DIR]

Writes a synthetic scene of each size (a road, tanks; tiled, compressed), asks one question about it in a process of its
own, writes classes, objects and outlines, and prints a line of the table: seconds and megapixels a second of the
answer, seconds of the files, and the peak of resident memory above what the process had once the model was loaded and
had answered about four tiles. ``--model none`` measures everything but the model.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from geoagent.types import Pixels

QUESTION = "the largest storage tank in the left half"
_PATTERN = 1024


def write_scene(path: Path, side: int) -> None:
    """A scene that repeats a pattern with a different number of tanks in each cell."""
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    profile |= {"transform": Affine(1.0, 0, 400_000, 0, -1.0, 5_330_000), "bigtiff": "if_safer"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    ground = rng.integers(90, 110, (3, _PATTERN, _PATTERN)).astype(np.uint8)
    ground[:, 500:520] = 150
    with rasterio.open(path, "w", **profile) as out:
        for y in range(0, side, _PATTERN):
            for x in range(0, side, _PATTERN):
                cell = ground.copy()
                for _ in range(int(rng.integers(0, 6))):
                    _tank(cell, rng.uniform(0, _PATTERN), rng.uniform(0, _PATTERN), rng.uniform(8, 40))
                height, width = min(_PATTERN, side - y), min(_PATTERN, side - x)
                out.write(cell[:, :height, :width], window=Window(x, y, width, height))


def _tank(cell: Pixels, x: float, y: float, radius: float) -> None:
    rows, columns = np.ogrid[:_PATTERN, :_PATTERN]
    cell[:, (columns - x) ** 2 + (rows - y) ** 2 < radius**2] = 235


def resident_mb(*, peak: bool) -> float:
    """Resident memory of this process in MB: now, or the highest since `forget_peak` (on macOS: since it began)."""
    status = Path("/proc/self/status")
    if status.exists():
        field = "VmHWM" if peak else "VmRSS"
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field)) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def forget_peak() -> None:
    """From here on the peak counts anew."""
    counter = Path("/proc/self/clear_refs")
    if counter.exists():
        counter.write_text("5")


def measure(image: Path, model: str) -> dict[str, float]:
    """One question about one scene, in this process."""
    from geoagent.predictor import Predictor, load

    predictor = Predictor(_Bright(), "none") if model == "none" else load(model)
    predictor.segment(np.full((900, 900, 3), 100, np.uint8), QUESTION, tiled=True, brief=True)
    model_mb = resident_mb(peak=False)
    forget_peak()
    began = time.perf_counter()
    prediction = predictor.segment(image, QUESTION, tiled=True, brief=True)
    answered, answered_mb = time.perf_counter(), resident_mb(peak=True)
    for suffix in (".classes.tif", ".objects.ids.tif", ".geojson"):
        prediction.save(image.with_suffix(suffix))
    return {
        "seconds": answered - began,
        "mpix_s": prediction.image.width * prediction.image.height / 1e6 / (answered - began),
        "writing_s": time.perf_counter() - answered,
        "model_mb": model_mb,
        "above_mb": answered_mb - model_mb,
        "above_with_output_mb": resident_mb(peak=True) - model_mb,
    }


class _Bright:
    """Instead of a model: everything bright is what was asked for."""

    needs_training = False

    def __init__(self) -> None:
        from geoagent.model.configuration import AnswerConfig, ImageSizeConfig, ScoreConfig

        self.model: Any = SimpleNamespace(
            config=SimpleNamespace(
                answer=AnswerConfig(), image=ImageSizeConfig(sam=512), score=ScoreConfig(), trained=True
            )
        )
        self.processor: Any = None

    def encode(self, images: Sequence[Pixels]) -> list[Any]:
        return [image[..., 0] for image in images]

    def answer(self, requests: Sequence[Any]) -> list[Any]:
        import torch

        from geoagent.model.requests import Draft, DraftTarget

        drafts = []
        for request in requests:
            logits = torch.from_numpy(request.encoded[2::4, 2::4].astype(np.float32)) - 200.0
            score = 0.9 if (logits > 0).any() else 0.1
            drafts.append(Draft("<p>storage tanks</p><seg>", (DraftTarget("storage tanks", score, logits),), 3))
        return drafts


def main(argv: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[2500, 5000, 10_000, 20_000])
    parser.add_argument("--model", default="nano", help="a model's name, or none")
    parser.add_argument("--folder", type=Path, help="where the scenes go and stay (default: a temporary folder)")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one is not None:
        print(json.dumps(measure(args.one, args.model)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print("| side, px | model | seconds | MPix/s | writing, s | model, MB | peak above it, MB | with files, MB |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for side in args.sides:
            image = folder / f"scene-{side}.tif"
            if not image.exists():
                write_scene(image, side)
            command = [sys.executable, "-m", "tools.bench_tiling", "--model", args.model, "--one", str(image)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            print(
                f"| {side} | {args.model} | {found['seconds']:.1f} | {found['mpix_s']:.2f} | {found['writing_s']:.1f} "
                f"| {found['model_mb']:.0f} | {found['above_mb']:.0f} | {found['above_with_output_mb']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
