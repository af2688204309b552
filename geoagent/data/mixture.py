"""Mixing datasets by weight, with a schedule: draw ``i`` is the same sample on every machine and after a resume.

Which source a draw takes is decided for all draws at once from the seed; within a source the draws walk through a fresh
permutation per round, so every sample comes once before any comes twice.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoagent.data.dataset import SegmentationDataset, checked_index
from geoagent.types import GeoAgentError, Sample

Unit = Literal["sample", "image"]


@dataclass(frozen=True)
class Schedule:
    """A factor on a weight over the progress of training, linear between ``(progress, factor)`` points."""

    points: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def __post_init__(self) -> None:
        progress = [at for at, _ in self.points]
        if not progress or progress != sorted(progress) or not 0.0 <= progress[0] <= progress[-1] <= 1.0:
            raise GeoAgentError(
                f"a schedule needs points (progress, factor) with progress rising from 0 to 1: {self.points}"
            )
        if any(factor < 0 for _, factor in self.points):
            raise GeoAgentError(f"a schedule's factors cannot be negative: {self.points}")

    def at(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        """float [D]: the factor at each progress, constant before the first and after the last point."""
        return np.interp(progress, [at for at, _ in self.points], [factor for _, factor in self.points])


CONSTANT = Schedule()

PROGRESSIVE_TASKS: Mapping[str, Schedule] = MappingProxyType(
    {
        "interactive": Schedule(((0.0, 1.0), (1.0, 0.7))),
        "referring": CONSTANT,
        "reasoning": Schedule(((0.0, 0.0), (1.0, 0.3))),
    }
)
"""UniGeoSeg's progressive task schedule, read linearly: pointing first, reasoning when the rest begins to stand."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One dataset of a mixture."""

    dataset: SegmentationDataset
    weight: float | None = None
    """Share before normalisation; None takes the square root of the size, so that small sets are heard."""
    schedule: Schedule = CONSTANT


class Mixture:
    """A fixed number of draws from several datasets.

    Args:
        parts: The datasets with weights and schedules.
        draws: Length of the mixture; draw ``i`` happens at progress ``i / draws``.
        seed: Another seed gives another order.
        unit: What one draw takes: a single ``sample``, or all questions about an ``image`` (see `questions`).
    """

    def __init__(self, parts: Sequence[Part], draws: int, seed: int = 0, unit: Unit = "sample") -> None:
        if not parts or draws < 1:
            raise GeoAgentError(f"a mixture needs datasets and draws: got {len(parts)} datasets and {draws} draws")
        empty = [part.dataset.name for part in parts if not len(part.dataset)]
        if empty:
            raise GeoAgentError(f"the datasets {', '.join(empty)} are empty and cannot be mixed")
        self.name, self.split = "mixture", parts[0].dataset.split
        self.remarks = tuple(f"{part.dataset.name}: {remark}" for part in parts for remark in part.dataset.remarks)
        self.parts = tuple(parts)
        self.seed, self.unit = seed, unit
        self._units = [
            part.dataset.groups() if unit == "image" else [[index] for index in range(len(part.dataset))]
            for part in parts
        ]
        self.sources = self._assign(draws)
        self._turns = _occurrence(self.sources, len(parts))
        self._order: dict[tuple[int, int], NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self.sources.size

    def __getitem__(self, draw: int) -> Sample:
        part, indices = self.locate(draw)
        if self.unit != "sample":
            raise GeoAgentError("a mixture of images gives all questions of a draw at once: call questions(draw)")
        return part.dataset[indices[0]]

    def __iter__(self) -> Iterator[Sample]:
        return (self[draw] for draw in range(len(self)))

    def groups(self) -> list[list[int]]:
        """Every draw by itself: samples of one image need not follow each other."""
        return [[draw] for draw in range(len(self))]

    def questions(self, draw: int) -> list[Sample]:
        """What draw ``draw`` takes: one sample, or all those of one image."""
        part, indices = self.locate(draw)
        return [part.dataset[index] for index in indices]

    def locate(self, draw: int) -> tuple[Part, list[int]]:
        """The part that draw ``draw`` takes from, and the indices there."""
        draw = checked_index(draw, len(self), self.name)
        source = int(self.sources[draw])
        units = self._units[source]
        turn, position = divmod(int(self._turns[draw]), len(units))
        if (source, turn) not in self._order:
            # Only the current round of each source is kept: resuming asks for any round directly.
            self._order = {key: order for key, order in self._order.items() if key[0] != source}
            key = (self.seed, zlib.crc32(self.parts[source].dataset.name.encode()), source, turn)
            self._order[source, turn] = np.random.default_rng(key).permutation(len(units))
        return self.parts[source], units[int(self._order[source, turn][position])]

    def weights(self, progress: float) -> tuple[float, ...]:
        """The share of each part at a progress between 0 and 1."""
        return tuple(self._shares(np.array([progress]))[0].tolist())

    def _shares(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        """float [D,P]: shares at each progress, adding up to 1."""
        base = [len(p.dataset) ** 0.5 if p.weight is None else p.weight for p in self.parts]
        raw = np.stack([b * p.schedule.at(progress) for b, p in zip(base, self.parts, strict=True)], axis=1)
        total = raw.sum(axis=1, keepdims=True)
        if (raw < 0).any() or not (total > 0).all():
            raise GeoAgentError("at every point of a mixture's schedule one weight must be positive, and none negative")
        return raw / total

    def _assign(self, draws: int) -> NDArray[np.int64]:
        """int [draws]: the part of each draw."""
        bounds = np.cumsum(self._shares(np.arange(draws) / draws), axis=1)
        luck = np.random.default_rng(self.seed).random(draws)[:, None] * bounds[:, -1:]
        return (luck >= bounds).sum(axis=1)


def _occurrence(sources: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """int [draws]: how often the part of each draw was taken before."""
    turns = np.empty_like(sources)
    for source in range(count):
        mine = sources == source
        turns[mine] = np.arange(int(mine.sum()))
    return turns
