"""Water and what lies at it: seas with beaches, rivers, lakes, quays, piers, marinas and the ships there."""

import math
from dataclasses import dataclass

import numpy as np

from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.geometry import Block, Frame, Points, arc, blob, box, offset, ribbon, straight, wander
from geoagent.data.synth.palette import Colour, mix, shade, vary
from geoagent.data.synth.plants import add_tree
from geoagent.data.synth.textures import Material
from geoagent.data.synth.vessels import LARGE, SMALL, add_ship
from geoagent.data.synth.works import add_gantry, add_lighthouse, stack_containers


@dataclass(frozen=True, kw_only=True)
class Shore:
    """A coast: the sea lies to the right of ``line``."""

    frame: Frame
    """Its u runs along the coast, its v out to sea."""
    line: Points
    sea: int
    """Leaf of the deep water."""
    level: float
    """v of the mean coastline in ``frame``."""

    def level_at(self, u: float) -> float:
        """v of the coastline itself at a station along the coast."""
        cos, sin = math.cos(self.frame.angle), math.sin(self.frame.angle)
        x, y = self.line[:, 0] - self.frame.x, self.line[:, 1] - self.frame.y
        return float((y * cos - x * sin)[np.argmin(np.abs(x * cos + y * sin - u))])


def _water_leaf(canvas: Canvas, entity: int, colour: Colour, rough: bool) -> int:
    material = Material.WAVES if rough else Material.WATER
    return canvas.leaf(entity, colour, material, surface=Surface.WATER, strength=float(canvas.rng.uniform(0.4, 1.5)))


def draw_sea(canvas: Canvas, frame: Frame, level: float, sway: float, beach: float) -> Shore:
    """Draw the sea beyond v = ``level`` of a frame, with shallows, surf and a beach of the given width."""
    rng, style = canvas.rng, canvas.style
    reach = canvas.reach * 1.5
    canvas.bridge_limit = min(canvas.bridge_limit, 40.0)
    line = frame(wander(rng, (-reach, level), (reach, level), sway, max(2.0, reach / 120)))
    far = frame(np.array(((reach, reach * 3), (-reach, reach * 3))))
    entity, rough = canvas.entity("sea"), bool(rng.random() < 0.6)
    if beach > 0:
        sand = canvas.leaf(
            canvas.entity("beach"),
            vary(rng, (212, 194, 156) if rng.random() < 0.75 else (150, 138, 122), 10),
            Material.SAND,
            surface=Surface.SAND,
        )
        canvas.fill_on(sand, np.concatenate((offset(line, -beach), far)), Surface.LAND)
    deep = _water_leaf(canvas, entity, style.sea, rough)
    shallow = mix(style.sea, (122, 172, 160), rng.uniform(0.15, 0.55)) if beach > 0 else shade(style.sea, 1.1)
    width = rng.uniform(8, 40) if beach > 0 else 5.0
    steps = 12
    for step in range(steps):
        leaf = deep if step == steps - 1 else canvas.leaf(entity, mix(shallow, style.sea, step / (steps - 1)),
                                                          Material.WATER, surface=Surface.WATER)  # fmt: skip
        edge = offset(line, width * step / (steps - 1)) if step else line
        canvas.fill(leaf, np.concatenate((edge, far)))
    if beach > 0:
        foam = canvas.leaf(entity, mix(shallow, (236, 240, 238), 0.75), Material.WAVES, surface=Surface.WATER)
        for _ in range(int(rng.integers(1, 4))):
            away = rng.uniform(0.5, width)
            start = int(rng.integers(0, max(1, len(line) - 12)))
            piece = offset(line, away)[start : start + int(rng.integers(8, 60))]
            if len(piece) > 2:
                canvas.fill_on(foam, ribbon(piece, rng.uniform(0.8, 2.6, len(piece))), Surface.WATER)
    return Shore(frame=frame, line=line, sea=deep, level=level)


def draw_river(canvas: Canvas, frame: Frame, width: float, sway: float) -> int:
    """Draw a river along u of a frame; returns its leaf."""
    rng, style = canvas.rng, canvas.style
    reach = canvas.reach * 1.4
    line = frame(wander(rng, (-reach, 0), (reach, 0), sway, max(3.0, reach / 90)))
    entity = canvas.entity("river", width_m=round(width, 1))
    canvas.bridge_limit = 12.0 + 2.6 * width
    change = 1 + 0.16 * np.sin(np.linspace(0, rng.uniform(4, 14), len(line)) + rng.uniform(0, 6))
    bank = rng.random()
    if bank < 0.4:
        reeds = canvas.leaf(canvas.entity("vegetation"), shade(style.leaf(rng), 1.2), Material.SCRUB)
        canvas.fill(reeds, ribbon(line, width * change + rng.uniform(4, 14)))
    elif bank < 0.65:
        gravel = canvas.leaf(canvas.single("bare land"), vary(rng, (176, 166, 148), 10), Material.SAND)
        canvas.fill(gravel, ribbon(line, width * change + rng.uniform(3, 12)))
    leaf = 0
    for share, light in ((1.0, 1.12), (0.86, 1.0)):
        leaf = _water_leaf(canvas, entity, shade(style.fresh, light), rough=False)
        canvas.fill(leaf, ribbon(line, width * change * share))
    if bank > 0.75 and width > 30:
        isle = canvas.leaf(canvas.single("bare land"), vary(rng, (186, 172, 146), 8), Material.SAND)
        place = canvas.middle.at(rng.normal(0, 0.2) * reach, 0, frame.angle)
        spot = line[int(np.argmin(np.hypot(line[:, 0] - place.x, line[:, 1] - place.y)))]
        canvas.fill(isle, Frame(float(spot[0]), float(spot[1]), frame.angle)(blob(rng, width * 0.2, 0.2, 20, 3.0)))
    return leaf


def draw_lake(canvas: Canvas, place: Frame, radius: float) -> tuple[int, Points]:
    """Draw a lake; returns its leaf and outline."""
    rng, style = canvas.rng, canvas.style
    shape = place(blob(rng, radius, 0.2, 72, rng.uniform(1, 1.9)))
    entity = canvas.entity("lake", length_m=round(2 * radius, 1))
    canvas.bridge_limit = min(canvas.bridge_limit, 45.0)
    if rng.random() < 0.6:
        rim = canvas.leaf(canvas.single("bare land"), mix(style.soil, (206, 196, 170), 0.4), Material.SAND)
        centre = shape.mean(axis=0)
        canvas.fill(rim, centre + (shape - centre) * (1 + rng.uniform(2, 7) / radius))
    leaf = 0
    centre = shape.mean(axis=0)
    for share, light in ((1.0, 1.16), (0.97, 1.1), (0.94, 1.06), (0.9, 1.03), (0.86, 1.0)):
        leaf = _water_leaf(canvas, entity, shade(style.fresh, light), rough=False)
        canvas.fill(leaf, centre + (shape - centre) * share)
    return leaf, shape


def sail_about(canvas: Canvas, count: int, water: int, kinds: tuple[str, ...], moving: float = 0.5) -> None:
    """Queue ships at random places of the open water."""
    rng = canvas.rng
    width, height = canvas.extent
    for _ in range(count):
        kind = kinds[int(rng.integers(len(kinds)))]
        for _attempt in range(5):
            place = Frame(
                float(rng.uniform(0, width)), float(rng.uniform(0, height)), float(rng.uniform(0, 2 * math.pi))
            )
            if add_ship(canvas, place, kind, water=water, moving=bool(rng.random() < moving)):
                break


def pier_leaf(canvas: Canvas, entity: int) -> int:
    """The surface of a pier: concrete, or planks."""
    rng = canvas.rng
    wood = rng.random() < 0.4
    colour = vary(rng, (150, 128, 104) if wood else (178, 172, 162), 12)
    return canvas.leaf(entity, colour, Material.CONCRETE, surface=Surface.PIER)


def draw_marina(canvas: Canvas, frame: Frame, length: float, water: int) -> None:
    """A pontoon out along v of a frame, with fingers and boats on both sides."""
    rng = canvas.rng
    berth = float(rng.uniform(9, 17))
    wide = max(2.2, 1.8 * canvas.gsd)
    if not canvas.covers(frame(box(-berth, 2, berth, length)), Surface.WATER):
        return
    entity = canvas.entity("harbor", length_m=round(length, 1))
    plank = pier_leaf(canvas, entity)
    spine = frame(box(-wide / 2, -6.0, wide / 2, length))
    canvas.cast(spine, 1.2)
    canvas.fill(plank, spine, lit=True)
    pitch = max(berth * 0.42, 4.5)
    kinds = SMALL if rng.random() < 0.7 else ("sailing boat", "yacht")
    taken = rng.uniform(0.3, 0.95)
    for number, v in enumerate(np.arange(3.0, length - 1, pitch)):
        for side in (-1, 1):
            if number % 2 == 0 and canvas.gsd < 0.8:
                finger = frame(box(0, -0.5, berth * 0.8, 0.5) * (side, 1) + (0, float(v)))
                canvas.fill(plank, finger, lit=True)
            if rng.random() < taken:
                size = berth * rng.uniform(0.7, 0.95)
                place = frame.at(
                    side * (wide / 2 + size / 2 + 0.6),
                    float(v) + pitch / 2,
                    0.0 if side * rng.choice((-1, 1, 1)) > 0 else math.pi,
                )
                add_ship(canvas, place, kinds[int(rng.integers(len(kinds)))], length=float(size), water=water)


def draw_pier(canvas: Canvas, frame: Frame, length: float, width: float, water: int, ships: tuple[str, ...]) -> None:
    """A pier out along v of a frame, with ships moored along its sides."""
    rng = canvas.rng
    outline = frame(box(-width / 2, -8.0, width / 2, length))
    if not canvas.covers(frame(box(-width / 2 - 3, 2, width / 2 + 3, length)), Surface.WATER):
        return
    entity = canvas.entity("harbor", length_m=round(length, 1), width_m=round(width, 1))
    canvas.cast(outline, 3.0)
    canvas.fill(pier_leaf(canvas, entity), outline, lit=True)
    for side in (-1, 1):
        v = float(rng.uniform(4, 20))
        while v < length:
            kind = ships[int(rng.integers(len(ships)))]
            size = float(min(rng.uniform(0.35, 1.0) * length, rng.uniform(30, 200)))
            if kind in SMALL:
                size = float(rng.uniform(9, 24))
            if v + size > length + 6:
                break
            beam = size * 0.2
            turn = math.pi / 2 if rng.random() < 0.5 else -math.pi / 2
            if rng.random() < 0.8:
                place = frame.at(side * (width / 2 + beam * 0.5 + 1.6 + canvas.gsd), v + size / 2, turn)
                add_ship(canvas, place, kind, length=size, water=water)
            v += size + rng.uniform(6, 30)
    if width > 16 and rng.random() < 0.5:
        stack_containers_on_pier(canvas, Block(frame.at(-width / 2 + 3, 4), width - 6, length - 10))


def stack_containers_on_pier(canvas: Canvas, block: Block) -> None:
    """Containers on a broad pier, on paving laid for them."""
    pad = canvas.leaf(canvas.single("paved area"), vary(canvas.rng, canvas.style.concrete, 8), Material.CONCRETE,
                      surface=Surface.PAVED)  # fmt: skip
    canvas.fill_on(pad, block.outline, Surface.PIER)
    stack_containers(canvas, block)


def draw_quay(canvas: Canvas, shore: Shore, ships: tuple[str, ...], cranes: bool) -> None:
    """A quay along a straight shore: paving, cranes, ships alongside."""
    rng = canvas.rng
    reach = canvas.reach * 1.2
    entity = canvas.entity("harbor", length_m=round(min(2 * reach, max(canvas.extent)), 1))
    edge = shore.frame(box(-reach, shore.level - rng.uniform(3, 6), reach, shore.level + 1))
    canvas.cast(edge, 2.5)
    canvas.fill(pier_leaf(canvas, entity), edge, lit=True)
    apron = canvas.leaf(
        canvas.single("paved area"), vary(rng, canvas.style.concrete, 8), Material.CONCRETE, surface=Surface.PAVED
    )
    canvas.fill_on(apron, shore.frame(box(-reach, shore.level - 46, reach, shore.level)), Surface.LAND)
    u = -reach + float(rng.uniform(0, 60))
    while u < reach:
        kind = ships[int(rng.integers(len(ships)))]
        size = float(rng.uniform(40, 230)) if kind in LARGE else float(rng.uniform(12, 60))
        beam = size * 0.24
        turn = 0.0 if rng.random() < 0.5 else math.pi
        place = shore.frame.at(u + size / 2, shore.level + beam * 0.45 + 3.0 + canvas.gsd, turn)
        moored = rng.random() < 0.75 and add_ship(canvas, place, kind, length=size, water=shore.sea)
        if moored and cranes and kind in ("container ship", "bulk carrier"):
            for share in np.arange(0.15, 0.9, rng.uniform(0.2, 0.45)):
                add_gantry(canvas, shore.frame.at(u + size * float(share), shore.level - 16, math.pi / 2))
        u += size + rng.uniform(10, 70)


def draw_breakwater(canvas: Canvas, shore: Shore, u: float, length: float) -> None:
    """A curved mole of rock out to sea, often with a lighthouse at its head."""
    rng = canvas.rng
    way = straight((0.0, 0.0), (float(rng.uniform(-0.5, 0.5)) * length, length))
    way[:, 0] += np.sin(np.linspace(0, math.pi, len(way))) * length * rng.uniform(-0.2, 0.2)
    line = shore.frame.at(u, shore.level_at(u) - 6)(way)
    if not canvas.covers(ribbon(line[4:], 15.0), Surface.WATER):
        return
    entity = canvas.entity("harbor", length_m=round(length, 1))
    rock = canvas.leaf(entity, vary(rng, (140, 136, 130), 12), Material.ROCK, surface=Surface.PIER)
    deck = canvas.leaf(entity, vary(rng, (186, 180, 170), 8), Material.CONCRETE, surface=Surface.PIER)
    canvas.fill(rock, ribbon(line, 13.0))
    canvas.fill(deck, ribbon(line, 5.0))
    head = Frame(float(line[-1, 0]), float(line[-1, 1]))
    canvas.fill(deck, head(arc(7.0, 0, 2 * math.pi, 14)))
    if rng.random() < 0.7:
        add_lighthouse(canvas, head, (Surface.PIER,))


def palms_on_beach(canvas: Canvas, shore: Shore, width: float) -> None:
    """Queue palms or trees along the back of a beach."""
    rng = canvas.rng
    palm = rng.random() < 0.3 + canvas.style.climate.palms
    back = offset(shore.line, -width)
    for x, y in back[:: max(1, int(rng.integers(1, 4)))].tolist():
        if rng.random() < 0.6:
            add_tree(
                canvas, Frame(x + rng.normal(0, 4), y + rng.normal(0, 4)), float(rng.uniform(2, 3.6)), palm=bool(palm)
            )
