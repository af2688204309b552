from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from geoagent.data.dataset import SegmentationDataset
from geoagent.data.instructions import KINDS
from geoagent.data.synthetic import (
    QUESTIONS_PER_SCENE,
    SEED_STARTS,
    TEST_COUNTS,
    SynthDataset,
    planned_kinds,
)
from geoagent.types import GeoAgentError


def test_the_test_holds_two_thousand_samples_in_stated_shares():
    assert sum(TEST_COUNTS.values()) == len(SynthDataset("test")) == 2000
    assert set(TEST_COUNTS) == set(KINDS)
    plan = planned_kinds()
    assert all(len(kinds) == QUESTIONS_PER_SCENE for kinds in plan)
    assert Counter(kind for kinds in plan for kind in kinds) == TEST_COUNTS


def test_no_two_splits_or_seeds_share_a_scene():
    ranges = []
    for split in SEED_STARTS:
        for seed in (0, 1, 99) if split != "test" else (0,):
            dataset = SynthDataset(split, seed=seed, **({} if split == "test" else {"count": 8_000_000}))
            last = (len(dataset) - 1) // dataset.questions_per_scene
            ranges.append((dataset.scene_seed(0), dataset.scene_seed(last, 63 if split == "test" else 0)))
    ranges.sort()
    assert all(start <= end for start, end in ranges)
    assert all(end < start for (_, end), (start, _) in pairwise(ranges))
    assert ranges[0][0] >= 10**9, "small seeds are for demos"


def test_samples_depend_on_the_index_only():
    dataset = SynthDataset("train", count=8, size=256, questions_per_scene=4)
    assert isinstance(dataset, SegmentationDataset)
    assert dataset.groups() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    fifth, first = dataset[5], dataset[0]
    again = SynthDataset("train", count=8, size=256, questions_per_scene=4)
    assert (again[0].instruction, again[5].instruction) == (first.instruction, fifth.instruction)
    assert np.array_equal(again[0].image, first.image)
    assert dataset[1].image is first.image
    assert dataset[1].image_id == first.image_id != fifth.image_id
    assert len({dataset[i].id for i in range(8)}) == 8
    with pytest.raises(IndexError):
        dataset[8]


def test_test_groups_follow_their_plan():
    dataset = SynthDataset("test")
    samples = dataset.questions(0)
    assert tuple(s.type for s in samples) == planned_kinds()[0]
    assert samples[0].image.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"split": "tset"}, "no split"),
        ({"split": "test", "count": 2001}, "2000 samples"),
        ({"split": "test", "seed": 1}, "fixed"),
        ({"split": "train", "count": 0}, "at least 1"),
        ({"split": "val", "seed": 100}, "0 to 99"),
        ({"split": "train", "count": 10**8}, "at most 80000000"),
    ],
)
def test_impossible_wishes_are_refused(arguments, complaint):
    with pytest.raises(GeoAgentError, match=complaint):
        SynthDataset(**arguments)
