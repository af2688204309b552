"""Images of any size, answered tile by tile by an oracle that sees no more than its tile."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from geo.worlds import GRID, UTM, write_tiff
from oracle import blank, disk, oracle_predictor, paint, paint_box
from scipy import ndimage

from geoagent.types import GeoAgentError, Mask, Pixels


def town(height: int = 700, width: int = 900, seed: int = 0) -> Pixels:
    """Disks of many sizes and a river, here and there across the seams of tiles."""
    rng = np.random.default_rng(seed)
    pixels = blank(height, width)
    rows, columns = np.mgrid[:height, :width]
    paint(pixels, "rivers", np.abs(columns - width / 2 - 90 * np.sin(rows / 70)) < 14)
    for _ in range(60):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(5, 40)
        paint(pixels, "storage tanks", disk(pixels, x, y, r))
    return pixels


def truth(pixels: Pixels, red: int) -> Mask:
    return np.asarray(pixels[..., 0] == red)


def iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / (first | second).sum())


def as_file(folder: Path, pixels: Pixels, **options: object) -> Path:
    return write_tiff(folder / "scene.tif", pixels.transpose(2, 0, 1), **options)


@pytest.mark.parametrize("stride", [1, 4])
def test_tiled_equals_untiled(stride: int) -> None:
    pixels = town()
    predictor, oracle = oracle_predictor(stride=stride)
    tiled = predictor.segment(pixels, "Segment the storage tanks and the rivers.", tiled=True)
    assert len(oracle.shown) == 7 * 8 and max(oracle.shown) == (128, 128)
    whole = predictor.segment(pixels, "Segment the storage tanks and the rivers.", tiled=False)
    assert [t.phrase for t in tiled.targets] == [t.phrase for t in whole.targets]
    for one, other in zip(tiled.targets, whole.targets, strict=True):
        assert iou(one.mask, other.mask) >= 0.98
        assert len(one.instances) == len(other.instances)
    if stride == 1:
        for one, other in zip(tiled.targets, whole.targets, strict=True):
            assert np.array_equal(one.mask, other.mask)
            for mine, theirs in zip(one.instances, other.instances, strict=True):
                assert mine.area == theirs.area
