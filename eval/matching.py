"""Which prediction belongs to which truth: by overlap for masks and instances, by wording for phrases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from geoagent.types import Instance, LabelledTarget, Mask

Matrix = NDArray[np.float64]

SAME_WORDING = 0.5
"""Phrases that share at least this part of their words mean the same thing."""
_FILLERS = frozenset({"a", "an", "the", "all", "any", "of", "this", "that", "these", "those"})


class Overlap(NamedTuple):
    """Pixels that two masks share and pixels that either covers."""

    intersection: int
    union: int

    def iou(self, empty: float) -> float:
        """Intersection over union; ``empty`` where neither mask has a pixel."""
        return self.intersection / self.union if self.union else empty


def overlap(a: Mask, b: Mask) -> Overlap:
    """Compare two masks of the same size."""
    return Overlap(int(np.count_nonzero(a & b)), int(np.count_nonzero(a | b)))


def union_of(masks: Sequence[Mask], size: tuple[int, int]) -> Mask:
    """bool [H,W]: pixels of any of ``masks``, none if there are none."""
    union = np.zeros(size, dtype=np.bool_)
    for mask in masks:
        union |= mask
    return union


def assign(similarity: Matrix, above: float = 0.0) -> list[tuple[int, int]]:
    """Hungarian assignment of rows to columns with the largest total; pairs that are not ``above`` are left out."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if similarity[r, c] > above]


# ------------------------------------------------------------------------------------------ targets


def target_ious(truth: Sequence[LabelledTarget], predicted: Sequence[Mask]) -> Matrix:
    """[truth, predicted]: IoU of each pair, leaving out the pixels that the labels of the target do not know."""
    table = np.zeros((len(truth), len(predicted)))
    for row, target in enumerate(truth):
        known = None if target.ignore is None else ~target.ignore
        right = target.mask if known is None else target.mask & known
        for column, mask in enumerate(predicted):
            table[row, column] = overlap(right, mask if known is None else mask & known).iou(empty=0.0)
    return table


def pair_phrases(truth: Sequence[LabelledTarget], phrases: Sequence[str], masks: Sequence[Mask]) -> dict[int, int]:
    """Predicted phrase of each true one: first by wording, then by overlap of the masks, then by order.

    Returns:
        Indices into ``phrases`` by index into ``truth``; a true phrase that the answer does not deal with is left out.
    """
    pairs: dict[int, int] = {}

    def left_over() -> tuple[list[int], list[int]]:
        taken = set(pairs.values())
        return [r for r in range(len(truth)) if r not in pairs], [c for c in range(len(phrases)) if c not in taken]

    rows, columns = left_over()
    wording = np.array([[wording_similarity(truth[r].phrase, phrases[c]) for c in columns] for r in rows])
    if wording.size:
        similar = np.where(wording >= SAME_WORDING, wording, 0.0)
        pairs.update({rows[r]: columns[c] for r, c in assign(similar)})
    rows, columns = left_over()
    if rows and columns:
        ious = target_ious([truth[r] for r in rows], [masks[c] for c in columns])
        pairs.update({rows[r]: columns[c] for r, c in assign(ious)})
    pairs.update(zip(*left_over(), strict=False))
    return pairs


def wording_similarity(a: str, b: str) -> float:
    """Part of the words of two phrases that both use; articles and the plural do not count."""
    words_a, words_b = _words(a), _words(b)
    if not words_a or not words_b:
        return 0.0
    return len(words_a & words_b) / len(words_a | words_b)


def _words(phrase: str) -> frozenset[str]:
    words = re.findall(r"\w+", phrase.lower())
    return frozenset(w[:-1] if len(w) > 3 and w.endswith("s") else w for w in words if w not in _FILLERS)


# ------------------------------------------------------------------------------------------ instances


@dataclass(frozen=True, kw_only=True)
class InstanceCounts:
    """How many objects were found, missed and invented."""

    found: int
    missed: int
    invented: int

    @property
    def true(self) -> int:
        """Number of objects in the labels."""
        return self.found + self.missed

    @property
    def predicted(self) -> int:
        """Number of objects that the system reported, less those on pixels that the labels do not know."""
        return self.found + self.invented


def count_instances(
    truth: Sequence[Instance], predicted: Sequence[Instance], ignore: Mask | None, iou: float = 0.5
) -> InstanceCounts:
    """Match objects one to one at ``iou``; an unmatched one that lies mostly on unknown pixels counts for nothing."""
    table = instance_ious(truth, predicted)
    matched = assign(np.where(table >= iou, table, 0.0))
    columns = {column for _, column in matched}
    surplus = [one for column, one in enumerate(predicted) if column not in columns]
    invented = sum(1 for one in surplus if ignore is None or _unknown_part(one, ignore) <= 0.5)
    return InstanceCounts(found=len(matched), missed=len(truth) - len(matched), invented=invented)


def instance_ious(truth: Sequence[Instance], predicted: Sequence[Instance]) -> Matrix:
    """[truth, predicted]: IoU of each pair; only pairs whose boxes touch are looked at."""
    table = np.zeros((len(truth), len(predicted)))
    if not table.size:
        return table
    boxes_a, boxes_b = np.array([one.box for one in truth]), np.array([one.box for one in predicted])
    start = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    end = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    areas_a, areas_b = [one.area for one in truth], [one.area for one in predicted]
    for row, column in np.argwhere((start < end).all(axis=2)):
        (x0, y0), (x1, y1) = start[row, column], end[row, column]
        shared = int(np.count_nonzero(_cut(truth[row], x0, y0, x1, y1) & _cut(predicted[column], x0, y0, x1, y1)))
        union = areas_a[row] + areas_b[column] - shared
        table[row, column] = shared / union if union else 0.0
    return table


def components(mask: Mask) -> tuple[Instance, ...]:
    """Connected pieces of a mask (eight neighbours), for systems that do not tell objects apart."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=np.int8))
    pieces = []
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = window
        pieces.append(
            Instance(
                id=number,
                box=(columns.start, rows.start, columns.stop, rows.stop),
                crop=labels[window] == number,
                score=1.0,
                image_size=(int(mask.shape[0]), int(mask.shape[1])),
            )
        )
    return tuple(pieces)


def _cut(instance: Instance, x0: int, y0: int, x1: int, y1: int) -> Mask:
    left, top = instance.box[:2]
    return instance.crop[y0 - top : y1 - top, x0 - left : x1 - left]


def _unknown_part(instance: Instance, ignore: Mask) -> float:
    x0, y0, x1, y1 = instance.box
    area = instance.area
    return float(np.count_nonzero(instance.crop & ignore[y0:y1, x0:x1])) / area if area else 0.0
