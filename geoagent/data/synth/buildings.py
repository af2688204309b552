"""Houses, flats, halls, towers and greenhouses."""

import math
from functools import partial

import numpy as np

from geoagent.data.synth.aircraft import draw_helipad
from geoagent.data.synth.canvas import Canvas, Stripes, Surface, grid_of
from geoagent.data.synth.geometry import Frame, Points, box, centred, circle
from geoagent.data.synth.palette import Colour, colour_word, paint, shade, vary
from geoagent.data.synth.textures import Material

OPEN_LAND = (Surface.LAND, Surface.WOODS)


def _roof_entity(canvas: Canvas, frame: Frame, length: float, width: float, colour: Colour, height: float) -> int:
    return canvas.entity(
        "building",
        colour=colour_word(colour),
        heading_deg=frame.heading_deg % 180,
        length_m=round(max(length, width), 1),
        width_m=round(min(length, width), 1),
        height_m=round(height, 1),
    )


def _raise_walls(canvas: Canvas, entity: int, outline: Points, height: float, colour: Colour) -> Points:
    """Draw shadow and the walls that the camera sees; return where the roof appears."""
    canvas.cast(outline, height)
    top = canvas.lifted(outline, height)
    if float(np.abs(top - outline).max()) > canvas.gsd * 0.7:
        wall = canvas.leaf(entity, shade(colour, 0.72), Material.CONCRETE)
        following = np.roll(outline, -1, axis=0)
        for start, stop, start_top, stop_top in zip(outline, following, top, np.roll(top, -1, axis=0), strict=True):
            canvas.fill(wall, np.stack((start, stop, stop_top, start_top)), lit=True)
    canvas.shine(top)
    return top


def _gable(canvas: Canvas, entity: int, frame: Frame, length: float, width: float, colour: Colour, hip: float) -> None:
    """Two or four roof planes about a ridge along u."""
    a, b, ridge = length / 2, width / 2, length / 2 - hip
    planes = (
        (((-a, -b), (a, -b), (ridge, 0), (-ridge, 0)), -math.pi / 2),
        (((-a, b), (a, b), (ridge, 0), (-ridge, 0)), math.pi / 2),
        (((a, -b), (a, b), (ridge, 0)), 0.0),
        (((-a, -b), (-a, b), (-ridge, 0)), math.pi),
    )
    for outline, facing in planes[: 4 if hip > 0 else 2]:
        direction = frame.angle + facing
        rows = Stripes(angle=direction + math.pi / 2, period=0.45, strength=4)
        light = canvas.style.light(direction)
        canvas.fill(canvas.leaf(entity, shade(colour, light), Material.ROOF, stripes=rows), frame(outline))
    if canvas.gsd < 0.4:
        canvas.line(canvas.leaf(entity, shade(colour, 1.16)), frame(((-ridge, 0.0), (ridge, 0.0))), 0.25)


def _roof_panels(canvas: Canvas, entity: int, frame: Frame, length: float, width: float, pitched: bool) -> None:
    """A solar array on one side of the roof."""
    rng = canvas.rng
    panel = (1.1, 1.8) if canvas.gsd < 0.35 else (2.0, 2.4)
    room_u, room_v = length * 0.74, width * (0.36 if pitched else 0.7)
    columns, rows = int(room_u / panel[0]), int(room_v / panel[1])
    if columns < 2 or rows < 1:
        return
    columns = max(2, round(columns * rng.uniform(0.4, 1)))
    rows = max(1, round(rows * rng.uniform(0.4, 1)))
    if columns * panel[0] * rows * panel[1] < 12 * canvas.gsd**2:
        return
    part = canvas.part("roof panel", entity)
    side = int(rng.choice((-1, 1)))
    shift_v = side * width * 0.25 if pitched else 0.0
    tint = vary(rng, (34, 44, 72) if rng.random() < 0.75 else (36, 36, 40), 6)
    lines = Stripes(angle=frame.angle + math.pi / 2, period=panel[0], strength=7)
    leaf = canvas.leaf(entity, tint, part=part, stripes=lines)
    place = frame.at(rng.uniform(-0.1, 0.1) * length, shift_v)
    if pitched:
        canvas.fill(leaf, place(centred(columns * panel[0], rows * panel[1])))
        return
    gap = max(0.8, 1.5 * canvas.gsd)  # on flat roofs the rows stand apart, so as not to shade each other
    rows = max(1, int(rows * panel[1] / (panel[1] + gap)))
    for row in range(rows):
        canvas.fill(leaf, place(centred(columns * panel[0], panel[1], 0, (row + 0.5 - rows / 2) * (panel[1] + gap))))


def _draw_house(canvas: Canvas, frame: Frame, length: float, width: float, height: float) -> None:
    rng = canvas.rng
    colour = canvas.style.roof(rng)
    entity = _roof_entity(canvas, frame, length, width, colour, height)
    wings: list[tuple[Frame, float, float]] = [(frame, length, width)]
    if rng.random() < 0.4:
        wing = width * rng.uniform(0.55, 0.8)
        reach = width * rng.uniform(0.5, 0.75)
        place = (length / 2 - wing / 2) * rng.choice((-1, 1))
        side = int(rng.choice((-1, 1)))
        wings.insert(
            0, (frame.at(place, side * (width / 2 + reach / 2 - 0.25 * width), math.pi / 2), reach + 0.5 * width, wing)
        )
    flat, hip = rng.random() < 0.12, rng.random() < 0.5
    for place, long, wide in wings:
        top = _raise_walls(canvas, entity, place(centred(long, wide)), height, (196, 186, 172))
        shift = top.mean(axis=0)
        lifted = Frame(float(shift[0]), float(shift[1]), place.angle)
        if flat:
            _flat_roof(canvas, entity, lifted, long, wide, colour, units=0)
        else:
            _gable(canvas, entity, lifted, long, wide, colour, wide / 2 if hip and long > wide * 1.05 else 0.0)
    if rng.random() < 0.16:
        _roof_panels(canvas, entity, lifted, long, wide, pitched=not flat)
    if canvas.gsd < 0.4 and rng.random() < 0.5:
        chimney = centred(0.9, 0.7, length * rng.uniform(-0.3, 0.3), width * 0.1)
        canvas.cast(lifted(chimney), 1.5)
        canvas.fill(canvas.leaf(entity, vary(rng, (126, 92, 80))), lifted(chimney), lit=True)


def add_house(canvas: Canvas, frame: Frame, length: float, width: float) -> bool:
    """Queue a dwelling with a pitched roof, ridge along u, if its place is free."""
    if not canvas.sees(frame, length) or not canvas.shows(length * width):
        return False
    if not canvas.fits(frame(grid_of(length, width)), *OPEN_LAND, Surface.PAVED):
        return False
    height = float(canvas.rng.uniform(3.2, 7.5))
    canvas.take(frame(centred(length + 1, width + 1)))
    canvas.later(height, partial(_draw_house, canvas, frame, length, width, height))
    return True


def _flat_roof(
    canvas: Canvas, entity: int, frame: Frame, length: float, width: float, colour: Colour, units: int
) -> None:
    """A flat roof with its parapet and what stands on it."""
    rng = canvas.rng
    edge = max(0.5, canvas.gsd * 1.2)
    canvas.fill(canvas.leaf(entity, shade(colour, 1.14), Material.ROOF), frame(centred(length, width)))
    if min(length, width) > 4 * edge:
        floor = canvas.leaf(entity, shade(colour, 0.94), Material.ROOF, strength=1.3)
        canvas.fill(floor, frame(centred(length - 2 * edge, width - 2 * edge)))
    for _ in range(units):
        long, wide = rng.uniform(1.6, 5, 2)
        if long > length / 3 or wide > width / 3:
            continue
        place = frame.at(rng.uniform(-0.36, 0.36) * length, rng.uniform(-0.34, 0.34) * width)
        unit = place(centred(long, wide))
        canvas.cast(unit, 2.2)
        canvas.fill(canvas.leaf(entity, vary(rng, (176, 178, 178), 20)), unit, lit=True)


def _draw_block(
    canvas: Canvas, frame: Frame, outlines: list[tuple[Frame, float, float]], height: float, colour: Colour, pad: bool
) -> None:
    rng = canvas.rng
    length, width = outlines[0][1:]
    entity = _roof_entity(canvas, frame, length, width, colour, height)
    wall = vary(rng, (178, 170, 158), 18)
    for place, long, wide in outlines:
        top = _raise_walls(canvas, entity, place(centred(long, wide)), height, wall)
        centre = top.mean(axis=0)
        lifted = Frame(float(centre[0]), float(centre[1]), place.angle)
        _flat_roof(canvas, entity, lifted, long, wide, colour, 0 if pad else int(rng.integers(0, 5)))
    if pad:
        draw_helipad(canvas, lifted, min(length, width, 26) * 0.72, container=entity)
    elif rng.random() < 0.12:
        _roof_panels(canvas, entity, lifted, long, wide, pitched=False)


def add_block(
    canvas: Canvas, frame: Frame, length: float, width: float, height: float, *, wing: float = 0.0, pad: bool = False
) -> bool:
    """Queue a building with a flat roof: flats, offices, a tower.

    Args:
        canvas: where to.
        frame: its middle; u along its length.
        length: in metres.
        width: in metres.
        height: in metres.
        wing: length of a side wing, 0 for none.
        pad: whether a helipad crowns it.
    """
    if not canvas.sees(frame, length) or not canvas.shows(length * width):
        return False
    outlines = [(frame, length, width)]
    if wing > 0:
        outlines.append((frame.at(length / 2 - width / 2, width / 2 + wing / 2 - 0.01, math.pi / 2), wing, width))
    if not all(canvas.fits(place(grid_of(long, wide)), *OPEN_LAND, Surface.PAVED) for place, long, wide in outlines):
        return False
    for place, long, wide in outlines:
        canvas.take(place(centred(long + 1, wide + 1)))
    light = canvas.rng.random() < 0.65
    colour = vary(canvas.rng, (176, 172, 166), 22) if light else canvas.style.roof(canvas.rng)
    canvas.later(height, partial(_draw_block, canvas, frame, outlines, height, colour, pad))
    return True


def _draw_hall(canvas: Canvas, frame: Frame, length: float, width: float, height: float) -> None:
    rng = canvas.rng
    word = str(rng.choice(("white", "grey", "white", "grey", "blue", "red", "green", "beige", "brown")))
    colour = paint(rng, word, 14)
    entity = _roof_entity(canvas, frame, length, width, colour, height)
    top = _raise_walls(canvas, entity, frame(centred(length, width)), height, colour)
    centre = top.mean(axis=0)
    lifted = Frame(float(centre[0]), float(centre[1]), frame.angle)
    sheets = Stripes(angle=frame.angle + math.pi / 2, period=rng.uniform(1.2, 3.0), strength=rng.uniform(2, 7))
    bays = max(1, round(width / rng.uniform(14, 40)))
    for bay in range(bays):
        v0, v1 = -width / 2 + bay * width / bays, -width / 2 + (bay + 1) * width / bays
        middle = (v0 + v1) / 2
        for start, stop, facing in ((v0, middle, -math.pi / 2), (middle, v1, math.pi / 2)):
            light = 1 + 0.5 * (canvas.style.light(lifted.angle + facing) - 1)
            leaf = canvas.leaf(entity, shade(colour, light), Material.METAL, stripes=sheets)
            canvas.fill(leaf, lifted(box(-length / 2, start, length / 2, stop)))
    extra = rng.random()
    if extra < 0.35:  # skylights
        glass = canvas.leaf(entity, shade(colour, rng.choice((0.7, 1.2))))
        for u in np.arange(-length / 2 + 4, length / 2 - 4, rng.uniform(5, 11)):
            canvas.fill(glass, lifted(box(u, -width * 0.38, u + 1.4, width * 0.38)))
    elif extra < 0.5:
        _roof_panels(canvas, entity, lifted, length, width, pitched=False)
    elif extra < 0.8:
        vent = canvas.leaf(entity, vary(rng, (150, 152, 154), 18))
        for _ in range(int(rng.integers(2, 10))):
            place = lifted.at(rng.uniform(-0.42, 0.42) * length, rng.uniform(-0.4, 0.4) * width)
            canvas.cast(place(centred(2, 2)), 1.6)
            canvas.fill(vent, place(centred(2.0, 2.0)), lit=True)


def add_hall(canvas: Canvas, frame: Frame, length: float, width: float) -> bool:
    """Queue a shed, warehouse or factory with a metal roof."""
    if not canvas.sees(frame, length) or not canvas.shows(length * width):
        return False
    if not canvas.fits(frame(grid_of(length, width)), *OPEN_LAND, Surface.PAVED):
        return False
    canvas.take(frame(centred(length + 2, width + 2)))
    height = float(canvas.rng.uniform(6, 12))
    canvas.later(height, partial(_draw_hall, canvas, frame, length, width, height))
    return True


def _draw_round(canvas: Canvas, frame: Frame, radius: float, height: float) -> None:
    rng = canvas.rng
    colour = canvas.style.roof(rng)
    entity = _roof_entity(canvas, frame, 2 * radius, 2 * radius, colour, height)
    outline = frame(circle(radius))
    canvas.cast(outline, height)
    canvas.fill(canvas.leaf(entity, shade(colour, 0.75)), outline, lit=True)
    top = canvas.lifted(outline, height)
    count = 12
    centre = top.mean(axis=0)
    for number in range(count):
        a, b = top[number * 2], top[(number * 2 + 2) % 24]
        light = canvas.style.light(frame.angle + (number + 0.5) * 2 * math.pi / count)
        canvas.fill(
            canvas.leaf(entity, shade(colour, light), Material.ROOF),
            np.stack((a, top[number * 2 + 1], b, centre)),
            lit=True,
        )


def add_round(canvas: Canvas, frame: Frame, radius: float) -> bool:
    """Queue a round building: an arena, a rotunda."""
    if not canvas.sees(frame, radius) or not canvas.fits(
        frame(grid_of(2 * radius, 2 * radius)), *OPEN_LAND, Surface.PAVED
    ):
        return False
    canvas.take(frame(circle(radius + 1)))
    height = float(canvas.rng.uniform(8, 16))
    canvas.later(height, partial(_draw_round, canvas, frame, radius, height))
    return True


def _draw_greenhouse(canvas: Canvas, frame: Frame, length: float, width: float, glass: bool) -> None:
    rng = canvas.rng
    colour = vary(rng, (168, 188, 186) if glass else (212, 216, 210), 12)
    if rng.random() < 0.15:
        colour = vary(rng, (120, 140, 128), 10)
    entity = canvas.entity(
        "greenhouse",
        colour=colour_word(colour),
        heading_deg=frame.heading_deg % 180,
        length_m=round(length, 1),
        width_m=round(width, 1),
    )
    outline = frame(centred(length, width))
    canvas.cast(outline, 3.5)
    if glass:
        lines = Stripes(angle=frame.angle, period=3.2, strength=rng.uniform(8, 20))
        canvas.fill(canvas.leaf(entity, colour, Material.METAL, stripes=lines), outline, lit=True)
        return
    ribs = Stripes(angle=frame.angle + math.pi / 2, period=2.0, strength=5)
    for start, stop, light in ((-0.5, -0.25, 0.84), (-0.25, 0.25, 1.05), (0.25, 0.5, 0.9)):
        strip = frame(box(-length / 2, start * width, length / 2, stop * width))
        canvas.fill(canvas.leaf(entity, shade(colour, light), Material.METAL, stripes=ribs), strip, lit=True)


def add_greenhouse(canvas: Canvas, frame: Frame, length: float, width: float, *, glass: bool) -> bool:
    """Queue a glasshouse or a polytunnel, long side along u."""
    if not canvas.sees(frame, length) or not canvas.shows(length * width):
        return False
    if not canvas.fits(frame(grid_of(length, width)), Surface.LAND, Surface.FIELD):
        return False
    canvas.take(frame(centred(length + 0.6, width + 0.6)))
    canvas.later(3.3, partial(_draw_greenhouse, canvas, frame, length, width, glass))
    return True
