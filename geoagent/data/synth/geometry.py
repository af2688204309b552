"""Shapes in metres: local frames, outlines and curves, all as float64 [n,2] with x to the east and y to the south.

A thing is described in its own frame: u points forwards, v to its right.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """A place and a direction; called with local points it returns them in the world."""

    x: float
    y: float
    angle: float = 0.0
    """Clockwise from east, in radians, as y points south."""

    def __call__(self, points: ArrayLike) -> Points:
        """The local ``points`` in the world."""
        # As complex numbers, turning and shifting are one product and one sum: this is called for every outline.
        local = np.ascontiguousarray(points, dtype=np.float64).view(np.complex128)
        turn = complex(math.cos(self.angle), math.sin(self.angle))
        return (local * turn + complex(self.x, self.y)).view(np.float64)

    def at(self, u: float, v: float, turn: float = 0.0) -> "Frame":
        """A frame at a local point, turned clockwise by ``turn`` radians."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return Frame(self.x + u * cos - v * sin, self.y + u * sin + v * cos, self.angle + turn)

    @property
    def heading_deg(self) -> float:
        """Where u points, clockwise from north."""
        return round(math.degrees(self.angle) + 90.0, 1) % 360.0


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangular plot of land: ``frame`` sits at its first corner, u runs along its width, v along its depth."""

    frame: Frame
    width: float
    depth: float

    @property
    def centre(self) -> Frame:
        """The middle, with the direction of the block."""
        return self.frame.at(self.width / 2, self.depth / 2)

    @property
    def outline(self) -> Points:
        """The four corners in the world."""
        return self.frame(box(0, 0, self.width, self.depth))

    def inset(self, margin: float) -> "Block":
        """The block without a strip along each side."""
        return self.part(margin, margin, self.width - margin, self.depth - margin)

    def part(self, u0: float, v0: float, u1: float, v1: float) -> "Block":
        """The rectangle between two corners, given in local metres; a sliver where they are out of order."""
        return Block(self.frame.at(u0, v0), max(u1 - u0, 0.1), max(v1 - v0, 0.1))

    def turned(self) -> "Block":
        """The same plot seen from its next side, so that width and depth change places."""
        return Block(self.frame.at(self.width, 0, math.pi / 2), self.depth, self.width)

    def lengthwise(self) -> "Block":
        """The plot with its longer side as width."""
        return self if self.width >= self.depth else self.turned()


def box(u0: float, v0: float, u1: float, v1: float) -> Points:
    """The rectangle between two corners."""
    return np.array(((u0, v0), (u1, v0), (u1, v1), (u0, v1)), dtype=np.float64)


def centred(length: float, width: float, u: float = 0.0, v: float = 0.0) -> Points:
    """A rectangle about a point, ``length`` along u."""
    return box(u - length / 2, v - width / 2, u + length / 2, v + width / 2)


@cache
def _unit_circle(count: int) -> Points:
    turn = np.arange(count) * (2 * math.pi / count)
    return np.stack((np.cos(turn), np.sin(turn)), axis=1)


def circle(radius: float, u: float = 0.0, v: float = 0.0, count: int = 24) -> Points:
    """A circle as a polygon."""
    return _unit_circle(count) * radius + (u, v)


def ellipse(radius_u: float, radius_v: float, count: int = 32) -> Points:
    """An ellipse about the origin as a polygon."""
    return _unit_circle(count) * (radius_u, radius_v)


def rounded(length: float, width: float, corner: float) -> Points:
    """A rectangle about the origin with its corners cut off."""
    a, b = length / 2, width / 2
    c = min(corner, a, b)
    return np.array(
        ((a - c, -b), (a, c - b), (a, b - c), (a - c, b), (c - a, b), (-a, b - c), (-a, c - b), (c - a, -b)),
        dtype=np.float64,
    )


def blob(rng: Generator, radius: float, roughness: float = 0.2, count: int = 36, stretch: float = 1.0) -> Points:
    """An irregular closed outline about the origin, ``stretch`` times as long along u as along v."""
    turn = np.arange(count) * (2 * math.pi / count)
    wave = np.zeros(count)
    for order in (2, 3, 5, 8, 13):
        wave += rng.normal(0, 1.5 * roughness / order) * np.cos(order * turn + rng.uniform(0, 2 * math.pi))
    reach = radius * np.clip(1 + wave, 0.35, 1.8)
    return _unit_circle(count) * reach[:, None] * (stretch**0.5, stretch**-0.5)


@cache
def crowns(count: int = 11) -> Points:
    """float64 [64,count,2]: outlines of trees seen from above, of radius 1 about the origin."""
    reach = np.random.default_rng(1618).uniform(0.78, 1.12, (64, count, 1))
    return _unit_circle(count) * reach


def arc(radius: float, start: float, stop: float, count: int = 16, u: float = 0.0) -> Points:
    """Points on a circle about ``(u, 0)`` between two angles."""
    turn = np.linspace(start, stop, count)
    return np.stack((np.cos(turn) * radius + u, np.sin(turn) * radius), axis=1)


def ribbon(line: Points, width: float | NDArray[np.float64]) -> Points:
    """The outline of a strip of ``width`` about a polyline."""
    step = np.gradient(line, axis=0)
    normal = np.stack((-step[:, 1], step[:, 0]), axis=1) / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    half = normal * (np.broadcast_to(np.asarray(width, dtype=np.float64), (len(line),)) / 2)[:, None]
    return np.concatenate((line + half, (line - half)[::-1]))


def offset(line: Points, distance: float) -> Points:
    """A polyline moved sideways (to its right where positive)."""
    step = np.gradient(line, axis=0)
    return (
        line
        + np.stack((-step[:, 1], step[:, 0]), axis=1)
        * (distance / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9))[:, None]
    )


def straight(start: tuple[float, float], stop: tuple[float, float], step: float = 6.0) -> Points:
    """A straight polyline with a point about every ``step`` metres, so that it can be bent."""
    length = math.hypot(stop[0] - start[0], stop[1] - start[1])
    share = np.linspace(0, 1, max(2, math.ceil(length / step) + 1))[:, None]
    return np.asarray(start) * (1 - share) + np.asarray(stop) * share


def along(line: Points, step: float, start: float = 0.0) -> list[tuple[Frame, float]]:
    """Frames every ``step`` metres along a polyline, with the distance from its beginning."""
    length = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
    places = np.arange(start, length[-1], step)
    x, y = np.interp(places, length, line[:, 0]), np.interp(places, length, line[:, 1])
    piece = np.clip(np.searchsorted(length, places, side="right") - 1, 0, len(line) - 2)
    way = line[piece + 1] - line[piece]
    return [
        (Frame(float(px), float(py), math.atan2(dy, dx)), float(place))
        for px, py, (dx, dy), place in zip(x, y, way.tolist(), places, strict=True)
    ]


def wander(rng: Generator, start: tuple[float, float], stop: tuple[float, float], sway: float, step: float) -> Points:
    """A smooth winding polyline between two points that strays up to about ``sway`` metres from the straight way."""
    line = straight(start, stop, step)
    length = max(math.hypot(stop[0] - start[0], stop[1] - start[1]), 1e-9)
    normal = np.array((-(stop[1] - start[1]), stop[0] - start[0])) / length
    share = np.linspace(0, 1, len(line))
    wave = np.zeros(len(line))
    for order in (1.3, 2.6, 4.9):
        wave += rng.normal(0, 0.6 / order) * np.sin(2 * math.pi * order * share + rng.uniform(0, 2 * math.pi))
    return line + normal * (sway * wave)[:, None]
