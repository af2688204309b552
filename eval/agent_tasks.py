"""Multi-step tasks on rendered scenes, with exact answers and the calls that lead to them.

The truth is worked out from the labels with distance transforms and pixel counts, apart from the code of the tools.
Scenes lie in UTM with square pixels; areas of the map and of the ground differ there by less than 0.3 %.
"""

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eval.agent_planner import Call, Plan
from geoagent.data.classes import CLASSES, members
from geoagent.data.synth import render_scene
from geoagent.types import AnnotatedScene, Mask, SceneObject

LANDSCAPES = ("port", "town", "airport", "farmland", "flooded")
SIDE = 320
_FEW, _MANY = 3, 40


@dataclass(frozen=True, kw_only=True)
class Task:
    """A question with its truth."""

    id: str
    family: str
    question: str
    images: tuple[AnnotatedScene, ...]
    """Their ids are the names of the image files."""
    answer: float
    tolerance: float
    """Relative; absolute around 0."""
    plan: Callable[[], Plan]
    """The right calls."""

    def is_right(self, value: float | None) -> bool:
        """Whether an answer lies within tolerance."""
        if value is None:
            return False
        return abs(value - self.answer) <= max(self.tolerance * abs(self.answer), 1e-6)


@dataclass(frozen=True)
class _Subject:
    """A scene, a class to ask about and its objects."""

    scene: AnnotatedScene
    name: str
    things: tuple[SceneObject, ...]

    @property
    def plural(self) -> str:
        return CLASSES[self.name].plural

    @property
    def mask(self) -> Mask:
        return self.scene.union(self.things)

    @property
    def gsd(self) -> float:
        return self.scene.gsd_m or 1.0


Family = Callable[[_Subject, _Subject, int], Iterator[Task]]
FAMILIES: dict[str, Family] = {}


def _family(function: Family) -> Family:
    FAMILIES[function.__name__] = function
    return function


def make_tasks(count: int = 200, seed: int = 0) -> list[Task]:
    """``count`` tasks, the families in turn; the same arguments always give the same tasks."""
    streams = {name: _stream(name, seed) for name in FAMILIES}
    turns = itertools.cycle(streams.items())
    return [replace(next(stream), id=f"{name}-{n:03d}") for n, (name, stream) in zip(range(count), turns, strict=False)]


def _stream(name: str, seed: int) -> Iterator[Task]:
    """Tasks of a family over ever new scenes, no question twice."""
    asked: set[tuple[str, str]] = set()
    for number in itertools.count(seed):
        scene = _scene(number)
        present = set(scene.class_names())  # "paved areas" would take in the roads
        names = [n for n in sorted(present) if n in scene.complete and members(n) & present == {n}]
        subjects = [_Subject(scene, name, scene.of_class(name)) for name in names]
        things = [s for s in subjects if CLASSES[s.name].countable and _FEW <= len(s.things) <= _MANY]
        areas = [s for s in subjects if s.mask.mean() > 0.01]
        for thing, area in itertools.product(things[:3], areas[:3]):
            if thing.name != area.name:
                for task in FAMILIES[name](thing, area, number):
                    if (task.question, scene.id) not in asked:
                        asked.add((task.question, scene.id))
                        yield task


_SCENES: dict[int, AnnotatedScene] = {}


def _scene(number: int) -> AnnotatedScene:
    """Rendered once, since all families look at it."""
    if number not in _SCENES:
        scene = render_scene(90_000 + number, SIDE, landscape=LANDSCAPES[number % len(LANDSCAPES)])
        _SCENES[number] = replace(scene, id=f"scene-{number}")
    return _SCENES[number]


def _task(
    family: str,
    question: str,
    subject: _Subject,
    answer: float,
    plan: Callable[[], Plan],
    tolerance: float = 0.02,
    more: tuple[AnnotatedScene, ...] = (),
) -> Task:
    return Task(
        id="",
        family=family,
        question=f"{question} Answer with a number.",
        images=(subject.scene, *more),
        answer=answer,
        tolerance=tolerance,
        plan=plan,
    )


def _distances(things: tuple[SceneObject, ...], area: _Subject) -> NDArray[np.float64]:
    """From edge to edge in metres, by a distance transform between pixel centres (less one pixel)."""
    away = ndimage.distance_transform_edt(~area.mask) * area.gsd
    nearest = []
    for thing in things:
        x0, y0, x1, y1 = thing.box
        least = float(away[y0:y1, x0:x1][thing.crop].min())
        nearest.append(max(0.0, least - area.gsd))
    return np.array(nearest)


def _clear_distance(thing: _Subject, area: _Subject) -> float | None:
    """A distance that some objects keep and some do not, in the widest gap between them."""
    away = np.unique(_distances(thing.things, area))
    if len(away) < 2:
        return None
    gaps = np.diff(away)
    widest = int(gaps.argmax())
    return round(float(away[widest] + gaps[widest] / 2), 1) if gaps[widest] > 5 * thing.gsd else None


# ------------------------------------------------------------------------------------------------ steps of plans


def _find(scene: AnnotatedScene, *names: str) -> Generator[Call, dict[str, Any], list[dict[str, Any]]]:
    """List the images and segment each name in one of them; what was found, {} for nothing."""
    image = yield from _image(scene)
    found = []
    for name in names:
        answer = yield Call("segment", image_id=image, text=name)
        found.append((answer.get("found") or [{}])[0])
    return found


def _image(scene: AnnotatedScene) -> Generator[Call, dict[str, Any], str]:
    listed = yield Call("list_images", contains=f"{scene.id}.tif")
    return str(listed["images"][0]["image_id"])


def _says(value: object) -> str:
    return f"The answer is {value}."


def _nothing() -> str:
    return "I found nothing."


# ------------------------------------------------------------------------------------------------ families


@_family
def count(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How many?"""

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, thing.plural)
        return _says(found.get("objects", 0))

    yield _task("count", f"How many {thing.plural} are there?", thing, len(thing.things), plan, 0.0)


@_family
def area(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How large together?"""

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, area.plural)
        return _says(found.get("area_m2", 0))

    truth = float(area.mask.sum()) * area.gsd**2
    yield _task("area", f"What is the area of all {area.plural} in square metres?", thing, truth, plan)


@_family
def largest(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How large is the largest?"""

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, thing.plural)
        if not found:
            return _nothing()
        measured = yield Call("measure", mask_id=found["mask_id"])
        return _says(measured["by_area"][0]["area_m2"] if "by_area" in measured else measured["area_m2"])

    truth = max(one.area for one in thing.things) * thing.gsd**2
    yield _task("largest", f"How many square metres has the largest of the {thing.plural}?", thing, truth, plan)


@_family
def mean_size(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How large on average?"""

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, thing.plural)
        if not found:
            return _nothing()
        measured = yield Call("measure", mask_id=found["mask_id"])
        result = yield Call("calculate", expression=f"{_total(measured)} / {measured['objects']}")
        return _says(result["value"])

    truth = float(np.mean([one.area for one in thing.things])) * thing.gsd**2
    yield _task("mean_size", f"What is the mean area of the {thing.plural} in square metres?", thing, truth, plan)


@_family
def count_above(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How many are larger than …?"""
    sizes = np.sort([one.area * thing.gsd**2 for one in thing.things])
    ratio = sizes[1:] / sizes[:-1]
    if ratio.max() < 1.05:
        return
    place = int(ratio.argmax())
    limit = round(float(np.sqrt(sizes[place] * sizes[place + 1])), 2)

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, thing.plural)
        if not found:
            return _says(0)
        measured = yield Call("measure", mask_id=found["mask_id"], larger_than=limit)
        return _says(measured["objects"])

    question = f"How many {thing.plural} are larger than {limit} square metres?"
    yield _task("count_above", question, thing, int((sizes > limit).sum()), plan, 0.0)


@_family
def share_near(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """What share lies within … of …?"""
    metres = _clear_distance(thing, area)
    if metres is None:
        return

    def plan() -> Plan:
        a, b = yield from _find(thing.scene, thing.plural, area.plural)
        if not (a and b):
            return _nothing()
        near = yield Call("relate", mask_a=a["mask_id"], mask_b=b["mask_id"], relation="within", metres=metres)
        result = yield Call("calculate", expression=f"100 * {near['of_a']['share_of_objects']}")
        return _says(result["value"])

    truth = 100 * float((_distances(thing.things, area) <= metres).mean())
    question = f"What percentage of the {thing.plural} lies within {metres} m of the {area.plural}?"
    yield _task("share_near", question, thing, truth, plan, 0.001)


@_family
def count_far(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How many are farther away than …?"""
    metres = _clear_distance(thing, area)
    if metres is None:
        return

    def plan() -> Plan:
        a, b = yield from _find(thing.scene, thing.plural, area.plural)
        if not (a and b):
            return _nothing()
        near = yield Call("relate", mask_a=a["mask_id"], mask_b=b["mask_id"], relation="within", metres=metres)
        result = yield Call("calculate", expression=f"{a['objects']} - {near['of_a']['objects'].split()[0]}")
        return _says(result["value"])

    truth = int((_distances(thing.things, area) > metres).sum())
    question = f"How many {thing.plural} are farther than {metres} m from the {area.plural}?"
    yield _task("count_far", question, thing, truth, plan, 0.0)


@_family
def nearest(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How far is the farthest?"""
    away = _distances(thing.things, area)
    if away.max() < 25 * thing.gsd:
        return

    def plan() -> Plan:
        a, b = yield from _find(thing.scene, thing.plural, area.plural)
        if not (a and b):
            return _nothing()
        found = yield Call("relate", mask_a=a["mask_id"], mask_b=b["mask_id"], relation="nearest")
        return _says(found["farthest"])

    question = f"How many metres from the {area.plural} is the one of the {thing.plural} that is farthest from them?"
    yield _task("nearest", question, thing, float(away.max()), plan, 0.06)


@_family
def share_of_image(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """What share of the picture is …?"""

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, area.plural)
        result = yield Call("calculate", expression=f"100 * {found.get('share_of_image', 0)}")
        return _says(result["value"])

    truth = 100 * float(area.mask.mean())
    yield _task("share_of_image", f"What percentage of the image is covered by {area.plural}?", thing, truth, plan)


@_family
def ratio(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How many times as large?"""

    def plan() -> Plan:
        a, b = yield from _find(thing.scene, thing.plural, area.plural)
        if not (a and b):
            return _nothing()
        result = yield Call("calculate", expression=f"{b['area_m2']} / {a['area_m2']}")
        return _says(result["value"])

    truth = float(area.mask.sum() / thing.mask.sum())
    question = f"How many times as large as the area of the {thing.plural} is that of the {area.plural}?"
    yield _task("ratio", question, thing, truth, plan)


@_family
def union_area(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How large are both together, common parts once?"""

    def plan() -> Plan:
        a, b = yield from _find(thing.scene, thing.plural, area.plural)
        if not (a and b):
            return _nothing()
        both = yield Call("relate", mask_a=a["mask_id"], mask_b=b["mask_id"], relation="union")
        return _says(both["area_m2"])

    truth = float((thing.mask | area.mask).sum()) * thing.gsd**2
    question = f"How many square metres do the {thing.plural} and the {area.plural} cover together?"
    yield _task("union_area", question, thing, truth, plan)


@_family
def zone(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How large is what lies around …?"""
    metres = round(12 * thing.gsd, 1)
    around = ndimage.distance_transform_edt(~thing.mask) * thing.gsd - thing.gsd / 2 <= metres

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, thing.plural)
        if not found:
            return _nothing()
        grown = yield Call("buffer", mask_id=found["mask_id"], metres=metres)
        return _says(grown["area_m2"])

    truth = float(around.sum()) * thing.gsd**2
    question = f"How many square metres of the image lie within {metres} m of the {thing.plural}, these included?"
    yield _task("zone", question, thing, truth, plan, 0.05)


@_family
def second_largest(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """By how much is the largest larger than the second?"""
    sizes = np.sort([one.area for one in thing.things])[::-1] * thing.gsd**2
    if sizes[0] < 1.2 * sizes[1]:
        return

    def plan() -> Plan:
        (found,) = yield from _find(thing.scene, thing.plural)
        if not found:
            return _nothing()
        measured = yield Call("measure", mask_id=found["mask_id"])
        ranked = measured.get("by_area", [])
        if len(ranked) < 2:
            return _nothing()
        result = yield Call("calculate", expression=f"{ranked[0]['area_m2']} - {ranked[1]['area_m2']}")
        return _says(result["value"])

    question = f"How many square metres larger than the second largest is the largest of the {thing.plural}?"
    yield _task("second_largest", question, thing, float(sizes[0] - sizes[1]), plan, 0.03)


@_family
def appeared(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How many are new?"""
    yield from _change("appeared", thing, area, number)


@_family
def disappeared(thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    """How many are gone?"""
    yield from _change("disappeared", thing, area, number)


def _change(what: str, thing: _Subject, area: _Subject, number: int) -> Iterator[Task]:
    taken = thing.things[:: 2 + number % 2]
    less = _without(thing.scene, taken)
    before, after = (less, thing.scene) if what == "appeared" else (thing.scene, less)

    def plan() -> Plan:
        first = yield from _image(before)
        second = yield from _image(after)
        found = yield Call("compare", image_a=first, image_b=second, text=thing.plural)
        return _says(found[what]["objects"])

    question = f"How many {thing.plural} {what} from {before.id}.tif to {after.id}.tif?"
    yield _task(what, question, thing, len(taken), plan, 0.0, (less,))


def _without(scene: AnnotatedScene, taken: tuple[SceneObject, ...]) -> AnnotatedScene:
    """The same place without some objects: what was around them is drawn over them."""
    hole = ndimage.binary_dilation(scene.union(taken), iterations=3).astype(np.uint8)
    image = cv2.inpaint(scene.image, hole, 5, cv2.INPAINT_TELEA)
    gone = {id(one) for one in taken}
    kept = tuple(one for one in scene.objects if id(one) not in gone)
    return replace(scene, id=f"{scene.id}-other-date", image=np.asarray(image, dtype=np.uint8), objects=kept)


def _total(measured: dict[str, Any]) -> float:
    """Sum of the areas of the objects, also where they overlap."""
    return float(measured["each"]["mean"]) * int(measured["objects"]) if "each" in measured else measured["area_m2"]
