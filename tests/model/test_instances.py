"""One mask, several objects."""

import numpy as np
import pytest
import torch

from geoagent.model.instances import core_truth, resize_logits, split_instances
from geoagent.types import Instance


def blank(*boxes, size=(40, 60)):
    mask = np.zeros(size, dtype=np.bool_)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def even(mask, value=0.9):
    return np.where(mask, value, 0.1).astype(np.float32)


def assert_partition(instances, mask):
    covered = sum((i.mask.astype(int) for i in instances), np.zeros(mask.shape, dtype=int))
    assert np.array_equal(covered, mask.astype(int))


def test_what_does_not_touch_is_apart_largest_first():
    mask = blank((2, 2, 8, 8), (20, 10, 50, 30), (10, 32, 20, 38))
    found = split_instances(mask, even(mask), None)
    assert [i.id for i in found] == [1, 2, 3]
    assert [i.box for i in found] == [(20, 10, 50, 30), (10, 32, 20, 38), (2, 2, 8, 8)]
    assert [i.area for i in found] == [600, 60, 36]
    assert_partition(found, mask)


def test_equal_sizes_are_read_from_the_top_then_from_the_left():
    mask = blank((40, 20, 45, 25), (10, 20, 15, 25), (30, 2, 35, 7))
    assert [i.box[:2] for i in split_instances(mask, even(mask), None)] == [(30, 2), (10, 20), (40, 20)]


def test_corners_that_touch_are_one_object():
    mask = blank((10, 10, 20, 20), (20, 20, 30, 30))
    assert len(split_instances(mask, even(mask), None)) == 1


def test_objects_that_touch_are_split_by_their_cores():
    """Two berths side by side and one ship alone: the seam lies half way between the two cores."""
    mask = blank((4, 4, 24, 20), (24, 4, 44, 20), (4, 26, 16, 36))
    cores = np.zeros(mask.shape, dtype=np.float32)
    for x in (14, 34):
        distance = np.abs(np.arange(60) - x)[None, :].repeat(40, axis=0)
        cores = np.maximum(cores, np.clip(1 - distance / 12, 0, 1)).astype(np.float32)
    cores[22:] = 0
    found = split_instances(mask, even(mask), cores)
    assert len(split_instances(mask, even(mask), None)) == 2
    assert len(found) == 3
    assert_partition(found, mask)
    assert [i.area for i in found] == pytest.approx([320, 320, 120], abs=33)  # the ship has no core, and is still there
    assert sorted(i.box[0] for i in found[:2])[1] == pytest.approx(24, abs=2)


def two_crowns(dip):
    """Two discs that touch, and how sure the model is of them: by ``dip`` logits less where they meet."""
    rows, columns = np.mgrid[:40, :60]
    away = np.minimum(np.hypot(rows - 20, columns - 16), np.hypot(rows - 20, columns - 34)) / 9
    return away <= 1, (1 / (1 + np.exp(dip * away - 4))).astype(np.float32)


def test_a_concave_component_is_parted_where_the_model_is_less_sure():
    mask, probability = two_crowns(dip=3.0)
    found = split_instances(mask, probability, None)
    assert len(found) == 2 and {i.box[0] for i in found} == {7, 26}
    assert_partition(found, mask)
    assert len(split_instances(*two_crowns(dip=1.0), None)) == 1


def test_what_has_no_waist_or_no_rounder_parts_stays_whole():
    box = blank((10, 10, 34, 20))
    peaks = even(box, 0.8)
    peaks[15, 12] = peaks[15, 31] = 0.999
    assert len(split_instances(box, peaks, None)) == 1
    ring = blank((10, 5, 40, 35))
    ring[8:32, 13:37] = False
    peaks = even(ring, 0.8)
    peaks[6, 20] = peaks[33, 30] = 0.999
    assert len(split_instances(ring, peaks, None)) == 1


def test_cores_outside_the_mask_make_no_objects():
    mask = blank((4, 4, 24, 20))
    cores = blank((8, 8, 12, 12), (40, 10, 50, 20)).astype(np.float32)
    found = split_instances(mask, even(mask), cores)
    assert [i.box for i in found] == [(4, 4, 24, 20)]


def test_specks_are_dropped_unless_nothing_else_is_there():
    mask = blank((4, 4, 14, 14), (30, 30, 31, 33))
    assert [i.area for i in split_instances(mask, even(mask), None)] == [100]
    speck = blank((30, 30, 31, 33))
    assert [i.area for i in split_instances(speck, even(speck), None)] == [3]


@pytest.mark.parametrize("cores", [None, 0.0, 1.0])
def test_empty_and_full_masks(cores):
    empty, full = blank(), ~blank()
    surface = None if cores is None else np.full(empty.shape, cores, dtype=np.float32)
    assert split_instances(empty, even(empty), surface) == ()
    found = split_instances(full, even(full), surface)
    assert [(i.id, i.box) for i in found] == [(1, (0, 0, 60, 40))]


def test_the_score_of_an_object_is_the_mean_over_its_own_pixels():
    mask = blank((0, 0, 10, 10), (20, 0, 30, 5))
    probability = np.zeros(mask.shape, dtype=np.float32)
    probability[:10, :10] = 0.75
    probability[:5, 20:30] = 0.5
    probability[0, 20:30] = 1.0
    found = split_instances(mask, probability, None)
    assert [i.score for i in found] == pytest.approx([0.75, 0.6])


def test_cores_of_the_truth_lie_inside_and_do_not_touch():
    """Two squares of eleven pixels side by side: depths 1 to 6, of which 4, 5 and 6 are core."""
    crop = np.ones((11, 11), dtype=np.bool_)
    pair = tuple(
        Instance(id=i, box=(11 * i, 0, 11 * i + 11, 11), crop=crop, score=1.0, image_size=(11, 22)) for i in (0, 1)
    )
    expected = blank((3, 3, 8, 8), (14, 3, 19, 8), size=(11, 22))
    assert np.array_equal(core_truth(pair), expected)


def test_logits_are_resized_to_any_aspect():
    logits = torch.arange(16.0).view(1, 4, 4)
    wide = resize_logits(logits, (4, 12))
    assert wide.shape == (1, 4, 12)
    torch.testing.assert_close(wide[:, :, 1::3], logits)
