import numpy as np
import pytest
from toy_world import box_mask, record, sample, target

from eval.bootstrap import estimate
from eval.metrics import METRICS
from eval.scoring import score_sample

SHIP = target("ship", box_mask(0, 0, 4, 4), class_name="ship")


def score(number, rows, image):
    """An answer with IoU ``rows`` / 4."""
    answer = record(f"s{number}", ("ship", 0.9, box_mask(0, 0, 4, rows)))
    return score_sample(sample(f"s{number}", SHIP, image_id=image), answer, number)


def test_interval_of_a_mean_is_close_to_the_normal_one():
    ious = np.random.default_rng(0).integers(0, 5, 400)
    scores = [score(k, int(rows), f"image {k}") for k, rows in enumerate(ious)]
    found = estimate(scores, METRICS)["gIoU"]
    spread = 1.96 * (ious / 4).std() / np.sqrt(len(ious))
    assert found.value == pytest.approx((ious / 4).mean())
    assert found.low == pytest.approx(found.value - spread, abs=0.006)
    assert found.high == pytest.approx(found.value + spread, abs=0.006)
    assert found.weight == 400


def test_images_are_drawn_not_samples():
    # The same answers, once about twenty images and once about two hundred: questions about one image stand together.
    rows = [4 * (k // 10 % 2) for k in range(200)]
    together = estimate([score(k, r, f"image {k // 10}") for k, r in enumerate(rows)], METRICS)["gIoU"]
    apart = estimate([score(k, r, f"image {k}") for k, r in enumerate(rows)], METRICS)["gIoU"]
    assert together.value == apart.value == 0.5
    assert together.high - together.low > 2.5 * (apart.high - apart.low)


def test_the_same_seed_gives_the_same_interval():
    scores = [score(k, k % 5, f"image {k}") for k in range(30)]
    assert estimate(scores, METRICS) == estimate(scores, METRICS)
    assert estimate(scores, METRICS, seed=1)["gIoU"].low != estimate(scores, METRICS)["gIoU"].low


def test_one_image_has_no_interval():
    found = estimate([score(0, 2, "one"), score(1, 4, "one")], METRICS)
    assert (found["gIoU"].value, found["gIoU"].low, found["gIoU"].high) == (0.75, None, None)


def test_no_scores_have_no_values():
    found = estimate([], METRICS)
    assert found["gIoU"].value is None
    assert found["mIoU"].value is None
