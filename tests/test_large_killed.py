"""A large image, the real command, and a machine that dies in the middle."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tiny import picture, tiny_model

OUTPUTS = ("out.tif", "out.ids.tif", "out.geojson")
SIDE, ROWS = 620, 6
"""Pixels of the image, and rows of tiles in it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, and an image of 6 x 6 tiles."""
    model, processor = tiny_model()
    model.config.trained = True
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    grid = {"crs": "EPSG:32633", "transform": from_origin(400_000, 5_330_000, 1.0, 1.0)}
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8", **grid
    ) as out:
        out.write(np.moveaxis(picture(SIDE, SIDE), 2, 0))
    return tmp_path


def start(folder: Path, run: str) -> "subprocess.Popen[str]":
    """The command, with its work folder and its outputs in folders of their own."""
    (folder / run).mkdir(exist_ok=True)
    outputs = [word for name in OUTPUTS for word in ("-o", str(folder / run / name))]
    work = ["--work", str(folder / f"{run}-work"), "--tiled", "--min-score", "0", "--brief"]
    command = ["segment", str(folder / "scene.tif"), "the storage tanks", "--model", str(folder / "model")]
    return subprocess.Popen(
        [sys.executable, "-m", "geoagent", *command, *work, *outputs], stderr=subprocess.PIPE, text=True
    )


def written(folder: Path, run: str) -> dict[str, bytes]:
    return {name: (folder / run / name).read_bytes() for name in OUTPUTS}


@pytest.mark.slow
def test_the_command_killed_and_given_again_writes_the_same_bytes(folder: Path) -> None:
    straight = start(folder, "straight")
    assert straight.wait() == 0, straight.stderr and straight.stderr.read()
    expected = written(folder, "straight")

    stopped, work = start(folder, "stopped"), folder / "stopped-work"
    while stopped.poll() is None and len(list(work.glob("row-*.npz"))) < 2:
        time.sleep(0.01)
    stopped.kill()
    assert stopped.wait() == -signal.SIGKILL
    rows = sorted(path.name for path in work.glob("row-*.npz"))
    assert 2 <= len(rows) < ROWS
    assert not any((folder / "stopped").iterdir())

    before = {name: (work / name).stat().st_mtime_ns for name in rows}
    again = start(folder, "stopped")
    assert again.wait() == 0, again.stderr and again.stderr.read()
    assert written(folder, "stopped") == expected
    assert {name: (work / name).stat().st_mtime_ns for name in rows} == before  # what was answered was not asked again
    with rasterio.open(folder / "stopped" / "out.ids.tif") as ids:
        assert ids.read(1).max() > 0
