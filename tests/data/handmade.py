"""Scenes made of rectangles, whose truth can be read off the numbers, and questions about them."""

import re

import numpy as np

from geoagent.data.classes import CLASSES
from geoagent.data.instructions import SceneIndex, make_one
from geoagent.data.instructions.draft import Draw
from geoagent.types import AnnotatedScene, SceneObject

EVERYTHING = frozenset(CLASSES)
MARK = re.compile(r"<p>([^<>]+)</p><(seg|rej)>")
"""A phrase of an answer and its mark."""


def rectangle(class_name, x0, y0, x1, y1, parts=(), *, scorable=True, ignore=None, **attributes):
    return SceneObject(
        class_name=class_name,
        box=(x0, y0, x1, y1),
        crop=np.ones((y1 - y0, x1 - x0), dtype=np.bool_),
        attributes=attributes,
        parts=tuple(parts),
        scorable=scorable,
        ignore=ignore,
    )


def scene(*objects, complete=EVERYTHING, size=(256, 256), **fields):
    return AnnotatedScene(
        id=fields.pop("id", "handmade"),
        image=np.zeros((*size, 3), dtype=np.uint8),
        objects=tuple(objects),
        complete=frozenset(complete),
        source="handmade",
        **fields,
    )


def crowded(seed, side=384, number=70):
    """A town by the sea with planes on the road: nonsense, but every kind of question can be asked about it."""
    rng = np.random.default_rng(seed)
    taken = np.zeros((side, side), dtype=np.bool_)
    objects = [
        rectangle("road", 0, 180, side, 190),
        rectangle("sea", 0, 240, 150, side),
        rectangle("parking lot", 220, 220, 320, 290),
    ]
    taken[180:190] = True
    classes = ["car", "car", "truck", "ship", "building", "storage tank", "tree", "airplane", "helipad", "greenhouse"]
    colours = ["white", "red", "blue", "black", "green", "yellow"]
    for _ in range(number):
        name = classes[int(rng.integers(len(classes)))]
        width, height = (int(v) for v in rng.integers(6, 34, 2))
        x, y = (int(v) for v in rng.integers(0, side - 36, 2))
        if taken[y : y + height, x : x + width].any():
            continue
        taken[y : y + height, x : x + width] = True
        attributes = {"colour": colours[int(rng.integers(6))], "heading_deg": float(rng.uniform(0, 360))}
        parts = []
        if name == "airplane":
            middle = x + max(3, width // 2)
            parts = [
                rectangle("airplane wing", x, y, middle, y + height),
                rectangle("airplane tail", middle, y, x + width, y + height),
            ]
        objects.append(rectangle(name, x, y, x + width, y + height, parts, **attributes))
    return scene(
        *objects, size=(side, side), id=f"crowded-{seed}", gsd_m=0.5, place="port", captions=("A busy little port.",)
    )


def draw_from(a_scene, seed=0, split="train"):
    return Draw(SceneIndex(a_scene), np.random.default_rng(seed), split)


def made(kind, a_scene, tries=60):
    index, rng = SceneIndex(a_scene), np.random.default_rng(0)
    return [s for number in range(tries) if (s := make_one(index, kind, rng, number)) is not None]
