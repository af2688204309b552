"""Opening image files that come from anywhere: only known formats, only real files, only sizes that fit.

GDAL reads more than files: ``/vsicurl/`` paths fetch addresses, VRT files name other files. Neither gets in here.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoagent.types import GeoAgentError

SIGNATURES = {
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\x00\x00\x00\x0cjP  ": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
    b"RIFF": "WEBP",
}
"""First bytes of the formats that are read, with GDAL's name of each. A cloud-optimised GeoTIFF is a GTiff."""
MAX_PIXELS = 1 << 28
"""Largest image that is read whole: 16,384 x 16,384. Larger scenes are read by window."""
MAX_BYTES = 4 << 30
"""Largest read in bytes, over all bands asked for."""
CACHE_BYTES = 64 << 20
"""Decoded blocks that GDAL may keep: enough for a row of tiles of an image that is stored in whole rows."""
MAX_BLOCK_BYTES = 1 << 30
"""Largest piece that the file's own layout forces to be decoded at once."""


def check_file(path: str | Path) -> Path:
    """The path of an existing regular file, or `GeoAgentError`."""
    text = str(path)
    if text.startswith("/vsi") or "://" in text:
        raise GeoAgentError(f"{_short(text)} is not a file on this machine: download it first and give its path")
    file = Path(path)
    try:
        exists, is_file = file.exists(), file.is_file()
    except (OSError, ValueError) as error:
        raise GeoAgentError(f"{_short(text)} is not a usable file name") from error
    if not exists:
        raise GeoAgentError(f"{_short(text)} does not exist: check the path")
    if not is_file:
        raise GeoAgentError(f"{_short(text)} is not a file: give the path of one image")
    return file


def bounded_cache() -> rasterio.Env:
    """GDAL keeps decoded blocks, up to 5 % of the machine's memory; within this it has less."""
    return rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what GDAL says of a damaged file into one sentence, and silence its remark that a photo has no place."""
    with warnings.catch_warnings(), bounded_cache():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            yield
        except RasterioError as error:
            detail = " ".join(str(error).split())[:160]
            raise GeoAgentError(f"{_short(name)} cannot be read, it may be damaged or cut short ({detail})") from error


def open_raster(path: str | Path) -> Any:
    """An open rasterio dataset of an allowed format; the caller closes it."""
    file = check_file(path)
    driver = _driver_of(file, str(path))
    _check_companions(file, str(path))
    with reading(str(path)):
        dataset = rasterio.open(file.absolute(), driver=driver)
    try:
        check_layout(dataset, str(path))
    except GeoAgentError:
        dataset.close()
        raise
    return dataset


def check_layout(dataset: Any, name: str) -> None:
    """Refuse, before anything is decoded, what is no picture: no bands, complex values, huge blocks."""
    if dataset.count == 0:
        raise GeoAgentError(f"{_short(name)} holds no raster bands")
    if any(np.dtype(_numpy_name(t)).kind not in "uif" for t in dataset.dtypes):
        raise GeoAgentError(f"{_short(name)} holds {dataset.dtypes[0]} values: convert them to real numbers first")
    if "OVERVIEW_FILE" in dataset.tags(ns="OVERVIEWS"):  # GDAL would open whatever file or address that names
        raise GeoAgentError(f"{_short(name)} takes its overviews from another file: convert it without them first")
    rows, columns = dataset.block_shapes[0]
    interleave = 1 if dataset.profile.get("interleave") == "band" else dataset.count
    block_bytes = rows * columns * np.dtype(dataset.dtypes[0]).itemsize * interleave
    if block_bytes > MAX_BLOCK_BYTES:
        raise GeoAgentError(
            f"{_short(name)} is stored in pieces of {block_bytes >> 20} MiB: convert it to a tiled GeoTIFF first "
            "(gdal_translate -co TILED=YES)"
        )


def check_read_size(name: str, height: int, width: int, bands: int, itemsize: int) -> None:
    """Refuse, before reading, an array that is too large to hold."""
    if height < 1 or width < 1:
        raise GeoAgentError(f"{_short(name)}: the region holds no pixels")
    if height * width > MAX_PIXELS or height * width * bands * itemsize > MAX_BYTES:
        raise GeoAgentError(
            f"{_short(name)}: {width} x {height} pixels are too many to read at once (at most {MAX_PIXELS >> 20} "
            "Mi pixels): give a region, or segment it as a large scene"
        )


def _driver_of(file: Path, name: str) -> str:
    """The one driver that may open a file, by its first bytes: an extension says nothing."""
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise GeoAgentError(f"{_short(name)} cannot be read: {error.strerror or error}") from error
    if not head:
        raise GeoAgentError(f"{_short(name)} is empty")
    driver = next((driver for signature, driver in SIGNATURES.items() if head.startswith(signature)), None)
    if driver is None or (driver == "WEBP" and head[8:12] != b"WEBP"):
        raise GeoAgentError(
            f"{_short(name)} is not an image that can be read: give a GeoTIFF, JPEG, PNG, JP2 or WebP file"
        )
    if driver == "PNG" and not _png_is_whole(file):  # GDAL would fill the rest with whatever memory holds
        raise GeoAgentError(f"{_short(name)} cannot be read, it is cut short")
    return driver


def _check_companions(file: Path, name: str) -> None:
    """Refuse overviews and masks beside a file that are not TIFF: GDAL opens them with any driver it has."""
    for suffix in (".ovr", ".msk"):
        companion = file.with_name(file.name + suffix)
        if companion.is_file():
            with companion.open("rb") as stream:
                head = stream.read(4)
            if SIGNATURES.get(head) != "GTiff":
                raise GeoAgentError(f"{_short(name)} has a file {suffix} beside it that is no TIFF: remove that one")


def _png_is_whole(file: Path) -> bool:
    """Whether the chunks of a PNG file go on to its end mark."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(8)
        while True:
            head = stream.read(8)
            if len(head) < 8:
                return False
            if head[4:] == b"IEND":
                return True
            after = stream.tell() + int.from_bytes(head[:4], "big") + 4
            if after > size:
                return False
            stream.seek(after)


def _numpy_name(dtype: str) -> str:
    return "complex64" if dtype.startswith("complex") else dtype


def _short(name: str) -> str:
    """A file name fit for one line of a message."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return repr(clean if len(clean) <= 120 else "…" + clean[-119:])
