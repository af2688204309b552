"""Aeroplanes of many types, helicopters and helipads."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from geoagent.data.synth.canvas import Canvas, Surface, grid_of
from geoagent.data.synth.geometry import Frame, Points, arc, box, centred, circle, ribbon
from geoagent.data.synth.palette import PAINTS, Colour, choose, paint, shade
from geoagent.data.synth.textures import Material


@dataclass(frozen=True, kw_only=True)
class Airframe:
    """A type of aeroplane; lengths are shares of the whole length."""

    length: tuple[float, float]
    span: float
    body: float
    sweep: float
    """How far the wing tip lies behind the wing root."""
    root: float
    """Chord of the wing where it leaves the body."""
    tip: float
    wing_at: float
    """Leading edge at the root, from the nose."""
    tail_span: float
    engines: int = 0
    under_wing: bool = True


TYPES: Final[Mapping[str, Airframe]] = {
    "airliner": Airframe(
        length=(33, 45), span=0.93, body=0.1, sweep=0.25, root=0.17, tip=0.05, wing_at=0.34, tail_span=0.36, engines=2
    ),
    "wide-body": Airframe(
        length=(55, 73), span=0.93, body=0.092, sweep=0.28, root=0.18, tip=0.045, wing_at=0.31, tail_span=0.32,
        engines=4,
    ),
    "turboprop": Airframe(
        length=(22, 32), span=1.04, body=0.1, sweep=0.02, root=0.1, tip=0.065, wing_at=0.4, tail_span=0.34, engines=2
    ),
    "business jet": Airframe(
        length=(14, 24), span=0.92, body=0.1, sweep=0.22, root=0.17, tip=0.05, wing_at=0.42, tail_span=0.36, engines=2,
        under_wing=False,
    ),
    "light": Airframe(
        length=(7.5, 11), span=1.3, body=0.13, sweep=0.0, root=0.19, tip=0.15, wing_at=0.24, tail_span=0.44
    ),
    "fighter": Airframe(
        length=(14, 20), span=0.66, body=0.13, sweep=0.3, root=0.44, tip=0.07, wing_at=0.36, tail_span=0.42
    ),
    "transport": Airframe(
        length=(29, 45), span=1.2, body=0.13, sweep=0.05, root=0.14, tip=0.07, wing_at=0.33, tail_span=0.48, engines=4
    ),
}  # fmt: skip
_BODIES: Final = {
    "white": 8, "grey": 3, "beige": 0.6, "blue": 0.6, "green": 0.4, "red": 0.4, "yellow": 0.4, "black": 0.3,
}  # fmt: skip


def _fuselage(length: float, width: float) -> Points:
    a, w = length / 2, width / 2
    half = np.array(
        ((a, 0), (a - 0.35 * w, 0.36 * w), (a - 1.1 * w, 0.76 * w), (a - 2.4 * w, w), (-a * 0.42, w),
         (-a * 0.8, 0.5 * w),
         (-a, 0.14 * w)),
        dtype=np.float64,
    )  # fmt: skip
    return np.concatenate((half, half[:0:-1] * (1, -1)))


def _wing(kind: Airframe, length: float, side: int) -> Points:
    front = length * (0.5 - kind.wing_at)
    root, tip, sweep = kind.root * length, kind.tip * length, kind.sweep * length
    half, inner = kind.span * length / 2, kind.body * length * 0.4
    kink = half * 0.36
    outline = [(front, inner), (front - sweep, half), (front - sweep - tip, half)]
    if kind.sweep > 0.15 and kind.root < 0.3:
        outline.append((front - sweep * 0.36 - root * 0.62, kink))
    outline.append((front - root, inner))
    return np.array(outline, dtype=np.float64) * (1, side)


def _tail(kind: Airframe, length: float) -> tuple[Points, Points]:
    back, half = -length / 2, kind.tail_span * length / 2
    root, sweep = length * 0.11, length * (0.09 if kind.sweep > 0.1 else 0.01)
    plane = np.array(
        ((back + root + 0.02 * length, 0), (back + root - sweep, half), (back + root * 0.5 - sweep, half),
         (back + 0.02 * length, 0), (back + root * 0.5 - sweep, -half), (back + root - sweep, -half)),
        dtype=np.float64,
    )  # fmt: skip
    return plane, box(back - 0.01 * length, -0.011 * length, back + root * 1.3, 0.011 * length)


def _engines(kind: Airframe, length: float) -> list[Points]:
    pod = (length * 0.07, length * 0.034)
    if not kind.under_wing:
        return [centred(*pod, -length * 0.24, side * kind.body * length * 0.78) for side in (-1, 1)]
    found = []
    for place in (0.34, 0.62)[: kind.engines // 2]:
        out = kind.span * length / 2 * place
        front = length * (0.5 - kind.wing_at) - kind.sweep * length * place
        found += [centred(*pod, front + pod[0] * 0.12, side * out) for side in (-1, 1)]
    return found


def _draw_airplane(canvas: Canvas, frame: Frame, kind: Airframe, length: float, word: str, livery: Colour) -> None:
    rng = canvas.rng
    tint = paint(rng, word, 8)
    entity = canvas.entity(
        "airplane",
        colour=word,
        heading_deg=frame.heading_deg,
        length_m=round(length, 1),
        width_m=round(length * kind.span, 1),
    )
    body = frame(_fuselage(length, kind.body * length))
    wings = [frame(_wing(kind, length, side)) for side in (-1, 1)]
    plane, fin = (frame(points) for points in _tail(kind, length))
    height = length * 0.09
    for shape, share in ((body, 1.0), (wings[0], 0.8), (wings[1], 0.8), (plane, 1.5)):
        canvas.cast(shape, height * share, sweep=False)
    canvas.cast(fin, height * 2.4)
    for shape in (body, *wings, plane):
        canvas.shine(shape)
    metal = canvas.leaf(entity, shade(tint, 0.62))
    for pod in _engines(kind, length):
        canvas.fill(metal, frame(pod), lit=True)
    for wing, light in zip(wings, (0.9, 0.96), strict=True):
        colour = shade(tint, light)
        canvas.fill(canvas.leaf(entity, colour, Material.METAL, part=canvas.part("airplane wing", entity)), wing)
    tail = canvas.part("airplane tail", entity)
    canvas.fill(canvas.leaf(entity, shade(tint, 0.93), part=tail), plane)
    canvas.fill(canvas.leaf(entity, shade(tint, 0.86)), body)
    spine = _fuselage(length * 0.985, kind.body * length * 0.62)
    canvas.fill(canvas.leaf(entity, tint), frame(spine))
    canvas.fill(canvas.leaf(entity, livery, part=tail), fin)
    if length > 11 and canvas.gsd < 0.9:
        nose = length / 2 - kind.body * length * 0.55
        canvas.fill(
            canvas.leaf(entity, (44, 50, 58)), frame(centred(length * 0.014, kind.body * length * 0.5, nose, 0))
        )


def add_airplane(
    canvas: Canvas,
    frame: Frame,
    type_name: str,
    allowed: tuple[Surface, ...] = (Surface.PAVED,),
    fleet: str | None = None,
) -> bool:
    """Queue an aeroplane whose nose points along u, if the place is free and it would be seen well.

    Args:
        canvas: where to.
        frame: the middle of the aeroplane.
        type_name: one of `TYPES`.
        allowed: surfaces it may stand on.
        fleet: a colour word that all planes here share, None for any.
    """
    rng, kind = canvas.rng, TYPES[type_name]
    length = float(rng.uniform(*kind.length))
    span = length * kind.span
    if not canvas.sees(frame, length) or not canvas.shows(length * length * 0.06):
        return False
    if not canvas.fits(frame(grid_of(length * 0.9, span * 0.9)), *allowed):
        return False
    canvas.take(frame(centred(length * 1.08, span * 1.06)))
    word = fleet or ("grey" if type_name in ("fighter", "transport") and rng.random() < 0.8 else choose(rng, _BODIES))
    livery = paint(rng, list(PAINTS)[int(rng.integers(len(PAINTS)))])
    canvas.later(length * 0.1 + 1, partial(_draw_airplane, canvas, frame, kind, length, word, livery))
    return True


def _draw_helicopter(canvas: Canvas, frame: Frame, length: float, word: str) -> None:
    rng = canvas.rng
    tint = paint(rng, word)
    entity = canvas.entity("helicopter", colour=word, heading_deg=frame.heading_deg, length_m=round(length, 1))
    body = frame(np.concatenate((arc(length * 0.11, -math.pi / 2, math.pi / 2, 9) * (1.8, 1) + (length * 0.12, 0),
                                 [(-length * 0.12, length * 0.08), (-length * 0.12, -length * 0.08)])))  # fmt: skip
    boom = frame(box(-length * 0.5, -length * 0.024, 0, length * 0.024))
    fin = frame(centred(length * 0.06, length * 0.2, -length * 0.46, 0))
    for shape in (body, boom, fin):
        canvas.cast(shape, 2.4, sweep=False)
    coat = canvas.leaf(entity, tint)
    canvas.fill(coat, boom, fin, lit=True)
    canvas.fill(coat, body, lit=True)
    canvas.fill(canvas.leaf(entity, (40, 48, 58)), frame(circle(length * 0.075, length * 0.22, 0, 10)))
    blade, turn = canvas.leaf(entity, shade((96, 98, 100), rng.uniform(0.4, 1.3))), rng.uniform(0, math.pi)
    count = int(rng.choice((2, 3, 4, 4, 5)))
    for number in range(count):
        arm = frame.at(length * 0.08, 0, turn + number * 2 * math.pi / count)
        start = -length * 0.45 if count == 2 and number == 0 else 0.0
        shape = arm(box(start, -0.016 * length, length * 0.45, 0.016 * length))
        canvas.cast(shape, 3.4, sweep=False)
        canvas.fill(blade, shape, lit=True)


def add_helicopter(canvas: Canvas, frame: Frame, allowed: tuple[Surface, ...] = (Surface.PAVED,)) -> bool:
    """Queue a helicopter."""
    rng = canvas.rng
    length = float(rng.uniform(10, 18))
    if not canvas.sees(frame, length) or not canvas.shows(length * length * 0.06):
        return False
    if not canvas.fits(frame(grid_of(length, length * 0.5)), *allowed):
        return False
    canvas.take(frame(centred(length, length * 0.85)))
    word = choose(rng, {"white": 3, "red": 2, "yellow": 2, "blue": 2, "grey": 2, "green": 1.5, "orange": 1, "black": 1})
    canvas.later(3.2, partial(_draw_helicopter, canvas, frame, length, word))
    return True


def draw_helipad(canvas: Canvas, frame: Frame, size: float, *, container: int = 0) -> None:
    """Draw a marked landing place with its H, at once."""
    rng = canvas.rng
    ground = choose(rng, {"grey": 4, "green": 1.5, "red": 1, "blue": 1, "black": 1.5, "beige": 0.6})
    mark = (236, 236, 232) if rng.random() < 0.75 else (226, 196, 60)
    entity = canvas.entity("helipad", colour=ground, length_m=round(size, 1), container=container)
    round_pad = rng.random() < 0.5
    edge = circle(size / 2) if round_pad else centred(size, size)
    floor = canvas.leaf(entity, paint(rng, ground), Material.CONCRETE, surface=Surface.COURT)
    line = canvas.leaf(entity, mark, surface=Surface.COURT)
    if rng.random() < 0.75:
        canvas.fill(line, frame(edge))
        canvas.fill(floor, frame(edge * 0.9))
    else:
        canvas.fill(floor, frame(edge))
    if rng.random() < 0.6:
        ring = circle(size * 0.36)
        canvas.fill(line, frame(ring))
        canvas.fill(floor, frame(ring * 0.86))
    reach, stroke = size * 0.2, max(size * 0.055, canvas.gsd * 0.9)
    for side in (-1, 1):
        canvas.fill(line, frame(centred(2 * reach, stroke, 0, side * reach * 0.62)))
    canvas.fill(line, frame(ribbon(np.array(((0, -reach * 0.62), (0, reach * 0.62))), stroke)))
