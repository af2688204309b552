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
from eval.conventions import THRESHOLDS, Convention
from eval.scoring import MaskScores, SampleScore

Sums = NDArray[np.float64]
Cell = tuple[Hashable, float, float]
"""A cell of a metric with what a sample adds to its numerator and its denominator."""
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
    cells: Callable[[SampleScore], Iterable[Cell]]
    combine: Combine = mean_of_ratios
    percent: bool = True
    """Shown times 100; False for times and counts."""
    higher_is_better: bool = True


def _of_masks(
    numerator: Callable[[MaskScores], float],
    denominator: Callable[[MaskScores], float] = lambda _: 1,
    when: Callable[[MaskScores], bool] = lambda _: True,
) -> Callable[[SampleScore], Iterable[Cell]]:
    """A ratio over samples that have scorable masks and fulfil ``when``."""

    def cells(score: SampleScore) -> Iterable[Cell]:
        if score.masks is not None and when(score.masks):
            yield None, float(numerator(score.masks)), float(denominator(score.masks))

    return cells


def _has_target(masks: MaskScores) -> bool:
    return masks.has_target


def _precision_at(threshold: float) -> Metric:
    return Metric(
        name=f"Pr@{threshold:g}",
        definition=f"share of samples with a target whose IoU is above {threshold:g}",
        cells=_of_masks(lambda m: m.iou > threshold, when=_has_target),
    )


def _class_cells(score: SampleScore) -> Iterable[Cell]:
    if score.masks is not None:
        for name, iou in score.masks.class_ious:
            yield name, iou, 1.0


def _f1_parts(masks: MaskScores) -> tuple[int, int]:
    counts = masks.instances
    return (0, 0) if counts is None else (2 * counts.found, 2 * counts.found + counts.missed + counts.invented)


def _count_error(masks: MaskScores) -> int:
    return 0 if masks.instances is None else abs(masks.instances.predicted - masks.instances.true)


def _calibration_cells(score: SampleScore) -> Iterable[Cell]:
    if score.masks is not None:
        for confidence, right in score.masks.candidates:
            yield bin_of(confidence), float(right) - confidence, 1.0


def _measured(value: Callable[[SampleScore], float | None]) -> Callable[[SampleScore], Iterable[Cell]]:
    def cells(score: SampleScore) -> Iterable[Cell]:
        measured = value(score)
        if measured is not None:
            yield None, float(measured), 1.0

    return cells


METRICS: tuple[Metric, ...] = ( Metric( name="gIoU", definition="mean over samples with a target of the IoU between
the union of the true masks and the union of the " "accepted predictions, at the image's own size",
cells=_of_masks(lambda m: m.iou, when=_has_target), ), Metric( name="cIoU", definition="sum of intersections over sum
of unions of the same masks, samples with a target only (oIoU)", cells=_of_masks(lambda m: m.intersection, lambda m:
m.union, when=_has_target), ), *(_precision_at(threshold) for threshold in THRESHOLDS), Metric( name="gIoU_all",
definition="gIoU over all samples; one without a target scores 1 if nothing was accepted and 0 otherwise",
cells=_of_masks(lambda m: m.iou), ), Metric( name="mIoU", definition="mean over classes of the mean IoU of the targets
of a class; a sample's only target takes the IoU " "of the whole answer, one of several takes that of the prediction
matched with it (0 if none)", cells=_class_cells, ), Metric( name="N_acc", definition="share of samples without a
target that were answered with no mask", cells=_of_masks(lambda m: not m.answered, when=lambda m: not m.has_target),
), Metric( name="T_acc", definition="share of samples with a target that were answered with at least one mask",
cells=_of_masks(lambda m: m.answered, when=_has_target), ), Metric( name="reject_precision", definition="of the
phrases asked for that the answer did not accept, the share that is absent from the image; " "answered phrases are
paired with true ones by wording, else by overlap, else by order", cells=_of_masks( lambda m: sum(absent and rejected
for absent, rejected in m.rejections), lambda m: sum(rejected for _, rejected in m.rejections), ), ), Metric(
name="reject_recall", definition="of the phrases asked for that are absent from the image, the share that the answer
did not accept", cells=_of_masks( lambda m: sum(absent and rejected for absent, rejected in m.rejections), lambda m:
sum(absent for absent, _ in m.rejections), ), ), Metric( name="set_gIoU", definition="mean over samples with a target
of: IoU summed over targets matched one to one with predictions " "(Hungarian), divided by the larger of both numbers,
so that misses and surplus count 0", cells=_of_masks(lambda m: m.set_iou or 0.0, when=_has_target), ), Metric(
name="instance_F1@0.5", definition="2 TP / (2 TP + FP + FN) over single objects matched one to one at IoU 0.5, in
samples with a " "target whose labels know every object; connected pieces stand in for objects where a system does not
give any", cells=_of_masks(lambda m: _f1_parts(m)[0], lambda m: _f1_parts(m)[1]), ), Metric( name="count_error",
definition="mean absolute difference between the numbers of predicted and true objects, same samples",
cells=_of_masks(_count_error, when=lambda m: m.instances is not None), percent=False, higher_is_better=False, ),
Metric( name="ECE", definition=f"expected calibration error of the score, {BINS} equal bins, over all phrases of the
answers, " "accepted or not; a phrase is right when its mask is matched with a true target at IoU 0.5",
cells=_calibration_cells, combine=sum_of_gaps, higher_is_better=False, ), Metric( name="seconds", definition="mean
wall-clock time of an answer; the first question about an image includes encoding it", cells=_measured(lambda score:
score.seconds), percent=False, higher_is_better=False, ), Metric( name="tokens", definition="mean number of tokens
that the language model wrote", cells=_measured(lambda score: score.tokens), percent=False, higher_is_better=False, ),
)


def class_metric(name: str) -> Metric:
    """IoU of the targets of one class: one of the terms that mIoU averages."""

    def cells(score: SampleScore) -> Iterable[Cell]:
        return (cell for cell in _class_cells(score) if cell[0] == name)

    return Metric(name="class_IoU", definition=f"mean IoU of targets of class {name}", cells=cells)


def convention_metrics(convention: Convention) -> tuple[Metric, ...]:
    """A paper's gIoU, cIoU and Pr@X."""

    def over_masks(
        numerator: Callable[[float, int], float], denominator: Callable[[int], float]
    ) -> Callable[[SampleScore], Iterable[Cell]]:
        def cells(score: SampleScore) -> Iterable[Cell]:
            for mask in score.masks.conventions.get(convention.name, ()) if score.masks is not None else ():
                yield None, float(numerator(mask.iou, mask.intersection)), float(denominator(mask.union))

        return cells

    def precision_at(threshold: float) -> Metric:
        return Metric(
            name=f"Pr@{threshold:g}",
            definition=f"share of masks with IoU {'>' if convention.strict else '>='} {threshold:g}",
            cells=over_masks(lambda iou, _: convention.passes(iou, threshold), lambda _: 1),
        )

    return (
        Metric(name="gIoU", definition="mean IoU", cells=over_masks(lambda iou, _: iou, lambda _: 1)),
        Metric(
            name="cIoU",
            definition="sum of intersections over sum of unions",
            cells=over_masks(lambda _, intersection: intersection, lambda union: union),
        ),
        *(precision_at(threshold) for threshold in THRESHOLDS),
    )
