"""TATE and LKM: what happens to the words of a target before they are grounded, by hand."""

import math

import pytest
import torch

from geoagent.model.grounding import TargetQueries
from geoagent.model.memory import LatentMemory
from geoagent.model.sam import NO_MARK, NOT_A_POINT, PersonPrompts
from geoagent.model.tasks import Task, task_of
from geoagent.model.text_enhancement import TextEnhancement, pick_words
from geoagent.types import Prompts

VISION = torch.zeros(3, 2, 2, 8)


def three_queries(width=8):
    """One target of each task, with 4, 3 and 2 words."""
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(3, 4, width, generator=generator)
    mask = torch.arange(4) < torch.tensor([4, 3, 2])[:, None]
    words = words * mask[..., None]
    state = words[torch.arange(3), mask.sum(dim=1) - 1]
    task = torch.tensor([Task.REFERRING, Task.REASONING, Task.INTERACTIVE])
    return TargetQueries(words, mask, state, torch.zeros(3, dtype=torch.long), task)


def marks(x, y, label=1):
    """Each of three targets has one mark and SAM2's closing one."""
    points = torch.tensor([[x, y], [0.0, 0.0]]).expand(3, -1, -1)
    return PersonPrompts(points, torch.tensor([[label, NOT_A_POINT]] * 3), None)


@pytest.mark.parametrize(
    ("kind", "prompts", "task"),
    [
        ("reference", Prompts(), Task.REFERRING),
        ("", Prompts(), Task.REFERRING),
        ("several_implicit", Prompts(), Task.REASONING),
        ("reasoning", Prompts(), Task.REASONING),
        ("implicit", Prompts(points=((1.0, 1.0, True),)), Task.INTERACTIVE),
    ],
)
def test_tasks(kind, prompts, task):
    assert task_of(kind, prompts) is task


def test_a_state_is_replaced_among_the_words_as_well():
    queries = three_queries()
    changed = queries.with_state(torch.full((3, 8), 7.0))
    assert changed.state.unique().tolist() == [7.0]
    for k, last in enumerate([3, 2, 1]):
        assert changed.words[k, last].unique().tolist() == [7.0]
        assert torch.equal(changed.words[k, :last], queries.words[k, :last])
    assert not changed.words[1, 3].any()
    assert queries.pick(torch.tensor([2, 0])).tasks.tolist() == [Task.INTERACTIVE, Task.REFERRING]
    untold = TargetQueries(queries.words, queries.mask, queries.state, queries.image)
    assert untold.pick(torch.tensor([1])).tasks.tolist() == [Task.REFERRING]


# ----------------------------------------------------------------------------------------------------------------- TATE


def test_picking_words():
    """Width 4: scores are halved. q·E/2 = log 3 and 0: weights 3/4 and 1/4; the third word is not there."""
    words = torch.tensor([[[2 * math.log(3), 0, 0, 4.0], [0, 4.0, 0, 0], [100.0, 100, 100, 100]]])
    query = torch.tensor([[1.0, 0, 0, 0]])
    found = pick_words(query, words, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(found, torch.tensor([[[1.5 * math.log(3), 1.0, 0, 3.0]]]))


def enhancement():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part = TextEnhancement(8, 8).eval()
        torch.nn.init.normal_(part.write.weight)
        torch.nn.init.normal_(part.queries)
    return part


def test_enhancement_starts_as_nothing():
    queries = three_queries()
    found = TextEnhancement(8, 8)(queries, VISION, marks(0.2, 0.7))
    assert torch.equal(found.words, queries.words)
    assert torch.equal(found.state, queries.state)


@torch.no_grad()
def test_each_task_is_enhanced_in_its_own_way():
    """Only who points is told where; each target's words are changed by its own formula, padding by none."""
    part, queries = enhancement(), three_queries()
    here, there = part(queries, VISION, marks(0.2, 0.7)), part(queries, VISION, marks(0.9, 0.7))
    assert torch.equal(here.words[:2], there.words[:2])
    assert not torch.allclose(here.words[2], there.words[2])
    assert not torch.allclose(here.words[2], part(queries, VISION, marks(0.2, 0.7, label=0)).words[2])
    E = part.read(queries.words)
    picked = pick_words(part.queries, E, queries.mask)
    fused = part.fuse(torch.cat([E, part.coordinates(torch.tensor([0.2, 0.7, 0, 1, 0, 0])).expand(3, 4, -1)], dim=-1))
    context = torch.stack([picked[0, :1].expand(4, -1), picked[1, 1:].mean(dim=0).expand(4, -1), fused[2]])
    expected = queries.words + part.write(part.norm(context + part.mix(E)))
    torch.testing.assert_close(here.words[queries.mask], expected[queries.mask])
    assert not here.words[~queries.mask].any()
    torch.testing.assert_close(here.state, here.words[torch.arange(3), torch.tensor([3, 2, 1])])


@torch.no_grad()
def test_an_outline_alone_has_no_coordinates():
    part, queries = enhancement(), three_queries()
    outline = PersonPrompts(torch.zeros(3, 0, 2), torch.zeros(3, 0, dtype=torch.int), torch.ones(3, 1, 4, 4))
    torch.testing.assert_close(part(queries, VISION, outline).words, part(queries, VISION, None).words)
    padded = PersonPrompts(torch.zeros(3, 1, 2), torch.full((3, 1), NO_MARK), None)
    torch.testing.assert_close(part(queries, VISION, padded).words, part(queries, VISION, None).words)


# ------------------------------------------------------------------------------------------------------------------ LKM


def test_memory_by_hand():
    """Width 4: M·h/2 = log 3 and 0, so w = (3/4, 1/4); a fifth of the state is memory, unless someone points."""
    part = LatentMemory(2, 4)
    vectors = torch.tensor([[2 * math.log(3), 0, 0, 4.0], [0, 8.0, 0, 0]])
    part.load_state_dict({"vectors": vectors})
    state = torch.tensor([[1.0, 0, 0, 0]]).expand(3, -1)
    words = torch.stack([torch.full((3, 4), 9.0), state], dim=1)
    task = torch.tensor([Task.REFERRING, Task.REASONING, Task.INTERACTIVE])
    queries = TargetQueries(words, torch.ones(3, 2, dtype=torch.bool), state, torch.zeros(3, dtype=torch.long), task)
    found = part(queries, VISION, None)
    mixed = torch.tensor([0.8 + 0.2 * 1.5 * math.log(3), 0.2 * 2, 0, 0.2 * 3])
    torch.testing.assert_close(found.state, torch.stack([mixed, mixed, state[0]]))
    assert torch.equal(found.state[2], state[2])
    assert torch.equal(found.words[:, 1], found.state)
    assert torch.equal(found.words[:, 0], words[:, 0])
