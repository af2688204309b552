"""Industry and energy: tanks, silos, containers, cranes, wind turbines, solar fields, lighthouses."""

import math
from functools import partial
from typing import Final

import numpy as np

from geoagent.data.synth.canvas import Canvas, Stripes, Surface, grid_of
from geoagent.data.synth.geometry import Block, Frame, Points, box, centred, circle
from geoagent.data.synth.palette import Colour, choose, paint, shade, vary
from geoagent.data.synth.textures import Material

_YARD: Final = (Surface.LAND, Surface.PAVED)
_TANK_COLOURS: Final = {"white": 8, "grey": 3, "beige": 1.5, "brown": 1, "green": 0.8, "blue": 0.6, "black": 0.4}


def _draw_tank(canvas: Canvas, frame: Frame, radius: float, word: str, floating: bool) -> None:
    rng, height = canvas.rng, radius * canvas.rng.uniform(0.6, 1.3)
    height = float(min(height, 18))
    colour = paint(rng, word)
    entity = canvas.entity("storage tank", colour=word, length_m=round(2 * radius, 1), height_m=round(height, 1))
    foot = frame(circle(radius))
    canvas.cast(foot, height)
    top = canvas.lifted(frame(circle(radius)), height)
    canvas.fill(canvas.leaf(entity, shade(colour, 0.7), Material.METAL), foot, lit=True)
    wall = canvas.leaf(entity, shade(colour, 0.78), Material.METAL)
    middle = canvas.lifted(foot, height * 0.5)
    canvas.fill(wall, middle, lit=True)
    part = canvas.part("tank roof", entity)
    canvas.fill(canvas.leaf(entity, shade(colour, 1.05), Material.METAL, part=part), top, lit=True)
    centre = top.mean(axis=0)
    inner = centre + (top - centre) * (0.9 if floating else 0.93)
    if floating:  # the roof lies low inside the rim, and the rim shades it
        canvas.fill(canvas.leaf(entity, shade(colour, 0.86), Material.METAL, part=part), inner)
        sun = np.array(canvas.style.sun)
        lit = centre + (inner - centre) * 0.94 + sun / max(float(np.hypot(*sun)), 1e-6) * radius * 0.08
        canvas.fill(canvas.leaf(entity, shade(colour, 0.97), Material.METAL, part=part), lit)
    else:
        for number in range(8):
            turn = (number + 0.5) * math.pi / 4
            wedge = np.concatenate((centre[None], inner[number * 3 : number * 3 + 4] if number < 7 else
                                    np.concatenate((inner[21:], inner[:1]))))  # fmt: skip
            light = 1 + 0.5 * (canvas.style.light(frame.angle + turn) - 1)
            canvas.fill(canvas.leaf(entity, shade(colour, light), Material.METAL, part=part), wedge)
    if radius / canvas.gsd > 8 and rng.random() < 0.6:
        spot = canvas.leaf(entity, shade(colour, 0.6), part=part)
        canvas.fill(spot, Frame(float(centre[0]), float(centre[1]))(circle(radius * 0.07, radius * 0.5, 0, 8)))


def add_tank(canvas: Canvas, frame: Frame, radius: float, word: str | None = None) -> bool:
    """Queue a cylindrical storage tank with its roof as a part."""
    if not canvas.sees(frame, radius + 10) or not canvas.shows(radius * radius * 3):
        return False
    if not canvas.fits(frame(grid_of(2 * radius, 2 * radius)), *_YARD):
        return False
    rng = canvas.rng
    canvas.take(frame(circle(radius * 1.1)))
    draw = partial(_draw_tank, canvas, frame, radius, word or choose(rng, _TANK_COLOURS), bool(rng.random() < 0.4))
    canvas.later(8.0, draw)
    return True


def _draw_silo(canvas: Canvas, frame: Frame, radius: float, height: float, colour: Colour, word: str) -> None:
    entity = canvas.entity("silo", colour=word, length_m=round(2 * radius, 1), height_m=round(height, 1))
    foot = frame(circle(radius, count=16))
    canvas.cast(foot, height)
    top = canvas.lifted(foot, height)
    wall = canvas.leaf(entity, shade(colour, 0.72), Material.METAL)
    for share in (0.0, 0.25, 0.5, 0.75):
        canvas.fill(wall, foot + (top - foot) * share, lit=True)
    canvas.shine(top)
    centre = top.mean(axis=0)
    for number in range(8):
        wedge = np.stack((centre, top[2 * number], top[2 * number + 1], top[(2 * number + 2) % 16]))
        light = 1 + 1.3 * (canvas.style.light(frame.angle + (number + 0.5) * math.pi / 4) - 1)
        canvas.fill(canvas.leaf(entity, shade(colour, light), Material.METAL), wedge)
    canvas.fill(canvas.leaf(entity, shade(colour, 0.55)), centre + (top - centre) * 0.16)


def add_silos(canvas: Canvas, frame: Frame, count: int) -> int:
    """Queue a row of grain silos along u; returns how many found room."""
    rng = canvas.rng
    radius, height = float(rng.uniform(2.4, 5.5)), float(rng.uniform(11, 24))
    if not canvas.shows(radius * radius * 3):
        return 0
    word = str(rng.choice(("grey", "white", "grey", "beige", "blue")))
    colour = paint(rng, word)
    placed = 0
    for number in range(count):
        place = frame.at((number - (count - 1) / 2) * radius * 2.2, 0)
        if canvas.sees(place, height) and canvas.fits(place(grid_of(2 * radius, 2 * radius)), *_YARD):
            canvas.take(place(circle(radius)))
            canvas.later(height, partial(_draw_silo, canvas, place, radius, height, vary(rng, colour, 4), word))
            placed += 1
    return placed


def _draw_container(canvas: Canvas, frame: Frame, length: float, height: float, word: str) -> None:
    colour = paint(canvas.rng, word)
    entity = canvas.entity(
        "shipping container", colour=word, heading_deg=frame.heading_deg % 180, length_m=round(length, 1), width_m=2.5
    )
    outline = frame(centred(length, 2.44))
    canvas.cast(outline, height)
    lines = Stripes(angle=frame.angle + math.pi / 2, period=0.9, strength=6) if canvas.gsd < 0.3 else None
    canvas.fill(canvas.leaf(entity, colour, Material.METAL, stripes=lines), outline, lit=True)


def stack_containers(canvas: Canvas, block: Block) -> None:
    """Queue rows of containers over a plot, in bays with lanes between."""
    rng = canvas.rng
    long = bool(rng.random() < 0.6)
    length = 12.2 if long else 6.1
    if not canvas.shows(length * 2.44):
        return
    words = {
        w: float(rng.gamma(0.8)) + 0.05 for w in ("red", "blue", "green", "orange", "white", "grey", "brown", "yellow")
    }
    rows, density = int(rng.integers(2, 7)), rng.uniform(0.55, 0.97)
    u = length / 2 + 1
    while u < block.width - length / 2:
        v = 2.0
        while v + rows * 2.75 < block.depth:
            for row in range(rows):
                place = block.frame.at(u, v + row * 2.75)
                if (
                    rng.random() < density
                    and canvas.sees(place, 8)
                    and canvas.fits(place(grid_of(length, 2.4)), *_YARD)
                ):
                    canvas.take(place(centred(length, 2.4)))
                    tiers = int(rng.integers(1, 4))
                    canvas.later(
                        2.5 * tiers, partial(_draw_container, canvas, place, length, 2.6 * tiers, choose(rng, words))
                    )
            v += rows * 2.75 + rng.uniform(5, 9)
        u += length + (0.7 if rng.random() < 0.75 else 8.0)


def _draw_tower_crane(canvas: Canvas, frame: Frame, reach: float, height: float, word: str) -> None:
    colour = paint(canvas.rng, word)
    entity = canvas.entity("crane", colour=word, heading_deg=frame.heading_deg, length_m=round(reach * 1.3, 1))
    girder = max(1.5, 1.8 * canvas.gsd)
    jib = frame(box(-reach * 0.3, -girder / 2, reach, girder / 2))
    mast = frame(centred(2.2, 2.2))
    canvas.cast(mast, height)
    canvas.cast(jib, height, sweep=False)
    top = canvas.lifted(mast, height)
    frame_colour = canvas.leaf(entity, shade(colour, 0.8))
    for share in np.linspace(0, 1, 6):
        canvas.fill(frame_colour, mast + (top - mast) * share, lit=True)
    rungs = Stripes(angle=frame.angle + math.pi / 2, period=2.4, strength=24)
    canvas.fill(canvas.leaf(entity, colour, stripes=rungs), canvas.lifted(jib, height), lit=True)
    weight = canvas.lifted(frame(centred(3.6, 2.8, -reach * 0.27, 0)), height)
    canvas.fill(canvas.leaf(entity, (120, 120, 118)), weight, lit=True)


def add_tower_crane(canvas: Canvas, frame: Frame) -> bool:
    """Queue a building crane; its jib reaches over whatever is below."""
    rng = canvas.rng
    reach, height = float(rng.uniform(28, 52)), float(rng.uniform(28, 45))
    if not canvas.sees(frame, reach) or not canvas.shows(reach * 2):
        return False
    if not canvas.fits(frame(grid_of(3, 3)), *_YARD):
        return False
    canvas.take(frame(centred(4, 4)))
    word = choose(rng, {"yellow": 5, "red": 2, "white": 2, "blue": 1, "orange": 1})
    canvas.later(height + 20, partial(_draw_tower_crane, canvas, frame, reach, height, word))
    return True


def _draw_gantry(canvas: Canvas, frame: Frame, reach: float, span: float, word: str) -> None:
    """A quay crane: two legs' beams across the rails and a boom out over the water (along u)."""
    colour, height = paint(canvas.rng, word), 28.0
    entity = canvas.entity("crane", colour=word, heading_deg=frame.heading_deg, length_m=round(reach * 1.5, 1))
    beams = [frame(box(-span / 2, side * 8 - 1.1, span / 2, side * 8 + 1.1)) for side in (-1, 1)]
    booms = [frame(box(-reach * 0.45, side * 2.6 - 0.9, reach, side * 2.6 + 0.9)) for side in (-1, 1)]
    ties = [frame(box(u - 0.9, -9, u + 0.9, 9)) for u in (-span / 2, span / 2)]
    house = frame(centred(9, 6, -span / 2, 0))
    for shape in (*beams, *booms, *ties, house):
        canvas.cast(shape, height, sweep=False)
    steel, light = canvas.leaf(entity, shade(colour, 0.85)), canvas.leaf(entity, colour)
    for shape in (*beams, *ties):
        canvas.fill(steel, canvas.lifted(shape, height * 0.8), lit=True)
    for shape in booms:
        canvas.fill(light, canvas.lifted(shape, height), lit=True)
    canvas.fill(canvas.leaf(entity, (212, 212, 208)), canvas.lifted(house, height), lit=True)


def add_gantry(canvas: Canvas, frame: Frame) -> bool:
    """Queue a quay crane whose boom points along u."""
    rng = canvas.rng
    reach, span = float(rng.uniform(32, 50)), float(rng.uniform(16, 26))
    if not canvas.sees(frame, reach) or not canvas.shows(60):
        return False
    word = choose(rng, {"blue": 3, "red": 2, "white": 2, "yellow": 1.5, "orange": 1, "green": 1})
    canvas.later(55, partial(_draw_gantry, canvas, frame, reach, span, word))
    return True


def _draw_turbine(canvas: Canvas, frame: Frame, height: float, rotor: float, turn: float) -> None:
    rng = canvas.rng
    entity = canvas.entity(
        "wind turbine",
        colour="white",
        heading_deg=frame.heading_deg,
        length_m=round(2 * rotor, 1),
        height_m=round(height, 1),
    )
    lean = np.array(canvas.style.lean)
    lean = lean * (1 if float(np.hypot(*lean)) > 0.1 else 0) + (0.1 if float(np.hypot(*lean)) <= 0.1 else 0)
    foot = np.array((frame.x, frame.y))
    hub = foot + lean * height
    # The rotor stands upright: seen from nearly above it is squeezed to a narrow ellipse across the wind.
    tilt = 0.25 + 0.75 * min(1.0, float(np.hypot(*lean)) * 1.6)
    across, forward = frame.angle + math.pi / 2, frame.angle
    axis = np.array((math.cos(across), math.sin(across)))
    upright = np.array((math.cos(forward), math.sin(forward))) * tilt
    root, tip = max(2.2, 1.7 * canvas.gsd), max(0.9, 0.9 * canvas.gsd)
    blades: list[Points] = []
    for number in range(3):
        angle = turn + number * 2 * math.pi / 3
        arm = (axis * math.cos(angle) + upright * math.sin(angle)) * rotor
        side = np.array((-arm[1], arm[0])) / max(float(np.hypot(*arm)), 1e-6)
        blades.append(np.stack((hub - side * root / 2, hub + arm * 0.25 - side * root * 0.6, hub + arm - side * tip / 2,
                                hub + arm + side * tip / 2, hub + side * root / 2)))  # fmt: skip
    base, neck = max(4.4, 2.4 * canvas.gsd), max(2.6, 1.6 * canvas.gsd)
    sun = np.array(canvas.style.sun)
    shift = sun * height - lean * height
    for blade in blades:
        canvas.cast(blade + shift, 0.0, sweep=False)
    way = sun / max(float(np.hypot(*sun)), 1e-6)
    across_sun = np.array((-way[1], way[0]))
    end = foot + sun * height
    canvas.cast(np.stack((foot - across_sun * base / 2, foot + across_sun * base / 2, end + across_sun * neck / 2,
                          end - across_sun * neck / 2)), 0.0, sweep=False)  # fmt: skip
    normal = np.array((-lean[1], lean[0])) / max(float(np.hypot(*lean)), 1e-6)
    white = vary(rng, (232, 233, 232), 5)
    tower = np.stack(
        (foot - normal * base / 2, foot + normal * base / 2, hub + normal * neck / 2, hub - normal * neck / 2)
    )
    canvas.fill(canvas.leaf(entity, shade(white, 0.9)), Frame(frame.x, frame.y)(circle(base / 2)), tower, lit=True)
    nacelle = Frame(float(hub[0]), float(hub[1]), frame.angle)
    canvas.fill(canvas.leaf(entity, shade(white, 0.96)), nacelle(centred(max(9, 4 * canvas.gsd), neck * 1.3)), lit=True)
    for blade in blades:
        canvas.fill(canvas.leaf(entity, white, part=canvas.part("turbine blade", entity)), blade, lit=True)


def add_turbine(canvas: Canvas, frame: Frame, height: float, rotor: float) -> bool:
    """Queue a wind turbine that faces along u.

    Args:
        canvas: where to.
        frame: its foot and the direction of the wind.
        height: of the hub in metres.
        rotor: length of a blade in metres.
    """
    if not canvas.sees(frame, height) or not canvas.fits(
        frame(grid_of(12, 12)), Surface.LAND, Surface.FIELD, Surface.PAVED, Surface.WATER
    ):
        return False
    canvas.take(frame(circle(12)))
    canvas.later(height, partial(_draw_turbine, canvas, frame, height, rotor, canvas.rng.uniform(0, 2 * math.pi)))
    return True


def draw_solar_field(canvas: Canvas, block: Block) -> None:
    """Draw a solar farm over a plot at once: its ground, and its rows of modules as single panels."""
    rng, gsd = canvas.rng, canvas.gsd
    farm = canvas.entity("solar farm", length_m=round(max(block.width, block.depth), 1))
    soil = canvas.style.soil if rng.random() < 0.4 else canvas.style.grass
    ground = canvas.leaf(farm, vary(rng, soil, 8), Material.MEADOW, surface=Surface.COURT)
    canvas.fill(ground, block.outline)
    tint = vary(rng, (40, 52, 84) if rng.random() < 0.7 else (44, 46, 54), 9)
    depth = float(max(rng.choice((2.0, 3.4, 4.2)), 3.2 * gsd))
    pitch = depth + max(rng.uniform(1.6, 5.0), 1.6 * gsd)
    table = float(max(rng.choice((9.0, 18.0, 30.0, 60.0)), 8 * gsd))
    v = 1.5
    while v + depth < block.depth - 1:
        u = 1.5
        while u + 3 < block.width - 1:
            length = min(table, block.width - 1.5 - u)
            place = block.frame.at(u + length / 2, v + depth / 2)
            if rng.random() < 0.97 and canvas.sees(place, length) and canvas.shows(length * depth):
                _draw_module(canvas, place, length, depth, vary(rng, tint, 3), farm)
            u += length + max(1.0, 1.2 * gsd)
        v += pitch
    if rng.random() < 0.6:
        hut = block.frame.at(block.width - 4, block.depth - 3)
        shed = hut(centred(5, 3))
        if canvas.shows(15):
            entity = canvas.entity("building", colour="white", length_m=5.0, width_m=3.0)
            canvas.cast(shed, 3)
            canvas.fill(canvas.leaf(entity, paint(rng, "white")), shed, lit=True)


def _draw_module(canvas: Canvas, frame: Frame, length: float, depth: float, colour: Colour, farm: int) -> None:
    entity = canvas.entity(
        "solar panel",
        container=farm,
        heading_deg=frame.heading_deg % 180,
        length_m=round(length, 1),
        width_m=round(depth, 1),
    )
    outline = frame(centred(length, depth))
    canvas.cast(outline, 1.2)
    cells = Stripes(angle=frame.angle + math.pi / 2, period=1.1, strength=6)
    canvas.fill(canvas.leaf(entity, colour, stripes=cells, surface=Surface.COURT), outline, lit=True)


def _draw_lighthouse(canvas: Canvas, frame: Frame, height: float) -> None:
    rng = canvas.rng
    word = str(rng.choice(("white", "red", "white")))
    entity = canvas.entity("lighthouse", colour=word, height_m=round(height, 1))
    colour, accent = paint(rng, word), paint(rng, "red" if word == "white" else "white")
    foot = frame(circle(max(3.4, 2.5 * canvas.gsd), count=14))
    canvas.cast(foot, height)
    steps = max(3, round(float(np.hypot(*canvas.style.lean)) * height / canvas.gsd))
    for number in range(steps + 1):
        share = number / steps
        ring = canvas.lifted(foot, height * share)
        centre = ring.mean(axis=0)
        tint = colour if int(share * 4.9) % 2 == 0 else accent
        canvas.fill(canvas.leaf(entity, shade(tint, 0.86)), centre + (ring - centre) * (1 - 0.35 * share), lit=True)
    centre = canvas.lifted(foot, height).mean(axis=0)
    for share, tint in ((0.52, colour), (0.34, accent), (0.14, (240, 236, 200))):
        canvas.fill(canvas.leaf(entity, tint), centre + (foot - foot.mean(axis=0)) * share, lit=True)


def add_lighthouse(canvas: Canvas, frame: Frame, allowed: tuple[Surface, ...] = (Surface.LAND, Surface.PIER)) -> bool:
    """Queue a lighthouse."""
    if not canvas.sees(frame, 5) or not canvas.fits(frame(grid_of(5, 5)), *allowed):
        return False
    canvas.take(frame(circle(5)))
    height = float(canvas.rng.uniform(16, 34))
    canvas.later(height, partial(_draw_lighthouse, canvas, frame, height))
    return True
