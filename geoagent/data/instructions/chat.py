"""Small talk and plain questions: a useful reply, and nothing to mark."""

from geoagent.data.classes import CLASSES
from geoagent.data.instructions import phrasing
from geoagent.data.instructions.draft import Draft, Draw
from geoagent.data.instructions.language import article_for, join

_PLURAL_PLACES = ("s", "farmland")


def chat(draw: Draw) -> Draft | None:
    """Hello, thanks, what is this place, and what has nothing to do with images."""
    topic = draw.choose(("hello", "thanks", "bye", "help", "off_topic", "place", "place", "contents", "contents"))
    question = draw.wording("chat", topic)
    if topic == "place":
        told = _place(draw)
    elif topic == "contents":
        told = _contents(draw)
    else:
        told = draw.choose(phrasing.answers("chat", topic))
    return None if told is None else Draft(question=question, answer=told)


def _place(draw: Draw) -> str | None:
    scene = draw.index.scene
    if scene.captions and (scene.place is None or draw.chance(0.3)):
        return draw.choose(scene.captions)
    if scene.place is None:
        return None
    place = scene.place if scene.place.endswith(_PLURAL_PLACES) else article_for(scene.place) + scene.place
    return draw.choose(phrasing.answers("chat", "place")).format(place=place)


def _contents(draw: Draw) -> str | None:
    """What there is to see, the largest first."""
    index = draw.index
    area = {name: sum(t.area for t in index.of(name)) for name in dict.fromkeys(t.class_name for t in index.things)}
    names = sorted((n for n in area if CLASSES[n].kind != "part"), key=lambda n: -area[n])[:5]
    if not names:
        return None
    called = [_called(name, len(index.of(name))) for name in names]
    return draw.choose(phrasing.answers("chat", "contents")).format(things=join(called))


def _called(name: str, number: int) -> str:
    info = CLASSES[name]
    if info.mass:
        return name
    return f"{article_for(name)}{name}" if number == 1 else info.plural
