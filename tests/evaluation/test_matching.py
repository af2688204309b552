import numpy as np
import pytest
from toy_world import SIZE, box_mask, instance, nothing, target

from eval.matching import (
    assign,
    components,
    count_instances,
    instance_ious,
    overlap,
    pair_phrases,
    target_ious,
    wording_similarity,
)


def test_overlap_counts_pixels():
    both = overlap(box_mask(0, 0, 4, 2), box_mask(2, 0, 6, 2))
    assert both == (4, 12)
    assert both.iou(empty=1.0) == pytest.approx(1 / 3)


def test_empty_union_counts_what_the_caller_says():
    both = overlap(nothing(), nothing())
    assert both.iou(empty=1.0) == 1.0
    assert both.iou(empty=0.0) == 0.0


def test_assignment_maximises_the_total_not_the_first_choice():
    # Greedy would take (0, 0) = 0.9 and be left with (1, 1) = 0.0.
    assert assign(np.array([[0.9, 0.8], [0.7, 0.0]])) == [(0, 1), (1, 0)]


def test_assignment_leaves_out_pairs_without_overlap():
    assert assign(np.array([[0.5, 0.0], [0.0, 0.0]])) == [(0, 0)]


def test_unknown_pixels_of_a_target_do_not_count():
    ship = target("ship", box_mask(0, 0, 2, 2), ignore=box_mask(2, 0, 4, 2))
    assert target_ious([ship], [box_mask(0, 0, 4, 2)])[0, 0] == 1.0
    assert target_ious([ship], [box_mask(0, 0, 2, 4)])[0, 0] == 0.5


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("the storage tanks", "storage tank", 1.0),
        ("storage tank", "oil storage tank", 2 / 3),
        ("ship", "car", 0.0),
        ("", "car", 0.0),
        ("bus", "bus", 1.0),
    ],
)
def test_wording(a, b, expected):
    assert wording_similarity(a, b) == pytest.approx(expected)


def test_phrases_are_paired_by_wording_before_overlap():
    truth = [target("ships", box_mask(0, 0, 5, 5)), target("helipad", nothing())]
    # The answer has them the other way round, and its helipad lies on the ship.
    pairs = pair_phrases(truth, ["the helipad", "the ship"], [box_mask(0, 0, 5, 5), nothing()])
    assert pairs == {0: 1, 1: 0}


def test_phrases_in_other_words_are_paired_by_overlap_then_by_order():
    truth = [target("vessel", box_mask(0, 0, 3, 3)), target("aircraft", nothing()), target("tower", nothing())]
    pairs = pair_phrases(truth, ["plane", "ship"], [nothing(), box_mask(0, 0, 3, 3)])
    assert pairs == {0: 1, 1: 0}


def test_touching_boxes_without_common_pixels_do_not_overlap():
    diagonal = instance(0, 0, 2, 2)
    assert instance_ious([diagonal], [instance(2, 0, 4, 2)])[0, 0] == 0
    assert instance_ious([diagonal], [instance(1, 0, 3, 2)])[0, 0] == pytest.approx(2 / 6)


def test_instances_one_to_one():
    truth = [instance(0, 0, 2, 2), instance(4, 0, 6, 2), instance(0, 6, 2, 8)]
    predicted = [instance(0, 0, 2, 2), instance(0, 0, 2, 2), instance(4, 0, 6, 1)]  # right, a double, half (IoU 0.5)
    counts = count_instances(truth, predicted, ignore=None)
    assert (counts.found, counts.missed, counts.invented) == (2, 1, 1)
    assert (counts.true, counts.predicted) == (3, 3)


def test_surplus_on_unknown_pixels_is_not_held_against_the_answer():
    counts = count_instances([], [instance(0, 0, 2, 2), instance(6, 6, 8, 8)], ignore=box_mask(0, 0, 2, 2))
    assert (counts.found, counts.invented) == (0, 1)


def test_no_instances_on_either_side():
    assert count_instances([], [], None).found == 0
    assert count_instances([instance(0, 0, 1, 1)], [], None).missed == 1


def test_components_join_diagonal_neighbours():
    mask = box_mask(0, 0, 2, 2, 2, 2, 4, 4, 7, 7, 9, 9)
    pieces = components(mask)
    assert [piece.box for piece in pieces] == [(0, 0, 4, 4), (7, 7, 9, 9)]
    assert [piece.area for piece in pieces] == [8, 4]
    assert pieces[0].image_size == SIZE
