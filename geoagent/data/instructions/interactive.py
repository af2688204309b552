"""Questions with a finger on the image: a point, a box or a scribble, and a short text or none."""

from collections.abc import Callable, Mapping

import numpy as np

from geoagent.data.classes import CLASSES
from geoagent.data.instructions.draft import Draft, Draw, Referent
from geoagent.data.instructions.language import Noun, agreement, article_for, sentence_case
from geoagent.data.instructions.part import parts_of
from geoagent.data.instructions.phrasing import answers, part_short_name
from geoagent.data.instructions.scene import SPECK, Thing
from geoagent.types import Prompts

_NEGATIVE_POINTS = 0.15
_LOOSE_BOX = 0.06
"""Sides of a drawn box miss those of the object by up to this part of its size."""
_MOST_ANCHORS = 6
_UNNAMED = "what you marked"
"""The language model does not see where somebody points: only a text that names the thing lets it name it. An answer
with a guessed name would draw the mask to that instead of to the mark."""


def interactive(draw: Draw) -> Draft | None:
    """Something pointed at: itself, its class, or its part."""
    candidates = [t for t in draw.index.things if t.owner is None and t.area >= SPECK]
    if not candidates:
        return None
    # Choose the class first: otherwise nearly every click would be on a tree or a car.
    name = draw.choose(sorted({t.class_name for t in candidates}))
    thing = draw.choose([t for t in candidates if t.class_name == name])
    prompts = _DRAWN[draw.choose(tuple(_DRAWN))](draw, thing)
    if prompts is None:
        return None
    manner = draw.rng.random()
    if manner < 0.25:
        return _about_object(draw, thing, prompts, None)
    if manner < 0.8:
        key = draw.choose(["object", "ask", "named"])
        return _about_object(draw, thing, prompts, key)
    return _about_part(draw, thing, prompts) or _about_class(draw, thing, prompts)


def _about_object(draw: Draw, thing: Thing, prompts: Prompts, key: str | None) -> Draft:
    noun = draw.noun(thing.class_name, main=0.8)
    named = key == "named"
    single = not CLASSES[thing.class_name].mass
    phrase = noun.one if single else noun.many
    referent = Referent(
        asked="",
        phrase=phrase if named else _UNNAMED,
        class_name=thing.class_name,
        things=(thing,),
        article=False,
        plural=named and noun.is_plural(1),
        granularity="instance",
        facts={"a": article_for(noun.one) if single and named else ""},
    )
    question = "" if key is None else _ask(draw, key, noun)
    told = "object" if named else "unknown" if key == "ask" else "unnamed"
    return Draft(
        question=question,
        answer=draw.answer(told, referent),
        referents=(referent,),
        prompts=prompts,
        exact=key is None,
    )


def _ask(draw: Draw, key: str, noun: Noun, **values: str) -> str:
    text = draw.wording("interactive", key, without_singular=not noun.has_singular and key != "named")
    return sentence_case(text.format(x=noun.many, one=noun.one, **values))


def _about_class(draw: Draw, thing: Thing, prompts: Prompts) -> Draft | None:
    noun = draw.noun(thing.class_name)
    if not noun.has_singular:
        return _about_object(draw, thing, prompts, "object")
    things = draw.index.of(thing.class_name)
    referent = Referent(
        asked="",
        phrase=noun.counted(len(things)),
        class_name=thing.class_name,
        things=things,
        unsure=draw.index.lookalikes(thing.class_name),
        plural=noun.is_plural(len(things)),
    )
    told = draw.choose(answers("class")).format(t=referent.marked, **agreement(plural=referent.plural))
    return Draft(question=_ask(draw, "class", noun), answer=told, referents=(referent,), prompts=prompts)


def _about_part(draw: Draw, thing: Thing, prompts: Prompts) -> Draft | None:
    names = sorted({t.class_name for t in draw.index.things if t.owner == thing.number})
    if not names:
        return None
    name = draw.choose(names)
    parts = parts_of(draw, name, thing)
    noun, whole = draw.noun(name), draw.noun(thing.class_name)
    short, shorts = part_short_name(name)
    referent = Referent(
        asked="",
        phrase=noun.counted(len(parts)),
        class_name=name,
        things=parts,
        plural=noun.is_plural(len(parts)),
        granularity="part",
    )
    text = draw.wording("interactive", "part").format(one=whole.one, part=short, parts=shorts)
    return Draft(
        question=sentence_case(text),
        answer=draw.answer("interactive_part", referent),
        referents=(referent,),
        prompts=prompts,
    )


# ------------------------------------------------------------------------------ the finger


def _pixels(draw: Draw, thing: Thing, number: int) -> list[tuple[float, float]]:
    """Random pixels of ``thing``, off its outline where it has an inside, and of no other thing."""
    crop = thing.source.crop
    inner = np.zeros_like(crop)
    inner[1:-1, 1:-1] = crop[1:-1, 1:-1] & crop[:-2, 1:-1] & crop[2:, 1:-1] & crop[1:-1, :-2] & crop[1:-1, 2:]
    ys, xs = np.nonzero(inner if inner.any() else crop)
    found: list[tuple[float, float]] = []
    for _ in range(4 * number):
        i = int(draw.rng.integers(len(xs)))
        x, y = int(xs[i]) + thing.box[0], int(ys[i]) + thing.box[1]
        if not any(t.covers(x, y) for t in draw.index.things if t.owner is None and t is not thing):
            found.append((x + 0.5, y + 0.5))
        if len(found) == number:
            break
    return found


def point(draw: Draw, thing: Thing) -> Prompts | None:
    """One to three clicks on the thing, now and then one on another that is not meant."""
    clicks = [(x, y, True) for x, y in _pixels(draw, thing, int(draw.rng.integers(1, 4)))]
    if not clicks:
        return None
    others = [t for t in draw.index.things if t.owner is None and t.class_name == thing.class_name and t is not thing]
    if others and draw.chance(_NEGATIVE_POINTS):
        clicks += [(x, y, False) for x, y in _pixels(draw, draw.choose(others), 1)]
    return Prompts(points=tuple(clicks))


def box(draw: Draw, thing: Thing) -> Prompts | None:
    """A box around the thing, drawn by hand."""
    x0, y0, x1, y1 = thing.box
    slack = draw.rng.uniform(-_LOOSE_BOX, _LOOSE_BOX, 4) * np.array([x1 - x0, y1 - y0] * 2)
    left, top, right, bottom = (float(v) for v in np.array(thing.box) + slack)
    width, height = draw.index.width, draw.index.height
    return Prompts(boxes=((max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)),))


def scribble(draw: Draw, thing: Thing) -> Prompts | None:
    """A line over the thing, along its longer side."""
    dots = _pixels(draw, thing, int(draw.rng.integers(3, _MOST_ANCHORS + 1)))
    if len(dots) < 2:
        return None
    x0, y0, x1, y1 = thing.box
    axis = 0 if x1 - x0 >= y1 - y0 else 1
    return Prompts(scribbles=(tuple(sorted(dots, key=lambda dot: dot[axis])),))


_DRAWN: Mapping[str, Callable[[Draw, Thing], Prompts | None]] = {"point": point, "box": box, "scribble": scribble}
