"""Questions about some objects of a class: by place in the image, size, colour or heading.

Objects that are neither clearly meant nor clearly not are left unjudged; a question is dropped where they outnumber
the others.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from geoagent.data.classes import CLASSES
from geoagent.data.instructions.draft import Draft, Draw, Referent
from geoagent.data.instructions.scene import SPECK, Thing
from geoagent.data.instructions.single import HEADINGS, colour_match, colour_word, heading_match, heading_word

Region = tuple[float, float, float, float]

_INSIDE = 0.9
"""So much of an object has to lie in a region to be in it, and at most one minus that to be out."""
_SIZE_GAP = 1.7
"""Ratio of areas between the smallest large and the largest small object."""
_NEAR_LIMIT = 0.15
"""Objects within this part of an area limit are left unjudged."""
_LIMITS_M2 = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000)
_LEFT_OUT = 0.1
"""A question about some of a class leaves out at least this part of it."""
_TRIES = 4


def parted(
    draw: Draw, name: str, things: Sequence[Thing], verdicts: Iterable[bool | None]
) -> tuple[tuple[Thing, ...], tuple[Thing, ...]] | None:
    """What is meant and what is left unjudged; None where all or nothing is meant, or too much is unclear."""
    judged = list(zip(things, verdicts, strict=True))
    meant = tuple(t for t, verdict in judged if verdict)
    unsure = tuple(t for t, verdict in judged if verdict is None)
    left_out = len(things) - len(meant) - len(unsure)
    if sum(t.area for t in meant) < SPECK or len(unsure) > len(meant) or left_out < max(1, _LEFT_OUT * len(things)):
        return None
    return meant, unsure + draw.index.lookalikes(name)


def subset(
    draw: Draw, kind: str, key: str, name: str, verdicts: Iterable[bool | None], **words: str | int
) -> Referent | None:
    """The objects of ``name`` with a true verdict, described by the list ``key`` of ``kind``."""
    things = draw.index.of(name)
    found = parted(draw, name, things, verdicts)
    if found is None:
        return None
    meant, unsure = found
    noun = draw.noun(name)
    asked, phrase, plural = draw.describe(kind, key, noun, len(meant), **words)
    return Referent(
        asked=asked,
        phrase=phrase,
        class_name=name,
        things=meant,
        unsure=unsure,
        plural=plural,
        granularity="class" if len(meant) > 1 else "instance",
        facts={"n": len(meant), "all": len(things)} if draw.index.wholly_known(name) else {},
    )


def _first(draw: Draw, kind: str, at_least: int, describe: Callable[[Draw, str], Referent | None]) -> Draft | None:
    """A draft about the first class for which ``describe`` finds something to say."""
    classes = [n for n in draw.index.askable(countable=True, at_least=at_least) if CLASSES[n].kind == "thing"]
    for name in draw.shuffled_classes(classes)[:_TRIES]:
        referent = describe(draw, name)
        if referent is not None:
            return draft_about(draw, kind, referent)
    return None


def draft_about(draw: Draw, kind: str, referent: Referent) -> Draft:
    """A request for a referent, and the answer that its kind of question gets."""
    return Draft(question=draw.request(referent.asked), answer=draw.answer(kind, referent), referents=(referent,))


# ------------------------------------------------------------------------------ where in the image


def position(draw: Draw) -> Draft | None:
    """Objects in a half, quarter, third, in the middle or at the border."""
    return _first(draw, "position", 2, _placed)


def _placed(draw: Draw, name: str) -> Referent | None:
    things = draw.index.of(name)
    for key in draw.shuffled(["half", "half", "quarter", "third", "middle", "edge"])[:_TRIES]:
        if key == "edge":
            found = subset(draw, "position", key, name, [_at_edge(draw, t) for t in things])
        else:
            side, region = _region(draw, key)
            words = {"side": side} if side else {}
            found = subset(draw, "position", key, name, [_inside(t, region) for t in things], **words)
        if found is not None:
            return found
    return None


def _inside(thing: Thing, region: Region) -> bool | None:
    share = thing.share_in(region)
    return True if share >= _INSIDE else False if share <= 1 - _INSIDE else None


def _at_edge(draw: Draw, thing: Thing) -> bool | None:
    if thing.cut:
        return True
    x0, y0, x1, y1 = thing.box
    gap = min(x0, y0, draw.index.width - x1, draw.index.height - y1)
    return None if gap < 4 else False


def _region(draw: Draw, key: str) -> tuple[str, Region]:
    """A region of the image and what one calls it."""
    compass = draw.index.north_up and draw.chance(0.4)
    across, down = int(draw.rng.integers(2)), int(draw.rng.integers(2))
    columns = ("western", "eastern") if compass else ("left", "right")
    rows = ("northern", "southern") if compass else (("upper", "lower"), ("top", "bottom"))[int(draw.rng.integers(2))]
    if key == "middle":
        return "", _box(draw, 0.3, 0.3, 0.7, 0.7)
    if key == "quarter":
        joined = ("north", "south")[down] + ("western", "eastern")[across]
        side = joined if compass else f"{rows[down]} {columns[across]}"
        return side, _box(draw, across / 2, down / 2, (across + 1) / 2, (down + 1) / 2)
    size = 1 / 2 if key == "half" else 1 / 3
    if draw.chance(0.5):
        start = across * (1 - size)
        return columns[across], _box(draw, start, 0, start + size, 1)
    start = down * (1 - size)
    return rows[down], _box(draw, 0, start, 1, start + size)


def _box(draw: Draw, x0: float, y0: float, x1: float, y1: float) -> Region:
    width, height = draw.index.width, draw.index.height
    return x0 * width, y0 * height, x1 * width, y1 * height


# ------------------------------------------------------------------------------ how large


def size(draw: Draw) -> Draft | None:
    """Large or small ones, where a gap parts them, or those beyond an area in square metres."""
    return _first(draw, "size", 2, _sized)


def _sized(draw: Draw, name: str) -> Referent | None:
    things = draw.index.of(name)
    if draw.index.scene.gsd_m is not None and draw.chance(0.5):
        found = _beyond_limit(draw, name, things, draw.index.scene.gsd_m)
        if found is not None:
            return found
    return _large_or_small(draw, name, things)


def _large_or_small(draw: Draw, name: str, things: Sequence[Thing]) -> Referent | None:
    areas = sorted(t.area for t in things if not t.cut)
    if len(areas) < 3:
        return None
    ratios = [high / low for low, high in pairwise(areas)]
    widest = max(range(len(ratios)), key=ratios.__getitem__)
    if ratios[widest] < _SIZE_GAP:
        return None
    floor = areas[widest + 1]
    key = draw.choose(["large", "small"])
    verdicts = [None if t.cut and t.area < floor else (t.area >= floor) == (key == "large") for t in things]
    return subset(draw, "size", key, name, verdicts)


def _beyond_limit(draw: Draw, name: str, things: Sequence[Thing], gsd_m: float) -> Referent | None:
    ground = [t.area * gsd_m**2 for t in things]
    limits = [limit for limit in _LIMITS_M2 if min(ground) < limit < max(ground)]
    if not limits:
        return None
    limit = draw.choose(limits)
    key = draw.choose(["above", "below"])
    verdicts: list[bool | None] = []
    for thing, area in zip(things, ground, strict=True):
        unclear = abs(area - limit) < _NEAR_LIMIT * limit or (thing.cut and area < limit)
        verdicts.append(None if unclear else (area > limit) == (key == "above"))
    unit = draw.choose(["square metres", "square meters", "m2"])
    return subset(draw, "size", key, name, verdicts, n=limit, unit=unit)


# ------------------------------------------------------------------------------ what they look like


def attribute(draw: Draw) -> Draft | None:
    """Objects of a colour, or heading for a point of the compass."""
    return _first(draw, "attribute", 2, _looking)


def _looking(draw: Draw, name: str) -> Referent | None:
    things = draw.index.of(name)
    example = draw.choose(things)
    heading = heading_word(example) if draw.index.north_up else None
    if heading in HEADINGS and draw.chance(0.5):
        return subset(draw, "attribute", "heading", name, [heading_match(t, heading) for t in things], heading=heading)
    colour = colour_word(example)
    if colour is None:
        return None
    return subset(draw, "attribute", "colour", name, [colour_match(t, colour) for t in things], colour=colour)
