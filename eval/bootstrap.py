"""Values of metrics with intervals from resampled images.

Questions about one image share its difficulty, so images are drawn, not samples: drawing samples would give intervals
that are too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.metrics import Cell, Metric
from eval.scoring import SampleScore

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95
_CHUNK = 2_000_000
"""Drawn numbers kept in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric with its interval; None where no sample says anything about it."""

    value: float | None
    low: float | None
    high: float | None
    weight: float
    """Sum of denominators: the number of samples, phrases, objects or pixels that the value rests on."""

    def to_json(self) -> dict[str, Any]:
        """The estimate as it stands in a report."""
        return {"value": self.value, "low": self.low, "high": self.high, "weight": self.weight}


def estimate(
    scores: Sequence[SampleScore], metrics: Sequence[Metric], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Estimate]:
    """Every metric by name. The interval is None with fewer than two images: one image says nothing about others."""
    images = {image: row for row, image in enumerate(dict.fromkeys(score.image_id for score in scores))}
    tables = [_table(scores, metric, images) for metric in metrics]
    numerators = np.concatenate([table[0] for table in tables], axis=1)
    denominators = np.concatenate([table[1] for table in tables], axis=1)
    ends = np.cumsum([table[0].shape[1] for table in tables])
    spans = [slice(end - table[0].shape[1], end) for end, table in zip(ends, tables, strict=True)]

    drawn = [np.empty(0)] * len(metrics)
    if len(images) > 1:
        top, bottom = _resample(numerators, denominators, resamples, seed)
        drawn = [m.combine(top[:, span], bottom[:, span]) for m, span in zip(metrics, spans, strict=True)]
    top, bottom = numerators.sum(axis=0), denominators.sum(axis=0)
    return {
        metric.name: _estimate(float(metric.combine(top[span], bottom[span])), draws, float(bottom[span].sum()))
        for metric, span, draws in zip(metrics, spans, drawn, strict=True)
    }


def _table(
    scores: Sequence[SampleScore], metric: Metric, images: dict[str, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerators and denominators [images, cells] of one metric; one empty cell where there is nothing."""
    rows: list[tuple[int, Cell]] = [(images[score.image_id], cell) for score in scores for cell in metric.cells(score)]
    columns = {key: column for column, key in enumerate(dict.fromkeys(cell[0] for _, cell in rows))}
    numerators = np.zeros((len(images), max(len(columns), 1)))
    denominators = np.zeros_like(numerators)
    for row, (key, numerator, denominator) in rows:
        numerators[row, columns[key]] += numerator
        denominators[row, columns[key]] += denominator
    return numerators, denominators


def _resample(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], resamples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums [resamples, cells] over as many images drawn with replacement."""
    count = len(numerators)
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // count)
    tops, bottoms = [], []
    for start in range(0, resamples, step):
        weights = generator.multinomial(count, np.full(count, 1 / count), size=min(step, resamples - start))
        tops.append(weights @ numerators)
        bottoms.append(weights @ denominators)
    return np.concatenate(tops), np.concatenate(bottoms)


def _estimate(value: float, draws: NDArray[np.float64], weight: float) -> Estimate:
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None, weight=0.0)
    kept = draws[~np.isnan(draws)]
    if not kept.size:
        return Estimate(value=value, low=None, high=None, weight=weight)
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=value, low=float(low), high=float(high), weight=weight)
