"""From a seed to an annotated scene."""

import math

import numpy as np

from geoagent.data.classes import CLASSES
from geoagent.data.synth.annotate import annotate
from geoagent.data.synth.canvas import Canvas
from geoagent.data.synth.clutter import stray_trees, strew_heaps, wear_ground
from geoagent.data.synth.finish import develop, seen
from geoagent.data.synth.georeference import locate
from geoagent.data.synth.landscapes import KINDS, LANDSCAPES
from geoagent.data.synth.palette import draw_style
from geoagent.types import AnnotatedScene, GeoAgentError, SceneObject

RENDERED_CLASSES: frozenset[str] = frozenset(CLASSES)
"""Classes that the world can draw; a scene shows some of them and annotates all that it shows."""
MIN_SIDE, MAX_SIDE = 64, 8192


def _caption(place: str, objects: tuple[SceneObject, ...]) -> str:
    counts: dict[str, int] = {}
    for thing in objects:
        counts[thing.class_name] = counts.get(thing.class_name, 0) + 1
    named = [
        (info.plural if counts[name] > 1 and info.countable else info.name)
        for name, info in CLASSES.items()
        if name in counts
    ]
    article = "an" if place[0] in "aeiou" else "a"
    return f"{article} {place} scene with {', '.join(named[:6])}" if named else f"{article} {place} scene"


def render_scene(
    seed: int,
    size: int | tuple[int, int] = 512,
    *,
    landscape: str | None = None,
    gsd_m: float | None = None,
) -> AnnotatedScene:
    """Render an aerial scene with its truth; the same arguments always give the same scene.

    Args:
        seed: a non-negative number; every number is another scene.
        size: side in pixels, or ``(height, width)``.
        landscape: one of `LANDSCAPES`; None lets the seed decide.
        gsd_m: metres a pixel; None lets the seed decide within what suits the landscape.

    Returns:
        The scene: `complete` names the classes of which every visible object is annotated, `info` a made-up but
        possible place on Earth.

    Raises:
        GeoAgentError: if the landscape is unknown, or size or seed are out of range.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise GeoAgentError(f"cannot render {width} x {height} pixels: choose sides from {MIN_SIDE} to {MAX_SIDE}")
    if seed < 0:
        raise GeoAgentError(f"the seed {seed} is negative: choose 0 or more")
    if landscape is not None and landscape not in LANDSCAPES:
        raise GeoAgentError(f"the landscape {landscape!r} is unknown: choose one of {', '.join(LANDSCAPES)}")
    rng = np.random.default_rng([seed, height, width])
    chosen = LANDSCAPES[int(rng.integers(len(LANDSCAPES)))]
    kind = KINDS[landscape or chosen]
    low, high = kind.gsd_range
    gsd = round(math.exp(rng.uniform(math.log(low), math.log(high))), 3)
    if gsd_m is not None:
        gsd = gsd_m
    style = draw_style(rng, kind.season(rng))
    canvas = Canvas(height, width, gsd, style, rng)
    kind.draw(canvas)
    wear_ground(canvas)
    strew_heaps(canvas)
    stray_trees(canvas)
    canvas.flush()
    leaf_map = seen(canvas)
    image = develop(canvas, leaf_map, rng)
    objects, ignore, unknown = annotate(canvas, leaf_map)
    return AnnotatedScene(
        id=f"synth-{kind.name.replace(' ', '-')}-{seed}-{width}x{height}",
        image=image,
        objects=objects,
        complete=RENDERED_CLASSES - unknown,
        ignore=ignore,
        gsd_m=gsd,
        source="synth",
        info=locate(rng, height, width, gsd),
        place=kind.name,
        captions=(_caption(kind.name, objects),),
    )
