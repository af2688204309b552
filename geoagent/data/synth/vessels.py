"""Ships and boats, from dinghies to container ships."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.geometry import Frame, Points, box, centred, circle
from geoagent.data.synth.palette import choose, mix, paint, shade, vary
from geoagent.data.synth.textures import Material


@dataclass(frozen=True, kw_only=True)
class Hull:
    """A type of ship."""

    length: tuple[float, float]
    beam: float
    """Width as a share of the length."""
    bow: float
    """Length of the pointed bow as a share of the length."""
    hulls: Mapping[str, float]
    decks: Mapping[str, float]
    height: float


HULLS: Final[Mapping[str, Hull]] = {
    "container ship": Hull(
        length=(110, 290), beam=0.145, bow=0.14, hulls={"blue": 2, "black": 2, "red": 1, "green": 1, "grey": 1},
        decks={"brown": 2, "grey": 2, "green": 1}, height=14,
    ),
    "tanker": Hull(
        length=(80, 240), beam=0.16, bow=0.12, hulls={"black": 3, "red": 1, "blue": 1},
        decks={"red": 3, "green": 2, "brown": 2, "grey": 1, "blue": 1}, height=8,
    ),
    "bulk carrier": Hull(
        length=(80, 210), beam=0.15, bow=0.12, hulls={"black": 3, "red": 1, "blue": 1, "green": 1},
        decks={"red": 2, "green": 2, "brown": 2, "grey": 1}, height=9,
    ),
    "ferry": Hull(
        length=(35, 150), beam=0.17, bow=0.16, hulls={"white": 5, "blue": 1, "red": 0.6},
        decks={"white": 4, "grey": 1, "green": 0.6, "blue": 0.5}, height=13,
    ),
    "barge": Hull(
        length=(45, 105), beam=0.12, bow=0.05, hulls={"black": 2, "grey": 2, "brown": 1, "blue": 1},
        decks={"brown": 2, "grey": 2, "beige": 1}, height=3,
    ),
    "naval": Hull(
        length=(55, 150), beam=0.125, bow=0.34, hulls={"grey": 1}, decks={"grey": 1}, height=8,
    ),
    "tug": Hull(
        length=(22, 34), beam=0.34, bow=0.3, hulls={"red": 2, "black": 2, "blue": 1, "orange": 1},
        decks={"green": 2, "grey": 2, "brown": 2}, height=4,
    ),
    "fishing boat": Hull(
        length=(10, 28), beam=0.27, bow=0.34, hulls={"blue": 3, "white": 3, "green": 2, "red": 2, "black": 1},
        decks={"beige": 2, "brown": 1, "green": 1, "grey": 1}, height=3,
    ),
    "yacht": Hull(
        length=(9, 30), beam=0.28, bow=0.42, hulls={"white": 9, "blue": 1, "black": 0.7},
        decks={"white": 5, "beige": 2}, height=3,
    ),
    "sailing boat": Hull(
        length=(8, 16), beam=0.29, bow=0.5, hulls={"white": 7, "blue": 1.4, "red": 0.6},
        decks={"white": 3, "beige": 3, "brown": 1}, height=2,
    ),
    "motor boat": Hull(
        length=(5.5, 9), beam=0.36, bow=0.4, hulls={"white": 6, "blue": 1, "red": 1, "black": 1},
        decks={"white": 3, "beige": 2, "grey": 2}, height=1.5,
    ),
}  # fmt: skip
LARGE: Final = ("container ship", "tanker", "bulk carrier", "ferry", "naval")
SMALL: Final = ("fishing boat", "yacht", "sailing boat", "motor boat")
_BOXES: Final = ("red", "blue", "green", "orange", "white", "grey", "brown", "yellow")


def _outline(length: float, beam: float, bow: float) -> Points:
    a, b, n = length / 2, beam / 2, bow * length
    side = np.array(
        ((a, 0), (a - 0.2 * n, 0.36 * b), (a - 0.55 * n, 0.76 * b), (a - n, b), (-a + 0.3 * b, b), (-a, 0.74 * b)),
        dtype=np.float64,
    )
    return np.concatenate((side, side[:0:-1] * (1, -1)))


@dataclass(frozen=True)
class _Build:
    """What the drawing of the deck needs."""

    canvas: Canvas
    frame: Frame
    entity: int
    length: float
    beam: float
    deck: int
    bridge: int
    """Numbers of the parts, 0 where the ship is too small in the picture to tell them apart."""

    def plate(self, word_or_colour: tuple[int, int, int], part: int, material: Material = Material.SMOOTH) -> int:
        return self.canvas.leaf(self.entity, word_or_colour, material, part=part)

    def house(self, u0: float, u1: float, width: float, height: float) -> None:
        """A deckhouse between two stations, shares of the length from the middle."""
        canvas, rng = self.canvas, self.canvas.rng
        shape = self.frame(box(u0 * self.length, -width * self.beam / 2, u1 * self.length, width * self.beam / 2))
        canvas.cast(shape, height)
        canvas.fill(self.plate(vary(rng, (226, 227, 225), 7), self.bridge), shape, lit=True)
        inner = box(u0 * self.length, -width * self.beam * 0.34, u1 * self.length, width * self.beam * 0.34)
        roof = vary(rng, (206, 208, 206), 9) if rng.random() < 0.6 else paint(rng, "grey")
        canvas.fill(self.plate(roof, self.bridge), self.frame(inner * (0.94, 1) + (0.03 * (u0 + u1) * self.length, 0)))
        if self.length > 60:
            funnel = circle(self.beam * 0.1, (u0 * 0.8 + u1 * 0.2) * self.length, 0, 10)
            canvas.fill(self.plate(paint(rng, str(rng.choice(("red", "blue", "black", "yellow")))), self.bridge),
                        self.frame(funnel))  # fmt: skip


def _stacks(build: _Build) -> None:
    rng, beam = build.canvas.rng, build.beam
    rows = max(2, int(beam * 0.9 / 2.6))
    bay = max(6.5, 3.2 * build.canvas.gsd)
    stacks = {word: build.plate(paint(rng, word), build.deck, Material.METAL) for word in _BOXES}
    for start in np.arange(-0.3 * build.length, 0.37 * build.length, bay):
        if rng.random() < 0.08:
            continue
        width = beam * 0.9 / rows
        for row in range(rows):
            if rng.random() < 0.1:
                continue
            v = -beam * 0.45 + row * width
            word = _BOXES[int(rng.integers(len(_BOXES)))]
            build.canvas.fill(stacks[word], build.frame(box(start, v, start + bay * 0.92, v + width * 0.9)))


def _container_ship(build: _Build) -> None:
    _stacks(build)
    build.house(-0.42, -0.34, 0.92, 16)


def _tanker(build: _Build) -> None:
    rng, canvas = build.canvas.rng, build.canvas
    pipe = build.plate(vary(rng, (176, 176, 170)), build.deck)
    canvas.fill(pipe, build.frame(box(-0.3 * build.length, -build.beam * 0.05, 0.4 * build.length, build.beam * 0.05)))
    canvas.fill(
        pipe, build.frame(box(-0.01 * build.length, -build.beam * 0.42, 0.01 * build.length, build.beam * 0.42))
    )
    for u in (-0.2, -0.1, 0.12, 0.24):
        canvas.fill(pipe, build.frame(centred(0.008 * build.length, build.beam * 0.8, u * build.length, 0)))
    build.house(-0.46, -0.35, 0.86, 13)


def _bulk_carrier(build: _Build) -> None:
    rng, canvas = build.canvas.rng, build.canvas
    hatch = build.plate(vary(rng, (150, 120, 100), 20), build.deck)
    count = int(rng.integers(4, 8))
    pitch = 0.72 / count
    for number in range(count):
        u = (-0.31 + (number + 0.5) * pitch) * build.length
        canvas.fill(hatch, build.frame(centred(pitch * build.length * 0.68, build.beam * 0.6, u, 0)))
    build.house(-0.47, -0.36, 0.84, 13)


def _ferry(build: _Build) -> None:
    rng, canvas = build.canvas.rng, build.canvas
    build.house(-0.38, 0.3, 0.84, 8)
    boat = build.plate(paint(rng, "orange"), build.deck)
    for u in np.linspace(-0.3, 0.2, 5):
        for side in (-1, 1):
            canvas.fill(
                boat,
                build.frame(
                    centred(build.length * 0.04, build.beam * 0.07, u * build.length, side * build.beam * 0.45)
                ),
            )


def _barge(build: _Build) -> None:
    rng, canvas = build.canvas.rng, build.canvas
    load = build.plate(vary(rng, ((60, 56, 52), (176, 150, 116), (122, 96, 76), (110, 112, 112))[int(rng.integers(4))]),
                       build.deck, Material.SOIL)  # fmt: skip
    canvas.fill(load, build.frame(box(-0.3 * build.length, -build.beam * 0.38, 0.42 * build.length, build.beam * 0.38)))
    build.house(-0.46, -0.36, 0.7, 4)


def _naval(build: _Build) -> None:
    canvas = build.canvas
    grey = build.plate(vary(canvas.rng, (150, 156, 160)), build.bridge)
    for u, length, width in ((0.1, 0.16, 0.7), (-0.12, 0.14, 0.62), (0.1, 0.07, 0.42)):
        shape = build.frame(centred(length * build.length, width * build.beam, u * build.length, 0))
        canvas.cast(shape, 9)
        canvas.fill(grey, shape, lit=True)
    pad = build.plate(vary(canvas.rng, (96, 100, 104)), build.deck)
    canvas.fill(pad, build.frame(centred(0.16 * build.length, build.beam * 0.7, -0.38 * build.length, 0)))


def _tug(build: _Build) -> None:
    build.house(-0.05, 0.24, 0.6, 5)


def _cabin_boat(build: _Build) -> None:
    rng, canvas = build.canvas.rng, build.canvas
    place = rng.uniform(-0.25, 0.05)
    build.house(place, place + rng.uniform(0.18, 0.3), 0.62, 2)
    if build.length > 12 and canvas.gsd < 0.5:
        glass = build.plate((46, 54, 64), build.bridge)
        canvas.fill(glass, build.frame(centred(0.05 * build.length, build.beam * 0.5, (place + 0.2) * build.length, 0)))


def _sailing_boat(build: _Build) -> None:
    canvas, rng = build.canvas, build.canvas.rng
    pit = build.plate(vary(rng, (150, 124, 96)), build.deck)
    canvas.fill(pit, build.frame(centred(0.22 * build.length, build.beam * 0.44, -0.28 * build.length, 0)))
    boom = build.plate(paint(rng, "blue" if rng.random() < 0.4 else "white"), build.deck)
    canvas.fill(boom, build.frame(box(-0.3 * build.length, -0.12, 0.1 * build.length, 0.12)))
    mast = canvas.style.sun
    tip = np.array(((0.1 * build.length, 0.0),))
    start = build.frame(tip)[0]
    stop = start + np.array(mast) * build.length * 1.1
    side = np.array((-mast[1], mast[0])) / max(math.hypot(*mast), 1e-6) * 0.12
    canvas.cast(np.stack((start - side, start + side, stop + side, stop - side)), 0.0, sweep=False)


def _motor_boat(build: _Build) -> None:
    canvas, rng = build.canvas, build.canvas.rng
    seat = build.plate(vary(rng, (96, 84, 76), 20), build.deck)
    canvas.fill(seat, build.frame(centred(0.36 * build.length, build.beam * 0.56, -0.16 * build.length, 0)))
    canvas.fill(
        build.plate((52, 60, 70), build.deck),
        build.frame(centred(0.06 * build.length, build.beam * 0.6, 0.06 * build.length, 0)),
    )


_FITTINGS: Final[Mapping[str, Callable[[_Build], None]]] = {
    "container ship": _container_ship, "tanker": _tanker, "bulk carrier": _bulk_carrier, "ferry": _ferry,
    "barge": _barge, "naval": _naval, "tug": _tug, "fishing boat": _cabin_boat, "yacht": _cabin_boat,
    "sailing boat": _sailing_boat, "motor boat": _motor_boat,
}  # fmt: skip


def _wake(canvas: Canvas, frame: Frame, length: float, beam: float, water: int) -> None:
    """Foam behind a moving ship; it stays part of the water."""
    rng = canvas.rng
    base = canvas.leaves.colour[water]
    entity = canvas.leaves.entity[water]
    reach = length * rng.uniform(1.2, 3.0)
    for share, light in ((1.0, 0.1), (0.6, 0.2), (0.25, 0.4)):
        foam = canvas.leaf(
            entity, mix(base, (226, 232, 232), light), Material.WAVES, surface=Surface.WATER, strength=1.6
        )
        spread = beam * 0.35 + reach * share * 0.08
        outline = ((-length * 0.35, -beam * 0.45), (-length * 0.35, beam * 0.45),
                   (-length / 2 - reach * share, spread), (-length / 2 - reach * share, -spread))  # fmt: skip
        canvas.fill_on(foam, frame(outline), Surface.WATER)


def _draw_ship(canvas: Canvas, frame: Frame, type_name: str, length: float, word: str) -> None:
    rng, hull = canvas.rng, HULLS[type_name]
    beam = length * hull.beam
    entity = canvas.entity(
        "ship",
        colour=word,
        heading_deg=frame.heading_deg,
        length_m=round(length, 1),
        width_m=round(beam, 1),
        type=type_name,
    )
    large = beam / canvas.gsd >= 8
    deck = canvas.part("ship deck", entity) if large else 0
    bridge = canvas.part("ship bridge", entity) if large and type_name not in ("sailing boat", "motor boat") else 0
    outline = _outline(length, beam, hull.bow)
    canvas.cast(frame(outline), hull.height * 0.6)
    canvas.fill(canvas.leaf(entity, paint(rng, word, 9)), frame(outline), lit=True)
    if beam / canvas.gsd < 2.5:
        return
    tint = paint(rng, choose(rng, hull.decks), 10)
    plate = canvas.leaf(entity, tint, Material.ROOF, part=deck)
    canvas.fill(plate, frame(outline * (0.965, 0.84)))
    if length > 40:
        canvas.fill(canvas.leaf(entity, shade(tint, 0.85), part=deck), frame(outline * (0.06, 0.5) + (length * 0.4, 0)))
    _FITTINGS[type_name](_Build(canvas, frame, entity, length, beam, deck, bridge))


def add_ship(
    canvas: Canvas, frame: Frame, type_name: str, *, length: float | None = None, water: int = 0, moving: bool = False
) -> bool:
    """Queue a ship whose bow points along u, if it lies wholly on free water.

    Args:
        canvas: where to.
        frame: the middle of the ship.
        type_name: one of `HULLS`.
        length: in metres; None: something usual for the type.
        water: leaf of the water around it, for the wake.
        moving: whether it leaves a wake.
    """
    rng, hull = canvas.rng, HULLS[type_name]
    size = length or float(rng.uniform(*hull.length))
    if not canvas.sees(frame, size) or not canvas.shows(size * size * hull.beam * 0.7):
        return False
    if not canvas.covers(frame(centred(size * 1.05, size * hull.beam * 1.15)), Surface.WATER):
        return False
    if moving and water:
        _wake(canvas, frame, size, size * hull.beam, water)
    canvas.take(frame(centred(size * 1.04, size * hull.beam * 1.1)))
    canvas.later(hull.height * 0.3, partial(_draw_ship, canvas, frame, type_name, size, choose(rng, hull.hulls)))
    return True
