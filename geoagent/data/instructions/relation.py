"""Questions about where objects lie to something else: beside, near, inside, along, within metres, between."""

from collections.abc import Callable, Sequence

import numpy as np

from geoagent.data.classes import CLASSES, lookalikes, members
from geoagent.data.instructions.draft import Draft, Draw, Referent, whole_class
from geoagent.data.instructions.scene import SPECK, Thing
from geoagent.data.instructions.single import single, why
from geoagent.data.instructions.subset import draft_about, subset

_DIRECTIONS: dict[str, tuple[int, int]] = {
    "left_of": (0, -1),
    "right_of": (0, 1),
    "above": (1, -1),
    "below": (1, 1),
    "west_of": (0, -1),
    "east_of": (0, 1),
    "north_of": (1, -1),
    "south_of": (1, 1),
}
"""Axis (0 across, 1 down) and sign of each direction."""
_COMPASS = ("west_of", "east_of", "north_of", "south_of")
_ON = frozenset({
    "road", "unpaved road", "bridge", "runway", "apron", "parking lot", "harbor", "water", "sea", "river", "lake",
    "flood water", "beach", "farmland", "grass", "bare land", "building", "paved area",
})  # fmt: skip
_INSIDE = frozenset({"stadium", "solar farm", "forest", "roundabout", "ground track field", "vegetation"})
_ALONG = frozenset({"road", "unpaved road", "railway", "river", "runway", "beach"})
_CLOSE = 0.04
"""Near means within this part of the image's side; three times as far is not near."""
_SURROUNDED, _NOT_SURROUNDED = 0.6, 0.1
_METRES = (5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500)
_UNSURE_METRES = 0.15
_TRIES = 8


def relation(draw: Draw) -> Draft | None:
    """Objects by where they lie to another, named one."""
    index = draw.index
    asked = [n for n in index.askable(countable=True) if CLASSES[n].kind == "thing"]
    anchors = [n for n in index.askable() if CLASSES[n].kind != "part"]
    if not asked or len(anchors) < 2:
        return None
    for _ in range(_TRIES):
        name, anchor = draw.choose_class(asked), draw.choose_class(anchors)
        if (members(name) | lookalikes(name)) & (members(anchor) | lookalikes(anchor)):
            continue
        found = draw.choose(_MAKERS)(draw, name, anchor)
        if found is not None:
            if "why" in found.facts:
                return Draft(
                    question=draw.request(found.asked), answer=draw.answer("instance", found), referents=(found,)
                )
            return draft_about(draw, "relation", found)
    return None


def _one_anchor(draw: Draw, name: str) -> tuple[str, tuple[Thing, ...]] | None:
    """An anchor that is a single thing, and how to call it."""
    if CLASSES[name].kind == "thing":
        referent = single(draw, [name])
        return None if referent is None else (referent.phrase, referent.things)
    things = draw.index.of(name)
    return (_definite(draw, name), things) if len(things) == 1 else None


def _any_anchor(draw: Draw, name: str) -> tuple[str, tuple[Thing, ...]] | None:
    """An anchor that may be all of a class: the roads."""
    if CLASSES[name].kind == "thing" and len(draw.index.of(name)) > 1 and draw.chance(0.5):
        return _one_anchor(draw, name)
    return _definite(draw, name), draw.index.of(name)


def _definite(draw: Draw, name: str) -> str:
    return f"the {whole_class(draw, name).phrase}"


def _beside(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    anchor = _one_anchor(draw, anchor_name)
    if anchor is None:
        return None
    called, (thing,) = anchor
    keys = list(_DIRECTIONS) if draw.index.north_up else [key for key in _DIRECTIONS if key not in _COMPASS]
    key = draw.choose(keys)
    axis, sign = _DIRECTIONS[key]
    if thing.box[axis + 2] - thing.box[axis] > 0.4 * (draw.index.width, draw.index.height)[axis]:
        return None
    verdicts = [lies_beyond(t, thing, axis, sign) for t in draw.index.of(name)]
    return subset(draw, "relation", key, name, verdicts, anchor=called)


def lies_beyond(thing: Thing, anchor: Thing, axis: int, sign: int) -> bool | None:
    """Whether ``thing`` lies wholly beyond that side of ``anchor``; None where it only partly does."""
    near, far = thing.box[axis], thing.box[axis + 2]
    start, end = anchor.box[axis], anchor.box[axis + 2]
    if (far <= start) if sign < 0 else (near >= end):
        return True
    centre = thing.centre[axis]
    return False if (centre > start if sign < 0 else centre < end) else None


def _near(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    anchor = _any_anchor(draw, anchor_name)
    if anchor is None:
        return None
    called, things = anchor
    reach = max(6.0, _CLOSE * draw.index.side)
    gaps = draw.index.distances(draw.index.of(name), things)
    verdicts = [True if gap <= reach else False if gap >= 3 * reach else None for gap in gaps]
    return subset(draw, "relation", "near", name, verdicts, anchor=called)


def _nearest(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    anchor = _any_anchor(draw, anchor_name)
    things = draw.index.of(name)
    if anchor is None or len(things) < 2 or not draw.index.wholly_known(name):
        return None
    called, others = anchor
    gaps = draw.index.distances(things, others)
    first, second = (int(i) for i in np.argsort(gaps, kind="stable")[:2])
    if gaps[second] < 1.4 * gaps[first] + 0.02 * draw.index.side or things[first].area < SPECK:
        return None
    noun = draw.noun(name)
    asked, phrase, _ = draw.describe("relation", "nearest", noun, 1, anchor=called)
    return Referent(
        asked=asked,
        phrase=f"the {phrase}",
        class_name=name,
        things=(things[first],),
        unsure=draw.index.lookalikes(name),
        article=False,
        plural=False,
        granularity="instance",
        facts={"n": 1, "all": len(things), "why": why(draw, "nearest").format(all=len(things))},
    )


def _in_or_on(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    if anchor_name not in _ON | _INSIDE:
        return None
    called, anchors = _definite(draw, anchor_name), draw.index.of(anchor_name)
    ground = draw.index.mask(anchors)
    clutter = draw.index.clutter & ~ground
    verdicts: list[bool | None] = []
    for thing in draw.index.of(name):
        share = draw.index.surrounded(thing, ground, clutter)
        verdicts.append(True if share >= _SURROUNDED else False if share <= _NOT_SURROUNDED else None)
    return subset(draw, "relation", "on_top" if anchor_name in _ON else "inside", name, verdicts, anchor=called)


def _along(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    # Traffic is on a road or a bridge, not along something.
    if anchor_name not in _ALONG or name in members("vehicle"):
        return None
    reach = max(8.0, _CLOSE * draw.index.side)
    gaps = draw.index.distances(draw.index.of(name), draw.index.of(anchor_name))
    verdicts = [_alongside(t, float(gap), reach) for t, gap in zip(draw.index.of(name), gaps, strict=True)]
    return subset(draw, "relation", "along", name, verdicts, anchor=_definite(draw, anchor_name))


def _alongside(thing: Thing, gap: float, reach: float) -> bool | None:
    """Beside, but not far off for its own size."""
    if gap <= reach and gap <= 1.5 * max(thing.source.crop.shape) + 2:
        return True
    return False if gap >= 2.5 * reach else None


def _metres(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    gsd_m = draw.index.scene.gsd_m
    anchor = None if gsd_m is None else _any_anchor(draw, anchor_name)
    if gsd_m is None or anchor is None:
        return None
    called, things = anchor
    gaps = draw.index.distances(draw.index.of(name), things) * gsd_m
    limits = [m for m in _METRES if gaps.min() < m < gaps.max() and m > 6 * gsd_m]
    if not limits:
        return None
    limit = draw.choose(limits)
    key = draw.choose(["within_m", "within_m", "beyond_m"])
    verdicts = [
        None if abs(gap - limit) < _UNSURE_METRES * limit else bool((gap < limit) == (key == "within_m"))
        for gap in gaps
    ]
    return subset(draw, "relation", key, name, verdicts, anchor=called, n=limit)


def _between(draw: Draw, name: str, anchor_name: str) -> Referent | None:
    index = draw.index
    others = [n for n in index.askable(countable=True) if n not in members(name) | members(anchor_name)]
    others = [n for n in others if name not in members(n) and anchor_name not in members(n)]
    if not others:
        return None
    first, second = _one_anchor(draw, anchor_name), _one_anchor(draw, draw.choose(others))
    if first is None or second is None or CLASSES[anchor_name].kind != "thing":
        return None
    verdicts = [lies_between(t, first[1][0], second[1][0]) for t in index.of(name)]
    return subset(draw, "relation", "between", name, verdicts, anchor=first[0], other=second[0])


def lies_between(thing: Thing, first: Thing, second: Thing) -> bool | None:
    """Whether the centre lies in the middle of the line between two others and close to it; None for near misses."""
    start, way = np.array(first.centre), np.array(second.centre) - np.array(first.centre)
    length = float(np.hypot(*way))
    offset = np.array(thing.centre) - start
    forward = float(offset @ way) / length**2 if length else -1.0
    aside = abs(float(way[0] * offset[1] - way[1] * offset[0])) / length**2 if length else 1.0
    if 0.2 <= forward <= 0.8 and aside <= 0.2:
        return True
    return False if forward < 0 or forward > 1 or aside > 0.4 else None


_Maker = Callable[[Draw, str, str], Referent | None]
_MAKERS: Sequence[_Maker] = (_beside, _beside, _near, _nearest, _in_or_on, _in_or_on, _along, _metres, _between)
