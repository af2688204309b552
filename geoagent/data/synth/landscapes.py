"""The landscapes: which ground, which water, which roads, and what fills the blocks between."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.random import Generator

from geoagent.data.synth import waterside
from geoagent.data.synth.airport import lay_out_airport
from geoagent.data.synth.buildings import add_house
from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.country import COUNTRY
from geoagent.data.synth.geometry import Frame, blob, box, ribbon, wander
from geoagent.data.synth.palette import choose, mix, shade, vary
from geoagent.data.synth.plants import draw_scrub, draw_woods, scatter_trees
from geoagent.data.synth.roads import (
    Road,
    StreetPlan,
    lay_railway,
    lay_road,
    run_traffic,
    street_grid,
)
from geoagent.data.synth.textures import Material
from geoagent.data.synth.town import TOWN, Filler, fill_blocks
from geoagent.data.synth.vessels import LARGE, SMALL
from geoagent.data.synth.works import add_lighthouse, add_turbine

FILLERS: Final[Mapping[str, Filler]] = {**TOWN, **COUNTRY}
Weights = Mapping[str, float]

_TOWN: Final[Weights] = {
    "dwellings": 4, "terraces": 1.5, "flats": 2, "downtown": 1.5, "shops": 1, "car park": 0.7, "garden": 1,
    "games": 0.9,
    "school": 0.9, "building site": 0.5, "civic": 0.4, "waste ground": 0.4, "heliport": 0.3, "bus depot": 0.3,
}  # fmt: skip
_RURAL: Final[Weights] = {
    "arable": 6, "pivot": 0.5, "orchard": 1.2, "meadow": 1.2, "woodland": 1.2, "farmstead": 1.3, "glasshouses": 0.9,
    "solar": 0.35,
}  # fmt: skip
_WORKS: Final[Weights] = {
    "works": 3, "warehouses": 2, "tank farm": 2.2, "container yard": 1, "building site": 0.6, "waste ground": 0.7,
    "car park": 0.6, "quarry": 0.4, "bus depot": 0.5, "solar": 0.2, "meadow": 0.3,
}  # fmt: skip


def _ground(canvas: Canvas, class_name: str | None = None) -> None:
    """Cover everything with grass or bare land."""
    rng, style = canvas.rng, canvas.style
    name = class_name or ("bare land" if rng.random() < style.climate.bare else "grass")
    leaf = (
        canvas.leaf(canvas.single("grass"), style.grass, Material.MEADOW)
        if name == "grass"
        else canvas.leaf(canvas.single("bare land"), style.soil, Material.SOIL)
    )
    canvas.ids[:] = leaf


def _turn(canvas: Canvas) -> float:
    return float(canvas.rng.uniform(0, 2 * math.pi))


def _mood(rng: Generator, weights: Weights) -> Weights:
    """The same words with weights of this scene's own, so that one quarter differs from the next."""
    return {word: weight * float(rng.gamma(0.7)) + 0.01 for word, weight in weights.items()}


def _town_plan(rng: Generator, **changes: Any) -> StreetPlan:
    """Streets of a town as they may be, with some fields of `StreetPlan` given."""
    low = float(rng.uniform(38, 75))
    plan = StreetPlan(
        cell=(low, low * float(rng.uniform(1.4, 2.4))),
        main_lanes=int(rng.choice((2, 4, 4, 6))),
        sidewalk=float(rng.uniform(0, 3.2)),
        traffic=float(rng.uniform(0.02, 0.3)),
        parked=float(rng.choice((0, 0.1, 0.3, 0.6))),
        median=float(rng.choice((0, 0, 2.5, 5))),
    )
    return replace(plan, **changes)


def _railway_maybe(canvas: Canvas, share: float) -> None:
    rng = canvas.rng
    if rng.random() < share:
        frame = Frame(canvas.middle.x, canvas.middle.y, _turn(canvas)).at(0, rng.normal(0, 0.25) * canvas.reach)
        reach = canvas.reach * 1.4
        lay_railway(
            canvas, frame(wander(rng, (-reach, 0), (reach, 0), reach * 0.06, 8.0)), int(rng.choice((1, 2, 2, 4)))
        )


def _town(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    canvas.set_bend(float(rng.choice((0, 0.08, 0.16))))
    _railway_maybe(canvas, 0.15)
    blocks = street_grid(canvas, _town_plan(rng), _turn(canvas))
    fill_blocks(canvas, blocks, FILLERS, _mood(rng, _TOWN))


def _farmland(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    canvas.set_bend(float(rng.choice((0, 0.1, 0.2))))
    if rng.random() < 0.25:
        waterside.draw_river(
            canvas,
            canvas.middle.at(0, rng.normal(0, 0.4) * canvas.reach, _turn(canvas)),
            float(rng.uniform(5, 18)),
            40.0,
        )
    if rng.random() < 0.15:
        place = Frame(*(float(rng.uniform(0.2, 0.8)) * side for side in canvas.extent))
        waterside.draw_lake(canvas, place, float(rng.uniform(20, 60)))
    _railway_maybe(canvas, 0.12)
    low = float(rng.uniform(70, 150))
    plan = StreetPlan(
        cell=(low, low * 2.2), main_lanes=2, paved=bool(rng.random() < 0.45), sidewalk=0.0, traffic=0.05, parked=0.0
    )
    fill_blocks(canvas, street_grid(canvas, plan, _turn(canvas)), FILLERS, _mood(rng, _RURAL))


def _industrial(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    _railway_maybe(canvas, 0.35)
    low = float(rng.uniform(65, 120))
    blocks = street_grid(canvas, _town_plan(rng, cell=(low, low * 1.9), parked=0.05), _turn(canvas))
    fill_blocks(canvas, blocks, FILLERS, _mood(rng, _WORKS))


def _sports_park(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas, "grass")
    if rng.random() < 0.2:
        plan = _town_plan(rng, cell=(185.0, 260.0), main_lanes=2, parked=0.1, roundabouts=0.0)
        blocks = street_grid(canvas, plan, _turn(canvas))
        blocks.sort(key=lambda block: math.hypot(block.centre.x - canvas.middle.x, block.centre.y - canvas.middle.y))
        FILLERS["arena"](canvas, blocks[0])
        fill_blocks(canvas, blocks[1:], FILLERS, {"games": 3, "car park": 1, "dwellings": 1, "garden": 1, "shops": 1})
        return
    low = float(rng.choice((70, 110, 150)))
    blocks = street_grid(canvas, _town_plan(rng, cell=(low, low * 1.8), main_lanes=2, parked=0.1), _turn(canvas))
    fill_blocks(
        canvas,
        blocks,
        FILLERS,
        {"games": 8, "garden": 0.8, "car park": 0.7, "dwellings": 0.8, "school": 0.7, "woodland": 0.3},
    )


def _solar_farm(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    low = float(rng.uniform(60, 120))
    plan = StreetPlan(
        cell=(low, low * 2), main_lanes=2, paved=bool(rng.random() < 0.3), sidewalk=0.0, traffic=0.04, parked=0.0
    )
    blocks = street_grid(canvas, plan, _turn(canvas))
    fill_blocks(
        canvas,
        blocks,
        FILLERS,
        {"solar": 6, "arable": 1.5, "meadow": 1, "woodland": 0.7, "farmstead": 0.6, "pivot": 0.1},
    )


def _wind_farm(canvas: Canvas) -> None:
    rng = canvas.rng
    hub, rotor = float(rng.uniform(55, 95)), float(rng.uniform(26, 52))
    wind = _turn(canvas)
    at_sea = rng.random() < 0.2
    if at_sea:
        _open_sea(canvas, int(rng.integers(0, 4)))
    else:
        _farmland(canvas)
    width, height = canvas.extent
    spacing = rotor * float(rng.uniform(3.0, 5.0))
    shift = rng.uniform(0, spacing, 2)
    for x in np.arange(shift[0] - spacing, width + spacing, spacing):
        for y in np.arange(shift[1] - spacing, height + spacing, spacing):
            for _ in range(6 if rng.random() < 0.85 else 0):
                jitter = rng.normal(0, 0.16 * spacing, 2)
                place = Frame(float(x + jitter[0]), float(y + jitter[1]), wind + float(rng.normal(0, 0.1)))
                if _turbine_with_track(canvas, place, hub, rotor, track=not at_sea):
                    break


def _turbine_with_track(canvas: Canvas, place: Frame, hub: float, rotor: float, *, track: bool) -> bool:
    if not add_turbine(canvas, place, hub, rotor):
        return False
    if track:
        tone = mix(canvas.style.soil, (216, 208, 192), 0.5)
        gravel = canvas.leaf(canvas.single("unpaved road"), tone, Material.SAND, surface=Surface.PAVED)
        canvas.fill_on(gravel, place(box(-9, -11, 22, 11)), Surface.LAND, Surface.FIELD)
        canvas.fill_on(gravel, place(box(20, -2.2, 120, 2.2)), Surface.LAND, Surface.FIELD)
    return True


def _open_sea(canvas: Canvas, ships: int) -> None:
    entity = canvas.entity("sea")
    rough = bool(canvas.rng.random() < 0.6)
    leaf = canvas.leaf(entity, canvas.style.sea, Material.WAVES if rough else Material.WATER, surface=Surface.WATER)
    canvas.ids[:] = leaf
    waterside.sail_about(canvas, ships, leaf, (*LARGE, *SMALL, "tug"), 0.6)


def _shore_frame(canvas: Canvas, low: float, high: float) -> tuple[Frame, float]:
    """A frame about the centre and the v of a shore that leaves between two shares of the scene to the land."""
    rng = canvas.rng
    half = min(canvas.extent) / 2
    return Frame(canvas.middle.x, canvas.middle.y, _turn(canvas)), float(rng.uniform(low, high)) * half


def _coast(canvas: Canvas) -> None:
    rng = canvas.rng
    if rng.random() < 0.12:
        _open_sea(canvas, int(rng.integers(1, 9)))
        return
    _ground(canvas)
    frame, level = _shore_frame(canvas, -0.75, 0.7)
    beach = float(rng.choice((0.0, rng.uniform(6, 18), rng.uniform(15, 45))))
    shore = waterside.draw_sea(canvas, frame, level, float(rng.uniform(4, 0.25 * canvas.reach)), beach)
    head = rng.random()
    if head < 0.25:
        waterside.draw_breakwater(
            canvas, shore, float(rng.uniform(-0.4, 0.4)) * canvas.reach, float(rng.uniform(60, 160))
        )
    elif head < 0.5:
        u = float(rng.uniform(-0.4, 0.4)) * canvas.reach
        waterside.draw_pier(
            canvas,
            shore.frame.at(u, shore.level_at(u)),
            float(rng.uniform(40, 150)),
            float(rng.uniform(4, 12)),
            shore.sea,
            SMALL,
        )
    elif head < 0.68:
        for u in np.arange(-canvas.reach, canvas.reach, rng.uniform(45, 70)):
            waterside.draw_marina(
                canvas, shore.frame.at(float(u), shore.level_at(float(u))), float(rng.uniform(30, 110)), shore.sea
            )
    waterside.sail_about(
        canvas, int(rng.integers(0, 12)), shore.sea, (*SMALL, *SMALL, *(LARGE if canvas.gsd > 0.5 else ()), "tug"), 0.5
    )
    if beach and rng.random() < 0.7:
        waterside.palms_on_beach(canvas, shore, beach + 2)
    if rng.random() < 0.35:
        for _ in range(6):
            u = float(rng.uniform(-0.5, 0.5)) * canvas.reach
            if add_lighthouse(canvas, shore.frame.at(u, shore.level_at(u) - rng.uniform(8, 50) - beach)):
                break
    if rng.random() < 0.7:
        plan = _town_plan(rng, bridges=False)
        fill_blocks(
            canvas, street_grid(canvas, plan, frame.angle), FILLERS, _mood(rng, {**_TOWN, "garden": 2, "shops": 0.4})
        )
    else:
        _wild(canvas)


def _wild(canvas: Canvas) -> None:
    """Woods, scrub and single trees wherever there is open land."""
    rng = canvas.rng
    width, height = canvas.extent
    for _ in range(int(rng.integers(2, 8))):
        place = Frame(float(rng.uniform(0, width)), float(rng.uniform(0, height)), _turn(canvas))
        shape = place(blob(rng, canvas.reach * rng.uniform(0.1, 0.35), 0.3, 72, 1.6))
        if rng.random() < 0.65:
            draw_woods(canvas, shape)
        else:
            draw_scrub(canvas, shape)
    line = wander(
        rng, (-20.0, float(rng.uniform(0, height))), (width + 20, float(rng.uniform(0, height))), height * 0.12, 6.0
    )
    lay_road(canvas, Road(line=line, lanes=1, lane_width=4.0, paved=bool(rng.random() < 0.3), marked=False))
    for _ in range(int(rng.integers(0, 4))):
        add_house(
            canvas,
            Frame(float(rng.uniform(0, width)), float(rng.uniform(0, height)), _turn(canvas)),
            float(rng.uniform(10, 18)),
            8.5,
        )
    scatter_trees(canvas, (Frame(0, 0), width, height), int(rng.poisson(width * height / 900)), (1.6, 5.0))


def _river(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    frame = Frame(canvas.middle.x, canvas.middle.y, _turn(canvas)).at(0, rng.normal(0, 0.2) * canvas.reach)
    width = float(np.clip(rng.lognormal(3.5, 0.5), 12, 0.7 * canvas.reach))
    water = waterside.draw_river(canvas, frame, width, float(rng.uniform(0, 0.22)) * canvas.reach)
    kinds = ("barge", "barge", *SMALL) if width > 24 else SMALL
    waterside.sail_about(canvas, int(rng.integers(0, 7)), water, kinds, 0.6)
    _railway_maybe(canvas, 0.15)
    rural = rng.random() < 0.4
    low = float(rng.uniform(60, 120) if rural else rng.uniform(42, 80))
    plan = _town_plan(rng, cell=(low, low * 2), **({"main_lanes": 2, "sidewalk": 0.0, "parked": 0.0} if rural else {}))
    turn = frame.angle + float(rng.choice((0, rng.uniform(-0.5, 0.5))))
    fill_blocks(canvas, street_grid(canvas, plan, turn), FILLERS, _mood(rng, _RURAL if rural else _TOWN))


def _lake(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    place = canvas.middle.at(rng.normal(0, 0.25) * canvas.reach, rng.normal(0, 0.25) * canvas.reach, _turn(canvas))
    water, shape = waterside.draw_lake(canvas, place, float(canvas.reach * rng.uniform(0.25, 0.55)))
    waterside.sail_about(canvas, int(rng.integers(0, 9)), water, SMALL, 0.4)
    if rng.random() < 0.6:
        number = int(rng.integers(len(shape)))
        inward = math.atan2(place.y - shape[number, 1], place.x - shape[number, 0])
        foot = Frame(float(shape[number, 0]), float(shape[number, 1]), inward - math.pi / 2)
        if rng.random() < 0.5:
            waterside.draw_marina(canvas, foot, float(rng.uniform(20, 60)), water)
        else:
            waterside.draw_pier(canvas, foot, float(rng.uniform(15, 45)), float(rng.uniform(2.5, 5)), water, SMALL)
    kind = rng.random()
    if kind < 0.4:
        _wild(canvas)
        return
    low = float(rng.uniform(60, 130))
    plan = _town_plan(rng, cell=(low, low * 2), main_lanes=2, bridges=False)
    weights = _RURAL if kind < 0.7 else {**_TOWN, "garden": 3, "woodland": 1.5}
    fill_blocks(canvas, street_grid(canvas, plan, _turn(canvas)), FILLERS, _mood(rng, weights))


def _port(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas, "bare land" if rng.random() < 0.5 else "grass")
    frame, level = _shore_frame(canvas, -0.6, 0.45)
    shore = waterside.draw_sea(canvas, frame, level, 0.0, 0.0)
    marina = rng.random() < 0.35
    ships = (
        ("fishing boat", "yacht", "tug", "ferry")
        if marina
        else ("container ship", "tanker", "bulk carrier", "ferry", "naval", "tug")
    )
    waterside.draw_quay(canvas, shore, ships, cranes=not marina)
    if marina:
        for u in np.arange(-canvas.reach, canvas.reach, rng.uniform(40, 62)):
            waterside.draw_marina(
                canvas, shore.frame.at(float(u), shore.level_at(float(u))), float(rng.uniform(40, 140)), shore.sea
            )
    elif rng.random() < 0.6:
        for u in np.arange(-canvas.reach, canvas.reach, rng.uniform(110, 260)):
            waterside.draw_pier(
                canvas,
                shore.frame.at(float(u), level),
                float(rng.uniform(80, 260)),
                float(rng.uniform(10, 45)),
                shore.sea,
                ships,
            )
    if rng.random() < 0.3:
        waterside.draw_breakwater(
            canvas, shore, float(rng.uniform(-0.5, 0.5)) * canvas.reach, float(rng.uniform(100, 240))
        )
    waterside.sail_about(canvas, int(rng.integers(0, 8)), shore.sea, (*ships, *SMALL), 0.6)
    low = float(rng.uniform(70, 120))
    inland = _town_plan(rng, cell=(low, low * 2), bridges=False, parked=0.05)
    weights = (
        _TOWN
        if marina
        else {
            "container yard": 5,
            "tank farm": 2.5,
            "warehouses": 2,
            "works": 1.5,
            "car park": 0.8,
            "building site": 0.3,
        }
    )
    fill_blocks(canvas, street_grid(canvas, inland, frame.angle), FILLERS, _mood(rng, weights))


def _airport(canvas: Canvas) -> None:
    _ground(canvas)
    lay_out_airport(canvas)


def _mixed(canvas: Canvas) -> None:
    rng = canvas.rng
    _ground(canvas)
    canvas.set_bend(float(rng.choice((0, 0.1, 0.18))))
    if rng.random() < 0.45:
        waterside.draw_river(canvas, canvas.middle.at(0, rng.normal(0, 0.3) * canvas.reach, _turn(canvas)),
                             float(rng.uniform(10, 40)), canvas.reach * 0.1)  # fmt: skip
    _railway_maybe(canvas, 0.25)
    low = float(rng.uniform(55, 110))
    blocks = street_grid(canvas, _town_plan(rng, cell=(low, low * 2)), _turn(canvas))
    fill_blocks(canvas, blocks, FILLERS, _mood(rng, {**_TOWN, **_RURAL, **_WORKS, "heliport": 1.0}))


def _flooded(canvas: Canvas) -> None:
    rng = canvas.rng
    (_town if rng.random() < 0.45 else _farmland)(canvas)
    cells = int(rng.integers(3, 7))
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    field = cv2.resize(coarse, (canvas.width, canvas.height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.standard_normal((cells * 6, cells * 6)).astype(np.float32), (canvas.width, canvas.height),
                      interpolation=cv2.INTER_CUBIC)  # fmt: skip
    height = field + 0.12 * fine
    share = float(rng.uniform(0.25, 0.75))
    entity = canvas.entity("flood water")
    ground = (
        Surface.LAND,
        Surface.FIELD,
        Surface.ROAD,
        Surface.PAVED,
        Surface.COURT,
        Surface.RAIL,
        Surface.WOODS,
        Surface.WATER,
    )
    for depth, light in ((0.0, 1.08), (0.1, 1.0)):
        muddy = canvas.leaf(entity, shade(canvas.style.flood, light), Material.MUD, surface=Surface.WATER)
        level = float(np.quantile(height, share))
        canvas.assign(muddy, height < level - depth, *ground)


def _mountain(canvas: Canvas) -> None:
    rng, style = canvas.rng, canvas.style
    _ground(canvas)
    down = Frame(canvas.middle.x, canvas.middle.y, _turn(canvas))
    canvas.relief = _relief(canvas, down.angle)
    width, height = canvas.extent
    for _ in range(int(rng.integers(3, 9))):
        place = Frame(float(rng.uniform(0, width)), float(rng.uniform(0, height)), _turn(canvas))
        draw_woods(canvas, place(blob(rng, canvas.reach * rng.uniform(0.2, 0.6), 0.3, 90, 1.5)))
    reach = canvas.reach * 1.3
    if rng.random() < 0.5:
        waterside.draw_river(
            canvas, down.at(reach * rng.uniform(0.3, 0.6), 0, math.pi / 2), float(rng.uniform(5, 18)), reach * 0.08
        )
    for _ in range(int(rng.integers(0, 3))):
        place = down.at(rng.uniform(-0.6, 0.6) * reach, 0, math.pi / 2)
        line = place(wander(rng, (-reach, 0), (reach, 0), reach * 0.12, 6.0))
        road = Road(line=line, lanes=1 if rng.random() < 0.5 else 2, lane_width=3.6, paved=bool(rng.random() < 0.4))
        lay_road(canvas, road)
        run_traffic(canvas, road, 0.05)
    for _ in range(int(rng.choice((0, 1, 1, 2, 3, 5)))):
        start = down.at(
            rng.uniform(-0.8, 0.3) * reach * 0.7, rng.uniform(-0.6, 0.6) * reach * 0.8, float(rng.normal(0, 0.2))
        )
        _draw_slide(canvas, start, canvas.reach * float(rng.uniform(0.3, 1.1)))
    for _ in range(int(rng.integers(0, 9))):
        add_house(
            canvas,
            Frame(float(rng.uniform(0, width)), float(rng.uniform(0, height)), _turn(canvas)),
            float(rng.uniform(9, 16)),
            8.0,
        )
    scatter_trees(canvas, (Frame(0, 0), width, height), int(rng.poisson(width * height / 1500)), (1.8, 5.0))
    if rng.random() < 0.4:
        bare = canvas.leaf(canvas.single("bare land"), vary(rng, style.soil, 10), Material.ROCK)
        place = down.at(rng.uniform(-0.6, 0.6) * reach, rng.uniform(-0.6, 0.6) * reach)
        canvas.fill_on(bare, place(blob(rng, canvas.reach * 0.2, 0.35, 30)), Surface.LAND)


def _relief(canvas: Canvas, down: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """float32 [H,W]: how much light each slope gets, about 1."""
    rng = canvas.rng
    height = np.zeros((canvas.height, canvas.width), dtype=np.float32)
    for cells, share in ((3, 1.0), (6, 0.5), (12, 0.2), (24, 0.06)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        height += np.float32(share) * cv2.resize(coarse, (canvas.width, canvas.height), interpolation=cv2.INTER_CUBIC)
    slope_y, slope_x = np.gradient(height * np.float32(max(canvas.width, canvas.height) / 8))
    sun_x, sun_y = math.cos(canvas.style.sun_angle), math.sin(canvas.style.sun_angle)
    return np.clip(1 + 0.25 * (slope_x * sun_x + slope_y * sun_y), 0.5, 1.4).astype(np.float32)


def _draw_slide(canvas: Canvas, frame: Frame, length: float) -> None:
    """A landslide from its scar down along u: narrow above, a fan below."""
    rng = canvas.rng
    count = 60
    line = wander(rng, (0.0, 0.0), (length, 0.0), length * 0.06, length / count)
    share = np.linspace(0, 1, len(line))
    head, foot = length * rng.uniform(0.06, 0.16), length * rng.uniform(0.1, 0.32)
    width = head * np.sin(np.minimum(share * 6, math.pi / 2)) + (foot - head) * share**1.6
    width *= np.clip(1 + np.convolve(rng.normal(0, 0.25, len(line)), np.ones(4) / 3, mode="same"), 0.5, 1.6)
    width[-2:] *= (0.8, 0.45)
    entity = canvas.entity("landslide", length_m=round(length, 1))
    colour = vary(rng, mix(canvas.style.soil, (168, 132, 96), 0.5), 12)
    outline = frame(ribbon(line, width))
    grounds = (Surface.LAND, Surface.WOODS, Surface.ROAD, Surface.FIELD)
    canvas.fill_on(canvas.leaf(entity, colour, Material.ROCK, surface=Surface.PIER), outline, *grounds)
    inner = canvas.leaf(entity, shade(colour, rng.uniform(1.06, 1.2)), Material.SOIL, surface=Surface.PIER)
    canvas.fill_on(inner, frame(ribbon(line[2:-2], width[2:-2] * 0.5)), Surface.PIER)
    canvas.take(outline)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of landscape."""

    name: str
    draw: Callable[[Canvas], None]
    gsd_range: tuple[float, float]
    """Metres a pixel that suit it."""
    seasons: Mapping[str, float] | None = None
    """Weights of the climates it occurs in; None: any."""

    def season(self, rng: Generator) -> str | None:
        """A climate for a scene of this kind."""
        return None if self.seasons is None else choose(rng, self.seasons)


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(name="coast", draw=_coast, gsd_range=(0.25, 0.9)),
        Kind(name="river", draw=_river, gsd_range=(0.25, 0.8)),
        Kind(name="lake", draw=_lake, gsd_range=(0.3, 0.9)),
        Kind(name="town", draw=_town, gsd_range=(0.16, 0.55)),
        Kind(name="airport", draw=_airport, gsd_range=(0.35, 1.1)),
        Kind(name="port", draw=_port, gsd_range=(0.35, 1.1)),
        Kind(name="farmland", draw=_farmland, gsd_range=(0.3, 1.1)),
        Kind(name="industrial", draw=_industrial, gsd_range=(0.25, 0.8)),
        Kind(name="sports park", draw=_sports_park, gsd_range=(0.25, 0.75)),
        Kind(name="solar farm", draw=_solar_farm, gsd_range=(0.25, 0.7)),
        Kind(name="wind farm", draw=_wind_farm, gsd_range=(0.5, 1.2)),
        Kind(name="mixed", draw=_mixed, gsd_range=(0.22, 0.8)),
        Kind(name="flooded", draw=_flooded, gsd_range=(0.25, 0.8),
             seasons={"summer": 2, "spring": 2, "tropical": 3, "maritime": 2, "autumn": 1}),
        Kind(name="mountain", draw=_mountain, gsd_range=(0.5, 1.6),
             seasons={"summer": 3, "spring": 1, "tropical": 2, "maritime": 2, "autumn": 1, "dry": 1}),
    )
}  # fmt: skip
LANDSCAPES: Final[tuple[str, ...]] = tuple(KINDS)
"""What `render_scene` accepts as a landscape."""
