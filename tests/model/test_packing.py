"""Packed, batched, cached and single runs of the same question must agree."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from tiny import picture, sample

from geoagent.data.collate import block_mask, collate, target_truth, true_answer
from geoagent.model import losses
from geoagent.model import mllm as language
from geoagent.model.tokens import AnswerGrammar, phrase_spans
from geoagent.types import Instance, LabelledTarget, Prompts

WIDE, TALL = picture(96, 128), picture(112, 56, seed=1)
CLOSE = {"rtol": 2e-4, "atol": 2e-4}

QUESTIONS = [
    sample(WIDE, "Where is fuel kept?", [("storage tanks", True), ("helipad", False)], number=0),
    sample(WIDE, "hello", [], answer="How can I help?", number=1),
    sample(
        WIDE,
        "",
        [("the ship", True)],
        answer="This is <p>the ship</p><seg>.",
        prompts=Prompts(points=((20.0, 14.0, True), (100.0, 90.0, False)), boxes=((8.0, 2.0, 40.0, 40.0),)),
        number=2,
    ),
    sample(WIDE, "this one", [("crane", True)], prompts=Prompts(points=((20.0, 14.0, True),)), number=3),
]
OTHER = [sample(TALL, "Show the road to the bridge.", [("road", True)], number=4)]


def loss_of(outputs, batch):
    """Every per-item loss: answer tokens, and each target's masks, objects, words and attention."""
    masks, truth = outputs.targets.masks, batch.truth
    found = {
        "answer": losses.answer_tokens(outputs.answer_logits, batch.inputs.text.answer_labels),
        "bce": losses.mask_bce(masks.logits, truth.masks, truth.weight),
        "dice": losses.mask_dice(masks.logits, truth.masks, truth.weight),
        "iou": losses.iou_score(masks.iou, masks.logits, truth.masks, truth.weight),
        "object": losses.object_score(masks.objectness, truth.present),
        "cores": losses.mask_bce(outputs.targets.cores, truth.cores, truth.weight),
    }
    consistency = torch.zeros(len(truth.present))
    for targets, grounding in outputs.targets.grounding:
        consistency[targets] = losses.structural_consistency(
            grounding.word_attention, grounding.word_overlap, grounding.mask
        )
    return {**found, "consistency": consistency}


@torch.no_grad()
def test_packed_questions_equal_separate_runs(tiny_pair):
    """Two images of different sizes, five questions, with and without targets and things pointed at."""
    model, processor = tiny_pair
    together = collate([QUESTIONS, OTHER], processor)
    packed = loss_of(model(together.inputs), together)
    singles = []
    for question in [*QUESTIONS, *OTHER]:
        alone = collate([[question]], processor)
        singles.append(loss_of(model(alone.inputs), alone))
    for name, values in packed.items():
        torch.testing.assert_close(values, torch.cat([s[name] for s in singles]), **CLOSE, msg=lambda m, n=name: n + m)
    assert len(packed["bce"]) == 5


@torch.no_grad()
def test_packed_states_equal_separate_ones(tiny_pair):
    model, processor = tiny_pair
    together = collate([QUESTIONS, OTHER], processor)
    queries = model(together.inputs).queries
    start = 0
    for question in [*QUESTIONS, *OTHER]:
        alone = model(collate([[question]], processor).inputs).queries
        mine = queries.pick(torch.arange(start, start + len(alone)))
        torch.testing.assert_close(mine.state, alone.state, **CLOSE)
        torch.testing.assert_close(mine.words[mine.mask], alone.words[alone.mask], **CLOSE)
        start += len(alone)
    assert start == len(queries) == 5


def test_a_question_sees_the_image_and_itself_only():
    block = torch.tensor([[0, 0, 1, 1, 2, 2, -1]])
    expected = [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ]
    assert block_mask(block)[0, 0].int().tolist() == expected


def test_the_places_of_a_packed_question(qwen3_pair):
    """Words, labels and decisions point at what they should; <rej> is read as <seg>, but taught as <rej>."""
    _, processor = qwen3_pair
    text = collate([QUESTIONS], processor).inputs.text
    ids = processor.ids
    tank, helipad = text.word_index[0], text.word_index[1]

    def words(places):
        return processor.decode(text.input_ids[0, places[places >= 0]])

    assert words(tank) == "Where is fuel kept?storage tanks<seg>"
    assert words(helipad) == "Where is fuel kept?helipad<seg>"
    assert text.query_index.tolist() == [int(row[row >= 0][-1]) for row in text.word_index]
    first = text.answer_labels[: text.answer_labels.tolist().index(ids.stops[0])].tolist()
    assert processor.decode(first) == "<p>storage tanks</p><seg><p>helipad</p><rej>"
    before = text.answer_index[0, 1]
    assert processor.decode(text.input_ids[0, : before + 1]).endswith("<|im_start|>assistant\n")
    assert text.asked_index[:2].tolist() == [int(before)] * 2  # both targets are in the answer to one question
    follow = {int(text.position_ids[0, 0, row[0]]) for row in (text.word_index[0], text.word_index[3])}
    assert len(follow) == 1  # every question goes on from the end of the image


def test_an_answer_that_marks_other_phrases_than_the_targets_is_refused(qwen3_pair):
    wrong = sample(WIDE, "x", [("ship", True)], answer="There is <p>a ship</p><seg> and <p>a pier</p><seg>.")
    with pytest.raises(ValueError, match="marks 2 phrases but there are 1 targets"):
        collate([[wrong]], qwen3_pair[1])


@torch.no_grad()
def test_a_batch_without_targets_and_one_with_some(tiny_pair):
    model, processor = tiny_pair
    nothing = collate([[QUESTIONS[1]]], processor)
    outputs = model(nothing.inputs)
    assert outputs.targets.masks.logits.shape == outputs.targets.cores.shape == (0, 32, 32)
    assert outputs.targets.coarse == ()
    assert outputs.queries.words.shape[0] == 0
    assert nothing.truth.masks.shape == (0, 32, 32)
    assert torch.isfinite(losses.answer_tokens(outputs.answer_logits, nothing.inputs.text.answer_labels)).all()
    mixed = model(collate([[QUESTIONS[1]], OTHER], processor).inputs)
    alone = model(collate([OTHER], processor).inputs)
    torch.testing.assert_close(mixed.targets.masks.logits, alone.targets.masks.logits, **CLOSE)
    assert mixed.queries.image.tolist() == [1]


def grammar(processor, **rules):
    return AnswerGrammar(
        processor.ids, **{"max_tokens": 24, "max_targets": 3, "max_phrase_tokens": 4, "min_targets": 2, **rules}
    )


@torch.no_grad()
def test_states_of_written_answers_equal_those_of_given_ones(tiny_pair, monkeypatch):
    """What decoding sees at each <seg> is what training sees when it is given the same answer."""
    model, processor = tiny_pair
    images = [WIDE, TALL]
    instructions = ["Where is fuel kept?", "Show the road."]
    tensors = processor.images(images)
    vision = language.encode_images(model.mllm, tensors.pixel_values, tensors.grid_thw)
    prefixes = [
        language.read_prefix(
            model.mllm, torch.tensor(processor.prefix_ids(processor.image_tokens(grid))), vision.pick([i])
        )
        for i, grid in enumerate(tensors.grid_thw)
    ]
    questions = [torch.tensor(processor.instruction_ids(text) + processor.turn_ids()) for text in instructions]
    written = language.write_answers(
        model.mllm,
        prefixes,
        questions,
        [grammar(processor) for _ in images],
        processor.ids,
        max_new_tokens=24,
    )
    # Random weights write fragments of characters, which no text spells: the tokens themselves are given back.
    given = {f"answer {i}": [*answer.tokens.tolist(), processor.ids.stops[0]] for i, answer in enumerate(written)}
    monkeypatch.setattr(processor, "answer_ids", given.__getitem__)
    samples = []
    for i, (image, answer) in enumerate(zip(images, written, strict=True)):
        spans = phrase_spans(answer.tokens.tolist(), processor.ids)
        assert len(spans) >= 2
        samples.append(sample(image, instructions[i], [("x", True)] * len(spans), answer=f"answer {i}", number=i))
    batch = collate([[s] for s in samples], processor)
    states = model.read_packed(batch.inputs.text, vision)
    target = 0
    for answer in written:
        for (phrase, decision), logit in zip(
            phrase_spans(answer.tokens.tolist(), processor.ids), answer.decision_logits, strict=True
        ):
            text, row = batch.inputs.text, int(batch.inputs.text.image[target])
            torch.testing.assert_close(answer.states[decision], states[row, text.query_index[target]], **CLOSE)
            places = text.word_index[target][text.word_index[target] >= 0]
            mine = torch.cat(
                [answer.question_states[: len(places) - len(phrase) - 1], answer.states[[*phrase, decision]]]
            )
            torch.testing.assert_close(mine, states[row, places], **CLOSE)
            before = model.mllm.lm_head(states[row, text.query_index[target] - 1])
            expected = before[processor.ids.seg] - before[processor.ids.rej]
            torch.testing.assert_close(logit, expected, rtol=1e-3, atol=1e-3)
            target += 1
    assert target == len(batch.inputs.text.image) >= 4


@torch.no_grad()
def test_a_state_does_not_know_whether_it_was_accepted(qwen3_pair):
    """<rej> is fed back as <seg>: what SAM2 is asked with does not carry the decision."""
    model, processor = qwen3_pair
    accepted, rejected = (
        collate([[sample(WIDE, "Where?", [("ship", True)], answer=f"<p>ship</p>{mark}")]], processor)
        for mark in ("<seg>", "<rej>")
    )
    assert torch.equal(model(accepted.inputs).queries.state, model(rejected.inputs).queries.state)
    assert not torch.equal(accepted.inputs.text.answer_labels, rejected.inputs.text.answer_labels)


@torch.no_grad()
def test_two_scenes_asked_in_turn_equal_cold_answers(tiny_pair):
    """Nothing is remembered between calls: positions of the image asked last, or the keys of the last answer."""
    model, processor = tiny_pair

    def prefix_of(image):
        tensors = processor.images([image])
        vision = language.encode_images(model.mllm, tensors.pixel_values, tensors.grid_thw)
        ids = processor.prefix_ids(processor.image_tokens(tensors.grid_thw[0]))
        return language.read_prefix(model.mllm, torch.tensor(ids), vision)

    def ask(prefix, text):
        question = torch.tensor(processor.instruction_ids(text) + processor.turn_ids())
        return language.write_answers(
            model.mllm, [prefix], [question], [grammar(processor)], processor.ids, max_new_tokens=24
        )[0]

    asked = [(WIDE, "Where is fuel kept?"), (TALL, "Show the road."), (WIDE, "hello"), (TALL, "Where is fuel kept?")]
    warm_prefixes = {id(WIDE): prefix_of(WIDE), id(TALL): prefix_of(TALL)}
    for image, text in asked:
        warm, cold = ask(warm_prefixes[id(image)], text), ask(prefix_of(image), text)
        assert warm.tokens.tolist() == cold.tokens.tolist()
        for field in fields(warm):
            value = getattr(warm, field.name)
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, getattr(cold, field.name)), field.name


def test_brief_answers_are_made_of_the_phrases():
    question = sample(WIDE, "x", [("ships", True), ("crane", False)], answer="<p>ships</p><seg>, no <p>crane</p><rej>.")
    assert true_answer(question, brief=False) == question.answer
    assert true_answer(question, brief=True) == "<p>ships</p><seg><p>crane</p><rej>"


def test_truth_is_area_averaged_and_unknown_pixels_weigh_nothing(qwen3_pair):
    mask = np.zeros((64, 64), dtype=np.bool_)
    mask[:16, :24] = True
    ignore = np.zeros_like(mask)
    ignore[48:] = True
    thing = Instance(id=1, box=(0, 0, 24, 16), crop=np.ones((16, 24), dtype=np.bool_), score=1.0, image_size=(64, 64))
    known = LabelledTarget(phrase="a", mask=mask, ignore=ignore, instances=(thing,), class_name="ship")
    absent = LabelledTarget(phrase="b", mask=np.zeros_like(mask))
    truth = target_truth([known, absent], 4)
    assert truth.masks[0].tolist() == [[1, 0.5, 0, 0], [0] * 4, [0] * 4, [0] * 4]
    assert truth.weight[0].tolist() == [[1] * 4, [1] * 4, [1] * 4, [0] * 4]
    assert truth.present.tolist() == truth.cores_known.tolist() == [True, False]
    assert 0 < truth.cores[0].sum() < truth.masks[0].sum()
    assert truth.masks[1].sum() == truth.cores[1].sum() == 0
    assert truth.class_names == ("ship", None)
