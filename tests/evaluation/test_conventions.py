"""Each paper's convention against a plain reimplementation, pixel by pixel, and against values worked out by hand."""

import numpy as np
import pytest
from PIL import Image
from toy_world import box_mask, nothing, record, sample, target

from eval.bootstrap import estimate
from eval.conventions import CONVENTIONS, convention, letterbox, stretch
from eval.metrics import convention_metrics
from eval.scoring import score_sample
from geoagent.types import GeoAgentError


def scores_of(name, pairs):
    chosen = convention(name)
    rows = [score_sample(one, answer, index, [chosen]) for index, (one, answer) in enumerate(pairs)]
    return {key: found.value for key, found in estimate(rows, convention_metrics(chosen), resamples=5).items()}


def random_pairs(seed, count=12):
    """Samples of several sizes with zero to three targets and zero to four predictions."""
    generator = np.random.default_rng(seed)

    def blob(height, width):
        y, x = np.sort(generator.integers(0, height, 2)), np.sort(generator.integers(0, width, 2))
        return box_mask(x[0], y[0], x[1] + 1, y[1] + 1, size=(height, width))

    pairs = []
    for number in range(count):
        size = tuple(int(side) for side in generator.integers(20, 90, 2))
        truth = [target(f"t{k}", blob(*size)) for k in range(generator.integers(0, 4))]
        answer = [(f"p{k}", 0.9, blob(*size)) for k in range(generator.integers(0, 5))]
        if number % 3 == 0 and truth:
            answer = [(one.phrase, 0.9, one.mask) for one in truth]
        question = int(generator.integers(0, 2))
        pairs.append(
            (sample(f"s{number}", *truth, size=size, extra={"question": question}), record(f"s{number}", *answer))
        )
    return pairs


def unite(masks, size):
    together = np.zeros(size, dtype=np.uint8)
    for mask in masks:
        together = np.maximum(together, mask)
    return together


def padded(mask, side):
    """Letterbox in plain loops, after the published preprocessing: truncated sizes, even padding, nearest corner."""
    height, width = mask.shape
    new_width, new_height = (
        (side, int(height * (side / width))) if width > height else (int(width * (side / height)), side)
    )
    top, left = (side - new_height) // 2, (side - new_width) // 2
    canvas = np.zeros((side, side), dtype=np.uint8)
    for row in range(new_height):
        source = mask[int(row * (height / new_height))]
        for column in range(new_width):
            canvas[top + row, left + column] = source[int(column * (width / new_width))]
    return canvas


def summarise(triples, at):
    inter, union, ious = (np.array(part, dtype=float) for part in zip(*triples, strict=True))
    found = {"gIoU": ious.mean(), "cIoU": inter.sum() / union.sum()}
    return found | {f"Pr@{t:g}": np.mean([at(iou, t) for iou in ious]) for t in (0.5, 0.6, 0.7, 0.8, 0.9)}


def united_reference(pairs, canvas, empty, at, first_only):
    triples = []
    for one, answer in pairs:
        if first_only and one.extra["question"] != 0:
            continue
        size = one.image.shape[:2]
        truth = canvas(unite([t.mask for t in one.targets], size)).astype(bool)
        predicted = canvas(unite([p.decode() for p in answer.pred], size)).astype(bool)
        inter, union = (truth & predicted).sum(), (truth | predicted).sum()
        triples.append((inter, union, inter / union if union else empty))
    return summarise(triples, at)


@pytest.mark.parametrize(("name", "side"), [("segearth-r1", 1024), ("unigeoseg", 512)])
def test_letterboxed_conventions(name, side):
    pairs = random_pairs(seed=side, count=6)
    expected = united_reference(pairs, lambda m: padded(m, side), 1.0, lambda iou, t: iou > t, first_only=True)
    assert scores_of(name, pairs) == pytest.approx(expected)


def test_rmsin():
    pairs = random_pairs(seed=1)

    def canvas(mask):
        return np.asarray(Image.fromarray(mask * 255).resize((480, 480), Image.Resampling.NEAREST)) > 0

    expected = united_reference(pairs, canvas, 0.0, lambda iou, t: iou >= t, first_only=False)
    assert scores_of("rmsin", pairs) == pytest.approx(expected)


def test_segearth_r2():
    pairs = random_pairs(seed=2)
    triples = []
    for one, answer in pairs:
        truth = [t.mask for t in one.targets]
        predicted = [p.decode() for p in answer.pred]
        if not predicted:
            predicted = [np.zeros(one.image.shape[:2], dtype=bool)] * len(truth)
        while len(predicted) < len(truth):
            predicted.append(predicted[-1])
        for right, mask in zip(truth, predicted[: len(truth)], strict=True):
            inter, union = np.logical_and(right, mask).sum(), np.logical_or(right, mask).sum()
            triples.append((inter, union, inter / union if union else 1.0))
    assert scores_of("segearth-r2", pairs) == pytest.approx(summarise(triples, lambda iou, t: iou > t))


SHIP = target("ship", box_mask(0, 0, 4, 4))
HALF = ("ship", 0.9, box_mask(0, 0, 4, 2))


@pytest.mark.parametrize(("name", "expected"), [("segearth-r1", 1.0), ("unigeoseg", 1.0), ("rmsin", 0.0)])
def test_what_an_empty_union_counts(name, expected):
    assert scores_of(name, [(sample("a", target("pad", nothing())), record("a"))])["gIoU"] == expected


@pytest.mark.parametrize("name", ["segearth-r1", "unigeoseg", "rmsin"])
def test_an_answer_where_nothing_is_counts_zero(name):
    assert scores_of(name, [(sample("a"), record("a", HALF))])["gIoU"] == 0.0


def test_exactly_half_passes_only_where_the_paper_says_so():
    # 32 pixels scale evenly to 512 and 1024, and to 480 by 15.
    size = (32, 32)
    pair = [
        (
            sample("a", target("ship", box_mask(0, 0, 16, 16, size=size)), size=size),
            record("a", ("ship", 0.9, box_mask(0, 0, 16, 8, size=size))),
        )
    ]
    passed = {name: scores_of(name, pair)["Pr@0.5"] for name in CONVENTIONS}
    assert passed == {"segearth-r1": 0.0, "segearth-r2": 0.0, "rmsin": 1.0, "unigeoseg": 0.0}


def test_segearth_r2_does_not_punish_surplus_and_repeats_the_last_mask():
    car = target("car", SHIP.mask)
    assert scores_of("segearth-r2", [(sample("a", SHIP), record("a", HALF, HALF, HALF))])["gIoU"] == 0.5
    assert scores_of("segearth-r2", [(sample("a", SHIP, car), record("a", HALF))])["gIoU"] == 0.5
    swapped = record("a", ("car", 0.9, box_mask(6, 6, 8, 8)), ("ship", 0.9, SHIP.mask))
    both = sample("a", SHIP, target("car", box_mask(6, 6, 8, 8)))
    assert scores_of("segearth-r2", [(both, swapped)])["gIoU"] == 0.0  # by index, not by overlap
    assert scores_of("segearth-r2", [(sample("a"), record("a", HALF))])["gIoU"] is None


def test_only_the_first_question_counts_where_the_paper_asks_only_that():
    pairs = [
        (sample("a", SHIP, extra={"question": 0}), record("a", ("ship", 0.9, SHIP.mask))),
        (sample("b", SHIP, extra={"question": 1}), record("b")),
    ]
    assert scores_of("segearth-r1", pairs)["gIoU"] == 1.0
    assert scores_of("rmsin", pairs)["gIoU"] == 0.5


def test_canvases_keep_or_ignore_the_aspect():
    wide = box_mask(0, 0, 8, 4, size=(4, 8))
    assert letterbox(wide, 16).sum() == 16 * 8
    assert letterbox(wide, 16)[4:12].all()  # padded evenly above and below
    assert stretch(wide, 16).all()
    thin = letterbox(np.ones((1, 900), dtype=np.bool_), 64)  # would vanish: keeps one row
    assert thin.sum() == 64


def test_unknown_convention():
    with pytest.raises(GeoAgentError, match="choose one of segearth-r1"):
        convention("lisa")
