"""Airports and airfields."""

import math

import numpy as np

from geoagent.data.synth.aircraft import add_airplane, add_helicopter, draw_helipad
from geoagent.data.synth.buildings import add_block, add_hall
from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.geometry import Block, Frame, box, centred, straight
from geoagent.data.synth.palette import mix, vary
from geoagent.data.synth.plants import scatter_trees
from geoagent.data.synth.roads import Road, lay_road, run_traffic, strew_cars
from geoagent.data.synth.textures import Material
from geoagent.data.synth.town import park_cars
from geoagent.data.synth.works import add_tank

_MIXES = (
    ("airliner", "airliner", "airliner", "wide-body", "turboprop"),
    ("airliner", "wide-body", "wide-body"),
    ("business jet", "business jet", "light", "turboprop"),
    ("light", "light", "light", "business jet"),
    ("fighter", "fighter", "transport"),
    ("airliner", "business jet", "turboprop", "transport"),
)


def draw_runway(canvas: Canvas, frame: Frame, length: float, width: float, start: float) -> None:
    """A runway along u, its threshold at u = ``start``."""
    rng = canvas.rng
    entity = canvas.entity("runway", heading_deg=frame.heading_deg % 180, width_m=round(width, 1))
    tone = vary(rng, mix(canvas.style.road, (150, 148, 142), 0.3), 9)
    floor = canvas.leaf(entity, tone, Material.ASPHALT, surface=Surface.RUNWAY, strength=1.4)
    canvas.fill(floor, frame(box(start, -width / 2, start + length, width / 2)))
    paint = canvas.leaf(entity, mix((236, 236, 232), tone, rng.uniform(0, 0.35)), surface=Surface.RUNWAY)
    for u in np.arange(start + 80, start + length - 80, 50.0):
        canvas.fill(paint, frame(box(float(u), -0.45, float(u) + 30, 0.45)))
    bars = int(width // 5)
    for number in range(bars):
        v = -width / 2 + 2.5 + number * (width - 4) / bars
        canvas.fill(paint, frame(box(start + 6, v, start + 36, v + 1.8)))
        canvas.fill(paint, frame(box(start + length - 36, v, start + length - 6, v + 1.8)))
    for u in (150, 225, 300):
        for side in (-1, 1):
            canvas.fill(
                paint, frame(box(start + u, side * width * 0.2 - 1.6, start + u + 22, side * width * 0.2 + 1.6))
            )
    for side in (-1, 1):
        canvas.line(paint, frame(((start, side * (width / 2 - 1)), (start + length, side * (width / 2 - 1)))), 0.7)
    rubber = canvas.leaf(entity, mix(tone, (48, 48, 50), 0.45), Material.ASPHALT, surface=Surface.RUNWAY, strength=1.4)
    for v in (-4.2, 4.2):
        canvas.fill(rubber, frame(box(start + 260, v - 1.6, start + 520, v + 1.6)))


def _taxiways(canvas: Canvas, frame: Frame, runway: float, taxiway: float, edge: float, reach: float) -> None:
    """A taxiway along the runway and links from it to both sides."""
    rng = canvas.rng
    tone = vary(rng, mix(canvas.style.road, (160, 156, 148), 0.5), 8)
    floor = canvas.leaf(canvas.single("paved area"), tone, Material.ASPHALT, surface=Surface.PAVED)
    lines = canvas.leaf(canvas.single("paved area"), (206, 176, 60), surface=Surface.PAVED)
    pieces = [((-reach, taxiway), (reach, taxiway))]
    u = -reach + float(rng.uniform(0, 100))
    while u < reach:
        slant = float(rng.choice((0.0, 30.0, -30.0)))
        pieces.append(((u, edge), (u + slant, runway)))
        u += float(rng.uniform(90, 260))
    for start, stop in pieces:
        way = straight(start, stop, 40.0)
        step = np.array((stop[0] - start[0], stop[1] - start[1])) / max(
            math.hypot(stop[0] - start[0], stop[1] - start[1]), 1
        )
        normal = np.array((-step[1], step[0])) * 9
        canvas.fill_on(floor, frame(np.stack((way[0] - normal, way[-1] - normal, way[-1] + normal, way[0] + normal))),
                       Surface.LAND)  # fmt: skip
        if canvas.gsd < 0.8:
            canvas.line(lines, frame(way), 0.3)


def _stands(canvas: Canvas, frame: Frame, apron: Block, types: tuple[str, ...], gates: bool) -> None:
    """Queue aircraft on the apron: nose to the terminal, or in rows."""
    rng = canvas.rng
    fleet = "grey" if "fighter" in types and rng.random() < 0.6 else None
    largest = {"wide-body": 66.0, "airliner": 46.0, "transport": 52.0, "turboprop": 36.0, "business jet": 26.0,
               "fighter": 20.0, "light": 15.0}  # fmt: skip
    pitch = max(largest[kind] for kind in types) * rng.uniform(0.98, 1.3)
    fullness, turn = rng.uniform(0.35, 0.95), rng.uniform(-0.5, 0.5) if not gates and rng.random() < 0.4 else 0.0
    rows = np.arange(apron.depth - pitch * 0.55, pitch * 0.4, -pitch * 1.15)
    for number, v in enumerate(rows[: 1 if gates else 4]):
        for u in np.arange(pitch * 0.6, apron.width - pitch * 0.4, pitch):
            if rng.random() < fullness:
                way = math.pi / 2 if gates or number % 2 == 0 else -math.pi / 2
                place = apron.frame.at(float(u), float(v), way + turn)
                add_airplane(canvas, place, types[int(rng.integers(len(types)))], (Surface.PAVED,), fleet)
    if rng.random() < 0.45:
        place = apron.frame.at(
            rng.uniform(0.1, 0.9) * apron.width, rng.uniform(0.15, 0.6) * apron.depth, rng.uniform(0, 6)
        )
        add_helicopter(canvas, place)
    strew_cars(canvas, apron, int(rng.integers(1, 16)))


def _apron_ground(canvas: Canvas, apron: Block) -> None:
    rng = canvas.rng
    entity = canvas.entity("apron", length_m=round(apron.width, 1), width_m=round(apron.depth, 1))
    tone = vary(rng, canvas.style.concrete, 10)
    slabs = canvas.leaf(entity, tone, Material.CONCRETE, surface=Surface.PAVED, strength=1.3)
    canvas.fill(slabs, apron.outline)
    joint = canvas.leaf(entity, mix(tone, (90, 88, 84), 0.35), surface=Surface.PAVED)
    if canvas.gsd < 0.7:
        for u in np.arange(0, apron.width, 15.0):
            canvas.line(joint, apron.frame(((float(u), 0.0), (float(u), apron.depth))), 0.2)
        for v in np.arange(0, apron.depth, 15.0):
            canvas.line(joint, apron.frame(((0.0, float(v)), (apron.width, float(v)))), 0.2)
    guide = canvas.leaf(entity, (206, 172, 56), surface=Surface.PAVED)
    canvas.line(guide, apron.frame(((0.0, apron.depth * 0.16), (apron.width, apron.depth * 0.16))), 0.35)
    stain = canvas.leaf(entity, mix(tone, (70, 68, 66), 0.25), Material.CONCRETE, surface=Surface.PAVED)
    for _ in range(int(rng.integers(0, 9))):
        place = apron.frame.at(rng.uniform(0, apron.width), rng.uniform(0, apron.depth), rng.uniform(0, 3))
        canvas.fill_on(stain, place(centred(rng.uniform(3, 12), rng.uniform(1, 4))), Surface.PAVED)


def _landside(canvas: Canvas, frame: Frame, level: float, reach: float, gates: bool) -> None:
    """Terminal or hangars, then the road, car parks, tanks."""
    rng = canvas.rng
    u = -reach + float(rng.uniform(0, 40))
    while u < reach:
        if gates:
            long, deep = float(rng.uniform(90, 260)), float(rng.uniform(22, 44))
            add_block(canvas, frame.at(u + long / 2, level + deep / 2 + 3), long, deep, 16.0)
        else:
            long, deep = float(rng.uniform(22, 62)), float(rng.uniform(20, 46))
            add_hall(canvas, frame.at(u + long / 2, level + deep / 2 + 2), long, deep)
        u += long + float(rng.uniform(8, 60))
    road = Road(line=frame(straight((-reach, level + 60), (reach, level + 60))), lanes=4, lane_width=3.5, sidewalk=2.0)
    lay_road(canvas, road)
    run_traffic(canvas, road, 0.2)
    u = -reach
    while u < reach:
        long = float(rng.uniform(50, 130))
        park_cars(canvas, Block(frame.at(u, level + 72), long, float(rng.uniform(24, 70))), rng.uniform(0.2, 0.95))
        u += long + float(rng.uniform(8, 80))
    for _ in range(int(rng.integers(0, 5))):
        add_tank(canvas, frame.at(rng.uniform(-reach, reach), level + rng.uniform(100, 160)), float(rng.uniform(5, 11)))
    scatter_trees(canvas, (frame.at(-reach, level + 66), 2 * reach, 90.0), int(rng.integers(0, 50)), (1.8, 4.5))


def lay_out_airport(canvas: Canvas) -> None:
    """Runway, taxiways, apron with aircraft, terminal or hangars, landside."""
    rng = canvas.rng
    types = _MIXES[int(rng.integers(len(_MIXES)))]
    small = types[0] in ("light", "business jet", "fighter")
    width = float(rng.uniform(18, 32) if small else rng.uniform(42, 60))
    runway, taxiway = -float(rng.uniform(150, 200) if not small else rng.uniform(90, 130)), 0.0
    taxiway = runway * rng.uniform(0.42, 0.55)
    depth = float(rng.uniform(70, 170) if small else rng.uniform(110, 220))
    gates = not small and bool(rng.random() < 0.65)
    look = float(rng.choice((runway + 20, taxiway, depth * 0.3, depth * 0.5, depth * 0.7, depth)))
    frame = Frame(canvas.middle.x, canvas.middle.y, float(rng.uniform(0, 2 * math.pi))).at(0, -look)
    reach = canvas.reach + abs(look) * 0.2 + 40
    _taxiways(canvas, frame, runway, taxiway, 2.0, reach)
    start = -reach * float(rng.uniform(0.1, 1.6)) if rng.random() < 0.5 else -reach * 2
    draw_runway(canvas, frame.at(0, runway), 2600.0, width, start)
    if rng.random() < 0.2:
        second = frame.at(0, runway, float(rng.uniform(0.5, 1.2)))
        draw_runway(canvas, second, 2200.0, width, -reach * 1.2)
    apron = Block(frame.at(-reach, 0), 2 * reach, depth)
    if rng.random() < 0.4:
        left = float(rng.uniform(0, reach))
        apron = Block(frame.at(-left, 0), reach + left, depth)
    _apron_ground(canvas, apron)
    _stands(canvas, frame, apron, types, gates)
    kind = types[int(rng.integers(len(types)))]
    if rng.random() < 0.45:
        place = frame.at(rng.uniform(-0.6, 0.6) * canvas.reach, taxiway, 0.0 if rng.random() < 0.5 else math.pi)
        add_airplane(canvas, place, kind, (Surface.PAVED,))
    if rng.random() < 0.35:
        place = frame.at(rng.uniform(-0.6, 0.6) * canvas.reach, runway, 0.0 if rng.random() < 0.5 else math.pi)
        add_airplane(canvas, place, kind, (Surface.RUNWAY,))
    if rng.random() < 0.3:
        pad = frame.at(rng.uniform(-0.5, 0.5) * canvas.reach, (taxiway + 0) * 0.5)
        if canvas.fits(pad(centred(22, 22)), Surface.LAND):
            draw_helipad(canvas, pad, 20.0)
            if rng.random() < 0.7:
                add_helicopter(canvas, pad.at(0, 0, rng.uniform(0, 6)), (Surface.COURT,))
    _landside(canvas, frame, depth, reach, gates)
