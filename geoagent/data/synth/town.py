"""What fills the blocks of a town: dwellings, flats, offices, parks, schools, car parks."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from geoagent.data.synth import sports
from geoagent.data.synth.aircraft import add_helicopter, draw_helipad
from geoagent.data.synth.buildings import add_block, add_hall, add_house, add_round
from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.geometry import Block, blob, box, centred, ribbon, wander
from geoagent.data.synth.palette import choose, mix, vary
from geoagent.data.synth.plants import draw_woods, scatter_trees
from geoagent.data.synth.roads import split_by_lane
from geoagent.data.synth.textures import Material
from geoagent.data.synth.vehicles import add_bus, add_car, add_truck
from geoagent.data.synth.works import add_tower_crane

Filler = Callable[[Canvas, Block], None]


def lay_ground(canvas: Canvas, block: Block, class_name: str, *, surface: Surface = Surface.LAND) -> int:
    """Cover a plot with grass, bare land or paving, where it is open land; returns the leaf."""
    rng, style = canvas.rng, canvas.style
    if class_name == "grass":
        leaf = canvas.leaf(canvas.single("grass"), vary(rng, style.grass, 7), Material.GRASS, surface=surface)
    elif class_name == "bare land":
        leaf = canvas.leaf(canvas.single("bare land"), vary(rng, style.soil, 9), Material.SOIL, surface=surface)
    else:
        leaf = canvas.leaf(
            canvas.single("paved area"), vary(rng, style.concrete, 9), Material.CONCRETE, surface=Surface.PAVED
        )
    canvas.fill_on(leaf, block.outline, Surface.LAND)
    return leaf


def park_cars(canvas: Canvas, block: Block, fullness: float, *, class_name: str = "parking lot") -> None:
    """A car park over a plot: bays in rows with aisles, some taken."""
    rng = canvas.rng
    lot = canvas.entity(class_name, length_m=round(block.width, 1), width_m=round(block.depth, 1))
    tone = vary(rng, mix(canvas.style.road, canvas.style.concrete, rng.uniform(0, 0.8)), 6)
    ground = canvas.leaf(lot, tone, Material.ASPHALT, surface=Surface.PAVED)
    canvas.fill_on(ground, block.outline, Surface.LAND, Surface.PAVED)
    line = canvas.leaf(lot, mix(tone, (226, 226, 220), 0.65), surface=Surface.PAVED)
    bay, deep, aisle = 2.6, 5.2, 6.2
    v, count = 0.8, 0
    while v + deep < block.depth and canvas.shows(8.0):
        facing = math.pi / 2 if count % 2 else -math.pi / 2
        for u in np.arange(1.0, block.width - bay, bay):
            place = block.frame.at(float(u) + bay / 2, v + deep / 2, facing)
            if not canvas.sees(place, 6):
                continue
            if canvas.gsd < 0.45:
                edge = block.frame(((float(u), v), (float(u), v + deep)))
                if canvas.surface_at(edge).max() == Surface.PAVED:
                    canvas.line(line, edge, 0.12)
            if rng.random() < fullness:
                flip = math.pi if rng.random() < 0.3 else 0.0
                add_car(canvas, place.at(rng.normal(0, 0.15), rng.normal(0, 0.08), flip), (Surface.PAVED,))
        v += deep if count % 2 else deep + aisle
        count += 1


def dwellings(canvas: Canvas, block: Block) -> None:
    """Detached houses with gardens, drives, pools and trees."""
    for strip in split_by_lane(canvas, block, 76.0):
        _houses(canvas, strip)


def _houses(canvas: Canvas, block: Block) -> None:
    rng = canvas.rng
    dry = rng.random() < canvas.style.climate.bare
    lay_ground(canvas, block, "bare land" if dry else "grass")
    plot_width = rng.uniform(14, 28)
    rows = 2 if block.depth > 38 else 1
    pools, trees = rng.random() * 0.4, rng.uniform(0.5, 4.0)
    drive_leaf = canvas.leaf(canvas.single("paved area"), vary(rng, canvas.style.concrete, 8), Material.CONCRETE,
                             surface=Surface.PAVED)  # fmt: skip
    for row in range(rows):
        depth = block.depth / rows
        for u in np.arange(0, block.width - plot_width * 0.6, plot_width):
            corner = (
                block.frame.at(float(u), 0) if row == 0 else block.frame.at(float(u) + plot_width, block.depth, math.pi)
            )
            plot = Block(corner, min(plot_width, block.width - float(u)), depth)
            if not canvas.sees(plot.centre, plot_width + depth):
                continue
            long, wide = min(plot.width * rng.uniform(0.5, 0.74), 19), rng.uniform(7.5, 11)
            setback = rng.uniform(5, 8) + wide / 2
            turn = (
                (math.pi if rng.random() < 0.5 else 0.0)
                + (math.pi / 2 if long < wide * 1.1 else 0.0)
                + rng.normal(0, 0.02)
            )
            if rng.random() < 0.95:
                add_house(canvas, plot.frame.at(plot.width / 2 + rng.normal(0, 0.8), setback, turn), long, wide)
            side = float(rng.choice((0.13, 0.87))) * plot.width
            canvas.fill_on(drive_leaf, plot.frame(box(side - 1.6, -1, side + 1.6, setback)), Surface.LAND)
            if rng.random() < 0.55:
                add_car(canvas, plot.frame.at(side, rng.uniform(2.6, 4.6), math.pi / 2), (Surface.PAVED,))
            if depth > 26 and rng.random() < pools:
                place = plot.frame.at(
                    plot.width * rng.uniform(0.35, 0.65), min(depth - 5, setback + wide / 2 + rng.uniform(4, 8))
                )
                sports.draw_pool(canvas, place, float(rng.uniform(6, 11)), float(rng.uniform(3.2, 5.2)))
            scatter_trees(canvas, (plot.frame, plot.width, depth), int(rng.poisson(trees)), (1.4, 4.6))


def terraces(canvas: Canvas, block: Block) -> None:
    """Long rows of houses with narrow gardens."""
    for strip in split_by_lane(canvas, block, 70.0):
        _rows_of_houses(canvas, strip)


def _rows_of_houses(canvas: Canvas, block: Block) -> None:
    rng = canvas.rng
    lay_ground(canvas, block, "grass" if rng.random() < 0.7 else "paved area")
    wide = rng.uniform(8, 11)
    for v in (wide / 2 + 3, block.depth - wide / 2 - 3):
        u = 2.0
        while u + 16 < block.width:
            long = float(rng.uniform(16, 42))
            long = min(long, block.width - u - 2)
            add_house(canvas, block.frame.at(u + long / 2, v), long, wide)
            u += long + rng.uniform(2, 7)
        if v > block.depth - wide * 2 and block.depth < wide * 2 + 10:
            break
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(block.width * 0.1)), (1.2, 3.2))


def flats(canvas: Canvas, block: Block) -> None:
    """Slab blocks of flats among lawns, with parking."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass" if rng.random() < 0.75 else "paved area")
    wide, height = rng.uniform(11, 16), rng.uniform(12, 34)
    gap = wide + max(14.0, height * 0.6)
    for v in np.arange(wide / 2 + 4, block.depth - wide / 2, gap):
        u = 5.0
        while u + 18 < block.width:
            long = float(min(rng.uniform(24, 60), block.width - u - 4))
            add_block(
                canvas, block.frame.at(u + long / 2, float(v)), long, float(wide), float(height * rng.uniform(0.8, 1.2))
            )
            u += long + rng.uniform(8, 18)
        if gap - wide > 17 and rng.random() < 0.6 and v + wide / 2 + 14.5 < block.depth:
            park_cars(
                canvas,
                block.part(6, float(v) + wide / 2 + 1.5, block.width - 6, float(v) + wide / 2 + 14),
                rng.uniform(0.2, 0.9),
            )
    scatter_trees(
        canvas, (block.frame, block.width, block.depth), int(rng.poisson(block.width * block.depth / 260)), (1.6, 4.6)
    )


def downtown(canvas: Canvas, block: Block) -> None:
    """Towers and office blocks close together on paving."""
    rng = canvas.rng
    lay_ground(canvas, block, "paved area")
    cells_u, cells_v = (
        max(1, round(block.width / rng.uniform(24, 44))),
        max(1, round(block.depth / rng.uniform(22, 40))),
    )
    wide, deep = block.width / cells_u, block.depth / cells_v
    for i in range(cells_u):
        for j in range(cells_v):
            place = block.frame.at((i + 0.5) * wide, (j + 0.5) * deep)
            if rng.random() < 0.1:
                park_cars(
                    canvas,
                    block.part(i * wide + 1, j * deep + 1, (i + 1) * wide - 1, (j + 1) * deep - 1),
                    rng.uniform(0.3, 0.95),
                )
                continue
            height = float(np.clip(rng.lognormal(3.1, 0.55), 9, 75))
            pad = height > 22 and min(wide, deep) > 17 and rng.random() < 0.3
            wing = deep * 0.35 if not pad and rng.random() < 0.2 else 0.0
            long, across = wide * rng.uniform(0.68, 0.94), deep * (0.45 if wing else rng.uniform(0.62, 0.92))
            add_block(canvas, place, float(long), float(across), height, wing=float(wing), pad=pad)
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(block.width * 0.05)), (1.4, 3.0))


def shops(canvas: Canvas, block: Block) -> None:
    """A big store with its car park in front."""
    rng = canvas.rng
    lay_ground(canvas, block, "paved area")
    deep = block.depth * rng.uniform(0.36, 0.55)
    long = block.width * rng.uniform(0.55, 0.9)
    builder = add_hall if rng.random() < 0.6 else lambda c, f, a, b: add_block(c, f, a, b, 9.0)
    builder(canvas, block.frame.at(block.width / 2, deep / 2 + 3), float(long), float(deep - 4))
    park_cars(canvas, block.part(3, deep + 6, block.width - 3, block.depth - 2), rng.uniform(0.1, 0.9))
    for _ in range(int(rng.integers(0, 4))):
        add_truck(canvas, block.frame.at(rng.uniform(0.1, 0.9) * block.width, deep + 4), (Surface.PAVED,))
    scatter_trees(canvas, (block.frame, block.width, 3.0), int(rng.poisson(block.width / 14)), (1.4, 2.6))


def car_park(canvas: Canvas, block: Block) -> None:
    """Nothing but a car park."""
    lay_ground(canvas, block, "grass")
    width = min(block.width, 6500.0 / block.depth)
    park_cars(canvas, block.part(0, 0, width, block.depth).inset(2.0), canvas.rng.uniform(0.0, 1.0))
    if block.width - width > 15:
        garden(canvas, block.part(width, 0, block.width, block.depth))


def bus_depot(canvas: Canvas, block: Block) -> None:
    """Buses side by side beside a hall."""
    rng = canvas.rng
    lay_ground(canvas, block, "paved area")
    add_hall(
        canvas, block.frame.at(block.width / 2, block.depth * 0.16), float(block.width * 0.7), float(block.depth * 0.22)
    )
    slant = rng.uniform(-0.4, 0.4)
    for v in np.arange(block.depth * 0.4, block.depth - 8, 19.0):
        for u in np.arange(6, block.width - 5, rng.uniform(3.6, 5.5)):
            if rng.random() < 0.7:
                add_bus(canvas, block.frame.at(float(u), float(v), math.pi / 2 + slant), (Surface.PAVED,))


def garden(canvas: Canvas, block: Block) -> None:
    """A park: lawns, paths, groups of trees, often a pond."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    middle = block.centre
    reach = min(block.width, block.depth)
    if rng.random() < 0.6 and reach > 24:
        pond = canvas.leaf(canvas.entity("lake"), canvas.style.fresh, Material.WATER, surface=Surface.WATER)
        shape = blob(rng, reach * rng.uniform(0.14, 0.3), 0.2, 28, rng.uniform(1, 1.8))
        canvas.fill_on(
            pond,
            middle.at(rng.normal(0, 0.1) * block.width, rng.normal(0, 0.1) * block.depth, rng.uniform(0, 3))(shape),
            Surface.LAND,
        )
    path = canvas.leaf(canvas.single("paved area"), vary(rng, (196, 186, 164), 8), Material.SAND, surface=Surface.PAVED)
    for _ in range(int(rng.integers(1, 4))):
        ends = [(0.0, rng.uniform(0, block.depth)), (block.width, rng.uniform(0, block.depth))]
        line = wander(
            rng, (float(ends[0][0]), float(ends[0][1])), (float(ends[1][0]), float(ends[1][1])), reach * 0.15, 4.0
        )
        canvas.fill_on(path, block.frame(ribbon(line, 2.4)), Surface.LAND)
    if rng.random() < 0.35:
        draw_woods(canvas, middle.at(rng.uniform(-0.3, 0.3) * block.width, rng.uniform(-0.3, 0.3) * block.depth)(
            blob(rng, reach * 0.24, 0.25)))  # fmt: skip
    scatter_trees(
        canvas, (block.frame, block.width, block.depth), int(rng.poisson(block.width * block.depth / 150)), (1.6, 5.0)
    )


def games(canvas: Canvas, block: Block) -> None:
    """A sports ground: whatever fits of track, pitches, diamonds and courts."""
    if block.width > 210 or (block.width > 125 and canvas.rng.random() < 0.4):
        cut = block.width * canvas.rng.uniform(0.42, 0.58)
        for half in (block.part(0, 0, cut, block.depth), block.part(cut, 0, block.width, block.depth)):
            _one_game(canvas, half.lengthwise())
    else:
        _one_game(canvas, block)


def _one_game(canvas: Canvas, block: Block) -> None:
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    long, deep = block.width, block.depth
    options: dict[str, float] = {"courts": 1.5}
    if long > 112 and deep > 72:
        options["soccer"] = 2
    elif long > 64 and deep > 44:
        options["small soccer"] = 2
    if long > 184 and deep > 96:
        options["track"] = 3
    elif long > 100 and deep > 56:
        options["small track"] = 1
    if long > 75 and deep > 75:
        options["diamond"] = 2
    if long > 190 and deep > 150:
        options["stadium"] = 1.5
    kind = choose(rng, options)
    middle = block.centre
    flip = math.pi if rng.random() < 0.5 else 0.0
    if kind == "soccer":
        length = rng.uniform(95, 106)
        sports.draw_soccer_field(
            canvas, middle.at(0, 0, flip), float(length), float(rng.uniform(60, min(68, deep - 8)))
        )
    elif kind == "small soccer":
        sports.draw_soccer_field(canvas, middle, float(rng.uniform(44, 58)), float(rng.uniform(28, 36)), margin=2.0)
    elif kind == "track":
        sports.draw_track(canvas, middle.at(0, 0, flip))
    elif kind == "small track":
        sports.draw_track(canvas, middle, min((long - 4) / 175, (deep - 4) / 91))
    elif kind == "diamond":
        reach = float(min(rng.uniform(60, 118), long * 0.9, deep * 0.82))
        corner = block.frame.at(long / 2 - reach * 0.5 * 1.0, deep / 2 - 0.0, 0.0)
        sports.draw_diamond(canvas, corner, reach)
    elif kind == "stadium":
        sports.add_stadium(canvas, middle.at(0, 0, flip), 112.0, 76.0)
    else:
        plot = block.inset(3.0)
        word = "tennis" if rng.random() < 0.6 else "basketball"
        if sports.courts_in_a_row(canvas, plot, word) == 0:
            sports.courts_in_a_row(canvas, plot.turned(), word)
    _fill_margin(canvas, block)


def arena(canvas: Canvas, block: Block) -> None:
    """A stadium with car parks about it."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass" if rng.random() < 0.5 else "paved area")
    sports.add_stadium(canvas, block.centre, float(rng.uniform(96, 116)), float(rng.uniform(66, 80)))
    for part in (
        block.part(2, 2, block.width * 0.2, block.depth - 2),
        block.part(block.width * 0.8, 2, block.width - 2, block.depth - 2),
    ):
        if canvas.covers(part.outline, Surface.LAND, Surface.PAVED):
            park_cars(canvas, part, rng.uniform(0.1, 0.9))
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(20)), (1.8, 4.4))


def _fill_margin(canvas: Canvas, block: Block) -> None:
    """Courts, a pool, a club house and trees in what is left of a sports ground."""
    rng = canvas.rng
    for word in ("tennis", "basketball"):
        if rng.random() < 0.4:
            u = 0.0 if rng.random() < 0.5 else max(block.width - 40, 0)
            sports.courts_in_a_row(canvas, block.part(u + 2, 2, min(u + 40, block.width), min(40, block.depth)), word)
    if rng.random() < 0.35:
        sports.draw_pool(canvas, block.frame.at(block.width - 22, block.depth - 14), 25.0, 12.5)
    if rng.random() < 0.6:
        add_hall(canvas, block.frame.at(rng.uniform(15, max(16, block.width - 15)), block.depth - 9), 22.0, 12.0)
    if rng.random() < 0.5 and block.depth > 45:
        park_cars(
            canvas,
            block.part(block.width * 0.35, block.depth - 14, block.width * 0.75, block.depth - 1),
            rng.uniform(0, 0.8),
        )
    scatter_trees(
        canvas, (block.frame, block.width, block.depth), int(rng.poisson((block.width + block.depth) / 9)), (1.6, 4.4)
    )


def school(canvas: Canvas, block: Block) -> None:
    """School or hospital: a large building with wings, yards, courts, perhaps a helipad."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass")
    long = min(block.width * 0.6, 70)
    hospital = rng.random() < 0.4
    place = block.frame.at(block.width * 0.36, block.depth * 0.3)
    add_block(
        canvas, place, float(long), 15.0, float(rng.uniform(8, 22)), wing=float(min(30, block.depth * 0.4)), pad=False
    )
    corner = block.part(block.width * 0.7, block.depth * 0.05, block.width * 0.98, block.depth * 0.6)
    if hospital:
        pad = corner.centre
        if canvas.fits(pad(centred(26, 26)), Surface.LAND):
            draw_helipad(canvas, pad, float(rng.uniform(15, 22)))
            if rng.random() < 0.5:
                add_helicopter(canvas, pad.at(0, 0, rng.uniform(0, 6)), (Surface.COURT, Surface.LAND))
            canvas.take(pad(centred(24, 24)))
    elif corner.width > 20 and corner.depth > 20:
        sports.courts_in_a_row(canvas, corner, "basketball" if rng.random() < 0.6 else "tennis")
    park_cars(canvas, block.part(4, block.depth * 0.72, block.width * 0.6, block.depth - 3), rng.uniform(0.2, 0.9))
    scatter_trees(
        canvas, (block.frame, block.width, block.depth), int(rng.poisson(block.width * block.depth / 330)), (1.6, 4.0)
    )


def heliport(canvas: Canvas, block: Block) -> None:
    """Some helipads on paving, with or without helicopters, and a hangar."""
    rng = canvas.rng
    lay_ground(canvas, block, "grass" if rng.random() < 0.6 else "paved area")
    size = float(rng.uniform(14, 24))
    count = max(1, min(3, int(block.width // (size * 1.7))))
    for number in range(count):
        place = block.frame.at((number + 0.5) * block.width / count, block.depth * 0.6, rng.uniform(0, 6))
        if not canvas.fits(place(centred(size, size)), Surface.LAND, Surface.PAVED):
            continue
        draw_helipad(canvas, place, size)
        if rng.random() < 0.6:
            add_helicopter(canvas, place.at(0, 0, rng.uniform(0, 6)), (Surface.COURT, Surface.PAVED, Surface.LAND))
        canvas.take(place(centred(size, size)))
    add_hall(
        canvas,
        block.frame.at(block.width / 2, block.depth * 0.14),
        float(min(30, block.width * 0.6)),
        float(min(16, block.depth * 0.24)),
    )
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(4)), (1.6, 4.0))


def building_site(canvas: Canvas, block: Block) -> None:
    """Bare ground, shells of buildings, a crane or two, lorries."""
    rng = canvas.rng
    lay_ground(canvas, block, "bare land")
    for _ in range(int(rng.integers(1, 3))):
        add_tower_crane(
            canvas,
            block.frame.at(rng.uniform(0.2, 0.8) * block.width, rng.uniform(0.2, 0.8) * block.depth, rng.uniform(0, 6)),
        )
    for _ in range(int(rng.integers(1, 4))):
        place = block.frame.at(rng.uniform(0.2, 0.8) * block.width, rng.uniform(0.2, 0.8) * block.depth)
        add_block(canvas, place, float(rng.uniform(14, 34)), float(rng.uniform(10, 18)), float(rng.uniform(3, 20)))
    for _ in range(int(rng.integers(1, 7))):
        add_truck(
            canvas,
            block.frame.at(rng.uniform(0, block.width), rng.uniform(0, block.depth), rng.uniform(0, 6)),
            (Surface.LAND,),
        )


def civic(canvas: Canvas, block: Block) -> None:
    """A round hall on a square."""
    rng = canvas.rng
    lay_ground(canvas, block, "paved area" if rng.random() < 0.5 else "grass")
    add_round(canvas, block.centre, float(min(block.depth * 0.36, rng.uniform(10, 32))))
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(block.width / 5)), (1.6, 4.0))


def waste_ground(canvas: Canvas, block: Block) -> None:
    """An empty plot, worn and weedy."""
    rng = canvas.rng
    lay_ground(canvas, block, "bare land")
    weeds = canvas.leaf(canvas.single("grass"), mix(canvas.style.grass, canvas.style.soil, 0.3), Material.MEADOW)
    for _ in range(int(rng.integers(1, 5))):
        place = block.frame.at(rng.uniform(0, block.width), rng.uniform(0, block.depth), rng.uniform(0, 3))
        canvas.fill_on(weeds, place(blob(rng, block.depth * rng.uniform(0.1, 0.3), 0.3)), Surface.LAND)
    scatter_trees(canvas, (block.frame, block.width, block.depth), int(rng.poisson(3)), (1.2, 3.4))


TOWN: Mapping[str, Filler] = {
    "dwellings": dwellings, "terraces": terraces, "flats": flats, "downtown": downtown, "shops": shops,
    "car park": car_park, "bus depot": bus_depot, "garden": garden, "games": games, "arena": arena, "school": school,
    "heliport": heliport, "building site": building_site, "civic": civic, "waste ground": waste_ground,
}  # fmt: skip
"""Fillers by name."""


def fill_blocks(
    canvas: Canvas, blocks: list[Block], fillers: Mapping[str, Filler], weights: Mapping[str, float]
) -> None:
    """Fill each block with one of the fillers, by weight."""
    for block in blocks:
        if canvas.sees(block.centre, math.hypot(block.width, block.depth) / 2) and min(block.width, block.depth) > 9:
            fillers[choose(canvas.rng, weights)](canvas, block)
