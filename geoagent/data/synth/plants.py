"""Trees, palms, woods, orchards and hedges."""

import math
from functools import partial

import numpy as np

from geoagent.data.synth.canvas import Canvas, Surface
from geoagent.data.synth.geometry import Frame, Points, circle, crowns
from geoagent.data.synth.palette import Colour, colour_word, shade, vary
from geoagent.data.synth.textures import Material

GROUNDS = (Surface.LAND, Surface.FIELD, Surface.WOODS, Surface.SAND)


def _draw_tree(canvas: Canvas, frame: Frame, radius: float, height: float, colour: Colour) -> None:
    rng = canvas.rng
    entity = canvas.entity("tree", colour=colour_word(colour), crown_m=round(2 * radius, 1))
    foot = np.array((frame.x, frame.y))
    shapes = crowns()[rng.integers(64, size=3)] * radius
    canvas.cast(foot + shapes[0] * 0.95, height, base=height * 0.25)
    shapes += foot + np.array(canvas.style.lean) * (height * 0.6)
    rim = canvas.leaf(entity, shade(colour, 0.8), Material.CANOPY)
    if radius / canvas.gsd < 2:
        canvas.fill(rim, shapes[0], lit=True)
        return
    # Towards the sun the crown is brighter: two smaller, lighter outlines, each moved that way.
    towards = np.array(canvas.style.sun)
    towards = -towards / max(float(np.hypot(*towards)), 1e-6)
    middle = shapes[0].mean(axis=0)
    for number, share in ((1, 0.72), (2, 0.42)):
        shapes[number] = middle + (shapes[number] - middle) * share + towards * (radius * (0.92 - share) * 0.62)
    lit = canvas.leaf(entity, colour, Material.CANOPY)
    top = canvas.leaf(entity, shade(colour, 1.22), Material.CANOPY)
    canvas.fill_stack((rim, lit, top), shapes)


def _draw_bare_tree(canvas: Canvas, frame: Frame, radius: float, height: float, colour: Colour) -> None:
    """A tree without leaves: a ragged crown through which the ground shows dimly."""
    rng = canvas.rng
    entity = canvas.entity("tree", colour=colour_word(colour), crown_m=round(2 * radius, 1))
    shadow, outline = crowns(17)[rng.integers(64, size=2)] * radius
    canvas.cast(frame(shadow * 0.6), height, base=height * 0.3)
    outline = canvas.lifted(frame(outline), height * 0.5)
    canvas.fill(canvas.leaf(entity, colour, Material.CANOPY, strength=1.7), outline, lit=True)


def _draw_palm(canvas: Canvas, frame: Frame, radius: float, height: float, colour: Colour) -> None:
    rng = canvas.rng
    entity = canvas.entity("palm tree", colour=colour_word(colour), crown_m=round(2 * radius, 1))
    count = int(rng.integers(7, 11))
    turn = rng.uniform(0, 2 * math.pi)
    angle = turn + np.arange(2 * count) * math.pi / count
    reach = np.where(np.arange(2 * count) % 2 == 0, radius * rng.uniform(0.85, 1.1, 2 * count), radius * 0.42)
    star = np.stack((np.cos(angle) * reach, np.sin(angle) * reach), axis=1)
    foot = frame(circle(0.35, count=6))
    canvas.cast(foot, height)
    canvas.cast(frame(star), height, sweep=False)
    top = canvas.lifted(frame(star), height)
    canvas.fill(canvas.leaf(entity, shade(colour, 0.92), Material.CANOPY, strength=0.7), top, lit=True)
    if radius / canvas.gsd > 3:
        heart = canvas.lifted(frame(star * 0.5), height)
        canvas.fill(canvas.leaf(entity, shade(colour, 1.25), Material.CANOPY, strength=0.7), heart)


def add_tree(
    canvas: Canvas, frame: Frame, radius: float, *, palm: bool | None = None, allowed: tuple[Surface, ...] = GROUNDS
) -> bool:
    """Queue a tree or palm where its trunk finds ground and nothing is built.

    Args:
        canvas: where to.
        frame: foot of the trunk.
        radius: of the crown, in metres.
        palm: whether it is a palm; None lets the climate decide.
        allowed: surfaces it may grow on.
    """
    rng, climate = canvas.rng, canvas.style.climate
    if not canvas.sees(frame, radius) or not canvas.shows(radius * radius * 2.4):
        return False
    if not canvas.fits(frame(circle(radius * 0.5, count=5)), *allowed):
        return False
    if palm is None:
        palm = rng.random() < climate.palms
    if palm:
        radius = min(radius, 3.8)
        if not canvas.shows(radius * radius * 1.2):
            return False
    canvas.take(frame(circle(radius * 0.7, count=8)))
    height = float(radius * rng.uniform(1.2, 2.4) if not palm else rng.uniform(5, 12))
    colour = canvas.style.leaf(rng)
    if canvas.style.season == "spring" and rng.random() < 0.04:  # in blossom
        colour = vary(rng, (192, 162, 166), 10)
    if palm:
        draw = partial(_draw_palm, canvas, frame, radius, height, vary(rng, (86, 108, 62), 12))
    elif canvas.style.season == "winter" and rng.random() < 0.55:
        draw = partial(_draw_bare_tree, canvas, frame, radius, height, colour)
    else:
        draw = partial(_draw_tree, canvas, frame, radius, height, colour)
    canvas.later(max(height, 4.0), draw)
    return True


def scatter_trees(
    canvas: Canvas, outline_box: tuple[Frame, float, float], count: int, radius: tuple[float, float]
) -> None:
    """Queue up to ``count`` trees at random places of a rectangle ``(frame at its corner, width, depth)``."""
    frame, width, depth = outline_box
    rng = canvas.rng
    for u, v, share in zip(rng.uniform(0, width, count), rng.uniform(0, depth, count), rng.random(count), strict=True):
        add_tree(canvas, frame.at(float(u), float(v)), float(radius[0] + share * (radius[1] - radius[0])))


def draw_woods(canvas: Canvas, outline: Points, *allowed: Surface) -> None:
    """Draw closed forest at once; its trees are not told apart."""
    rng = canvas.rng
    crown_px = rng.uniform(2.5, 6.0) / canvas.gsd
    material = Material.WOOD_FINE if crown_px < 4.5 else Material.WOOD if crown_px < 9 else Material.WOOD_COARSE
    entity = canvas.entity("forest")
    colour = shade(canvas.style.leaf(rng), rng.uniform(0.8, 0.98))
    canvas.incomplete.update(("tree", "palm tree"))
    wood = canvas.leaf(entity, colour, material, surface=Surface.WOODS)
    canvas.fill_on(wood, outline, *(allowed or (Surface.LAND,)))


def draw_scrub(canvas: Canvas, outline: Points, *allowed: Surface) -> None:
    """Draw low vegetation: bushes, reeds, heath."""
    rng = canvas.rng
    colour = shade(canvas.style.leaf(rng), rng.uniform(1.1, 1.35))
    leaf = canvas.leaf(canvas.entity("vegetation"), colour, Material.SCRUB)
    canvas.fill_on(leaf, outline, *(allowed or (Surface.LAND,)))


def plant_orchard(canvas: Canvas, frame: Frame, width: float, depth: float, *, palm: bool) -> None:
    """Queue trees in rows over a rectangle."""
    rng = canvas.rng
    step, radius = (rng.uniform(7, 9.5), 3.3) if palm else (rng.uniform(4.5, 8), 0.0)
    radius = radius or step * rng.uniform(0.3, 0.44)
    if not canvas.shows(radius * radius * 2.4):
        return
    for u in np.arange(step / 2, width, step):
        for v in np.arange(step / 2, depth, step):
            if rng.random() < 0.95:
                place = frame.at(float(u + rng.normal(0, 0.25)), float(v + rng.normal(0, 0.25)))
                add_tree(
                    canvas,
                    place,
                    float(radius * rng.uniform(0.85, 1.1)),
                    palm=palm,
                    allowed=(Surface.LAND, Surface.FIELD),
                )
