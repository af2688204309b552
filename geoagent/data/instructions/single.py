"""Questions about one object, only where it is clear which: the largest, the northernmost, the only, the red one."""

from collections.abc import Callable, Sequence
from math import hypot

from geoagent.colours import SIMILAR_COLOURS
from geoagent.data.classes import CLASSES
from geoagent.data.instructions import phrasing
from geoagent.data.instructions.draft import Draft, Draw, Referent
from geoagent.data.instructions.language import Noun
from geoagent.data.instructions.scene import SPECK, Thing

SIZE_MARGIN = 1.3
"""The largest has to be so many times larger than the next."""
_PLACE_MARGIN = 0.04
"""The leftmost has to lie so much further left, as a part of the image's side."""

SIDES: dict[str, tuple[int, int]] = {
    "left": (0, -1),
    "right": (0, 1),
    "top": (1, -1),
    "bottom": (1, 1),
    "west": (0, -1),
    "east": (0, 1),
    "north": (1, -1),
    "south": (1, 1),
}
"""Axis (0 across, 1 down) and sign of each side."""
COMPASS = ("north", "south", "west", "east")

UNPAINTED = frozenset({"tree", "palm tree", "swimming pool"})
"""Classes whose colour nobody would name to tell one from another."""
POINTED = frozenset({"airplane", "helicopter", "ship"})
"""Classes whose front shows from above."""
HEADINGS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def instance(draw: Draw) -> Draft | None:
    """One object of a class, told apart by place, size or look."""
    classes = [n for n in draw.index.askable(countable=True) if CLASSES[n].kind == "thing"]
    referent = single(draw, draw.shuffled_classes(classes)[:4])
    if referent is None:
        return None
    return Draft(
        question=draw.request(referent.asked),
        answer=draw.answer("instance", referent),
        referents=(referent,),
    )


def single(draw: Draw, classes: Sequence[str], *, among: Callable[[Thing], bool] | None = None) -> Referent | None:
    """One clearly identified object of the first of ``classes`` that has one; ``among`` may restrict which."""
    for name in classes:
        if not (draw.index.wholly_known(name) and CLASSES[name].kind == "thing"):
            continue
        things = draw.index.of(name)
        for key in draw.shuffled(_keys(draw, things)):
            found = pick(draw, key, things)
            if found is not None and found[0].area >= SPECK and (among is None or among(found[0])):
                return _referent(draw, name, key, *found)
    return None


def _keys(draw: Draw, things: Sequence[Thing]) -> list[str]:
    if len(things) == 1:
        return ["only"]
    places = list(SIDES) if draw.index.north_up else [side for side in SIDES if side not in COMPASS]
    return [draw.choose(places), draw.choose(places), "largest", "smallest", "centre", "colour", "heading"]


def _referent(draw: Draw, name: str, key: str, thing: Thing, values: dict[str, str]) -> Referent:
    noun = draw.noun(name)
    asked, phrase, _ = draw.describe("instance", key, noun, 1, **values)
    reasons = why(draw, "place" if key in SIDES else key).format(all=len(draw.index.of(name)))
    return _one(name, asked, f"the {phrase}", thing, reasons)


def _one(name: str, asked: str, phrase: str, thing: Thing | None, reasons: str) -> Referent:
    return Referent(
        asked=asked,
        phrase=phrase,
        class_name=name,
        things=() if thing is None else (thing,),
        article=False,
        plural=False,
        granularity="instance",
        facts={"why": reasons, "n": 1},
    )


def why(draw: Draw, key: str) -> str:
    """A clause that says what sets the object apart."""
    return draw.choose(phrasing.answers("why", key))


def in_vain(draw: Draw, name: str) -> Referent:
    """One object of a class that the scene does not show."""
    noun: Noun = draw.noun(name)
    places = [*SIDES, "largest", "smallest", "centre"] if draw.index.north_up else ["left", "right", "top", "largest"]
    asked, _, _ = draw.describe("instance", draw.choose(places), noun, 1)
    return _one(name, asked, noun.one, None, "")


def pick(draw: Draw, key: str, things: Sequence[Thing]) -> tuple[Thing, dict[str, str]] | None:
    """The one of ``things`` that ``key`` singles out with a clear margin, and the words it needs."""
    if key == "only":
        return things[0], {}
    if key in SIDES:
        axis, sign = SIDES[key]
        return _foremost(things, [sign * t.centre[axis] for t in things], _PLACE_MARGIN * draw.index.side)
    if key == "centre":
        middle = (draw.index.width / 2, draw.index.height / 2)
        out = [hypot(t.centre[0] - middle[0], t.centre[1] - middle[1]) for t in things]
        if min(out) > draw.index.side / 4:
            return None
        return _foremost(things, [-d for d in out], _PLACE_MARGIN * draw.index.side)
    if key in ("largest", "smallest"):
        return _by_size(things, key)
    return _by_look(draw, things, key)


def _foremost(things: Sequence[Thing], values: list[float], margin: float) -> tuple[Thing, dict[str, str]] | None:
    order = sorted(range(len(things)), key=values.__getitem__, reverse=True)
    clear = values[order[0]] - values[order[1]] >= margin
    return (things[order[0]], {}) if clear else None


def _by_size(things: Sequence[Thing], key: str) -> tuple[Thing, dict[str, str]] | None:
    order = sorted(things, key=lambda t: t.area, reverse=key == "largest")
    first, second = order[0], order[1]
    ratio = max(first.area, second.area) / min(first.area, second.area)
    # What the border cuts may be larger than it looks: it can be the largest, but nothing can be smaller for sure.
    unclear = first.cut if key == "smallest" else any(t.cut and t.area * 3 > first.area for t in order[1:])
    return None if unclear or ratio < SIZE_MARGIN else (first, {})


def _by_look(draw: Draw, things: Sequence[Thing], key: str) -> tuple[Thing, dict[str, str]] | None:
    thing = draw.choose(things)
    others = [t for t in things if t is not thing]
    if key == "colour":
        colour = colour_word(thing)
        if colour is None or any(colour_match(t, colour) is not False for t in others):
            return None
        return thing, {"colour": colour}
    heading = heading_word(thing) if draw.index.north_up else None
    if heading is None or any(heading_match(t, heading) is not False for t in others):
        return None
    return thing, {"heading": heading}


def colour_word(thing: Thing) -> str | None:
    """The colour by which one may speak of ``thing``."""
    colour: str | None = thing.source.attributes.get("colour")
    return None if thing.class_name in UNPAINTED else colour


def colour_match(thing: Thing, colour: str) -> bool | None:
    """Whether ``thing`` has the colour; None where it is unknown or could be called so."""
    own = colour_word(thing)
    if own is None or own in SIMILAR_COLOURS.get(colour, frozenset()):
        return None
    return bool(own == colour)


def heading_word(thing: Thing) -> str | None:
    """The point of the compass that ``thing`` clearly heads for."""
    if thing.class_name not in POINTED or "heading_deg" not in thing.source.attributes:
        return None
    return next((word for word in HEADINGS if heading_match(thing, word)), None)


def heading_match(thing: Thing, word: str) -> bool | None:
    """Whether ``thing`` heads for ``word``; None where that is unknown or a matter of taste."""
    degrees = thing.source.attributes.get("heading_deg")
    if degrees is None or thing.class_name not in POINTED:
        return None
    off = abs((float(degrees) - 45 * HEADINGS.index(word) + 180) % 360 - 180)
    return True if off <= 20 else False if off >= 40 else None
