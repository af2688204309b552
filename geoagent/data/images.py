"""Reading pictures and mask files of datasets: any mode to what the model and the metrics expect.

EXIF orientation is ignored on purpose: labels of remote-sensing sets refer to the stored pixels, and a camera's tag
left over in a tile would turn the image under its mask.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from geoagent.types import GeoAgentError, Mask, Pixels

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
_MAX_STRETCH = 0.05


def read_rgb(path: Path) -> Pixels:
    """uint8 [H,W,3] of a picture file: palettes resolved, grey repeated, an alpha channel dropped.

    Rasters of more than eight bits or with other than RGB bands need `geoagent.geo`, which knows how to stretch them.
    """
    with _open(path) as picture:
        if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
            raise GeoAgentError(
                f"{path} has more than 8 bits a channel (mode {picture.mode}): "
                "save it as 8-bit RGB, stretched as you want it"
            )
        # RGBX of RGBA keeps colour under transparent pixels as stored; convert("RGB") of a palette with
        # transparency would warn and blend nothing either.
        rgb = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        return np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8)[..., :3])


def read_index(path: Path) -> NDArray[np.int64]:
    """int64 [H,W] of stored values: class numbers, instance numbers, palette indices (not their colours)."""
    with _open(path) as picture:
        values = np.asarray(picture)
    if values.ndim != 2:
        raise GeoAgentError(f"{path} has {values.shape[2]} channels: an index mask has one")
    return values.astype(np.int64)


def read_mask(path: Path, *, above: int = 0) -> Mask:
    """Bool [H,W]: where the stored value, or any colour channel, is larger than ``above``.

    One-bit files count as 0 and 255. An alpha channel is taken as the mask only when the colours say nothing (all
    equal), as some tools export it.
    """
    with _open(path) as picture:
        mode = picture.mode
        values = np.asarray(picture.convert("L") if mode == "1" else picture)
    if values.ndim == 2:
        return np.asarray(values > above, dtype=np.bool_)
    if mode in ("LA", "RGBA") and np.ptp(values[..., :-1]) == 0:
        values = values[..., -1:]
    elif mode in ("LA", "RGBA"):
        values = values[..., :-1]
    return np.asarray((values > above).any(axis=-1), dtype=np.bool_)


def image_size(path: Path) -> tuple[int, int]:
    """``(height, width)`` from the file's header."""
    with _open(path, decode=False) as picture:
        return picture.height, picture.width


def list_images(folder: Path) -> list[Path]:
    """Picture files of ``folder``, sorted by name; hidden files and other suffixes are passed over."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def fit_mask(mask: Mask, size: tuple[int, int], what: str) -> Mask:
    """``mask`` stretched to ``(height, width)`` by nearest neighbour, as the papers' own code does.

    Some sets hold images that are a few pixels larger or smaller than their masks. Masks of another shape altogether
    belong to another image: an error.
    """
    if mask.shape == size:
        return mask
    if abs((mask.shape[1] * size[0]) / max(mask.shape[0] * size[1], 1) - 1) > _MAX_STRETCH:
        raise GeoAgentError(
            f"{what}: the mask is {mask.shape[1]} x {mask.shape[0]}, the image "
            f"{size[1]} x {size[0]}: they do not belong together"
        )
    rows = (np.arange(size[0]) * mask.shape[0]) // size[0]
    columns = (np.arange(size[1]) * mask.shape[1]) // size[1]
    return np.ascontiguousarray(mask[np.ix_(rows, columns)])


def _open(path: Path, *, decode: bool = True) -> Image.Image:
    try:
        picture = Image.open(path)
        if decode:
            picture.load()
    except FileNotFoundError:
        raise GeoAgentError(f"{path} is missing, although the annotations name it") from None
    except Image.DecompressionBombError:
        raise GeoAgentError(f"{path} is too large to read as a whole: cut it into tiles first") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        # PIL reports damage of different formats by different exceptions, SyntaxError for PNG chunks among them.
        raise GeoAgentError(f"{path} cannot be read as an image ({error}): replace the file") from error
    return picture
