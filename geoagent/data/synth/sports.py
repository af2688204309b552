"""Courts, pitches, tracks, diamonds, stadiums and pools, all drawn at once as they lie flat; stadiums rise."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoagent.data.synth.canvas import Canvas, Stripes, Surface, grid_of
from geoagent.data.synth.geometry import Block, Frame, Points, arc, blob, box, centred, circle, ellipse
from geoagent.data.synth.palette import Colour, choose, colour_word, mix, paint, shade, vary
from geoagent.data.synth.textures import Material

_LINE: Final = (236, 236, 230)
_COURTS: Final = {"green": 4, "blue": 3, "red": 2, "orange": 1.5, "grey": 1, "brown": 1}
_COURT_COLOURS: Final = {
    "green": (72, 118, 88), "blue": (62, 96, 150), "red": (150, 70, 62), "orange": (184, 106, 70),
    "grey": (128, 130, 132), "brown": (140, 100, 76),
}  # fmt: skip


def _lines(
    canvas: Canvas, leaf: int, frame: Frame, shapes: Sequence[tuple[Sequence[tuple[float, float]], float]]
) -> None:
    for points, width in shapes:
        if width / canvas.gsd > 0.16:
            canvas.line(leaf, frame(points), width)


def _rect(length: float, width: float) -> list[tuple[float, float]]:
    a, b = length / 2, width / 2
    return [(-a, -b), (a, -b), (a, b), (-a, b), (-a, -b)]


def _ring(radius: float, u: float = 0.0, v: float = 0.0) -> list[tuple[float, float]]:
    points = circle(radius, u, v, 24)
    return [(float(a), float(b)) for a, b in np.concatenate((points, points[:1]))]


def _has_room(canvas: Canvas, frame: Frame, length: float, width: float) -> bool:
    return canvas.sees(frame, max(length, width)) and canvas.fits(
        frame(grid_of(length, width)), Surface.LAND, Surface.PAVED
    )


def _floor(canvas: Canvas, class_name: str, frame: Frame, length: float, width: float) -> tuple[int, int]:
    """Lay the two-coloured hard floor of a court; returns entity and the leaf for lines."""
    rng = canvas.rng
    word, rim_word = choose(rng, _COURTS), choose(rng, _COURTS)
    entity = canvas.entity(
        class_name,
        colour=word,
        heading_deg=frame.heading_deg % 180,
        length_m=round(length, 1),
        width_m=round(width, 1),
    )
    rim = canvas.leaf(
        entity, vary(rng, _COURT_COLOURS[rim_word]), Material.ASPHALT, surface=Surface.COURT, strength=0.7
    )
    canvas.fill(rim, frame(centred(length, width)))
    canvas.take(frame(centred(length, width)))
    inner = canvas.leaf(entity, vary(rng, _COURT_COLOURS[word]), Material.ASPHALT, surface=Surface.COURT, strength=0.7)
    if class_name == "tennis court":
        canvas.fill(inner, frame(centred(23.77, 10.97)))
    else:
        canvas.fill(inner, frame(centred(length - 2, width - 2)))
    return entity, canvas.leaf(entity, _LINE, surface=Surface.COURT)


def draw_tennis_court(canvas: Canvas, frame: Frame) -> bool:
    """A tennis court with its run-off, length along u."""
    length, width = 34.0, 17.0
    if not _has_room(canvas, frame, length, width):
        return False
    entity, line = _floor(canvas, "tennis court", frame, length, width)
    _lines(
        canvas,
        line,
        frame,
        (
            (_rect(23.77, 10.97), 0.12),
            (_rect(23.77, 8.23), 0.1),
            (_rect(12.8, 8.23), 0.1),
            ([(-6.4, 0), (6.4, 0)], 0.1),
        ),
    )
    net = frame(box(-0.12, -6.2, 0.12, 6.2))
    canvas.cast(net, 1.0)
    canvas.fill(canvas.leaf(entity, (70, 76, 76), surface=Surface.COURT), net)
    return True


def draw_basketball_court(canvas: Canvas, frame: Frame) -> bool:
    """A basketball court, length along u."""
    length, width = 30.0, 17.0
    if not _has_room(canvas, frame, length, width):
        return False
    rng = canvas.rng
    entity, line = _floor(canvas, "basketball court", frame, length, width)
    key_word = choose(rng, _COURTS)
    key = canvas.leaf(entity, vary(rng, _COURT_COLOURS[key_word]), surface=Surface.COURT)
    for side in (-1, 1):
        end = frame.at(side * 14, 0, 0 if side < 0 else math.pi)
        canvas.fill(key, end(box(0, -2.45, 5.8, 2.45)), end(circle(1.8, 5.8)))
        half = arc(6.75, -math.pi / 2, math.pi / 2, u=1.6)
        _lines(
            canvas,
            line,
            end,
            (
                ([(0, -2.45), (5.8, -2.45), (5.8, 2.45), (0, 2.45)], 0.12),
                ([(0.0, -6.75), *((float(a), float(b)) for a, b in half), (0.0, 6.75)], 0.12),
            ),
        )
        board = end(box(0.8, -0.9, 1.2, 0.9))
        canvas.cast(board, 3.2)
        canvas.fill(canvas.leaf(entity, (220, 220, 220), surface=Surface.COURT), board)
    _lines(canvas, line, frame, ((_rect(28, 15), 0.12), ([(0, -7.5), (0, 7.5)], 0.12), (_ring(1.8), 0.12)))
    return True


def _turf(canvas: Canvas, artificial: bool) -> Colour:
    return (
        vary(canvas.rng, (58, 110, 62), 8) if artificial else shade(canvas.style.grass, canvas.rng.uniform(0.9, 1.12))
    )


def _pitch_lines(canvas: Canvas, line: int, frame: Frame, length: float, width: float) -> None:
    shapes: list[tuple[Sequence[tuple[float, float]], float]] = [
        (_rect(length, width), 0.3),
        ([(0, -width / 2), (0, width / 2)], 0.3),
        (_ring(min(9.15, width * 0.16)), 0.3),
    ]
    for side in (-1, 1):
        end = side * length / 2
        for depth, half in ((0.157 * length, 0.296 * width), (0.052 * length, 0.135 * width)):
            inner = end - side * depth
            shapes.append(([(end, -half), (inner, -half), (inner, half), (end, half)], 0.3))
    _lines(canvas, line, frame, shapes)


def draw_soccer_field(
    canvas: Canvas, frame: Frame, length: float, width: float, *, container: int = 0, margin: float = 3.0
) -> bool:
    """A soccer field with its lines; ``container`` is a running track around it."""
    if not container and not _has_room(canvas, frame, length + 2 * margin, width + 2 * margin):
        return False
    rng = canvas.rng
    artificial = rng.random() < 0.35
    colour = _turf(canvas, artificial)
    entity = canvas.entity(
        "soccer field",
        container=container,
        colour="green",
        heading_deg=frame.heading_deg % 180,
        length_m=round(length, 1),
        width_m=round(width, 1),
    )
    mown = Stripes(angle=frame.angle + math.pi / 2, period=length / rng.integers(5, 11), strength=rng.uniform(2, 8))
    grass = canvas.leaf(
        entity, colour, Material.GRASS, surface=Surface.COURT, strength=0.5 if artificial else 1.0, stripes=mown
    )
    outline = frame(centred(length + 2 * margin, width + 2 * margin))
    canvas.fill(grass, outline)
    canvas.take(outline)
    if not artificial and rng.random() < 0.5:
        worn = canvas.leaf(entity, mix(colour, canvas.style.soil, 0.5), Material.GRASS, surface=Surface.COURT)
        for side in (-1, 1):
            canvas.fill(worn, frame.at(side * (length / 2 - 5), 0)(blob(rng, 5, 0.2, 14)))
    line = canvas.leaf(entity, mix(_LINE, colour, 0.0 if artificial else rng.uniform(0, 0.5)), surface=Surface.COURT)
    _pitch_lines(canvas, line, frame, length, width)
    goal = canvas.leaf(entity, _LINE, surface=Surface.COURT)
    for side in (-1, 1):
        shape = frame(box(0, -3.66, 1.6, 3.66) * (side, 1) + (side * length / 2, 0))
        canvas.cast(shape, 2.0)
        canvas.fill(goal, shape)
    return True


def draw_track(canvas: Canvas, frame: Frame, scale: float = 1.0) -> bool:
    """A running track with what lies inside it, length along u; ``scale`` 1 is the full 400 m."""
    rng = canvas.rng
    straight, radius, lane = 84.4 * scale, 36.5 * scale, 8.5 * scale
    outer = radius + lane
    if not _has_room(canvas, frame, straight + 2 * outer, 2 * outer):
        return False

    def oval(reach: float) -> Points:
        right = arc(reach, -math.pi / 2, math.pi / 2, 20, straight / 2)
        left = arc(reach, math.pi / 2, 1.5 * math.pi, 20, -straight / 2)
        return np.concatenate((right, left))

    word = choose(rng, {"red": 4, "brown": 2, "blue": 1, "orange": 1.5, "grey": 0.7})
    colour = {"red": (160, 78, 64), "brown": (148, 104, 84), "blue": (70, 104, 150), "orange": (184, 106, 74),
              "grey": (128, 126, 122)}[word]  # fmt: skip
    entity = canvas.entity(
        "ground track field",
        colour=word,
        heading_deg=frame.heading_deg % 180,
        length_m=round(straight + 2 * outer, 1),
        width_m=round(2 * outer, 1),
    )
    track = canvas.leaf(entity, vary(rng, colour), Material.ASPHALT, surface=Surface.COURT, strength=0.8)
    inner_colour = mix(canvas.style.grass, (72, 112, 60), 0.4)
    grass = canvas.leaf(entity, inner_colour, Material.GRASS, surface=Surface.COURT)
    canvas.fill(track, frame(oval(outer)))
    canvas.take(frame(oval(outer)))
    line = canvas.leaf(entity, _LINE, surface=Surface.COURT)
    if canvas.gsd < 0.7:
        for number in range(1, 8):
            ring = oval(radius + number * lane / 8)
            canvas.line(line, frame(np.concatenate((ring, ring[:1]))), 0.12)
    canvas.fill(grass, frame(oval(radius)))
    if rng.random() < 0.4:  # the bends are covered like the track
        bend = canvas.leaf(entity, shade(colour, 0.95), Material.ASPHALT, surface=Surface.COURT, strength=0.8)
        canvas.fill(bend, frame(arc(radius, -math.pi / 2, math.pi / 2, 18, straight / 2)))
    if rng.random() < 0.85:
        draw_soccer_field(canvas, frame, 97 * scale, 62 * scale, container=entity, margin=1.0)
    return True


def draw_diamond(canvas: Canvas, frame: Frame, reach: float) -> bool:
    """A baseball diamond: home plate at the origin, the outfield towards u."""
    if not _has_room(canvas, frame.at(reach * 0.55, 0), reach * 1.05, reach * 1.15):
        return False
    rng = canvas.rng
    fan = np.concatenate(([(-reach * 0.07, 0.0)], arc(reach, -math.pi / 4, math.pi / 4, 18)))
    word = choose(rng, {"orange": 1, "brown": 3, "beige": 3})
    soil = {"orange": (190, 126, 84), "brown": (164, 118, 88), "beige": (202, 170, 128)}[word]
    entity = canvas.entity(
        "baseball diamond",
        colour=word,
        heading_deg=frame.heading_deg,
        length_m=round(reach, 1),
        width_m=round(reach * 1.4, 1),
    )
    mown = Stripes(angle=frame.angle, period=9.0, strength=rng.uniform(0, 6))
    grass = canvas.leaf(entity, _turf(canvas, False), Material.GRASS, surface=Surface.COURT, stripes=mown)
    dirt = canvas.leaf(entity, vary(rng, soil), Material.SAND, surface=Surface.COURT)
    line = canvas.leaf(entity, _LINE, surface=Surface.COURT)
    canvas.take(frame(fan))
    warning = rng.random() < 0.5
    canvas.fill(dirt if warning else grass, frame(fan))
    canvas.fill(grass, frame(fan * (0.955 if warning else 1.0)))
    base = reach * 0.3 if reach > 75 else reach * 0.36
    canvas.fill(dirt, frame(np.concatenate(([(-reach * 0.03, 0.0)], arc(base * 1.5, -math.pi / 4, math.pi / 4, 14)))))
    if rng.random() < 0.7:
        square = np.array(((0.12, 0), (0.62, -0.5), (1.12, 0), (0.62, 0.5))) * base * 1.12
        canvas.fill(grass, frame(square))
    canvas.fill(dirt, frame(circle(base * 0.1, base * 0.7, 0, 12)), frame(circle(base * 0.15, 0, 0, 14)))
    half = math.sqrt(0.5) * reach * 0.94
    _lines(canvas, line, frame, (([(half, -half), (0, 0), (half, half)], 0.25),))
    return True


def _draw_stadium(canvas: Canvas, frame: Frame, length: float, width: float, squareness: float) -> None:
    rng = canvas.rng
    depth, height = float(rng.uniform(20, 34)), float(rng.uniform(14, 30))
    roofed = bool(rng.random() < 0.65)
    word = choose(rng, {"white": 4, "grey": 3, "blue": 1, "beige": 1, "red": 0.7})
    entity = canvas.entity(
        "stadium",
        colour=word,
        heading_deg=frame.heading_deg % 180,
        length_m=round(length + 2 * depth),
        width_m=round(width + 2 * depth),
    )

    def oval(grow: float) -> Points:
        shape = ellipse(length / 2 + grow, width / 2 + grow, 48)
        rect = np.clip(shape * 1.32, (-length / 2 - grow, -width / 2 - grow), (length / 2 + grow, width / 2 + grow))
        return shape * (1 - squareness) + rect * squareness

    outer = frame(oval(depth))
    canvas.cast(outer, height)
    colour, seat = paint(rng, word), paint(rng, str(rng.choice(("blue", "red", "grey", "green", "orange", "white"))))
    canvas.fill(canvas.leaf(entity, shade(colour, 0.7), Material.CONCRETE), outer, lit=True)
    rows = canvas.leaf(entity, mix(seat, (120, 120, 120), 0.35), Material.CONCRETE, strength=1.4)
    canvas.fill(rows, frame(oval(depth * (0.55 if roofed else 0.93))))
    if roofed:
        rings = [canvas.lifted(frame(oval(depth * share)), height) for share in (1.0, 0.42)]
        for number in range(48):
            other = (number + 1) % 48
            panel = np.stack((rings[0][number], rings[0][other], rings[1][other], rings[1][number]))
            light = canvas.style.light(frame.angle + number * 2 * math.pi / 48) * (1.0 if number % 4 else 0.9)
            canvas.fill(canvas.leaf(entity, shade(colour, light), Material.METAL), panel)
    else:
        aisle = canvas.leaf(entity, (176, 174, 170))
        for number in range(0, 48, 3):
            canvas.line(aisle, np.stack((frame(oval(depth * 0.93))[number], frame(oval(0))[number])), 1.0)
    inside = canvas.leaf(entity, vary(rng, (150, 84, 70) if rng.random() < 0.4 else canvas.style.grass), Material.GRASS)
    canvas.fill(inside, frame(oval(0)))
    if roofed:  # the roof also shades the field on one side
        shadow = frame(oval(depth * 0.42))
        hole = shadow + np.array(canvas.style.sun) * height * 0.8
        _shade_ring(canvas, frame(oval(0)), hole)
    fit = 0.86 if squareness > 0.5 else 0.74
    long, wide = min(108.0, length * fit), min(70.0, width * fit)
    mown = Stripes(angle=frame.angle + math.pi / 2, period=long / rng.integers(6, 11), strength=rng.uniform(4, 9))
    pitch = canvas.part("stadium pitch", entity)
    green = canvas.leaf(entity, vary(rng, (74, 122, 62), 9), Material.GRASS, part=pitch, stripes=mown)
    canvas.fill(green, frame(centred(long, wide)))
    _pitch_lines(canvas, canvas.leaf(entity, _LINE, part=pitch), frame, long * 0.95, wide * 0.94)


def _shade_ring(canvas: Canvas, field: Points, lit: Points) -> None:
    """Shade the field except where light falls through the opening of the roof."""
    before: NDArray[np.uint8] = canvas.shade.copy()
    canvas.cast(field, 0.0, sweep=False)
    canvas.shine(lit)
    inside = np.zeros_like(before)
    keep, canvas.shade = canvas.shade, inside
    canvas.cast(field, 0.0, sweep=False)
    canvas.shade = np.where(inside > 0, keep, before)


def add_stadium(canvas: Canvas, frame: Frame, length: float, width: float) -> bool:
    """Queue a stadium about a field of the given size, stands outside of it."""
    if not _has_room(canvas, frame, length + 56, width + 56):
        return False
    canvas.take(frame(ellipse(length / 2 + 34, width / 2 + 34)))
    canvas.later(14, partial(_draw_stadium, canvas, frame, length, width, float(canvas.rng.choice((0.0, 0.5, 0.9)))))
    return True


def draw_pool(canvas: Canvas, frame: Frame, length: float, width: float) -> bool:
    """A swimming pool with its deck."""
    rng = canvas.rng
    if not canvas.shows(length * width) or not _has_room(canvas, frame, length + 3, width + 3):
        return False
    colour = vary(
        rng, ((86, 178, 206), (64, 150, 190), (110, 196, 204), (58, 128, 150), (90, 170, 170))[int(rng.integers(5))], 9
    )
    deck = canvas.leaf(
        canvas.single("paved area"), vary(rng, (198, 190, 176), 14), Material.CONCRETE, surface=Surface.COURT
    )
    entity = canvas.entity(
        "swimming pool", colour=colour_word(colour), length_m=round(length, 1), width_m=round(width, 1)
    )
    water = canvas.leaf(entity, colour, Material.WATER, surface=Surface.COURT, strength=0.8)
    free_form = rng.random() < 0.3
    shape = (
        blob(rng, math.sqrt(length * width / math.pi), 0.16, 18, length / width)
        if free_form
        else centred(length, width)
    )
    canvas.fill(deck, frame(shape * 1.2 if free_form else centred(length + 2.4, width + 2.4)))
    canvas.take(frame(centred(length + 2, width + 2)))
    canvas.fill(water, frame(shape))
    if length > 20 and canvas.gsd < 0.5:
        lane = canvas.leaf(entity, mix(colour, (240, 240, 240), 0.4), surface=Surface.COURT)
        for v in np.arange(-width / 2 + 2.5, width / 2 - 1, 2.5):
            canvas.line(lane, frame(((-length / 2, v), (length / 2, v))), 0.2)
    return True


def courts_in_a_row(canvas: Canvas, block: Block, kind: str) -> int:
    """Draw tennis or basketball courts side by side as far as a plot holds; returns how many."""
    draw = draw_tennis_court if kind == "tennis" else draw_basketball_court
    long, wide = (36.0, 18.0) if kind == "tennis" else (32.0, 18.5)
    columns, rows = int(block.width // wide), int(block.depth // long)
    drawn = 0
    for column in range(min(columns, 4)):
        for row in range(min(rows, 2)):
            place = block.frame.at((column + 0.5) * wide, (row + 0.5) * long, math.pi / 2)
            drawn += draw(canvas, place)
    return drawn
