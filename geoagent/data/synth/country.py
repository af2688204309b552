"""What fills open country and works: fields, orchards, farms, glasshouses, woods, tank farms, yards, solar farms."""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from geoagent.data.synth.buildings import add_block, add_greenhouse, add_hall, add_house
from geoagent.data.synth.canvas import Canvas, Stripes, Surface
from geoagent.data.synth.geometry import Block, blob, box, circle
from geoagent.data.synth.palette import choose, mix, pick, vary
from geoagent.data.synth.plants import draw_scrub, draw_woods, plant_orchard, scatter_trees
from geoagent.data.synth.roads import strew_cars
from geoagent.data.synth.textures import Material
from geoagent.data.synth.town import Filler, lay_ground, park_cars
from geoagent.data.synth.vehicles import add_truck
from geoagent.data.synth.works import add_silos, add_tank, add_tower_crane, draw_solar_field, stack_containers


def draw_field(canvas: Canvas, block: Block) -> int:
    """Draw one arable field at once; returns its leaf."""
    rng = canvas.rng
    colour = pick(rng, canvas.style.climate.crops, 9)
    field = canvas.entity("farmland")
    angle = block.frame.angle + (0.0 if rng.random() < 0.7 else math.pi / 2)
    rows = Stripes(angle=angle, period=max(rng.uniform(0.8, 5.0), 2.6 * canvas.gsd), strength=rng.uniform(1, 9))
    leaf = canvas.leaf(
        field, colour, Material.CROP, surface=Surface.FIELD, stripes=rows, strength=rng.uniform(0.6, 1.4)
    )
    canvas.fill_on(leaf, block.outline, Surface.LAND)
    if rng.random() < 0.5:  # soil shows through, water stands
        patch = canvas.leaf(
            field,
            mix(colour, canvas.style.soil, rng.uniform(0.2, 0.6)),
            Material.CROP,
            surface=Surface.FIELD,
            stripes=rows,
        )
        for _ in range(int(rng.integers(1, 5))):
            place = block.frame.at(rng.uniform(0, block.width), rng.uniform(0, block.depth), rng.uniform(0, 3))
            canvas.fill_on(patch, place(blob(rng, block.depth * rng.uniform(0.05, 0.2), 0.35, 20, 2.0)), Surface.FIELD)
    if canvas.gsd < 1.2 and rng.random() < 0.6:  # tramlines of the tractor
        track = canvas.leaf(field, mix(colour, canvas.style.soil, 0.45), Material.CROP, surface=Surface.FIELD)
        plot = block if math.cos(angle - block.frame.angle) > 0.5 else block.turned()
        for v in np.arange(rng.uniform(6, 12), plot.depth, rng.uniform(12, 27)):
            for shift in (-0.9, 0.9):
                canvas.fill_on(
                    track,
                    plot.frame(box(0, float(v) + shift - 0.25, plot.width, float(v) + shift + 0.25)),
                    Surface.FIELD,
                )
    return leaf


def arable(canvas: Canvas, block: Block) -> None:
    """Some fields side by side, with hedges or grass between."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    count = int(rng.integers(1, 5)) if block.width > 70 else 1
    edges = np.sort(rng.uniform(0.1, 0.9, count - 1))
    bounds = [0.0, *edges.tolist(), 1.0]
    for start, stop in pairwise(bounds):
        if stop - start > 0.05:
            gap = rng.uniform(0.8, 3.5)
            draw_field(canvas, block.part(start * block.width + gap, gap, stop * block.width - gap, block.depth - gap))
    hedge = rng.random()
    if hedge < 0.4:
        step = float(rng.uniform(5, 14))
        for u in np.arange(0, block.width, step):
            scatter_trees(canvas, (block.frame.at(float(u), 0), 2.0, 2.0), 1, (1.6, 4.2))
    elif hedge < 0.65:
        draw_scrub(canvas, block.frame(box(0, 0, block.width, 3.0)))


def pivot(canvas: Canvas, block: Block) -> None:
    """A field watered by a turning arm: a disc of crop."""
    rng = canvas.rng
    lay_ground(canvas, block, "bare land")
    reach = min(block.width, block.depth) * 0.48
    colour = pick(rng, canvas.style.climate.crops, 8)
    rows = Stripes(angle=rng.uniform(0, 3), period=max(3.0, 2.6 * canvas.gsd), strength=rng.uniform(1, 6))
    leaf = canvas.leaf(
        canvas.entity("farmland", length_m=round(2 * reach, 1)),
        colour,
        Material.CROP,
        surface=Surface.FIELD,
        stripes=rows,
    )
    canvas.fill_on(leaf, block.centre(circle(reach, count=48)), Surface.LAND)


def orchard(canvas: Canvas, block: Block) -> None:
    """Fruit trees or date palms in rows."""
    rng = canvas.rng
    colour = vary(rng, canvas.style.soil if rng.random() < 0.5 else canvas.style.grass, 8)
    leaf = canvas.leaf(canvas.entity("farmland"), colour, Material.SOIL, surface=Surface.FIELD)
    canvas.fill_on(leaf, block.outline, Surface.LAND)
    inner = block.inset(2.0)
    plant_orchard(
        canvas, inner.frame, inner.width, inner.depth, palm=bool(rng.random() < canvas.style.climate.palms * 1.6)
    )


def meadow(canvas: Canvas, block: Block) -> None:
    """Rough grass with single trees and bushes."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    if rng.random() < 0.5:
        place = block.frame.at(rng.uniform(0, block.width), rng.uniform(0, block.depth))
        draw_scrub(canvas, place(blob(rng, block.depth * rng.uniform(0.1, 0.3), 0.35)))
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(5)), (1.8, 5.5))


def woodland(canvas: Canvas, block: Block) -> None:
    """Forest up to the edges of the block."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    shape = blob(rng, 1.0, 0.12, 36)
    draw_woods(
        canvas,
        block.centre(
            np.clip(
                shape * (block.width * 0.58, block.depth * 0.58),
                (-block.width / 2, -block.depth / 2),
                (block.width / 2, block.depth / 2),
            )
        ),
    )


def farmstead(canvas: Canvas, block: Block) -> None:
    """A farm: house, barns, silos, a yard with machines."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    yard = block.part(block.width * 0.2, block.depth * 0.2, min(block.width * 0.8, block.width * 0.2 + 80),
                      min(block.depth * 0.8, block.depth * 0.2 + 60))  # fmt: skip
    lay_ground(canvas, yard, "bare land" if rng.random() < 0.6 else "paved area")
    add_house(canvas, block.frame.at(block.width * 0.12 + 4, block.depth * 0.5, math.pi / 2), 15.0, 9.5)
    for _ in range(int(rng.integers(2, 5))):
        place = yard.frame.at(
            rng.uniform(0.1, 0.9) * yard.width, rng.uniform(0.1, 0.9) * yard.depth, float(rng.choice((0, math.pi / 2)))
        )
        add_hall(canvas, place, float(rng.uniform(18, 46)), float(rng.uniform(9, 18)))
    if rng.random() < 0.75:
        add_silos(
            canvas,
            yard.frame.at(yard.width * rng.uniform(0.3, 0.7), yard.depth * rng.uniform(0.0, 1.0)),
            int(rng.integers(1, 6)),
        )
    strew_cars(canvas, yard, int(rng.integers(1, 6)), Surface.LAND, Surface.PAVED)
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(9)), (1.8, 5.0))


def glasshouses(canvas: Canvas, block: Block) -> None:
    """Greenhouses or polytunnels side by side."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass" if rng.random() < 0.5 else "bare land")
    glass = bool(rng.random() < 0.45)
    wide = float(rng.uniform(18, 40) if glass else rng.uniform(6.5, 10))
    wide = max(wide, 4 * canvas.gsd)
    long = float(min(rng.uniform(40, 110), block.depth - 8))
    gap = max(float(rng.uniform(1.0, 3.0)), 1.6 * canvas.gsd)
    if long < 14:
        return
    for u in np.arange(wide / 2 + 2, block.width - wide / 2, wide + gap):
        if rng.random() < 0.92:
            shift = rng.normal(0, 0.6)
            add_greenhouse(
                canvas, block.frame.at(float(u), block.depth / 2 + shift, math.pi / 2), long, wide, glass=glass
            )


def solar(canvas: Canvas, block: Block) -> None:
    """A solar farm within its fence."""
    lay_ground(canvas, block, "grass")
    inner = block.inset(3.0)
    if min(inner.width, inner.depth) > 12 and canvas.covers(inner.outline, Surface.LAND):
        draw_solar_field(canvas, inner)
        canvas.take(inner.outline)


def tank_farm(canvas: Canvas, block: Block) -> None:
    """Storage tanks in rows within their bunds."""
    rng = canvas.rng
    ground = "bare land" if rng.random() < 0.5 else "paved area" if rng.random() < 0.6 else "grass"
    lay_ground(canvas, block, ground)
    radius = float(np.clip(rng.lognormal(2.1, 0.5), 4, min(24, block.depth * 0.4)))
    word = choose(rng, {"white": 6, "grey": 2, "beige": 1, "mixed": 2, "brown": 0.6, "green": 0.5})
    pitch = radius * rng.uniform(2.5, 3.3)
    bund = canvas.leaf(
        canvas.single("bare land"), vary(rng, mix(canvas.style.soil, canvas.style.concrete, 0.5), 6), Material.CONCRETE
    )
    for u in np.arange(pitch * 0.6, block.width - radius, pitch):
        for v in np.arange(pitch * 0.6, block.depth - radius, pitch):
            if rng.random() < 0.85:
                place = block.frame.at(float(u), float(v))
                size = radius * (1.0 if rng.random() < 0.7 else rng.uniform(0.5, 0.95))
                if canvas.gsd < 1.2 and pitch - 2 * radius > 4:
                    canvas.fill_on(bund, place(circle(radius + 1.6)), Surface.LAND)
                add_tank(canvas, place, float(size), None if word == "mixed" else word)


def works(canvas: Canvas, block: Block) -> None:
    """Factory halls, yards, a few tanks and silos."""
    if block.depth > 75:
        middle = block.depth / 2
        for half in (block.part(0, 0, block.width, middle), block.part(0, middle, block.width, block.depth)):
            works(canvas, half)
        return
    rng = canvas.rng
    lay_ground(canvas, block, "paved area")
    u = 4.0
    while u + 18 < block.width:
        wide = float(rng.uniform(20, 60))
        deep = float(min(rng.uniform(20, 70), block.depth - 10))
        kind = rng.random()
        if kind < 0.7 and deep > 10:
            add_hall(
                canvas,
                block.frame.at(u + wide / 2, 4 + deep / 2, math.pi / 2 if rng.random() < 0.5 and wide < deep else 0.0),
                min(wide, deep) if wide < deep else wide,
                deep if wide >= deep else wide,
            )
        elif kind < 0.82:
            for _ in range(int(rng.integers(2, 7))):
                place = block.frame.at(u + rng.uniform(0, wide), rng.uniform(5, block.depth - 4))
                add_tank(canvas, place, float(rng.uniform(3, 8)))
        elif kind < 0.92:
            add_silos(
                canvas,
                block.frame.at(u + wide / 2, block.depth * rng.uniform(0.2, 0.8), float(rng.choice((0, math.pi / 2)))),
                int(rng.integers(2, 7)),
            )
        else:
            add_block(canvas, block.frame.at(u + wide / 2, 12), min(wide, 34), 14.0, 12.0)
        u += wide + rng.uniform(5, 14)
    strew_cars(canvas, block, int(rng.poisson(block.width / 14)))
    if rng.random() < 0.4 and block.depth > 40:
        park_cars(
            canvas,
            block.part(block.width * 0.1, block.depth - 18, block.width * 0.6, block.depth - 2),
            rng.uniform(0.3, 0.9),
        )


def warehouses(canvas: Canvas, block: Block) -> None:
    """One great hall with lorries at its docks."""
    rng = canvas.rng
    lay_ground(canvas, block, "paved area")
    deep, long = block.depth * rng.uniform(0.4, 0.6), block.width * rng.uniform(0.6, 0.92)
    add_hall(canvas, block.frame.at(block.width / 2, deep / 2 + 4), float(long), float(deep))
    for u in np.arange(block.width / 2 - long / 2 + 4, block.width / 2 + long / 2, rng.uniform(3.6, 6)):
        if rng.random() < 0.5:
            add_truck(canvas, block.frame.at(float(u), deep + 16, math.pi / 2), (Surface.PAVED,))
    strew_cars(canvas, block.part(0, block.depth * 0.8, block.width, block.depth), int(rng.integers(0, 10)))


def container_yard(canvas: Canvas, block: Block) -> None:
    """Stacks of containers with lorries between."""
    rng = canvas.rng
    lay_ground(canvas, block, "paved area")
    stack_containers(canvas, block.inset(2.0))
    strew_cars(canvas, block, int(rng.poisson(block.width / 12)))


def quarry(canvas: Canvas, block: Block) -> None:
    """Bare, terraced ground with heaps and lorries."""
    rng = canvas.rng
    lay_ground(canvas, block, "bare land")
    for share in (0.95, 0.75, 0.5, 0.3):
        tone = canvas.leaf(canvas.single("bare land"), vary(rng, canvas.style.soil, 16), Material.ROCK)
        canvas.fill_on(
            tone,
            block.centre(blob(rng, min(block.width, block.depth) * share * 0.5, 0.15, 30, block.width / block.depth)),
            Surface.LAND,
        )
    for _ in range(int(rng.integers(0, 6))):
        add_truck(
            canvas,
            block.frame.at(rng.uniform(0, block.width), rng.uniform(0, block.depth), rng.uniform(0, 6)),
            (Surface.LAND,),
        )
    if rng.random() < 0.3:
        add_tower_crane(canvas, block.centre.at(0, 0, rng.uniform(0, 6)))


COUNTRY: Mapping[str, Filler] = {
    "arable": arable, "pivot": pivot, "orchard": orchard, "meadow": meadow, "woodland": woodland,
    "farmstead": farmstead,
    "glasshouses": glasshouses, "solar": solar, "tank farm": tank_farm, "works": works, "warehouses": warehouses,
    "container yard": container_yard, "quarry": quarry,
}  # fmt: skip
"""Fillers by name."""
