"""Colours and weather: everything about the look of a scene that is decided once for the whole of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

Colour = tuple[int, int, int]

PAINTS: Mapping[str, Colour] = {
    "white": (232, 232, 228),
    "black": (38, 38, 42),
    "grey": (132, 134, 136),
    "red": (176, 44, 40),
    "blue": (48, 88, 168),
    "green": (54, 122, 72),
    "yellow": (222, 190, 58),
    "orange": (216, 122, 44),
    "brown": (112, 78, 54),
    "beige": (206, 188, 154),
}
"""The colours that attributes name, with a typical value of each."""


def paint(rng: Generator, word: str, spread: float = 12.0) -> Colour:
    """A colour that a person would call ``word``."""
    light = rng.normal(0, spread)
    r, g, b = (float(c) + light + rng.normal(0, spread / 3) for c in PAINTS[word])
    return clip((r, g, b))


def clip(colour: tuple[float, float, float]) -> Colour:
    """The nearest colour that eight bits hold."""
    r, g, b = (min(255, max(0, round(c))) for c in colour)
    return r, g, b


def vary(rng: Generator, colour: Colour, spread: float = 8.0) -> Colour:
    """A colour near ``colour``: mostly lighter or darker, a little of another hue."""
    light = rng.normal(0, spread)
    r, g, b = (c + light + rng.normal(0, spread / 3) for c in colour)
    return clip((r, g, b))


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker or lighter."""
    r, g, b = (c * factor for c in colour)
    return clip((r, g, b))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two; ``share`` is that of the other."""
    r, g, b = (a * (1 - share) + c * share for a, c in zip(one, other, strict=True))
    return clip((r, g, b))


def colour_word(colour: Colour) -> str:
    """The name of the nearest paint."""
    return min(PAINTS, key=lambda word: sum((a - b) ** 2 for a, b in zip(PAINTS[word], colour, strict=True)))


def choose(rng: Generator, weights: Mapping[str, float]) -> str:
    """One of the words, by weight."""
    words = list(weights)
    share = np.array([weights[word] for word in words], dtype=np.float64)
    return words[
        int(np.searchsorted(np.cumsum(share / share.sum()), rng.random(), side="right").clip(0, len(words) - 1))
    ]


def pick(rng: Generator, colours: tuple[Colour, ...], spread: float = 8.0) -> Colour:
    """One of the colours, varied."""
    return vary(rng, colours[int(rng.integers(len(colours)))], spread)


@dataclass(frozen=True)
class Climate:
    """What grows and how it looks in a season of a region."""

    grass: tuple[Colour, ...]
    crops: tuple[Colour, ...]
    leaves: tuple[Colour, ...]
    soil: tuple[Colour, ...]
    palms: float
    """Share of palms among single trees."""
    bare: float
    """How much of open ground is bare."""


CLIMATES: Mapping[str, Climate] = {
    "summer": Climate(
        grass=((92, 116, 62), (104, 124, 72), (82, 108, 60), (116, 126, 78)),
        crops=((86, 122, 58), (128, 142, 72), (176, 160, 98), (66, 104, 52), (150, 128, 90), (198, 178, 116)),
        leaves=((52, 78, 40), (60, 88, 46), (44, 70, 42), (70, 92, 50)),
        soil=((150, 128, 100), (138, 116, 92), (164, 144, 116)),
        palms=0.0,
        bare=0.1,
    ),
    "spring": Climate(
        grass=((104, 140, 66), (92, 128, 60), (118, 148, 80)),
        crops=((96, 146, 58), (206, 192, 62), (128, 104, 76), (74, 124, 54), (112, 150, 74)),
        leaves=((76, 112, 52), (66, 100, 48), (94, 122, 64)),
        soil=((132, 108, 82), (146, 122, 94)),
        palms=0.0,
        bare=0.1,
    ),
    "autumn": Climate(
        grass=((118, 118, 70), (104, 110, 64), (130, 124, 82)),
        crops=((150, 124, 84), (120, 98, 70), (168, 148, 96), (104, 116, 60), (184, 160, 110)),
        leaves=((150, 104, 46), (126, 82, 40), (92, 92, 48), (168, 128, 52), (70, 80, 44)),
        soil=((128, 104, 80), (112, 92, 72)),
        palms=0.0,
        bare=0.2,
    ),
    "winter": Climate(
        grass=((122, 116, 86), (106, 106, 78), (134, 126, 98)),
        crops=((112, 96, 76), (98, 84, 68), (104, 118, 72), (136, 118, 92)),
        leaves=((88, 76, 64), (98, 86, 74), (48, 62, 44), (76, 68, 58)),
        soil=((116, 98, 80), (104, 90, 76)),
        palms=0.0,
        bare=0.25,
    ),
    "dry": Climate(
        grass=((158, 146, 104), (146, 138, 96), (134, 132, 88)),
        crops=((182, 160, 116), (110, 124, 66), (164, 138, 98), (86, 112, 58), (198, 176, 132)),
        leaves=((74, 84, 52), (88, 94, 62), (62, 76, 50)),
        soil=((196, 168, 128), (186, 152, 112), (208, 182, 146)),
        palms=0.45,
        bare=0.5,
    ),
    "tropical": Climate(
        grass=((84, 122, 58), (98, 132, 68), (74, 110, 56)),
        crops=((78, 122, 60), (124, 140, 86), (92, 112, 84), (60, 104, 56), (140, 122, 88)),
        leaves=((40, 78, 38), (54, 94, 46), (62, 98, 48), (36, 66, 38)),
        soil=((168, 118, 84), (156, 124, 94), (178, 138, 104)),
        palms=0.4,
        bare=0.15,
    ),
    "maritime": Climate(
        grass=((88, 112, 70), (78, 102, 66), (98, 118, 80)),
        crops=((90, 118, 66), (120, 128, 86), (104, 130, 72), (126, 112, 90)),
        leaves=((48, 70, 46), (42, 62, 44), (58, 80, 52)),
        soil=((128, 114, 96), (116, 104, 90)),
        palms=0.0,
        bare=0.12,
    ),
}

SEAS: tuple[Colour, ...] = (
    (30, 62, 84), (38, 84, 96), (52, 108, 112), (24, 48, 66), (66, 128, 128), (46, 72, 78), (20, 54, 62), (34, 70, 110),
    (74, 96, 96),
)  # fmt: skip
FRESH: tuple[Colour, ...] = (
    (48, 66, 60), (70, 82, 66), (98, 98, 74), (40, 58, 66), (62, 88, 84), (112, 106, 82), (30, 46, 48), (84, 104, 100),
)  # fmt: skip
FLOODS: tuple[Colour, ...] = ((142, 118, 88), (128, 112, 88), (158, 134, 104), (116, 108, 92), (150, 120, 78))
ROOFS: Mapping[str, tuple[Colour, ...]] = {
    "tiles": ((158, 92, 68), (142, 80, 60), (172, 112, 84), (120, 72, 58), (182, 128, 100)),
    "slate": ((84, 86, 92), (98, 98, 100), (70, 72, 78), (112, 108, 104)),
    "shingle": ((122, 112, 100), (104, 96, 90), (142, 132, 118), (96, 84, 76), (128, 122, 118)),
    "light": ((206, 202, 194), (188, 186, 180), (220, 218, 212), (174, 170, 162)),
    "colour": ((70, 104, 150), (62, 120, 92), (168, 66, 56), (84, 140, 160), (192, 150, 96)),
}
ASPHALTS: tuple[Colour, ...] = ((96, 96, 98), (112, 112, 112), (84, 86, 90), (130, 128, 124), (148, 144, 138))


@dataclass(frozen=True, kw_only=True)
class Style:
    """The look of one scene."""

    season: str
    climate: Climate
    grass: Colour
    soil: Colour
    road: Colour
    concrete: Colour
    sea: Colour
    fresh: Colour
    flood: Colour
    roofs: Mapping[str, float]
    """Weights of the kinds of roof in `ROOFS`."""
    sun: tuple[float, float]
    """Shift of a shadow's end for a metre of height, in metres east and south."""
    shadow: float
    """How much light a shadow takes away."""
    lean: tuple[float, float]
    """Shift of a thing's top for a metre of height: the camera seldom looks straight down."""
    right_hand: bool
    """Whether traffic keeps to the right."""

    @property
    def sun_angle(self) -> float:
        """Direction of the shadows, in radians clockwise from east."""
        return math.atan2(self.sun[1], self.sun[0])

    def leaf(self, rng: Generator) -> Colour:
        """A colour of leaves."""
        return pick(rng, self.climate.leaves, 9.0)

    def roof(self, rng: Generator) -> Colour:
        """A colour of roofs."""
        return pick(rng, ROOFS[choose(rng, self.roofs)], 10.0)

    def light(self, direction: float) -> float:
        """Brightness of a roof plane that faces ``direction`` (radians clockwise from east)."""
        return 1.0 - 0.17 * math.cos(direction - self.sun_angle)


def draw_style(rng: Generator, season: str | None = None) -> Style:
    """Decide the look of a scene."""
    season = season or choose(
        rng, {"summer": 3, "spring": 1.5, "autumn": 1.2, "winter": 1, "dry": 1.6, "tropical": 1.4, "maritime": 1.3}
    )
    climate = CLIMATES[season]
    azimuth, length = rng.uniform(0, 2 * math.pi), float(np.clip(rng.lognormal(-0.25, 0.45), 0.25, 1.9))
    lean_way, lean = rng.uniform(0, 2 * math.pi), rng.uniform(0.02, 0.28) if rng.random() < 0.6 else 0.0
    roofs = {word: float(rng.gamma(0.6)) + 0.03 for word in ROOFS}
    tone = int(rng.integers(132, 200))
    return Style(
        season=season,
        climate=climate,
        grass=pick(rng, climate.grass, 7),
        soil=pick(rng, climate.soil, 9),
        road=pick(rng, ASPHALTS, 8),
        concrete=vary(rng, (tone, tone - 3, tone - 10), 4),
        sea=pick(rng, SEAS, 7),
        fresh=pick(rng, FRESH, 7),
        flood=pick(rng, FLOODS, 7),
        roofs=roofs,
        sun=(math.cos(azimuth) * length, math.sin(azimuth) * length),
        shadow=float(rng.uniform(0.35, 0.68)),
        lean=(math.cos(lean_way) * lean, math.sin(lean_way) * lean),
        right_hand=bool(rng.random() < 0.8),
    )
