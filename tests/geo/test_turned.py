"""Photos with an EXIF orientation are read as people see them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from geoagent.geo.raster import Scene, read_image

ORIENTATION = 274


def photo(path: Path, orientation: int) -> Path:
    """A photo of 40 x 24 pixels that is different in each of its corners."""
    pixels = np.zeros((24, 40, 3), dtype=np.uint8)
    pixels[:12, :20], pixels[:12, 20:], pixels[12:, :20] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95, subsampling=0)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path, orientation: int) -> None:
    path = photo(tmp_path / "photo.jpg", orientation)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    raster = read_image(path)
    assert raster.info.size == expected.shape[:2]
    assert np.abs(raster.pixels.astype(int) - expected).max() < 12
    with Scene(path) as scene:
        part = scene.read((2, 3, 17, 22))
        small = scene.read(size=(expected.shape[0] // 2, expected.shape[1] // 2))
    assert np.array_equal(part.pixels, raster.pixels[3:22, 2:17])
    assert np.abs(small.pixels.astype(int) - expected[1::2, 1::2]).max() < 60
    assert any("EXIF" in remark for remark in raster.info.extra["remarks"]) == (orientation > 1)
