from collections import Counter

import numpy as np
import pytest

from geoagent.data.dataset import SegmentationDataset, Subset, group_indices, spread
from geoagent.data.mixture import PROGRESSIVE_TASKS, Mixture, Part, Schedule
from geoagent.types import GeoAgentError, LabelledTarget, Sample

IMAGE = np.zeros((4, 4, 3), dtype=np.uint8)


class Numbers:
    """A dataset that counts, ``per_image`` samples an image."""

    def __init__(self, name: str, length: int, per_image: int = 1) -> None:
        self.name, self.split, self.remarks = name, "train", ()
        self.length, self.per_image = length, per_image

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        target = LabelledTarget(phrase="x", mask=np.zeros((4, 4), dtype=np.bool_))
        image_id = f"{self.name}/{index // self.per_image}"
        return Sample(id=f"{self.name}:{index}", image_id=image_id, image=IMAGE, instruction="?", targets=(target,))

    def groups(self) -> list[list[int]]:
        return group_indices([str(index // self.per_image) for index in range(self.length)])


def ids(mixture):
    return [sample.id for sample in mixture]


def test_protocol():
    assert isinstance(Numbers("a", 3), SegmentationDataset)
    assert isinstance(Mixture([Part(dataset=Numbers("a", 3))], draws=2), SegmentationDataset)


def test_draws_depend_on_index_and_seed_only():
    parts = [Part(dataset=Numbers("a", 10)), Part(dataset=Numbers("b", 1000))]
    mixture = Mixture(parts, draws=300, seed=3)
    straight = ids(mixture)
    again = Mixture(parts, draws=300, seed=3)
    assert [again[i].id for i in reversed(range(300))] == straight[::-1]
    assert again[-1].id == straight[-1]
    assert ids(Mixture(parts, draws=300, seed=4)) != straight
    with pytest.raises(IndexError):
        mixture[300]


def test_every_sample_comes_once_before_any_twice():
    mixture = Mixture([Part(dataset=Numbers("a", 7)), Part(dataset=Numbers("b", 5))], draws=100)
    mine = [name for name in ids(mixture) if name.startswith("a")]
    rounds = [mine[start : start + 7] for start in range(0, len(mine) - 6, 7)]
    assert all(len(set(once)) == 7 for once in rounds)
    assert rounds[0] != rounds[1]


def test_weights_default_to_the_root_of_the_size():
    mixture = Mixture([Part(dataset=Numbers("a", 100)), Part(dataset=Numbers("b", 10_000))], draws=11_000)
    assert mixture.weights(0.5) == pytest.approx((1 / 11, 10 / 11))
    counts = Counter(name[0] for name in ids(mixture))
    assert counts["a"] == pytest.approx(1000, abs=100)


def test_schedule_moves_the_shares():
    rising = Schedule(((0.0, 0.0), (0.5, 0.0), (1.0, 1.0)))
    parts = [Part(dataset=Numbers("a", 9), weight=1.0), Part(dataset=Numbers("b", 9), weight=1.0, schedule=rising)]
    mixture = Mixture(parts, draws=4000)
    names = [name[0] for name in ids(mixture)]
    assert "b" not in names[:2000]
    assert names[2000:3000].count("b") < names[3000:].count("b")
    assert mixture.weights(0.75) == pytest.approx((2 / 3, 1 / 3))


def test_progressive_task_schedule():
    order = ("interactive", "referring", "reasoning")
    parts = [Part(dataset=Numbers(t, 9), weight=1.0, schedule=PROGRESSIVE_TASKS[t]) for t in order]
    mixture = Mixture(parts, draws=10)
    assert mixture.weights(0.0) == pytest.approx((0.5, 0.5, 0.0))
    assert mixture.weights(1.0) == pytest.approx((0.35, 0.5, 0.15))


def test_whole_images_are_drawn_together():
    mixture = Mixture([Part(dataset=Numbers("a", 10, per_image=4))], draws=6, unit="image")
    sizes = [len(mixture.questions(draw)) for draw in range(6)]
    assert sorted(sizes[:3]) == [2, 4, 4]
    assert len({s.image_id for s in mixture.questions(0)}) == 1
    with pytest.raises(GeoAgentError, match="call questions"):
        mixture[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture([], draws=3), "needs datasets and draws"),
        (lambda: Mixture([Part(dataset=Numbers("a", 3))], draws=0), "needs datasets and draws"),
        (lambda: Mixture([Part(dataset=Numbers("void", 0))], draws=1), "void are empty"),
        (lambda: Mixture([Part(dataset=Numbers("a", 3), weight=0.0)], draws=3), "one weight must be positive"),
        (lambda: Mixture([Part(dataset=Numbers("a", 3), weight=-1.0)], draws=3), "one weight must be positive"),
        (lambda: Schedule(((0.5, 1.0), (0.1, 1.0))), "progress rising"),
        (lambda: Schedule(((0.0, -1.0),)), "cannot be negative"),
        (lambda: Schedule(()), "needs points"),
    ],
)
def test_impossible_mixtures(make, message):
    with pytest.raises(GeoAgentError, match=message):
        make()


def test_spread_and_subset():
    data = Numbers("a", 10, per_image=4)
    assert spread(data, None) is data
    assert spread(data, 10) is data
    few = spread(data, 4)
    assert [s.id for s in few] == ["a:0", "a:2", "a:5", "a:7"]
    assert few.groups() == [[0, 1], [2, 3]]
    assert Subset(data, [9, 0]).groups() == [[1], [0]]
    with pytest.raises(GeoAgentError, match="at least 1"):
        spread(data, 0)
