"""Streets, lanes, railways, bridges, roundabouts and the traffic on them."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np

from geoagent.data.synth.canvas import Canvas, Stripes, Surface
from geoagent.data.synth.geometry import Block, Frame, Points, along, box, centred, circle, offset, ribbon, straight
from geoagent.data.synth.palette import mix, shade, vary
from geoagent.data.synth.plants import add_tree
from geoagent.data.synth.textures import Material
from geoagent.data.synth.vehicles import add_vehicle

_MARK: Final = (214, 214, 206)


@dataclass(frozen=True, kw_only=True)
class Road:
    """A road along a polyline."""

    line: Points
    lanes: int = 2
    lane_width: float = 3.2
    paved: bool = True
    sidewalk: float = 0.0
    median: float = 0.0
    marked: bool = True

    @property
    def width(self) -> float:
        """From kerb to kerb."""
        return self.lanes * self.lane_width + self.median


def _runs(over: list[bool]) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(over, dtype=np.int8), [0]))))
    return [(int(start), int(stop) - 1) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def road_colours(canvas: Canvas) -> int:
    """The leaf of the scene's paved roads."""
    return canvas.leaf(canvas.single("road"), canvas.style.road, Material.ASPHALT, surface=Surface.ROAD)


def _markings(canvas: Canvas, entity: int, road: Road, line: Points) -> None:
    if not road.marked or canvas.gsd > 0.6 or not road.paved:
        return
    paint = canvas.leaf(entity, mix(_MARK, canvas.style.road, canvas.rng.uniform(0.1, 0.6)), surface=Surface.ROAD)
    for number in range(1, road.lanes):
        shift = (number - road.lanes / 2) * road.lane_width
        middle = number * 2 == road.lanes
        if middle and road.median:
            continue
        if middle and road.lanes > 2:
            for side in (-0.2, 0.2):
                canvas.line(paint, offset(line, shift + side), 0.14)
            continue
        for place, _ in along(offset(line, shift), 9.0, 2.0):
            canvas.fill(paint, place(box(0, -0.08, 3.5, 0.08)))
    if road.lanes > 2:
        for side in (-1, 1):
            canvas.line(paint, offset(line, side * (road.width / 2 - 0.5)), 0.14)


def _surface_pieces(canvas: Canvas, road: Road) -> tuple[list[Points], list[Points]]:
    """The stretches of a road on land, and those that cross water from bank to bank."""
    wet = (Surface.WATER, Surface.PIER)
    over = [surface in wet for surface in canvas.surface_at(road.line).tolist()]
    if not any(over):
        return [road.line], []
    spans = [(max(a - 1, 0), min(b + 1, len(over) - 1)) for a, b in _runs(over)]
    land = [road.line[a : b + 1] for a, b in _runs([not crossing for crossing in over]) if b > a]
    return land, [road.line[a : b + 1] for a, b in spans]


def _draw_bridge(canvas: Canvas, road: Road, line: Points, entity: int) -> None:
    rng = canvas.rng
    width = road.width + 2.4
    deck = ribbon(line, width)
    for start, stop in pairwise(line):
        canvas.cast(ribbon(np.stack((start, stop)), width), 5.0, base=2.0)
    canvas.fill(
        canvas.leaf(entity, vary(rng, (186, 182, 174), 9), Material.CONCRETE, surface=Surface.ROAD), deck, lit=True
    )
    floor = canvas.leaf(entity, vary(rng, canvas.style.road, 5), Material.ASPHALT, surface=Surface.ROAD)
    canvas.fill(floor, ribbon(line, road.width))
    _markings(canvas, entity, road, line)
    if rng.random() < 0.25 and canvas.gsd < 0.7:  # a truss or arch above the deck
        beam = canvas.leaf(entity, vary(rng, (120, 136, 140), 18), surface=Surface.ROAD)
        for side in (-1, 1):
            canvas.line(beam, offset(line, side * width / 2), 0.9)


def lay_road(canvas: Canvas, road: Road, *, bridges: bool = True) -> None:
    """Draw a road at once; where it meets water it crosses on a bridge, or ends at the bank."""
    entity = canvas.single("road" if road.paved else "unpaved road")
    land, water = _surface_pieces(canvas, road)
    if road.sidewalk:
        curb = canvas.leaf(canvas.single("paved area"), vary(canvas.rng, canvas.style.concrete, 4), Material.CONCRETE,
                           surface=Surface.PAVED)  # fmt: skip
        for line in land:
            canvas.fill_on(
                curb, ribbon(line, road.width + 2 * road.sidewalk), Surface.LAND, Surface.WOODS, Surface.FIELD
            )
    if road.paved:
        tone = vary(canvas.rng, canvas.style.road, 5)
        leaf = canvas.leaf(entity, tone, Material.ASPHALT, surface=Surface.ROAD)
    else:
        leaf = canvas.leaf(entity, mix(canvas.style.soil, (214, 204, 184), 0.35), Material.SAND, surface=Surface.ROAD)
    for line in land:
        canvas.fill(leaf, ribbon(line, road.width))
        _markings(canvas, entity, road, line)
        if not road.paved and canvas.gsd < 0.5:
            strip = canvas.leaf(
                canvas.single("unpaved road"),
                mix(canvas.style.grass, canvas.style.soil, 0.4),
                Material.MEADOW,
                surface=Surface.ROAD,
            )
            canvas.line(strip, line, 0.7)
        if road.median > 1:
            lawn = canvas.leaf(canvas.single("grass"), canvas.style.grass, Material.GRASS)
            canvas.fill(lawn, ribbon(line, road.median))
    if not bridges:
        return
    for line in water:
        length = float(np.hypot(*np.diff(line, axis=0).T).sum())
        reaches_out = canvas.surface_at(line[[0, -1]]).tolist()
        if Surface.WATER in reaches_out or length > canvas.bridge_limit or not canvas.shows(length * road.width):
            continue
        crossing = canvas.entity("bridge", length_m=round(length, 1), width_m=round(road.width + 2.4, 1))
        _draw_bridge(canvas, road, line, crossing)


def run_traffic(canvas: Canvas, road: Road, density: float, heavy: float = 0.12) -> None:
    """Queue vehicles along a road, each in its lane and facing its way; ``density`` is the share of places taken."""
    rng, side = canvas.rng, 1 if canvas.style.right_hand else -1
    if not canvas.shows(7.0):
        return
    for number in range(road.lanes):
        shift = (number + 0.5 - road.lanes / 2) * road.lane_width
        if road.median:
            shift += math.copysign(road.median / 2, shift)
        forward = shift * side > 0 or road.lanes == 1
        for place, _ in along(road.line, 13.0, float(rng.uniform(0, 13))):
            if rng.random() < density:
                turn = 0.0 if forward else math.pi
                add_vehicle(canvas, place.at(rng.normal(0, 1.5), shift + rng.normal(0, 0.15), turn), heavy=heavy)


def park_along(canvas: Canvas, road: Road, share: float) -> None:
    """Queue parked cars at the kerbs of a road."""
    if not canvas.shows(7.0):
        return
    for side in (-1, 1):
        for place, _ in along(road.line, 6.2, float(canvas.rng.uniform(0, 6))):
            if canvas.rng.random() < share:
                turn = 0.0 if side > 0 else math.pi
                add_vehicle(canvas, place.at(0, side * (road.width / 2 - 1.15), turn), heavy=0.02)


def line_with_trees(canvas: Canvas, road: Road, spacing: float) -> None:
    """Queue an avenue of trees along a road."""
    rng = canvas.rng
    for side in (-1, 1):
        for place, _ in along(road.line, spacing, float(rng.uniform(0, spacing))):
            if rng.random() < 0.85:
                reach = side * (road.width / 2 + road.sidewalk + 1.6)
                add_tree(
                    canvas,
                    place.at(0, reach),
                    float(rng.uniform(1.8, 3.6)),
                    allowed=(Surface.LAND, Surface.PAVED, Surface.FIELD),
                )


@dataclass(frozen=True, kw_only=True)
class StreetPlan:
    """How a street grid is cut."""

    cell: tuple[float, float]
    """Smallest and largest side of a block."""
    main_lanes: int = 4
    paved: bool = True
    sidewalk: float = 1.8
    traffic: float = 0.12
    parked: float = 0.15
    bridges: bool = True
    median: float = 0.0
    roundabouts: float = 0.12
    """Probability of a roundabout at a junction."""


def _visible_stretch(canvas: Canvas, line: Points) -> Points:
    """The part of a polyline that can be in the picture, with a margin; perhaps nothing."""
    away = np.hypot(line[:, 0] - canvas.middle.x, line[:, 1] - canvas.middle.y)
    near = np.flatnonzero(away < 1.1 * canvas.reach + 35.0)
    return line[near[0] : near[-1] + 1] if near.size else line[:0]


def _split(canvas: Canvas, plan: StreetPlan, block: Block, level: int, roads: list[Road], blocks: list[Block]) -> None:
    rng = canvas.rng
    low, high = plan.cell
    if not canvas.sees(block.centre, math.hypot(block.width, block.depth) / 2):
        return
    plot = block.lengthwise()
    limit = low if rng.random() < 0.35 else high
    if plot.width < max(2 * low, limit):
        blocks.append(plot)
        return
    lanes = plan.main_lanes if level < 2 else 2
    road_width = lanes * 3.3 + (plan.median if lanes > 2 else 0.0)
    side = plan.sidewalk if plan.paved else 0.0
    cut = plot.width * rng.uniform(0.36, 0.64)
    line = plot.frame(straight((cut, -3.0), (cut, plot.depth + 3.0)))
    median = plan.median if lanes > 2 else 0.0
    if len(line := _visible_stretch(canvas, line)) > 1:
        roads.append(Road(line=line, lanes=lanes, lane_width=3.3, paved=plan.paved, sidewalk=side, median=median))
    half = road_width / 2 + side
    _split(canvas, plan, plot.part(0, 0, cut - half, plot.depth), level + 1, roads, blocks)
    _split(canvas, plan, plot.part(cut + half, 0, plot.width, plot.depth), level + 1, roads, blocks)


def street_grid(canvas: Canvas, plan: StreetPlan, angle: float) -> list[Block]:
    """Cut the scene into blocks by streets that all connect; draws the streets with their traffic.

    Returns:
        the blocks between the streets, longer side first.
    """
    reach = canvas.reach * 1.25
    span = 2 * max(reach, plan.cell[1])
    middle = canvas.middle
    rng = canvas.rng
    corner = Frame(middle.x, middle.y, angle).at(
        -span / 2 + rng.uniform(-0.2, 0.2) * plan.cell[0], -span / 2 + rng.uniform(-0.2, 0.2) * plan.cell[0]
    )
    roads: list[Road] = []
    blocks: list[Block] = []
    _split(canvas, plan, Block(corner, span, span), 0, roads, blocks)
    for road in reversed(roads):
        lay_road(canvas, road, bridges=plan.bridges)
    if plan.paved and rng.random() < plan.roundabouts:
        _roundabout_at_junction(canvas, roads)
    for road in roads:
        if plan.paved:
            run_traffic(canvas, road, plan.traffic * (2 if road.lanes > 2 else 1))
            if road.lanes == 2 and plan.parked:
                park_along(canvas, road, plan.parked)
        elif rng.random() < 0.5:
            run_traffic(canvas, road, plan.traffic * 0.3, heavy=0.4)
    trees = rng.random() < 0.5
    for road in roads:
        if trees and plan.paved and rng.random() < 0.5:
            line_with_trees(canvas, road, float(rng.uniform(8, 16)))
    return blocks


def _roundabout_at_junction(canvas: Canvas, roads: list[Road]) -> None:
    """Turn one of the T-junctions in the picture into a roundabout."""
    rng = canvas.rng
    ends: list[Frame] = []
    for road in roads[1:]:
        for end, inner in ((0, 1), (-1, -2)):
            step = road.line[end] - road.line[inner]
            point = road.line[end] + step / max(float(np.hypot(*step)), 1e-6) * 3.0
            ends.append(Frame(float(point[0]), float(point[1])))
    width, height = canvas.extent
    near = [end for end in ends if 0.12 * width < end.x < 0.88 * width and 0.12 * height < end.y < 0.88 * height]
    near = [end for end in near if (canvas.surface_at(end(circle(30, count=12))) != Surface.WATER).all()]
    if near:
        draw_roundabout(canvas, near[int(rng.integers(len(near)))], float(rng.uniform(15, 30)))


def draw_roundabout(canvas: Canvas, centre: Frame, radius: float) -> None:
    """A roundabout over a junction, at once; ring and island make up its mask."""
    rng = canvas.rng
    entity = canvas.entity("roundabout", length_m=round(2 * radius, 1))
    ring = canvas.leaf(entity, vary(rng, canvas.style.road, 4), Material.ASPHALT, surface=Surface.ROAD)
    canvas.fill(ring, centre(circle(radius, count=40)))
    island = radius * rng.uniform(0.45, 0.62)
    edge = canvas.leaf(entity, shade(canvas.style.concrete, 1.05), Material.CONCRETE, surface=Surface.COURT)
    canvas.fill(edge, centre(circle(island, count=32)))
    lawn = canvas.leaf(entity, shade(canvas.style.grass, rng.uniform(0.92, 1.1)), Material.GRASS, surface=Surface.LAND)
    canvas.fill(lawn, centre(circle(island * 0.9, count=32)))
    for _ in range(int(rng.integers(0, 6))):
        turn, away = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.7) * island
        add_tree(canvas, centre.at(away * math.cos(turn), away * math.sin(turn)), float(rng.uniform(1.5, 3)))
    lane = (radius + island) / 2
    step = 14 / lane
    for turn in np.arange(0, 2 * math.pi, step):
        if rng.random() < 0.3:
            way = math.pi / 2 * (-1 if canvas.style.right_hand else 1)
            place = centre.at(lane * math.cos(turn), lane * math.sin(turn), float(turn) + way)
            add_vehicle(canvas, place, heavy=0.1)


def _lay_tracks(canvas: Canvas, entity: int, line: Points, tracks: int) -> None:
    """Sleepers and rails along a line."""
    rng = canvas.rng
    bed = canvas.leaf(entity, vary(rng, (104, 94, 86), 4), Material.ROCK, surface=Surface.RAIL, strength=0.5)
    steel = canvas.leaf(entity, vary(rng, (150, 142, 138), 6), surface=Surface.RAIL)
    for track in range(tracks):
        middle = offset(line, (track + 0.5 - tracks / 2) * 4.4)
        canvas.fill(bed, ribbon(middle, 2.6))
        if canvas.gsd <= 0.5:
            for side in (-0.72, 0.72):
                canvas.line(steel, offset(middle, side), 0.15)


def lay_railway(canvas: Canvas, line: Points, tracks: int) -> None:
    """Draw a railway at once: ballast, sleepers and rails; over water it crosses on a bridge."""
    rng = canvas.rng
    entity = canvas.entity("railway", tracks=tracks)
    width = tracks * 4.4 + 1.6
    land, water = _surface_pieces(canvas, Road(line=line, lanes=1, lane_width=width))
    ballast = canvas.leaf(entity, vary(rng, (128, 118, 108), 10), Material.SOIL, surface=Surface.RAIL)
    for piece in land:
        canvas.fill(ballast, ribbon(piece, width))
    for piece in land:
        _lay_tracks(canvas, entity, piece, tracks)
    for piece in water:
        if Surface.WATER in canvas.surface_at(piece[[0, -1]]).tolist():
            continue
        length = float(np.hypot(*np.diff(piece, axis=0).T).sum())
        crossing = canvas.entity("bridge", length_m=round(length, 1), width_m=round(width, 1))
        canvas.cast(ribbon(piece, width), 5.0, base=2.0)
        deck = canvas.leaf(crossing, (150, 146, 140), Material.CONCRETE, surface=Surface.RAIL)
        canvas.fill(deck, ribbon(piece, width), lit=True)
        _lay_tracks(canvas, crossing, piece, tracks)
    if rng.random() < 0.55:
        _add_train(canvas, line, (int(rng.integers(tracks)) + 0.5 - tracks / 2) * 4.4)


def _draw_carriage(canvas: Canvas, frame: Frame, colour: tuple[int, int, int], leaf_entity: int) -> None:
    outline = frame(centred(22.5, 2.9))
    canvas.cast(outline, 3.8)
    canvas.fill(canvas.leaf(leaf_entity, colour, Material.METAL), outline, lit=True)
    lines = Stripes(angle=frame.angle, period=1.4, strength=6)
    canvas.fill(canvas.leaf(leaf_entity, shade(colour, 1.12), stripes=lines), frame(centred(21.5, 1.8)))


def _add_train(canvas: Canvas, line: Points, shift: float) -> None:
    """Queue a train. No class names it: it is nobody's object and covers what it covers."""
    rng = canvas.rng
    colour = vary(
        rng, ((176, 178, 180), (150, 52, 48), (58, 84, 132), (92, 112, 92), (110, 92, 80))[int(rng.integers(5))]
    )
    length = int(rng.integers(2, 10))
    places = along(offset(line, shift), 24.0, float(rng.uniform(0, 120)))[:length]
    for place, _ in places:
        if canvas.sees(place, 14) and canvas.surface_at(place(centred(20, 2))).max() in (-1, int(Surface.RAIL)):
            canvas.take(place(centred(23, 3)))
            canvas.later(3.6, partial(_draw_carriage, canvas, place, colour, 0))


def strew_cars(canvas: Canvas, block: Block, count: int, *allowed: Surface) -> None:
    """Queue cars at random places of a plot, as in a yard."""
    rng = canvas.rng
    for _ in range(count):
        place = block.frame.at(
            rng.uniform(0, block.width), rng.uniform(0, block.depth), float(rng.choice((0, 1, 2, 3))) * math.pi / 2
        )
        add_vehicle(canvas, place, allowed or (Surface.PAVED,), heavy=0.3)


def split_by_lane(canvas: Canvas, block: Block, deepest: float) -> list[Block]:
    """Cut a plot deeper than ``deepest`` by lanes along its width; returns the strips between."""
    if block.depth <= deepest:
        return [block]
    half, lane = block.depth / 2, 2.8
    line = block.frame(straight((-3.0, half), (block.width + 3.0, half)))
    road = Road(line=line, lanes=2, lane_width=2.8, sidewalk=0.0, marked=False)
    lay_road(canvas, road, bridges=False)
    run_traffic(canvas, road, 0.08, heavy=0.05)
    near, far = block.part(0, 0, block.width, half - lane), block.part(0, half + lane, block.width, block.depth)
    return split_by_lane(canvas, near, deepest) + split_by_lane(canvas, far, deepest)
