"""The geometry of an annotated scene, measured once and asked many times.

Coordinates are pixels of the image, x to the right and y down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geoagent.data.classes import CLASSES, is_complete, is_known_absent, lookalikes, members, rivals
from geoagent.types import AnnotatedScene, Box, Instance, LabelledTarget, Mask, SceneObject

Points = NDArray[np.float64]

SPECK = 30
"""What covers fewer pixels is never asked for, be it one object or all of a class together."""
_OUTLINE_POINTS = 96
"""Outlines are thinned to about this many points: distances are good to a few pixels, margins are wider."""


@dataclass(frozen=True, eq=False)
class Thing:
    """An object (or a part of one) with its measures."""

    number: int
    source: SceneObject
    owner: int | None
    """For parts: `number` of the whole."""
    image_size: tuple[int, int]

    @cached_property
    def class_name(self) -> str:
        """Canonical class."""
        return self.source.class_name

    @property
    def box(self) -> Box:
        """``(x0, y0, x1, y1)``."""
        return self.source.box

    @cached_property
    def area(self) -> int:
        """Visible pixels."""
        return self.source.area

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """int [w]: visible pixels in each column of the box."""
        return np.count_nonzero(self.source.crop, axis=0).astype(np.int64)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """int [h]: visible pixels in each row of the box."""
        return np.count_nonzero(self.source.crop, axis=1).astype(np.int64)

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Centroid of the visible pixels."""
        x0, y0, _, _ = self.box
        across = float(self.columns @ np.arange(len(self.columns))) / self.area
        down = float(self.rows @ np.arange(len(self.rows))) / self.area
        return x0 + across + 0.5, y0 + down + 0.5

    @property
    def cut(self) -> bool:
        """Whether it touches the border, so that its true size is unknown."""
        x0, y0, x1, y1 = self.box
        return x0 <= 0 or y0 <= 0 or x1 >= self.image_size[1] or y1 >= self.image_size[0]

    def share_in(self, region: tuple[float, float, float, float]) -> float:
        """The part of its pixels inside ``region`` (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = self.box
        left, top, right, bottom = (round(v) for v in region)
        if left <= x0 and top <= y0 and right >= x1 and bottom >= y1:
            return 1.0
        if left >= x1 or top >= y1 or right <= x0 or bottom <= y0:
            return 0.0
        inside = self.source.crop[max(0, top - y0) : bottom - y0, max(0, left - x0) : right - x0]
        return float(np.count_nonzero(inside)) / self.area

    @cached_property
    def outline(self) -> Points:
        """float [K,2]: points ``(x, y)`` on the outline, thinned."""
        crop = self.source.crop
        inner = np.zeros_like(crop)
        inner[1:-1, 1:-1] = crop[1:-1, 1:-1] & crop[:-2, 1:-1] & crop[2:, 1:-1] & crop[1:-1, :-2] & crop[1:-1, 2:]
        ys, xs = np.nonzero(crop & ~inner)
        step = max(1, len(xs) // _OUTLINE_POINTS) if CLASSES[self.class_name].countable else 3
        return np.column_stack([xs[::step] + self.box[0] + 0.5, ys[::step] + self.box[1] + 0.5])

    def covers(self, x: int, y: int) -> bool:
        """Whether the pixel ``(x, y)`` belongs to it."""
        x0, y0, x1, y1 = self.box
        return x0 <= x < x1 and y0 <= y < y1 and bool(self.source.crop[y - y0, x - x0])

    def instance(self, number: int) -> Instance:
        """As the ``number``-th object of a target."""
        return Instance(id=number, box=self.box, crop=self.source.crop, score=1.0, image_size=self.image_size)


class SceneIndex:
    """An annotated scene with everything that instructions need to know of it, measured on first use."""

    def __init__(self, scene: AnnotatedScene) -> None:
        self.scene = scene
        self.height, self.width = scene.size
        self.side = min(scene.size)
        things: list[Thing] = []
        self._unseen: list[SceneObject] = []
        for source in scene.objects:
            owner = self._add(things, source, None)
            for part in source.parts:
                self._add(things, part, owner)
        self.things = tuple(things)
        self.present = frozenset(t.class_name for t in things) | {o.class_name for o in self._unseen}
        self._of: dict[str, tuple[Thing, ...]] = {}
        self._trees: dict[str, cKDTree] = {}

    def _add(self, things: list[Thing], source: SceneObject, owner: int | None) -> int | None:
        if not source.crop.any():
            self._unseen.append(source)
            return owner
        things.append(Thing(len(things), source, owner, self.scene.size))
        return len(things) - 1

    # ------------------------------------------------------------------ what is there

    def of(self, name: str) -> tuple[Thing, ...]:
        """Everything of class ``name``, its subclasses included."""
        if name not in self._of:
            self._of[name] = self._of_any(members(name))
        return self._of[name]

    def _of_any(self, names: frozenset[str]) -> tuple[Thing, ...]:
        found = [thing for name in names & self._by_class.keys() for thing in self._by_class[name]]
        return tuple(sorted(found, key=lambda thing: thing.number))

    @cached_property
    def _by_class(self) -> dict[str, list[Thing]]:
        found: dict[str, list[Thing]] = {}
        for thing in self.things:
            found.setdefault(thing.class_name, []).append(thing)
        return found

    def lookalikes(self, name: str) -> tuple[Thing, ...]:
        """Things that a person may also mean by ``name``: left unjudged in questions about it."""
        return self._of_any(lookalikes(name))

    def wholly_known(self, name: str) -> bool:
        """Whether every object of ``name`` is annotated and visible, and nothing may be mistaken for one."""
        return (
            is_complete(name, self.scene.complete)
            and not (lookalikes(name) & self.present)
            and not any(o.class_name in rivals(name) for o in self._unseen)
        )

    def known_absent(self, name: str) -> bool:
        """Whether one may say that the scene shows no ``name``."""
        return is_known_absent(name, self.present, self.scene.complete)

    def askable(self, *, countable: bool = False, at_least: int = 1) -> list[str]:
        """Classes and groups with at least ``at_least`` objects in the scene, in the order of the table."""
        names = self._askable
        return [n for n in names if len(self.of(n)) >= at_least and (CLASSES[n].countable or not countable)]

    @cached_property
    def _askable(self) -> list[str]:
        labelled = self._by_class.keys()
        known = (n for n in CLASSES if n in labelled or is_complete(n, self.scene.complete))
        return [n for n in known if sum(t.area for t in self.of(n)) >= SPECK]

    @cached_property
    def absent(self) -> list[str]:
        """Classes that one may ask for in vain."""
        return [name for name in CLASSES if self.known_absent(name)]

    # ------------------------------------------------------------------ geometry

    @property
    def north_up(self) -> bool:
        """Whether compass words may be used: rendered scenes, and images whose transform is not rotated."""
        info = self.scene.info
        if info is not None and info.transform is not None:
            a, b, _, d, e, _ = info.transform
            return a > 0 and e < 0 and b == 0 and d == 0
        return any("heading_deg" in o.attributes for o in self.scene.objects)

    def distances(self, things: Sequence[Thing], anchors: Sequence[Thing]) -> NDArray[np.float64]:
        """float [len(things)]: pixels from the outline of each thing to the nearest anchor; 0 where they overlap."""
        key = ",".join(str(a.number) for a in anchors)
        if key not in self._trees:
            self._trees[key] = cKDTree(np.concatenate([a.outline for a in anchors]))
        tree = self._trees[key]
        gaps = np.array([np.min(tree.query(t.outline)[0]) for t in things], dtype=np.float64)
        for i, thing in enumerate(things):
            x, y = (int(v) for v in thing.centre)
            if any(a.covers(x, y) for a in anchors):
                gaps[i] = 0.0
        return np.where(gaps <= 1.5, 0.0, gaps)

    def surrounded(self, thing: Thing, anchor_mask: Mask, clutter: Mask, reach: int = 4) -> float:
        """The part of the ring around ``thing`` that ``anchor_mask`` covers, pixels of ``clutter`` left out."""
        x0, y0, x1, y1 = thing.box
        left, top = max(0, x0 - reach), max(0, y0 - reach)
        right, bottom = min(self.width, x1 + reach), min(self.height, y1 + reach)
        ring = np.ones((bottom - top, right - left), dtype=np.bool_)
        ring[y0 - top : y1 - top, x0 - left : x1 - left] = ~thing.source.crop
        ring &= ~clutter[top:bottom, left:right]
        pixels = int(ring.sum())
        return float((anchor_mask[top:bottom, left:right] & ring).sum()) / pixels if pixels else 0.0

    # ------------------------------------------------------------------ truth

    def mask(self, things: Iterable[Thing]) -> Mask:
        """bool [H,W]: everything covered by ``things``."""
        return self.scene.union([t.source for t in things])

    @cached_property
    def clutter(self) -> Mask:
        """bool [H,W]: everything covered by countable things."""
        return self.mask(t for t in self.things if t.owner is None and CLASSES[t.class_name].kind == "thing")

    def target(self, phrase: str, name: str, things: Sequence[Thing], unsure: Sequence[Thing] = ()) -> LabelledTarget:
        """The truth for ``phrase``, which means ``things``; pixels of ``unsure`` are left unjudged."""
        mask = self.mask(things)
        countable = CLASSES[name].countable
        return LabelledTarget(
            phrase=phrase,
            mask=mask,
            ignore=self._ignore(name, mask, unsure),
            instances=tuple(t.instance(i) for i, t in enumerate(things, start=1)) if countable else None,
            class_name=name,
            scorable=all(t.source.scorable for t in things),
        )

    @cached_property
    def _with_doubts(self) -> list[SceneObject]:
        """Objects that have unknown pixels around them."""
        sources = [t.source for t in self.things] + self._unseen
        return [source for source in sources if source.ignore is not None]

    def _ignore(self, name: str, mask: Mask, unsure: Sequence[Thing]) -> Mask | None:
        unknown = np.zeros_like(mask) if self.scene.ignore is None else self.scene.ignore.copy()
        for thing in unsure:
            x0, y0, x1, y1 = thing.box
            unknown[y0:y1, x0:x1] |= thing.source.crop
        kin = rivals(name)
        for source in self._with_doubts:
            if source.ignore is not None and source.class_name in kin:
                x0, y0, x1, y1 = source.box
                unknown[y0:y1, x0:x1] |= source.ignore
        unknown &= ~mask
        return unknown if unknown.any() else None
