"""Questions about parts: all of a kind, or those of one object."""

from geoagent.data.classes import CLASSES
from geoagent.data.instructions import phrasing
from geoagent.data.instructions.draft import Draft, Draw, Referent
from geoagent.data.instructions.scene import Thing
from geoagent.data.instructions.single import single
from geoagent.data.instructions.subset import draft_about

_LEAST_AREA = 8
"""Pixels below which a part cannot be made out."""


def part(draw: Draw) -> Draft | None:
    """The wings of all airplanes, or of the largest one."""
    classes = [n for n in draw.index.askable() if CLASSES[n].kind == "part"]
    if not classes:
        return None
    name = draw.choose(classes)
    one = _of_one(draw, name) if draw.chance(0.45) else None
    return draft_about(draw, "part", one or _of_all(draw, name))


def whole_of(name: str) -> str:
    """The class that ``name`` is a part of."""
    whole = CLASSES[name].part_of
    if whole is None:
        raise ValueError(f"{name!r} is no part")
    return whole


def parts_of(draw: Draw, name: str, owner: Thing) -> tuple[Thing, ...]:
    """The parts of class ``name`` that belong to ``owner``."""
    return tuple(t for t in draw.index.of(name) if t.owner == owner.number)


def _of_all(draw: Draw, name: str) -> Referent:
    noun, whole = draw.noun(name), draw.noun(whole_of(name))
    short, shorts = phrasing.part_short_name(name)
    asked = draw.wording("part", "all").format(
        x=noun.many, one=noun.one, part=short, parts=shorts, whole=whole.one, wholes=whole.many
    )
    things = draw.index.of(name)
    return Referent(
        asked=asked,
        phrase=noun.counted(len(things)),
        class_name=name,
        things=things,
        unsure=draw.index.lookalikes(name),
        plural=noun.is_plural(len(things)),
        granularity="part",
    )


def _of_one(draw: Draw, name: str) -> Referent | None:
    def has_part(thing: Thing) -> bool:
        return sum(t.area for t in parts_of(draw, name, thing)) >= _LEAST_AREA

    owner = single(draw, [whole_of(name)], among=has_part)
    return None if owner is None else part_of_one(draw, name, owner)


def part_of_one(draw: Draw, name: str, owner: Referent) -> Referent:
    """The parts of class ``name`` of one object."""
    things = parts_of(draw, name, owner.things[0])
    short, shorts = phrasing.part_short_name(name)
    asked = draw.wording("part", "single").format(parts=short if len(things) == 1 else shorts, owner=owner.asked)
    return Referent(
        asked=asked,
        phrase=f"{short if len(things) == 1 else shorts} of {owner.phrase}",
        class_name=name,
        things=things,
        plural=len(things) != 1,
        granularity="part",
    )
