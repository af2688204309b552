"""Every metric against values worked out by hand on 10 x 10 pixels."""

import pytest
from toy_world import box_mask, instance, nothing, record, sample, target

from eval.bootstrap import estimate
from eval.calibration import bin_of, reliability
from eval.metrics import METRICS, class_metric
from eval.scoring import groups_of, score_sample


def values(*pairs, metrics=METRICS):
    scores = [score_sample(one, answer, index) for index, (one, answer) in enumerate(pairs)]
    return {name: found.value for name, found in estimate(scores, metrics, resamples=20).items()}


SHIP = target("ship", box_mask(0, 0, 4, 4), class_name="ship")
HALF = ("ship", 0.8, box_mask(0, 0, 4, 2))  # IoU 8 / 16
FULL = ("ship", 0.9, box_mask(0, 0, 4, 4))


def three_samples():
    """IoUs 1, 0.5 and 0.25: 16/16, 8/16 and 4/16 pixels."""
    return (
        (sample("a", SHIP), record("a", FULL)),
        (sample("b", SHIP), record("b", HALF)),
        (sample("c", SHIP), record("c", ("ship", 0.7, box_mask(0, 0, 4, 1)))),
    )


def test_giou_is_the_mean_and_ciou_the_ratio_of_sums():
    big = target("ship", box_mask(0, 0, 10, 10))
    found = values((sample("a", SHIP), record("a", FULL)), (sample("b", big), record("b", ("x", 0.9, SHIP.mask))))
    assert found["gIoU"] == pytest.approx((1 + 0.16) / 2)
    assert found["cIoU"] == pytest.approx((16 + 16) / (16 + 100))


def test_precision_counts_ious_strictly_above():
    found = values(*three_samples())
    assert found["Pr@0.5"] == pytest.approx(1 / 3)  # 0.5 itself does not count
    assert found["Pr@0.9"] == pytest.approx(1 / 3)
    assert found["gIoU"] == pytest.approx(1.75 / 3)


def test_several_accepted_masks_are_united():
    pair = (sample("a", SHIP), record("a", HALF, ("ship", 0.9, box_mask(0, 2, 4, 4))))
    assert values(pair)["gIoU"] == 1.0
    assert values(pair)["set_gIoU"] == pytest.approx(0.5 / 2)


def test_samples_without_a_target():
    absent = target("helipad", nothing())
    found = values(
        (sample("a", SHIP), record("a", HALF)),
        (sample("b", SHIP), record("b")),
        (sample("c", absent), record("c")),
        (sample("d", absent), record("d", FULL)),
        (sample("e"), record("e")),
    )
    assert found["gIoU"] == pytest.approx(0.5 / 2)
    assert found["gIoU_all"] == pytest.approx((0.5 + 0 + 1 + 0 + 1) / 5)
    assert found["N_acc"] == pytest.approx(2 / 3)
    assert found["T_acc"] == pytest.approx(1 / 2)
    assert found["cIoU"] == pytest.approx(8 / 32)


def test_rejection_by_phrase():
    plane, pad = target("plane", nothing()), target("helipad", nothing())
    found = values(
        # ship found, helipad rejected
        (sample("a", SHIP, pad), record("a", FULL, absent=[("helipad", 0.1, nothing())])),
        # ship rejected wrongly, plane accepted wrongly
        (
            sample("b", SHIP, plane),
            record("b", ("plane", 0.8, box_mask(6, 6, 9, 9)), absent=[("ship", 0.2, SHIP.mask)]),
        ),
        # nothing said at all: both count as rejected
        (sample("c", plane, pad), record("c")),
    )
    # rejected: helipad (right), ship (wrong), plane and helipad of c (right)
    assert found["reject_precision"] == pytest.approx(3 / 4)
    # absent: helipad, plane (accepted), plane, helipad
    assert found["reject_recall"] == pytest.approx(3 / 4)


def test_set_giou_counts_misses_and_surplus_as_zero():
    car = target("car", box_mask(6, 6, 8, 8))
    both = sample("a", SHIP, car)
    perfect = (("ship", 0.9, SHIP.mask), ("car", 0.9, car.mask))
    stray = ("tree", 0.9, box_mask(0, 9, 1, 10))
    assert values((both, record("a", *perfect)))["set_gIoU"] == 1.0
    assert values((both, record("a", *perfect[::-1])))["set_gIoU"] == 1.0
    assert values((both, record("a", perfect[0])))["set_gIoU"] == 0.5
    assert values((both, record("a", *perfect, stray)))["set_gIoU"] == pytest.approx(2 / 3)
    assert values((both, record("a", HALF, stray)))["set_gIoU"] == pytest.approx(0.25)
    assert values((both, record("a")))["set_gIoU"] == 0.0


def test_miou_averages_classes_not_samples():
    car = target("car", box_mask(6, 6, 8, 8), class_name="car")
    pairs = (
        (sample("a", SHIP), record("a", FULL)),
        (sample("b", SHIP), record("b", HALF)),
        (sample("c", car), record("c")),
        # several targets: each takes the prediction it is matched with
        (sample("d", SHIP, car), record("d", ("car", 0.9, car.mask))),
    )
    # ship: 1, 0.5, 0; car: 0, 1
    assert values(*pairs)["mIoU"] == pytest.approx((0.5 + 0.5) / 2)
    assert values(*pairs, metrics=(class_metric("ship"),))["class_IoU"] == pytest.approx(0.5)
    assert values(*pairs[:3])["mIoU"] == pytest.approx((0.75 + 0) / 2)


def test_instances_and_counts():
    three = target(
        "cars",
        box_mask(0, 0, 2, 2, 4, 0, 6, 2, 8, 0, 10, 2),
        instances=(instance(0, 0, 2, 2), instance(4, 0, 6, 2), instance(8, 0, 10, 2)),
    )
    # Two of three, and one invented: connected pieces stand in for the objects.
    answer = record("a", ("cars", 0.9, box_mask(0, 0, 2, 2, 4, 0, 6, 2, 0, 8, 2, 10, 5, 8, 7, 10)))
    unknown_objects = (sample("b", SHIP), record("b", FULL))
    found = values((sample("a", three), answer), unknown_objects)
    assert found["instance_F1@0.5"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert found["count_error"] == 1.0


def test_ignored_pixels_are_not_scored():
    hazy = target("ship", box_mask(0, 0, 4, 4), ignore=box_mask(4, 0, 10, 4))
    found = values(
        (sample("a", hazy), record("a", ("ship", 0.9, box_mask(0, 0, 10, 4)))),
        (
            sample("b", target("pad", nothing(), ignore=box_mask(4, 0, 10, 4))),
            record("b", ("pad", 0.9, box_mask(5, 0, 6, 1))),
        ),
    )
    assert found["gIoU"] == 1.0
    assert found["set_gIoU"] == 1.0
    assert found["N_acc"] == 1.0


def test_true_pixels_of_one_target_stay_known_where_another_ignores_them():
    vague = target("car", box_mask(6, 6, 8, 8), ignore=box_mask(0, 0, 10, 5))
    found = values((sample("a", SHIP, vague), record("a", ("car", 0.9, vague.mask))))
    assert found["gIoU"] == pytest.approx(4 / 20)


def test_unscorable_targets_are_left_out():
    machine = target("car", box_mask(6, 6, 8, 8), scorable=False)
    only = score_sample(sample("a", machine), record("a", FULL), 0)
    assert only.masks is None
    mixed = sample("b", SHIP, machine)
    # Having the car or not changes nothing.
    for answer in (record("b", FULL), record("b", FULL, ("car", 0.9, box_mask(6, 6, 9, 9)))):
        masks = score_sample(mixed, answer, 0).masks
        assert (masks.iou, masks.set_iou, masks.rejections) == (1.0, 1.0, ((False, False),))
    # Its pixels are unknown for the other target too.
    spilt = record("b", ("ship", 0.9, SHIP.mask | machine.mask))
    assert score_sample(mixed, spilt, 0).masks.iou == 1.0
    assert values((sample("a", machine), record("a", FULL, seconds=2.0)))["gIoU"] is None


def test_calibration_error():
    far = box_mask(8, 8, 10, 10)
    found = values(
        # right at 0.9 and wrong at 0.95: bin of 0.9 has gap |(1-0.9) + (0-0.95)| = 0.85
        (sample("a", SHIP), record("a", FULL)),
        (sample("b", SHIP), record("b", ("ship", 0.95, far))),
        # rejected with 0.2 although its mask was right: gap 0.8
        (sample("c", SHIP), record("c", absent=[("ship", 0.2, SHIP.mask)])),
    )
    assert found["ECE"] == pytest.approx((0.85 + 0.8) / 3)


def test_a_phrase_is_right_from_half_overlap_on_and_once():
    third = ("ship", 0.7, box_mask(0, 0, 4, 1))
    masks = score_sample(sample("a", SHIP), record("a", HALF, third, HALF), 0).masks
    assert masks.candidates == ((0.8, True), (0.7, False), (0.8, False))


def test_reliability_bins():
    bins = reliability([(0.95, True), (1.0, False), (0.05, False)])
    assert [one.count for one in bins] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert bins[9].accuracy == 0.5
    assert bins[9].confidence == pytest.approx(0.975)
    assert bins[3].accuracy is None
    assert [bin_of(score) for score in (-0.1, 0.0, 0.0999, 0.5, 1.0, 1.2)] == [0, 0, 0, 5, 9, 9]


def test_time_and_tokens():
    found = values(
        (sample("a", SHIP), record("a", FULL, seconds=1.0, tokens=10)),
        (sample("b", SHIP), record("b", FULL, seconds=2.0, tokens=20)),
        (sample("c", SHIP), record("c", FULL)),
    )
    assert (found["seconds"], found["tokens"]) == (1.5, 15)


def test_a_metric_that_no_sample_speaks_of_has_no_value():
    found = values((sample("a", SHIP), record("a", FULL)))
    assert found["N_acc"] is None
    assert found["reject_recall"] is None
    assert found["instance_F1@0.5"] is None


def test_groups():
    car = target("car", box_mask(6, 6, 8, 8), class_name="car")
    one = sample("a", SHIP, car, SHIP, type="several", source="synth", extra={"wording": "terse", "question": 2})
    assert groups_of(one) == {
        "type": ("several",),
        "targets": ("3+",),
        "class": ("ship", "car"),
        "source": ("synth",),
        "wording": ("terse",),
        "question": ("further",),
    }
    assert groups_of(sample("b", extra={"question": "a user's own key"})) == {"type": ("reference",), "targets": ("0",)}
