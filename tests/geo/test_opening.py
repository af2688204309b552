"""Files that come from anywhere: what may be opened, and what is said when it may not."""

import struct
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image
from worlds import noise, write_tiff

from geoagent.geo import opening
from geoagent.geo.raster import read_image
from geoagent.types import GeoAgentError


def one_line(error: pytest.ExceptionInfo[GeoAgentError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize(
    "path", ["/vsicurl/http://127.0.0.1/a.tif", "/vsizip/a.zip/a.tif", "https://example.org/a.tif"]
)
def test_nothing_is_fetched(path):
    with pytest.raises(GeoAgentError, match="not a file on this machine") as error:
        read_image(path)
    one_line(error)


def test_a_vrt_is_refused_whatever_its_name(tmp_path):
    secret = write_tiff(tmp_path / "secret.tif", noise(3, 10, 10))
    text = f"""<VRTDataset rasterXSize="10" rasterYSize="10"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
        <SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""
    for name in ("a.vrt", "a.tif", "a.png"):
        (tmp_path / name).write_text(text)
        with pytest.raises(GeoAgentError, match="not an image") as error:
            read_image(tmp_path / name)
        one_line(error)


def test_no_other_file_is_opened_behind_the_back(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise(3, 10, 10))
    with rasterio.open(path, "r+") as out:
        out.update_tags(ns="OVERVIEWS", OVERVIEW_FILE="/vsicurl/http://127.0.0.1/a.tif")
    with pytest.raises(GeoAgentError, match="from another file"):
        read_image(path)
    path = write_tiff(tmp_path / "b.tif", noise(3, 10, 10))
    (tmp_path / "b.tif.msk").write_text("<VRTDataset/>")
    with pytest.raises(GeoAgentError, match="no TIFF"):
        read_image(path)


def test_mistakes_are_told_in_one_line(tmp_path):
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.jpg").write_text("hello")
    good = write_tiff(tmp_path / "good.tif", noise(3, 200, 200), compress="deflate")
    (tmp_path / "cut.tif").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    Image.fromarray(noise(200, 200, 3)).save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:20_000])
    Image.fromarray(noise(200, 200, 3)).save(tmp_path / "good.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:8_000])
    (tmp_path / "head.tif").write_bytes(b"II*\x00" + b"\xff" * 60)
    for name, message in (
        ("missing.tif", "does not exist"),
        ("empty.tif", "is empty"),
        ("text.jpg", "not an image"),
        ("cut.tif", "damaged"),
        ("cut.png", "cut short"),
        ("cut.jpg", "damaged"),
        ("head.tif", "damaged"),
        (".", "is not a file"),
        ("a\nb\x1b[31m.tif", "does not exist"),
        ("a" * 5000, "not a usable file name"),
    ):
        with pytest.raises(GeoAgentError, match=message) as error:
            read_image(tmp_path / name)
        assert "\x1b" not in one_line(error)
    with pytest.raises(GeoAgentError, match="type int"):
        read_image(3)
    with pytest.raises(GeoAgentError, match="no image"):
        read_image(np.zeros((2, 3, 4, 5)))


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(GeoAgentError, match=r"too many to read|damaged"):
        read_image(tmp_path / "bomb.png")


def test_the_limits_hold_for_whole_reads_but_not_for_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MAX_PIXELS", 1 << 20)
    path = write_tiff(tmp_path / "a.tif", noise(1, 1100, 1100), tiled=True, blockxsize=256, blockysize=256)
    with pytest.raises(GeoAgentError, match="give a region"):
        read_image(path)
    assert read_image(path, region=(0, 0, 500, 500)).info.size == (500, 500)
    monkeypatch.setattr(opening, "MAX_BLOCK_BYTES", 1 << 10)
    with pytest.raises(GeoAgentError, match="tiled"):
        read_image(path, region=(0, 0, 500, 500))


def test_the_pixel_limit_of_pil_stays(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    read_image(write_tiff(tmp_path / "a.tif", noise(3, 10, 10)))
    assert before == Image.MAX_IMAGE_PIXELS


def test_complex_values_are_refused(tmp_path):
    path = tmp_path / "slc.tif"
    with rasterio.open(path, "w", driver="GTiff", width=4, height=4, count=1, dtype="complex64") as out:
        out.write(np.ones((1, 4, 4), dtype=np.complex64))
    with pytest.raises(GeoAgentError, match="real numbers"):
        read_image(path)
