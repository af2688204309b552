"""Our way of driving Qwen-VL by parts against the stock classes driven whole."""

import pytest
import torch
from tiny import picture
from transformers import (
    Qwen2_5_VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from geoagent.data.collate import block_mask
from geoagent.model import mllm as language

IMAGES = [picture(96, 128), picture(112, 56, seed=1), picture(64, 64, seed=2)]
QUESTIONS = ["Where is fuel kept?", "Show the helipad and the road that leads to it.", "hello"]


def stock_inputs(pair, image, question):
    """What the stock processor makes of a conversation, at the size that ours uses."""
    model, processor = pair
    chat = [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": question}]}]
    qwen3 = model.config.mllm_config.model_type == "qwen3_vl"
    stock_class, videos = (
        (Qwen3VLProcessor, Qwen3VLVideoProcessor) if qwen3 else (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor)
    )
    stock = stock_class(
        processor.image_processor, processor.tokenizer, videos(), chat_template=processor.tokenizer.chat_template
    )
    sizes = {"shortest_edge": processor.sizes.min_pixels, "longest_edge": processor.sizes.max_pixels}
    return stock.apply_chat_template(
        chat,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"images_kwargs": {"size": sizes}},
    )


def our_ids(processor, grid_thw, question):
    prefix = processor.prefix_ids(processor.image_tokens(grid_thw))
    return prefix, [*processor.instruction_ids(question), *processor.turn_ids()]


@pytest.mark.parametrize("which", range(3))
def test_the_conversation_is_that_of_the_stock_processor(tiny_pair, which):
    _, processor = tiny_pair
    stock = stock_inputs(tiny_pair, IMAGES[which], QUESTIONS[which])
    tensors = processor.images([IMAGES[which]])
    prefix, rest = our_ids(processor, tensors.grid_thw[0], QUESTIONS[which])
    assert [*prefix, *rest] == stock["input_ids"][0].tolist()
    assert torch.equal(tensors.grid_thw, stock["image_grid_thw"])
    assert torch.equal(tensors.pixel_values, stock["pixel_values"])


def test_patches_are_embedded_as_by_the_stock_convolution(tiny_pair):
    model, processor = tiny_pair
    ours = model.mllm.model.visual.patch_embed
    assert isinstance(ours.proj, language.PatchProduct)
    theirs = language.mllm_class(model.config.mllm_config.model_type)(model.config.mllm_config).model.visual.patch_embed
    theirs.load_state_dict(ours.state_dict())
    theirs.proj.__class__ = torch.nn.Conv3d
    patches = processor.images(IMAGES).pixel_values
    with torch.no_grad():
        torch.testing.assert_close(ours(patches), theirs(patches), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("which", range(3))
def test_positions_are_those_of_the_stock_class(tiny_pair, which):
    model, _ = tiny_pair
    stock = stock_inputs(tiny_pair, IMAGES[which], QUESTIONS[which])
    expected, delta = model.mllm.model.get_rope_index(
        stock["input_ids"], stock["mm_token_type_ids"], image_grid_thw=stock["image_grid_thw"]
    )
    height, width = (int(side) // 2 for side in stock["image_grid_thw"][0, 1:])
    ids = stock["input_ids"][0]
    positions, follow = language.token_positions(ids, model.config.mllm_config.image_token_id, (height, width))
    assert torch.equal(positions, expected[:, 0])
    assert follow == len(ids) + int(delta)


def test_positions_of_a_text_without_an_image():
    positions, follow = language.token_positions(torch.tensor([5, 6, 7]), 99, (2, 2))
    assert positions.tolist() == [[0, 1, 2]] * 3
    assert follow == 3


def test_a_wrong_number_of_image_tokens_is_refused():
    with pytest.raises(ValueError, match="3 image tokens for a grid of 2 x 2"):
        language.token_positions(torch.tensor([9, 9, 9]), 9, (2, 2))


@torch.no_grad()
def test_vision_tokens_and_states_are_those_of_the_stock_model(tiny_pair):
    model, processor = tiny_pair
    stock = stock_inputs(tiny_pair, IMAGES[0], QUESTIONS[0])
    expected = model.mllm.model(**stock).last_hidden_state
    tensors = processor.images([IMAGES[0]])
    vision = language.encode_images(model.mllm, tensors.pixel_values, tensors.grid_thw)
    features = model.mllm.model.get_image_features(stock["pixel_values"], stock["image_grid_thw"])
    assert torch.equal(vision.merged[0].flatten(0, 1), features.pooler_output[0])
    ids = stock["input_ids"][0]
    positions, _ = language.token_positions(ids, model.config.mllm_config.image_token_id, vision.grids[0])
    states = language.read_text(model.mllm, ids[None], positions[:, None], None, vision=vision)
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)
    additive = torch.zeros(1, 1, len(ids), len(ids)).masked_fill(
        ~block_mask(torch.zeros(1, len(ids))), torch.finfo(torch.float).min
    )
    packed = language.read_text(model.mllm, ids[None], positions[:, None], additive, vision=vision)
    torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-5)


def stock_answer(pair, image, question, length):
    """Greedy tokens and their logits from the stock class's own `generate`, the end token left out."""
    model, processor = pair
    stock = stock_inputs(pair, image, question)
    output = model.mllm.generate(
        **stock,
        max_new_tokens=length,
        do_sample=False,
        eos_token_id=list(processor.ids.stops),
        pad_token_id=processor.ids.stops[0],
        return_dict_in_generate=True,
        output_logits=True,
    )
    tokens = output.sequences[0, stock["input_ids"].shape[1] :].tolist()
    return [t for t in tokens if t not in processor.ids.stops], torch.cat(output.logits)


def our_answers(pair, images, questions, length):
    model, processor = pair
    prefixes, rests = [], []
    for image, question in zip(images, questions, strict=True):
        tensors = processor.images([image])
        vision = language.encode_images(model.mllm, tensors.pixel_values, tensors.grid_thw)
        prefix, rest = our_ids(processor, tensors.grid_thw[0], question)
        prefixes.append(language.read_prefix(model.mllm, torch.tensor(prefix), vision))
        rests.append(torch.tensor(rest))
    none = [None] * len(rests)
    return language.write_answers(model.mllm, prefixes, rests, none, processor.ids, max_new_tokens=length)


@torch.no_grad()
def test_answers_are_those_of_the_stock_generate(tiny_pair):
    """All three at once, left-padded behind prefixes of three lengths, against one at a time by the stock class."""
    ours = our_answers(tiny_pair, IMAGES, QUESTIONS, 12)
    for image, question, answer in zip(IMAGES, QUESTIONS, ours, strict=True):
        expected, logits = stock_answer(tiny_pair, image, question, 12)
        assert answer.tokens.tolist() == expected
        head = tiny_pair[0].mllm.lm_head
        first = head(answer.question_states[-1])
        torch.testing.assert_close(first, logits[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(head(answer.states[:-1]), logits[1 : len(answer.states)], rtol=1e-4, atol=1e-4)
    assert len({tuple(a.tokens.tolist()) for a in ours}) == 3  # three answers, not one


@torch.no_grad()
def test_every_written_token_has_its_state_even_the_last_allowed_one(tiny_pair):
    short = our_answers(tiny_pair, IMAGES[:1], QUESTIONS[:1], 3)[0]
    longer = our_answers(tiny_pair, IMAGES[:1], QUESTIONS[:1], 6)[0]
    assert not short.complete
    assert len(short.tokens) == 3
    assert short.states.shape == (3, 32)
    torch.testing.assert_close(short.states, longer.states[:3], rtol=1e-4, atol=1e-5)
