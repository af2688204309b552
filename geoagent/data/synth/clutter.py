"""What makes ground look lived in: worn patches, repairs, heaps, stray bushes. Nothing here is an object of its own."""

import math

import numpy as np

from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.geometry import Frame, blob, centred
from geoagent.data.synth.palette import mix, vary
from geoagent.data.synth.plants import add_tree
from geoagent.data.synth.textures import Material


def _places(canvas: Canvas, count: int, surface: Surface) -> list[Frame]:
    """Up to ``count`` random places on a surface."""
    rng = canvas.rng
    width, height = canvas.extent
    points = np.stack((rng.uniform(0, width, count), rng.uniform(0, height, count)), axis=1)
    turns = rng.uniform(0, 2 * math.pi, count)
    hits = np.flatnonzero(canvas.surface_at(points) == surface)
    return [Frame(float(points[i, 0]), float(points[i, 1]), float(turns[i])) for i in hits]


def _is_airfield(canvas: Canvas) -> bool:
    """Whether aircraft move here, which keeps the ground clear."""
    return any(entity.class_name == "runway" for entity in canvas.entities)


def wear_ground(canvas: Canvas) -> None:
    """Spread patches of another tone over lawns, soil, paving and roads; each stays what it lies on."""
    rng = canvas.rng
    area = canvas.extent[0] * canvas.extent[1]
    reach = math.sqrt(area) * 0.05
    for surface, number, size in (
        (Surface.LAND, 26, (0.3, 1.8)),
        (Surface.PAVED, 16, (0.1, 0.7)),
        (Surface.ROAD, 14, (0.05, 0.22)),
        (Surface.FIELD, 8, (0.3, 1.4)),
    ):
        for place in _places(canvas, int(rng.integers(number // 3, number)), surface):
            below = canvas.leaf_at(place)
            entity, base = canvas.leaves.entity[below], canvas.leaves.colour[below]
            if surface == Surface.LAND:
                tone = mix(base, canvas.style.soil if rng.random() < 0.6 else canvas.style.grass, rng.uniform(0.1, 0.4))
            else:
                tone = vary(rng, base, 7)
            patch = canvas.leaf(
                entity,
                tone,
                Material(canvas.leaves.material[below]),
                surface=surface,
                stripes=canvas.leaves.stripes.get(below),
            )
            radius = reach * rng.uniform(*size)
            if surface == Surface.ROAD:
                outline = centred(rng.uniform(2, 14), rng.uniform(1.2, 3.4))
            else:
                outline = blob(rng, radius, 0.35, 22, rng.uniform(1, 2.6))
            canvas.tint(patch, place(outline), entity)


def strew_heaps(canvas: Canvas) -> None:
    """Put pallets, skips, heaps and huts too small to be anything on yards."""
    rng = canvas.rng
    if canvas.gsd > 0.7 or _is_airfield(canvas) or rng.random() < 0.4:
        return
    area = canvas.extent[0] * canvas.extent[1]
    for place in _places(canvas, int(min(400, area * rng.uniform(0.0, 0.003))), Surface.PAVED):
        long, wide = rng.uniform(0.7, 2.4, 2)
        outline = place(centred(long, wide))
        if canvas.covers(outline, Surface.PAVED):
            entity = canvas.leaves.entity[canvas.leaf_at(place)]
            canvas.cast(outline, 1.0)
            canvas.fill(canvas.leaf(entity, vary(rng, (132, 124, 114), 34), surface=Surface.PAVED), outline, lit=True)


def stray_trees(canvas: Canvas) -> None:
    """Queue single trees and clumps on open land all over the scene, few or many."""
    rng = canvas.rng
    if _is_airfield(canvas):
        return
    area = canvas.extent[0] * canvas.extent[1]
    density = float(rng.choice((0.0, 0.2, 0.6, 1.2, 2.0)))
    low, high = rng.uniform(1.4, 2.2), rng.uniform(2.6, 5.2)
    for place in _places(canvas, int(min(4000, area / 260 * density)), Surface.LAND):
        for _ in range(1 if rng.random() < 0.6 else int(rng.integers(2, 7))):
            spot = place.at(rng.normal(0, high), rng.normal(0, high))
            add_tree(canvas, spot, float(rng.uniform(low, high)))
