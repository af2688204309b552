"""How the model found it: for each phrase where the grounding looked first, and what became of it."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geoagent.app.review import Review
from geoagent.geo.overlay import picture_of
from geoagent.geo.style import target_colour
from geoagent.types import Mask, Pixels

_SIDE = 360
_HEAT = np.array([(13, 8, 60), (84, 16, 110), (170, 44, 96), (231, 92, 48), (252, 168, 20), (246, 248, 130)])
"""From 0 to 1: dark to bright, even in grey."""


def steps_of(review: Review) -> list[dict[str, Any]]:
    """One entry for each candidate: its coarse map, its mask, the score and the decision."""
    picture = _small(picture_of(review.prediction))
    numbers = {id(t): n for n, t in enumerate(review.result.targets, start=1)}
    found = {
        id(t): numbers.get(id(kept))
        for t, kept in zip(review.prediction.candidates, review.result.candidates, strict=True)
    }
    steps = []
    for target in review.prediction.candidates:
        number = found[id(target)]
        steps.append(
            {
                "phrase": target.phrase,
                "score": round(target.score, 3),
                "found": number is not None,
                "objects": len(target.instances),
                "pixels": target.pixel_count,
                "grid": None if target.coarse is None else list(target.coarse.shape[::-1]),
                "coarse": None if target.coarse is None else data_uri(_heated(picture, target.coarse)),
                "mask": data_uri(_masked(picture, target.mask, target_colour(number or 1))),
            }
        )
    return steps


def data_uri(picture: Pixels, quality: int = 82) -> str:
    """A picture as the browser takes it without asking for a file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _small(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _heated(picture: Pixels, coarse: NDArray[np.float32]) -> Pixels:
    """Probabilities over the picture, as blocks: the grid is what it is."""
    height, width = picture.shape[:2]
    blocks = Image.fromarray(np.clip(coarse * 255, 0, 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    value = np.asarray(blocks, dtype=np.float32) / 255
    stops = np.linspace(0, 1, len(_HEAT))
    colour = np.stack([np.interp(value, stops, _HEAT[:, channel]) for channel in range(3)], axis=-1)
    grey = picture.mean(axis=-1, keepdims=True).astype(np.float32)
    return np.clip(0.35 * grey + 0.65 * colour, 0, 255).astype(np.uint8)


def _masked(picture: Pixels, mask: Mask, colour: tuple[int, int, int]) -> Pixels:
    height, width = picture.shape[:2]
    small = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
    shown = picture.astype(np.float32)
    inside = np.asarray(small)
    shown[~inside] *= 0.45
    shown[inside] = 0.45 * shown[inside] + 0.55 * np.array(colour, dtype=np.float32)
    return shown.astype(np.uint8)
