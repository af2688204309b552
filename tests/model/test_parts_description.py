"""The description query: the instruction itself asks for one mask, in training as in use."""

import numpy as np
import pytest
import torch
from tiny import FAMILIES, picture, sample, tiny_model
from torch.nn import functional

from geoagent.data.collate import collate
from geoagent.model.description import DescriptionProjector, as_description, mean_state
from geoagent.model.grounding import TargetQueries
from geoagent.model.processor import GeoAgentProcessor
from geoagent.model.querying import QueryGrounder
from geoagent.model.requests import Request
from geoagent.types import Instance, LabelledTarget, Prompts

WIDE, TALL = picture(96, 128), picture(112, 56, seed=1)
SEVERAL = sample(
    WIDE,
    "Where is fuel kept?",
    [("storage tanks", True), ("ships", True), ("helipad", False)],
    answer="In <p>storage tanks</p><seg> and <p>ships</p><seg>; no <p>helipad</p><rej>.",
)
HELLO = sample(WIDE, "hello", [], answer="How can I help?", number=1)
POINTED = sample(TALL, "", [("the crane", True)], prompts=Prompts(points=((20.0, 14.0, True),)), number=2)


@pytest.fixture(scope="module", params=FAMILIES)
def describing(request):
    model, other = tiny_model(request.param, answer={"query": "description"}, prompting={"query_map": False})
    processor = GeoAgentProcessor(
        other.tokenizer, other.image_processor, other.sam_processor, other.sizes, query="description"
    )
    return model, processor


# ------------------------------------------------------------------------------------------------------------ the truth


def test_a_question_with_several_targets_is_one_description():
    question = as_description(SEVERAL)
    (target,) = question.targets
    assert target.phrase == "storage tanks, ships, helipad"
    assert np.array_equal(target.mask, SEVERAL.targets[0].mask | SEVERAL.targets[1].mask)
    assert question.answer == "In storage tanks and ships; no helipad."
    assert (question.instruction, question.id) == (SEVERAL.instruction, SEVERAL.id)


def test_objects_and_unknown_pixels_of_a_description():
    """Objects are counted on; what one target does not know but another covers is known."""

    def thing(x):
        box = (x, 0, x + 2, 2)
        return Instance(id=1, box=box, crop=np.ones((2, 2), dtype=np.bool_), score=1.0, image_size=(96, 128))

    def target(x, **known):
        mask = np.zeros((96, 128), dtype=np.bool_)
        mask[:2, x : x + 2] = True
        return LabelledTarget(phrase="ship", mask=mask, instances=(thing(x),), class_name="ship", **known)

    unknown = np.zeros((96, 128), dtype=np.bool_)
    unknown[:1, :8] = True
    base = sample(WIDE)
    both = type(base)(**{**base.__dict__, "targets": (target(0), target(4, ignore=unknown))})
    (found,) = as_description(both).targets
    assert [i.id for i in found.instances] == [1, 2]
    assert found.class_name == "ship"
    assert np.flatnonzero(found.ignore[0]).tolist() == [2, 3, 6, 7]
    assert as_description(SEVERAL).targets[0].instances is None


def test_nothing_to_segment_is_an_empty_mask():
    question = as_description(HELLO)
    assert [t.present for t in question.targets] == [False]
    assert question.answer == "How can I help?"
    assert as_description(POINTED).answer == "the crane"


def test_a_packed_description_needs_no_marks(describing):
    _, processor = describing
    batch = collate([[SEVERAL, HELLO], [POINTED]], processor, brief=True)
    text = batch.inputs.text
    assert text.query_index.tolist() == [-1, -1, -1]
    assert text.image.tolist() == [0, 0, 1]
    words = [
        processor.decode(text.input_ids[i, row[row >= 0]]) for i, row in zip(text.image, text.word_index, strict=True)
    ]
    assert words == ["Where is fuel kept?", "hello", "point [0.36,0.12]"]
    assert not set(text.input_ids.flatten().tolist()) & {processor.ids.seg, processor.ids.rej, processor.ids.open}
    stops = processor.ids.stops[0]
    assert processor.decode(text.answer_labels[text.answer_labels != stops]).startswith("In storage tanks and ships;")
    assert batch.truth.present.tolist() == [True, False, True]
    assert len(batch.inputs.person.points) == 3


# -------------------------------------------------------------------------------------------------------- the projector


@torch.no_grad()
def test_the_single_words_would_change_nothing():
    """The published layer, with the words H as queries beside their mean: its output at the mean is ours."""
    torch.manual_seed(0)
    part = DescriptionProjector(8, 16, 4, 2)
    words, vision = torch.randn(2, 5, 8), torch.randn(2, 3, 4, 8)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    words = words * mask[..., None]
    mean = mean_state(words, mask)
    torch.testing.assert_close(mean[1], words[1, :3].mean(dim=0))
    queries = TargetQueries(words, mask, mean, torch.tensor([0, 1]))
    found = part(queries, vision, None)
    latents = part.read_mean(torch.cat([mean[:, None], words], dim=1))
    image = part.norm_image(part.read_image(vision).flatten(1, 2))
    normed = part.norm_mean(latents)
    latents = latents + part.attention(normed, torch.cat([image, normed[:, :1]], dim=1))
    latents = latents + part.feed(part.norm_feed(latents))
    expected = part.join(torch.cat([part.keep_mean(mean), part.norm(latents)[:, 0]], dim=-1))
    torch.testing.assert_close(found.state, expected)
    assert found.mask.sum(dim=1).tolist() == [6, 4]
    for k, count in enumerate((5, 3)):
        assert torch.equal(found.words[k, :count], words[k, :count])
        assert torch.equal(found.words[k, count], found.state[k])
    assert not torch.allclose(part(queries, vision.flip(0), None).state, found.state)


@torch.no_grad()
def test_the_state_is_the_mean_of_the_instruction(describing):
    model, processor = describing
    inputs = collate([[SEVERAL, HELLO], [POINTED]], processor).inputs
    queries = model(inputs).queries
    features = model.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels)
    states = model.read_packed(inputs.text, features.vision)
    for k, (image, places) in enumerate(zip(inputs.text.image, inputs.text.word_index, strict=True)):
        mine = states[image, places[places >= 0]]
        torch.testing.assert_close(queries.words[k][queries.mask[k]], mine)
        torch.testing.assert_close(queries.state[k], mine.mean(dim=0))


# --------------------------------------------------------------------------------------------------------------- in use


@torch.no_grad()
def test_every_question_gets_one_mask_which_is_that_of_training(describing):
    model, processor = describing
    grounder = QueryGrounder(model, processor)
    wide, tall = grounder.encode([WIDE, TALL])
    asked = [(wide, SEVERAL, WIDE), (wide, HELLO, WIDE), (tall, POINTED, TALL)]
    drafts = grounder.answer([Request(e, i.shape[:2], s.instruction, s.prompts) for e, s, i in asked])
    trained = model(collate([[SEVERAL, HELLO], [POINTED]], processor).inputs).targets
    assert [[t.phrase for t in d.targets] for d in drafts] == [
        ["Where is fuel kept?"], ["hello"], ["what was pointed at"]
    ]  # fmt: skip
    for k, draft in enumerate(drafts):
        (target,) = draft.targets
        torch.testing.assert_close(target.logits, trained.masks.logits[k], rtol=1e-3, atol=1e-3)
        score = float(functional.sigmoid(trained.masks.objectness[k]))
        if target.phrase == "what was pointed at":  # is there, whatever SAM2 thinks of the mask
            score = max(score, model.config.score.threshold)
        assert target.score == pytest.approx(score, abs=1e-3)
        assert not any(mark in draft.marked_answer for mark in ("<p>", "</p>", "<seg>", "<rej>"))
