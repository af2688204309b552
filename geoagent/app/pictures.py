"""Pictures as the browser takes them, without asking for a file."""

import base64
import io
import json

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geoagent.types import Mask, Pixels

_LONGEST_SIDE = 4096
"""Of the picture that is sent; outlines keep the precision of the image."""
_MASK_SIDE = 512
_SHADE = 140
"""Of 255: how opaque a mask's layer is."""


def picture_json(name: str, pixels: Pixels) -> str:
    """An image as the browser shows it."""
    return json.dumps({"name": name, "source": jpeg_uri(_shrunk(pixels), quality=88)})


def jpeg_uri(picture: Pixels, quality: int = 82) -> str:
    """A picture."""
    return _uri(Image.fromarray(picture), "jpeg", quality=quality)


def mask_uri(mask: Mask, colour: tuple[int, int, int]) -> str:
    """A mask as a layer over its picture: its colour inside, shade outside."""
    image = Image.fromarray(np.asarray(mask)).convert("L")
    image.thumbnail((_MASK_SIDE, _MASK_SIDE), Image.Resampling.NEAREST)
    layer = Image.frombytes("P", image.size, (np.asarray(image) > 0).astype(np.uint8).tobytes())
    layer.putpalette([0, 0, 0, *colour])
    return _uri(layer, "png", transparency=bytes([_SHADE, _SHADE]))


def numbers_text(values: NDArray[np.float32], low: float, high: float) -> str:
    """Numbers from ``low`` to ``high`` as bytes, row after row, in base64: a map of some cells needs no picture."""
    scaled = np.clip((values - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    return base64.b64encode(scaled.tobytes()).decode("ascii")


def _uri(image: Image.Image, kind: str, **options: object) -> str:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _shrunk(pixels: Pixels) -> Pixels:
    if max(pixels.shape[:2]) <= _LONGEST_SIDE:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)
