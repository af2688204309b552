"""Surface textures: seamless tiles of colour variation, made once a process from fixed seeds.

A tile is int8 [SIDE,SIDE,3], a deviation from the base colour of the surface; 64 is about one standard deviation.
"""

from enum import IntEnum
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SIDE = 512
_SIGMA = 36.0

Tile = NDArray[np.float32]


class Material(IntEnum):
    """How a surface looks from close by, besides its colour."""

    SMOOTH = 0
    GRASS = 1
    MEADOW = 2
    SOIL = 3
    SAND = 4
    ASPHALT = 5
    CONCRETE = 6
    ROOF = 7
    METAL = 8
    CANOPY = 9
    WATER = 10
    WAVES = 11
    MUD = 12
    CROP = 13
    ROCK = 14
    WOOD_FINE = 15
    WOOD = 16
    WOOD_COARSE = 17
    SCRUB = 18


STRENGTH: dict[Material, float] = {
    Material.SMOOTH: 1.5,
    Material.GRASS: 9.0,
    Material.MEADOW: 14.0,
    Material.SOIL: 12.0,
    Material.SAND: 6.0,
    Material.ASPHALT: 5.0,
    Material.CONCRETE: 6.0,
    Material.ROOF: 6.0,
    Material.METAL: 4.0,
    Material.CANOPY: 14.0,
    Material.WATER: 4.0,
    Material.WAVES: 9.0,
    Material.MUD: 6.0,
    Material.CROP: 9.0,
    Material.ROCK: 18.0,
    Material.WOOD_FINE: 17.0,
    Material.WOOD: 19.0,
    Material.WOOD_COARSE: 20.0,
    Material.SCRUB: 17.0,
}
"""Standard deviation of the brightness of each material, in grey levels."""


def _noise(rng: Generator, slope: float, stretch: float = 1.0) -> Tile:
    """Seamless noise whose amplitude falls with frequency to the power of ``slope``; unit variance."""
    fy = np.fft.fftfreq(SIDE)[:, None] * stretch
    fx = np.fft.rfftfreq(SIDE)[None, :]
    frequency = np.maximum(np.hypot(fx, fy), 1.0 / SIDE)
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) / frequency**slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return np.asarray(field / field.std(), dtype=np.float32)


def _crowns(rng: Generator, radius: float) -> Tile:
    """Tree crowns side by side, each lit from above and dark between; unit variance."""
    height = np.full((3 * SIDE, 3 * SIDE), -1.0, dtype=np.float32)
    count = int(1.6 * (SIDE / radius) ** 2)
    size = int(2 * radius)
    v, u = np.mgrid[-size : size + 1, -size : size + 1].astype(np.float32)
    for x, y, share, top in zip(
        rng.integers(0, SIDE, count), rng.integers(0, SIDE, count), rng.uniform(0.6, 1.3, count),
        rng.uniform(-0.5, 0.5, count), strict=True,
    ):  # fmt: skip
        reach = radius * share
        dome = np.where(np.hypot(u, v) < reach, top + 1.6 * np.sqrt(np.maximum(1 - (u * u + v * v) / reach**2, 0)), -1)
        for x0, y0 in ((x, y), (x + SIDE, y), (x, y + SIDE), (x + SIDE, y + SIDE)):
            window = height[y0 + SIDE // 2 - size : y0 + SIDE // 2 + size + 1,
                            x0 + SIDE // 2 - size : x0 + SIDE // 2 + size + 1]  # fmt: skip
            np.maximum(window, dome, out=window)
    inner = height[SIDE : 2 * SIDE, SIDE : 2 * SIDE]
    field = inner + 0.35 * _noise(rng, 0.3) + 0.3 * _noise(rng, 1.2)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _speckle(rng: Generator, share: float, size: int) -> Tile:
    """Scattered dark dots on an even ground."""
    dots = (rng.random((SIDE, SIDE)) < share).astype(np.float32)
    wide = np.tile(dots, (2, 2))
    blurred = cv2.GaussianBlur(wide, (0, 0), size)[SIDE // 2 : 3 * SIDE // 2, SIDE // 2 : 3 * SIDE // 2]
    return np.asarray(-(blurred - blurred.mean()) / blurred.std(), dtype=np.float32)


def _brightness(material: Material, rng: Generator) -> Tile:
    match material:
        case Material.SMOOTH:
            return _noise(rng, 0.2)
        case Material.GRASS:
            return 0.4 * _noise(rng, 0.4) + 0.8 * _noise(rng, 1.3)
        case Material.MEADOW:
            return 0.5 * _noise(rng, 0.4) + 0.8 * _noise(rng, 1.1)
        case Material.SOIL:
            return 0.5 * _noise(rng, 0.4) + 0.8 * _noise(rng, 1.2)
        case Material.SAND:
            return 0.5 * _noise(rng, 0.3) + 0.7 * _noise(rng, 1.5)
        case Material.ASPHALT | Material.CONCRETE:
            return 0.35 * _noise(rng, 0.2) + 0.85 * _noise(rng, 1.4)
        case Material.ROOF | Material.METAL:
            return 0.5 * _noise(rng, 0.2) + 0.7 * _noise(rng, 1.3)
        case Material.CANOPY:
            return 0.8 * _noise(rng, 0.5) + 0.4 * _noise(rng, 0.1)
        case Material.WATER:
            return 0.35 * _noise(rng, 0.3, 0.5) + 0.8 * _noise(rng, 1.6)
        case Material.WAVES:
            return 0.7 * _noise(rng, 0.6, 0.35) + 0.6 * _noise(rng, 1.5)
        case Material.MUD:
            return 0.3 * _noise(rng, 0.3) + 0.9 * _noise(rng, 1.7)
        case Material.CROP:
            return 0.7 * _noise(rng, 0.2) + 0.6 * _noise(rng, 1.2)
        case Material.ROCK:
            return 0.5 * _noise(rng, 0.5) + 0.8 * _noise(rng, 1.0)
        case Material.WOOD_FINE:
            return _crowns(rng, 3.2)
        case Material.WOOD:
            return _crowns(rng, 6.0)
        case Material.WOOD_COARSE:
            return _crowns(rng, 11.0)
        case Material.SCRUB:
            return 0.8 * _speckle(rng, 0.02, 2) + 0.6 * _noise(rng, 0.9)


@cache
def _tile(material: Material) -> NDArray[np.int8]:
    rng = np.random.default_rng([2718, int(material)])
    bright = _brightness(material, rng)
    warm = _noise(rng, 1.2)
    tint = np.array((0.22, 0.05, -0.2), dtype=np.float32)
    chroma = 0.2 if material in (Material.WATER, Material.WAVES, Material.SMOOTH, Material.METAL) else 1.0
    colour = bright[..., None] + chroma * warm[..., None] * tint
    return np.clip(np.rint(colour * _SIGMA), -127, 127).astype(np.int8)


@cache
def atlas() -> NDArray[np.int8]:
    """int8 [materials * SIDE * SIDE, 3]: all tiles one after the other, row by row."""
    return np.concatenate([_tile(material).reshape(-1, 3) for material in Material])


@cache
def _white() -> NDArray[np.float32]:
    return np.random.default_rng(3141).standard_normal((SIDE, SIDE, 3), dtype=np.float32)


def grain(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """float32 [H,W,3]: sensor noise of unit variance."""
    rows = (np.arange(height) + rng.integers(SIDE)) % SIDE
    columns = (np.arange(width) * rng.choice((-1, 1)) + rng.integers(SIDE)) % SIDE
    return _white().take(rows, axis=0).take(columns, axis=1)


def sample(materials: NDArray[np.uint8], strength: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Texture for a picture.

    Args:
        materials: uint8 [H,W], the material of each pixel.
        strength: float32 [H,W], times the usual strength.
        rng: decides which piece of the tiles is seen, and from which side.

    Returns:
        float32 [H,W,3]: grey levels to add to the base colour.
    """
    rows = (np.arange(materials.shape[0]) * rng.choice((-1, 1)) + rng.integers(SIDE)) % SIDE
    columns = (np.arange(materials.shape[1]) * rng.choice((-1, 1)) + rng.integers(SIDE)) % SIDE
    row_step, column_step = (SIDE, 1) if rng.random() < 0.5 else (1, SIDE)
    place = rows[:, None] * row_step + columns[None, :] * column_step
    index = materials.astype(np.int64) * (SIDE * SIDE) + place
    gain = np.array([STRENGTH[m] / _SIGMA for m in Material], dtype=np.float32).take(materials) * strength
    texture = atlas().take(index, axis=0).astype(np.float32)
    texture *= gain[..., None]
    return texture
