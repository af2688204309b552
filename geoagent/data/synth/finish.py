"""From the id buffer to a photograph: colours, textures, light, air and sensor."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geoagent.data.synth import textures
from geoagent.data.synth.canvas import Canvas
from geoagent.types import Pixels

Image = NDArray[np.float32]


def seen(canvas: Canvas) -> NDArray[np.int32]:
    """int32 [H,W]: the leaf in the middle of each pixel."""
    step = canvas.fineness
    return np.ascontiguousarray(canvas.ids[step // 2 :: step, step // 2 :: step])


def _shrink(canvas: Canvas, fine: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if canvas.fineness == 1:
        return fine
    return np.asarray(cv2.resize(fine, (canvas.width, canvas.height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _smooth_field(rng: Generator, height: int, width: int, cells: int) -> Image:
    """float32 [H,W]: slow random change over the picture, about -1 to 1."""
    coarse = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _stripes(canvas: Canvas, leaf_map: NDArray[np.int32], image: Image) -> None:
    """Add the lines of striped surfaces in place."""
    striped = canvas.leaves.stripes
    if not striped:
        return
    count = len(canvas.leaves.entity)
    table = np.zeros((3, count), dtype=np.float32)
    for leaf, lines in striped.items():
        # Lines closer than two pixels would alias into broad bands.
        turn = 2 * np.pi * canvas.gsd / max(lines.period, 2.4 * canvas.gsd)
        fade = min(1.0, lines.period / (2.4 * canvas.gsd))
        table[:, leaf] = (-np.sin(lines.angle) * turn, np.cos(lines.angle) * turn, lines.strength * fade)
    rows, columns = np.nonzero(table[2][leaf_map])
    leaves = leaf_map[rows, columns]
    phase = columns.astype(np.float32) * table[0][leaves] + rows.astype(np.float32) * table[1][leaves]
    image[rows, columns] += (np.sin(phase) * table[2][leaves])[:, None]


def _light(canvas: Canvas, image: Image, rng: Generator) -> None:
    """Darken what lies in shadow, with the blue of the sky left."""
    shadow: Image = _shrink(canvas, canvas.shade).astype(np.float32) * np.float32(canvas.style.shadow / 255)
    if canvas.gsd < 0.8:
        shadow = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 0.6), dtype=np.float32)
    sky = rng.uniform(0.0, 0.18)
    for channel, share in enumerate((1.0, 1.0 - sky / 2, 1.0 - sky)):
        image[..., channel] *= 1 - shadow * share


def _air(image: Image, rng: Generator) -> Image:
    """Haze, cast, contrast, blur and noise."""
    if rng.random() < 0.5:
        haze = rng.uniform(0.02, 0.28)
        veil = np.array((196, 204, 212), dtype=np.float32) + rng.normal(0, 8, 3).astype(np.float32)
        image = image * np.float32(1 - haze) + veil * np.float32(haze)
    cast = (1 + rng.normal(0, 0.035, 3)).astype(np.float32)
    contrast, brightness = rng.uniform(0.78, 1.15), rng.normal(0, 8)
    image = (image * cast - 118) * np.float32(contrast) + np.float32(118 + brightness)
    saturation = np.float32(rng.uniform(0.6, 1.12))
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.float32)[..., None]
    image = grey + (image - grey) * saturation
    if rng.random() < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.95))), dtype=np.float32)
    if rng.random() < 0.25:  # the crispening of many public image services
        soft = cv2.GaussianBlur(image, (0, 0), 1.2)
        image = image + (image - soft) * np.float32(rng.uniform(0.2, 0.8))
    image = image + textures.grain(image.shape[0], image.shape[1], rng) * np.float32(rng.uniform(0.4, 4.5))
    return np.asarray(image, dtype=np.float32)


def develop(canvas: Canvas, leaf_map: NDArray[np.int32], rng: Generator) -> Pixels:
    """Turn the drawing into pixels.

    Args:
        canvas: the finished drawing.
        leaf_map: int32 [H,W], as `seen` gives it.
        rng: decides texture, light and air.

    Returns:
        uint8 [H,W,3].
    """
    leaves = canvas.leaves
    colours = np.array(leaves.colour, dtype=np.uint8)
    fine = colours.take(canvas.ids.ravel(), axis=0).reshape(*canvas.ids.shape, 3)
    image = _shrink(canvas, fine).astype(np.float32)
    material = np.array(leaves.material, dtype=np.uint8)[leaf_map]
    strength = np.array(leaves.strength, dtype=np.float32) * np.float32(rng.uniform(0.6, 1.4))
    image += textures.sample(material, strength[leaf_map], rng)
    _stripes(canvas, leaf_map, image)
    patches = _smooth_field(rng, canvas.height, canvas.width, 3) + 0.6 * _smooth_field(
        rng, canvas.height, canvas.width, 9
    )
    image *= (1 + np.float32(rng.uniform(0.02, 0.07)) * patches)[..., None]
    warmth = _smooth_field(rng, canvas.height, canvas.width, 5) * np.float32(rng.uniform(0.0, 5.0))
    image[..., 0] += warmth
    image[..., 2] -= warmth
    if canvas.relief is not None:
        image *= canvas.relief[..., None]
    _light(canvas, image, rng)
    image = _air(image, rng)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
