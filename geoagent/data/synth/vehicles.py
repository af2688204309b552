"""Cars, vans, buses and lorries."""

from functools import partial
from typing import Final

from geoagent.data.synth.canvas import Canvas, Surface, grid_of
from geoagent.data.synth.geometry import Frame, box, centred, rounded
from geoagent.data.synth.palette import choose, paint, shade, vary

_CAR_COLOURS: Final = {
    "white": 6, "grey": 6, "black": 4, "blue": 2, "red": 2, "beige": 0.7, "green": 0.5, "yellow": 0.3, "orange": 0.3,
    "brown": 0.4,
}  # fmt: skip
_LORRY_COLOURS: Final = {"white": 6, "blue": 1.5, "red": 1.5, "grey": 2, "green": 1, "yellow": 1, "orange": 0.7}
_BUS_COLOURS: Final = {"white": 3, "red": 2, "yellow": 2, "blue": 1.5, "green": 1.5, "orange": 1}
_GLASS: Final = (34, 40, 48)


def _describe(canvas: Canvas, class_name: str, frame: Frame, length: float, width: float, colour: str) -> int:
    return canvas.entity(
        class_name,
        colour=colour,
        heading_deg=frame.heading_deg,
        length_m=round(length, 1),
        width_m=round(width, 1),
    )


def _draw_car(canvas: Canvas, frame: Frame, length: float, width: float, word: str) -> None:
    rng = canvas.rng
    tint = paint(rng, word)
    entity = _describe(canvas, "car", frame, length, width, word)
    body = frame(rounded(length, width, 0.45))
    canvas.cast(body, 1.4)
    canvas.fill(canvas.leaf(entity, tint), body, lit=True)
    if canvas.gsd > 0.55:
        return
    front, rear = length * rng.uniform(0.14, 0.2), -length * rng.uniform(0.26, 0.42)
    half = width * 0.42
    cabin = ((front, -half), (front, half), (rear, half * 0.95), (rear, -half * 0.95))
    canvas.fill(canvas.leaf(entity, vary(rng, _GLASS)), frame(cabin))
    canvas.fill(
        canvas.leaf(entity, shade(tint, 1.08)), frame(box(rear + 0.35, -half * 0.82, front - 0.55, half * 0.82))
    )


def _draw_bus(canvas: Canvas, frame: Frame, length: float, word: str) -> None:
    rng, width = canvas.rng, 2.6
    tint = paint(rng, word)
    entity = _describe(canvas, "bus", frame, length, width, word)
    body = frame(rounded(length, width, 0.3))
    canvas.cast(body, 3.1)
    canvas.fill(canvas.leaf(entity, tint), body, lit=True)
    canvas.fill(canvas.leaf(entity, vary(rng, _GLASS)), frame(box(length / 2 - 0.7, -1.1, length / 2 - 0.15, 1.1)))
    roof = canvas.leaf(entity, shade(tint, 1.12) if word != "white" else (214, 216, 218))
    canvas.fill(roof, frame(box(-length / 2 + 0.4, -0.95, length / 2 - 1.0, 0.95)))
    if canvas.gsd <= 0.45:
        hatch = canvas.leaf(entity, shade(tint, 0.72))
        for share in (-0.3, 0.05, 0.28):
            canvas.fill(hatch, frame(centred(1.6, 1.2, share * length, 0)))


def _draw_truck(canvas: Canvas, frame: Frame, length: float, words: tuple[str, str]) -> None:
    rng, width = canvas.rng, 2.5
    cab_word, load_word = words
    entity = _describe(canvas, "truck", frame, length, width, load_word)
    outline = frame(centred(length, width))
    canvas.cast(outline, 3.4)
    canvas.shine(outline)
    cab, load = paint(rng, cab_word), paint(rng, load_word)
    front = length / 2
    canvas.fill(canvas.leaf(entity, shade(cab, 0.5)), frame(centred(length - 0.6, width * 0.62)))
    canvas.fill(canvas.leaf(entity, cab), frame(box(front - 2.2, -width / 2, front, width / 2)))
    canvas.fill(canvas.leaf(entity, load), frame(box(-front, -width / 2, front - 2.7, width / 2)))
    if canvas.gsd <= 0.55:
        canvas.fill(canvas.leaf(entity, vary(rng, _GLASS)), frame(box(front - 0.75, -1.0, front - 0.2, 1.0)))
        if rng.random() < 0.3:  # an open bed with its load
            canvas.fill(
                canvas.leaf(entity, vary(rng, (122, 104, 84))), frame(box(-front + 0.4, -0.9, front - 3.1, 0.9))
            )


def add_car(canvas: Canvas, frame: Frame, allowed: tuple[Surface, ...] = (Surface.ROAD,)) -> bool:
    """Queue a car or van if its place is free and it would be large enough to see."""
    rng = canvas.rng
    van = rng.random() < 0.14
    length, width = (rng.uniform(5.0, 6.4), 2.1) if van else (rng.uniform(3.9, 5.0), rng.uniform(1.75, 1.95))
    if not canvas.sees(frame, 3) or not canvas.shows(length * width):
        return False
    if not canvas.fits(frame(grid_of(length + 0.5, width)), *allowed):
        return False
    canvas.take(frame(centred(length + 0.4, width + 0.2)))
    word = choose(rng, _LORRY_COLOURS if van else _CAR_COLOURS)
    canvas.later(1.4, partial(_draw_car, canvas, frame, float(length), float(width), word))
    return True


def add_bus(canvas: Canvas, frame: Frame, allowed: tuple[Surface, ...] = (Surface.ROAD,)) -> bool:
    """Queue a bus if its place is free."""
    rng = canvas.rng
    length = rng.uniform(6.5, 9) if rng.random() < 0.2 else rng.uniform(10.5, 13.5)
    if not canvas.sees(frame, 7) or not canvas.shows(length * 2.6):
        return False
    if not canvas.fits(frame(grid_of(length + 1, 2.6)), *allowed):
        return False
    canvas.take(frame(centred(length + 1, 2.8)))
    canvas.later(2.9, partial(_draw_bus, canvas, frame, float(length), choose(rng, _BUS_COLOURS)))
    return True


def add_truck(canvas: Canvas, frame: Frame, allowed: tuple[Surface, ...] = (Surface.ROAD,)) -> bool:
    """Queue a lorry, with or without a trailer, if its place is free."""
    rng = canvas.rng
    length = rng.uniform(7, 10) if rng.random() < 0.5 else rng.uniform(13, 18)
    if not canvas.sees(frame, 9) or not canvas.shows(length * 2.5):
        return False
    if not canvas.fits(frame(grid_of(length + 1, 2.5)), *allowed):
        return False
    canvas.take(frame(centred(length + 1, 2.7)))
    words = (choose(rng, _LORRY_COLOURS), choose(rng, _LORRY_COLOURS))
    canvas.later(3.0, partial(_draw_truck, canvas, frame, float(length), words))
    return True


def add_vehicle(
    canvas: Canvas, frame: Frame, allowed: tuple[Surface, ...] = (Surface.ROAD,), heavy: float = 0.12
) -> bool:
    """Queue some vehicle; ``heavy`` is the share of buses and lorries."""
    draw = canvas.rng.random()
    if draw < heavy * 0.4:
        return add_bus(canvas, frame, allowed)
    if draw < heavy:
        return add_truck(canvas, frame, allowed)
    return add_car(canvas, frame, allowed)
