"""What each number of a report means, and how it is made of sums over samples.

Every metric is a function of sums: each sample puts a numerator and a denominator into one or more cells, and the
metric combines the sums of the cells. So one weighting of images gives all metrics at once, which is what the
bootstrap needs.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.calibration import BINS, bin_of
from eval.conventions import THRESHOLDS, Convention, MaskScore
from eval.scoring import MaskScores, SampleScore

Sums = NDArray[np.float64]
Cell = tuple[Hashable, float, float]
"""A cell of a metric with what a sample adds to its numerator and its denominator."""
Cells = Callable[[SampleScore], Iterable[Cell]]
Combine = Callable[[Sums, Sums], NDArray[np.float64]]


def mean_of_ratios(numerators: Sums, denominators: Sums) -> NDArray[np.float64]:
    """[…]: mean over the cells (last axis) that hold anything; NaN where none does. With one cell: its ratio."""
    filled = denominators > 0
    ratios = np.divide(numerators, denominators, out=np.zeros_like(numerators), where=filled)
    count = filled.sum(axis=-1)
    return np.divide(ratios.sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0)


def sum_of_gaps(numerators: Sums, denominators: Sums) -> NDArray[np.float64]:
    """[…]: sum of absolute numerators over the sum of denominators; NaN where there is nothing."""
    total = denominators.sum(axis=-1)
    return np.divide(np.abs(numerators).sum(axis=-1), total, out=np.full(total.shape, np.nan), where=total > 0)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of a report."""

    name: str
    definition: str
    cells: Cells
    combine: Combine = mean_of_ratios
    percent: bool = True
    """Shown times 100; False for times and counts."""
    higher_is_better: bool = True


# ------------------------------------------------------------------------------------------ what a sample adds


def _ratio(part: Callable[[MaskScores], tuple[float, float] | None]) -> Cells:
    """One cell that takes ``(numerator, denominator)`` of a sample, or nothing."""

    def cells(score: SampleScore) -> Iterable[Cell]:
        added = part(score.masks) if score.masks is not None else None
        if added is not None:
            yield None, float(added[0]), float(added[1])

    return cells


def _over_targets(value: Callable[[MaskScores], float]) -> Cells:
    """Mean over samples with a target."""
    return _ratio(lambda masks: (value(masks), 1) if masks.has_target else None)


def _measured(value: Callable[[SampleScore], float | None]) -> Cells:
    """Mean over samples for which the record holds the value."""

    def cells(score: SampleScore) -> Iterable[Cell]:
        measured = value(score)
        if measured is not None:
            yield None, float(measured), 1.0

    return cells


def _reject_precision(masks: MaskScores) -> tuple[float, float]:
    rejected = [absent for absent, rejected in masks.rejections if rejected]
    return sum(rejected), len(rejected)


def _reject_recall(masks: MaskScores) -> tuple[float, float]:
    absent = [rejected for absent, rejected in masks.rejections if absent]
    return sum(absent), len(absent)


def _f1(masks: MaskScores) -> tuple[float, float] | None:
    counts = masks.instances
    return None if counts is None else (2 * counts.found, 2 * counts.found + counts.missed + counts.invented)


def _count_error(masks: MaskScores) -> tuple[float, float] | None:
    counts = masks.instances
    return None if counts is None else (abs(counts.predicted - counts.true), 1)


def _class_cells(score: SampleScore) -> Iterable[Cell]:
    for name, iou in score.masks.class_ious if score.masks is not None else ():
        yield name, iou, 1.0


def _calibration_cells(score: SampleScore) -> Iterable[Cell]:
    for confidence, right in score.masks.candidates if score.masks is not None else ():
        yield bin_of(confidence), float(right) - confidence, 1.0


# ------------------------------------------------------------------------------------------ the metrics


def _precision_at(threshold: float) -> Metric:
    return Metric(
        name=f"Pr@{threshold:g}",
        definition=f"share of samples with a target whose IoU is above {threshold:g}",
        cells=_over_targets(lambda masks: masks.iou > threshold),
    )


METRICS: tuple[Metric, ...] = (
    Metric(
        name="gIoU",
        definition="mean over samples with a target of the IoU between the union of the true masks and the union of "
        "the accepted predictions, at the image's own size",
        cells=_over_targets(lambda masks: masks.iou),
    ),
    Metric(
        name="cIoU",
        definition="sum of intersections over sum of unions of the same masks, samples with a target only (oIoU)",
        cells=_ratio(lambda masks: (masks.intersection, masks.union) if masks.has_target else None),
    ),
    *(_precision_at(threshold) for threshold in THRESHOLDS),
    Metric(
        name="gIoU_all",
        definition="gIoU over all samples; one without a target scores 1 if nothing was accepted and 0 otherwise",
        cells=_ratio(lambda masks: (masks.iou, 1)),
    ),
    Metric(
        name="mIoU",
        definition="mean over classes of the mean IoU of the targets of a class; a sample's only target takes the IoU "
        "of the whole answer, one of several takes that of the prediction matched with it (0 if none)",
        cells=_class_cells,
    ),
    Metric(
        name="N_acc",
        definition="share of samples without a target that were answered with no mask",
        cells=_ratio(lambda masks: None if masks.has_target else (not masks.answered, 1)),
    ),
    Metric(
        name="T_acc",
        definition="share of samples with a target that were answered with at least one mask",
        cells=_over_targets(lambda masks: masks.answered),
    ),
    Metric(
        name="reject_precision",
        definition="of the phrases asked for that the answer did not accept, the share that is absent from the image; "
        "answered phrases are paired with true ones by wording, else by overlap, else by order",
        cells=_ratio(_reject_precision),
    ),
    Metric(
        name="reject_recall",
        definition="of the phrases asked for that are absent from the image, the share that the answer did not accept",
        cells=_ratio(_reject_recall),
    ),
    Metric(
        name="set_gIoU",
        definition="mean over samples with a target of: IoU summed over targets matched one to one with predictions "
        "(Hungarian), divided by the larger of both numbers, so that misses and surplus count 0",
        cells=_ratio(lambda masks: None if masks.set_iou is None else (masks.set_iou, 1)),
    ),
    Metric(
        name="instance_F1@0.5",
        definition="2 TP / (2 TP + FP + FN) over single objects matched one to one at IoU 0.5, in samples with a "
        "target whose labels know every object; connected pieces stand in where a system does not tell objects apart",
        cells=_ratio(_f1),
    ),
    Metric(
        name="count_error",
        definition="mean absolute difference between the numbers of predicted and true objects, same samples",
        cells=_ratio(_count_error),
        percent=False,
        higher_is_better=False,
    ),
    Metric(
        name="ECE",
        definition=f"expected calibration error of the score, {BINS} equal bins, over all phrases of the answers, "
        "accepted or not; a phrase is right when its mask is matched with a true target at IoU 0.5",
        cells=_calibration_cells,
        combine=sum_of_gaps,
        higher_is_better=False,
    ),
    Metric(
        name="seconds",
        definition="mean wall-clock time of an answer; the first question about an image includes encoding it",
        cells=_measured(lambda score: score.seconds),
        percent=False,
        higher_is_better=False,
    ),
    Metric(
        name="tokens",
        definition="mean number of tokens that the language model wrote",
        cells=_measured(lambda score: score.tokens),
        percent=False,
        higher_is_better=False,
    ),
)


def class_metric(name: str) -> Metric:
    """IoU of the targets of one class: one of the terms that mIoU averages."""
    return Metric(
        name="class_IoU",
        definition="mean IoU of the targets of the class: the term that mIoU averages",
        cells=lambda score: (cell for cell in _class_cells(score) if cell[0] == name),
    )


def convention_metrics(convention: Convention) -> tuple[Metric, ...]:
    """A paper's gIoU, cIoU and Pr@X."""

    def over_masks(part: Callable[[MaskScore], tuple[float, float]]) -> Cells:
        def cells(score: SampleScore) -> Iterable[Cell]:
            for mask in score.masks.conventions.get(convention.name, ()) if score.masks is not None else ():
                numerator, denominator = part(mask)
                yield None, float(numerator), float(denominator)

        return cells

    def precision_at(threshold: float) -> Metric:
        return Metric(
            name=f"Pr@{threshold:g}",
            definition=f"share of masks with IoU {'>' if convention.strict else '>='} {threshold:g}",
            cells=over_masks(lambda mask: (convention.passes(mask.iou, threshold), 1)),
        )

    return (
        Metric(name="gIoU", definition="mean IoU", cells=over_masks(lambda mask: (mask.iou, 1))),
        Metric(
            name="cIoU",
            definition="sum of intersections over sum of unions",
            cells=over_masks(lambda mask: (mask.intersection, mask.union)),
        ),
        *(precision_at(threshold) for threshold in THRESHOLDS),
    )
