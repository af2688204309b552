"""The pixel map: nothing at first, the map of a class once the words mean that class."""

import pytest
import torch
from tiny import picture, sample, tiny_model

from geoagent.data.collate import collate
from geoagent.model.auxiliary import UNKNOWN_CLASS, AuxiliaryHeads, class_vector_loss
from geoagent.model.losses import balanced_weight

PARTS = {"prompting": {"pixel_map": 24}}


def inputs_of(processor):
    images = [picture(112, 112, seed) for seed in (0, 1)]
    return collate(
        [[sample(image, "Where is fuel kept?", number=k)] for k, image in enumerate(images)], processor
    ).inputs


def test_a_model_starts_as_it_would_without_one():
    plain, processor = tiny_model(shaken=False)
    mapped, _ = tiny_model(shaken=False, **PARTS)
    mapped.load_state_dict(plain.state_dict(), strict=False)
    inputs = inputs_of(processor)
    with torch.no_grad():
        masks = [model.eval()(inputs).targets.masks.logits for model in (plain, mapped)]
    assert torch.equal(*masks)


def test_a_refinement_starts_as_nothing_and_then_sees_the_image_and_the_coarse_map():
    mapped, processor = tiny_model(shaken=False, **PARTS)
    refined, _ = tiny_model(shaken=False, prompting={**PARTS["prompting"], "refined_map": True})
    refined.load_state_dict(mapped.state_dict(), strict=False)
    pixels = inputs_of(processor).sam_pixels
    with torch.no_grad():
        (sam, plain), (_, same) = mapped.encode_pixels(pixels), refined.encode_pixels(pixels)
        torch.testing.assert_close(same, plain)
        embed = refined.pixel_map.embed
        for layer in (embed.refine.add_edges, embed.refine.middle[-1], embed.refine.fine[-1]):
            layer.weight.normal_()
        changed = embed(sam, pixels)
        assert not torch.allclose(changed, plain, atol=1e-3)
        assert not torch.allclose(embed(sam, pixels.flip(-1)), changed, atol=1e-3)
        sam.coarse.zero_()
        assert not torch.allclose(embed(sam, pixels), changed, atol=1e-3)
    with pytest.raises(ValueError, match="needs the image"):
        embed(sam)


def test_words_that_mean_a_class_get_the_map_of_the_class():
    model, processor = tiny_model(**PARTS)
    heads = AuxiliaryHeads(model.config, class_count=5)
    inputs = inputs_of(processor)
    with torch.no_grad():
        features = model.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels)
        maps = heads(features, torch.zeros(0, model.config.text_width)).fine
        last = model.pixel_map.to_vector[-1]
        last.weight.zero_()
        last.bias.copy_(heads.class_vectors[3])
        found = model.pixel_map(features.pixels, torch.randn(len(maps), model.config.text_width))
    torch.testing.assert_close(found, maps[:, 3])


def test_words_can_ask_for_a_place():
    """A vector for "below the middle" gives the lower half, whatever is there."""
    model, processor = tiny_model(shaken=False, prompting={"pixel_map": 24, "place_map": 16})
    inputs = inputs_of(processor)
    with torch.no_grad():
        features = model.encode_images(inputs.pixel_values, inputs.grid_thw, inputs.sam_pixels)
        model.pixel_map.to_place[-1].bias[4] = -1.0  # the cosine of the height's lowest frequency: 1 above, 0 below
        found = model.pixel_map(features.pixels, torch.randn(2, model.config.text_width))
    rows = found.mean(dim=2)
    assert (rows.diff(dim=1) > 0).all()
    torch.testing.assert_close(found, rows[:, :, None].expand_as(found))


def test_vectors_are_drawn_to_those_of_their_classes():
    wanted = torch.tensor([[3.0, 4.0], [0.0, 1.0]], requires_grad=True)
    vectors = torch.tensor([[3.0, 4.0], [3.0, 0.0], [9.0, 9.0]], requires_grad=True)
    loss = class_vector_loss(vectors, wanted, torch.tensor([0, 0, UNKNOWN_CLASS]))
    assert loss.tolist() == pytest.approx([0.0, 16 / 25, 0.0])
    loss.sum().backward()
    assert wanted.grad is None and vectors.grad[2].abs().sum() == 0


def test_a_small_thing_has_the_say_of_the_root_of_its_size():
    truth, weight = torch.zeros(2, 100), torch.ones(2, 100)
    truth[0, 0] = 1
    weight[0, 50:] = 0
    weights = balanced_weight(truth, weight)
    assert weights[0, 0] == 50**0.5 and weights[0, 1:50].eq(1).all() and weights[0, 50:].eq(0).all()
    assert torch.equal(weights[1], weight[1])  # nothing there: nothing to favour
