"""The drawing board: a buffer of surface ids that the painter's algorithm fills.

Each fill uses a *leaf*: one surface with a colour and a material. Leaves belong to an *entity* (a car, a lake) or to
none, and may be one of its *parts* (a wing). Colours are looked up only at the end, so a mask is exactly what is seen.
Ground is drawn at once; things wait in a queue and are drawn from low to high, so that high ones throw shadows on low.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geoagent.data.synth.geometry import Frame, Points
from geoagent.data.synth.palette import Colour, Style
from geoagent.data.synth.textures import Material

_SHIFT = 3
_SUBPIXEL = 1 << _SHIFT
_FINE_LIMIT = 1100
"""Up to this side scenes are drawn at twice their resolution, which smooths edges."""
MIN_PIXELS = 10.0
"""A thing that would cover fewer pixels is not drawn at all: nobody could annotate it."""


class Surface(IntEnum):
    """What the ground is, for deciding what may stand on it."""

    LAND = 0
    ROAD = 1
    PAVED = 2
    RUNWAY = 3
    WATER = 4
    COURT = 5
    RAIL = 6
    FIELD = 7
    PIER = 8
    WOODS = 9
    SAND = 10


@dataclass(frozen=True, kw_only=True)
class Entity:
    """Something that becomes a `SceneObject`."""

    class_name: str
    attributes: Mapping[str, Any]
    container: int
    """Entity whose mask takes this one in (a farm its panels), 0 for none."""


@dataclass(frozen=True, kw_only=True)
class Stripes:
    """Parallel lines on a surface: crop rows, corrugated iron, mowing."""

    angle: float
    """Direction of the lines in radians clockwise from east."""
    period: float
    """Metres from line to line."""
    strength: float
    """Grey levels between line and middle."""


@dataclass
class _Leaves:
    """Parallel lists, one entry a leaf; leaf 0 is the void."""

    entity: list[int] = field(default_factory=lambda: [0])
    part: list[int] = field(default_factory=lambda: [0])
    colour: list[Colour] = field(default_factory=lambda: [(0, 0, 0)])
    material: list[int] = field(default_factory=lambda: [0])
    strength: list[float] = field(default_factory=lambda: [1.0])
    stripes: dict[int, Stripes] = field(default_factory=dict)


def _among(surfaces: tuple[Surface, ...]) -> NDArray[np.bool_]:
    """bool [256]: whether a number stands for one of the surfaces."""
    table = np.zeros(256, dtype=np.bool_)
    table[list(surfaces)] = True
    return table


class Canvas:
    """A scene while it is being drawn; all coordinates are metres from its top left corner."""

    def __init__(self, height: int, width: int, gsd: float, style: Style, rng: Generator) -> None:
        self.height, self.width, self.gsd, self.style, self.rng = height, width, gsd, style, rng
        self.fineness = 2 if max(height, width) <= _FINE_LIMIT else 1
        self.scale = self.fineness / gsd
        shape = (height * self.fineness, width * self.fineness)
        self.ids: NDArray[np.int32] = np.zeros(shape, dtype=np.int32)
        self.shade: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self.taken: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self.entities: list[Entity] = [Entity(class_name="", attributes={}, container=0)]
        self.parts: list[tuple[str, int]] = [("", 0)]
        self.leaves = _Leaves()
        self.incomplete: set[str] = set()
        """Classes of which something is drawn that is not annotated one by one, such as trees in a forest."""
        self.relief: NDArray[np.float32] | None = None
        """float32 [H,W]: light on sloping ground, about 1; None: the ground is flat."""
        self.bridge_limit = math.inf
        """Longest stretch of water that a bridge spans here, in metres."""
        self.bend: tuple[float, float, float, float, float, float] | None = None
        self._surface = np.zeros(1024, dtype=np.uint8)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._singles: dict[str, int] = {}

    # ------------------------------------------------------------------ size and place

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in metres."""
        return self.width * self.gsd, self.height * self.gsd

    @property
    def middle(self) -> Frame:
        """The centre of the scene."""
        return Frame(self.extent[0] / 2, self.extent[1] / 2)

    @property
    def reach(self) -> float:
        """Metres from the centre that surely lie beyond every corner."""
        return 0.5 * math.hypot(*self.extent) + 15.0

    def set_bend(self, strength: float) -> None:
        """Bend everything that is drawn from now on, so that streets are not all straight."""
        rng, span = self.rng, max(self.extent)
        length_x, length_y = span * rng.uniform(0.7, 1.8, 2)
        amount_x, amount_y = strength * rng.uniform(-1, 1, 2) * (length_y, length_x) / (2 * math.pi)
        phase_x, phase_y = rng.uniform(0, 2 * math.pi, 2)
        self.bend = (amount_x, 2 * math.pi / length_y, phase_x, amount_y, 2 * math.pi / length_x, phase_y)

    def _bent(self, points: Points) -> Points:
        if self.bend is None:
            return points
        ax, kx, px, ay, ky, py = self.bend
        bent = np.empty_like(points)
        bent[:, 0] = points[:, 0] + ax * np.sin(points[:, 1] * kx + px)
        bent[:, 1] = points[:, 1] + ay * np.sin(points[:, 0] * ky + py)
        return bent

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        """Fixed-point pixel coordinates in the drawing buffer, for OpenCV."""
        fixed = self._bent(points) * (self.scale * _SUBPIXEL)
        fixed -= 0.5 * _SUBPIXEL - 0.5
        return fixed.astype(np.int32)

    def sees(self, frame: Frame, radius: float) -> bool:
        """Whether something within ``radius`` of a place can be in the picture."""
        slack = radius + (20.0 if self.bend is None else 20.0 + abs(self.bend[0]) + abs(self.bend[3]))
        width, height = self.extent
        return -slack < frame.x < width + slack and -slack < frame.y < height + slack

    def shows(self, area_m2: float) -> bool:
        """Whether a thing of that size covers enough pixels to be drawn and annotated."""
        return area_m2 >= MIN_PIXELS * self.gsd**2

    # ------------------------------------------------------------------ what is drawn

    def entity(self, class_name: str, *, container: int = 0, **attributes: Any) -> int:
        """Open a new object; whatever leaves it gets become its mask."""
        self.entities.append(Entity(class_name=class_name, attributes=attributes, container=container))
        return len(self.entities) - 1

    def single(self, class_name: str) -> int:
        """The one entity that gathers everything of a class in the scene: all lawns are its grass."""
        if class_name not in self._singles:
            self._singles[class_name] = self.entity(class_name)
        return self._singles[class_name]

    def part(self, class_name: str, entity: int) -> int:
        """Open a new part of an object."""
        self.parts.append((class_name, entity))
        return len(self.parts) - 1

    def leaf(
        self,
        entity: int,
        colour: Colour,
        material: Material = Material.SMOOTH,
        *,
        surface: Surface = Surface.LAND,
        part: int = 0,
        strength: float = 1.0,
        stripes: Stripes | None = None,
    ) -> int:
        """A new surface."""
        leaves = self.leaves
        leaves.entity.append(entity)
        leaves.part.append(part)
        leaves.colour.append(colour)
        leaves.material.append(int(material))
        leaves.strength.append(strength)
        number = len(leaves.entity) - 1
        if stripes is not None:
            leaves.stripes[number] = stripes
        if number == len(self._surface):
            self._surface = np.concatenate((self._surface, np.zeros_like(self._surface)))
        self._surface[number] = surface
        return number

    def fill(self, leaf: int, *outlines: Points, lit: bool = False) -> None:
        """Draw polygons; ``lit`` ones stand above the shadows that fell so far."""
        fixed = [self._fixed(points) for points in outlines]
        cv2.fillPoly(self.ids, fixed, leaf, cv2.LINE_8, _SHIFT)
        if lit:
            cv2.fillPoly(self.shade, fixed, 0, cv2.LINE_8, _SHIFT)

    def fill_stack(self, leaves: Sequence[int], outlines: Points) -> None:
        """Draw polygons [n,k,2], one a leaf, over each other; the first, lowest one clears the shadows below it."""
        fixed = self._fixed(outlines.reshape(-1, 2)).reshape(outlines.shape)
        cv2.fillPoly(self.shade, [fixed[0]], 0, cv2.LINE_8, _SHIFT)
        for leaf, points in zip(leaves, fixed, strict=True):
            cv2.fillPoly(self.ids, [points], leaf, cv2.LINE_8, _SHIFT)

    def line(self, leaf: int, line: Points, width: float) -> None:
        """Draw a thin line, at least a pixel of the drawing buffer wide."""
        thick = max(1, round(width * self.scale))
        cv2.polylines(self.ids, [self._fixed(line)], False, leaf, thick, cv2.LINE_8, _SHIFT)

    def shine(self, points: Points) -> None:
        """Take the shadow away from a polygon."""
        cv2.fillPoly(self.shade, [self._fixed(points)], 0, cv2.LINE_8, _SHIFT)

    def fill_on(self, leaf: int, outline: Points, *allowed: Surface) -> None:
        """Draw a polygon only where the ground is one of ``allowed``."""
        place, shape = self._window(outline)
        window = self.ids[place]
        np.copyto(window, leaf, where=shape & self._leaves_on(allowed).take(window))

    def _leaves_on(self, allowed: tuple[Surface, ...]) -> NDArray[np.bool_]:
        """bool [leaves]: whether each leaf is one of the surfaces."""
        return _among(allowed).take(self._surface[: len(self.leaves.entity)])

    def tint(self, leaf: int, outline: Points, entity: int) -> None:
        """Draw a polygon only over what belongs to ``entity``."""
        place, shape = self._window(outline)
        window = self.ids[place]
        np.copyto(window, leaf, where=shape & (np.array(self.leaves.entity) == entity).take(window))

    def _window(self, outline: Points) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """The piece of the buffer about a polygon, and which of its pixels lie inside; both may be empty."""
        fixed = self._fixed(outline)
        rows, columns = self.ids.shape
        left, top, width, height = cv2.boundingRect(fixed)
        x0, y0 = (min(max(edge // _SUBPIXEL - 1, 0), end) for edge, end in ((left, columns), (top, rows)))
        x1, y1 = (
            min(max(edge // _SUBPIXEL + 2, start), end)
            for edge, start, end in ((left + width, x0, columns), (top + height, y0, rows))
        )
        shape = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
        if shape.size:
            cv2.fillPoly(shape, [fixed], 1, cv2.LINE_8, _SHIFT, (-x0 * _SUBPIXEL, -y0 * _SUBPIXEL))
        return (slice(y0, y1), slice(x0, x1)), shape.view(np.bool_)

    def assign(self, leaf: int, where: NDArray[np.bool_], *allowed: Surface) -> None:
        """Draw a mask of the scene's own size, only where the ground is one of ``allowed``."""
        fine = where.repeat(self.fineness, axis=0).repeat(self.fineness, axis=1)
        np.copyto(self.ids, leaf, where=fine & self._leaves_on(allowed).take(self.ids))

    # ------------------------------------------------------------------ height and shadow

    def lifted(self, points: Points, height: float) -> Points:
        """Where the top of something appears, as the camera looks a little from the side."""
        return points + np.array(self.style.lean) * height

    def cast(self, points: Points, height: float, *, base: float = 0.0, sweep: bool = True) -> None:
        """Draw the shadow of a prism over the outline ``points``; without ``sweep`` that of a flat thing up there."""
        sun = np.array(self.style.sun)
        far = points + sun * height
        outline = self._fixed(np.concatenate((points + sun * base, far)) if sweep else far)
        if sweep:
            outline = np.asarray(cv2.convexHull(outline), dtype=np.int32)
        cv2.fillPoly(self.shade, [outline], 255, cv2.LINE_8, _SHIFT)

    def later(self, height: float, draw: Callable[[], None]) -> None:
        """Queue a thing; low ones are drawn first."""
        self._queue.append((height, len(self._queue), draw))

    def flush(self) -> None:
        """Draw everything that waits."""
        queue, self._queue = sorted(self._queue, key=lambda entry: entry[:2]), []
        for _, _, draw in queue:
            draw()

    # ------------------------------------------------------------------ what may stand where

    def _pixels(self, points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        pixel = (self._bent(points) * self.scale).astype(np.intp)
        x, y = pixel[:, 0], pixel[:, 1]
        # Seen as unsigned, negative numbers are huge: one comparison tests both ends.
        inside = (x.view(np.uintp) < self.ids.shape[1]) & (y.view(np.uintp) < self.ids.shape[0])
        return x, y, inside

    def leaf_at(self, place: Frame) -> int:
        """The leaf at a place, 0 outside the picture."""
        x, y, inside = self._pixels(np.array(((place.x, place.y),)))
        return int(self.ids[y[0], x[0]]) if inside[0] else 0

    def surface_at(self, points: Points) -> NDArray[np.int16]:
        """The `Surface` under each point, -1 outside the picture."""
        x, y, inside = self._pixels(points)
        found = np.full(len(points), -1, dtype=np.int16)
        found[inside] = self._surface[self.ids[y[inside], x[inside]]]
        return found

    def fits(self, points: Points, *allowed: Surface) -> bool:
        """Whether all points lie on one of the surfaces with nothing there yet; points outside do not count."""
        x, y, inside = self._pixels(points)
        if not inside.any():
            return False
        x, y = x[inside], y[inside]
        if self.taken[y, x].any():
            return False
        ground = self._surface[self.ids[y, x]].tolist()
        return all(surface in allowed for surface in ground)

    def covers(self, outline: Points, *allowed: Surface) -> bool:
        """Whether some of an outline is visible, and all of that is free and on one of the surfaces."""
        place, inside = self._window(outline)
        if not inside.any() or self.taken[place][inside].any():
            return False
        return bool(self._leaves_on(allowed).take(self.ids[place][inside]).all())

    def take(self, points: Points) -> None:
        """Mark an outline as built upon."""
        cv2.fillPoly(self.taken, [self._fixed(points)], 1, cv2.LINE_8, _SHIFT)


def grid_of(length: float, width: float) -> Points:
    """Nine points of a rectangle about the origin: what `Canvas.fits` looks at."""
    a, b = length / 2, width / 2
    return np.array([(u, v) for u in (-a, 0.0, a) for v in (-b, 0.0, b)], dtype=np.float64)
